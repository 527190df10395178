"""Where a daemon can be killed: beside every statement, at every await, at every write.

Hooks of SQLAlchemy and of the event loop count the points; the product knows nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple, cast

from sqlalchemy import Engine, event

from tests.chaos.history import AWAIT, STATEMENT, WRITE, Kill

_Ts = TypeVarTuple("_Ts")


class Points:
    """Counts the points that a life passes, and ends it at the one that is chosen."""

    def __init__(self, kill: Kill | None, before_death: Callable[[], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._kill = kill
        self._before_death = before_death

    def reach(self, kind: str) -> None:
        number = self.counts[kind]
        self.counts[kind] += 1
        if self._kill == Kill(kind, number):
            self._before_death()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, engine: Engine) -> None:
        """Count before every statement, before and after every commit."""

        def reach(*_: object) -> None:
            self.reach(STATEMENT)

        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:  # SQLAlchemy has no event after the commit
            self.reach(STATEMENT)
            commit(connection)
            self.reach(STATEMENT)

        event.listen(engine, "before_cursor_execute", reach)
        engine.dialect.do_commit = do_commit  # type: ignore[assignment,method-assign] # by position


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop whose every step is a point, and every write of its connections three."""

    def __init__(self, points: Points, address: str) -> None:
        super().__init__()
        self._points = points
        self._address = address

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        def step(*given: *_Ts) -> None:
            self._points.reach(AWAIT)
            callback(*given)

        return super().call_soon(step, *args, context=context)

    async def create_connection(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """Connect from our own address, by which the sink knows us."""

        def make() -> asyncio.BaseProtocol:
            protocol: asyncio.BaseProtocol = protocol_factory()
            made = protocol.connection_made

            def take(transport: Any) -> None:
                made(cast("asyncio.Transport", Wire(transport, self._points)))

            protocol.connection_made = take  # type: ignore[method-assign]
            return protocol

        options["local_addr"] = (self._address, 0)
        return await super().create_connection(make, *args, **options)


class Wire:
    """A connection that can be killed before, within and after whatever is written."""

    def __init__(self, transport: asyncio.Transport, points: Points) -> None:
        self._transport = transport
        self._points = points

    def write(self, data: bytes) -> None:
        half = len(data) // 2
        self._points.reach(WRITE)
        self._transport.write(data[:half])
        self._points.reach(WRITE)
        self._transport.write(data[half:])
        self._points.reach(WRITE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
