"""How many requests the API answers, and how long a client waits, through uvicorn over loopback.

Clients run in a process of their own; figures are for SQLite. `/healthz` in the same run is what
HTTP itself costs: the ratio of CPU time to it does not depend on what else the machine does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bounced.config import LogSettings
from bounced.ledger.engine import Ledger
from bounced.ledger.outbox import NewEvent, publish
from bounced.ledger.policy import PolicySettings
from bounced.ledger.writer import Writer
from bounced.logs import Event, configure
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing
from bounced.web.api import Api
from bounced.web.app import make_app
from bounced.web.metrics import EventCounter
from bounced.web.server import HttpServer
from bounced.web.tokens import TokenFile

TOKEN = secrets.token_hex(16)
CLIENTS = 8
SECONDS = 3.0
EVENTS = 1000

Requests = Iterator[bytes]


def run() -> list[tuple[str, float]]:
    """Return figure and value: requests a second, p99, and the server's CPU to /healthz's."""
    configure(LogSettings(format="json", level="error"))
    return asyncio.run(_measure())


async def _measure() -> list[tuple[str, float]]:
    figures: list[tuple[str, float]] = []
    costs: dict[str, float] = {}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        async with _serve() as address:
            for name in SHAPES:
                started_s = time.process_time()
                waits_ms = await asyncio.get_running_loop().run_in_executor(
                    pool, _load, address, name, TOKEN
                )
                costs[name] = (time.process_time() - started_s) / len(waits_ms)
                p99_ms = statistics.quantiles(waits_ms, n=100)[98]
                figures += [
                    (f"api, {name}, requests a second", len(waits_ms) / SECONDS),
                    (f"api, {name}, p99 ms", p99_ms),
                    (f"api, {name}, CPU to that of /healthz", costs[name] / costs["health"]),
                ]
    return figures


@contextlib.asynccontextmanager
async def _serve() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens"
        tokens.write_text(f"bench {TOKEN}\n")
        ledger = Ledger(f"sqlite:///{folder}/bounced.db")
        ledger.prepare()
        now = datetime.now(UTC)
        ledger.write(
            lambda connection: publish(
                connection,
                [NewEvent(Event.STRIKE_COUNTED, {"case": f"{i:016x}"}) for i in range(EVENTS)],
                now,
            )
        )
        writer = Writer(ledger)
        server = HttpServer(make_app(_make_api(ledger, writer, TokenFile(tokens))))
        await server.start("127.0.0.1:0")
        yield server.addresses[0]
        await server.stop(timedelta(seconds=1))
        writer.stop()
        ledger.close()


def _make_api(ledger: Ledger, writer: Writer, tokens: TokenFile) -> Api:
    admission = AdmissionSettings(domains=("bounce.example.com",))
    ring = KeyRing((Key("a", bytes(32), datetime.now(UTC).date()),))
    return Api(
        ledger=ledger,
        writer=writer,
        admission=lambda: (admission, ring),
        policy=PolicySettings,
        tokens=lambda: tokens,
        faults=lambda: (),
        events=EventCounter(),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: secrets.token_hex(8),
    )


def _get(path: str) -> Requests:
    while True:
        yield f"GET {path} HTTP/1.1\r\nHost: bench\r\n".encode()


def _post(path: str, make: Callable[[], object]) -> Requests:
    while True:
        body = json.dumps(make()).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n".encode() + b"BODY" + body


def _make_sends(count: int) -> Requests:
    key = secrets.token_hex(8)
    numbers = itertools.count()
    return _post(
        "/v1/sends",
        lambda: {
            "sends": [
                {
                    "key": f"{key}-{next(numbers)}",
                    "author": "anna@building.example",
                    "recipients": ["max@example.com"],
                    "reference": "4711",
                    "title": "Protocol of 22 November",
                    "url": "https://app.example/protocols/4711",
                }
                for _ in range(count)
            ]
        },
    )


def _make_lookup() -> Requests:
    asked = {"recipients": [f"recipient-{i}@example.com" for i in range(1000)]}
    return _post("/v1/recipients/lookup", lambda: asked)


SHAPES: dict[str, Callable[[], Requests]] = {
    "health": lambda: _get("/healthz"),
    "1 send": lambda: _make_sends(1),
    "1,000 sends": lambda: _make_sends(1000),
    "lookup of 1,000": _make_lookup,
    "100 events": lambda: _get("/v1/events"),
    "1,000 events": lambda: _get("/v1/events?limit=1000"),
}


def _load(address: str, name: str, token: str) -> list[float]:
    return asyncio.run(_drive(address, name, token))


async def _drive(address: str, name: str, token: str) -> list[float]:
    end = time.perf_counter() + SECONDS
    clients = (_ask(address, SHAPES[name](), token, end) for _ in range(CLIENTS))
    return [wait for waits in await asyncio.gather(*clients) for wait in waits]


async def _ask(address: str, requests: Requests, token: str, end: float) -> list[float]:
    """Ask on one connection, one request after the other; return the waits in milliseconds."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
    waits_ms = []
    for request in requests:
        head, _, body = request.partition(b"BODY")
        whole = head + f"Authorization: Bearer {token}\r\n\r\n".encode() + body
        started = time.perf_counter()
        if started > end:
            break
        writer.write(whole)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not answer.startswith(b"http/1.1 200 "):
            raise RuntimeError(f"refused: {answer!r}")
        length = answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        waits_ms.append((time.perf_counter() - started) * 1000)
    writer.close()
    return waits_ms
