"""Messages from files for the command line: a message, an mbox, a Maildir, a folder, stdin.

An mbox begins with `From ` (RFC 4155); a later such line begins a message only after an empty
line and before a header field. Quoting is undone as mboxrd has it, which serves mboxo too.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import BinaryIO

STDIN = "-"

_FROM = b"From "
_QUOTED_FROM = re.compile(rb">+From ")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")  # RFC 5322 §3.6.8, with the space of §4.5.8
_EMPTY_LINES = (b"\n", b"\r\n")


def iter_messages(path: str, stdin: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Yield source and raw message of everything in `path`, `-` being `stdin`, in order.

    The source is `path` as given, with `#n` from 1 if there is more than one message. Holds two
    messages at a time. Raises OSError where something cannot be read.
    """
    return _number(path, _read_messages(path, stdin))


def count_messages(path: str) -> int | None:
    """Count what `iter_messages` will yield, for a progress bar; None: it can be read only once.

    Raises OSError where something cannot be read.
    """
    place = Path(path)
    if path == STDIN:
        return None
    if place.is_dir():
        return sum(1 for _ in _read_folder(place))
    return sum(1 for _ in _read_file(place)) if place.is_file() else None


def _read_messages(path: str, stdin: BinaryIO) -> Iterator[bytes]:
    if path == STDIN:
        yield from _split(stdin)
    elif Path(path).is_dir():
        yield from _read_folder(Path(path))
    else:
        yield from _read_file(Path(path))


def _read_file(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        yield from _split(stream)


def _read_folder(folder: Path) -> Iterator[bytes]:
    """Yield a Maildir's delivered messages, or those of a plain folder's files, by name.

    The name of a message in a Maildir begins with the time of its delivery.
    """
    places = [folder / name for name in ("new", "cur") if (folder / name).is_dir()]
    if places:
        for file in _list_visible(places):
            yield file.read_bytes()
        return
    files = [file for file in _list_visible([folder]) if file.is_file()]
    if not files:
        raise FileNotFoundError(
            errno.ENOENT, "neither a Maildir nor a folder with files in it", str(folder)
        )
    for file in files:
        yield from _read_file(file)


def _list_visible(places: Iterable[Path]) -> list[Path]:
    found = (file for place in places for file in place.iterdir())
    return sorted(
        (file for file in found if not file.name.startswith(".")), key=lambda file: file.name
    )


def _split(stream: BinaryIO) -> Iterator[bytes]:
    first = stream.readline()
    if first.startswith(_FROM):
        yield from _split_mbox(stream)
    else:
        yield first + stream.read()


def _split_mbox(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the messages of an mbox whose first line has been read."""
    message = bytearray()
    after_empty_line = False
    for line, following in pairwise(chain(lines, [b""])):
        if after_empty_line and line.startswith(_FROM) and _FIELD.match(following):
            yield _drop_last_empty_line(message)
            message.clear()
        else:
            message += line[1:] if _QUOTED_FROM.match(line) else line
        after_empty_line = line in _EMPTY_LINES
    yield _drop_last_empty_line(message)


def _drop_last_empty_line(message: bytearray) -> bytes:
    """Return the message without the empty line that an mbox puts after each."""
    for ending in _EMPTY_LINES:
        if message.endswith(b"\n" + ending):
            return bytes(message.removesuffix(ending))
    return bytes(message)


def _number(source: str, messages: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    first = list(islice(messages, 2))
    if len(first) == 1:
        yield source, first[0]
        return
    for number, message in enumerate(chain(first, messages), start=1):
        yield f"{source}#{number}", message
