"""The parser processes: batches out, results back; a message that kills its worker is found.

A batch whose worker died is run again one message at a time, so that only the message that
kills a worker twice is given up.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Mapping, Sequence

from pebble import ProcessExpired, ProcessPool

from bounced.parser.report import HeaderNames
from bounced.processor import worker
from bounced.processor.worker import Limits, Parsed, Unreadable

BATCH = 20
"""Messages in one task: the cost of handing over is shared."""
_START_UP_S = 30.0
"""What a fresh process may take before its first message."""


class ParserPool:
    """A pool of parser processes with one set of rules; made anew when the rules change."""

    def __init__(
        self, files: Mapping[str, str], names: HeaderNames, limits: Limits, processes: int
    ) -> None:
        self._limits = limits
        self._pool = ProcessPool(
            max_workers=processes,
            initializer=worker.start,
            initargs=(dict(files), names, limits),
            context=multiprocessing.get_context("forkserver"),
        )

    async def parse(self, messages: Sequence[bytes]) -> list[Parsed | Unreadable]:
        """Read messages, results in their order; raises nothing of a message's making."""
        batches = [messages[i : i + BATCH] for i in range(0, len(messages), BATCH)]
        results = await asyncio.gather(*(self._parse_batch(batch) for batch in batches))
        return [result for batch in results for result in batch]

    def close(self) -> None:
        """Let running tasks end, take no more; returns at once."""
        self._pool.close()  # type: ignore[no-untyped-call] # pebble's own gap

    def stop(self) -> None:
        """Kill the processes and wait for them."""
        self._pool.stop()  # type: ignore[no-untyped-call] # pebble's own gap
        self._pool.join()

    async def _parse_batch(self, batch: Sequence[bytes]) -> list[Parsed | Unreadable]:
        results = await self._run(batch)
        if results is not None:
            return results
        return [
            alone[0] if (alone := await self._run([raw])) else Unreadable.WORKER_KILLED
            for raw in batch
        ]

    async def _run(self, batch: Sequence[bytes]) -> list[Parsed | Unreadable] | None:
        """Run one task; None when its worker died or hung."""
        timeout_s = _START_UP_S + self._limits.deadline_s * len(batch)
        future = self._pool.schedule(worker.parse_batch, args=(list(batch),), timeout=timeout_s)
        try:
            results: list[Parsed | Unreadable] = await asyncio.wrap_future(future)
        except (ProcessExpired, TimeoutError):
            return None
        return results
