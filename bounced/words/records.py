"""How DNS records are shown to a person: in one piece, said what they are for, named for his form.

All that DNS said is shown whole or not at all, for half a record does harm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bounced.diagnosis import Diagnosis, DnsRecord
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean
from bounced.words.hosters import find_hoster, shorten_name

MAX_VALUE_CHARS = 4000
"""Far above what any zone needs: longer ones are no records that a person could publish."""
MAX_REPLACED = 10
MAX_REPLACED_CHARS = 1000
MAX_LEFT_OUT = 10

_SHORTEST_ARGUMENT = 4
"""Letters by which what is meant is known again, however it was written."""
_ARGUMENT = re.compile(r"[^:=]*[:=](.+)")
_BETWEEN = re.compile(r"[\s,;|]+")
_SIGNS = "+-~?,;\"'"


@dataclass(frozen=True, slots=True)
class RecordView:
    """One record to publish; every text one clean line."""

    purpose: str | None
    """What it is for; None: the same as the record before."""
    name: str
    type: str
    value: str
    """As it is to be copied: ASCII, nothing left out."""
    replaces: tuple[str, ...]
    """What is there now and goes; cut where it is endless."""
    note: str | None
    """How a value in several strings is entered."""
    short_name: str | None = None
    """The name as the hoster's form takes it, without the domain; None: nobody knows."""
    short_label: str | None = None
    """What the short name is called, in one language; None without it."""


def list_showable(diagnosis: Diagnosis) -> tuple[DnsRecord, ...]:
    """Return the records to publish; none where one of them cannot be shown as it is."""
    return diagnosis.records if all(map(_is_showable, diagnosis.records)) else ()


def show_records(
    records: Iterable[DnsRecord], diagnosis: Diagnosis, words: Words
) -> Iterator[RecordView]:
    """Return what is shown of each record."""
    counts = Counter(map(find_purpose, records))
    hoster = find_hoster(diagnosis.hoster)
    before = ""
    for record in records:
        purpose = find_purpose(record)
        is_short = hoster is not None and hoster.short_names
        short = shorten_name(record.name, diagnosis.domain) if is_short else None
        yield RecordView(
            purpose=words.say(f"advice.purpose.{purpose}", count=counts[purpose])
            if purpose != before
            else None,
            name=record.name,
            type=record.type,
            value=record.value,
            replaces=_show_replaced(record),
            note=words.say("advice.split") if is_split(record) else None,
            short_name=short,
            short_label=words.say("advice.short_name", hoster=hoster.name)
            if hoster and short
            else None,
        )
        before = purpose


def find_purpose(record: DnsRecord) -> str:
    """Return what the record is for, as the words name it."""
    if record.name.startswith("_dmarc."):
        return "dmarc"
    if "._domainkey." in record.name:
        return "dkim"
    return "return-path" if record.type == "CNAME" else "spf"


def is_split(record: DnsRecord) -> bool:
    """Tell whether the value is several strings (RFC 7208 §3.3)."""
    return record.value.startswith('"')


def count_replaced(record: DnsRecord | None) -> int:
    """Return how many records go where this one comes."""
    return len(record.replaces.splitlines()) if record and record.replaces else 0


def list_left_out(record: DnsRecord | None) -> tuple[str, ...]:
    """Return what of the old SPF records the new one has no longer; total.

    Not what it has in other words, as far as that can be told: `all`, and what was misspelt.
    """
    if record is None or not record.replaces:
        return ()
    kept = [word.strip(_SIGNS) for word in _join_strings(record.value).lower().split()]
    known = [argument for argument in map(_find_argument, kept) if len(argument) > 1]
    words = (word for line in record.replaces.splitlines() for word in _split_words(line))
    gone = [word for word in words if _is_term(word) and not _is_known(word.lower(), kept, known)]
    return tuple(dict.fromkeys(gone))[:MAX_LEFT_OUT]


def is_whole(text: str) -> bool:
    """Tell whether a text can be copied from where it is shown, and is just that."""
    return text.isascii() and clean(text, MAX_VALUE_CHARS) == text


def _is_showable(record: DnsRecord) -> bool:
    return all(map(is_whole, (record.name, record.type, record.value)))


def _show_replaced(record: DnsRecord) -> tuple[str, ...]:
    lines = (record.replaces or "").splitlines()[:MAX_REPLACED]
    cleaned = (clean(line, MAX_REPLACED_CHARS) for line in lines)
    return tuple(line for line in cleaned if line)


def _join_strings(value: str) -> str:
    """Return the strings of a value as receivers put them together (RFC 7208 §3.3)."""
    return value[1:-1].replace('" "', "") if value.startswith('"') else value


def _split_words(line: str) -> list[str]:
    """Split at what is typed between terms; commas in a macro belong to it (RFC 7208 §7.1)."""
    return line.split() if "%{" in line else [each for each in _BETWEEN.split(line) if each]


def _find_argument(word: str) -> str:
    match = _ARGUMENT.fullmatch(word)
    return match[1] if match else ""


def _is_term(word: str) -> bool:
    """Tell whether something is lost where this word is; and whether it can be shown."""
    bare = word.strip(_SIGNS).lower()
    return (
        bool(bare)
        and word.isascii()
        and word.isprintable()
        and len(word) <= MAX_REPLACED_CHARS
        and not bare.startswith("v=spf1")
        and not bare.endswith(("all", ":", "="))
    )


def _is_known(word: str, kept: Iterable[str], known: Iterable[str]) -> bool:
    """Tell whether the new record says the same, though it may write it otherwise."""
    if word.strip(_SIGNS) in kept:
        return True
    return any(
        argument == _find_argument(word)
        or (
            len(argument) >= _SHORTEST_ARGUMENT
            and re.search(rf"(?<![\w.-]){re.escape(argument)}", word)
        )
        for argument in known
    )
