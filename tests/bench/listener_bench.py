"""What a message costs our session and the stock one of aiosmtpd, side by side in one run.

Both accept a 5 KB report and store nothing; clients run in a process of their own. The cost is
the server's CPU time, which does not depend on how fast the clients are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

from aiosmtpd.smtp import SMTP, Envelope, Session

from bounced.config import LogSettings, SmtpSettings
from bounced.ledger.records import NewReport
from bounced.listener.server import Listener
from bounced.logs import configure
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing

MESSAGE = b"Subject: Undelivered Mail Returned to Sender\r\n\r\n" + (b"x" * 70 + b"\r\n") * 70
CLIENTS = 8
SECONDS = 3.0
SHAPES = {"one message a connection": 1, "many messages a connection": 100}


def run() -> list[tuple[str, float]]:
    """Return figure and value: messages per CPU second, and how many times the stock ours is."""
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    configure(LogSettings(format="json", level="warning"))
    figures = []
    for shape, per_connection in SHAPES.items():
        ours, stock = asyncio.run(_measure(per_connection))
        figures += [
            (f"listener, {shape}, messages per CPU second", ours),
            (f"aiosmtpd, {shape}, messages per CPU second", stock),
            (f"listener to aiosmtpd, {shape}", ours / stock),
        ]
    return figures


async def _measure(per_connection: int) -> tuple[float, float]:
    rates = []
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        for serve in (_serve_ours, _serve_stock):
            async with serve() as port:
                started_s = time.process_time()
                messages = await loop.run_in_executor(pool, _load, port, per_connection)
                rates.append(messages / (time.process_time() - started_s))
    return rates[0], rates[1]


@contextlib.asynccontextmanager
async def _serve_ours() -> AsyncIterator[int]:
    async def store(_reports: Sequence[NewReport]) -> None:
        """Keep nothing."""

    today = datetime.now(UTC).date()
    admission = AdmissionSettings(domains=("bounce.example.com",), mailboxes=("bounces",))
    ring = KeyRing((Key("a", bytes(32), today),))
    listener = Listener(
        SmtpSettings(listen=("127.0.0.1:0",), hostname="bounce.example.com"),
        admission=lambda: (admission, ring),
        store=store,
        clock=lambda: datetime.now(UTC),
        new_id=lambda now: now.isoformat(),
    )
    await listener.start()
    yield int(listener.smtp[0].rpartition(":")[2])
    await listener.stop(grace=datetime.resolution)


class _Acceptor:
    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return "250 OK"


@contextlib.asynccontextmanager
async def _serve_stock() -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(_Acceptor(), enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


def _load(port: int, per_connection: int) -> int:
    return asyncio.run(_drive(port, per_connection))


async def _drive(port: int, per_connection: int) -> int:
    end = time.perf_counter() + SECONDS
    return sum(await asyncio.gather(*(_send(port, per_connection, end) for _ in range(CLIENTS))))


async def _send(port: int, per_connection: int, end: float) -> int:
    sent = 0
    while time.perf_counter() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        await _ask(reader, writer, b"EHLO mx.example.org\r\n")
        for _ in range(per_connection):
            await _ask(reader, writer, b"MAIL FROM:<>\r\n")
            await _ask(reader, writer, b"RCPT TO:<bounces@bounce.example.com>\r\n")
            await _ask(reader, writer, b"DATA\r\n")
            await _ask(reader, writer, MESSAGE + b".\r\n")
            sent += 1
        writer.close()
        await writer.wait_closed()
    return sent


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: bytes) -> None:
    writer.write(command)
    while (line := await reader.readline())[3:4] == b"-":
        pass
    if line[:1] not in b"23":
        raise RuntimeError(f"refused: {line!r}")
