"""A site that lives through histories: database, clock, relay, and daemons that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select, text

from bounced.config import Settings
from bounced.configfile import load_settings
from bounced.keyfile import change_keys
from bounced.ledger.engine import Ledger
from bounced.ledger.schema import cases, events, metadata, notices, slots, strikes
from bounced.notifier.dispatcher import LEASE
from bounced.origin.token import Key, KeyRing
from bounced.plan import make_plan
from tests.chaos.history import (
    DAY,
    HOUR,
    INSTANT,
    MINUTE,
    Beat,
    Bounce,
    Correct,
    History,
    Kill,
    Mode,
    Move,
    Release,
    Reset,
    Skew,
    Step,
)
from tests.chaos.judge import (
    Arrived,
    Case,
    CaseRow,
    End,
    NoticeRow,
    RoundOpened,
    StrikeRow,
    judge_end,
    judge_mails,
)
from tests.chaos.life import Clock, Home, find_case, name_author, name_recipient
from tests.chaos.nursery import Nursery
from tests.chaos.sink import Sink
from tests.ledger.office import START

_CONFIG = """\
[return_path]
keys_file = "{folder}/bounced.keys"
[database]
url = "{url}"
[notices]
sender = "support@app.example"
[relay]
host = "127.0.0.1"
port = {port}
security = "none"
"""
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
    timeline: list[Arrived | RoundOpened] = field(default_factory=list)
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
        home = _furnish(folder, url, listening.getsockname()[1])
        template = folder / "template.db"
        if home.ledger.file is not None:
            shutil.copy(home.ledger.file, template)
        with Nursery(home, clock, folder) as nursery:
            yield Site(home, clock, nursery, template, listening)
            home.ledger.close()


def _furnish(folder: Path, url: str, port: int) -> Home:
    """Make what every daemon works with, on a prepared database."""
    config = folder / "config.toml"
    config.write_text(_CONFIG.format(folder=folder, url=url, port=port))
    settings: Settings = load_settings(config, {})
    key = Key("a", bytes(32), START.date())
    change_keys(folder / "bounced.keys", lambda found: found or KeyRing((key,)))
    ledger = Ledger(url)
    ledger.prepare()
    plan = make_plan(settings, ledger.file)
    ledger.close()
    return Home(ledger, settings, plan)


class Node:
    """A place where daemons run, one after the other."""

    def __init__(self, site: Site, number: int, kills: Sequence[Kill]) -> None:
        self.number = number
        self.busy = False
        self.mode = "send"
        self.killed: Counter[str] = Counter()
        self._site = site
        self._kills = deque(kills)
        self._kill: Kill | None = None
        self._lives = 0
        self._writer: asyncio.StreamWriter | None = None

    async def do(self, order: str, **fields: Any) -> Any:
        """Have something done, by a new daemon where there is none; None: killed over it."""
        if self._writer is None and not await self._start():
            return None
        return await self._ask(order, fields)

    async def insist(self, order: str, **fields: Any) -> None:
        """Have something done, however many daemons die over it."""
        while True:
            if self._writer is not None or await self._start():
                await self._ask(order, fields)
            if self._writer is not None:
                return

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
        if self._pid is not None and self.mode != "send":
            await self._ask("mode", {"mode": self.mode})
        return self._writer is not None

    async def _ask(self, order: str, fields: dict[str, Any]) -> Any:
        assert self._writer is not None
        self._writer.write(json.dumps({"do": order, **fields}).encode() + b"\n")
        self.busy = True
        try:
            if order == "beat" and self._kill and self._kill.kind == INSTANT:
                await asyncio.sleep(self._kill.number / 1000)
                self._site.clock.mark_killed(self.number, killed=True)
                os.kill(self._pid, signal.SIGKILL)
            return await self._hear()
        finally:
            self.busy = False

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
        self.sink = Sink(clock, self._take_mail, self._delay)

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
            case Beat(nodes):
                await asyncio.gather(*(self._nodes[node].do("beat") for node in nodes))
            case Reset(author, recipient):
                case = (name_author(author), name_recipient(recipient))
                self.result.timeline.append(RoundOpened(case))
                await first.insist("reset", case=find_case(author, recipient))
            case Correct(author, recipient):
                case = (name_author(author), name_recipient(recipient))
                await first.insist("correct", case=find_case(author, recipient))
                self._waived |= {send for send in self._sends if send[0] == case}
                self._corrected[case] = self.clock.read(0)
            case Mode(mode):
                for each in self._nodes:
                    each.mode = mode
                    await each.do("mode", mode=mode)
            case Release():
                await first.insist("release")

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

    def _take_mail(self, mail: Arrived) -> None:
        self.result.timeline.append(mail)

    async def _delay(self, node: int) -> None:
        """Let a lease run out while `node` waits for the relay, and another node look."""
        self.clock.move(_LONG_S)
        others = [other for other in self._nodes if other.number != node and not other.busy]
        for other in others:
            await other.do("beat")

    async def _come_to_rest(self) -> None:
        """Kill nobody more, let the relay behave, and time pass until all is told."""
        self.sink.manners.clear()
        for node in self._nodes:
            await node.spare()
            self.clock.skew(node.number, 0)
            node.mode = "send"
        last = self._nodes[0]
        for seconds in _AFTERWARDS:
            self.clock.move(seconds)
            await last.insist("release")
            await last.insist("beat")
        await last.leave()

    def _judge(self) -> None:
        result, settings = self.result, self._home.settings.notices
        end = self._home.ledger.read(_read_end)
        lines, strays = _read_log(self.nursery.log)
        logged = {line["notice"] for line in lines if line["event"] == "notice_outcome_unknown"}
        unknown = {row.notice for row in end.notices if row.state == "outcome_unknown"}
        result.unlogged = len(unknown - logged)
        result.states = Counter(row.state for row in end.notices)
        timeline = result.timeline
        result.faults += judge_mails(timeline, settings.min_interval, settings.min_interval_auth)
        result.faults += judge_end(end, timeline, self._sends, self._waived)
        if result.unlogged > result.kills.total():
            result.faults.append(f"not logged: {sorted(unknown - logged)}")
        result.faults += strays
        result.faults += [str(line) for line in lines if line["event"] == "library_message"]


def _read_log(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the events, and what is none; a line that a kill cut short is neither."""
    lines: list[dict[str, Any]] = []
    strays: list[str] = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            lines.append(json.loads(line))
        except ValueError:
            strays += [line] if line.endswith("\n") else []
    return lines, strays


def _read_end(connection: Connection) -> End:
    """Return what the judge wants to know of the ledger."""
    names: dict[str, Case] = {}
    taken: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for slot in connection.execute(select(slots)):
        taken[slot.case].append((slot.round, slot.number))
    found = []
    for row in connection.execute(select(cases)):
        names[row.case] = (row.author, row.subject)
        found.append(
            CaseRow(
                names[row.case], row.state, row.category, row.round, row.strikes,
                tuple(sorted(taken[row.case])),
            )
        )  # fmt: skip
    published = {
        (event.event, json.loads(event.body).get("notice"))
        for event in connection.execute(select(events))
    }
    return End(
        notices=tuple(
            NoticeRow(row.notice, row.state, told=(f"notice_{row.state}", row.notice) in published)
            for row in connection.execute(select(notices))
        ),
        cases=tuple(found),
        strikes=tuple(
            StrikeRow(names[row.case], _name_send(row), row.round, row.notice)
            for row in connection.execute(select(strikes))
        ),
    )


def _name_send(row: Row[Any]) -> str:
    return f"{row.recipient} {row.send_key.removeprefix('message-id:').partition('@')[0]}"
