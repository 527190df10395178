"""Four failing sends on four days: three notices, then the case is exhausted (DESIGN §5.3)."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bounced import logs
from bounced.config import LogSettings, Settings
from bounced.configfile import load_settings
from bounced.daemon import Daemon, make_processor
from bounced.ledger import queries
from bounced.ledger.writer import Writer
from bounced.processor.rule_files import read_rule_files
from tests.e2e.process import Mailbox, build_dsn, deliver_all

_START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_WINDOW = timedelta(minutes=15)
_RECIPIENT = "max@gmial.example"
_AUTHOR = "anna@authors.example"
_DUPLICATES = 3


class _Clock:
    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> datetime:
        return self.now


class _World:
    """A daemon whose clock stands still until it is moved, and its authors' mailboxes."""

    def __init__(
        self, daemon: Daemon, settings: Settings, clock: _Clock, mailbox: Mailbox
    ) -> None:
        self.daemon, self.settings, self.clock, self.mailbox = daemon, settings, clock, mailbox
        self.sent: list[bytes] = []

    async def fail(self, day: int) -> None:
        """Let the day's send fail; its report comes several times, and all earlier ones again."""
        self.clock.now = _START + timedelta(days=day)
        self.sent.append(
            build_dsn(_RECIPIENT, f"send-{day}@app", author=_AUTHOR, now=self.clock.now)
        )
        host, _, port = self.daemon.listener.smtp[0].rpartition(":")
        address = (host, int(port))
        mails = [*self.sent, *[self.sent[-1]] * (_DUPLICATES - 1)]
        replies = await asyncio.gather(
            *(deliver_all(address, [raw], "bounces@bounce.example.com") for raw in mails)
        )
        assert all(reply[0].startswith("250") for reply in replies)

    async def process_in_parallel(self) -> None:
        """Work off what waits by two processors at once, as two nodes would."""
        writer = Writer(self.daemon.ledger)
        other = make_processor(writer, self.settings, rules=read_rule_files([]), clock=self.clock)
        try:
            await asyncio.gather(self.daemon.processor.process_waiting(), other.process_waiting())
        finally:
            other.pool.stop()
            writer.stop()

    async def pass_window(self) -> None:
        self.clock.now += _WINDOW
        await self.daemon.dispatcher.send_due(self.clock.now)

    def read_mails(self) -> list[str]:
        """Return the numbers that the author was told, in the order of the mails."""
        texts = [
            email.message_from_bytes(raw, policy=email.policy.default)
            .get_body(("plain",))
            .get_content()  # type: ignore[union-attr] # there is a plain part
            for raw in self.mailbox.mails
        ]
        return [
            re.findall(r"max@gmial\.example \((Hinweis \d von 3[^)]*)\)", text)[0]
            for text in texts
        ]


@pytest.fixture
def log() -> io.StringIO:
    stream = io.StringIO()
    logs.configure(LogSettings(format="json"), stream)
    return stream


@pytest.fixture
async def world(tmp_path: Path, log: io.StringIO) -> AsyncIterator[_World]:
    mailbox, clock = Mailbox(), _Clock()
    environ = {
        "BOUNCED__SMTP__LISTEN": '["127.0.0.1:0"]',
        "BOUNCED__HTTP__LISTEN": "",
        "BOUNCED__DATABASE__URL": f"sqlite:///{tmp_path}/bounced.db",
        "BOUNCED__RELAY__HOST": "127.0.0.1",
        "BOUNCED__RELAY__PORT": str(await mailbox.start()),
        "BOUNCED__RELAY__SECURITY": "none",
        "BOUNCED__NOTICES__SENDER": "support@app.example",
    }
    settings = load_settings(None, environ)
    daemon = Daemon(settings, clock=clock)
    await daemon.start(beat=False)
    yield _World(daemon, settings, clock, mailbox)
    await daemon.stop()
    mailbox.stop()


async def test_the_author_is_told_three_times_and_the_fourth_failure_finds_the_case_exhausted(
    world: _World, log: io.StringIO
) -> None:
    for day in range(4):
        await world.fail(day)
        await world.process_in_parallel()
        await world.pass_window()
    assert world.read_mails() == [
        "Hinweis 1 von 3",
        "Hinweis 2 von 3",
        "Hinweis 3 von 3, der letzte",
    ]
    (case,) = world.daemon.ledger.read(queries.list_cases)
    assert (case["state"], case["strikes"], case["notices"]) == ("exhausted", 4, 3)
    assert case["due_at"] is None
    assert log.getvalue().count('"case_exhausted"') == 1


async def test_two_failures_within_the_interval_make_one_notice(world: _World) -> None:
    await world.fail(0)
    await world.process_in_parallel()
    await world.pass_window()
    world.clock.now += timedelta(hours=1)
    world.sent.append(build_dsn(_RECIPIENT, "again@app", author=_AUTHOR, now=world.clock.now))
    host, _, port = world.daemon.listener.smtp[0].rpartition(":")
    await deliver_all((host, int(port)), world.sent[-1:], "bounces@bounce.example.com")
    await world.process_in_parallel()
    await world.pass_window()
    assert len(world.mailbox.mails) == 1
    world.clock.now += timedelta(hours=24)
    await world.pass_window()
    assert len(world.mailbox.mails) == 2
