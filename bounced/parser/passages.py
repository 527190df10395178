"""Finds which lines of a human-readable report speak of which recipient; total.

No RFC rules these texts; each pattern names what was seen writing it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bounced.parser.fields import ADDRESS
from bounced.parser.wording import QUOTE

MAX_LINES = 2_000
MAX_PASSAGE_LINES = 40

_MAX_QUOTE_LINE = 160
_QUOTED_FIELD = re.compile(
    r"(?:Received|Return-Path|DKIM-Signature|Message-ID) {0,3}:", re.IGNORECASE
)

_BULLET = r"[ \t]*+(?:(?:[>*•|·-]+|\d{1,3}[.)])[ \t]+)?"
# SmarterMail and MailEnable; what they say of him follows on a line of its own.
_NAMED = r"(?:(?:Failed )?Recipient: (?:\[SMTP:)?(?=.{3,320}\n? *$))?"
_ADDRESS_LINE = re.compile(rf"({_BULLET}{_NAMED}['\"<\[(]{{0,2}})({ADDRESS})(.*)$")
# dma names the recipient in a sentence, and tells the reason in the next paragraph.
_SENTENCE = re.compile(rf"(There was an error delivering your mail to <)({ADDRESS})(>\.)$")
_ORIGIN = re.compile(
    rf"\((?:ultimately )?(?:generated|expanded) (?:from|by):?\s+<?({ADDRESS})>?\)"
)
_REPLY = re.compile(r"[245]\d\d-")
_CLOSING = re.compile(r"^['\">\])]*(?:<mailto:[^>]{0,320}>)?[ \t:;,]*(?:\.\.\. ?)?")
# A dialogue, and what Exim delivered to a program or file, end what is said of an address.
_OTHERS = (">>>", "<<<", "... while talking", "pipe to |", "save to /")
_MUTE = re.compile(r"[\W_]*$")


@dataclass(frozen=True, slots=True)
class Passage:
    """The lines that speak of one address."""

    address: str
    line: int
    """Line of the address in its part, from 1."""
    text: str
    """What is said of it, lines joined by line ends; "" where nothing stands beside it."""
    original: str | None = None
    """The address before redirection (Exim `generated from`, Postfix `expanded from`)."""


def split_quoted(text: str) -> tuple[str, str]:
    """Split a text part into the report's own words and the returned message quoted in it."""
    lines = text.split("\n", MAX_LINES)
    for number, line in enumerate(lines):
        if _QUOTED_FIELD.match(line):
            return "\n".join(lines[:number]), "\n".join(lines[number:])
        if len(line) < _MAX_QUOTE_LINE and "@" not in line and QUOTE.search(line.lower()):
            return "\n".join(lines[:number]), "\n".join(lines[number + 1 :])
    return "\n".join(lines[:MAX_LINES]), ""


def find_passages(text: str) -> list[Passage]:
    """Return the passages that begin with an address, in order; `text` holds no quoted message."""
    lines = text.split("\n")
    starts = _find_starts(lines)
    ends = [*(number for number, _ in starts[1:]), len(lines)]
    return [
        _read_passage(lines, number, match, end)
        for (number, match), end in zip(starts, ends, strict=False)
    ]


def _find_starts(lines: Sequence[str]) -> list[tuple[int, re.Match[str]]]:
    """Return the lines that begin a passage; deeper ones inside a passage belong to it."""
    starts: list[tuple[int, re.Match[str]]] = []
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        match = _ADDRESS_LINE.match(line) or _SENTENCE.match(line)
        # The first line of a server's reply: `550-max@firma.de unknown`.
        if match and _REPLY.match(match[2]):
            continue
        if match and not _belongs_to(starts, lines, number, match):
            starts.append((number, match))
    return starts


def _belongs_to(
    starts: Sequence[tuple[int, re.Match[str]]],
    lines: Sequence[str],
    number: int,
    match: re.Match[str],
) -> bool:
    """Tell whether the line only goes on what stands before it."""
    before = lines[number - 1].rstrip() if number else ""
    if not before.strip():
        return False
    last_number, last = starts[-1] if starts else (-MAX_PASSAGE_LINES, None)
    near = number - last_number < MAX_PASSAGE_LINES
    if last and near and all(line.strip() for line in lines[last_number:number]):
        same = match[2].lower() == last[2].lower()
        deeper = _indentation(lines[number]) > _indentation(lines[last_number])
        return same or deeper
    # A wrapped sentence: `please contact` / `postmaster@example.org for help`.
    flowing = before[-1].isalnum() or before[-1] in ",("
    return flowing and not _MUTE.match(_CLOSING.sub("", match[3], count=1))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _read_passage(lines: Sequence[str], number: int, match: re.Match[str], end: int) -> Passage:
    said = [_CLOSING.sub("", match[3], count=1)]
    first = number + 1
    if match.re is _SENTENCE:
        said, first = [], number + 2
    for line in lines[first : min(end, number + MAX_PASSAGE_LINES)]:
        if not line.strip() or line.lstrip().startswith(_OTHERS):
            break
        said.append(line)
    text = "\n".join(said)
    origin = _ORIGIN.search(text)
    if origin:
        text = text[: origin.start()] + text[origin.end() :]
    return Passage(
        match[2].strip("'`"),
        number + 1,
        text.strip(" \t\n:"),
        origin[1] if origin else None,
    )


def find_hidden_origins(text: str) -> list[tuple[int, str]]:
    """Return line and address of `(generated from ...)` where Exim hides the failed address."""
    return [
        (number, match[1])
        for number, line in enumerate(text.split("\n"), start=1)
        if (match := _ORIGIN.search(line))
    ]
