"""What a reload takes over, and what it leaves as it was."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bounced import daemon as daemon_module
from bounced.config import Settings
from bounced.daemon import Sockets
from bounced.listener.server import Listener
from bounced.model import LedgerError
from bounced.plan import Plan, make_plan
from tests.daemon_site import (
    Site,
    break_certificate,
    deliver,
    list_cases,
    read_mails,
)
from tests.e2e.process import Mailbox
from tests.logcheck import Line, find_events
from tests.mta.network import wait_for
from tests.processor.mails import make_bounce

_RULE = """\
stage = "receiver"
[[rule]]
id = "site-xyzzy"
category = "mailbox-full"
reason = "mailbox-full"
source = "invented for this test"
words = ["xyzzy plugh"]
examples = [{ text = "550 5.0.0 Xyzzy plugh" }]
"""


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path) -> Site:
    shutil.copy(sqlite_template, tmp_path / "bounced.db")
    return Site(tmp_path)


def break_toml(site: Site) -> None:
    site.config.write_text("[[[")


def break_rules(site: Site) -> None:
    site.configure(more='[rules]\ndirectories = ["/absent"]')


def break_templates(site: Site) -> None:
    (site.folder / "notice.txt.j2").write_text("{{ nonsense }}")
    site.configure(notices=f'templates_directory = "{site.folder}"')


def break_keys(site: Site) -> None:
    (site.folder / "bounced.keys").write_text("nonsense")


@pytest.mark.parametrize(
    "spoil", [break_toml, break_rules, break_templates, break_keys, break_certificate]
)
async def test_a_broken_reload_is_told_and_the_old_settings_stay(
    site: Site, log: list[Line], spoil: Callable[[Site], None]
) -> None:
    async with site.run() as daemon:
        before = (daemon.processor.settings, daemon.dispatcher.settings, daemon.processor.pool)
        spoil(site)
        await daemon.reload(site.load)
        after = (daemon.processor.settings, daemon.dispatcher.settings, daemon.processor.pool)
        assert all(old is new for old, new in zip(before, after, strict=True))
        await deliver(daemon, make_bounce())
        assert await site.tell(daemon) == 1
    rejected = find_events(log, "config_rejected")
    # Of broken keys whoever asks for them first tells, too.
    assert len(rejected) == (2 if spoil is break_keys else 1)
    for line in rejected:
        assert str(site.folder) in line["why"] or "/absent" in line["why"]


async def test_a_reload_takes_over_rules_templates_and_settings(site: Site) -> None:
    rules, templates = site.folder / "rules", site.folder / "templates"
    for folder in (rules, templates):
        folder.mkdir()
    (rules / "site.toml").write_text(_RULE)
    (templates / "notice.txt.j2").write_text("Our own words.\n")
    odd = "550 5.0.0 Xyzzy plugh"
    async with site.run() as daemon:
        await deliver(daemon, make_bounce(1, reply=odd))
        await daemon.processor.process_waiting()
        site.configure(
            notices=f'application_name = "Baudoku"\ntemplates_directory = "{templates}"',
            more=f'[rules]\ndirectories = ["{rules}"]',
        )
        await daemon.reload(site.load)
        site.now += timedelta(minutes=1)
        await deliver(daemon, make_bounce(2, reply=odd))
        await site.tell(daemon)
        (case,) = list_cases(daemon)
    assert (case["category"], case["strikes"]) == ("mailbox-full", 2)
    (mail,) = read_mails(site.folder / "notices")
    assert str(mail["From"]) == "Baudoku <post@app.example>"
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content() == "Our own words.\n"


async def test_a_reload_warns_of_what_takes_a_restart_until_there_was_one(
    site: Site, log: list[Line]
) -> None:
    names = ("database", "smtp.listen", "http.listen")
    warnings = [f"{name} has changed: it takes a restart" for name in names]
    async with site.run() as daemon:
        site.config.write_text(
            site.config.read_text().replace("127.0.0.1:0", "127.0.0.1:1").replace(".db", ".other")
        )
        for _ in range(2):
            log.clear()
            await daemon.reload(site.load)
            told = [line["why"] for line in find_events(log, "config_warning")]
            assert [why for why in told if "restart" in why] == warnings
        assert (await deliver(daemon, make_bounce())).startswith("250")


async def test_a_relay_that_a_reload_brings_ends_the_rehearsal(site: Site) -> None:
    mailbox = Mailbox()
    async with site.run() as daemon:
        await deliver(daemon, make_bounce(1))
        await site.tell(daemon)
        site.configure_relay(await mailbox.start())
        await daemon.reload(site.load)
        await deliver(daemon, make_bounce(2))
        await site.tell(daemon)
        (case,) = list_cases(daemon)
    mailbox.stop()
    assert (case["round"], case["notices"], case["strikes"]) == (1, 1, 1)
    assert len(mailbox.mails) == len(read_mails(site.folder / "notices")) == 1


async def test_a_reload_that_is_rejected_at_its_end_changes_nobody_s_trust(
    site: Site, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_plan: Plan) -> None:
        raise LedgerError("the ledger is busy")

    async with site.run() as daemon:
        site.configure(smtp='own_relays = ["192.0.2.1"]')
        monkeypatch.setattr(daemon, "_leave_rehearsal", fail)
        await daemon.reload(site.load)
        await deliver(daemon, make_bounce())
        assert await site.tell(daemon) == 1  # loopback is an own relay still
    assert [line["why"] for line in find_events(log, "config_rejected")] == ["the ledger is busy"]


async def test_of_two_reloads_at_once_the_later_file_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def make_slowly(settings: Settings, file: Path | None) -> Plan:
        if not begun.is_set():
            begun.set()
            go_on.wait()
        return make_plan(settings, file)

    async with site.run() as daemon:
        monkeypatch.setattr(daemon_module, "make_plan", make_slowly)
        site.configure(notices='application_name = "older"')
        older = asyncio.create_task(daemon.reload(site.load))
        await asyncio.to_thread(begun.wait)
        site.configure(notices='application_name = "newer"')
        newer = asyncio.create_task(daemon.reload(site.load))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(older, newer)
        assert daemon.dispatcher.settings.notices.application_name == "newer"


async def test_a_reload_that_is_asked_for_during_the_start_comes_after_it(
    site: Site, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Listener.start

    async def be_asked_and_start(listener: Listener, sockets: Sockets) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        await start(listener, sockets)

    monkeypatch.setattr(Listener, "start", be_asked_and_start)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # without a handler it would end us
    daemon = site.make()
    serving = asyncio.create_task(daemon.serve(site.load))
    try:
        await asyncio.to_thread(
            wait_for, "the reload", lambda: len(find_events(log, "config_loaded")) > 1
        )
    finally:
        daemon._stopping.set()
        await serving
        signal.signal(signal.SIGHUP, before)
    events = [line["event"] for line in log]
    assert events.index("started") < len(events) - 1 - events[::-1].index("config_loaded")
    assert find_events(log, "job_failed") == []
