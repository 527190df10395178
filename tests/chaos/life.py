"""A daemon's life: born of a fork, it does what it is told on the virtual clock until killed."""

from __future__ import annotations

import asyncio
import base64
import json
import mmap
import os
import random
import socket
import struct
import sys
import textwrap
import traceback
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, select

from bounced import logs
from bounced.config import LogSettings, Settings
from bounced.ledger import authors, notices, policy, reports, rounds, strikes
from bounced.ledger.engine import Ledger
from bounced.ledger.records import ClaimedNotice, EntryStrike
from bounced.ledger.reports import Finding
from bounced.ledger.schema import notices as notices_table
from bounced.ledger.schema import reports as reports_table
from bounced.ledger.writer import Writer
from bounced.model import Category, Reason, TokenType, Verdict
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import Delivery
from bounced.notifier.dispatcher import Dispatcher
from bounced.plan import Plan
from bounced.values import parse_quiet_times
from tests.chaos.history import Bounce, Kill
from tests.chaos.points import CountingLoop, Points
from tests.ledger.office import MINUTE, bounce

TOLD = "X-Told"
"""Header of a chaos mail: what it tells, for the judge."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERDICTS = {
    "bad-address": Verdict(Category.BAD_ADDRESS, Reason.USER_UNKNOWN),
    "mailbox-full": Verdict(Category.MAILBOX_FULL, Reason.MAILBOX_FULL),
    "system": Verdict(Category.SYSTEM, Reason.EXPIRED),
    "auth-failure": Verdict(Category.AUTH_FAILURE, Reason.SPF),
    "spam-rejection": Verdict(Category.SPAM_REJECTION, Reason.CONTENT),
}


class Clock:
    """Time that parent and children share: one site clock, and how far each node is off."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def read(self, node: int | None) -> datetime:
        """Return what a node's clock shows; None: that of the site."""
        skew = 0 if node is None else self._get(1 + node)
        return _EPOCH + timedelta(microseconds=self._get(0) + skew)

    def set(self, at: datetime) -> None:
        self._put(0, (at - _EPOCH) // timedelta(microseconds=1))

    def move(self, seconds: int) -> None:
        self._put(0, self._get(0) + seconds * 1_000_000)

    def skew(self, node: int, seconds: int) -> None:
        self._put(1 + node, seconds * 1_000_000)

    def mark_killed(self, node: int, *, killed: bool) -> None:
        """Note that a node died as it was to die."""
        self._put(3 + node, int(killed))

    def was_killed(self, node: int) -> bool:
        return bool(self._get(3 + node))

    def _get(self, cell: int) -> int:
        return int(struct.unpack_from("q", self._memory, 8 * cell)[0])

    def _put(self, cell: int, value: int) -> None:
        struct.pack_into("q", self._memory, 8 * cell, value)


@dataclass(frozen=True, slots=True)
class Home:
    """What a life works with, made and warmed up before the fork."""

    ledger: Ledger
    settings: Settings
    plan: Plan


class TellingComposer:
    """Composes the real mail, and says in a header what it tells."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer

    def compose(self, notice: ClaimedNotice) -> EmailMessage:
        message = self._composer.compose(notice)
        told = {
            "notice": notice.notice,
            "entries": [
                [entry.subject, entry.number, [_name_send(strike) for strike in entry.strikes]]
                for entry in notice.entries
            ],
        }
        words = base64.b64encode(json.dumps(told).encode()).decode()
        message[TOLD] = " ".join(textwrap.wrap(words, 60))
        return message


class Life:
    """One daemon; every method that is a command runs in its event loop."""

    def __init__(
        self, home: Home, clock: Clock, *, node: int, points: Points, seed: str, delivery: Delivery
    ) -> None:
        self._ledger = home.ledger
        self._policy = home.plan.processor.policy
        self._clock = clock
        self._node = node
        self._ids = random.Random(seed)
        self._points = points
        self.writer = Writer(home.ledger)
        self._dispatcher = Dispatcher(
            self.writer,
            replace(
                home.plan.dispatcher,
                composer=cast("Composer", TellingComposer(home.plan.dispatcher.composer)),
                delivery=delivery,
            ),
            clock=self._read_clock,
            new_id=self._new_id,
        )

    def _read_clock(self) -> datetime:
        return self._clock.read(self._node)

    def _new_id(self) -> str:
        return f"{self._ids.getrandbits(64):016x}"

    async def recover(self) -> None:
        """Take up what a predecessor was doing, as `Daemon` does at its start."""
        if self._ledger.file is not None:
            now = self._read_clock()
            await self.writer.run(reports.release_claims)
            await self.writer.run(lambda c: notices.expire_claims(c, now))

    async def bounce(self, at: str, **fields: Any) -> None:
        """Store a report unless it is stored, then record what is found in it."""
        finding = make_finding(Bounce(**fields), datetime.fromisoformat(at))
        await self._record(finding, self._read_clock())

    async def _record(self, finding: Finding, now: datetime) -> None:
        def store(connection: Connection) -> None:
            report = finding.arrival.report
            known = select(reports_table.c.report).where(reports_table.c.report == report)
            if connection.execute(known).one_or_none() is None:
                reports.append(connection, [finding.arrival])

        await self.writer.run(store)
        await self.writer.run(
            lambda c: strikes.record(c, [finding], self._policy, now, self._new_id)
        )

    async def beat(self, reload: str | None = None, after: int = 0) -> None:
        """Send what is due; `reload` is the mode that comes `after` so many turns of the loop."""
        sending = asyncio.create_task(self._dispatcher.send_due(self._read_clock()))
        if reload is not None:
            for _ in range(after):
                await asyncio.sleep(0)
            await self.change(mode=reload)
        await sending

    async def reset(self, case: str) -> None:
        now = self._read_clock()
        await self.writer.run(
            lambda c: rounds.reset(
                c, case, now, why="operator", settings=self._policy, new_id=self._new_id
            )
        )

    async def correct(self, case: str) -> None:
        now = self._read_clock()
        await self.writer.run(
            lambda c: rounds.close(c, case, now, why="corrected", new_id=self._new_id)
        )

    async def change(self, **values: Any) -> None:
        """Reload with other `notices.*`, written as in the file."""
        found = self._dispatcher.settings
        if "quiet_hours" in values:
            values["quiet_hours"] = parse_quiet_times(values["quiet_hours"])
        changed = found.notices.model_copy(update=values)
        allowed = replace(found.policy, daily_limit=changed.daily_limit)
        self._dispatcher.settings = replace(found, notices=changed, policy=allowed)

    async def decline(self, author: str) -> None:
        now = self._read_clock()
        await self.writer.run(
            lambda c: authors.decline(c, author, now, webhook=False, new_id=self._new_id)
        )

    async def resume(self, author: str) -> None:
        now = self._read_clock()
        await self.writer.run(
            lambda c: authors.resume(c, author, now, webhook=False, new_id=self._new_id)
        )

    async def forgive(self, author: str) -> None:
        now = self._read_clock()
        await self.writer.run(lambda c: authors.reset_author(c, author, now))

    async def take_back(self, author: str) -> None:
        """Record that the last notice to an author came back, if there was any."""
        now = self._read_clock()
        notice = await self.writer.run(lambda c: _find_last_notice(c, author))
        if notice is not None:
            finding = bounce(f"notice-{notice}", author, at=now)
            arrival = replace(finding.arrival, token_type=TokenType.NOTICE, token_id=notice)
            await self._record(replace(finding, arrival=arrival, author=None), now)

    async def is_silent(self, author: str) -> bool:
        return bool(self._ledger.read(lambda c: authors.list_silent(c, author=author)))

    async def release(self) -> None:
        now = self._read_clock()
        await self.writer.run(lambda c: notices.release_held(c, None, now))

    async def count(self) -> dict[str, int]:
        """Return how many points of each kind were passed."""
        return dict(self._points.counts)


def _find_last_notice(connection: Connection, author: str) -> str | None:
    return connection.execute(
        select(notices_table.c.notice)
        .where(notices_table.c.author == author)
        .where(notices_table.c.settled_at.is_not(None))
        .order_by(notices_table.c.settled_at.desc())
        .limit(1)
    ).scalar_one_or_none()


def _name_send(strike: EntryStrike) -> str:
    return f"{strike.recipient} {str(strike.reference).removeprefix('reference of ')}"


def make_finding(told: Bounce, at: datetime) -> Finding:
    """Return what the processor finds in a bounce received at `at`."""
    finding = bounce(
        f"send-{told.send}",
        name_recipient(told.recipient),
        author=name_author(told.author),
        verdict=_VERDICTS[told.verdict],
        at=at,
    )
    sent_at = at - MINUTE - timedelta(days=told.days_old)
    return replace(finding, report=replace(finding.report, arrived_at=sent_at))


def name_author(number: int) -> str:
    return f"anna{number}@bau{number}.example"


def name_recipient(number: int) -> str:
    return f"max{number}@kunde.example"


def find_case(author: int, recipient: int) -> str:
    return policy.find_case_id(name_author(author), name_recipient(recipient))


def live(
    home: Home, clock: Clock, control: socket.socket, *, node: int, kill: Kill | None, seed: str,
    log: Path,
) -> None:  # fmt: skip
    """Do what `control` says, one JSON object a line, until it is closed or we are killed."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(descriptor, 2)
    logs.configure(LogSettings(format="json"), sys.stderr)
    points = Points(kill, lambda: clock.mark_killed(node, killed=True))
    points.watch(home.ledger.engine)
    with (
        control.makefile("rw") as pipe,
        asyncio.Runner(loop_factory=lambda: CountingLoop(points, f"127.0.0.{2 + node}")) as runner,
    ):
        life = Life(
            home, clock, node=node, points=points, seed=seed,
            delivery=home.plan.dispatcher.delivery,
        )  # fmt: skip
        runner.run(life.recover())
        _answer(pipe, os.getpid())
        for line in pipe:
            order = json.loads(line)
            try:
                result = runner.run(getattr(life, order.pop("do"))(**order))
            except Exception:  # noqa: BLE001 - the parent judges it
                _answer(pipe, None, traceback.format_exc())
            else:
                _answer(pipe, result)


def _answer(pipe: Any, value: object, error: str | None = None) -> None:
    pipe.write(json.dumps({"value": value, "error": error}) + "\n")
    pipe.flush()
