"""What the web needs of the daemon, and the way to the ledger that every endpoint takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bounced.ledger.engine import Ledger
from bounced.ledger.health import is_lost
from bounced.ledger.policy import PolicySettings
from bounced.ledger.writer import Writer
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import KeyRing
from bounced.web.metrics import EventCounter
from bounced.web.pages.settings import PageSettings
from bounced.web.problem import make_unavailable
from bounced.web.tokens import TokenFile

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Api:
    """What the endpoints work with; what is a callable is asked at each request.

    So a reload changes it.
    """

    ledger: Ledger
    writer: Writer
    admission: Callable[[], tuple[AdmissionSettings, KeyRing]]
    policy: Callable[[], PolicySettings]
    tokens: Callable[[], TokenFile | None]
    """None: no `http.tokens_file`, the API answers 403."""
    faults: Callable[[], Sequence[str]]
    """What keeps the daemon from its work, one sentence each; the database is asked apart."""
    events: EventCounter
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    body_timeout: timedelta = timedelta(seconds=10)
    pages: Callable[[], PageSettings | None] = lambda: None
    """None: no `http.public_url`, there are no pages."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; returns once it is durable, raises Problem 503."""
        try:
            return await self.writer.run(work)
        except DBAPIError as error:
            _refuse_lost(error)
            raise

    async def read(self, work: Callable[[Ledger], T]) -> T:
        """Run `work` beside the loop; raises Problem 503."""
        try:
            return await asyncio.to_thread(work, self.ledger)
        except DBAPIError as error:
            _refuse_lost(error)
            raise


def _refuse_lost(error: DBAPIError) -> None:
    if is_lost(error):
        raise make_unavailable("the database does not answer") from error
