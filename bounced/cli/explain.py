"""`bounced explain`: why a message has its verdict and, once stored, whether it counted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from bounced.cli.messages import Source, describe_message, make_parser
from bounced.cli.options import ConfigOption, InputError, JsonOption, is_missing, load, open_ledger
from bounced.cli.output import print_facts, print_json, print_lines, say, show
from bounced.cli.verdicts import (
    describe_candidates,
    describe_replies,
    describe_verdict,
    print_replies,
    print_verdict,
)
from bounced.config import Settings
from bounced.ledger import queries, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import ReportState
from bounced.listener.files import STDIN
from bounced.model import Action, Category, RecipientFacts, Report
from bounced.parser.classify import Explanation
from bounced.parser.classify import explain as explain_verdict
from bounced.processor.worker import Parsed


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID or FILE", help="A stored report's id, or a file, or - for stdin."
        ),
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say why a message has its verdict.

    Shows the facts, the words that decided, and each rule that matched them; of a stored report
    also whether it counted, and why not.
    """
    if not what:
        raise InputError("name a stored report's id, or a file")
    if Path(what).is_dir():
        raise InputError(f"{what}: a folder; name one message of it (bounced classify reads all)")
    settings = load(config)
    parser = make_parser(settings)
    source = Source([what])
    stored = None
    messages = source.read(None)
    if what != STDIN and not Path(what).exists():
        raw, stored = _read_stored(settings, what)
        messages = iter([(what, raw)])
    for name, raw in messages:
        parsed = parser.parse(raw)
        explanations = [
            explain_verdict(facts, parser.rules, reporting_mta=parsed.report.reporting_mta)
            if facts.action is Action.FAILED
            else None
            for facts in parsed.report.recipients
        ]
        if as_json:
            print_json(_describe_explained(name, parsed, explanations) | {"ledger": stored})
        else:
            _tell(name, parsed.report, explanations)
            if stored is not None:
                _tell_ledger(stored)
    source.finish()


def _read_stored(settings: Settings, report: str) -> tuple[bytes, dict[str, Any]]:
    """Return a stored report's message and what the ledger made of it; raises InputError."""
    nothing = InputError(f"{report}: no such file, and no report of that id")
    if is_missing(Ledger(settings.database.url)):
        raise nothing
    with open_ledger(settings) as ledger:
        found = ledger.read(lambda connection: reports.read_stored(connection, [report]))
        rows = ledger.read(lambda connection: queries.list_reports(connection, report=report))
    if not found or not rows:
        raise nothing
    return found[0].arrival.delivered, _describe_stored(rows[0])


def _describe_stored(row: dict[str, Any]) -> dict[str, Any]:
    """Return the ledger's word on a report; a recipient's is null until the report may count."""
    may_count = row["state"] == ReportState.PROCESSED.value
    return {name: row[name] for name in ("state", "trust", "why", "detail")} | {
        "recipients": [
            {
                "recipient": line["recipient"],
                "counted": may_count and line["ignored"] is None,
                "ignored": line["ignored"] if may_count else None,
            }
            for line in row["recipients"]
        ]
    }


def _describe_explained(
    name: str, parsed: Parsed, explanations: list[Explanation | None]
) -> dict[str, Any]:
    described = describe_message(name, parsed)
    for line, facts, explained in zip(
        described["recipients"], parsed.report.recipients, explanations, strict=True
    ):
        line.update(describe_verdict(explained.verdict if explained else None))
        line["replies"] = describe_replies(facts.replies)
        line["candidates"] = describe_candidates(explained)
    described["notes"] = list(parsed.report.notes)
    return described


def _tell(name: str, report: Report, explanations: list[Explanation | None]) -> None:
    returned = report.returned
    say(f"{show(name)}: {report.kind.value}")
    print_facts(
        {
            "reporting_mta": report.reporting_mta,
            "queue_id": report.queue_id,
            "envelope_id": report.envelope_id,
            "subject": report.subject,
            "date_(UTC)": report.dated_at,
            "protocol": returned.subject if returned else None,
            "protocol_from": returned.from_address if returned else None,
            "author_header": returned.author if returned else None,
            "notes": list(report.notes),
        },
        indent=2,
    )
    for facts, explained in zip(report.recipients, explanations, strict=True):
        say()
        _tell_recipient(facts, explained)


def _tell_recipient(facts: RecipientFacts, explained: Explanation | None) -> None:
    who = show(facts.recipient) or "nobody named"
    print_lines([Text(f"{who}: {facts.action.value if facts.action else 'no action'}", "bold")])
    print_facts(
        {
            "final_recipient": facts.final_recipient if facts.forwarded else None,
            "status": facts.status,
            "remote_mta": facts.remote_mta,
        },
        indent=2,
    )
    print_replies(facts, explained)
    if explained is not None:
        print_verdict(explained)
        if explained.verdict.category is Category.UNKNOWN:
            say("  (bounced unknown list shows the stored texts that no rule knows)")


def _tell_ledger(stored: dict[str, Any]) -> None:
    say()
    say("in the ledger")
    print_facts({name: value for name, value in stored.items() if name != "recipients"})
    for line in stored["recipients"]:
        word = (
            "counted"
            if line["counted"]
            else f"not counted: {line['ignored'] or stored['why'] or 'waiting'}"
        )
        say(f"  {show(line['recipient']) or 'nobody named'}: {word}")
