from __future__ import annotations

import asyncio
import ipaddress
import itertools
import re
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.config import SmtpSettings
from bounced.listener.client import LOCAL, UNKNOWN, Client
from bounced.listener.data import Fault, read_message
from bounced.listener.memory import FREE, MessageMemory, Share

LIMIT = 64


def bound(memory: int, message: int = 1) -> SmtpSettings:
    return SmtpSettings.model_validate(
        {"max_message": f"{message}B", "max_message_memory": f"{memory}B"}
    )


def open_share(limit: int, memory: MessageMemory | None = None) -> Share:
    return (memory or MessageMemory()).open_share(LOCAL, bound(limit))


async def receive(
    chunks: Sequence[bytes], *, max_bytes: int = 10_000, bare_line_ends: bool = True
) -> tuple[bytes | Fault, bytes]:
    """Feed the chunks one by one to a reader; return the message and what is left behind it."""
    reader = asyncio.StreamReader(limit=LIMIT)
    reading = asyncio.create_task(
        read_message(
            reader,
            max_bytes=max_bytes,
            share=open_share(max_bytes),
            bare_line_ends=bare_line_ends,
            on_progress=lambda: None,
        )
    )
    for chunk in chunks:
        reader.feed_data(chunk)
        await asyncio.sleep(0)
    reader.feed_eof()
    return await reading, await reader.read()


def stuff(message: bytes) -> bytes:
    """Write a message as a client does (RFC 5321 §4.5.2); it ends with CRLF or is empty."""
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"\r\n\r\n\r\n.\r\n", b"\r\n\r\n\r\n"),
        (b"\r\r\n.\r\n", b"\r\r\n"),
        (b"a\nb\rc\n\r..\r\n.\r\n", b"a\nb\rc\n\r..\r\n"),
        (b"a\n\r\n.\r\n", b"a\n\r\n"),
        (b"a\n.b\r\n.\r\n", b"a\n.b\r\n"),
        (b"\x00\xff\r\n.\r\n", b"\x00\xff\r\n"),
    ],
)
async def test_a_message_ends_at_its_dot_and_nowhere_else(wire: bytes, message: bytes) -> None:
    assert await receive([wire + b"QUIT\r\n"]) == (message, b"QUIT\r\n")
    assert await receive([bytes([byte]) for byte in wire]) == (message, b"")


LINE_ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\x00\n", b"\x00\r\n"]


@pytest.mark.parametrize("after", LINE_ENDS)
@pytest.mark.parametrize("before", LINE_ENDS)
async def test_a_dot_in_any_other_frame_is_a_fault_whoever_sends_it(
    before: bytes, after: bytes
) -> None:
    for start in (b"a", b"x" * (LIMIT - 2), b"x" * (LIMIT - 1)):
        attack = start + before + b"." + after + b"MAIL FROM:<>\r\n"
        wire = attack + b".\r\nQUIT\r\n"
        ends_there = (before, after) == (b"\r\n", b"\r\n")
        expected = (start + b"\r\n", b"MAIL FROM:<>\r\n.\r\nQUIT\r\n")
        for chunks in ([wire], [bytes([byte]) for byte in wire]):
            message, rest = await receive(chunks)
            if ends_there or (before[-2:], after) == (b"\r\n", b"\r\n"):
                assert rest == expected[1]
            else:
                assert (message, rest) == (Fault.BARE_LINE_END, b"QUIT\r\n")


@pytest.mark.parametrize("wire", [b".\n", b".\r", b"\x00.\r\n", b".\x00\r\n"])
async def test_the_first_line_is_framed_by_the_line_end_of_data(wire: bytes) -> None:
    assert await receive([wire + b"x\r\n.\r\n"]) == (Fault.BARE_LINE_END, b"")


@pytest.mark.parametrize("message", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"\n\r\n"])
async def test_bare_line_ends_are_content_for_those_who_may(message: bytes) -> None:
    wire = message + b".\r\n"
    for chunks in ([wire], [bytes([byte]) for byte in wire]):
        assert await receive(chunks) == (message, b"")
        assert await receive(chunks, bare_line_ends=False) == (Fault.BARE_LINE_END, b"")


PIECES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n\r\n", b"x", b"\x00", b"y" * (LIMIT - 1)]
    ),
    max_size=12,
)
DOT_LINE = re.compile(rb"[\r\n]\.[\r\n]")
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 300), max_size=6), bare=st.booleans())
async def test_any_message_comes_out_as_it_was_sent_or_is_an_attack(
    pieces: list[bytes], cuts: list[int], bare: bool
) -> None:
    message = b"".join(pieces)
    message = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    stuffed = stuff(message)
    wire = stuffed + b"QUIT\r\n"
    ends = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    chunks = [wire[start:end] for start, end in itertools.pairwise(ends)]
    on_the_wire = b"\r\n" + stuffed[:-3].replace(b"\x00", b"")
    refused = DOT_LINE.search(on_the_wire) or (BARE.search(message) and not bare)
    expected = Fault.BARE_LINE_END if refused else message
    assert await receive(chunks, bare_line_ends=bare) == (expected, b"QUIT\r\n")


@pytest.mark.parametrize("wire", [b"", b"a", b"a\r\n", b"a\r\n.", b"a\r\n.\r", b"a\n.\n", b"."])
async def test_a_hang_up_before_the_end_is_an_incomplete_read(wire: bytes) -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        await receive([wire])


@pytest.mark.parametrize("size", [9, 10, 11, 200])
async def test_the_size_is_counted_without_stuffing_and_end(size: int) -> None:
    message = b"." * (size - 2) + b"\r\n"
    expected = message if size <= 10 else Fault.TOO_LARGE
    assert await receive([stuff(message) + b"NOOP\r\n"], max_bytes=10) == (expected, b"NOOP\r\n")


async def test_a_line_of_a_megabyte_is_read() -> None:
    message = b"x" * 1_000_000 + b"\r\n"
    assert await receive([stuff(message)], max_bytes=2_000_000) == (message, b"")


async def test_messages_share_their_memory_beyond_what_is_free() -> None:
    memory, settings = MessageMemory(), bound(100)
    first, second = open_share(100, memory), open_share(100, memory)
    assert [first.grow(FREE), first.grow(FREE + 60), first.grow(10)] == [True, True, True]
    assert (memory.held, memory.count_free(LOCAL, settings)) == (60, FREE + 40)
    assert [second.grow(FREE + 41), second.grow(FREE + 40)] == [False, True]
    first.release()
    first.release()
    assert memory.held == 40
    second.release()
    assert (memory.held, memory.count_free(LOCAL, settings)) == (0, FREE + 100)


def stranger(number: int) -> Client:
    return Client(ipaddress.ip_address(f"192.0.2.{number}"), own_relay=False)


def test_a_stranger_takes_a_quarter_of_the_memory_and_all_of_them_leave_one_to_own_relays() -> (
    None
):
    memory, settings = MessageMemory(), bound(100, message=20)
    clients = [stranger(number) for number in (1, 2, 3, 4)]
    shares = [memory.open_share(client, settings) for client in (*clients, clients[0])]
    assert not shares[0].grow(FREE + 26)
    assert [share.grow(FREE + 25) for share in shares[:3]] == [True, True, True]
    free = [memory.count_free(client, settings) - FREE for client in (*clients, LOCAL)]
    assert (free, memory.held) == ([0, 0, 0, 0, 25], 75)
    assert [shares[3].grow(FREE + 1), shares[4].grow(FREE + 1)] == [False, False]
    assert memory.open_share(LOCAL, settings).grow(FREE + 25)
    shares[0].release()
    free = [memory.count_free(client, settings) - FREE for client in clients]
    assert free == [25, 0, 0, 25]


def test_a_quarter_too_small_for_the_largest_message_is_as_large_as_that() -> None:
    memory, settings = MessageMemory(), bound(100, message=100)
    assert memory.count_free(UNKNOWN, settings) == FREE + 100
    assert memory.open_share(UNKNOWN, settings).grow(FREE + 100)
    assert memory.count_free(UNKNOWN, settings) == FREE


@pytest.mark.parametrize("fault", [Fault.NO_MEMORY, Fault.TOO_LARGE, Fault.BARE_LINE_END])
async def test_a_message_that_is_not_taken_holds_nothing_while_it_is_read_on(fault: Fault) -> None:
    memory = MessageMemory()
    reader = asyncio.StreamReader(limit=1_000)
    reading = asyncio.create_task(
        read_message(
            reader,
            max_bytes=2 * FREE if fault is Fault.TOO_LARGE else 10 * FREE,
            share=open_share(FREE if fault is Fault.NO_MEMORY else 10 * FREE, memory),
            bare_line_ends=True,
            on_progress=lambda: None,
        )
    )
    for line in [b"x" * 1_022 + b"\r\n"] * 120:
        reader.feed_data(line)
        await asyncio.sleep(0)
    assert memory.held > 0.7 * FREE
    attack = b"\n.\n" if fault is Fault.BARE_LINE_END else b""
    for line in [attack, *[b"x" * 1_022 + b"\r\n"] * 60]:
        reader.feed_data(line)
        await asyncio.sleep(0)
    assert memory.held == 0
    reader.feed_data(b".\r\n")
    assert await reading is fault


async def test_progress_is_told_for_each_full_buffer_and_not_for_a_drip() -> None:
    told = []
    reader = asyncio.StreamReader(limit=1_000)
    reading = asyncio.create_task(
        read_message(
            reader,
            max_bytes=10_000,
            share=open_share(10_000),
            bare_line_ends=False,
            on_progress=lambda: told.append(1),
        )
    )
    for _ in range(900):
        reader.feed_data(b"x")
        await asyncio.sleep(0)
    assert told == []
    for _ in range(2_000):
        reader.feed_data(b"x")
        await asyncio.sleep(0)
    assert len(told) == 2
    reader.feed_data(b"\r\n.\r\n")
    assert await reading == b"x" * 2_900 + b"\r\n"


@pytest.mark.parametrize(("max_bytes", "share"), [(8_000_000, 1.25), (1_000_000, 0.4)])
async def test_memory_stays_near_the_size_of_the_message(max_bytes: int, share: float) -> None:
    line = b"x" * 76 + b"\r\n"
    chunk = line * 840
    size = len(chunk) * 64
    reader = asyncio.StreamReader(limit=64 * 1024)
    tracemalloc.start()
    reading = asyncio.create_task(
        read_message(
            reader,
            max_bytes=max_bytes,
            share=open_share(max_bytes),
            bare_line_ends=False,
            on_progress=lambda: None,
        )
    )
    for _ in range(64):
        reader.feed_data(chunk)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    reader.feed_data(b".\r\n")
    message = await reading
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(message) if isinstance(message, bytes) else None) == (
        size if size <= max_bytes else None
    )
    assert peak < size * share
