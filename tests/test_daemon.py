"""The whole daemon in this process, its clock moved by hand: in by SMTP, out to the authors."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import socket
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from sqlalchemy import text

from bounced import daemon as daemon_module
from bounced import logs
from bounced.config import LogSettings
from bounced.daemon import Daemon, ListenError, make_report_id
from bounced.ledger import engine, notices, reports
from bounced.ledger.records import NoticeState
from bounced.model import BouncedError, ConfigError, TokenType
from bounced.notifier.dispatcher import Dispatcher
from bounced.origin.admission import build_return_path
from bounced.origin.token import seal
from tests.daemon_site import (
    WINDOW,
    Site,
    break_certificate,
    deliver,
    list_cases,
    list_notices,
    parse,
    read_mails,
)
from tests.e2e.process import Mailbox
from tests.logcheck import Line, find_events
from tests.mta.network import wait_for
from tests.processor.mails import AUTHOR, NOW, RECIPIENT, make_bounce

TODAY = (NOW.date() - date(1970, 1, 1)).days


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path) -> Site:
    shutil.copy(sqlite_template, tmp_path / "bounced.db")
    return Site(tmp_path)


async def test_a_bounce_goes_in_by_smtp_and_its_author_reads_of_it_in_the_maildir(
    site: Site, log: list[Line]
) -> None:
    async with site.run() as daemon:
        assert await deliver(daemon, make_bounce()) == "250 2.0.0 Stored safely"
        assert await site.tell(daemon) == 1
        (case,) = list_cases(daemon)
    assert (case["round"], case["notices"]) == (0, 1)
    (mail,) = read_mails(site.folder / "notices")
    assert (mail["To"], mail["From"]) == (AUTHOR, "post@app.example")
    assert RECIPIENT in str(mail["Subject"])
    assert [line["event"] for line in log] == [
        "config_loaded",
        "config_warning",
        "started",
        "report_received",
        "report_parsed",
        "origin_resolved",
        "failure_classified",
        "strike_counted",
        "notice_queued",
        "notice_sent",
        "stopped",
    ]
    (started,) = find_events(log, "started")
    assert started["smtp"][0].startswith("127.0.0.1:")
    assert not started["smtp"][0].endswith(":0")
    assert find_events(log, "stopped")[0]["pending"] == {"reports": 0}


async def test_with_a_relay_the_notice_goes_out_by_smtp(site: Site, log: list[Line]) -> None:
    mailbox = Mailbox()
    site.configure_relay(await mailbox.start())
    async with site.run() as daemon:
        await deliver(daemon, make_bounce())
        await site.tell(daemon)
        (case,) = list_cases(daemon)
    mailbox.stop()
    assert (case["round"], case["notices"]) == (1, 1)
    assert [parse(raw)["To"] for raw in mailbox.mails] == [AUTHOR]
    (sent,) = find_events(log, "notice_sent")
    assert sent["slots"] == [{"case": case["case"], "number": 1}]


async def test_what_waits_when_it_stops_is_counted_and_taken_up_by_the_next(
    site: Site, log: list[Line]
) -> None:
    async with site.run() as daemon:
        await deliver(daemon, make_bounce())
        daemon.ledger.write(lambda c: reports.claim(c, NOW, timedelta(hours=1), 9, 2**20))
    assert find_events(log, "stopped")[0]["pending"] == {"reports": 1}
    async with site.run() as daemon:
        assert await daemon.processor.process_waiting() == 1


async def test_a_notice_that_a_predecessor_left_unsettled_is_settled(
    site: Site, log: list[Line]
) -> None:
    async with site.run() as daemon:
        await deliver(daemon, make_bounce())
        await daemon.processor.process_waiting()
        site.now += WINDOW
        settings = daemon.processor.settings.policy
        (claimed,) = daemon.ledger.write(
            lambda c: notices.claim(
                c, site.now, timedelta(hours=1), 1, settings=settings, released_only=False,
                domain="x.example", new_id=lambda: "0123456789abcdef",
            )
        )  # fmt: skip
        daemon.ledger.write(lambda c: notices.start_data(c, [(claimed.notice, claimed.claim)]))
    async with site.run() as daemon:
        await daemon.dispatcher.send_due(site.now)
        (row,) = list_notices(daemon)
    assert row["state"] == NoticeState.OUTCOME_UNKNOWN
    assert len(find_events(log, "notice_outcome_unknown")) == 1


async def test_the_bounce_of_an_own_notice_is_told_to_ops_and_strikes_nobody(
    site: Site, log: list[Line]
) -> None:
    async with site.run() as daemon:
        await deliver(daemon, make_bounce())
        await site.tell(daemon)
        (row,) = list_notices(daemon)
        admission, ring = daemon.admission
        token = seal(TokenType.NOTICE, bytes.fromhex(row["notice"]), TODAY, ring.signing)
        path = build_return_path(token, admission)
        assert (await deliver(daemon, make_bounce(recipient=AUTHOR), path)).startswith("250")
        await site.tell(daemon)
        assert [case["strikes"] for case in list_cases(daemon)] == [1]
    (line,) = find_events(log, "notice_bounced")
    assert (line["notice"], line["author"]) == (row["notice"], AUTHOR)


async def test_held_notices_wait_for_the_operator(site: Site, log: list[Line]) -> None:
    site.configure(notices='mode = "hold"')
    async with site.run() as daemon:
        await deliver(daemon, make_bounce())
        assert await site.tell(daemon) == 0
        daemon.ledger.write(lambda c: notices.release_held(c, None, site.now))
        assert await daemon.dispatcher.send_due(site.now) == 1
    assert [line["event"] for line in log if line["event"] in {"notice_held", "notice_sent"}] == [
        "notice_held",
        "notice_sent",
    ]


def limit_pages(daemon: Daemon, pages: int) -> None:
    """Let the database be full, as a disk is: no page more than these; 0 is no limit."""
    limit = pages or 2**30
    daemon.ledger.write(lambda c: c.execute(text(f"PRAGMA max_page_count = {limit}")))


async def test_a_full_disk_is_451_and_one_line_and_all_goes_on_when_there_is_room(
    site: Site, log: list[Line]
) -> None:
    large = make_bounce() + b"x" * 200_000
    async with site.run() as daemon:
        limit_pages(daemon, 1)
        replies = [await deliver(daemon, large) for _ in range(2)]
        assert replies == ["451 4.3.0 Could not be stored just now; try again later"] * 2
        limit_pages(daemon, 0)
        await daemon.look_for_database(site.now)
        assert (await deliver(daemon, large)).startswith("250")
        await daemon.look_for_database(site.now)
    told = [line for line in log if line["event"].startswith("database_")]
    assert [line["event"] for line in told] == ["database_lost", "database_restored"]
    assert told[0]["error"] == "database or disk is full"
    assert find_events(log, "job_failed") == []


async def test_jobs_that_find_nothing_to_do_do_not_claim_that_the_database_is_back(
    site: Site, log: list[Line]
) -> None:
    async with site.run(beat=True) as daemon:
        limit_pages(daemon, 1)
        await deliver(daemon, make_bounce() + b"x" * 200_000)
        await asyncio.sleep(daemon_module.BEAT_S * 1.5)
        assert find_events(log, "database_restored") == []


async def test_a_job_that_fails_is_logged_and_tried_again_and_one_that_is_slow_is_no_news(
    site: Site, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def send_due(_now: datetime) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.1)
        raise ZeroDivisionError

    monkeypatch.setattr(daemon_module, "BEAT_S", 0.02)
    monkeypatch.setattr(Dispatcher, "send_due", lambda _self, now: send_due(now))
    logs.configure(LogSettings(), io.StringIO())
    daemon = site.make()
    await daemon.start()
    await asyncio.sleep(0.5)
    await daemon.stop()
    failures = find_events(log, "job_failed")
    assert 2 <= len(failures) <= calls
    assert {(line["job"], line["error"]) for line in failures} == {
        ("send notices", "ZeroDivisionError")
    }
    assert find_events(log, "library_message") == []


async def test_the_beat_processes_and_sends_by_itself(site: Site, log: list[Line]) -> None:
    site.configure(notices='digest_window = "0s"')
    async with site.run(beat=True) as daemon:
        await deliver(daemon, make_bounce())
        await asyncio.to_thread(wait_for, "a notice", lambda: find_events(log, "notice_sent"))


async def test_a_taken_port_is_told_with_key_and_address(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        site.config.write_text(site.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        daemon = site.make()
        told = f"^smtp.listen: 127.0.0.1:{port}: Address already in use$"
        with pytest.raises(ListenError, match=told):
            await daemon.start(beat=False)


async def test_a_taken_port_for_http_is_told_with_key_and_address(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = site.config.read_text()
        site.config.write_text(
            text.replace('[http]\nlisten = "127.0.0.1:0"', f'[http]\nlisten = "{address}"')
        )
        with pytest.raises(ListenError, match=f"^http.listen: {address}: Address already in use$"):
            await site.make().start(beat=False)


async def test_secrets_that_everybody_may_read_are_warned_of_at_start_and_reload(
    site: Site, log: list[Line]
) -> None:
    issued = trustme.CA().issue_cert("mx.example.com")
    names = ("tls.pem", "tls.key", "tokens", "password", "keys")
    certificate, tls_key, tokens, password, keys = (site.folder / name for name in names)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(tls_key)
    tokens.write_text(f"shop {'t' * 20}")
    password.write_text("x")
    keys.write_text(f"a 2026-01-01 active {'ab' * 32}\n")
    secrets = (keys, tls_key, tokens, password)
    for path in secrets:
        path.chmod(0o644)
    site.configure(
        smtp=f'tls_certificate_file = "{certificate}"\ntls_key_file = "{tls_key}"',
        relay=f'host = "127.0.0.1"\nusername = "u"\npassword_file = "{password}"',
        more=f'tokens_file = "{tokens}"\n[return_path]\nkeys_file = "{keys}"',
    )
    told = [f"{path}: everybody may read it; mend: chmod o= {path}" for path in secrets]
    async with site.run() as daemon:
        assert [line["why"] for line in find_events(log, "config_warning")] == told
        await daemon.reload(site.load)
        for path in secrets:
            path.chmod(0o640)
        await daemon.reload(site.load)
    assert [line["why"] for line in find_events(log, "config_warning")] == told * 2


async def test_a_broken_certificate_is_told_before_anything_listens(site: Site) -> None:
    break_certificate(site)
    with pytest.raises(BouncedError, match=r"smtp\.tls_certificate_file"):
        await site.make().start(beat=False)


async def test_a_stop_that_hangs_is_cut_short(
    site: Site, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_grace: timedelta) -> None:
        await asyncio.Event().wait()

    codes: list[int] = []
    monkeypatch.setattr(daemon_module, "END", timedelta(milliseconds=50))
    monkeypatch.setattr(os, "_exit", codes.append)
    daemon = site.make()
    serving = asyncio.create_task(daemon.serve(site.load))
    await asyncio.to_thread(wait_for, "the start", lambda: find_events(log, "started"))
    stop = daemon.listener.stop
    monkeypatch.setattr(daemon.listener, "stop", hang)
    daemon._stopping.set()
    await asyncio.to_thread(wait_for, "the cut", lambda: codes)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    monkeypatch.setattr(daemon.listener, "stop", stop)
    await daemon.stop()
    assert codes == [75]
    assert find_events(log, "stopped")[0]["why"] == "cut short after 0.05 s"


def test_an_old_schema_names_the_command_that_mends_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "newest_version", lambda: "9999")
    with pytest.raises(ConfigError, match=r"needs 9999: run `bounced db upgrade`"):
        site.make()


def test_report_ids_sort_by_time_and_are_unlike() -> None:
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n) for n in range(200)]
    ids = [make_report_id(moment) for moment in moments]
    assert sorted(ids) == ids
    assert len({make_report_id(NOW) for _ in range(200)}) == 200
    assert {len(name) for name in ids} == {16}
