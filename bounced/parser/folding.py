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
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

MAX_TEXT_CHARS = 8192

ADDRESS = "<address>"
URL = "<url>"
HOST = "<host>"

# Letters of the scripts that put spaces between words, and of those that do not: a Latin address
# ends where Chinese, Japanese, Korean or Thai runs on behind it.
_SPACED = r"0-9A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0dff\u1e00-\u1fff"
_UNSPACED = r"\u0e00-\u0eff\u1100-\u11ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WIDE_SIGNS = r"\u3000-\u3004\uff00-\uffef"
_ATEXT = r".!#$%&'*+/=?^`{|}~-"
_URL_ENDS = rf"""\s<>"{_UNSPACED}{_WIDE_SIGNS}"""
_URL_TAIL = rf"""[^{_URL_ENDS}]*[^{_URL_ENDS}'.,;:!?()\[\]]"""

# Each alternative begins where a run of its own characters begins, so that a text of 8 KiB
# without a space is walked once, not once per character.
_NOISE = re.compile(
    rf"""
    (?<![{_SPACED}])(?=[\w<"\#:.!$%&'*+/=?^`{{|}}~-])(?:
      (?P<url>(?:https?|ftp)://{_URL_TAIL})
    | (?P<address><?(?:"[^"\s]{{1,64}}"
        |(?<![{_SPACED}{_ATEXT}])[{_SPACED}{_ATEXT}]+
        |(?<![{_UNSPACED}0-9._-])[{_UNSPACED}][{_UNSPACED}0-9._-]*)
        @(?:\[[\w.:-]{{1,64}}\]
        |[{_SPACED}-]*[{_SPACED}](?:\.[{_SPACED}-]*[{_SPACED}])*
        |[{_UNSPACED}][\w.-]*\w)>?)
    | (?P<code>(?<![^\s:("'：（「])[245]\d\d(?:-(?!\d\d)|(?=\s)))
    | (?P<status>(?<![^\s("'-])\#?[245]\.\d{{1,3}}\.\d{{1,3}}(?=[\s:;,-]|$))
    | (?P<host>(?<![{_SPACED}.-])[{_SPACED}-]+(?:\.[{_SPACED}-]+)+(?P<path>/{_URL_TAIL})?)
    | (?P<ip>(?<![{_SPACED}:.])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{0,4}}(?![{_SPACED}:]))
    | (?P<size>[Ss](?:ize|IZE)(?:\ \(in\ bytes\))?\s?[=:]\s?\d{{1,20}}))
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
# UTF-8 read as Latin-1, case-folded; as many letters as before, so that evidence is found.
_BROKEN_UMLAUTS = (
    ("ã¤", "ae"),
    ("ã¶", "oe"),
    ("ã¼", "ue"),
    ("ãÿ", "ss"),
    ("ã„", "ae"),
    ("ã–", "oe"),
)
_ALONE = re.compile(f"[{_UNSPACED}]")
_SPACE = re.compile(r"\s+")
_WIDE_SPACE = re.compile(r"^\s+|\s{2,}")


_FOLDED_LETTERS = (*range(0xA1, 0x590), *range(0x1E00, 0x2000), *range(0xFB00, 0xFB20))


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


def goes_on(letter: str) -> bool:
    """Tell whether a word goes on in this letter; scripts without spaces begin anew anywhere."""
    return letter.isalnum() and _ALONE.match(letter) is None


def fold(text: str) -> str:
    """Return the comparison form of words: case, accents, quotes and white space levelled."""
    folded = text.casefold()[:MAX_TEXT_CHARS]
    if not folded.isascii():
        for broken, umlaut in _BROKEN_UMLAUTS:
            folded = folded.replace(broken, umlaut)
        folded = folded.translate(_PLAIN)
    return " ".join(folded.split())


def _find_lengths() -> dict[str, int]:
    """Map the letters that are folded to none, or to several, to how many."""
    lengths = {chr(code): len(fold(f".{chr(code)}")) - 1 for code in _FOLDED_LETTERS}
    return {letter: length for letter, length in lengths.items() if length != 1}


_LENGTHS = _find_lengths()
_RESIZED = re.compile(f"[{''.join(_LENGTHS)}]")


class Alignment:
    """Where the words and links of a text's view stand in the text itself; for evidence."""

    def __init__(self, text: str) -> None:
        self._text = text[:MAX_TEXT_CHARS]
        self._noise = list(_NOISE.finditer(self._text))
        self._wholes: dict[int, int] = {}
        self._ends = list(accumulate(self._measure()))

    def find_words(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the exact stretch of the text whose words are `read_view(text).words[start:end]`.

        None where that holds no word; a space at its edge is left out.
        """
        if start >= end:
            return None
        first = bisect_right(self._ends, start)
        last = bisect_right(self._ends, end - 1)
        if first < len(self._text) and self._text[first].isspace():
            first = bisect_right(self._ends, start + 1)
        if last < len(self._text) and self._text[last].isspace():
            last = bisect_right(self._ends, end - 2)
        if not first <= last < len(self._text):
            return None
        return first, self._wholes.get(last, last + 1)

    def find_link(self, start: int) -> tuple[int, int]:
        """Return where the whole URL or host stands that is `read_view(text).links[start]`."""
        length = 0
        for found in self._noise:
            if _name_noise(found)[0] in {URL, HOST}:
                length += len(fold(found[0])) + 1
                if length > start:
                    return found.span()
        raise IndexError(start)

    def _measure(self) -> list[int]:
        """Return of each letter of the text for how many letters of the words it stands.

        The first letter of what is masked stands for the whole placeholder, the rest for nothing.
        """
        text = self._text
        lengths = [1] * len(text)
        if not text.isascii():
            for letter in _RESIZED.finditer(text):
                lengths[letter.start()] = _LENGTHS[letter[0]]
        for found in self._noise:
            kind, mark = _name_noise(found)
            if kind or not mark:
                start, end = found.span()
                lengths[start:end] = [len(mark), *[0] * (end - start - 1)]
                self._wholes[start] = end
        # Where every letter stands for something, a single space between words does too.
        done = 0
        for space in (_SPACE if 0 in lengths else _WIDE_SPACE).finditer(text):
            start, end = space.span()
            if lengths[start]:  # else it is part of what was left out
                lengths[start:end] = [int(any(lengths[done:start])), *[0] * (end - start - 1)]
                done = end
        return lengths


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
