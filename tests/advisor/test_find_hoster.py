"""Who runs a domain's zone; asked of a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from bounced.advisor.hosters import find_hoster
from tests.advisor.failing import ask, refuse
from tests.advisor.nameserver import NameServer

IONOS = ["ns1038.ui-dns.com.", "ns1031.ui-dns.de."]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    records = {("firma.test", "NS"): IONOS, ("unknown.test", "NS"): ["ns.unknown.test."]}
    async with NameServer(records).run() as running:
        yield running


async def test_the_servers_of_the_zone_tell_the_hoster(server: NameServer) -> None:
    assert await find_hoster(ask(server), "Firma.test.") == "ionos"
    assert await find_hoster(ask(server), "unknown.test") is None
    assert await find_hoster(ask(server), "nowhere.test") is None


async def test_a_domain_inside_the_zone_has_the_zones_hoster(server: NameServer) -> None:
    assert await find_hoster(ask(server), "nord.bau.firma.test") == "ionos"


async def test_a_zone_of_its_own_has_its_own_hoster(server: NameServer) -> None:
    server.records["bau.firma.test", "NS"] = ["docks17.rzone.de."]
    assert await find_hoster(ask(server), "nord.bau.firma.test") == "strato"


async def test_nobody_is_asked_above_the_organization(server: NameServer) -> None:
    await find_hoster(ask(server), "bau.nowhere.test")
    assert server.list_asked() == [("bau.nowhere.test", "NS"), ("nowhere.test", "NS")]


async def test_a_failed_look_up_names_nobody(server: NameServer) -> None:
    server.odd["bau.firma.test"] = refuse
    assert await find_hoster(ask(server), "bau.firma.test") is None


async def test_of_a_deep_domain_four_names_are_asked(server: NameServer) -> None:
    assert await find_hoster(ask(server), "a.b.c.d.firma.test") is None
    assert len(server.asked) == 4
