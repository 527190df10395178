"""Work in a thread of its own: where it runs, when its turn comes, and how it ends."""

from __future__ import annotations

import asyncio
import threading

import pytest
from dns.rdatatype import RdataType

from bounced.advisor.dns import Answer, Outcome, Resolver
from bounced.advisor.spf.apart import Ask, run_apart
from bounced.advisor.spf.facts import UnansweredError
from bounced.config import DnsSettings
from tests.advisor.test_dns import Clock

NOTHING = Answer(Outcome.NO_DATA)


class Slow(Resolver):
    """Answers when it is told to."""

    def __init__(self, *, thinkers: int = 2) -> None:
        super().__init__(DnsSettings(resolvers=("127.0.0.1",)), clock=Clock())
        self.thinkers = asyncio.Semaphore(thinkers)
        self.asked = asyncio.Event()
        self.told = asyncio.Event()
        self.threads: list[str] = []

    async def lookup(self, name: str, rdtype: RdataType) -> Answer:  # noqa: ARG002 - the resolver's signature
        self.threads.append(threading.current_thread().name)
        self.asked.set()
        await self.told.wait()
        return NOTHING


async def test_work_runs_in_a_thread_and_asks_from_the_loop() -> None:
    async def work(ask: Ask) -> tuple[str, Answer, str]:
        before = threading.current_thread().name
        answer = await ask("his.test", RdataType.TXT)
        return before, answer, threading.current_thread().name

    slow = Slow()
    slow.told.set()
    assert await run_apart(slow, work) == ("spf_0", NOTHING, "spf_0")
    assert slow.threads == [threading.current_thread().name]


async def test_the_loop_goes_on_while_work_thinks() -> None:
    thinking, heard = threading.Event(), threading.Event()

    async def work(_ask: Ask) -> bool:
        thinking.set()
        return heard.wait(10)

    doing = asyncio.create_task(run_apart(Slow(), work))
    assert await asyncio.to_thread(thinking.wait, 10)
    heard.set()
    assert await doing


async def test_while_a_question_is_asked_others_have_their_turn() -> None:
    async def ask_one(ask: Ask) -> Answer:
        return await ask("his.test", RdataType.TXT)

    async def think(_ask: Ask) -> str:
        return "thought"

    slow = Slow(thinkers=1)
    asking = asyncio.create_task(run_apart(slow, ask_one))
    await slow.asked.wait()
    assert await run_apart(slow, think) == "thought"
    slow.told.set()
    assert await asking == NOTHING


async def test_no_more_are_at_work_than_there_are_turns() -> None:
    meeting = threading.Barrier(2)
    patience_s = 0.2

    async def meet(_ask: Ask) -> bool:
        try:
            meeting.wait(patience_s)
        except threading.BrokenBarrierError:
            return False
        return True

    alone = Slow(thinkers=1)
    assert not any(await asyncio.gather(run_apart(alone, meet), run_apart(alone, meet)))
    meeting.reset()
    patience_s = 10
    both = Slow(thinkers=2)
    assert all(await asyncio.gather(run_apart(both, meet), run_apart(both, meet)))


async def test_what_work_raises_comes_out() -> None:
    async def work(_ask: Ask) -> None:
        raise UnansweredError("nobody could say")

    with pytest.raises(UnansweredError, match="nobody could say"):
        await run_apart(Slow(), work)


async def test_work_that_nobody_waits_for_ends_at_its_question() -> None:
    ended = threading.Event()

    async def work(ask: Ask) -> None:
        try:
            await ask("his.test", RdataType.TXT)
        finally:
            ended.set()

    slow = Slow()
    doing = asyncio.create_task(run_apart(slow, work))
    await slow.asked.wait()
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert await asyncio.to_thread(ended.wait, 10)


async def test_work_whose_turn_never_came_is_ended_too() -> None:
    begun = []

    async def work(_ask: Ask) -> None:
        begun.append(True)

    doing = asyncio.create_task(run_apart(Slow(thinkers=0), work))
    await asyncio.sleep(0)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert begun == []
