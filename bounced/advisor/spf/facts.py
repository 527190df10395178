"""What DNS said while one domain was looked at; everything is concluded from the same answers."""

from __future__ import annotations

from collections.abc import Iterable

import dns.rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from bounced.advisor.dns import Outcome
from bounced.advisor.spf.apart import Ask
from bounced.advisor.spf.mend import find_error
from bounced.advisor.spf.terms import MOST_OCTETS, Terms, is_record, read_terms
from bounced.model import BouncedError

MOST_QUESTIONS = 300
"""One check_host asks 111 at most: 10 terms, of which each may be an `mx` with 10 hosts."""
MOST_READ = 16_384
"""Octets of records that are parsed: 32 of 512, the length that RFC 7208 §3.4 wants.

Each is parsed again for every address and change that is tried: by this an examination is at work
for some 150 ms at most, whatever the zones are like.
"""

Value = str | tuple[int, str]
"""Text of a TXT, an address, a name, or preference and host of an MX."""


class UnansweredError(BouncedError):
    """DNS could not be asked: nothing may be concluded."""


class Facts:
    """Asks, and remembers; belongs to one examination."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[tuple[str, RdataType], tuple[Value, ...]] = {}
        self._names: set[str] = set()
        self._failed: set[tuple[str, RdataType]] = set()
        self._records: dict[str, Terms | str] = {}
        self._read = 0

    def recall(self, name: str, rdtype: RdataType) -> tuple[Value, ...] | None:
        """Return the records that were asked for; None: they were not."""
        return self._known.get((_fold(name), rdtype))

    def exists(self, name: str) -> bool:
        """Tell whether a name that was asked for exists."""
        return _fold(name) in self._names

    def has_failed(self, name: str, rdtype: RdataType) -> bool:
        """Tell whether nobody could say, so that it was taken for nothing."""
        return (_fold(name), rdtype) in self._failed

    async def ask(self, name: str, rdtype: RdataType) -> tuple[Value, ...]:
        """Return the records of a name; raises UnansweredError where nobody could say."""
        key = _fold(name), rdtype
        if key not in self._known:
            if len(self._known) == MOST_QUESTIONS:
                raise UnansweredError(f"more than {MOST_QUESTIONS} questions were needed")
            self._known[key] = await self._look_up(*key)
        return self._known[key]

    async def ask_texts(self, name: str) -> tuple[str, ...]:
        """Return the TXT records of a name; type 99 is not asked for (RFC 7208 §3.1)."""
        return tuple(each for each in await self.ask(name, RdataType.TXT) if isinstance(each, str))

    async def ask_addresses(self, name: str, version: int) -> tuple[str, ...]:
        """Return the addresses of a host, of IP version 4 or 6."""
        rdtype = RdataType.A if version == 4 else RdataType.AAAA  # noqa: PLR2004 - as it is called
        return tuple(each for each in await self.ask(name, rdtype) if isinstance(each, str))

    async def ask_record(self, name: str) -> Terms | str:
        """Return the terms of a domain's record, or what it has instead."""
        texts = await self.ask_texts(name)
        if _fold(name) not in self._records:
            self._records[_fold(name)] = _read_record(texts)
        return self._records[_fold(name)]

    async def find_alias(self, name: str) -> str | None:
        """Return what a name is an alias of, if it is one; raises UnansweredError."""
        targets = await self.ask(name, RdataType.CNAME)
        return str(targets[0]) if targets else None

    async def _look_up(self, name: str, rdtype: RdataType) -> tuple[Value, ...]:
        answer = await self._ask(name, rdtype)
        if answer.outcome is Outcome.FAILED:
            # RFC 7208 §5.5: an error on PTR is as if there were none.
            if rdtype is not RdataType.PTR:
                raise UnansweredError(f"DNS gave no answer on {rdtype.name} of {name}")
            self._failed.add((name, rdtype))
        if answer.outcome in {Outcome.FOUND, Outcome.NO_DATA}:
            self._names.add(name)
        values = tuple(_read_value(record) for record in answer.records)
        if rdtype is RdataType.TXT:
            self._count_read(values)
        return values

    def _count_read(self, values: tuple[Value, ...]) -> None:
        """Add what will be parsed; of several records, or one that is too long, nothing is."""
        records = _list_records(each for each in values if isinstance(each, str))
        if len(records) == 1 and len(records[0]) <= MOST_OCTETS:
            self._read += len(records[0])
        if self._read > MOST_READ:
            raise UnansweredError(f"more than {MOST_READ} octets of SPF records were to be read")


def _fold(name: str) -> str:
    return name.lower().removesuffix(".")


def _read_record(texts: Iterable[str]) -> Terms | str:
    records = _list_records(texts)
    if not records:
        return "no SPF record"
    if any(len(record) > MOST_OCTETS for record in records):
        return f"a record of more than {MOST_OCTETS} octets"
    return find_error(records) or read_terms(records[0])[0]


def _list_records(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if is_record(text)]


def _read_value(record: dns.rdata.Rdata) -> Value:
    match record:
        case TXT():
            return _decode(b"".join(record.strings))  # RFC 7208 §3.3: without blanks
        case MX():
            return record.preference, record.exchange.to_text(omit_final_dot=True)
    return record.to_text().removesuffix(".")  # an address, or the name of a PTR or CNAME


def _decode(octets: bytes) -> str:
    """Read a text in whatever it was typed in: the dashes of word processors are told apart."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1252", errors="replace")
