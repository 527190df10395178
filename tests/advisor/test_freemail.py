"""Which domains are mail services', by the table or by where their mail goes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bounced.advisor.freemail import Keeper, find_keeper
from tests.advisor.failing import ask, quote, refuse
from tests.advisor.nameserver import NameServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer().run() as running:
        yield running


@pytest.mark.parametrize(
    "domain",
    [
        "gmx.de",
        "GMX.de.",
        "user.gmx.de",
        "gmail.com",
        "t-online.de",
        "posteo.de",
        "firma.onmicrosoft.com",
        "firma.mail.onmicrosoft.com",
        "w0123456.kasserver.com",
        "firma.de.test-google-a.com",
    ],
)
async def test_a_service_is_known_without_dns(domain: str) -> None:
    assert await find_keeper(None, domain) is Keeper.PROVIDER


async def test_without_dns_nothing_is_known_of_other_domains() -> None:
    assert await find_keeper(None, "firma.de") is None
    assert await find_keeper(None, "gmx.de.firma.de") is None


@pytest.mark.parametrize(
    "hosts",
    [
        ["gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com"],
        ["live-de.olc.protection.outlook.com"],
        ["mx-eu.mail.am0.yahoodns.net"],
        ["MX00.EMIG.GMX.net", "mx01.emig.gmx.net"],
        ["mx00.mail.com", "mx01.mail.com"],
        ["mx-ha02.web.de", "mx-ha03.web.de"],
        ["mx00.t-online.de", "mx03.t-online.de"],
        ["mx04.posteo.de"],
    ],
)
async def test_a_domain_whose_mail_goes_to_a_services_own_hosts_is_the_services(
    server: NameServer, hosts: list[str]
) -> None:
    server.records["neu.test", "MX"] = [f"10 {host}." for host in hosts]
    assert await find_keeper(ask(server), "neu.test") is Keeper.PROVIDER


@pytest.mark.parametrize(
    "hosts",
    [
        ["mx00.ionos.de", "mx01.ionos.de"],
        ["mx00.kundenserver.de"],
        ["aspmx.l.google.com", "alt1.aspmx.l.google.com"],
        ["smtp.google.com"],
        ["firma-de.mail.protection.outlook.com"],
        ["olc.protection.outlook.com"],
        ["mx01.mail.icloud.com", "mx02.mail.icloud.com"],
        ["mail.protonmail.ch", "mailsec.protonmail.ch"],
        ["mx-biz.mail.am0.yahoodns.net"],
        ["mxext1.mailbox.org"],
        ["smtpin.rzone.de"],
        ["mail.firma.test", "mx00.emig.gmx.net"],
        [""],
    ],
)
async def test_a_customers_own_domain_is_none(server: NameServer, hosts: list[str]) -> None:
    server.records["firma.test", "MX"] = [f"10 {host.rstrip('.')}." for host in hosts]
    assert await find_keeper(ask(server), "firma.test") is Keeper.OWNER


async def test_a_domain_without_mail_is_none(server: NameServer) -> None:
    server.records["web.test", "TXT"] = quote("nothing else")
    assert await find_keeper(ask(server), "web.test") is Keeper.OWNER


async def test_a_domain_that_does_not_exist_is_nobodys(server: NameServer) -> None:
    assert await find_keeper(ask(server), "nowhere.test") is Keeper.NOBODY
    assert await find_keeper(ask(server), "mail.nowhere.test") is Keeper.NOBODY


async def test_below_a_domain_that_exists_its_owner_can_publish(server: NameServer) -> None:
    server.records["firma.test", "A"] = ["192.0.2.1"]
    assert await find_keeper(ask(server), "new.firma.test") is Keeper.OWNER
    server.odd["firma.test"] = refuse
    assert await find_keeper(ask(server), "new.firma.test") is None


async def test_where_dns_fails_it_is_not_known(server: NameServer) -> None:
    server.odd["firma.test"] = refuse
    assert await find_keeper(ask(server), "firma.test") is None


@pytest.mark.parametrize("domain", ["", ".", "\ud800", "a b", "x" * 300])
async def test_what_is_no_domain_is_nobodys(server: NameServer, domain: str) -> None:
    assert await find_keeper(ask(server), domain) is Keeper.NOBODY
