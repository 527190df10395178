"""`bounced cases`: an author and what fails for him; reset and close."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from bounced.cli.access import load_to_act, only, read, to_key, write
from bounced.cli.options import (
    AuthorOption,
    ConfigOption,
    InputError,
    JsonOption,
    LaterError,
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
    show,
    show_minute,
)
from bounced.daemon import make_id, read_clock
from bounced.diagnosis import Diagnosis
from bounced.ledger import diagnoses, queries, rounds
from bounced.ledger.records import CaseState
from bounced.logs import Event, emit
from bounced.wiring import make_policy

cases_app = typer.Typer(no_args_is_help=True, help="Cases: an author and what fails for him.")


@cases_app.command("list")
def list_cases(
    author: AuthorOption = None,
    recipient: RecipientOption = None,
    state: Annotated[CaseState | None, typer.Option("--state", help="Only these.")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List cases, the one with the latest strike first."""
    rows = read(
        config,
        lambda connection: queries.list_cases(
            connection,
            author=to_key(author),
            subject=to_key(recipient),
            state=state.value if state else None,
            limit=find_limit(limit, as_json=as_json),
        ),
    )
    if as_json:
        print_rows(rows)
        return
    columns = (
        "case, last strike (UTC)",
        "subject, author",
        "verdict, reason, state, due (UTC)",
        "strikes, notices",
    )
    lines = [
        (
            [row["case"], show_minute(row["last_strike_at"])],
            [row["subject"], row["author"]],
            [row["category"], row["reason"], row["state"], show_minute(row["due_at"])],
            [row["strikes"], row["notices"]],
        )
        for row in rows
    ]
    print_list(columns, lines, fold=columns[1:3], nothing="no cases")


@cases_app.command("show")
def show_case(
    case: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one case with its strikes."""
    rows, strikes, diagnosis = read(
        config,
        lambda connection: (
            queries.list_cases(connection, case=case),
            queries.list_strikes(connection, case),
            diagnoses.find_diagnosis(connection, case),
        ),
    )
    row = only(rows, case, "case")
    if as_json:
        said = diagnosis.describe() if diagnosis else None
        print_json(row | {"diagnosis": said, "history": strikes})
        return
    print_facts(row | (_describe(diagnosis) if diagnosis else {}))
    say()
    columns = ("failed at (UTC)", "recipient", "verdict", "round", "told in notice", "report")
    lines = [
        (
            show_minute(line["failed_at"]),
            line["recipient"],
            [
                line["category"],
                line["reason"],
                "counts no longer" if line["withdrawn"] else None,
            ],
            line["round"],
            line["notice"],
            line["report"],
        )
        for line in strikes
    ]
    print_list(columns, lines, fold=("recipient",), nothing="no strikes")


def _describe(diagnosis: Diagnosis) -> dict[str, object]:
    """Return what DNS said of the sender domain, for `print_facts`."""
    return {
        "fix": diagnosis.fix,
        "dns_asked_at": diagnosis.checked_at,
        "findings": [f"{each.check}: {each.state}: {each.detail}" for each in diagnosis.findings],
        "records": [f"{each.name} {each.type} {each.value}" for each in diagnosis.records],
    }


@cases_app.command("reset")
def reset_case(case: str, config: ConfigOption = None) -> None:
    """Open a case's next round: its author may be told again, three times at most."""
    settings = load_to_act(config)
    now = read_clock()

    def reset(connection: Connection) -> Any:
        only(queries.list_cases(connection, case=case), case, "case")
        return rounds.reset(
            connection,
            case,
            now,
            why="operator",
            settings=make_policy(settings),
            new_id=make_id,
        )

    row = write(settings, reset)
    if row is None:
        raise LaterError(
            f"{case}: a notice of it is on its way or waits for its next attempt; try again once "
            "`bounced notices list` shows it settled"
        )
    emit(
        Event.CASE_RESET,
        case=case,
        author=row.author,
        subject=row.subject,
        round=row.round,
        why="operator",
    )
    say(f"{show(row.author)} / {show(row.subject)}: round {row.round} is open")


@cases_app.command("close")
def close_case(case: str, config: ConfigOption = None) -> None:
    """Close a case: the address is corrected. It keeps its count."""
    settings = load_to_act(config)
    now = read_clock()
    row = write(settings, lambda c: rounds.close(c, case, now, why="operator", new_id=make_id))
    if row is None:
        raise InputError(f"{case}: no such case; `bounced cases list` shows them")
    emit(Event.CASE_CLOSED, case=case, author=row.author, subject=row.subject, why="operator")
    say(f"{show(row.author)} / {show(row.subject)}: closed; it goes on if it fails again")
