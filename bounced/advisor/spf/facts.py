"""What DNS said while one domain was looked at; everything is concluded from the same answers."""

from __future__ import annotations

import dns.rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from bounced.advisor.dns import Outcome, Resolver
from bounced.model import BouncedError

MOST_QUESTIONS = 300
"""One check_host asks 111 at most: 10 terms, of which each may be an `mx` with 10 hosts."""

Value = str | tuple[int, str]
"""Text of a TXT, an address, a name, or preference and host of an MX."""


class UnansweredError(BouncedError):
    """DNS could not be asked: nothing may be concluded."""


class Facts:
    """Asks the resolver, and remembers; belongs to one examination."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._known: dict[tuple[str, RdataType], tuple[Value, ...]] = {}
        self._names: set[str] = set()
        self._failed: set[tuple[str, RdataType]] = set()

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

    async def _look_up(self, name: str, rdtype: RdataType) -> tuple[Value, ...]:
        answer = await self._resolver.lookup(name, rdtype)
        if answer.outcome is Outcome.FAILED:
            # RFC 7208 §5.5: an error on PTR is as if there were none.
            if rdtype is not RdataType.PTR:
                raise UnansweredError(f"DNS gave no answer on {rdtype.name} of {name}")
            self._failed.add((name, rdtype))
        if answer.outcome in {Outcome.FOUND, Outcome.NO_DATA}:
            self._names.add(name)
        return tuple(_read_value(record) for record in answer.records)


def _fold(name: str) -> str:
    return name.lower().removesuffix(".")


def _read_value(record: dns.rdata.Rdata) -> Value:
    match record:
        case TXT():
            return _decode(b"".join(record.strings))  # RFC 7208 §3.3: without blanks
        case MX():
            return record.preference, record.exchange.to_text(omit_final_dot=True)
    return record.to_text().removesuffix(".")  # an address, or the name of a PTR


def _decode(octets: bytes) -> str:
    """Read a text in whatever it was typed in: the dashes of word processors are told apart."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1252", errors="replace")
