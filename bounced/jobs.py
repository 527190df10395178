"""The beat: which jobs run when, and what becomes of what they raise.

APScheduler is only the beat: each job is `async def job(now)` and asks the ledger what is due, so
that tests and the demo move the time and call the jobs themselves (DESIGN §9).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.exc import DBAPIError

from bounced.ledger.health import describe_error, is_lost
from bounced.logs import Event, emit

Clock = Callable[[], datetime]
Job = Callable[[datetime], Awaitable[object]]


class Jobs:
    """Runs jobs in the daemon's loop, and knows whether the database is lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        self.database_lost = False

    def every(self, seconds: float, name: str, job: Job) -> None:
        """Run a job again and again, once `start` has been called."""

        async def run() -> None:
            await self._track(self.run(name, job))

        self._scheduler.add_job(run, "interval", seconds=seconds, name=name)

    def start(self) -> None:
        """Let the beat begin."""
        self._scheduler.start()

    def spawn(self, work: Awaitable[object]) -> None:
        """Let something run beside everything else; the stop waits for it."""

        async def run() -> None:
            await self._track(work)

        asyncio.ensure_future(run())  # noqa: RUF006 - _track keeps it

    async def run(self, name: str, job: Job) -> bool:
        """Run a job once; what it raises is logged, and the next beat tries again."""
        try:
            await job(self._clock())
        except Exception as error:  # noqa: BLE001 - the job wrapper: a bug must not end the daemon
            if isinstance(error, DBAPIError) and is_lost(error):
                self.note_lost(error)
                return False
            emit(
                Event.JOB_FAILED,
                job=name,
                error=type(error).__name__,
                exception="".join(traceback.format_exception(error)),
            )
            return False
        return True

    async def stop(self, grace: timedelta) -> None:
        """Begin nothing more, wait for what runs, then end it."""
        if self._scheduler.running:
            self._scheduler.pause()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def note_lost(self, error: DBAPIError) -> None:
        """Log once that the database is lost."""
        if not self.database_lost:
            emit(Event.DATABASE_LOST, error=describe_error(error))
        self.database_lost = True

    def note_restored(self) -> None:
        """Log once that it is back."""
        if self.database_lost:
            emit(Event.DATABASE_RESTORED)
        self.database_lost = False

    async def _track(self, work: Awaitable[object]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await work
        finally:
            self._running.discard(task)
