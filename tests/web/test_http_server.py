"""The sockets: a real server on loopback, spoken to in bytes where that matters."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bounced.web import server
from bounced.web.server import HttpServer
from tests.logcheck import Line
from tests.web.conftest import BEARER, House

GRACE = timedelta(seconds=5)
HELLO = b"GET / HTTP/1.1\r\nHost: bounced.test\r\n\r\n"


def make_app(answer: Callable[[], Awaitable[str]] | None = None) -> Starlette:
    async def endpoint(request: Request) -> Response:
        await request.body()
        return PlainTextResponse(await answer() if answer else "hello")

    return Starlette(routes=[Route("/", endpoint, methods=["GET", "POST"])])


@contextlib.asynccontextmanager
async def serve(app: Any, **how: Any) -> AsyncIterator[HttpServer]:
    running = HttpServer(app)
    await running.start(**({"listen": "127.0.0.1:0"} | how))
    try:
        yield running
    finally:
        await running.stop(GRACE)


async def connect(running: HttpServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = running.addresses[0].rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_port_0_is_answered_on_the_real_port() -> None:
    async with serve(make_app()) as running, httpx2.AsyncClient() as client:
        (address,) = running.addresses
        answer = await client.get(f"http://{address}/")
    assert (answer.text, address.rpartition(":")[0]) == ("hello", "127.0.0.1")
    assert not address.endswith(":0")


async def test_an_answer_is_not_held_back_for_an_acknowledgement() -> None:
    async with serve(make_app()) as running:
        _, writer = await connect(running)
        await wait_for_a_connection(running)
        (connection,) = running._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        writer.close()


async def test_no_header_names_the_software() -> None:
    async with serve(make_app()) as running, httpx2.AsyncClient() as client:
        answer = await client.get(f"http://{running.addresses[0]}/")
    assert set(answer.headers) == {"date", "content-length", "content-type"}


async def test_an_occupied_address_raises_and_keeps_nothing() -> None:
    async with serve(make_app()) as running:
        second = HttpServer(make_app())
        with pytest.raises(OSError, match="in use"):
            await second.start(running.addresses[0])
        await second.stop(GRACE)
    assert second.addresses == []


async def test_a_name_of_two_addresses_is_listened_for_on_both() -> None:
    async with serve(make_app(), listen="localhost:0") as running:
        reachable = {each.rpartition(":")[0] for each in running.addresses}
    assert "127.0.0.1" in reachable


async def test_sockets_that_are_handed_over_are_used_instead(tmp_path: Path) -> None:
    tcp, local = socket.socket(), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    local.bind(str(tmp_path / "http"))
    port = tcp.getsockname()[1]
    transport = httpx2.AsyncHTTPTransport(uds=str(tmp_path / "http"))
    async with serve(make_app(), listen="127.0.0.1:1", sockets=[tcp, local]) as running:
        addresses = running.addresses
        async with httpx2.AsyncClient() as over_tcp:
            answers = [(await over_tcp.get(f"http://127.0.0.1:{port}/")).text]
        async with httpx2.AsyncClient(transport=transport) as over_unix:
            answers.append((await over_unix.get("http://bounced.test/")).text)
    assert addresses == [f"127.0.0.1:{port}", f"unix:{tmp_path / 'http'}"]
    assert answers == ["hello", "hello"]


async def test_a_request_at_hand_is_answered_before_the_end_and_no_new_one_taken() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def answer() -> str:
        entered.set()
        await release.wait()
        return "late"

    async with serve(make_app(answer)) as running, httpx2.AsyncClient() as client:
        address = running.addresses[0]
        request = asyncio.create_task(client.get(f"http://{address}/"))
        await entered.wait()
        stop = asyncio.create_task(running.stop(GRACE))
        await refuse_connections(address)
        release.set()
        assert (await request).text == "late"
        await stop


async def test_a_request_that_never_ends_does_not_hold_up_the_stop() -> None:
    entered = asyncio.Event()

    async def answer() -> str:
        entered.set()
        await asyncio.Event().wait()
        return "never"

    running = HttpServer(make_app(answer))
    await running.start("127.0.0.1:0")
    reader, writer = await connect(running)
    writer.write(HELLO)
    await entered.wait()
    async with asyncio.timeout(10):
        await running.stop(timedelta(seconds=1))
        assert b" 500 " in (await reader.readline())
    writer.close()


async def test_the_daemons_signals_are_left_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    async with serve(make_app()) as running, httpx2.AsyncClient() as client:
        await client.get(f"http://{running.addresses[0]}/")
        during = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert during == before


@pytest.mark.parametrize("said", [b"", b"GET / HT", HELLO, HELLO + b"GET / "])
async def test_a_silent_or_dripping_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.3)
    async with serve(make_app()) as running:
        reader, writer = await connect(running)
        writer.write(said)
        drip = asyncio.create_task(drip_header(writer, b"X" if said else b""))
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        drip.cancel()
        writer.close()


async def test_a_request_longer_than_the_patience_for_its_head_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer() -> str:
        await asyncio.sleep(0.5)
        return "slow"

    monkeypatch.setattr(server, "HEAD_S", 0.2)
    async with serve(make_app(answer)) as running:
        reader, writer = await connect(running)
        writer.write(HELLO * 2)
        async with asyncio.timeout(5):
            for _ in range(2):
                await reader.readuntil(b"slow")
        writer.close()


async def test_an_answer_that_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = asyncio.Event()

    async def answer() -> str:
        entered.set()
        return "x" * 20_000_000

    monkeypatch.setattr(server, "SEND_S", 0.3)
    async with serve(make_app(answer)) as running:
        _, writer = await connect(running)
        writer.transport.pause_reading()  # type: ignore[attr-defined] # what a socket's has
        writer.write(HELLO)
        async with asyncio.timeout(5):
            await entered.wait()
            await wait_for_no_connection(running)
        writer.close()


async def test_more_connections_than_allowed_are_answered_by_503(
    monkeypatch: pytest.MonkeyPatch, log: list[Line]
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with serve(make_app()) as running:
        idle = [await connect(running) for _ in range(3)]
        reader, writer = await connect(running)
        writer.write(HELLO)
        refused = await reader.readline()
        for _, other in (*idle, (reader, writer)):
            other.close()
        await wait_for_no_connection(running)
        reader, writer = await connect(running)
        writer.write(HELLO)
        welcome = await reader.readline()
        writer.close()
    assert (refused.split()[1], welcome.split()[1]) == (b"503", b"200")
    assert log == []


async def test_what_is_no_http_is_refused_without_a_line_in_the_log(log: list[Line]) -> None:
    async with serve(make_app()) as running:
        reader, writer = await connect(running)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"400"
        writer.close()
    assert log == []


async def test_the_api_is_served_and_a_huge_body_refused_early(sqlite_house: House) -> None:
    async with serve(sqlite_house.make_app()) as running, httpx2.AsyncClient() as client:
        url = f"http://{running.addresses[0]}/v1/recipients/lookup"
        good = await client.post(url, json={"recipients": ["max@example.com"]}, headers=BEARER)
        reader, writer = await connect(running)
        writer.write(
            b"POST /v1/recipients/lookup HTTP/1.1\r\nHost: bounced.test\r\n"
            b"Content-Type: application/json\r\nContent-Length: 999999999\r\n"
            b"Authorization: " + BEARER["Authorization"].encode() + b"\r\n\r\n"
        )
        refused = await reader.read()
        writer.close()
    assert good.json() == {
        "recipients": [{"recipient": "max@example.com", "known_bad": False, "cases": []}]
    }
    assert refused.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_no_news(
    sqlite_house: House, log: list[Line]
) -> None:
    async with serve(sqlite_house.make_app()) as running:
        _, writer = await connect(running)
        writer.write(
            b"POST /v1/recipients/lookup HTTP/1.1\r\nHost: bounced.test\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n"
            b"Authorization: " + BEARER["Authorization"].encode() + b'\r\n\r\n{"recipients":'
        )
        while not running._server.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        writer.transport.abort()
        await wait_for_no_connection(running)
    assert log == []


async def drip_header(writer: asyncio.StreamWriter, byte: bytes) -> None:
    while byte:
        writer.write(byte)
        await asyncio.sleep(0.02)


async def wait_for_a_connection(running: HttpServer) -> None:
    while not running._server.server_state.connections:  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.01)


async def wait_for_no_connection(running: HttpServer) -> None:
    while running._server.server_state.connections:  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.01)


async def refuse_connections(address: str) -> None:
    """Return once nothing listens on `address`."""
    host, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except ConnectionRefusedError:
            return
        writer.close()
        await asyncio.sleep(0.02)
