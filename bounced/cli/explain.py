"""`bounced explain`: why a message has its verdict and, once stored, whether it counted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bounced.cli.messages import Source, describe_message, make_parser
from bounced.cli.options import ConfigOption, InputError, JsonOption, is_missing, load, open_ledger
from bounced.cli.output import print_facts, print_json, say, show
from bounced.config import Settings
from bounced.ledger import queries, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import ReportState
from bounced.listener.files import STDIN
from bounced.model import Action, Report
from bounced.parser.classify import Explanation
from bounced.parser.classify import explain as explain_verdict
from bounced.processor.worker import Parsed


def explain(
    what: Annotated[str, typer.Argument(metavar="ID or FILE", help="A stored report or a file.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say why a message has its verdict.

    Shows the facts, the words that decided, and each rule that matched them; of a stored report
    also whether it counted, and why not.
    """
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
    return found[0].arrival.raw, _describe_stored(rows[0])


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
