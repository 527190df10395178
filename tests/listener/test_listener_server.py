"""Where the listener listens, how many it lets in, and how it stops."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from bounced.config import SmtpSettings
from bounced.listener.client import Client, find_client
from bounced.model import ConfigError
from bounced.origin.admission import AdmissionSettings
from tests.listener.wire import (
    ENVELOPE,
    FOREIGN,
    PATIENCE_S,
    Store,
    capture_events,
    run_site,
)

GRACE = timedelta(seconds=PATIENCE_S)


async def test_the_real_addresses_are_told() -> None:
    async with run_site(listen=("127.0.0.1:0", "[::1]:0"), lmtp_listen=("127.0.0.1:0",)) as site:
        smtp, lmtp = site.listener.smtp, site.listener.lmtp
    assert [address.rpartition(":")[0] for address in smtp + lmtp] == [
        "127.0.0.1",
        "[::1]",
        "127.0.0.1",
    ]
    assert "0" not in [address.rpartition(":")[2] for address in smtp + lmtp]


async def test_a_bounce_comes_in_over_ipv6() -> None:
    with capture_events():
        async with run_site(listen=("[::1]:0",)) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n.\r\n", 4)
    assert [report.client for report in site.store.reports] == ["::1"]


async def test_without_a_configured_name_the_host_tells_its_own() -> None:
    async with run_site(hostname="") as site:
        wire = await site.connect()
        assert (await wire.read_reply()).split()[1] == socket.getfqdn()


async def test_a_taken_port_is_an_oserror_and_nothing_stays_open() -> None:
    with socket.socket() as free, socket.socket() as taken:
        for sock in (free, taken):
            sock.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
        free.close()
        taken.listen()
        addresses = (f"127.0.0.1:{free_port}", f"127.0.0.1:{taken.getsockname()[1]}")
        told = re.escape(f"smtp.listen: {addresses[1]}: Address already in use")
        with pytest.raises(OSError, match=rf"{told}$"):
            async with run_site(listen=addresses):
                pass
        async with run_site(listen=addresses[:1]) as site:
            assert site.listener.smtp == [addresses[0]]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nowhere.example:0", r"\w.+"),
        ("192.0.2.1:0", "Cannot assign requested address"),
    ],
)
async def test_an_address_that_is_not_ours_is_told_with_its_key(address: str, why: str) -> None:
    with pytest.raises(OSError, match=rf"smtp\.listen: {address}: {why}$"):
        async with run_site(listen=(address,)):
            pass


@pytest.mark.parametrize("content", [None, "this is no certificate"])
async def test_a_certificate_that_cannot_be_used_is_named(
    content: str | None, tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate.pem"
    if content is not None:
        certificate.write_text(content)
    with pytest.raises(ConfigError, match=r"tls_certificate_file.*certificate\.pem"):
        async with run_site(tls_certificate_file=certificate, tls_key_file=certificate):
            pass


async def test_the_connection_too_many_is_sent_away_until_another_ends() -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events() as lines:
        async with run_site(store, max_connections=2) as site:
            first, second = await site.greet(), await site.greet()
            for wire in (first, second):  # those whose messages are being stored make no room
                store.entered.clear()
                await wire.send(ENVELOPE + b"DATA\r\n.\r\n")
                await store.entered.wait()
            third = await site.connect()
            assert await third.read_to_end() == (
                b"421 4.7.0 Too many connections; try again later\r\n"
            )
            store.release.set()
            await first.send(b"QUIT\r\n")
            await first.read_to_end()
            fourth = await site.connect()
            assert (await fourth.read_reply())[:3] == "220"
    assert [(line["why"], line["client"]) for line in lines if "why" in line] == [
        ("too-many-connections", "127.0.0.1")
    ]


async def test_one_client_may_not_take_every_connection() -> None:
    with capture_events() as lines:
        async with run_site(
            listen=("127.0.0.1:0", "[::1]:0"), max_connections_per_client=1
        ) as site:
            await site.greet()
            second = await site.connect()
            assert (await second.read_to_end())[:9] == b"421 4.7.0"
            port = int(site.listener.smtp[1].rpartition(":")[2])
            reader, writer = await asyncio.open_connection("::1", port)
            assert (await reader.readline())[:3] == b"220"
            writer.close()
            await writer.wait_closed()
    assert [line["why"] for line in lines] == ["too-many-connections-from-client"]


async def test_a_connection_that_is_counted_out_twice_counts_once() -> None:
    async with run_site(max_connections=1) as site:
        await site.greet()
        gate = site.listener._gate
        [connection] = gate
        gate.leave(connection)
        gate.leave(connection)
        assert gate._by_client == {}
        assert gate.enter(connection, known=True) is None


@pytest.mark.parametrize(
    ("peername", "client"),
    [
        (("192.0.2.7", 25), "192.0.2.7"),
        (("2001:db8::7", 25, 0, 0), "2001:db8::7"),
        (("fe80::7%eth0", 25, 0, 2), "fe80::7"),
        (("::ffff:192.0.2.7", 25, 0, 0), "192.0.2.7"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_client_is_named_by_its_address(peername: object, client: str) -> None:
    assert str(find_client(peername, ())) == client


@pytest.mark.parametrize(
    ("peername", "own"),
    [
        (("192.0.2.7", 25), True),
        (("::ffff:192.0.2.7", 25, 0, 0), True),
        (("198.51.100.7", 25), False),
        (("2001:db8::7", 25, 0, 0), False),
        ("", False),
    ],
)
def test_own_relays_are_known_by_their_network(peername: object, own: bool) -> None:
    assert find_client(peername, [ipaddress.ip_network("192.0.2.0/24")]).own_relay is own


def test_a_site_on_ipv6_is_one_client() -> None:
    addresses = ["2001:db8:0:1::7", "2001:db8:0:1:ffff::", "2001:db8:0:2::7", "192.0.2.7"]
    groups = {Client(ipaddress.ip_address(text), own_relay=False).group for text in addresses}
    assert groups == {"2001:db8:0:1::/64", "2001:db8:0:2::/64", "192.0.2.7"}


async def test_a_reload_changes_who_may_enter_and_what_holds_for_new_sessions() -> None:
    with capture_events():
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            site.admission = AdmissionSettings(domains=("other.example.com",))
            answers = await wire.ask_all(ENVELOPE, 2)
            assert answers[1][:9] == "550 5.7.1"
            settings = SmtpSettings(hostname="other.example.com", max_connections=1)
            site.listener.take(await site.listener.prepare(settings))
            assert await wire.ask(b"NOOP\r\n") == "250 2.0.0 OK"
            later = await site.connect()
            assert (await wire.read_to_end())[:9] == b"421 4.3.2"
            assert (await later.read_reply()).split()[1] == "other.example.com"


async def test_stopping_says_goodbye_to_those_who_only_talk() -> None:
    with capture_events():
        async with run_site() as site:
            wire = await site.greet()
            await site.listener.stop(GRACE)
            assert await wire.read_to_end() == (
                b"421 4.3.2 This host is shutting down; try again later\r\n"
            )


async def test_stopping_lets_a_message_be_finished_and_takes_no_connection() -> None:
    with capture_events():
        async with run_site() as site:
            port = int(site.listener.smtp[0].rpartition(":")[2])
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            stopping = asyncio.create_task(site.listener.stop(GRACE))
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            assert await wire.ask(b".\r\n") == "250 2.0.0 Stored safely"
            assert (await wire.read_to_end())[:9] == b"421 4.3.2"
            await stopping
    assert len(site.store.reports) == 1


async def test_stopping_waits_for_a_commit_whose_client_is_gone() -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events():
        async with run_site(store) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await wire.send(b".\r\n")
            await store.entered.wait()
            wire.reset()
            await site.wait_until_gone()
            stopping = asyncio.create_task(site.listener.stop(GRACE))
            await asyncio.sleep(0.05)
            assert not stopping.done()
            store.release.set()
            await stopping
            assert len(store.reports) == 1


async def test_stopping_cuts_off_what_the_grace_was_too_short_for() -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events():
        async with run_site(store) as site:
            reading, storing = await site.greet(), await site.greet()
            await reading.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await storing.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await storing.send(b".\r\n")
            await store.entered.wait()
            await site.listener.stop(timedelta(milliseconds=50))
            for wire in (reading, storing):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await wire.reader.readexactly(1)
            store.release.set()
            await asyncio.sleep(0.01)
