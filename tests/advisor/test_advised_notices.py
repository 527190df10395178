"""From the bounce to the notice: the author is asked what he meant, and never waits for DNS."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bounced.advisor.adviser import Adviser
from bounced.daemon import Daemon
from tests.advisor.nameserver import NameServer
from tests.daemon_site import Site, deliver, list_notices, read_mails
from tests.logcheck import Line, find_events
from tests.processor.mails import make_bounce

TYPED, MEANT = "max@gmial.com", "max@gmail.com"


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path) -> Site:
    shutil.copy(sqlite_template, tmp_path / "bounced.db")
    return Site(tmp_path)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer({("gmail.com", "MX"): ["10 mx.gmail.com."]}).run() as running:
        yield running


def configure(site: Site, server: NameServer, timeout: str = "10s") -> None:
    site.configure(more=f'[dns]\nresolvers = ["{server.address}"]\ntimeout = "{timeout}"\n')


async def advise(site: Site, daemon: Daemon) -> None:
    await daemon.processor.process_waiting()
    adviser = Adviser(daemon.ledger, daemon.writer, site.load().dns, clock=lambda: site.now)
    await adviser.advise(site.now)


def read_text(site: Site) -> str:
    (mail,) = read_mails(site.folder / "notices")
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def test_the_notice_asks_whether_the_likely_address_was_meant(
    site: Site, server: NameServer, log: list[Line]
) -> None:
    configure(site, server)
    async with site.run() as daemon:
        await deliver(daemon, make_bounce(recipient=TYPED))
        await advise(site, daemon)
        assert await site.tell(daemon) == 1
    assert MEANT in read_text(site)
    (suggested,) = find_events(log, "address_suggested")
    assert (suggested["subject"], suggested["suggestion"]) == (TYPED, MEANT)


async def test_with_dns_dead_the_notice_goes_in_time_without_a_suggestion(
    site: Site, server: NameServer, log: list[Line]
) -> None:
    server.odd |= dict.fromkeys(("gmial.com", "gmail.com"), lambda _query: [])
    configure(site, server, timeout="100ms")
    async with site.run() as daemon:
        await deliver(daemon, make_bounce(recipient=TYPED))
        await advise(site, daemon)
        assert await site.tell(daemon) == 1
        (notice,) = list_notices(daemon)
    assert notice["state"] == "sent"
    text = read_text(site)
    assert TYPED in text
    assert MEANT not in text
    assert find_events(log, "address_suggested") == []
