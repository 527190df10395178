"""How a message comes out of the stream after DATA, byte for byte (RFC 5321 §4.1.1.4, §4.5.2)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

END = b"\r\n.\r\n"
"""Only this ends a message: a line end made of bare CR or LF is content."""


async def read_message(
    reader: asyncio.StreamReader, *, max_bytes: int, on_progress: Callable[[], None]
) -> bytes | None:
    """Read to the end of the message and return it without dot-stuffing; None: was too large.

    What a client has pipelined after the message stays in `reader`. `on_progress` is called
    whenever as much as the reader's limit has come in, which makes a time limit that restarts
    there a minimum rate. Raises IncompleteReadError when the client hangs up before the end.
    """
    message = _Message(max_bytes)
    # The end may begin with DATA's own line end; it needs at least these bytes still.
    while 0 < (matched := message.count_end_bytes()) < len(END):
        message.add(await reader.readexactly(len(END) - matched))
    while message.count_end_bytes() < len(END):
        message.add(await _read_chunk(reader))
        on_progress()
    return message.finish()


async def _read_chunk(reader: asyncio.StreamReader) -> bytes:
    """Read up to the end, or what the limit lets in, in which the end does not begin."""
    try:
        return await reader.readuntil(END)
    except asyncio.LimitOverrunError as overrun:
        return await reader.readexactly(overrun.consumed)


class _Message:
    """Gathers a message chunk by chunk in one buffer; holds nothing of one that is too large."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._content = io.BytesIO()
        self._too_large = False
        self._tail = b"\r\n"  # of the bytes on the wire; DATA's own line end comes first

    def count_end_bytes(self) -> int:
        """Return how many bytes of END the wire has just shown."""
        return next(n for n in range(len(END), -1, -1) if self._tail.endswith(END[:n]))

    def add(self, chunk: bytes) -> None:
        """Take the next bytes from the wire; a dot that begins a line is dropped."""
        kept = self._tail[-2:]
        unstuffed = (kept + chunk).replace(b"\r\n.", b"\r\n")
        self._tail = (self._tail + chunk[-len(END) :])[-len(END) :]
        if not self._too_large:
            self._content.write(memoryview(unstuffed)[len(kept) :])
        if self._content.tell() > self._max_bytes + len(b"\r\n"):  # that of the final dot
            self._too_large = True
            self._content = io.BytesIO()

    def finish(self) -> bytes | None:
        """Return the content; the end's dot went like any other, its line end goes here."""
        if self._too_large:
            return None
        self._content.truncate(self._content.tell() - len(b"\r\n"))
        return self._content.getvalue()
