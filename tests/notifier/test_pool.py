"""Sessions that carry several mails: when they are used again, and when they are not."""

import asyncio
from contextlib import suppress

import pytest

from bounced.notifier.delivery import Abandoned, Deferred, Delivered, OutcomeUnknown, Refused
from bounced.notifier.pool import MAX_MAILS
from tests.notifier.relay import (
    Script,
    answer_on,
    run_relay,
    run_script,
    take_mail,
    wait_for_quit,
)
from tests.notifier.sending import AUTHOR, Gate, deliver, make_delivery, make_mail

QUEUED = Delivered("250 2.0.0 queued as 4711")


async def test_mails_follow_each_other_in_one_session() -> None:
    async with run_relay() as relay:
        delivery = make_delivery(relay.port)
        outcomes = [await deliver(delivery, Gate()) for _ in range(5)]
        await delivery.close()
        await relay.wait_until_left()
    assert outcomes == [QUEUED] * 5
    assert (len(relay.contents), len(relay.sessions), relay.resets) == (5, 1, 4)


async def test_a_session_ends_after_as_many_mails_as_relays_bear() -> None:
    async with run_relay() as relay:
        delivery = make_delivery(relay.port)
        for _ in range(MAX_MAILS + 1):
            assert await deliver(delivery, Gate()) == QUEUED
        await delivery.close()
    assert len(relay.sessions) == 2


async def test_no_more_sessions_are_open_than_may_be() -> None:
    most = 0

    class Slow(Gate):
        async def __call__(self) -> bool:
            nonlocal most
            most = max(most, sum(one.transport is not None for one in relay.sessions))
            await asyncio.sleep(0.01)
            return await super().__call__()

    async with run_relay() as relay:
        delivery = make_delivery(relay.port, max_connections=3)
        outcomes = await asyncio.gather(*(deliver(delivery, Slow()) for _ in range(20)))
        await delivery.close()
    assert outcomes == [QUEUED] * 20
    assert (most, len(relay.sessions)) == (3, 3)


async def test_a_session_that_waits_too_long_is_left() -> None:
    async with run_relay() as relay:
        delivery = make_delivery(relay.port, idle_s=0.05)
        assert await deliver(delivery, Gate()) == QUEUED
        await relay.wait_until_left()
        assert await deliver(delivery, Gate()) == QUEUED
        await delivery.close()
    assert len(relay.sessions) == 2


async def test_closing_leaves_what_waits_at_once_and_what_works_when_it_is_done() -> None:
    async with run_relay() as relay:
        delivery = make_delivery(relay.port)
        assert await deliver(delivery, Gate()) == QUEUED

        async def close_meanwhile() -> bool:
            await delivery.close()
            return True

        outcome = await delivery.deliver(
            make_mail(), mail_from="", rcpt=AUTHOR, before_data=close_meanwhile
        )
        assert outcome == QUEUED
        await relay.wait_until_left()
    assert len(relay.contents) == 2


async def test_a_relay_that_was_restarted_costs_no_outcome() -> None:
    async with run_relay() as relay:
        delivery = make_delivery(relay.port)
        assert await deliver(delivery, Gate()) == QUEUED
        relay.hang_up()
        gate = Gate()
        assert await deliver(delivery, gate) == QUEUED
        await delivery.close()
    assert (gate.calls, len(relay.contents), len(relay.sessions)) == (1, 2, 2)


def fail_second(command: bytes, *answers: bytes, silent: bool = False) -> tuple[Script, list[int]]:
    """Serve one mail a session, but to this command of the first session's second say these."""
    sessions: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sessions.append(len(sessions))
        writer.write(b"220 relay.test\r\n")
        await take_mail(reader, writer)
        if sessions[-1] == 0:
            await answer_on(command, reader, writer)
            for answer in answers:
                writer.write(answer)
            await writer.drain()
        if silent or sessions[-1] == 1:
            await wait_for_quit(reader)

    return script, sessions


@pytest.mark.parametrize("command", [b"RSET", b"MAIL", b"RCPT"])
@pytest.mark.parametrize(
    ("answers", "silent"),
    [
        ((), False),
        ((), True),
        ((b"421 4.4.2 timeout exceeded\r\n",), False),
        ((b"HTTP/1.1 400 what?\r\n",), True),
    ],
    ids=["drops", "falls silent", "says 421", "talks nonsense"],
)
async def test_a_session_that_died_before_data_is_replaced_by_a_fresh_one(
    command: bytes, answers: tuple[bytes, ...], *, silent: bool
) -> None:
    script, sessions = fail_second(command, *answers, silent=silent)
    async with run_script(script) as port:
        delivery = make_delivery(port, timeout_s=0.3)
        first, second = Gate(), Gate()
        outcomes = [await deliver(delivery, gate) for gate in (first, second)]
        await delivery.close()
    assert outcomes == [Delivered("250 queued")] * 2
    assert (first.calls, second.calls, len(sessions)) == (1, 1, 2)


@pytest.mark.parametrize("reply", [b"451 too many mails\r\n", b"554 too many mails\r\n"])
async def test_a_refusal_of_one_mail_more_is_no_outcome_of_it(reply: bytes) -> None:
    script, sessions = fail_second(b"MAIL", reply, silent=True)
    async with run_script(script) as port:
        delivery = make_delivery(port)
        outcomes = [await deliver(delivery, Gate()) for _ in range(2)]
        await delivery.close()
    assert (outcomes, len(sessions)) == ([Delivered("250 queued")] * 2, 2)


async def test_a_fresh_session_that_dies_is_not_replaced_again() -> None:
    sessions = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sessions
        sessions += 1
        writer.write(b"220 relay.test\r\n")
        if sessions == 1:
            await take_mail(reader, writer)
        await answer_on(b"MAIL", reader, writer)

    async with run_script(script) as port:
        delivery = make_delivery(port)
        assert await deliver(delivery, Gate()) == Delivered("250 queued")
        outcome = await deliver(delivery, Gate())
    assert outcome == Deferred("before DATA: Unexpected EOF received")
    assert sessions == 2


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((), Deferred),
        ((b"451 4.3.0 disk full\r\n",), Deferred),
        ((b"354 go on\r\n",), OutcomeUnknown),
    ],
    ids=["drops", "refuses", "drops after 354"],
)
async def test_from_data_on_nothing_is_asked_again(
    answers: tuple[bytes, ...], expected: type
) -> None:
    script, sessions = fail_second(b"DATA", *answers)
    async with run_script(script) as port:
        delivery = make_delivery(port)
        assert await deliver(delivery, Gate()) == Delivered("250 queued")
        gate = Gate()
        outcome = await deliver(delivery, gate)
        await delivery.close()
    assert isinstance(outcome, expected)
    assert (gate.calls, len(sessions)) == (1, 1)


@pytest.mark.parametrize("command", ["DATA", "dot"])
@pytest.mark.parametrize("reply", ["451 4.3.0 later", "554 5.7.1 no"])
async def test_an_error_in_or_after_data_ends_the_session(command: str, reply: str) -> None:
    async with run_relay({command: reply}) as relay:
        delivery = make_delivery(relay.port)
        assert await deliver(delivery, Gate()) != QUEUED
        relay.replies.clear()
        assert await deliver(delivery, Gate()) == QUEUED
        await delivery.close()
    assert len(relay.sessions) == 2


async def test_a_refused_recipient_and_an_abandoned_mail_leave_nothing_behind() -> None:
    async with run_relay({"RCPT": "550 5.1.1 unknown"}) as relay:
        delivery = make_delivery(relay.port)
        assert await deliver(delivery, Gate()) == Refused("550 5.1.1 unknown")
        relay.replies.clear()
        assert await deliver(delivery, Gate(answer=False)) == Abandoned()
        assert await deliver(delivery, Gate(), "otto@bergerbau.example") == QUEUED
        await delivery.close()
    assert (len(relay.contents), len(relay.sessions), relay.resets) == (1, 1, 2)
    assert relay.taken == [["otto@bergerbau.example"]]


async def test_a_session_that_says_more_than_it_was_asked_is_not_used_again() -> None:
    sessions = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sessions
        sessions += 1
        writer.write(b"220 relay.test\r\n")
        await answer_on(b"DATA", reader, writer)
        writer.write(b"354 go on\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 queued\r\n250 queued twice\r\n")
        with suppress(AssertionError):  # the client leaves
            await take_mail(reader, writer)

    async with run_script(script) as port:
        delivery = make_delivery(port)
        outcomes = [await deliver(delivery, Gate()) for _ in range(2)]
        await delivery.close()
    assert (outcomes, sessions) == ([Delivered("250 queued")] * 2, 2)


async def test_a_relay_that_does_not_answer_quit_does_not_hold_us_up() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        await take_mail(reader, writer)
        await asyncio.sleep(30)

    async with run_script(script) as port:
        delivery = make_delivery(port)
        await deliver(delivery, Gate())
        async with asyncio.timeout(10):
            await delivery.close()
