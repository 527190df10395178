from __future__ import annotations

import asyncio
import itertools
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.listener.data import read_message

LIMIT = 64


async def receive(
    chunks: Sequence[bytes], *, max_bytes: int = 10_000, limit: int = LIMIT
) -> tuple[bytes | None, bytes]:
    """Feed the chunks one by one to a reader; return the message and what is left behind it."""
    reader = asyncio.StreamReader(limit=limit)
    reading = asyncio.create_task(
        read_message(reader, max_bytes=max_bytes, on_progress=lambda: None)
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
        (b"\r\n.\r\r\n.\r\n", b"\r\n\r\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n"),
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n"),
        (b"a\r.\r\n.\r\n", b"a\r.\r\n"),
        (b"\x00\xff\r\n.\r\n", b"\x00\xff\r\n"),
    ],
)
async def test_a_message_ends_at_its_dot_and_nowhere_else(wire: bytes, message: bytes) -> None:
    assert await receive([wire + b"QUIT\r\n"]) == (message, b"QUIT\r\n")
    assert await receive([bytes([byte]) for byte in wire]) == (message, b"")


PIECES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n\r\n", b"x", b"y" * (LIMIT - 1)]
    ),
    max_size=12,
)


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 300), max_size=6))
async def test_any_message_comes_out_as_it_was_sent(pieces: list[bytes], cuts: list[int]) -> None:
    message = b"".join(pieces)
    message = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    wire = stuff(message) + b"QUIT\r\n"
    ends = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    chunks = [wire[start:end] for start, end in itertools.pairwise(ends)]
    assert await receive(chunks) == (message, b"QUIT\r\n")


@pytest.mark.parametrize("wire", [b"", b"a", b"a\r\n", b"a\r\n.", b"a\r\n.\r", b"a\n.\n", b"."])
async def test_a_hang_up_before_the_end_is_an_incomplete_read(wire: bytes) -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        await receive([wire])


@pytest.mark.parametrize("size", [9, 10, 11, 200])
async def test_the_size_is_counted_without_stuffing_and_end(size: int) -> None:
    message = b"." * (size - 2) + b"\r\n"
    expected = message if size <= 10 else None
    assert await receive([stuff(message) + b"NOOP\r\n"], max_bytes=10) == (expected, b"NOOP\r\n")


async def test_a_line_of_a_megabyte_is_read() -> None:
    message = b"x" * 1_000_000 + b"\r\n"
    assert await receive([stuff(message)], max_bytes=2_000_000) == (message, b"")


async def test_progress_is_told_for_each_full_buffer_and_not_for_a_drip() -> None:
    told = []
    reader = asyncio.StreamReader(limit=1_000)
    reading = asyncio.create_task(
        read_message(reader, max_bytes=10_000, on_progress=lambda: told.append(1))
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
        read_message(reader, max_bytes=max_bytes, on_progress=lambda: None)
    )
    for _ in range(64):
        reader.feed_data(chunk)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    reader.feed_data(b".\r\n")
    message = await reading
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(message) if message else None) == (size if size <= max_bytes else None)
    assert peak < size * share
