"""How many may connect, in all and from one client, and who has to go when no more can."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Hashable, Iterator

from bounced.config import SmtpSettings
from bounced.listener import replies
from bounced.listener.connection import Connection, Phase


class ConnectionGate:
    """The open connections, counted."""

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings
        self._open: dict[Connection, str | None] = {}
        """With the name under which the client is counted, once it is known."""
        self._by_client: collections.Counter[str] = collections.Counter()
        self._strangers, self._relays = _Crowd(), _Crowd()
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
        self._open[connection] = None
        if known:
            self._count(connection)
        self.note(connection)
        return None

    def identify(self, connection: Connection) -> str | None:
        """Count the client that a connection is for, or return the reply that refuses it."""
        if connection not in self._open:  # shown out meanwhile
            return None
        if self._has_too_many(connection):
            return self._refuse_client(connection)
        self._strangers.drop(connection, connection)
        self._count(connection)
        self.note(connection)
        return None

    def note(self, connection: Connection) -> None:
        """Take note that the client has just spoken, or has got further with its message."""
        if connection not in self._open:
            return
        group = self._open[connection]
        if connection.phase is Phase.STORING:
            self._find_crowd(connection).drop(connection, group or connection)
        else:
            self._find_crowd(connection).put_last(connection, group or connection)

    def leave(self, connection: Connection) -> None:
        """Count the connection out; once is enough."""
        if connection not in self._open:
            return
        crowd = self._find_crowd(connection)
        group = self._open.pop(connection)
        crowd.drop(connection, group or connection)
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

    def _find_crowd(self, connection: Connection) -> _Crowd:
        """Return where the connection is; one whose client is not known is a stranger's."""
        known = self._open[connection] is not None
        return self._relays if known and connection.client.own_relay else self._strangers

    def _make_room(self) -> bool:
        """Show out as many as it takes, strangers first; False: nobody more can be."""
        while len(self._open) >= self.settings.max_connections:
            connection = self._strangers.choose() or self._relays.choose()
            if connection is None:
                return False
            self.leave(connection)
            connection.make_room()
        return True


class _Crowd:
    """Connections that can be shown out, in turn from the client that has most of them.

    So everybody keeps a fair share of the places, whatever those with more of them do to seem
    busy. Each client stands under one key, its group, or the connection while nobody knows it.
    """

    def __init__(self) -> None:
        self._clients: dict[Hashable, dict[Connection, None]] = {}
        """Of each, the connection first that has been silent longest."""
        self._by_size: dict[int, collections.OrderedDict[Hashable, None]] = {}
        """Of the clients with so many connections, that first which has been silent longest."""

    def put_last(self, connection: Connection, client: Hashable) -> None:
        """Add the connection, or move it behind the others: it has just spoken."""
        members = self._clients.setdefault(client, {})
        before = len(members)
        members.pop(connection, None)
        members[connection] = None
        self._resize(client, before, len(members))

    def drop(self, connection: Connection, client: Hashable) -> None:
        """Take the connection away, also one that is not here."""
        members = self._clients.get(client, {})
        if connection not in members:
            return
        before = len(members)
        del members[connection]
        self._resize(client, before, len(members))
        if not members:
            del self._clients[client]

    def choose(self) -> Connection | None:
        """Return who has to go next: of a client's, the one whose loss costs least."""
        if not self._by_size:
            return None
        client = next(iter(self._by_size[max(self._by_size)]))
        return min(self._clients[client], key=_weigh)

    def _resize(self, client: Hashable, before: int, after: int) -> None:
        if before:
            del self._by_size[before][client]
            if not self._by_size[before]:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, collections.OrderedDict())[client] = None


def _weigh(connection: Connection) -> tuple[Phase, bool]:
    return connection.phase, connection.has_recipient
