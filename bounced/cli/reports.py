"""`bounced reports`: what came in, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bounced.cli.access import only, read, to_key
from bounced.cli.options import (
    AuthorOption,
    ConfigOption,
    JsonOption,
    LimitOption,
    RecipientOption,
    find_limit,
)
from bounced.cli.output import (
    print_facts,
    print_json,
    print_list,
    print_rows,
    say,
    show_minute,
)
from bounced.ledger import queries, reports
from bounced.ledger.records import ReportState

reports_app = typer.Typer(no_args_is_help=True, help="Received reports.")


@reports_app.command("list")
def list_reports(
    author: AuthorOption = None,
    recipient: RecipientOption = None,
    state: Annotated[ReportState | None, typer.Option("--state", help="Only these.")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List received reports, newest first."""
    rows = read(
        config,
        lambda connection: queries.list_reports(
            connection,
            author=to_key(author),
            recipient=recipient,
            state=state,
            limit=find_limit(limit, as_json=as_json),
        ),
    )
    if as_json:
        print_rows(rows)
        return
    columns = ("report, received (UTC)", "kind, state", "recipients, author")
    lines = [
        (
            [row["report"], show_minute(row["received_at"])],
            [row["kind"], row["state"], row["why"]],
            [*_list_verdicts(row), row["author"] and f"author {row['author']}"],
        )
        for row in rows
    ]
    print_list(columns, lines, fold=("recipients, author",), nothing="no reports")


@reports_app.command("show")
def show_report(
    report: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one report with its recipients and verdicts."""
    print_report(find_report(report, config), as_json=as_json)


@reports_app.command("raw")
def print_raw(report: str, config: ConfigOption = None) -> None:
    """Write a report's message, byte for byte, to stdout."""
    stored = read(config, lambda connection: reports.read_stored(connection, [report]))
    typer.get_binary_stream("stdout").write(only(stored, report, "report").arrival.raw)


def find_report(report: str, config: Path | None) -> dict[str, Any]:
    """Return one report's row; raises InputError where there is none."""
    rows = read(config, lambda connection: queries.list_reports(connection, report=report))
    return only(rows, report, "report")


def print_report(
    row: dict[str, Any], *, as_json: bool, advice: Mapping[str, str | None] | None = None
) -> None:
    """Print a report's row, and between it and its recipients what can be done, for people."""
    if as_json:
        print_json(row)
        return
    facts = {name: value for name, value in row.items() if name != "recipients"}
    for block in (facts, advice, *row["recipients"]):
        if block is facts:
            print_facts(facts)
        elif block:
            say()
            print_facts(block)


def _list_verdicts(row: dict[str, Any]) -> list[str]:
    """Return a line a recipient; why one did not count only where the report could count."""
    may_count = row["state"] != ReportState.QUARANTINED.value
    return [
        " ".join(
            part
            for part in (
                line["recipient"] or "nobody named",
                line["category"] or line["action"],
                may_count and line["category"] and line["ignored"] and f"({line['ignored']})",
            )
            if part
        )
        for line in row["recipients"]
    ]
