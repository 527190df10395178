"""The PROXY header: demanded from balancers, unknown to all others, believed for one address."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any

import pytest

from tests.listener.wire import ENVELOPE, HELLO, Site, Wire, capture_events, run_site

BEHIND: dict[str, Any] = {"proxy_protocol_from": ("127.0.0.0/8",), "own_relays": ("192.0.2.0/24",)}
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def write_v2(address: str, *, command: int = 1, protocol: int = 1, tail: bytes = b"") -> bytes:
    source = bytes(int(part) for part in address.split("."))
    addresses = source + bytes([198, 51, 100, 1]) + struct.pack("!HH", 4711, 25) + tail
    head = struct.pack("!BBH", 0x20 | command, 0x10 | protocol, len(addresses))
    return SIGNATURE + head + addresses


V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 25\r\n"
V2 = write_v2("203.0.113.9", tail=b"\x04\x00\x01x")


async def deliver(site: Site, header: bytes) -> Wire:
    wire = await site.connect()
    answers = await wire.ask_all(header + HELLO + ENVELOPE + b"DATA\r\n.\r\n", 6)
    assert answers[0][:3] == "220"
    assert answers[-1] == "250 2.0.0 Stored safely"
    return wire


@pytest.mark.parametrize(
    ("header", "client", "trust"),
    [
        (V1, "203.0.113.9", "none"),
        (V2, "203.0.113.9", "none"),
        (V1.replace(b"203.0.113.9", b"192.0.2.1"), "192.0.2.1", "relay"),
        (write_v2("192.0.2.1"), "192.0.2.1", "relay"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n", "2001:db8::7", "none"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 4711 25\r\n", "192.0.2.1", "relay"),
    ],
)
async def test_the_client_is_the_one_that_the_balancer_names(
    header: bytes, client: str, trust: str
) -> None:
    with capture_events() as lines:
        async with run_site(**BEHIND) as site:
            await deliver(site, header)
    assert [report.client for report in site.store.reports] == [client]
    assert [(line["client"], line["trust"]) for line in lines] == [(client, trust)]


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n",
        write_v2("192.0.2.1", command=0),
        SIGNATURE + struct.pack("!BBH", 0x20, 0, 0),
        SIGNATURE + struct.pack("!BBH", 0x21, 0, 0),
    ],
)
async def test_a_balancer_that_names_nobody_makes_nobody_an_own_relay(header: bytes) -> None:
    settings = BEHIND | {"own_relays": ("127.0.0.0/8", "192.0.2.0/24")}
    with capture_events() as lines:
        async with run_site(**settings) as site:
            await deliver(site, header)
    assert [report.client for report in site.store.reports] == [None]
    assert [(line["client"], line["trust"]) for line in lines] == [("unknown", "none")]


@pytest.mark.parametrize(
    "header",
    [
        HELLO,
        b"PROXY TCP4 203.0.113.9\r\n",
        b"PROXY\r\n\r\n",
        V1.replace(b"\r\n", b"\n"),
        V1.replace(b"203.0.113.9", b"203.0.113.999"),
        b"PROXY " + b"x" * 200_000,
        SIGNATURE + b"\x11\x11\x00\x00",
        SIGNATURE + struct.pack("!BBH", 0x21, 0x31, 216) + b"/" * 216,
        SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 4) + b"1234",
        write_v2("192.0.2.1", protocol=2),
    ],
    ids=range(10),
)
async def test_without_a_header_that_can_be_believed_nobody_gets_a_word(header: bytes) -> None:
    with capture_events() as lines:
        async with run_site(**BEHIND) as site:
            wire = await site.connect()
            wire.writer.write(header + ENVELOPE)
            with contextlib.suppress(ConnectionError):
                assert await wire.read_to_end() == b""
            await site.wait_until_gone()
            assert site.listener._gate._by_client == {}
    assert [(line["why"], line["client"]) for line in lines] == [("proxy-header", "127.0.0.1")]


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4", V2[:20]])
async def test_half_a_header_is_waited_for_no_longer_than_for_a_command(header: bytes) -> None:
    with capture_events() as lines:
        async with run_site(command_timeout="50ms", **BEHIND) as site:
            wire = await site.connect()
            await wire.send(header)
            assert await wire.read_to_end() == b""
            await site.wait_until_gone()
    assert [line["why"] for line in lines] == ["proxy-header"]


async def test_a_balancer_that_only_looks_whether_we_are_there_is_no_refusal() -> None:
    with capture_events() as lines:
        async with run_site(**BEHIND) as site:
            await (await site.connect()).close()
            await site.wait_until_gone()
    assert lines == []


async def test_from_others_the_header_is_an_unknown_command() -> None:
    with capture_events():
        async with run_site(proxy_protocol_from=("192.0.2.0/24",)) as site:
            wire = await site.connect()
            assert (await wire.ask_all(V1, 2))[1] == "500 5.5.1 Command not known here"
            wire = await site.connect()
            await wire.send(V2)
            answers = [await wire.read_reply() for _ in range(3)]
            assert [answer[:3] for answer in answers] == ["220", "500", "500"]


async def test_each_client_behind_the_balancer_has_a_limit_of_its_own() -> None:
    with capture_events() as lines:
        async with run_site(max_connections_per_client=1, **BEHIND) as site:
            first, _ = await deliver(site, V1), await site.connect()
            second = await site.connect()
            assert (await second.ask(V2))[:9] == "421 4.7.0"
            assert await second.read_to_end() == b""
            await deliver(site, write_v2("203.0.113.10"))
            await first.ask(b"QUIT\r\n")
            await first.read_to_end()
            await deliver(site, V1)
    refused = [(line["why"], line["client"]) for line in lines if "why" in line]
    assert refused == [("too-many-connections-from-client", "203.0.113.9")]


async def test_connections_whose_client_is_not_known_yet_fill_no_house() -> None:
    with capture_events() as lines:
        async with run_site(max_connections=3, max_connections_per_client=1, **BEHIND) as site:
            for _ in range(9):
                await site.connect()
                await asyncio.sleep(0)
            await deliver(site, V1)
            assert len(list(site.listener._gate)) == 3
    assert {line["why"] for line in lines if "why" in line} == {"made-room"}
