"""A listener on port 0 with a store in memory, and a client that speaks raw bytes to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import structlog

from bounced.config import SmtpSettings
from bounced.ledger.records import NewReport
from bounced.listener.server import Listener
from bounced.logs import check_shape
from bounced.model import TokenType
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing, seal

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TODAY = (NOW.date() - date(1970, 1, 1)).days
RING = KeyRing((Key("a", bytes(range(32)), NOW.date()),))
ADMISSION = AdmissionSettings(domains=("bounce.example.com",), mailboxes=("bounces",))
SEND = bytes.fromhex("0123456789abcdef")
TOKEN = seal(TokenType.SEND, SEND, TODAY, RING.signing)
EXPIRED = seal(TokenType.SEND, SEND, TODAY - 15, RING.signing)
FORGED = TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "q")
HELLO = b"EHLO mx.example.org\r\n"
ENVELOPE = b"MAIL FROM:<>\r\nRCPT TO:<bounces@bounce.example.com>\r\n"
FOREIGN: dict[str, Any] = {"own_relays": ()}
PATIENCE_S = 5.0


@dataclass
class Store:
    """Takes reports as the ledger would; may fail, or wait until `release` is set."""

    reports: list[NewReport] = field(default_factory=list)
    calls: int = 0
    error: Exception | None = None
    release: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reports: Sequence[NewReport]) -> None:
        self.calls += 1
        self.entered.set()
        if self.release is not None:
            await self.release.wait()
        if self.error is not None:
            raise self.error
        self.reports += reports
        self.left.set()


class Wire:
    """One connection, as raw as it gets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_line(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            line = await self.reader.readuntil(b"\r\n")
        return line.decode("ascii").removesuffix("\r\n")

    async def read_reply(self) -> str:
        lines = [await self.read_line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.read_line())
        return "\n".join(lines)

    async def ask(self, data: bytes) -> str:
        await self.send(data)
        return await self.read_reply()

    async def ask_all(self, data: bytes, replies: int) -> list[str]:
        await self.send(data)
        return [await self.read_reply() for _ in range(replies)]

    async def read_to_end(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    def reset(self) -> None:
        """Hang up with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Site:
    """A running listener."""

    def __init__(self, settings: SmtpSettings, store: Store) -> None:
        ids = itertools.count(1)
        self.store = store
        self.now = NOW
        self.admission = ADMISSION
        self.listener = Listener(
            settings,
            admission=lambda: (self.admission, RING),
            store=store,
            clock=lambda: self.now,
            new_id=lambda _now: f"r{next(ids)}",
        )
        self._wires: list[Wire] = []

    async def connect(self, *, lmtp: bool = False) -> Wire:
        """Connect and read the greeting, or whatever stands in its place."""
        addresses = self.listener.lmtp if lmtp else self.listener.smtp
        host, _, port = addresses[0].rpartition(":")
        wire = Wire(*await asyncio.open_connection(host.strip("[]"), int(port)))
        self._wires.append(wire)
        return wire

    async def greet(self) -> Wire:
        """Connect and go as far as the reply to EHLO."""
        wire = await self.connect()
        await wire.ask_all(HELLO, 2)
        return wire

    async def wait_for_connections(self, count: int) -> None:
        """Wait until so many are open."""
        async with asyncio.timeout(PATIENCE_S):
            while len(tuple(self.listener._gate)) != count:  # noqa: ASYNC110 - changes unseen
                await asyncio.sleep(0.01)

    async def wait_until_gone(self) -> None:
        """Wait until the listener knows of no connection any more."""
        async with asyncio.timeout(PATIENCE_S):
            await self.listener._gate.wait_until_empty()

    async def __aenter__(self) -> Self:
        await self.listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in self._wires:
            await wire.close()
        await self.listener.stop(timedelta(0))


@contextlib.asynccontextmanager
async def run_site(store: Store | None = None, **settings: object) -> AsyncIterator[Site]:
    smtp = SmtpSettings.model_validate(
        {"listen": ("127.0.0.1:0",), "hostname": "bounce.example.com", **settings}
    )
    async with Site(smtp, store or Store()) as site:
        yield site


@contextlib.contextmanager
def capture_events() -> Iterator[list[Any]]:
    """Gather the lines of the log; one that the list of events does not describe fails."""
    with structlog.testing.capture_logs(processors=[check_shape]) as lines:
        yield lines
