"""`bounced classify`, `bounced explain` and `bounced ingest`: messages from files."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bounced import logs
from bounced.cli.options import ConfigOption, Exit, InputError, JsonOption, load, open_ledger
from bounced.cli.output import complain, follow, print_facts, print_json, print_table, say, show
from bounced.config import Settings
from bounced.daemon import make_processor, make_report_id, read_clock
from bounced.ledger import queries, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport, ReportState
from bounced.ledger.writer import Writer
from bounced.listener.files import STDIN, count_messages, iter_messages
from bounced.model import Action, RecipientFacts, Report, Verdict
from bounced.origin.admission import Door
from bounced.parser.classify import Explanation
from bounced.parser.classify import explain as explain_verdict
from bounced.parser.ruleset import parse_rules
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Parsed, Parser
from bounced.wiring import make_header_names

_STORE_AT_ONCE = 100

PathsArgument = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="Message files, mbox files, Maildirs, or - for stdin."),
]


def classify(
    paths: PathsArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what messages are and why their recipients failed.

    Stores nothing. Exits 0 whatever the verdicts are, 65 when a message could not be read.
    """
    parser = make_parser(load(config))
    source = _Source(paths)
    rows: list[tuple[object, ...]] = []
    for name, raw in source.read(None if as_json and sys.stdout.isatty() else "classifying"):
        parsed = parser.parse(raw)
        if as_json:
            print_json(describe_message(name, parsed))
        else:
            rows.extend(_list_rows(name, parsed))
    if rows:
        columns = ("message", "kind", "recipient", "verdict", "decided by")
        print_table("", columns, rows, fold=("message", "recipient", "decided by"))
    source.finish()


def ingest(
    paths: PathsArgument,
    trusted: Annotated[
        bool,
        typer.Option("--trusted", help="Vouch for them: count what nothing else vouches for."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Take messages into the ledger and process them.

    They are judged as if an own relay had delivered them. Exits 0 once all are stored, 65 when
    one could not be read; the others are stored all the same.
    """
    settings = load(config)
    logs.configure(settings.log.model_copy(update={"level": "warning"}))
    source = _Source(paths)
    with open_ledger(settings, create=True) as ledger:
        ids = _store(ledger, source, vouched=trusted)
        asyncio.run(_process(ledger, settings))
        states = ledger.read(lambda connection: queries.count_states(connection, ids))
    _tell_states(len(ids), states)
    source.finish()


def explain(
    what: Annotated[str, typer.Argument(metavar="ID or FILE", help="A stored report or a file.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say why a message has its verdict.

    Shows the facts, the words that decided, and each rule that matched them.
    """
    settings = load(config)
    parser = make_parser(settings)
    source = _Source([what])
    stored = what != STDIN and not Path(what).exists()
    messages = [(what, _read_stored(settings, what))] if stored else source.read(None)
    for name, raw in messages:
        parsed = parser.parse(raw)
        explanations = [
            explain_verdict(facts, parser.rules, reporting_mta=parsed.report.reporting_mta)
            if facts.action is Action.FAILED
            else None
            for facts in parsed.report.recipients
        ]
        if as_json:
            print_json(_describe_explained(name, parsed, explanations))
        else:
            _tell(name, parsed.report, explanations)
    source.finish()


def make_parser(settings: Settings) -> Parser:
    """Return a parser with today's rules, for this process; raises RuleError."""
    rules = parse_rules(read_rule_files(settings.rules.directories))
    return Parser(rules, make_header_names(settings))


def describe_message(source: str, parsed: Parsed) -> dict[str, Any]:
    """Return a message in the JSON form of DESIGN §8."""
    report = parsed.report
    return {
        "source": source,
        "kind": report.kind.value,
        "reporting_mta": report.reporting_mta,
        "message_id": report.message_id,
        "recipients": [
            _describe_recipient(facts, verdict)
            for facts, verdict in zip(report.recipients, parsed.verdicts, strict=True)
        ],
    }


class _Source:
    """Reads paths one by one; what cannot be read is told, the others go on."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._failed = False

    def read(self, label: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield source and raw message, under a progress bar where it has a label."""
        messages = self._read_all()
        return follow(messages, total=self._count(), label=label) if label else messages

    def finish(self) -> None:
        """Exit 65 where something could not be read."""
        if self._failed:
            raise typer.Exit(Exit.DATA)

    def _read_all(self) -> Iterator[tuple[str, bytes]]:
        for path in self._paths:
            try:
                yield from iter_messages(path, sys.stdin.buffer)
            except OSError as error:
                complain(f"{path}: {error.strerror or error}")
                self._failed = True

    def _count(self) -> int | None:
        if not sys.stderr.isatty():
            return None
        total = 0
        for path in self._paths:
            try:
                count = count_messages(path)
            except OSError:
                continue  # told when it is read
            if count is None:
                return None
            total += count
        return total


def _store(ledger: Ledger, source: _Source, *, vouched: bool) -> list[str]:
    """Store every message durably, some at a time; return their ids."""
    ids: list[str] = []
    waiting: list[NewReport] = []

    def flush() -> None:
        if waiting:
            ledger.write(lambda connection: reports.append(connection, waiting))
            ids.extend(arrival.report for arrival in waiting)
            waiting.clear()

    for _, raw in source.read("storing"):
        waiting.append(_make_arrival(raw, read_clock(), vouched=vouched))
        if len(waiting) >= _STORE_AT_ONCE:
            flush()
    flush()
    return ids


def _tell_states(stored: int, states: dict[str, int]) -> None:
    parts = [
        f"{states[state]} {words}"
        for state, words in (
            (ReportState.PROCESSED, "processed"),
            (ReportState.QUARANTINED, "in quarantine"),
            (ReportState.STORED, "waiting for the daemon"),
        )
        if states.get(state)
    ]
    say(f"stored {stored}" + (": " if parts else "") + ", ".join(parts))
    if states.get(ReportState.QUARANTINED):
        say("`bounced quarantine list` tells why; `bounced quarantine release ID` counts one")


def _make_arrival(raw: bytes, now: datetime, *, vouched: bool) -> NewReport:
    return NewReport(
        report=make_report_id(now),
        received_at=now,
        raw=raw,
        envelope_recipient="",
        door=Door.INGEST.value,
        vouched=vouched,
    )


async def _process(ledger: Ledger, settings: Settings) -> None:
    writer = Writer(ledger)
    rules = read_rule_files(settings.rules.directories)
    processor = make_processor(writer, settings, rules=rules, clock=read_clock)
    try:
        await processor.process_waiting()
    finally:
        processor.pool.stop()
        writer.stop()


def _read_stored(settings: Settings, report: str) -> bytes:
    with open_ledger(settings) as ledger:
        found = ledger.read(lambda connection: reports.read_stored(connection, [report]))
    if not found:
        raise InputError(f"{report}: no such file, and no report of that id in the ledger")
    return found[0].arrival.raw


def _describe_recipient(facts: RecipientFacts, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "recipient": facts.recipient,
        "original_recipient": facts.original_recipient,
        "final_recipient": facts.final_recipient,
        "action": facts.action.value if facts.action else None,
        "status": facts.status,
        "smtp_code": facts.smtp_code,
        "remote_mta": facts.remote_mta,
        "diagnostic_code": facts.diagnostic_code,
        "category": verdict.category.value if verdict else None,
        "reason": verdict.reason.value if verdict else None,
        "rule": verdict.rule if verdict else None,
        "evidence": verdict.evidence if verdict else None,
    }


def _list_rows(name: str, parsed: Parsed) -> Iterator[tuple[object, ...]]:
    kind = parsed.report.kind.value
    if not parsed.report.recipients:
        yield (name, kind, None, None, None)
    for facts, verdict in zip(parsed.report.recipients, parsed.verdicts, strict=True):
        action = facts.action.value if facts.action else None
        decided = [verdict.category.value, verdict.reason.value] if verdict else action
        yield (name, kind, facts.recipient, decided, verdict.evidence if verdict else None)


def _describe_explained(
    name: str, parsed: Parsed, explanations: list[Explanation | None]
) -> dict[str, Any]:
    described = describe_message(name, parsed)
    for line, facts, explained in zip(
        described["recipients"], parsed.report.recipients, explanations, strict=True
    ):
        line["where"] = explained.verdict.where if explained else None
        line["replies"] = [
            {"text": reply.text, "where": reply.where, "host": reply.host}
            for reply in facts.replies
        ]
        line["candidates"] = [
            {
                "rule": candidate.rule,
                "stage": candidate.stage.value,
                "category": candidate.category.value,
                "reason": candidate.reason.value,
                "evidence": candidate.evidence,
                "where": candidate.where,
                "lost": candidate.lost,
            }
            for candidate in (explained.candidates if explained else ())
        ]
    described["notes"] = list(parsed.report.notes)
    return described


def _tell(name: str, report: Report, explanations: list[Explanation | None]) -> None:
    say(f"{show(name)}: {report.kind.value}")
    print_facts(
        {
            "reporting_mta": report.reporting_mta,
            "queue_id": report.queue_id,
            "envelope_id": report.envelope_id,
            "subject": report.subject,
            "protocol": report.returned.subject if report.returned else None,
            "protocol_from": report.returned.from_address if report.returned else None,
            "author_header": report.returned.author if report.returned else None,
            "notes": list(report.notes),
        }
    )
    for facts, explained in zip(report.recipients, explanations, strict=True):
        say()
        who = show(facts.recipient) or "nobody named"
        say(f"{who}: {facts.action.value if facts.action else 'no action'}")
        print_facts(
            {
                "final_recipient": facts.final_recipient if facts.forwarded else None,
                "status": facts.status,
                "remote_mta": facts.remote_mta,
            }
        )
        for reply in facts.replies:
            say(f"  said in {reply.where}: {show(reply.text)}")
        if explained is not None:
            _tell_verdict(explained)


def _tell_verdict(explained: Explanation) -> None:
    verdict = explained.verdict
    if verdict.rule is None:
        say("  verdict: unknown; no rule speaks of these words")
    else:
        say(f"  verdict: {verdict.category.value} / {verdict.reason.value}, rule {verdict.rule}")
        say(f'  decided by "{show(verdict.evidence)}" in {verdict.where}')
    for candidate in explained.candidates:
        if candidate.lost is not None:
            say(
                f"  lost: {candidate.rule} ({candidate.category.value} /"
                f' {candidate.reason.value}) by "{show(candidate.evidence)}": {candidate.lost}'
            )
