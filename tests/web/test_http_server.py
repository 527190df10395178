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
        address = running.addresses[0]
        with pytest.raises(OSError, match=f"http.listen: {address}: Address already in use$"):
            await second.start(address)
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


@pytest.mark.parametrize("closed_by", ["patience", "keep-alive", "the client's own wish"])
async def test_a_little_that_nobody_reads_keeps_no_connection(
    monkeypatch: pytest.MonkeyPatch, closed_by: str
) -> None:
    monkeypatch.setattr(server, "SEND_S", 0.5)
    monkeypatch.setattr(server, "HEAD_S", 0.1 if closed_by == "patience" else 60)
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.1 if closed_by == "keep-alive" else 60)
    wish = b"Connection: close\r\n" if closed_by == "the client's own wish" else b""
    async with serve(make_app(say_little), sockets=[bind_narrow()]) as running:
        reader = connect_narrow(running)
        reader.sendall(HELLO.replace(b"\r\n\r\n", b"\r\n" + wish + b"\r\n"))
        await wait_for_a_rest_unread(running)
        async with asyncio.timeout(5):
            await wait_for_no_connection(running)
        reader.close()


async def test_pipelined_requests_whose_answers_nobody_reads_keep_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "SEND_S", 0.5)
    async with serve(make_app(say_little), sockets=[bind_narrow()]) as running:
        reader = connect_narrow(running)
        reader.sendall(HELLO * 20)
        await wait_for_a_rest_unread(running)
        async with asyncio.timeout(5):
            await wait_for_no_connection(running)
        reader.close()


async def test_a_little_that_nobody_reads_outlives_no_stop() -> None:
    running = HttpServer(make_app(say_little))
    await running.start("127.0.0.1:1", [bind_narrow()])
    reader = connect_narrow(running)
    reader.sendall(HELLO)
    await wait_for_a_rest_unread(running)
    await running.stop(timedelta(seconds=1))
    async with asyncio.timeout(5):
        await wait_for_no_connection(running)
    reader.close()


async def test_above_the_limit_the_connection_that_has_rested_longest_goes(
    monkeypatch: pytest.MonkeyPatch, log: list[Line]
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with serve(make_app()) as running:
        first, second, third = [await connect(running) for _ in range(3)]
        await ask(first)
        fourth = await connect(running)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await second[0].read() == b""
        answers = [await ask(each) for each in (first, third, fourth)]
        for _, writer in (first, second, third, fourth):
            writer.close()
    assert answers == [b"HTTP/1.1 200 OK\r\n"] * 3
    assert log == []


async def test_newcomers_above_the_limit_go_where_nobody_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered, release = asyncio.Semaphore(0), asyncio.Event()

    async def answer() -> str:
        entered.release()
        await release.wait()
        return "late"

    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with serve(make_app(answer)) as running:
        at_work = [await connect(running) for _ in range(3)]
        for _, writer in at_work:
            writer.write(HELLO)
            await entered.acquire()
        newcomers = await asyncio.gather(*(connect(running) for _ in range(10)))
        async with asyncio.timeout(5):
            for reader, _ in newcomers:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        release.set()
        answers = [await reader.readline() for reader, _ in at_work]
        for _, writer in (*at_work, *newcomers):
            writer.close()
    assert answers == [b"HTTP/1.1 200 OK\r\n"] * 3


async def test_a_crowd_that_comes_at_once_is_let_in_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with serve(make_app()) as running:
        crowd = await asyncio.gather(*(connect(running) for _ in range(20)))
        seen = await asyncio.gather(*(is_closed(reader) for reader, _ in crowd))
        for _, writer in crowd:
            writer.close()
    assert sum(seen) == 17


async def test_requests_whose_clients_have_gone_count_too(
    monkeypatch: pytest.MonkeyPatch, log: list[Line]
) -> None:
    entered, release = asyncio.Semaphore(0), asyncio.Event()

    async def answer() -> str:
        entered.release()
        await release.wait()
        return "to nobody"

    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with serve(make_app(answer)) as running:
        for _ in range(4):
            _, writer = await connect(running)
            writer.write(HELLO)
            await entered.acquire()
            writer.transport.abort()
            await wait_for_no_connection(running)
        last = await connect(running)
        refused = await ask(last)
        release.set()
        last[1].close()
    assert refused.split()[1] == b"503"
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


async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    """Return the status line; small answers are read whole."""
    reader, writer = connection
    writer.write(HELLO)
    line = await reader.readline()
    if line.split()[1] == b"200":
        await reader.readuntil(b"hello")
    return line


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Tell whether the other side hangs up within a second."""
    try:
        async with asyncio.timeout(1):
            return await reader.read() == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def say_little() -> str:
    """Answer more than a narrow socket takes, less than what asyncio calls much."""
    return "x" * 50_000


def bind_narrow() -> socket.socket:
    """Return a socket whose connections take a few kilobytes ahead of the reader."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    bound.bind(("127.0.0.1", 0))
    return bound


def connect_narrow(running: HttpServer) -> socket.socket:
    host, _, port = running.addresses[0].rpartition(":")
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    reader.connect((host, int(port)))
    return reader


async def wait_for_a_rest_unread(running: HttpServer) -> None:
    await wait_for_a_connection(running)
    (connection,) = running._server.server_state.connections
    while not connection.transport.get_write_buffer_size():  # noqa: ASYNC110 - has no event
        await asyncio.sleep(0.01)
    assert connection.transport.get_write_buffer_size() < 2**16  # asyncio's high-water mark


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
