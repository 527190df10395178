"""What a supervisor and Prometheus ask: is the loop alive, can it work, how much has it done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import Response

from bounced.ledger import queries
from bounced.web import metrics
from bounced.web.api import Api
from bounced.web.problem import Problem

T = TypeVar("T")

_DATABASE_S = 5.0
"""How long the database may take to be called well."""


class Health:
    """Answers without a token, whoever asks and however often."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._alive = _Question(lambda: api.ledger.read(_ask))
        self._states = _Question(lambda: api.ledger.read(queries.count_by_state))

    async def live(self, _request: Request) -> Response:
        """200 while the loop runs."""
        return _say("alive")

    async def ready(self, _request: Request) -> Response:
        """200 when mail can be taken in and stored; raises Problem 503 that says why not."""
        faults = list(self._api.faults())
        try:
            await self._alive.ask()
        except (DBAPIError, TimeoutError):
            faults.append("the database does not answer")
        if faults:
            raise Problem(503, "; ".join(faults))
        return _say("ready")

    async def metrics(self, _request: Request) -> Response:
        """Return the counters; the ledger's figures are those of this moment."""
        try:
            states = await self._states.ask()
        except (DBAPIError, TimeoutError):
            states = None
        page = metrics.render(self._api.events.counts, states)
        return Response(page, media_type=metrics.MEDIA_TYPE)


class _Question(Generic[T]):
    """A question to the database, asked once however many wait for the answer.

    So a database that hangs holds one thread, not all.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._asked: asyncio.Task[T] | None = None

    async def ask(self) -> T:
        """Return the answer; raises DBAPIError, TimeoutError."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(asyncio.to_thread(self._work))
        async with asyncio.timeout(_DATABASE_S):
            return await asyncio.shield(self._asked)


def _ask(connection: Connection) -> None:
    connection.execute(select(1))


def _say(status: str) -> Response:
    return Response(json.dumps({"status": status}), media_type="application/json")
