"""How a reply's text is read as words: folded, codes left out, addresses and hosts masked.

Rules and guard look at two views of one text. The *words* are case-folded, accents written
plainly (`ä` as `ae`, `é` as `e`), white space collapsed, reply codes (RFC 5321 §4.2) and enhanced
codes (RFC 3463 §2) left out wherever a line of a multi-line reply began with them, and each
e-mail address, URL and host (name or IP address) is one placeholder: a local part `spam` or a
domain `quota.example` is never a word. The *links* are those URLs and hosts, folded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

MAX_TEXT_CHARS = 8192

ADDRESS = "<address>"
URL = "<url>"
HOST = "<host>"

# Each alternative begins where a run of its own characters begins, so that a text of 8 KiB
# without a space is walked once, not once per character.
_NOISE = re.compile(
    r"""
    (?<!\w)(?=[\w<"\#:.!$%&'*+/=?^`{|}~-])(?:
      (?P<url>(?:https?|ftp)://[^\s<>"]*[^\s<>"'.,;:!?()\[\]])
    | (?P<address><?(?:"[^"\s]{1,64}"|(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]+)
        @(?:\[[\w.:-]{1,64}\]|[\w.-]*\w)>?)
    | (?P<code>(?<![^\s:("'])[245]\d\d(?:-(?!\d\d)|(?=\s)))
    | (?P<status>(?<![^\s("'-])\#?[245]\.\d{1,3}\.\d{1,3}(?=[\s:;,-]|$))
    | (?P<host>(?<![\w.-])[\w-]+(?:\.[\w-]+)+(?P<path>/[^\s<>"]*[^\s<>"'.,;:!?()\[\]])?)
    | (?P<ip>(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:]))
    | (?P<size>[Ss](?:ize|IZE)(?:\ \(in\ bytes\))?\s?[=:]\s?\d{1,20}))
    """,
    re.VERBOSE,
)

# Two letters are taken for a country; of the rest only what is seen in replies, since a sentence
# without a space behind its full stop ("blocked.please visit") must not pass for a host.
_TOP_LEVEL = re.compile(
    r"""
      [a-z]{2} | xn--[a-z0-9-]{1,59}
    | com | net | org | edu | gov | mil | int | info | biz | name | pro | mobi | asia | arpa
    | cloud | online | site | shop | app | dev | email | tech | top | xyz | club | live
    | local | localdomain | localhost | lan | internal | intern | corp | home | onion
    | test | example | invalid
    | gmbh | berlin | hamburg | koeln | bayern | wien | swiss | ruhr | saarland
    """,
    re.VERBOSE,
)

_PUNCTUATION = {
    **dict.fromkeys(map(ord, "’‘‛´′"), "'"),
    **dict.fromkeys(map(ord, "“”„«»″"), '"'),
    **dict.fromkeys(map(ord, "‐‑‒–—−"), "-"),
}
_MARKS = dict.fromkeys(range(0x300, 0x370))
_LETTERS = {ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("æ"): "ae", ord("œ"): "oe"} | {
    ord(letter): plain for letter, plain in zip("øłđðıё", "olddiе", strict=True)
}


def _spell_plainly() -> dict[int, str | None]:
    """Map Latin letters with accents to letters without; German umlauts to two letters."""
    plain: dict[int, str | None] = {
        code: unicodedata.normalize("NFD", chr(code))[0]
        for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
        if unicodedata.decomposition(chr(code))
    }
    return plain | _MARKS | _LETTERS | _PUNCTUATION


_PLAIN = _spell_plainly()
_TOKEN = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"\S+|\s+")


@dataclass(frozen=True, slots=True)
class View:
    """One text as rules see it."""

    words: str
    links: str
    """URLs and hosts, folded, one space between."""


def read_view(text: str) -> View:
    """Read a reply's text (cut to MAX_TEXT_CHARS) as words and links; total."""
    links: list[str] = []

    def mask(found: re.Match[str]) -> str:
        kind, mark = _name_noise(found)
        if kind in {URL, HOST}:
            links.append(found[0])
        return mark

    words = _NOISE.sub(mask, text[:MAX_TEXT_CHARS])
    return View(fold(words), fold(" ".join(links)))


def fold(text: str) -> str:
    """Return the comparison form of words: case, accents, quotes and white space levelled."""
    folded = text.casefold()[:MAX_TEXT_CHARS]
    if not folded.isascii():
        folded = folded.translate(_PLAIN)
    return " ".join(folded.split())


def split_tokens(text: str) -> list[str]:
    """Return the single words of a folded text in order."""
    return _TOKEN.findall(text)


def quote_words(text: str, start: int, end: int) -> str:
    """Return the exact stretch of text whose words are `read_view(text).words[start:end]`."""
    runs = [run for run in _align(text[:MAX_TEXT_CHARS]) if run.end > start and run.start < end]
    if not runs:
        return ""
    first = runs[0].find_origin(max(start, runs[0].start))[0]
    last = runs[-1].find_origin(min(end, runs[-1].end) - 1)[1]
    return text[first:last]


def quote_link(text: str, start: int) -> str:
    """Return the whole URL or host, as written, that stands at `read_view(text).links[start]`."""
    length = 0
    for found in _NOISE.finditer(text[:MAX_TEXT_CHARS]):
        if _name_noise(found)[0] in {URL, HOST}:
            length += len(fold(found[0])) + 1
            if length > start:
                return found[0]
    raise IndexError(start)


def _name_noise(found: re.Match[str]) -> tuple[str, str]:
    """Tell what was found (a placeholder, or "" for none) and what is written in its place."""
    match found.lastgroup:
        case "address":
            return ADDRESS, ADDRESS
        case "url":
            return URL, URL
        case "ip":
            return HOST, HOST
        case "code" | "status" | "size":
            return "", ""
        case _ if not _is_host(found["host"].partition("/")[0]):
            return "", found[0]
        case _:
            return (URL, URL) if found["path"] else (HOST, HOST)


def _is_host(name: str) -> bool:
    """Tell a host from a version, a class name or two sentences without a space between."""
    labels = name.split(".")
    last = labels[-1]
    if last.isdigit():
        return len(labels) == 4 and all(label.isdigit() for label in labels)  # noqa: PLR2004 - IPv4
    if not (last.islower() or last.isupper()):
        return False
    return _TOP_LEVEL.fullmatch(last.lower()) is not None


class _Run(NamedTuple):
    """Words without a space between, or one placeholder, and the text that they stand for."""

    start: int
    end: int
    origin: int
    text: str
    whole: bool
    """A placeholder stands for all of its text."""

    def find_origin(self, at: int) -> tuple[int, int]:
        """Return the stretch of the text that the letter at this place of the words stands for."""
        if self.whole:
            return self.origin, self.origin + len(self.text)
        if self.text.isascii():
            offset = at - self.start
        else:
            lengths = accumulate(len(fold(letter)) for letter in self.text)
            offset = next(n for n, length in enumerate(lengths) if self.start + length > at)
        return self.origin + offset, self.origin + offset + 1


def _align(text: str) -> Iterator[_Run]:
    """Yield the words of a text in runs with their origin: `read_view` once more, for evidence."""
    place = 0
    spaced = False
    for origin, part, mark in _split_noise(text):
        pieces = [(0, part)] if mark else [(m.start(), m[0]) for m in _PIECE.finditer(part)]
        for offset, piece in pieces:
            if piece.isspace():
                spaced = place > 0
                continue
            length = len(mark or (piece if piece.isascii() else fold(piece)))
            if not length:
                continue
            place += spaced
            yield _Run(place, place + length, origin + offset, piece, whole=bool(mark))
            place += length
            spaced = False


def _split_noise(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the parts of a text that are words, with "", and those that are masked, with mark."""
    done = 0
    for found in _NOISE.finditer(text):
        kind, mark = _name_noise(found)
        if not kind and mark:
            continue
        yield done, text[done : found.start()], ""
        if kind:
            yield found.start(), found[0], mark
        done = found.end()
    yield done, text[done:], ""
