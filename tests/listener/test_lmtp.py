"""LMTP, over TCP and through a file: one reply for each recipient, and who may connect."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bounced.model import LedgerError
from tests.listener.wire import TOKEN, Site, Store, Wire, capture_events, run_site

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"
RECIPIENTS = (
    "bounces@bounce.example.com",
    f"{TOKEN}@bounce.example.com",
    "postmaster@bounce.example.com",
)
LHLO = b"LHLO relay.example.com\r\n"
SENDER_OK, RECIPIENT_OK = "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"
START = "354 Send the message, end it with a line of one dot"
STORED = "250 2.0.0 Stored safely"
TRY_LATER = "451 4.3.0 Could not be stored just now; try again later"
TOO_LARGE = "552 5.3.4 Message larger than this host takes"


@asynccontextmanager
async def run_lmtp(
    place: str, store: Store | None = None, **settings: object
) -> AsyncIterator[tuple[Site, Wire]]:
    """Run a listener on LMTP at `place`, and connect to it."""
    with capture_events():
        async with run_site(store, listen=(), lmtp_listen=(place,), **settings) as site:
            (address,) = site.listener.lmtp
            if address.startswith("unix:"):
                streams = await asyncio.open_unix_connection(address.removeprefix("unix:"))
            else:
                host, _, port = address.rpartition(":")
                streams = await asyncio.open_connection(host, int(port))
            wire = Wire(*streams)
            try:
                await wire.read_reply()
                yield site, wire
            finally:
                await wire.close()


@pytest.fixture(params=["tcp", "unix"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/lmtp"


async def _deliver(wire: Wire, message: bytes = MESSAGE) -> list[str]:
    """Send one message to all RECIPIENTS; returns the replies after its end."""
    commands = [LHLO, b"MAIL FROM:<>\r\n"]
    commands += [f"RCPT TO:<{recipient}>\r\n".encode() for recipient in RECIPIENTS]
    replies = await wire.ask_all(b"".join(commands) + b"DATA\r\n", 6)
    assert replies[1:] == [SENDER_OK, *[RECIPIENT_OK] * 3, START]
    return await wire.ask_all(message + b".\r\n", 3)


async def test_each_recipient_is_stored_and_answered(place: str) -> None:
    async with run_lmtp(place) as (site, wire):
        assert await _deliver(wire) == [STORED] * 3
    assert [report.envelope_recipient for report in site.store.reports] == list(RECIPIENTS)
    assert {report.raw for report in site.store.reports} == {MESSAGE}


@pytest.mark.parametrize("error", [LedgerError("the database is lost"), RuntimeError("a bug")])
async def test_what_cannot_be_stored_is_refused_to_each_recipient(
    place: str, error: Exception
) -> None:
    async with run_lmtp(place, Store(error=error)) as (_, wire):
        assert await _deliver(wire) == [TRY_LATER] * 3


async def test_what_is_too_large_is_refused_to_each_recipient(place: str) -> None:
    async with run_lmtp(place, max_message="1KiB") as (site, wire):
        assert await _deliver(wire, b"x" * 2000 + b"\r\n") == [TOO_LARGE] * 3
        assert await _deliver(wire) == [STORED] * 3
    assert len(site.store.reports) == 3


async def test_what_is_smuggled_is_refused_to_each_recipient(place: str) -> None:
    async with run_lmtp(place) as (site, wire):
        replies = await _deliver(wire, b"x\n.\nMAIL FROM:<>\r\n")
        assert {reply[:9] for reply in replies} == {"550 5.5.2"}
        assert await wire.ask(b"NOOP\r\n") == "250 2.0.0 OK"
    assert site.store.reports == []


async def test_a_refused_recipient_gets_no_reply_after_the_message(place: str) -> None:
    async with run_lmtp(place) as (_, wire):
        replies = await wire.ask_all(
            LHLO
            + b"MAIL FROM:<>\r\nRCPT TO:<x@elsewhere.example>\r\n"
            + b"RCPT TO:<bounces@bounce.example.com>\r\nDATA\r\n",
            5,
        )
        assert [reply[:3] for reply in replies[1:]] == ["250", "550", "250", "354"]
        assert await wire.ask_all(MESSAGE + b".\r\nNOOP\r\n", 2) == [STORED, "250 2.0.0 OK"]


async def test_owner_and_group_may_connect_and_the_file_goes_with_the_listener(
    tmp_path: Path,
) -> None:
    file = tmp_path / "lmtp"
    before = os.umask(0)
    try:
        async with run_lmtp(f"unix:{file}") as (site, _):
            assert stat.filemode(file.stat().st_mode) == "srw-rw----"
            assert site.listener.lmtp == [f"unix:{file}"]
    finally:
        os.umask(before)
    assert not file.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another group")
async def test_the_folder_gives_the_socket_its_group(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, -1, 65_533)
    folder.chmod(0o2770)
    async with run_lmtp(f"unix:{folder}/lmtp"):
        assert (folder / "lmtp").stat().st_gid == 65_533


async def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "lmtp"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(file))
        dead.listen()
    async with run_lmtp(f"unix:{file}") as (_, wire):
        assert await _deliver(wire) == [STORED] * 3


async def test_the_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "lmtp"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(file))
        alive.listen()
        with pytest.raises(OSError, match=f": unix:{file}: Address already in use"):
            async with run_site(lmtp_listen=(f"unix:{file}",)):
                pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(file))


async def test_a_living_server_that_is_too_busy_to_answer_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "lmtp"
    with socket.socket(socket.AF_UNIX) as alive, socket.socket(socket.AF_UNIX) as waiting:
        alive.bind(str(file))
        alive.listen(0)
        waiting.connect(str(file))  # nobody takes it: the next one would have to wait
        with pytest.raises(OSError, match=f": unix:{file}: Address already in use"):
            async with run_site(lmtp_listen=(f"unix:{file}",)):
                pass
        assert file.exists()


async def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "lmtp"
    file.write_text("precious")
    with pytest.raises(OSError, match=f": unix:{file}: Address already in use"):
        async with run_site(lmtp_listen=(f"unix:{file}",)):
            pass
    assert file.read_text() == "precious"


async def test_a_start_that_fails_leaves_no_socket(tmp_path: Path) -> None:
    file = tmp_path / "lmtp"
    places = (f"unix:{file}", f"unix:{tmp_path}/absent/lmtp")
    told = f"smtp.lmtp_listen: {places[1]}: No such file or directory$"
    with pytest.raises(OSError, match=told):
        async with run_site(lmtp_listen=places):
            pass
    assert not file.exists()


async def test_a_client_of_the_file_is_an_own_relay(tmp_path: Path) -> None:
    async with run_lmtp(f"unix:{tmp_path}/lmtp", own_relays=()) as (site, wire):
        replies = await wire.ask_all(
            LHLO + b"MAIL FROM:<x@example.org>\r\nRCPT TO:<anything@bounce.example.com>\r\n", 3
        )
        assert replies[1:] == [SENDER_OK, RECIPIENT_OK]
        await wire.ask_all(b"DATA\r\n" + MESSAGE + b".\r\n", 2)
    assert [report.client for report in site.store.reports] == ["local"]
