"""From the refusal to the notice: the author hears what DNS says, and never waits for it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from bounced.advisor.diagnose import Means
from bounced.advisor.senders import SenderAdviser, SenderSettings
from bounced.daemon import Daemon, make_id
from bounced.diagnosis import Fix
from bounced.ledger import entries
from bounced.ledger.records import Entry
from bounced.wiring import make_policy
from tests.advisor.nameserver import NameServer
from tests.daemon_site import Site, deliver, list_cases, list_notices
from tests.logcheck import Line, find_events
from tests.processor.mails import make_bounce

REFUSED = "550 5.7.23 The message was rejected because of Sender Policy Framework violation"
CNAMES = ["s1._domainkey.bau.example", "s2._domainkey.bau.example"]
KEY = '"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="'  # RFC 8463 §A.2
RECORDS = {
    ("bau.example", "A"): ["198.51.100.7"],
    ("bounce.example.com", "TXT"): ['"v=spf1 ip4:192.0.2.25 -all"'],
    ("s1.dkim.example.com", "TXT"): [KEY],
    ("s2.dkim.example.com", "TXT"): [KEY],
}
OFFERS = """[advice]
sending_addresses = ["192.0.2.25"]
dkim_cnames = ["s1=s1.dkim.example.com", "s2=s2.dkim.example.com"]
"""


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path) -> Site:
    shutil.copy(sqlite_template, tmp_path / "bounced.db")
    return Site(tmp_path)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(dict(RECORDS)).run() as running:
        yield running


def configure(site: Site, server: NameServer, timeout: str = "10s") -> None:
    resolver = f'[dns]\nresolvers = ["{server.address}"]\ntimeout = "{timeout}"\n'
    site.configure(more=resolver + OFFERS)


def make_adviser(site: Site, daemon: Daemon) -> SenderAdviser:
    settings = site.load()
    domains = frozenset(settings.return_path.domains)
    means = Means(settings.advice, frozenset(), domains)
    return SenderAdviser(
        daemon.ledger,
        daemon.writer,
        SenderSettings(settings.dns, means, make_policy(settings)),
        clock=lambda: site.now,
        new_id=make_id,
    )


def read_told(daemon: Daemon) -> Entry:
    """Return what the only notice told of its only case."""
    (notice,) = list_notices(daemon)
    assert notice["state"] == "sent"
    told = daemon.ledger.read(lambda c: entries.read_notice(c, notice["notice"]))
    assert told is not None
    (entry,) = told.entries
    return entry


async def test_the_author_is_told_which_records_mend_it_and_the_case_closes_once_they_are_there(
    site: Site, server: NameServer, log: list[Line]
) -> None:
    configure(site, server)
    async with site.run() as daemon:
        await deliver(daemon, make_bounce(reply=REFUSED))
        await daemon.processor.process_waiting()
        adviser = make_adviser(site, daemon)
        await adviser.advise(site.now)
        assert await site.tell(daemon) == 1
        entry = read_told(daemon)
        for name, target in zip(CNAMES, ("s1", "s2"), strict=True):
            server.records[name, "CNAME"] = [f"{target}.dkim.example.com."]
        site.now += timedelta(days=1)
        await adviser.check(site.now)
        (case,) = list_cases(daemon)
    assert entry.diagnosis is not None
    assert entry.diagnosis.fix is Fix.PUBLISH_DKIM
    assert [record.name for record in entry.diagnosis.records] == CNAMES
    assert (case["state"], case["closed_why"]) == ("closed", "dns-passed")
    (line,) = find_events(log, "sender_diagnosed")
    assert (line["subject"], line["fix"]) == ("bau.example", "publish-dkim")
    (line,) = find_events(log, "case_closed")
    assert (line["subject"], line["why"]) == ("bau.example", "dns-passed")


async def test_with_dns_dead_the_notice_goes_in_time_and_says_so(
    site: Site, server: NameServer, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "respond", lambda _packet, _transport: [])
    configure(site, server, timeout="100ms")
    async with site.run() as daemon:
        assert (await deliver(daemon, make_bounce(reply=REFUSED))).startswith("250")
        await daemon.processor.process_waiting()
        await make_adviser(site, daemon).advise(site.now)
        assert await site.tell(daemon) == 1
        entry = read_told(daemon)
    assert entry.diagnosis is not None
    assert (entry.diagnosis.fix, entry.diagnosis.records) == (Fix.NOT_CHECKED, ())
    assert [line["fix"] for line in find_events(log, "sender_diagnosed")] == ["not-checked"]


async def test_while_dns_has_not_answered_mail_comes_in_and_the_notice_goes(
    site: Site, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    def note(_packet: bytes, _transport: str) -> list[bytes]:
        asked.set()
        return []

    monkeypatch.setattr(server, "respond", note)
    configure(site, server, timeout="1d")
    async with site.run() as daemon:
        await deliver(daemon, make_bounce(reply=REFUSED))
        await daemon.processor.process_waiting()
        look = asyncio.create_task(make_adviser(site, daemon).advise(site.now))
        await asked.wait()
        assert await site.tell(daemon) == 1
        assert (await deliver(daemon, make_bounce(2))).startswith("250")
        assert not look.done()
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)
        assert read_told(daemon).diagnosis is None
