"""How a command comes out of the stream: line by line, ended by CRLF and nothing else.

RFC 5321 §2.3.8 and §4.1.1; what a command means is the session's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bounced.listener import replies
from bounced.listener.syntax import Refused

MAX_COMMAND = 4096
"""Octets of a command line; RFC 5321 §4.5.3.1.4 asks for 512, long return paths for more."""

_TOO_LONG = Refused("line-too-long", replies.LINE_TOO_LONG)
_BARE = Refused("bare-line-end", replies.BARE_IN_COMMAND)
_NO_COMMAND = Refused("not-a-command", replies.BAD_SYNTAX)


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was sent; nobody has looked yet whether it exists."""

    name: str
    """In capitals."""
    argument: str | None
    """UTF-8, where it is none with lone surrogates; without blanks around it."""

    @property
    def is_http(self) -> bool:
        """Tell whether this is a web client's request, whose body may hold commands.

        A web page or an application can be made to send one to a server on its own host.
        """
        return self.argument is not None and "HTTP/" in self.argument


class CommandReader:
    """Reads the commands of one connection."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._inside_line = False
        """The last line was ended by a bare LF: what follows belongs to it still."""

    async def read(self) -> Command | Refused:
        """Read the next line; holds no more of a long one than the reader's limit.

        A bare LF ends a line only so far as it is answered: neither it nor what follows up to
        CRLF is a command. Raises IncompleteReadError when the client hangs up.
        """
        line, is_whole = await self._read_line()
        is_rest, self._inside_line = self._inside_line, not line.endswith(b"\r\n")
        if is_rest or self._inside_line or b"\r" in line[:-2]:
            return _BARE
        if not is_whole or len(line) > MAX_COMMAND + len(b"\r\n"):
            return _TOO_LONG
        return _parse(line.removesuffix(b"\r\n"))

    async def _read_line(self) -> tuple[bytes, bool]:
        """Return a line with its end, or the end of a long one and False."""
        is_whole, before = True, b""
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as overrun:
                before = (await self._reader.readexactly(overrun.consumed))[-1:]
                is_whole = False
            else:
                return (line if is_whole else before + line[-2:]), is_whole


def _parse(line: bytes) -> Command | Refused:
    word, _, rest = line.partition(b" ")
    if not word or not word.isascii():
        return _NO_COMMAND
    argument = str(rest.strip(), "utf-8", "surrogateescape")
    return Command(word.decode("ascii").upper(), argument or None)
