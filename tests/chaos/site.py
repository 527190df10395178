"""A site that lives through histories: database, clock, relay, and daemons that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from bounced.config import NoticeSettings
from bounced.ledger import authors
from bounced.ledger.schema import metadata
from bounced.notifier.dispatcher import LEASE
from bounced.values import parse_quiet_times
from tests.chaos.furnish import furnish
from tests.chaos.history import (
    AUTHORS,
    DAY,
    HOUR,
    INSTANT,
    MINUTE,
    Beat,
    Bounce,
    Correct,
    Decline,
    Forgive,
    History,
    Kill,
    Mode,
    Move,
    Release,
    Reset,
    Resume,
    Return,
    Skew,
    Step,
)
from tests.chaos.judge import (
    Arrived,
    Asked,
    Case,
    Item,
    Limits,
    RoundOpened,
    Silenced,
    Unsilenced,
    judge_end,
    judge_mails,
)
from tests.chaos.life import Clock, Home, find_case, name_author, name_recipient
from tests.chaos.nursery import Nursery
from tests.chaos.remains import read_end, read_log
from tests.chaos.sink import Sink
from tests.ledger.office import START

_NODES = 2
_LONG_S = LEASE // timedelta(seconds=1) + MINUTE
_AFTERWARDS = (_LONG_S, _LONG_S, 2 * HOUR, DAY + HOUR, DAY + HOUR, *(8 * DAY,) * 3)
"""Moves until everything that may be told has been told, whatever clocks had jumped."""
_PATIENCE_S = 60.0
_EMPTY = "; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))
_DISCONNECT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass
class Result:
    """What a history came to."""

    faults: list[str] = field(default_factory=list)
    timeline: list[Item] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    points: dict[str, int] = field(default_factory=dict)
    """What the first node's last life passed."""
    states: Counter[str] = field(default_factory=Counter)
    unlogged: int = 0
    """Notices of unknown outcome whose daemon died between the commit and the line."""

    @property
    def mails(self) -> list[Arrived]:
        return [item for item in self.timeline if isinstance(item, Arrived)]


@contextmanager
def open_site(folder: Path, url: str) -> Iterator[Site]:
    """Prepare a database, a listening socket and a nursery; must be in no event loop yet."""
    clock = Clock()
    clock.set(START)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        home = furnish(folder, url, listening.getsockname()[1])
        template = folder / "template.db"
        if home.ledger.file is not None:
            shutil.copy(home.ledger.file, template)
        with Nursery(home, clock, folder) as nursery:
            yield Site(home, clock, nursery, template, listening)
            home.ledger.close()


class Node:
    """A place where daemons run, one after the other."""

    def __init__(self, site: Site, number: int, kills: Sequence[Kill]) -> None:
        self.number = number
        self.busy = False
        self.changed: dict[str, Any] = {}
        """What its daemons have of `notices.*` that is not the default."""
        self.killed: Counter[str] = Counter()
        self._site = site
        self._kills = deque(kills)
        self._kill: Kill | None = None
        self._lives = 0
        self._writer: asyncio.StreamWriter | None = None

    async def do(self, order: str, **fields: Any) -> Any:
        """Have something done, by a new daemon where there is none; None: killed over it."""
        self.busy = True
        try:
            if self._writer is None and not await self._start():
                return None
            return await self._ask(order, fields)
        finally:
            self.busy = False

    async def insist(self, order: str, **fields: Any) -> Any:
        """Have something done, however many daemons die over it."""
        while True:
            value = await self.do(order, **fields)
            if self._writer is not None:
                return value

    async def spare(self) -> None:
        """Let nobody be killed from now on."""
        self._kills.clear()
        await self.leave()

    async def leave(self) -> None:
        if self._writer is not None:
            self._writer.write_eof()
            assert not await self._reader.read()
            self._writer.close()
            self._writer = None

    async def _start(self) -> bool:
        site = self._site
        self._lives += 1
        self._kill = self._kills.popleft() if self._kills else None
        site.clock.mark_killed(self.number, killed=False)
        seed = f"{site.seed}/{self.number}/{self._lives}"
        ours = site.nursery.bear(self.number, self._kill, seed)
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=2**20)
        self._pid = await self._hear()
        if self._pid is not None and self.changed:
            await self._ask("change", self.changed)
        return self._writer is not None

    async def _ask(self, order: str, fields: dict[str, Any]) -> Any:
        assert self._writer is not None
        self._writer.write(json.dumps({"do": order, **fields}).encode() + b"\n")
        if order == "beat" and self._kill and self._kill.kind == INSTANT:
            await asyncio.sleep(self._kill.number / 1000)
            self._site.clock.mark_killed(self.number, killed=True)
            os.kill(self._pid, signal.SIGKILL)
        return await self._hear()

    async def _hear(self) -> Any:
        async with asyncio.timeout(_PATIENCE_S):
            try:
                line = await self._reader.readline()
            except ConnectionError:
                line = b""
        if line and not self._site.clock.was_killed(self.number):
            answer = json.loads(line)
            if answer["error"] is not None:
                self._site.result.faults.append(answer["error"])
            return answer["value"]
        await self._bury()
        return None

    async def _bury(self) -> None:
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        if self._kill and self._site.clock.was_killed(self.number):
            self._site.result.kills[self._kill.kind] += 1
        else:
            self._site.result.faults.append(f"node {self.number} ended by itself")
        await self._site.sink.finish(self.number)


class Site:
    """Runs one history after the other."""

    def __init__(
        self, home: Home, clock: Clock, nursery: Nursery, template: Path, listening: socket.socket
    ) -> None:
        self._home = home
        self._template = template
        self._listening = listening
        self.clock = clock
        self.nursery = nursery
        self.sink = Sink(clock, self)

    async def start(self) -> None:
        await self.sink.start(self._listening)

    async def run(self, history: History, seed: str) -> Result:
        """Live through a history to its end, and judge it."""
        self.seed, self.result = seed, Result()
        self._sends: set[tuple[Case, str]] = set()
        self._waived: set[tuple[Case, str]] = set()
        self._corrected: dict[Case, datetime] = {}
        self._reset(history)
        nodes = range(1 if self._home.ledger.file else _NODES)
        self._nodes = [Node(self, number, history.kills[number]) for number in nodes]
        self._instants: dict[int, list[datetime]] = {}
        self._limits = _find_limits(history, self._home.settings.notices)
        for node in self._nodes:
            node.changed |= history.settings
        for step in history.steps:
            await self._take(step)
        self.result.points = await self._nodes[0].do("count") or {}
        await self._come_to_rest()
        self._judge()
        return self.result

    def _reset(self, history: History) -> None:
        self.clock.set(START)
        for node in range(_NODES):
            self.clock.skew(node, 0)
        self.sink.manners = deque(history.manners)
        self.nursery.log.write_bytes(b"")
        ledger = self._home.ledger
        if ledger.file is None:
            ledger.write(lambda c: c.execute(text(_DISCONNECT)))
            ledger.write(lambda c: c.exec_driver_sql(_EMPTY))
            ledger.close()
            return
        ledger.close()
        for suffix in ("-wal", "-shm"):
            ledger.file.with_name(ledger.file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._template, ledger.file)

    async def _take(self, step: Step) -> None:
        first = self._nodes[0]
        match step:
            case Bounce():
                await self._bounce(step)
            case Move(seconds):
                self.clock.move(seconds)
            case Skew(node, seconds):
                self.clock.skew(node, seconds)
            case Beat(nodes, reload, after):
                await self._beat([self._nodes[node] for node in nodes], reload, after)
            case Reset() | Correct():
                await self._change_case(step)
            case Mode(mode):
                for each in self._nodes:
                    each.changed["mode"] = mode
                    await each.do("change", mode=mode)
            case Release():
                await first.insist("release")
            case Decline() | Return() | Resume() | Forgive():
                await self._change_silence(step)

    async def _beat(self, nodes: Sequence[Node], reload: str | None, after: int) -> None:
        self._instants.clear()
        self._note_time()
        await asyncio.gather(*(node.do("beat", reload=reload, after=after) for node in nodes))
        if reload is not None:
            for node in nodes:
                node.changed["mode"] = reload
                await node.do("change", mode=reload)

    async def _change_case(self, step: Reset | Correct) -> None:
        first, identity = self._nodes[0], find_case(step.author, step.recipient)
        case = (name_author(step.author), name_recipient(step.recipient))
        if isinstance(step, Reset):
            self.result.timeline.append(RoundOpened(case))
            await first.insist("reset", case=identity)
            return
        await first.insist("correct", case=identity)
        self._waived |= {send for send in self._sends if send[0] == case}
        self._corrected[case] = self.clock.read(0)

    async def _change_silence(self, step: Decline | Return | Resume | Forgive) -> None:
        first, author = self._nodes[0], name_author(step.author)
        if isinstance(step, Resume | Forgive):
            self.result.timeline.append(Unsilenced(author))
        orders = {Decline: "decline", Return: "take_back", Resume: "resume", Forgive: "forgive"}
        await first.insist(orders[type(step)], author=author)
        if isinstance(step, Decline) or await first.insist("is_silent", author=author):
            self.result.timeline.append(Silenced(author))

    async def _bounce(self, step: Bounce) -> None:
        """Let a bounce come in; as the processor does, until it is recorded."""
        at = self.clock.read(0)
        await self._nodes[0].insist("bounce", at=at.isoformat(), **asdict(step))
        if step.days_old:
            return
        author, recipient = name_author(step.author), name_recipient(step.recipient)
        domain = author.partition("@")[2]
        case = (author, domain if step.verdict == "auth-failure" else recipient)
        send = (case, f"{recipient} send-{step.send}")
        if send not in self._sends and at <= self._corrected.get(case, START):
            self._waived.add(send)  # the clock went back to before the case was closed
        self._sends.add(send)

    def take_mail(self, mail: Arrived) -> None:
        """Write a mail into the timeline."""
        self.result.timeline.append(mail)

    def note_asked(self, node: int, author: str) -> None:
        """Write into the timeline that a node wrote DATA."""
        self.result.timeline.append(Asked(author, tuple(self._instants[node])))

    def decline(self, author: str) -> None:
        """Let an author decline while his mail is under way."""
        now = self.clock.read(0)
        self._home.ledger.write(
            lambda c: authors.decline(c, author, now, webhook=False, new_id=str)
        )
        self.result.timeline.append(Silenced(author))

    def set_back(self) -> None:
        """Put the clock back while a node waits for the relay."""
        self.clock.move(-2 * HOUR)
        self._note_time()

    def _note_time(self) -> None:
        for node in range(_NODES):
            self._instants.setdefault(node, []).append(self.clock.read(node))

    async def delay(self, node: int) -> None:
        """Let a lease run out while `node` waits for the relay, and another node look."""
        self.clock.move(_LONG_S)
        self._note_time()
        others = [other for other in self._nodes if other.number != node and not other.busy]
        for other in others:
            await other.do("beat")

    async def _come_to_rest(self) -> None:
        """Kill nobody more, let the relay behave, and time pass until all is told."""
        self.sink.manners.clear()
        for node in self._nodes:
            await node.spare()
            self.clock.skew(node.number, 0)
            node.changed.pop("mode", None)
        last = self._nodes[0]
        for author in range(AUTHORS):
            await self._take(Forgive(author))
        for seconds in _AFTERWARDS:
            self.clock.move(seconds)
            now = self.clock.read(0)
            quiet_end = self._limits.find_quiet_end(now)
            if quiet_end is not None:
                self.clock.move((quiet_end - now) // timedelta(seconds=1))
            await last.insist("release")
            await self._take(Beat((last.number,)))
        await last.leave()

    def _judge(self) -> None:
        result = self.result
        end = self._home.ledger.read(read_end)
        lines, strays = read_log(self.nursery.log)
        logged = {line["notice"] for line in lines if line["event"] == "notice_outcome_unknown"}
        unknown = {row.notice for row in end.notices if row.state == "outcome_unknown"}
        result.unlogged = len(unknown - logged)
        result.states = Counter(row.state for row in end.notices)
        timeline = result.timeline
        result.faults += judge_mails(timeline, self._limits)
        result.faults += judge_end(end, timeline, self._sends, self._waived)
        if result.unlogged > result.kills.total():
            result.faults.append(f"not logged: {sorted(unknown - logged)}")
        result.faults += strays
        result.faults += [str(line) for line in lines if line["event"] == "library_message"]


def _find_limits(history: History, found: NoticeSettings) -> Limits:
    quiet = parse_quiet_times(history.settings.get("quiet_hours"))
    zone = ZoneInfo(found.timezone)
    return Limits(
        found.min_interval,
        found.min_interval_auth,
        history.settings.get("daily_limit", found.daily_limit),
        lambda now: quiet.find_end(now, zone) if quiet else None,
    )
