"""A relay that drops, falls silent or talks nonsense at any point of the dialogue."""

import asyncio
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Callable

import pytest

from bounced.notifier.delivery import Deferred, Outcome, OutcomeUnknown
from tests.notifier.relay import HOST, Script, answer_on, answer_until, run_script
from tests.notifier.sending import Gate, deliver_once, make_delivery

LONG = b"250-" + b"x" * 100_000 + b"\r\n250 OK\r\n"
ENDLESS = b"2" * 200_000
NONSENSE = b"HTTP/1.1 400 Bad Request\r\n"
BINARY = b"\x16\x03\x01\x00\xff\xfe\r\n"


def greet(answer: bytes) -> Script:
    """Say this on connecting, then read until the client leaves."""

    async def script(reader: Reader, writer: Writer) -> None:
        writer.write(answer)
        await reader.read()

    return script


def answer(command: bytes, *answers: bytes, then_hang_up: bool = False) -> Script:
    """Answer all with 250 until this command; to it with these, a moment between two."""

    async def script(reader: Reader, writer: Writer) -> None:
        await answer_until(command, reader, writer)
        for part in answers:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if not then_hang_up:
            await reader.read()

    return script


def drop_at(command: bytes) -> Script:
    return answer(command, then_hang_up=True)


def after_354(*answers: bytes, to_the_dot: bool, then_hang_up: bool = False) -> Script:
    """Take the content, or the beginning of it, then say this."""

    async def script(reader: Reader, writer: Writer) -> None:
        await answer_until(b"DATA", reader, writer)
        writer.write(b"354 go on\r\n")
        await (reader.readuntil(b"\r\n.\r\n") if to_the_dot else reader.readexactly(20))
        for part in answers:
            writer.write(part)
            await writer.drain()
        if not then_hang_up:
            await reader.read()

    return script


async def hang_up(reader: Reader, writer: Writer) -> None:
    """Accept the connection, then close it."""


async def answer_late(reader: Reader, writer: Writer) -> None:
    """Give the reply to MAIL when it has been given up."""
    await answer_until(b"MAIL", reader, writer)
    await asyncio.sleep(0.6)
    writer.write(b"250 at last\r\n")
    await answer_on(b"DATA", reader, writer)


async def drip(reader: Reader, writer: Writer) -> None:
    """Answer MAIL by a line every moment, and never by the last."""
    await answer_until(b"MAIL", reader, writer)
    while not writer.is_closing():
        writer.write(b"250-wait\r\n")
        await asyncio.sleep(0.02)


def no_session(why: str) -> Callable[[int], Outcome]:
    return lambda port: Deferred(f"no session with {HOST}:{port}: {why}", relay_down=True)


def before_data(why: str) -> Callable[[int], Outcome]:
    return lambda _port: Deferred(f"before DATA: {why}")


def at_data(why: str) -> Callable[[int], Outcome]:
    return lambda _port: Deferred(f"at DATA: {why}")


def unknown(why: str) -> Callable[[int], Outcome]:
    return lambda _port: OutcomeUnknown(f"after DATA: {why}")


def deferred(detail: str) -> Callable[[int], Outcome]:
    return lambda _port: Deferred(detail)


LOST = "Unexpected EOF received"
SILENT = "Timed out waiting for server response"
TOO_LONG = "Response too long"
MALFORMED = "Malformed SMTP response line: HTTP/1.1 400 Bad Request"

FAULTS: dict[str, tuple[Script, Callable[[int], Outcome]]] = {
    "accepts, then closes": (
        hang_up,
        no_session(f"Error connecting: {LOST}"),
    ),
    "silent at the greeting": (
        greet(b""),
        no_session("Timed out waiting for server ready message"),
    ),
    "421 at the greeting": (greet(b"421 4.3.2 busy\r\n"), no_session("421 4.3.2 busy")),
    "554 at the greeting": (greet(b"554 5.7.1 not you\r\n"), no_session("554 5.7.1 not you")),
    "HTTP at the greeting": (greet(NONSENSE), no_session(MALFORMED)),
    "TLS at the greeting": (greet(BINARY), no_session("Malformed SMTP response line:")),
    "endless greeting": (greet(ENDLESS), no_session(TOO_LONG)),
    "lost at EHLO": (drop_at(b"EHLO"), no_session(LOST)),
    "silent at EHLO": (answer(b"EHLO"), no_session(SILENT)),
    "500 at EHLO": (answer(b"EHLO", b"500 what?\r\n"), no_session("500 what?")),
    "lost at MAIL": (drop_at(b"MAIL"), before_data(LOST)),
    "silent at MAIL": (answer(b"MAIL"), before_data(SILENT)),
    "late at MAIL": (answer_late, before_data(SILENT)),
    "dripping at MAIL": (drip, before_data(SILENT)),
    "long line at MAIL": (answer(b"MAIL", LONG), before_data(TOO_LONG)),
    "nonsense at MAIL": (answer(b"MAIL", NONSENSE), before_data(MALFORMED)),
    "354 at MAIL": (answer(b"MAIL", b"354 go on\r\n"), deferred("354 go on")),
    "lost at RCPT": (drop_at(b"RCPT"), before_data(LOST)),
    "silent at RCPT": (answer(b"RCPT"), before_data(SILENT)),
    "nonsense at RCPT": (answer(b"RCPT", NONSENSE), before_data(MALFORMED)),
    "half a reply at RCPT": (
        answer(b"RCPT", b"250-OK\r\n25", then_hang_up=True),
        before_data(LOST),
    ),
    "lost at DATA": (drop_at(b"DATA"), at_data(LOST)),
    "silent at DATA": (answer(b"DATA"), at_data(SILENT)),
    "nonsense at DATA": (answer(b"DATA", NONSENSE), at_data(MALFORMED)),
    "354 and 250 at once at DATA": (
        answer(b"DATA", b"354 go on\r\n250 queued\r\n"),
        at_data("the relay answered before anything was sent"),
    ),
    "all replies in the greeting": (
        greet(b"220 hi\r\n250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 queued\r\n"),
        no_session(SILENT),
    ),
    "421 within the content": (
        after_354(b"421 4.3.2 going down\r\n", to_the_dot=False),
        deferred("421 4.3.2 going down"),
    ),
    "lost after the dot": (after_354(to_the_dot=True, then_hang_up=True), unknown(LOST)),
    "silent after the dot": (after_354(to_the_dot=True), unknown(SILENT)),
    "half a reply after the dot": (
        after_354(b"250-queued\r\n25", to_the_dot=True, then_hang_up=True),
        unknown(LOST),
    ),
    "nonsense after the dot": (after_354(NONSENSE, to_the_dot=True), unknown(MALFORMED)),
    "long line after the dot": (after_354(LONG, to_the_dot=True), unknown(TOO_LONG)),
    "354 after the dot": (after_354(b"354 more\r\n", to_the_dot=True), unknown("354 more")),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_every_fault_has_its_outcome(name: str) -> None:
    script, expected = FAULTS[name]
    gate = Gate()
    async with run_script(script) as port:
        delivery = make_delivery(port, timeout_s=0.3, final_timeout_s=0.3)
        outcome = await deliver_once(delivery, gate)
    assert outcome == expected(port)
    assert gate.calls == (1 if name.endswith(("DATA", "dot", "content")) else 0)


@pytest.mark.parametrize(
    "script",
    [
        answer(b"DATA", b"354 go on\r\n", then_hang_up=True),
        after_354(to_the_dot=False, then_hang_up=True),
    ],
    ids=["at once", "within the content"],
)
async def test_a_connection_lost_after_354_has_no_known_outcome(script: Script) -> None:
    async with run_script(script) as port:
        outcome = await deliver_once(make_delivery(port), Gate())
    assert isinstance(outcome, OutcomeUnknown)  # told by EOF or by a reset, as the network has it
