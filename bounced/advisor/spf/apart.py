"""How work that may think for seconds runs in a thread of its own; its questions stay outside.

Whoever owns a zone decides how much there is to parse and to evaluate. Here the loop only asks
DNS, and the threads that serve the rest of the daemon have nothing to do with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dns.rdatatype import RdataType

from bounced.advisor.dns import Answer, Resolver

T = TypeVar("T")

Ask = Callable[[str, RdataType], Awaitable[Answer]]
"""Looks up the records of a name; total."""


async def run_apart(resolver: Resolver, work: Callable[[Ask], Coroutine[Any, Any, T]]) -> T:
    """Do the work in a thread; what it asks is asked here, on the loop.

    The work may await nothing else. Few threads are at work at the same time, and in turns: while
    a question is asked, others are. Cancelled, work ends at its next question.
    """
    doing = work(_Question)
    thread = ThreadPoolExecutor(1, thread_name_prefix="spf")
    try:
        step = await _take_turn(resolver, thread, doing, None)
        while isinstance(step, _Question):
            answer = await resolver.lookup(step.name, step.rdtype)
            step = await _take_turn(resolver, thread, doing, answer)
        return step.value
    finally:
        # Behind a step that is still under way, for which nobody waits.
        thread.submit(doing.close)
        thread.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is handed out of the thread when work awaits it."""

    name: str
    rdtype: RdataType

    def __await__(self) -> Generator[_Question, Answer, Answer]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class _End(Generic[T]):
    """What came of the work."""

    value: T


async def _take_turn(
    resolver: Resolver,
    thread: ThreadPoolExecutor,
    doing: Coroutine[Any, Any, T],
    answer: Answer | None,
) -> _Question | _End[T]:
    async with resolver.thinkers:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(thread, _go_on, doing, answer)


def _go_on(doing: Coroutine[Any, Any, T], answer: Answer | None) -> _Question | _End[T]:
    """Go on with work to its next question, or its end."""
    try:
        question: _Question = doing.send(answer)
    except StopIteration as end:
        return _End(end.value)
    return question
