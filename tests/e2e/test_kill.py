"""Nothing acknowledged is lost, nothing counts twice, nobody gets a fourth notice: under kill -9."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.process import Mailbox, ServeProcess, build_dsn, deliver

ROUNDS = 20
MAX_TRIES = 120
CLIENTS = 6
RECIPIENTS = 12

_CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
[authors]
domains = ["authors.example"]
[database]
url = "sqlite:///{folder}/bounced.db"
[notices]
digest_window = "100ms"
min_interval = "300ms"
sender = "support@app.example"
language = "en"
[relay]
host = "127.0.0.1"
port = {port}
security = "none"
[http]
listen = "127.0.0.1:0"
"""


class _Load:
    """Clients that send bounces without end and know which were acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.unanswered: set[str] = set()
        """Between DATA and its reply, at this moment or when the daemon was killed."""
        self._lost: set[str] = set()
        self._number = 0

    async def send(self, address: tuple[str, int]) -> None:
        while True:
            message_id = self._next()
            number = int(message_id.split("@")[0]) % RECIPIENTS
            raw = build_dsn(
                f"r{number}@gone.example",
                message_id,
                author=f"author{number}@authors.example",
                now=datetime.now(UTC),
            )
            self.unanswered.add(message_id)
            reply = await deliver(address, raw, "bounces@bounce.example.com")
            self.unanswered.discard(message_id)
            assert reply.startswith("250"), reply
            self.acknowledged.add(message_id)

    def _next(self) -> str:
        """Return a new message, or one whose reply the kill swallowed: mail servers try again."""
        if self._lost:
            return self._lost.pop()
        self._number += 1
        return f"{self._number}@app.example"

    def forget(self) -> int:
        """Note what the kill left unanswered, to be sent again; returns how many."""
        self._lost = set(self.unanswered)
        self.unanswered.clear()
        return len(self._lost)


def _count_unprocessed(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        row = connection.execute("SELECT count(*) FROM reports WHERE state = 'stored'").fetchone()
    return int(row[0])


async def _live_and_die(daemon: ServeProcess, load: _Load, seconds: float) -> tuple[int, int]:
    """Run one round; returns (unanswered, unprocessed) at the kill."""
    clients = [asyncio.create_task(load.send(daemon.smtp)) for _ in range(CLIENTS)]
    await asyncio.sleep(seconds)
    daemon.process.kill()
    unanswered = load.forget()
    await asyncio.gather(*clients, return_exceptions=True)
    await asyncio.to_thread(daemon.kill)
    return unanswered, _count_unprocessed(daemon.config.parent / "bounced.db")


async def _settle(daemon: ServeProcess, database: Path) -> None:
    """Let the daemon work off what is left."""
    for _ in range(600):
        if not _count_unprocessed(database):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(4)  # notices that are due by now
    assert await asyncio.to_thread(daemon.stop) == 0
    assert daemon.strays == []


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_kill_9_loses_no_bounce_counts_none_twice_and_never_sends_a_fourth_notice(
    tmp_path: Path,
) -> None:
    """A round counts only if the kill hit an unanswered message and an unprocessed report."""
    mailbox, load, dice = Mailbox(delay_s=0.05), _Load(), random.Random(7)
    config = tmp_path / "config.toml"
    config.write_text(_CONFIG.format(folder=tmp_path, port=await mailbox.start()))
    rounds: list[tuple[int, int]] = []
    for _ in range(MAX_TRIES):
        daemon = await asyncio.to_thread(ServeProcess(config).start)
        hit = await _live_and_die(daemon, load, dice.uniform(0.2, 1.2))
        if all(hit):
            rounds.append(hit)
        if len(rounds) == ROUNDS:
            break
    print("unanswered, unprocessed at each kill:", rounds)
    assert len(rounds) == ROUNDS
    daemon = await asyncio.to_thread(ServeProcess(config).start)
    await _settle(daemon, tmp_path / "bounced.db")
    mailbox.stop()
    _check_ledger(tmp_path / "bounced.db", load)
    _check_mailbox(mailbox)


def _check_ledger(database: Path, load: _Load) -> None:
    with closing(sqlite3.connect(database)) as connection:
        counted = Counter(
            row[0].removeprefix("message-id:")
            for row in connection.execute("SELECT send_key FROM strikes")
        )
        total = connection.execute("SELECT sum(strikes) FROM cases").fetchone()[0]
        states = dict(connection.execute("SELECT state, count(*) FROM reports GROUP BY state"))
        notices = dict(connection.execute("SELECT state, count(*) FROM notices GROUP BY state"))
        beyond = connection.execute("SELECT count(*) FROM cases WHERE notices > 3").fetchone()[0]
    print(f"{len(load.acknowledged)} acknowledged; reports {states}; notices {notices}")
    assert load.acknowledged - counted.keys() == set()
    assert set(counted.values()) == {1}
    assert total == len(counted)
    assert set(states) == {"processed"}
    assert beyond == 0


def _check_mailbox(mailbox: Mailbox) -> None:
    """The mailbox is the judge: no address is told of a fourth time, none twice the same notice."""
    told: Counter[str] = Counter()
    numbers: Counter[tuple[str, str]] = Counter()
    for raw in mailbox.mails:
        text = raw.split(b"\r\n\r\n", 1)[1].split(b"text/html", 1)[0].decode()
        found = set(re.findall(r"(r\d+@gone\.example) \(notice (\d) of 3", text))
        assert found
        told.update(recipient for recipient, _ in found)
        numbers.update(found)
    print(f"{len(mailbox.mails)} notices for {len(told)} addresses")
    assert len(told) == RECIPIENTS
    assert max(told.values()) <= 3
    assert {number for _, number in numbers} <= {"1", "2", "3"}
    assert set(numbers.values()) == {1}
