"""Resolvers that say nothing true: each answers every question in the same wrong way."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from tests.advisor.nameserver import Answers, Behaviour, NameServer, Query, reply, truncate


class _Liar(NameServer):
    """Says the same of every name."""

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__()
        self._behaviour = behaviour

    def respond(self, packet: bytes, transport: str) -> Answers:  # noqa: ARG002 - as it is called
        return self._behaviour(dns.message.from_wire(packet))


@contextlib.asynccontextmanager
async def run_liar(behaviour: Behaviour) -> AsyncIterator[str]:
    """Serve; yields address and port."""
    async with _Liar(behaviour).run() as server:
        yield server.address


def _refuse(query: Query) -> Answers:
    return [reply(query, dns.rcode.REFUSED).to_wire()]


def _fail(query: Query) -> Answers:
    return [reply(query, dns.rcode.SERVFAIL).to_wire()]


def _cut_off(query: Query) -> Answers:
    """Cut off by UDP, and by TCP too."""
    return [truncate(query)]


def _refer(query: Query) -> Answers:
    """Send us elsewhere, which is no answer from a resolver."""
    response = reply(query)
    response.authority.append(dns.rrset.from_text("test.", 60, "IN", "NS", "ns.elsewhere.test."))
    return [response.to_wire()]


def _speak_of_another(query: Query) -> Answers:
    """Deny another name than was asked for."""
    other = dns.message.make_query("other.test.", "TXT")
    other.id = query.id
    return [reply(other, dns.rcode.NXDOMAIN).to_wire()]


def _forge(query: Query) -> Answers:
    """Deny the name under another id, as somebody would who guesses."""
    response = reply(query, dns.rcode.NXDOMAIN)
    response.id = query.id ^ 1
    return [response.to_wire()]


def _babble(_query: Query) -> Answers:
    return [b"\xff" * 40]


def _say_nothing(_query: Query) -> Answers:
    return []


LIES: Mapping[str, Behaviour] = {
    "refuses": _refuse,
    "fails": _fail,
    "cuts-off": _cut_off,
    "refers": _refer,
    "speaks-of-another": _speak_of_another,
    "forges": _forge,
    "babbles": _babble,
    "says-nothing": _say_nothing,
}
"""By name."""
