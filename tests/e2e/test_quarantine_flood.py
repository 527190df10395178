"""Forged bounces from a stranger: kept within bounds, taking nothing of others, counting once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bounced.cli import app
from bounced.daemon import Daemon
from bounced.ledger import quarantine, queries
from bounced.ledger.records import ReportState
from bounced.watch.retention import Housekeeper
from tests.e2e.daemon_here import NOW, RELAY, STRANGER, THIRD, Site, deliver, find_smtp
from tests.e2e.process import build_dsn
from tests.logcheck import Line, find_events
from tests.mta.network import wait_for

AUTHOR, VICTIM = "anna@bau.example", "max@kunde.example"
FLOOD = 2000
CONNECTIONS = 4
BOUNDS = '[retention]\nquarantine_size = "1MiB"\n'


def forge(number: int | str) -> bytes:
    return build_dsn(VICTIM, f"{number}@app.example", author=AUTHOR, now=NOW)


async def replay(site: Site) -> None:
    """Judge everything again beside the daemon, in a process of its own."""
    command = (sys.executable, "-m", "bounced", "replay", "--apply", "--config", str(site.config))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def release(site: Site, *which: str) -> None:
    command = ("quarantine", "release", *which, "--config", str(site.config))
    assert await asyncio.to_thread(app.run, command) == 0


async def wait_until(look: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, "the daemon", look)


def list_held(daemon: Daemon) -> list[dict[str, Any]]:
    held = ReportState.QUARANTINED
    return daemon.ledger.read(lambda c: queries.list_reports(c, state=held))


def list_cases(daemon: Daemon) -> list[tuple[str, str, int]]:
    rows = daemon.ledger.read(queries.list_cases)
    return [(row["author"], row["subject"], row["strikes"]) for row in rows]


async def test_a_flood_pushes_out_only_itself_and_an_honest_bounce_counts(
    tmp_path: Path, log: list[Line]
) -> None:
    site = Site(tmp_path, BOUNDS)
    async with site.run() as daemon:
        keeper = Housekeeper(daemon.ledger, daemon.writer, site.settings.retention)
        assert await deliver(find_smtp(daemon), THIRD, [forge("third")]) == [250]
        share = FLOOD // CONNECTIONS
        honest = build_dsn("eva@kunde.example", "honest@app.example", author=AUTHOR, now=NOW)
        codes = await asyncio.gather(
            *(
                deliver(
                    find_smtp(daemon), STRANGER, map(forge, range(at * share, (at + 1) * share))
                )
                for at in range(CONNECTIONS)
            ),
            deliver(find_smtp(daemon), RELAY, [honest]),
        )
        assert [set(each) for each in codes] == [{250}] * (CONNECTIONS + 1)
        assert await site.tell(daemon) == 1
        before = daemon.ledger.read(quarantine.measure)
        await keeper.look(site.now)
        after = daemon.ledger.read(quarantine.measure)
        assert (before.reports, before.bytes > 2**20 > after.bytes) == (FLOOD + 1, True)
        clients = [row["client"] for row in list_held(daemon)]
        assert (len(clients), clients.count(THIRD)) == (after.reports, 1)
        assert list_cases(daemon) == [(AUTHOR, "eva@kunde.example", 1)]
    (mail,) = site.read_mails()
    assert VICTIM not in mail.as_string()
    (line,) = find_events(log, "retention_purged")
    assert (line["why"], line["count"]) == ("size", before.reports - after.reports)


async def test_a_released_report_is_counted_by_the_running_daemon_and_counts_once(
    tmp_path: Path, log: list[Line]
) -> None:
    site = Site(tmp_path)
    async with site.run(beat=True) as daemon:
        await deliver(find_smtp(daemon), STRANGER, [forge(1), forge(1)])
        await deliver(find_smtp(daemon), THIRD, [forge(2)])
        await wait_until(lambda: len(list_held(daemon)) == 3)
        assert list_cases(daemon) == []
        await replay(site)
        assert len(list_held(daemon)) == 3
        first, double = (row["report"] for row in list_held(daemon) if row["client"] == STRANGER)
        (other,) = (row["report"] for row in list_held(daemon) if row["client"] == THIRD)

        await release(site, first)
        await wait_until(lambda: list_cases(daemon) == [(AUTHOR, VICTIM, 1)])
        await release(site, double)
        await wait_until(lambda: len(find_events(log, "report_duplicate")) == 1)
        assert list_cases(daemon) == [(AUTHOR, VICTIM, 1)]

        await release(site, "--client", THIRD, "--yes")
        await wait_until(lambda: list_cases(daemon) == [(AUTHOR, VICTIM, 2)])
        await replay(site)
        assert list_cases(daemon) == [(AUTHOR, VICTIM, 2)]
        counted = {line["report"] for line in find_events(log, "strike_counted")}
    assert counted == {first, other}


async def test_the_daemon_counts_and_bounds_the_quarantine_by_itself(
    tmp_path: Path, log: list[Line]
) -> None:
    site = Site(tmp_path, '[retention]\nquarantine_size = "1KiB"\n')
    async with site.run() as daemon:
        await deliver(find_smtp(daemon), STRANGER, map(forge, range(3)))
        await daemon.processor.process_waiting()
    async with site.run(beat=True) as daemon:
        await wait_until(lambda: list_held(daemon) == [])
    (counted,) = find_events(log, "quarantine_counted")
    assert (counted["reports"], counted["why"]) == (3, {"client-not-own-relay": 3})
