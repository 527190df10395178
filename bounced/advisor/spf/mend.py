"""The slips of the hand in SPF records, and which of them can be mended safely; pure.

Mended is what has one meaning only; anything else is left out, and said.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bounced.advisor.spf.merge import SPARED, drop_repeated, spare
from bounced.advisor.spf.terms import (
    MOST_OCTETS,
    Terms,
    find_repeated,
    is_record,
    parse_term,
    read_terms,
)
from bounced.model import domain_key

_ALMOST = re.compile(r"\W*v\s*=\s*spf1(?![0-9.])[\s,;:]*", re.IGNORECASE)
"""How a text begins that is meant as an SPF record."""
_CHARACTERS = str.maketrans(
    dict.fromkeys("\t\r\n\u00a0\u2000\u2001\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000", " ")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\u02dc\u223c\uff5e", "~")
    | dict.fromkeys(
        "\u200b\u200c\u200d\ufeff\u00ad\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
    )
)
_VERSION = re.compile(r"(?<![a-z])v\s*=\s*spf1(?![0-9.])[\s,;:]*", re.IGNORECASE)
_BETWEEN_SEPARATORS = re.compile(r"(?:%\{[^{}]*\}|[^,;|])++")
"""Commas between braces belong to a macro (RFC 7208 §7.1)."""
_GLUED_TO_ADDRESS = re.compile(
    r"([-+?~]?ip4:[0-9./]+)([-+?~]?(?:include|ip4|ip6|a|mx|exists|ptr|redirect|exp)[:=].+)",
    re.IGNORECASE,
)
"""Two strings of a TXT record are put together without a blank (RFC 7208 §3.3)."""
_GLUED_ALL = re.compile(r"(.+)([-~?+]all)", re.IGNORECASE)
_NAMED_ADDRESS = re.compile(
    r"([-+?~]?)(?:(?:ipv?[46]?|include|a|mx)[:=])?([0-9a-f.:]+(?:/[0-9]+)?)", re.IGNORECASE
)
_TOO_LONG = "a record as long as this must be shortened by hand first"
_QUALIFIERS = frozenset("+-~?")
_HALVES = {"include": ":", "redirect": "=", "redirect=": ""}
"""What a domain must follow, and what belongs between."""
_DOMAIN_WORD = re.compile(r"([-+?~]?(?:include|a|mx|exists|ptr):|redirect=)([^/]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of the SPF records of one domain."""

    records: tuple[Terms, ...]
    """What they mean, slips mended; several where the domain has several."""
    error: str | None
    """Why a receiver cannot read what is there; None: he can."""
    remarks: tuple[str, ...]
    """What a mended record leaves out or has otherwise."""


def find_records(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the SPF records among the TXT records of a domain.

    Where none is one by the book, those that are meant to be one.
    """
    known = sorted(texts)  # name servers change their order from answer to answer
    return tuple(filter(is_record, known)) or tuple(filter(_ALMOST.match, known))


def read_records(texts: Sequence[str]) -> Reading:
    """Read what `find_records` has found; total."""
    if any(len(text) > MOST_OCTETS for text in texts):
        return Reading((), f"a record of more than {MOST_OCTETS} octets", (_TOO_LONG,))
    error = find_error(texts)
    records: list[Terms] = []
    remarks: list[str] = []
    for text in texts:
        for part in _split_versions(text.translate(_CHARACTERS) if error else text):
            terms, done = _mend_record(part)
            records.append(drop_repeated(terms))
            remarks += done
            if repeated := find_repeated(terms):
                remarks.append(f"a second {repeated.text!r} was left out")
    return Reading(tuple(records), error, tuple(remarks))


def find_error(texts: Sequence[str]) -> str | None:
    """Say what stops a receiver (RFC 7208 §4.5, §4.6)."""
    if len(texts) > 1:
        return f"{len(texts)} SPF records, of which there may be one only"
    for text in texts:
        if not is_record(text):
            return "no SPF record to a receiver: it must begin with 'v=spf1' and a blank"
        terms, slips = read_terms(text)
        if slips:
            return f"{slips[0]!r} cannot be read"
        if repeated := find_repeated(terms):
            return f"{repeated.name}= stands there twice"
    return None


def _split_versions(text: str) -> list[str]:
    """Return what stands behind each `v=spf1` of a text, which may hold several records."""
    return [part for part in _VERSION.split(text)[1:] if part] or [""]


def _mend_record(part: str) -> tuple[Terms, list[str]]:
    """Read the terms behind the version; return them, and what was done."""
    terms = []
    remarks = []
    is_whole = True
    for word in _join_torn(_split_words(part)):
        mended = _mend_word(word)
        term = parse_term(mended)
        if term is None:
            remarks.append(f"{word!r} is no term of SPF and was left out")
            is_whole = False
            continue
        if mended != word:
            remarks.append(f"{word!r} was taken as {mended!r}")
        terms.append(term)
    if is_whole or all(term.mechanism != "all" or term.qualifier != "-" for term in terms):
        return tuple(terms), remarks
    return spare(terms), [*remarks, SPARED]


def _split_words(part: str) -> Iterator[str]:
    """Split at blanks, at commas and semicolons, and before an `all` that is glued to a term."""
    for word in part.split(" "):
        if _may_be_odd(word):
            yield word
            continue
        for piece in _BETWEEN_SEPARATORS.findall(word):
            glued = _GLUED_TO_ADDRESS.fullmatch(piece) or _GLUED_ALL.fullmatch(piece)
            yield from glued.groups() if glued else (piece,)


def _may_be_odd(word: str) -> bool:
    """Tell whether commas and the like may be meant: in exists: and in modifiers (§7.1)."""
    term = parse_term(word)
    return term is not None and (
        term.name == "exists" or (not term.qualifier and term.name != "redirect")
    )


def _join_torn(words: Iterable[str]) -> Iterator[str]:
    """Put together what a blank tore: `include: example.com`, `include :example.com`, `- all`."""
    held = ""
    for word in words:
        if held and (held in _QUALIFIERS or parse_term(word) is None):
            between = "" if word[0] in ":=" else _HALVES.get(held.lower(), "")
            joined = f"{held}{between}{word}"
        else:
            if held:
                yield held
            joined = word
        if joined in _QUALIFIERS or joined.endswith(":") or joined.lower() in _HALVES:
            held = joined
        else:
            held = ""
            yield joined
    if held:
        yield held


def _mend_word(word: str) -> str:
    """Return the term that a word is meant to be, or what is none."""
    if parse_term(word):
        return word
    if address := _NAMED_ADDRESS.fullmatch(word):
        with contextlib.suppress(ValueError):
            version = ipaddress.ip_network(address[2], strict=False).version
            return f"{address[1]}ip{version}:{address[2]}"
    plain = word if word.isascii() else _write_ascii(word)
    if plain.lower().startswith("redirect:"):
        return f"redirect={plain[9:]}"
    return plain if parse_term(plain) else plain.rstrip(".:")


def _write_ascii(word: str) -> str:
    """Return a term with its domain in A-labels (RFC 7208 §4.3)."""
    match = _DOMAIN_WORD.fullmatch(word)
    return f"{match[1]}{domain_key(match[2])}" if match else word
