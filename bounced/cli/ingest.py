"""`bounced ingest`: messages from files into the ledger, and what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Annotated

import typer
from sqlalchemy import Connection, select

from bounced import logs
from bounced.cli.messages import PathsArgument, Source
from bounced.cli.options import ConfigOption, load, open_ledger
from bounced.cli.output import say
from bounced.config import Settings
from bounced.daemon import make_processor, make_report_id, read_clock
from bounced.ledger import queries, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport, ReportState
from bounced.ledger.schema import failures
from bounced.ledger.schema import reports as reports_table
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
        whys = ledger.read(lambda connection: _count_whys(connection, ids))
    _tell_states(len(ids), states)
    for why, count in sorted(whys.items()):
        say(f"  {why}: {count}")
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


def _count_whys(connection: Connection, ids: list[str]) -> Counter[str]:
    """Return what became of the reports in quarantine and of the others' recipients."""
    whys: Counter[str] = Counter()
    for start in range(0, len(ids), _STORE_AT_ONCE):
        chosen = reports_table.c.report.in_(ids[start : start + _STORE_AT_ONCE])
        held = reports_table.c.state == ReportState.QUARANTINED.value
        for why in connection.execute(select(reports_table.c.why).where(chosen, held)).scalars():
            whys[f"in quarantine, {why}"] += 1
        found = (
            select(failures.c.ignored)
            .join(reports_table, reports_table.c.report == failures.c.report)
            .where(chosen, reports_table.c.state == ReportState.PROCESSED.value)
        )
        for ignored in connection.execute(found).scalars():
            whys[f"recipients not counted, {ignored}" if ignored else "recipients counted"] += 1
    return whys


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
