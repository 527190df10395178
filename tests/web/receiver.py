"""An application that hears webhooks: answers each request as the next line of its script says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heard:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`script` is used up line by line; afterwards everything is taken.

    A line is a status, `redirect`, `hang` (no answer), `drip` (one that never ends), `garbage` or
    `drop` (the connection ends instead).
    """

    port: int = 0
    script: list[str] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    on_heard: Callable[[], None] = lambda: None
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hear"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        try:
            self.heard.append(await _read(reader))
            self.on_heard()
            await self._answer(self.script.pop(0) if self.script else "204", writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def _answer(self, line: str, writer: asyncio.StreamWriter) -> None:
        match line:
            case "hang":
                return
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                for number in range(1000):
                    writer.write(f"X-{number}: x\r\n".encode())
                    await writer.drain()
                    await asyncio.sleep(0.02)
            case "garbage":
                writer.write(b"220 mail.example ESMTP\r\n")
            case "redirect":
                writer.write(
                    f"HTTP/1.1 307 Elsewhere\r\nLocation: {self.url}\r\nContent-Length: 0\r\n\r\n".encode()
                )
            case "drop":
                pass
            case status:
                writer.write(
                    f"HTTP/1.1 {status} As told\r\nContent-Length: 999999\r\n\r\n".encode()
                )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def run_receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of loopback."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    for writer in receiver._open:
        writer.transport.abort()
    await server.wait_closed()
    await asyncio.sleep(0)  # what is aborted is closed by the loop's next turn


async def _read(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    return Heard(head[0], headers, await reader.readexactly(int(headers["content-length"])))
