"""The one thread that writes: what waits is drained and committed once (group commit).

A caller is answered only after the commit that holds its work. What belongs to a group and arrives
while a commit is under way shares the next one; other work has a transaction of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

from sqlalchemy import Connection

from bounced.ledger import reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport

T = TypeVar("T")
Item = TypeVar("Item")


class Writer:
    """Hands work to the writing thread and waits for its commit; belongs to one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-writer")
        self._arrivals = Group(self, _append)

    async def append(self, arrivals: Sequence[NewReport]) -> None:
        """Store received messages; returns once they are durable, raises what went wrong.

        Goes on to the commit even when the caller is cancelled.
        """
        await self._arrivals.run(arrivals)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own; returns once it is durable."""
        return await self.submit(lambda: self._ledger.write(work))

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Let the writing thread do something when its turn comes."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; of the writing thread only."""
        return self._ledger.write(work)

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        self._thread.shutdown(wait=True)


class Group(Generic[Item, T]):
    """One kind of work: whatever waits of it is done in one transaction."""

    def __init__(
        self, writer: Writer, work: Callable[[Connection, Sequence[Item]], Sequence[T]]
    ) -> None:
        """Take what does the work of several; it returns one answer for each, in their order."""
        self._writer, self._work = writer, work
        self._lock = Lock()
        self._waiting: list[Item] | None = None
        """What the next commit will hold; None when nothing is waiting."""
        self._commit: asyncio.Future[Sequence[T]] | None = None
        """The commit of what waits."""

    async def run(self, item: Item) -> T:
        """Do the work of one; returns its answer once it is durable, raises what went wrong.

        Goes on to the commit even when the caller is cancelled.
        """
        with self._lock:
            if self._waiting is None or self._commit is None:
                items: list[Item] = []
                self._commit = self._writer.submit(lambda: self._write(items))
                self._waiting = items
            place, commit = len(self._waiting), self._commit
            self._waiting.append(item)
        return (await asyncio.shield(commit))[place]

    def _write(self, items: list[Item]) -> Sequence[T]:
        with self._lock:
            self._waiting = None  # whoever comes from now on waits for the next commit
        return self._writer.write(lambda connection: self._work(connection, items))


def _append(connection: Connection, groups: Sequence[Sequence[NewReport]]) -> list[None]:
    reports.append(connection, [arrival for group in groups for arrival in group])
    return [None] * len(groups)
