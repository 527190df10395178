"""The one thread that writes: what waits is drained and committed once (group commit).

A caller is answered only after the commit that holds its work. Intake that arrives while a commit
is under way shares the next one; every other piece of work has a transaction of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from sqlalchemy import Connection

from bounced.ledger import reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport

T = TypeVar("T")


class Writer:
    """Hands work to the writing thread and waits for its commit; belongs to one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-writer")
        self._lock = Lock()
        self._group: list[NewReport] | None = None
        """Arrivals that the next commit will hold; None when none is waiting."""
        self._commit: asyncio.Future[None] | None = None
        """The commit of the group."""

    async def append(self, arrivals: Sequence[NewReport]) -> None:
        """Store received messages; returns once they are durable, raises what went wrong.

        Goes on to the commit even when the caller is cancelled.
        """
        with self._lock:
            if self._group is None or self._commit is None:
                group: list[NewReport] = []
                loop = asyncio.get_running_loop()
                self._commit = loop.run_in_executor(self._thread, self._write_group, group)
                self._group = group
            self._group.extend(arrivals)
            commit = self._commit
        await asyncio.shield(commit)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own; returns once it is durable."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._ledger.write, work)

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        self._thread.shutdown(wait=True)

    def _write_group(self, group: list[NewReport]) -> None:
        with self._lock:
            self._group = None  # whoever comes from now on waits for the next commit
        self._ledger.write(lambda connection: reports.append(connection, group))
