"""What DNS says, told apart from what it could not be asked.

A question that failed (timeout, SERVFAIL, a server that is lame or lies) is never taken for "there
is no such record".
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.nameserver import Do53Nameserver
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.MX import MX

from bounced.config import DnsSettings
from bounced.model import domain_key
from bounced.values import parse_address

AT_ONCE = 50
"""Questions under way at the same time."""
THINKERS = 2
"""Threads at the same time that conclude something from answers; each takes time from the loop."""
MOST_KEPT = 10_000
"""Answers."""
LONGEST_KEPT_S = 3600
"""Whatever the TTL says; what has changed in DNS is seen after an hour."""

_PORT = 53
_TRIES = 2
"""Times that a server is asked within the timeout: UDP loses packets."""
_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MOST_OCTETS = 253


class Outcome(Enum):
    """What became of a question."""

    FOUND = auto()
    NO_DATA = auto()
    """The name exists, but has no such record (RFC 2308 §2.2)."""
    NXDOMAIN = auto()
    """There is no such name, nor any below it (RFC 8020)."""
    FAILED = auto()
    """Nobody could say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What DNS says of one name and type, CNAMEs followed."""

    outcome: Outcome
    records: tuple[dns.rdata.Rdata, ...] = ()
    ttl_s: int = 0
    """How long it holds, also where it says that there is nothing."""


class MailService(Enum):
    """How a domain takes mail, if it does (RFC 5321 §5.1)."""

    HAS_MX = auto()
    IMPLICIT = auto()
    """No MX, but an address, which would be tried instead."""
    NULL_MX = auto()
    """It says that it takes no mail (RFC 7505)."""
    NONE = auto()
    NXDOMAIN = auto()
    FAILED = auto()
    """Nobody could say."""


class Resolver:
    """Asks the configured resolvers, or the host's, and keeps what they say as long as it holds.

    Belongs to one event loop.
    """

    def __init__(self, settings: DnsSettings, *, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._stub = _make_stub(settings)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.thinkers = asyncio.Semaphore(THINKERS)
        self._kept: OrderedDict[tuple[dns.name.Name, RdataType], tuple[Answer, datetime]] = (
            OrderedDict()
        )
        """Each with the time until which it holds, the one used last at the end."""

    async def lookup(self, name: str, rdtype: RdataType) -> Answer:
        """Ask for the records of one type; a name that cannot exist is not asked for; total."""
        asked = _read_name(name)
        if asked is None:
            return Answer(Outcome.NXDOMAIN)
        key = asked, rdtype
        kept, until = self._kept.get(key, (None, self._clock()))
        if kept is not None and self._clock() < until:
            self._kept.move_to_end(key)
            return kept
        async with self._turns:
            answer = await self._ask(asked, rdtype)
        self._keep(key, answer)
        return answer

    async def _ask(self, name: dns.name.Name, rdtype: RdataType) -> Answer:
        try:
            found = await self._stub.resolve(name, rdtype, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            chain = error.response(name).resolve_chaining()  # type: ignore[no-untyped-call] # so in dnspython
            return Answer(Outcome.NXDOMAIN, ttl_s=chain.minimum_ttl)
        except (dns.exception.DNSException, OSError):
            # The host may have got other resolvers since: its file is read anew.
            self._stub = _make_stub(self._settings)
            return Answer(Outcome.FAILED)
        ttl_s = found.chaining_result.minimum_ttl
        if found.rrset is not None:
            return Answer(Outcome.FOUND, tuple(found.rrset), ttl_s)
        if _is_lame(found.response):
            return Answer(Outcome.FAILED)
        return Answer(Outcome.NO_DATA, ttl_s=ttl_s)

    def _keep(self, key: tuple[dns.name.Name, RdataType], answer: Answer) -> None:
        ttl = timedelta(seconds=min(answer.ttl_s, LONGEST_KEPT_S))
        self._kept[key] = answer, self._clock() + ttl
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


async def find_mail_service(resolver: Resolver, domain: str) -> MailService:
    """Find out how a domain takes mail; total."""
    answer = await resolver.lookup(domain, RdataType.MX)
    match answer.outcome:
        case Outcome.FOUND:
            hosts = [record.exchange for record in answer.records if isinstance(record, MX)]
            return MailService.NULL_MX if set(hosts) == {dns.name.root} else MailService.HAS_MX
        case Outcome.NXDOMAIN:
            return MailService.NXDOMAIN
        case Outcome.FAILED:
            return MailService.FAILED
        case Outcome.NO_DATA:
            return await _find_implicit(resolver, domain)
    assert_never(answer.outcome)


async def _find_implicit(resolver: Resolver, domain: str) -> MailService:
    """Look for an address of a domain without MX (RFC 5321 §5.1)."""
    found = MailService.NONE
    for rdtype in (RdataType.A, RdataType.AAAA):
        answer = await resolver.lookup(domain, rdtype)
        if answer.outcome is Outcome.FOUND:
            return MailService.IMPLICIT
        if answer.outcome is Outcome.FAILED:
            found = MailService.FAILED
    return found


def _make_stub(settings: DnsSettings) -> dns.asyncresolver.Resolver:
    """Return who speaks DNS; on a host that names no resolver every question fails."""
    try:
        stub = dns.asyncresolver.Resolver(configure=not settings.resolvers)
    except dns.resolver.NoResolverConfiguration:
        stub = dns.asyncresolver.Resolver(configure=False)
    if settings.resolvers:
        stub.nameservers = [_read_nameserver(text) for text in settings.resolvers]
    stub.lifetime = settings.timeout.total_seconds()
    stub.timeout = stub.lifetime / _TRIES
    return stub


def _read_nameserver(text: str) -> Do53Nameserver:
    """Read `address` or `address:port`."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return Do53Nameserver(*parse_address(text))
    return Do53Nameserver(text, _PORT)


def _read_name(name: str) -> dns.name.Name | None:
    """Return a name as A-labels, from the root; None: it cannot be a host's (RFC 1123 §2.1)."""
    key = domain_key(name)
    if len(key) > _MOST_OCTETS or not _HOST_NAME.fullmatch(key):
        return None
    return dns.name.from_text(key, dns.name.root)


def _is_lame(response: dns.message.Message) -> bool:
    """Tell whether an empty answer is no answer: cut off, a referral, or a chain's beginning.

    RFC 2308 §2.2: the SOA record tells that nothing is there.
    """
    if response.flags & dns.flags.TC:
        return True
    types = {rrset.rdtype for rrset in response.authority}
    if RdataType.SOA in types:
        return False
    return RdataType.NS in types or bool(response.answer)
