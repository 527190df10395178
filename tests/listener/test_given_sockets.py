"""Sockets that somebody else has opened stand in for the configured addresses of their kind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bounced.config import SmtpSettings
from tests.listener.wire import ENVELOPE, HELLO, Site, Store, Wire, capture_events


@contextlib.contextmanager
def given(place: tuple[str, int] | str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a listening socket and the copy of it that is given away."""
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as opened:
        opened.bind(place)
        opened.listen()
        yield opened, opened.dup()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    settings = SmtpSettings(
        listen=("127.0.0.1:0",),
        lmtp_listen=(f"unix:{tmp_path}/configured",),
        hostname="bounce.example.com",
    )
    return Site(settings, Store())


async def test_given_sockets_are_served_in_place_of_the_configured_ones(
    site: Site, tmp_path: Path
) -> None:
    local = str(tmp_path / "given")
    with (
        given(("127.0.0.1", 0)) as (_, first),
        given(("127.0.0.1", 0)) as (_, second),
        given(local) as (_, third),
        capture_events(),
    ):
        ports = [sock.getsockname()[1] for sock in (first, second)]
        await site.listener.start({"smtp": [first, second], "lmtp": [third]})
        assert site.listener.smtp == [f"127.0.0.1:{port}" for port in ports]
        assert site.listener.lmtp == [f"unix:{local}"]
        assert not (tmp_path / "configured").exists()
        for port in ports:
            wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
            await wire.ask_all(HELLO + ENVELOPE + b"DATA\r\n.\r\n", 6)
            await wire.close()
        wire = Wire(*await asyncio.open_unix_connection(local))
        assert (await wire.ask_all(b"LHLO x\r\n", 2))[0].startswith("220 bounce.example.com LMTP")
        await wire.close()
        await site.listener.stop(timedelta(0))
    assert len(site.store.reports) == 2


async def test_a_kind_without_given_sockets_is_listened_on_as_configured(
    site: Site, tmp_path: Path
) -> None:
    with given(("127.0.0.1", 0)) as (_, sock):
        await site.listener.start({"smtp": [sock]})
        assert site.listener.lmtp == [f"unix:{tmp_path}/configured"]
        await site.listener.stop(timedelta(0))


async def test_given_sockets_go_on_listening_after_the_end(site: Site, tmp_path: Path) -> None:
    local = tmp_path / "given"
    with given(str(local)) as (opened, sock):
        await site.listener.start({"lmtp": [sock]})
        await site.listener.stop(timedelta(0))
        assert local.exists()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(local))  # waits in the kernel for the next daemon
            opened.accept()[0].close()


async def test_a_reload_keeps_the_given_sockets(site: Site) -> None:
    with given(("127.0.0.1", 0)) as (_, sock):
        await site.listener.start({"smtp": [sock]})
        before = site.listener.smtp
        house = await site.listener.prepare(SmtpSettings(hostname="other.example.com"))
        site.listener.take(house)
        assert site.listener.smtp == before
        wire = await site.connect()
        assert (await wire.read_reply()).startswith("220 other.example.com")
        await wire.close()
        await site.listener.stop(timedelta(0))
