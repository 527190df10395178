"""`bounced ingest`: messages from files into the ledger, and what became of them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from bounced import logs
from bounced.cli.messages import PathsArgument, Source
from bounced.cli.options import ConfigOption, load, open_ledger
from bounced.cli.output import say
from bounced.config import Settings
from bounced.daemon import make_processor, make_report_id, read_clock
from bounced.ledger import queries, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport, ReportState
from bounced.ledger.writer import Writer
from bounced.origin.admission import Door
from bounced.processor.rule_files import read_rule_files

_STORE_AT_ONCE = 100
_ERRORS_ONLY = {"level": "error"}


def ingest(
    paths: PathsArgument,
    trusted: Annotated[
        bool,
        typer.Option("--trusted", help="Vouch for them: count what nothing else vouches for."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Write the log too, not its errors only.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Take messages into the ledger and process them.

    They are judged as if an own relay had delivered them. Exits 0 once all are stored, 65 when
    one could not be read; the others are stored all the same.
    """
    settings = load(config)
    logs.configure(settings.log if verbose else settings.log.model_copy(update=_ERRORS_ONLY))
    source = Source(paths)
    with open_ledger(settings, create=True) as ledger:
        ids = _store(ledger, source, vouched=trusted)
        asyncio.run(_process(ledger, settings))
        states = ledger.read(lambda connection: queries.count_states(connection, ids))
        outcomes = ledger.read(lambda connection: queries.count_outcomes(connection, ids))
    _tell_states(len(ids), states)
    for outcome, count in sorted(outcomes.items()):
        say(f"  {outcome}: {count}")
    if states.get(ReportState.QUARANTINED):
        say("`bounced quarantine list` tells more; `bounced quarantine release ID` counts one")
    source.finish()


def _store(ledger: Ledger, source: Source, *, vouched: bool) -> list[str]:
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
