"""The parser processes: batches out, results back; a message that kills its process is found.

A batch whose process died or hung is run again one message at a time, so that only the message
that ends a process twice is given up. A dead process is replaced before the next batch.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess

from bounced.model import BouncedError
from bounced.parser.report import HeaderNames
from bounced.processor import worker
from bounced.processor.worker import Limits, Result, Unread, Unreadable

BATCH = 20
"""Messages in one task: the cost of handing over is shared."""
_START_UP_S = 30.0
"""What a fresh process may take before its first message."""
_SLACK_S = 10.0
"""What a batch may take beyond its messages' deadlines, which the process itself keeps."""


class ParserStartError(BouncedError):
    """A parser process cannot be started; no message is to blame."""


class ParserPool:
    """A pool of parser processes with one set of rules; made anew when the rules change."""

    def __init__(
        self,
        files: Mapping[str, str],
        names: HeaderNames,
        limits: Limits,
        processes: int,
        *,
        run: Callable[..., None] = worker.run,
    ) -> None:
        """Start nothing yet; `run` is what a parser process does."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([worker.__name__])
        self._limits = limits
        self._workers = [
            _Worker(context, run, (dict(files), names, limits)) for _ in range(processes)
        ]
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        for each in self._workers:
            self._idle.put_nowait(each)
        self._callers = 0
        self._closing = False

    async def parse(self, messages: Sequence[bytes]) -> list[Result]:
        """Read messages, results in their order; raises nothing of a message's making.

        Raises ParserStartError.
        """
        batches = [messages[i : i + BATCH] for i in range(0, len(messages), BATCH)]
        self._callers += 1
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._parse_batch(batch)) for batch in batches]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._callers -= 1
            self._end_if_closed()
        return [result for task in tasks for result in task.result()]

    def close(self) -> None:
        """End the processes once what is being read is finished; returns at once."""
        self._closing = True
        self._end_if_closed()

    def stop(self) -> None:
        """Kill the processes and wait for them."""
        for each in self._workers:
            each.kill()
        for each in self._workers:
            each.end(wait=True)

    def _end_if_closed(self) -> None:
        if self._closing and not self._callers:
            for each in self._workers:
                each.end(wait=False)

    async def _parse_batch(self, batch: Sequence[bytes]) -> list[Result]:
        results = await self._run(batch)
        if results is not None:
            return results
        return [result for raw in batch for result in await self._parse_alone(raw)]

    async def _parse_alone(self, raw: bytes) -> list[Result]:
        return await self._run([raw]) or [Unread(Unreadable.WORKER_KILLED)]

    async def _run(self, batch: Sequence[bytes]) -> list[Result] | None:
        """Run one batch; None when its process died or hung."""
        each = await self._idle.get()
        try:
            return await each.run(batch, self._limits.deadline_s * len(batch) + _SLACK_S)
        except asyncio.CancelledError:
            each.kill()
            raise
        finally:
            self._idle.put_nowait(each)


class _Worker:
    """One parser process, the pipe to it, and the thread that waits for it."""

    def __init__(
        self, context: ForkServerContext, run: Callable[..., None], arguments: tuple[object, ...]
    ) -> None:
        self._context = context
        self._run_process = run
        self._arguments = arguments
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parser")
        self._process: ForkServerProcess | None = None
        self._pipe: Connection | None = None

    async def run(self, batch: Sequence[bytes], timeout_s: float) -> list[Result] | None:
        """Return the results; None when the process died, or hung and was killed."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._exchange, batch, timeout_s)

    def kill(self) -> None:
        """Kill the process from any thread; whoever waits for it is told None."""
        process = self._process
        if process is not None and process.pid is not None:
            process.kill()

    def end(self, *, wait: bool) -> None:
        """End process and thread for good."""
        self._thread.submit(self._clear)
        self._thread.shutdown(wait=wait)

    def _exchange(self, batch: Sequence[bytes], timeout_s: float) -> list[Result] | None:
        pipe = self._pipe or self._start()
        with suppress(EOFError, OSError):
            pipe.send(batch)
            if pipe.poll(timeout_s):
                results: list[Result] = pipe.recv()
                return results
        self._clear()
        return None

    def _start(self) -> Connection:
        """Start a process and wait until it is ready."""
        ours, theirs = self._context.Pipe()
        try:
            self._process = self._context.Process(
                target=self._run_process, args=(theirs, *self._arguments), daemon=True
            )
            self._process.start()
            theirs.close()
            if not ours.poll(_START_UP_S):
                raise TimeoutError(f"not ready within {_START_UP_S:g} s")
            ours.recv()
        except (EOFError, OSError) as error:
            ours.close()
            self._clear()
            raise ParserStartError(
                f"a parser process cannot be started: {str(error) or 'it ended at once'}"
            ) from None
        self._pipe = ours
        return ours

    def _clear(self) -> None:
        """Kill what is left of the process; the next batch has another."""
        pipe, self._pipe = self._pipe, None
        process, self._process = self._process, None
        if pipe is not None:
            pipe.close()
        if process is not None and process.pid is not None:
            process.kill()
            process.join()
