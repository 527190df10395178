"""How many may connect, in all and from one client, and who has to go when no more can."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterator

from bounced.config import SmtpSettings
from bounced.listener import replies
from bounced.listener.connection import Connection


class ConnectionGate:
    """The open connections, counted."""

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings
        self._open: dict[Connection, str | None] = {}
        """With the name under which the client is counted, once it is known."""
        self._by_client: collections.Counter[str] = collections.Counter()
        self._silent: collections.OrderedDict[Connection, None] = collections.OrderedDict()
        """Those that can be shown out, the longest silent first."""
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._open))

    def enter(self, connection: Connection, *, known: bool) -> str | None:
        """Count the connection in, or return the reply that refuses it, which is logged.

        A client that is not `known` yet is counted in all only, until `identify`.
        """
        if self._has_too_many(connection):
            return self._refuse_client(connection)
        if len(self._open) >= self.settings.max_connections and not self._make_room():
            connection.log_refusal("too-many-connections", replies.TOO_MANY_CONNECTIONS)
            return replies.TOO_MANY_CONNECTIONS
        self._open[connection] = self._silent[connection] = None
        if known:
            self._count(connection)
        return None

    def identify(self, connection: Connection) -> str | None:
        """Count the client that a connection is for, or return the reply that refuses it."""
        if connection not in self._open:  # shown out meanwhile
            return None
        if self._has_too_many(connection):
            return self._refuse_client(connection)
        self._count(connection)
        return None

    def note(self, connection: Connection) -> None:
        """Take note that the client has just spoken; one with business stays in any case."""
        if connection not in self._open:
            return
        if connection.is_busy:
            self._silent.pop(connection, None)
        else:
            self._silent[connection] = None
            self._silent.move_to_end(connection)

    def leave(self, connection: Connection) -> None:
        """Count the connection out; once is enough."""
        if connection not in self._open:
            return
        self._silent.pop(connection, None)
        group = self._open.pop(connection)
        if group is not None:
            self._by_client[group] -= 1
            if not self._by_client[group]:
                del self._by_client[group]
        self._changed.set()

    async def wait_until_empty(self) -> None:
        """Wait until the last connection is gone."""
        while self._open:
            self._changed.clear()
            await self._changed.wait()

    def _count(self, connection: Connection) -> None:
        group = connection.client.group
        self._open[connection] = group
        self._by_client[group] += 1

    def _has_too_many(self, connection: Connection) -> bool:
        count = self._by_client[connection.client.group]
        return count >= self.settings.max_connections_per_client

    def _refuse_client(self, connection: Connection) -> str:
        connection.log_refusal("too-many-connections-from-client", replies.TOO_MANY_FROM_CLIENT)
        return replies.TOO_MANY_FROM_CLIENT

    def _make_room(self) -> bool:
        """Show out who has been silent longest, as many as it takes; False: nobody more can be."""
        while len(self._open) >= self.settings.max_connections:
            if not self._silent:
                return False
            connection, _ = self._silent.popitem(last=False)
            self.leave(connection)
            connection.make_room()
        return True
