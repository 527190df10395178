"""What is too old or too much goes at a look, is told in one line, and nothing else goes."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from bounced.config import RetentionSettings
from bounced.ledger import outbox, quarantine, reports, webhooks
from bounced.ledger.engine import Ledger
from bounced.ledger.outbox import NewEvent
from bounced.ledger.quarantine import ROW_BYTES
from bounced.ledger.writer import Writer
from bounced.logs import Event, check_shape
from bounced.watch.retention import Housekeeper
from tests.ledger.office import DAY, HOUR, MINUTE, START, Office, bounce
from tests.ledger.strangers import FLOOD, HONEST, list_held, put

MIB = 2**20
SIZE = MIB // 16 - ROW_BYTES
"""Of a message that takes a sixteenth of 1 MiB."""
PLENTY = 2**40


class House:
    """A ledger and its housekeeper, on a disk of which the test says what is free."""

    def __init__(self, ledger: Ledger, **retention: str) -> None:
        self.ledger = ledger
        self.free = PLENTY
        self.asked: list[Path] = []
        self.writer = Writer(ledger)
        settings = RetentionSettings.model_validate(
            {"quarantine_size": "1MiB", "min_free_space": "1MiB"} | retention
        )
        self.keeper = Housekeeper(ledger, self.writer, settings, find_free=self._find_free)

    async def look(self, days: int = 0) -> list[dict[str, object]]:
        """Look so many days after START; return the lines of the log, but for the daily count."""
        with structlog.testing.capture_logs(processors=[check_shape]) as lines:
            await self.keeper.look(START + HOUR + days * DAY)
        return [
            {key: value for key, value in line.items() if key != "log_level"}
            for line in lines
            if line["event"] != "quarantine_counted"
        ]

    def _find_free(self, folder: Path) -> int:
        self.asked.append(folder)
        return self.free


@pytest.fixture
def house(ledger: Ledger) -> Iterator[House]:
    house = House(ledger)
    yield house
    house.writer.stop()


def tell(count: int, why: str) -> dict[str, object]:
    told = {"what": "quarantine", "count": count, "bytes": count * MIB // 16, "why": why}
    return {"event": "retention_purged"} | told


async def test_what_is_within_all_limits_stays(house: House) -> None:
    put(house.ledger, FLOOD, 16, size=SIZE)
    assert await house.look() == []
    assert len(list_held(house.ledger)) == 16


async def test_what_is_too_old_goes(house: House) -> None:
    put(house.ledger, FLOOD, 2, at=START - 90 * DAY, size=SIZE)
    young = put(house.ledger, FLOOD, 1, at=START - 89 * DAY, size=SIZE)
    assert await house.look() == [tell(2, "age")]
    assert list_held(house.ledger) == young


async def test_beyond_the_size_the_heaviest_host_loses_its_oldest_down_to_nine_tenths(
    house: House,
) -> None:
    honest = put(house.ledger, HONEST, 2, at=START - DAY, size=SIZE)
    flood = put(house.ledger, FLOOD, 20, size=SIZE)
    assert await house.look() == [tell(8, "size")]
    assert set(list_held(house.ledger)) == {*flood[8:], *honest}
    assert await house.look() == []


async def test_what_counts_or_waits_is_never_deleted(ledger: Ledger) -> None:
    office = Office(ledger)
    office.receive(bounce("a"))
    ledger.write(lambda c: reports.append(c, [bounce("b").arrival]))
    house = House(ledger, quarantine_age="1s", quarantine_size="1B", events_age="999d")
    house.free = 0
    before = office.dump("reports", "report_contents", "failures", "strikes", "cases")
    told = [line["event"] for line in await house.look(days=500)]
    assert told == ["self_check_failed"] * (ledger.file is not None)
    assert office.dump("reports", "report_contents", "failures", "strikes", "cases") == before
    house.writer.stop()


async def test_a_full_disk_takes_the_quarantine_until_enough_is_free(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)
    house = House(ledger)
    honest = put(ledger, HONEST, 1, size=SIZE)
    put(ledger, FLOOD, 15, size=SIZE)
    house.free = 10 * MIB // 16
    (line,) = await house.look()
    count = line["count"]
    assert line == tell(6, "disk-pressure") | {"count": count, "bytes": line["bytes"]}
    assert count in {6, 7}, "free pages of the file are as good as free space"
    assert honest[0] in list_held(ledger)
    assert set(house.asked) == {Path(str(ledger.file)).parent}
    assert await house.look() == []
    house.writer.stop()
    ledger.close()


async def test_a_disk_that_others_fill_takes_all_of_the_quarantine_once(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)
    house = House(ledger, min_free_space="1GiB")
    put(ledger, HONEST, 1, size=SIZE)
    put(ledger, FLOOD, 3, size=SIZE)
    house.free = 0
    assert [line["event"] for line in await house.look()] == [
        "self_check_failed",
        "retention_purged",
    ]
    assert list_held(ledger) == []
    assert await house.look() == []
    house.writer.stop()
    ledger.close()


async def test_a_low_disk_that_no_purge_helps_is_told_when_it_begins_and_when_it_is_over(
    sqlite_url: str,
) -> None:
    ledger = Ledger(sqlite_url)
    house = House(ledger, min_free_space="1GiB")
    house.free = PLENTY
    assert await house.look() == []
    house.free = 0
    (begun,) = await house.look()
    again = await house.look()
    house.free = PLENTY
    (over,) = await house.look()
    assert (await house.look(), again) == ([], [])
    details = [str(line.pop("detail")) for line in (begun, over)]
    assert begun == {"event": "self_check_failed", "check": "disk-space", "why": "low"}
    assert over == {"event": "self_check_passed", "check": "disk-space"}
    assert all(
        re.fullmatch(
            rf"{Path(str(ledger.file)).parent}: bytes free: \d+, retention.min_free_space: {2**30}",
            detail,
        )
        for detail in details
    )
    house.writer.stop()
    ledger.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 40 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder))
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)


async def test_on_a_full_disk_nothing_is_taken_until_the_quarantine_has_made_room(
    small_disk: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, small_disk / "bounced.db")
    ledger = Ledger(f"sqlite:///{small_disk}/bounced.db")
    writer = Writer(ledger)
    settings = RetentionSettings.model_validate({"min_free_space": "64MiB"})
    keeper = Housekeeper(ledger, writer, settings)
    await keeper.look(START)
    held = put(ledger, FLOOD, 64, size=SIZE)
    arrivals = (
        replace(bounce(str(number)).arrival, raw=b"x" * SIZE) for number in itertools.count()
    )

    async def take_in(count: int) -> None:
        for arrival in itertools.islice(arrivals, count):
            await writer.append([arrival])

    with pytest.raises(OperationalError, match="full"):
        await take_in(10_000)
    with pytest.raises(OperationalError, match="full"):
        ledger.write(lambda c: quarantine.purge_older(c, START + DAY))
    with structlog.testing.capture_logs(processors=[check_shape]) as lines:
        await keeper.look(START)
    assert [(line["event"], line["why"], line["count"]) for line in lines] == [
        ("retention_purged", "disk-pressure", len(held)),
    ]
    await take_in(32)
    writer.stop()
    ledger.close()


async def test_the_disk_of_a_server_is_not_ours_to_look_at(postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    house = House(ledger)
    house.free = 0
    put(ledger, FLOOD)
    assert await house.look() == []
    assert house.asked == []
    house.writer.stop()
    ledger.close()


async def test_old_webhooks_go_once_they_are_settled(house: House) -> None:
    happened = NewEvent(Event.AUTHOR_ACTED, {})
    for name in ("settled", "waiting"):
        house.ledger.write(lambda c, n=name: webhooks.queue(c, happened, START, lambda: n))  # type: ignore[misc] # a lambda has no annotations
    house.ledger.write(lambda c: webhooks.settle_sent(c, "settled", "HTTP 204", START))
    assert await house.look(days=91) == [
        {"event": "retention_purged", "what": "webhooks", "count": 1, "why": "age"}
    ]
    assert [row["webhook"] for row in house.ledger.read(webhooks.list_webhooks)] == ["waiting"]


async def test_old_events_go(house: House) -> None:
    told = [NewEvent(Event.CASE_RESET, {"case": "1"})]
    for days in (0, 1):
        house.ledger.write(lambda c, d=days: outbox.publish(c, told, START + d * DAY))  # type: ignore[misc] # a lambda has no annotations
    assert await house.look(days=90) == [
        {"event": "retention_purged", "what": "events", "count": 1, "why": "age"}
    ]
    left, _ = outbox.read_events(house.ledger, 0, 10)
    assert [event.at for event in left] == [START + DAY]


async def test_other_settings_hold_from_the_next_look_on(house: House) -> None:
    put(house.ledger, FLOOD, 2, size=SIZE)
    assert await house.look() == []
    house.keeper.settings = RetentionSettings.model_validate({"quarantine_age": "1m"})
    assert await house.look() == [tell(2, "age")]


async def test_the_quarantine_is_counted_at_the_first_look_and_then_once_a_day(
    house: House,
) -> None:
    put(house.ledger, FLOOD, 2, at=START - 2 * DAY)
    put(house.ledger, HONEST, 1, why="unsigned")
    midnight = START.replace(hour=0) + DAY
    with structlog.testing.capture_logs(processors=[check_shape]) as lines:
        for moment in (START, START + MINUTE, midnight - MINUTE, midnight, midnight + MINUTE):
            await house.keeper.look(moment)
    weight = house.ledger.read(quarantine.measure).bytes
    line = {
        "event": "quarantine_counted",
        "log_level": "info",
        "reports": 3,
        "bytes": weight,
        "oldest_at": START - 2 * DAY,
        "received": 1,
        "why": {"client-not-own-relay": 2, "unsigned": 1},
    }
    assert lines == [line, line]


async def test_an_empty_quarantine_is_counted_too(house: House) -> None:
    with structlog.testing.capture_logs(processors=[check_shape]) as lines:
        await house.keeper.count(START)
    (line,) = lines
    assert (line["reports"], line["bytes"], line["received"], line["why"]) == (0, 0, 0, {})
