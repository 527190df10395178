from __future__ import annotations

import io
import os
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.listener.files import count_messages, iter_messages

NOTHING = io.BytesIO()

ONE = b"Subject: one\n\nFrom here on it is text.\n"
MBOX = (
    b"From MAILER-DAEMON Sat Nov 21 12:00:00 2026\nSubject: one\n\nbody\n\n"
    b"From MAILER-DAEMON Sat Nov 21 12:00:01 2026\nSubject: two\n\nbody\n\n"
)


def read(path: Path) -> list[tuple[str, bytes]]:
    messages = list(iter_messages(str(path), NOTHING))
    assert count_messages(str(path)) == len(messages)
    return messages


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        pytest.param(ONE, [ONE], id="one message"),
        pytest.param(b"", [b""], id="empty file"),
        pytest.param(b"\x00\xff", [b"\x00\xff"], id="not a mail"),
        pytest.param(MBOX, [b"Subject: one\n\nbody\n", b"Subject: two\n\nbody\n"], id="mbox"),
        pytest.param(
            MBOX.replace(b"\n", b"\r\n"),
            [b"Subject: one\r\n\r\nbody\r\n", b"Subject: two\r\n\r\nbody\r\n"],
            id="mbox of DOS lines",
        ),
        pytest.param(b"From a\n" + ONE, [ONE], id="text that begins with From is no message"),
        pytest.param(
            b"From a\nA: 1\n\nx\nFrom b\nB: 2\n\ny\n",
            [b"A: 1\n\nx\nFrom b\nB: 2\n\ny\n"],
            id="separator without an empty line before it is text",
        ),
        pytest.param(
            b"From a\nA: 1\n\nx\n\nFrom the start\nof the year\n",
            [b"A: 1\n\nx\n\nFrom the start\nof the year\n"],
            id="separator without a field after it is text",
        ),
        pytest.param(
            b"From a\nA: 1\n\n>From b\n>>From c\n> From d\n>Fromage\n",
            [b"A: 1\n\nFrom b\n>From c\n> From d\n>Fromage\n"],
            id="one mark of quoting is taken off",
        ),
        pytest.param(
            b"From a\nA: 1\n\nx\n\n\nFrom b\nB : 2\n\ny",
            [b"A: 1\n\nx\n\n", b"B : 2\n\ny"],
            id="one empty line belongs to the mbox, others to the message",
        ),
        pytest.param(b"From a\n", [b""], id="nothing after the separator"),
        pytest.param(
            b"From a\nA: 1\n\nFrom b\n", [b"A: 1\n\nFrom b\n"], id="separator at the end is text"
        ),
    ],
)
def test_a_file_yields_its_messages(content: bytes, messages: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert [raw for _, raw in read(path)] == messages
    assert [raw for _, raw in iter_messages("-", io.BytesIO(content))] == messages


def test_the_source_is_the_path_as_given_and_numbered_only_where_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/1.eml").write_bytes(ONE)
    Path("in/box").write_bytes(MBOX)
    Path("in/single").write_bytes(b"From a\n" + ONE)
    sources = [
        source
        for path in ("./in/1.eml", "in//box", "in/single", "-")
        for source, _ in iter_messages(path, io.BytesIO(MBOX))
    ]
    assert sources == ["./in/1.eml", "in//box#1", "in//box#2", "in/single", "-#1", "-#2"]


def test_a_maildir_yields_what_was_delivered_in_order_of_names(tmp_path: Path) -> None:
    for name in ("tmp/0", "new/3.host", "cur/1.host:2,S", "cur/.hidden", "new/2.host"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    assert read(tmp_path) == [
        (f"{tmp_path}#1", b"cur/1.host:2,S"),
        (f"{tmp_path}#2", b"new/2.host"),
        (f"{tmp_path}#3", b"new/3.host"),
    ]


def test_an_empty_maildir_yields_nothing(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert read(tmp_path) == []


def test_a_plain_folder_yields_its_files_in_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, content in (("2.eml", ONE), ("1.mbox", MBOX), (".hidden", ONE)):
        (tmp_path / name).write_bytes(content)
    assert read(tmp_path) == [
        (f"{tmp_path}#1", b"Subject: one\n\nbody\n"),
        (f"{tmp_path}#2", b"Subject: two\n\nbody\n"),
        (f"{tmp_path}#3", ONE),
    ]


def test_a_folder_without_messages_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / ".hidden").write_bytes(ONE)
    with pytest.raises(FileNotFoundError, match="neither a Maildir nor a folder with files"):
        list(iter_messages(str(tmp_path), NOTHING))


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(iter_messages(str(tmp_path / "none"), NOTHING))


def test_what_can_be_read_only_once_is_not_counted(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert count_messages(str(pipe)) is None
    assert count_messages("-") is None
    writer = threading.Thread(target=pipe.write_bytes, args=(MBOX,))
    writer.start()
    assert len(list(iter_messages(str(pipe), NOTHING))) == 2
    writer.join()


def test_a_large_mbox_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as box:
        for _ in range(40):
            box.write(b"From a\nSubject: x\n\n" + (b"x" * 70 + b"\n") * 3_000 + b"\n")
    tracemalloc.start()
    assert sum(1 for _ in iter_messages(str(path), NOTHING)) == 40
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 5


def quote(message: bytes) -> bytes:
    """Write a message as mboxrd does."""
    lines = message.splitlines(keepends=True)
    return b"".join(
        b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines
    )


BODY_LINES = st.lists(st.sampled_from([b"", b"From x", b">From x", b"A: b", b"x", b"\xff\x00"]))


@given(st.lists(BODY_LINES, min_size=2, max_size=4))
def test_any_mbox_is_read_back_as_it_was_written(bodies: list[list[bytes]]) -> None:
    messages = [b"Subject: x\n\n" + b"".join(line + b"\n" for line in body) for body in bodies]
    box = b"".join(b"From a\n" + quote(message) + b"\n" for message in messages)
    assert [raw for _, raw in iter_messages("-", io.BytesIO(box))] == messages
