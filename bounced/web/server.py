"""The HTTP sockets: uvicorn inside the daemon's loop, bounded in connections and time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from bounced.sockets import bind, name_address

MAX_CONNECTIONS = 250
"""Above, whoever has rested longest goes: SMTP needs its file descriptors."""
HEAD_S = 10.0
"""How long a connection may take to its next request's head, from the first byte to the last."""
KEEP_ALIVE_S = 10
"""How long a connection may rest between two requests."""
SEND_S = 30.0
"""How long a client may leave any part of an answer unread, closed or not."""

_BACKLOG = 128
_LAST_WORD_S = 1.0
"""How long a request that was broken off has to answer 500."""


class HttpServer:
    """Answers HTTP from `start` to `stop`."""

    def __init__(self, app: Starlette) -> None:
        self._config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,  # its loggers pass through ours, as every library's
            log_level=logging.ERROR,  # what it warns of, any client can make it say at will
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # Reached by requests alone, whose clients have gone: 503 (uvicorn).
            limit_concurrency=MAX_CONNECTIONS + 1,
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=_BACKLOG,
        )
        self._sockets: list[socket.socket] = []

    @property
    def addresses(self) -> list[str]:
        """Return where HTTP is listened for, `host:port` or `unix:/path`, with real ports."""
        return [name_address(each) for each in self._sockets]

    async def start(self, listen: str, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen on `sockets`, already bound, else on `listen` (`host:port`).

        Raises OSError, whose text names key and address.
        """
        try:
            self._sockets = list(sockets) or await bind(listen)
        except OSError as error:
            raise OSError(error.errno, f"http.listen: {listen}: {error.strerror}") from None
        for each in self._sockets:
            each.listen(_BACKLOG)  # from now on nobody is refused
        self._server = _Server(self._config)
        self._running = asyncio.create_task(self._server.serve(self._sockets))

    async def stop(self, grace: timedelta) -> None:
        """Stop listening, let requests at hand be answered within `grace`, close everything."""
        if not self._sockets:
            return
        self._config.timeout_graceful_shutdown = max(1, int(grace.total_seconds()))
        self._server.should_exit = True
        await asyncio.wait({self._running})  # who is cancelled while waiting may stop it again
        state = self._server.server_state
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_LAST_WORD_S)
        for each in list(state.connections):
            each.transport.abort()
        self._sockets = []


class _Server(uvicorn.Server):
    """uvicorn without its hands on SIGTERM and SIGINT: they are the daemon's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connection(H11Protocol):
    """A connection that says nothing, drips its head or reads nothing does not stay for ever.

    uvicorn's own limit runs between requests only, and ends with the next byte.
    """

    _patience: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _rests_since = 0.0
    """By the loop's clock; of meaning while no request is being answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # pause_writing then comes with the first byte left unread, and resume_writing with the
        # last one read: `close` alone waits for the client, however long.
        transport.set_write_buffer_limits(high=0)
        self._wait_for_request()
        if len(self.connections) > MAX_CONNECTIONS:
            _drop_longest_resting(self.connections)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            _cancel(self._patience)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # else the next request had come already
            self._wait_for_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(SEND_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._unread)

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._patience)
        _cancel(self._unread)
        super().connection_lost(exc)

    @property
    def rests_since(self) -> float | None:
        """Return since when no request has been at hand; None: one is."""
        at_hand = self.cycle is not None and not self.cycle.response_complete
        return None if at_hand else self._rests_since

    def _wait_for_request(self) -> None:
        _cancel(self._patience)
        self._rests_since = self.loop.time()
        self._patience = self.loop.call_later(HEAD_S, self.transport.close)


def _drop_longest_resting(connections: set[Any]) -> None:
    """Abort one; the newcomer rests too, so he goes where everyone else is at work."""
    _, dropped = min(
        ((each.rests_since, each) for each in connections if each.rests_since is not None),
        key=itemgetter(0),
    )
    connections.remove(dropped)  # now, not in the loop's next round: more may come in this one
    dropped.transport.abort()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
