"""The relay: it answers well or badly as it is told, and notes every mail that came in whole."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections import deque
from contextlib import suppress
from email.parser import BytesHeaderParser
from typing import Protocol

from tests.chaos.history import Manner
from tests.chaos.judge import Arrived, Entry
from tests.chaos.life import TOLD, Clock

_REFUSAL = "{} 4.3.0 not now"
_OK = "250 2.0.0 OK"
_MAX_MAIL = 4 * 2**20
_AT_START = ("greeting", "ehlo")
_CONTENT_BYTES = 300
"""How much of a mail is read before the connection is dropped within it."""


class Surroundings(Protocol):
    """What else happens where the relay stands."""

    def take_mail(self, mail: Arrived) -> None:
        """Hear of a mail that came in whole."""

    def note_asked(self, node: int, author: str) -> None:
        """Hear that a node wrote DATA."""

    async def delay(self, node: int) -> None:
        """Let time pass while a node waits for a reply."""

    def set_back(self) -> None:
        """Put the clock back."""

    def decline(self, author: str) -> None:
        """Let an author say now that he wants no notices."""


class Sink:
    """Serves on a socket; the manners of the coming conversations stand in a queue."""

    def __init__(
        self,
        clock: Clock,
        site: Surroundings,
    ) -> None:
        self._clock = clock
        self.site = site
        self._open: dict[asyncio.Task[None], int] = {}
        self.manners: deque[Manner] = deque()

    async def start(self, listening: socket.socket) -> None:
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=_MAX_MAIL)

    async def stop(self) -> None:
        """Stop listening; every node is gone."""
        self._server.close()
        await asyncio.gather(*self._open)

    async def finish(self, node: int) -> None:
        """Wait until everything that a dead node sent has been read."""
        await asyncio.gather(*(task for task, of in self._open.items() if of == node))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        node = int(writer.get_extra_info("peername")[0].rpartition(".")[2]) - 2
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = node
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await _Conversation(self, reader, writer, node).hold()
        finally:
            del self._open[task]
            writer.transport.abort()

    def next_manner(self, *, at_start: bool) -> Manner | None:
        if self.manners and (self.manners[0].phase in _AT_START) is at_start:
            return self.manners.popleft()
        return None

    async def note(self, node: int, rcpt: str, content: bytes, *, certain: bool) -> None:
        """Hand a mail that came in whole to the judge."""
        told = json.loads(base64.b64decode(BytesHeaderParser().parsebytes(content)[TOLD]))
        entries = tuple(
            Entry(subject, number, tuple(sends)) for subject, number, sends in told["entries"]
        )
        at = self._clock.read(node)
        self.site.take_mail(
            Arrived(told["notice"], rcpt, at, self._clock.read(None), entries, certain=certain)
        )


class _Conversation:
    """One connection of one node."""

    def __init__(
        self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node: int
    ) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._node = node
        self._rcpt = ""
        self._manner = sink.next_manner(at_start=True)

    async def hold(self) -> None:
        """Answer until either side leaves."""
        going = await self._meet("greeting", "220 relay.test")
        while going and (line := await self._reader.readline()):
            match line.upper().split()[0]:
                case b"EHLO":
                    going = await self._meet("ehlo", "250 relay.test")
                case b"MAIL":
                    self._manner = self._manner or self._sink.next_manner(at_start=False)
                    going = await self._meet("mail", _OK)
                case b"RCPT":
                    self._rcpt = line.decode().partition("<")[2].partition(">")[0]
                    going = await self._meet("rcpt", _OK)
                case b"DATA":
                    self._sink.site.note_asked(self._node, self._rcpt)
                    going = await self._take_mail()
                    self._manner = None
                case b"RSET":
                    self._manner = None
                    self._say(_OK)
                case b"QUIT":
                    self._say("221 2.0.0 bye")
                    return
                case _:
                    self._say(_OK)

    async def _take_mail(self) -> bool:
        """Go on from DATA; False: the connection is over."""
        act = self._find_act("data")
        if not await self._meet("data", "354 go on"):
            return False
        if act is not None and act.isdigit():
            return True
        if self._find_act("content"):
            await self._reader.readexactly(_CONTENT_BYTES)
            return False
        content = await self._reader.readuntil(b"\r\n.\r\n")
        return await self._answer_mail(content)

    async def _answer_mail(self, content: bytes) -> bool:
        act = self._find_act("dot") or ""
        if not act.endswith(("421", "451", "554")):
            certain = not act.endswith(("drop", "garbage"))
            await self._sink.note(self._node, self._rcpt, content, certain=certain)
        first, _, then = act.rpartition("-")
        if "slow" in {first, then}:
            await self._sink.site.delay(self._node)
        if "back" in {first, then}:
            self._sink.site.set_back()
        if then in {"slow", "back"}:
            then = ""
        self._manner = Manner("dot", then)
        return await self._meet("dot", "250 2.0.0 queued")

    def _find_act(self, phase: str) -> str | None:
        return self._manner.act if self._manner and self._manner.phase == phase else None

    async def _meet(self, phase: str, well: str) -> bool:
        """Answer at one phase, by our manner there; False: the connection is over."""
        match self._find_act(phase):
            case "drop":
                return False
            case "421" | "451" | "554" as code:
                self._manner = None
                self._say(_REFUSAL.format(code))
                return code != "421" and phase != "greeting"
            case "slow":
                await self._sink.site.delay(self._node)
                self._say(well)
            case "decline":
                self._sink.site.decline(self._rcpt)
                self._say(well)
            case "twice":
                self._say(well)
                self._say(well)
            case "garbage":
                self._say("what was that?")
            case "leave":
                self._say(well)
                await self._writer.drain()
                self._writer.close()
                return False
            case _:
                self._say(well)
        return True

    def _say(self, text: str) -> None:
        self._writer.write(f"{text}\r\n".encode())
