"""How a message comes out of the stream after DATA, byte for byte (RFC 5321 §4.1.1.4, §4.5.2)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from enum import Enum

from bounced.listener.memory import Share

END = b"\r\n.\r\n"
"""Only this ends a message: a line end made of bare CR or LF is content."""

_DOT_LINES = (b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r")
"""What a server that is less strict may take for the end; inside a message it is an attack."""


class Fault(Enum):
    """Why a message is not taken; the `why` of `smtp_refused`."""

    TOO_LARGE = "too-large"
    NO_MEMORY = "memory"
    BARE_LINE_END = "bare-line-end"


async def read_message(
    reader: asyncio.StreamReader,
    *,
    max_bytes: int,
    share: Share,
    bare_line_ends: bool,
    on_progress: Callable[[], None],
) -> bytes | Fault:
    """Read to the end of the message and return it without dot-stuffing, or why it is not taken.

    `share` is its part of the memory of all messages. With `bare_line_ends`, bare CR and LF are
    content; a line of one dot that they frame is refused even then. What a client has pipelined
    after the message stays in `reader`. `on_progress` is called whenever as much as the reader's
    limit has come in, which makes a time limit that restarts there a minimum rate. Raises
    IncompleteReadError when the client hangs up before the end.
    """
    message = _Message(max_bytes, share)
    # The end may begin with DATA's own line end; it needs at least these bytes still.
    while 0 < (matched := message.count_end_bytes()) < len(END):
        message.add(await reader.readexactly(len(END) - matched))
    while message.count_end_bytes() < len(END):
        message.add(await _read_chunk(reader))
        on_progress()
    return message.finish(bare_line_ends=bare_line_ends)


async def _read_chunk(reader: asyncio.StreamReader) -> bytes:
    """Read up to the end, or what the limit lets in, in which the end does not begin."""
    try:
        return await reader.readuntil(END)
    except asyncio.LimitOverrunError as overrun:
        return await reader.readexactly(overrun.consumed)


class _Message:
    """Gathers a message chunk by chunk in one buffer; holds nothing of one that is not taken."""

    def __init__(self, max_bytes: int, share: Share) -> None:
        self._max_bytes = max_bytes
        self._share = share
        self._content = io.BytesIO()
        self._fault: Fault | None = None
        self._line_ends = _LineEnds()
        self._tail = b"\r\n"  # of the bytes on the wire; DATA's own line end comes first

    def count_end_bytes(self) -> int:
        """Return how many bytes of END the wire has just shown."""
        return next(n for n in range(len(END), -1, -1) if self._tail.endswith(END[:n]))

    def add(self, chunk: bytes) -> None:
        """Take the next bytes from the wire; a dot that begins a line is dropped."""
        kept = self._tail[-2:]
        unstuffed = (kept + chunk).replace(b"\r\n.", b"\r\n")
        self._tail = (self._tail + chunk[-len(END) :])[-len(END) :]
        self._line_ends.look_at(chunk)
        if self._fault is None:
            self._fault = self._find_fault(len(unstuffed) - len(kept))
            if self._fault is None:
                self._content.write(memoryview(unstuffed)[len(kept) :])
            else:
                self._drop()

    def finish(self, *, bare_line_ends: bool) -> bytes | Fault:
        """Return the content; the end's dot went like any other, its line end goes here."""
        if self._fault is None and self._line_ends.is_any_bare and not bare_line_ends:
            self._fault = Fault.BARE_LINE_END
        if self._fault is not None:
            return self._fault
        self._content.truncate(self._content.tell() - len(b"\r\n"))
        return self._content.getvalue()

    def _find_fault(self, more: int) -> Fault | None:
        size = self._content.tell() + more
        if size > self._max_bytes + len(b"\r\n"):  # that of the final dot
            return Fault.TOO_LARGE
        if self._line_ends.has_dot_line:
            return Fault.BARE_LINE_END
        return None if self._share.grow(size) else Fault.NO_MEMORY

    def _drop(self) -> None:
        self._content = io.BytesIO()
        self._share.release()


class _LineEnds:
    """Looks for line ends other than CRLF, on the wire, where the attack would be seen."""

    def __init__(self) -> None:
        self.has_dot_line = False
        self._seen = b"\r\n"  # the last two bytes; DATA's own line end comes first
        self._last = b""
        self._ahead = b""  # the newest three bytes: those of the end, or content still
        self._cr = self._lf = self._crlf = 0

    @property
    def is_any_bare(self) -> bool:
        """Tell whether there was a CR or LF alone; asked when the end has come."""
        return self._cr != self._crlf or self._lf != self._crlf

    def look_at(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        waiting = self._ahead + chunk
        content, self._ahead = waiting[:-3], waiting[-3:]
        self._cr += content.count(b"\r")
        self._lf += content.count(b"\n")
        self._crlf += (self._last + content).count(b"\r\n")
        self._last = content[-1:] or self._last
        # A server that drops NUL would see the dot alone.
        window = self._seen + content.replace(b"\0", b"")
        self.has_dot_line = self.has_dot_line or any(line in window for line in _DOT_LINES)
        self._seen = window[-2:]
