"""A site whose stored reports are judged by one set of rules and later by another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete

from bounced.ledger import reports, schema, strikes
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport
from bounced.ledger.replays import Change
from bounced.model import Action, Report
from bounced.origin.resolve import OriginSettings
from bounced.parser.report import HeaderNames
from bounced.parser.ruleset import parse_rules
from bounced.processor import replay as replay_module
from bounced.processor.processor import ProcessorSettings, judge
from bounced.processor.replay import Replay, Step
from bounced.processor.worker import Parsed, Parser, Result
from tests.e2e.process import build_dsn
from tests.ledger.office import AUTHOR, DAY, RECIPIENT, START, Office

REPLAYED_AT = START + 2 * DAY

Alter = Callable[[Report], Report]

BOUNCE = "bad-address/user-unknown"
FULL = "mailbox-full/mailbox-full"
EXPIRED = "system/expired"
SPF = "auth-failure/spf"
OPS = "policy/relay-denied"
SPAM = "spam-rejection/content"
TABLES = ("cases", "strikes", "failures", "notices", "slots", "reports", "replays")

_RULE = """
[[rule]]
id = "rule-{word}"
category = "{category}"
reason = "{reason}"
source = "test"
words = ["{word}"]
examples = ["550 5.0.0 {word}"]
"""


def judge_by(**words: str) -> Parser:
    """Return a parser whose rules give each word its verdict, and know nothing else."""
    rules = (
        _RULE.format(word=word, category=verdict.split("/")[0], reason=verdict.split("/")[1])
        for word, verdict in words.items()
    )
    return Parser(parse_rules({"t.toml": 'stage = "language"\n' + "".join(rules)}), HeaderNames())


def delay(report: Report) -> Report:
    """Read a report's failures as mere delays."""
    recipients = (replace(facts, action=Action.DELAYED) for facts in report.recipients)
    return replace(report, recipients=tuple(recipients))


def rename(recipient: str) -> Alter:
    """Read every recipient as this one."""

    def alter(report: Report) -> Report:
        recipients = (replace(facts, final_recipient=recipient) for facts in report.recipients)
        return replace(report, recipients=tuple(recipients))

    return alter


@dataclass
class Archive:
    """Stores, processes, tells and replays at the time that its office's clock shows."""

    ledger: Ledger
    parser: Parser = field(default_factory=judge_by)
    origin: OriginSettings = field(default_factory=lambda: OriginSettings(own_relays=()))

    def __post_init__(self) -> None:
        self.office = Office(self.ledger)

    @property
    def settings(self) -> ProcessorSettings:
        return ProcessorSettings(self.origin, self.office.settings)

    def receive(self, send: str, said: str, recipient: str = RECIPIENT, **more: Any) -> str:
        """Store the bounce of a send, process it by the parser; return the report's id."""
        now = self.office.now
        report = more.get("report") or f"{send}-{now:%m%d%H%M}-{said[:3]}"[:16]
        raw = build_dsn(recipient, send, author=AUTHOR, now=now, reply=f"550 5.0.0 {said}")
        door = more.get("door", "ingest")
        arrival = NewReport(report, now, raw, "bounces@bounce.example.com", door)

        def work(connection: Any) -> None:
            reports.append(connection, [arrival])
            (stored,) = reports.read_stored(connection, [report])
            finding = judge(stored, self.parser.parse(raw), None, self.settings)
            policy = self.office.settings
            strikes.record(connection, [finding], policy, now, self.office.new_id)

        self.ledger.write(work)
        return report

    def make_replay(
        self,
        parser: Parser,
        *alters: Alter,
        since_at: datetime | None = None,
        parse: Callable[[Sequence[bytes]], list[Result]] | None = None,
    ) -> Replay:
        def read(raws: Sequence[bytes]) -> list[Result]:
            return [_alter(parser.parse(raw), parser, alters) for raw in raws]

        return Replay(
            self.ledger,
            parse or read,
            self.settings,
            since_at=since_at,
            clock=lambda: self.office.now,
            new_id=self.office.new_id,
        )

    def compare(self, parser: Parser, *alters: Alter, **how: Any) -> list[Change]:
        """Return what a replay finds."""
        return list_changes(self.make_replay(parser, *alters, **how).run())

    def correct(self, parser: Parser, *alters: Alter, **how: Any) -> list[Change]:
        """Replay with --apply; return what it corrected."""
        work = self.make_replay(parser, *alters, **how)
        work.correct("today")
        return list_changes(work.run())

    def list_cases(self) -> dict[str, tuple[str, int, int]]:
        """Return each case's category, strikes and notices."""
        return {
            case["subject"]: (case["category"], case["strikes"], case["notices"])
            for case in self.office.list_cases()
        }

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        return self.office.dump(*TABLES)

    def empty(self) -> None:
        """Begin anew on the same database."""

        def work(connection: Any) -> None:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(delete(table))

        self.ledger.write(work)
        self.office = Office(self.ledger)


def list_changes(steps: Iterable[Step]) -> list[Change]:
    return [change for step in steps for change in step.changes]


def _alter(parsed: Parsed, parser: Parser, alters: Sequence[Alter]) -> Parsed:
    report = parsed.report
    for alter in alters:
        report = alter(report)
    verdicts = (
        verdict if facts.action is Action.FAILED else None
        for facts, verdict in zip(report.recipients, parsed.verdicts, strict=True)
    )
    return Parsed(report, tuple(verdicts))


def fill(archive: Archive) -> Parser:
    """Receive bounces of every kind; return the rules of the day of the replay."""
    archive.parser = judge_by(plugh=BOUNCE, full=BOUNCE, late=EXPIRED, shut=BOUNCE, ops=OPS)
    said = ("plugh", "full", "shut", "late", "xyzzy", "ops", "plugh", "xyzzy", "shut", "full")
    for number, word in enumerate(said):
        archive.receive(f"s{number}", word, f"r{number % 3}@kunde.example", report=f"r{number}")
        archive.office.move(archive.office.settings.digest_window)
        if number == 2:
            archive.office.send_due()
    archive.office.now = REPLAYED_AT
    return judge_today()


def judge_today() -> Parser:
    return judge_by(full=FULL, xyzzy=SPAM, plugh=SPF, shut=OPS, ops=BOUNCE)


def run_slowly(url: str) -> Iterator[str]:
    """Replay in batches of one report, a line after each."""
    setattr(replay_module, "CLAIM", 1)  # noqa: B010 - mypy forbids the assignment
    archive = Archive(Ledger(url))
    archive.office.now = REPLAYED_AT
    work = archive.make_replay(judge_today())
    work.correct("today")
    for step in work.run():
        yield str(step.reports)


if __name__ == "__main__":
    for line in run_slowly(sys.argv[1]):
        print(line, flush=True)
        sys.stdin.readline()
