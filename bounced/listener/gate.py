"""How many may connect: in all, and from one client."""

from __future__ import annotations

import asyncio
import collections
import ipaddress
from collections.abc import Iterator

from bounced.config import SmtpSettings
from bounced.listener import replies
from bounced.listener.connection import Connection
from bounced.listener.intake import Client

IPV6_PREFIX = 64
"""Bits of an IPv6 address that make one client: what a single site is given."""


class ConnectionGate:
    """The open connections, counted."""

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings
        self._open: set[Connection] = set()
        self._by_client: collections.Counter[str] = collections.Counter()
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._open))

    def enter(self, connection: Connection) -> str | None:
        """Count the connection in, or return the reply that refuses it, which is logged."""
        key = _group(connection.client)
        if len(self._open) >= self.settings.max_connections:
            why, refusal = "too-many-connections", replies.TOO_MANY_CONNECTIONS
        elif self._by_client[key] >= self.settings.max_connections_per_client:
            why, refusal = "too-many-connections-from-client", replies.TOO_MANY_FROM_CLIENT
        else:
            self._open.add(connection)
            self._by_client[key] += 1
            return None
        connection.log_refusal(why, refusal)
        return refusal

    def leave(self, connection: Connection) -> None:
        """Count the connection out; once is enough."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        key = _group(connection.client)
        self._by_client[key] -= 1
        if not self._by_client[key]:
            del self._by_client[key]
        self._changed.set()

    async def wait_until_empty(self) -> None:
        """Wait until the last connection is gone."""
        while self._open:
            self._changed.clear()
            await self._changed.wait()


def _group(client: Client) -> str:
    """Return the key under which a client's connections are counted together."""
    if isinstance(client.address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((client.address, IPV6_PREFIX), strict=False))
    return str(client)
