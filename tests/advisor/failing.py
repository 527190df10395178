"""A name server all of whose answers but those to one name are right, and who asks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import dns.rcode
import dns.rdatatype

from bounced.advisor.dns import Resolver
from bounced.config import DnsSettings
from tests.advisor.nameserver import NameServer, Query, reply

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def ask(server: NameServer) -> Resolver:
    """Return a resolver that asks this server, with the time that a busy machine may take."""
    settings = DnsSettings.model_validate({"resolvers": (server.address,), "timeout": "10s"})
    return Resolver(settings, clock=lambda: NOW)


def refuse(query: Query) -> list[bytes]:
    return [reply(query, dns.rcode.SERVFAIL).to_wire()]


def refuse_type(server: NameServer, rdtype: str) -> Callable[[Query], list[bytes]]:
    """Fail for questions of one type, answer the others."""

    def behave(query: Query) -> list[bytes]:
        asked = dns.rdatatype.to_text(query.question[0].rdtype)
        return refuse(query) if asked == rdtype else [server.answer(query).to_wire()]

    return behave


def quote(*texts: str | bytes) -> list[str]:
    """Return TXT rdata of one string each, cut where a string ends at 255 octets."""
    return [_quote(text if isinstance(text, bytes) else text.encode()) for text in texts]


def _quote(text: bytes) -> str:
    pieces = [text[start : start + 255] for start in range(0, len(text), 255)] or [b""]
    return " ".join('"' + "".join(f"\\{octet:03}" for octet in piece) + '"' for piece in pieces)
