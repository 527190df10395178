"""`bounced reports`, `cases`, `notices` and `quarantine`: the ledger shown, and acts on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy import Connection

from bounced import logs
from bounced.cli.options import ConfigOption, JsonOption, LimitOption, load, open_ledger
from bounced.cli.output import print_facts, print_json, print_table, say, show
from bounced.config import Settings
from bounced.daemon import make_composer, make_id, read_clock
from bounced.ledger import notices, queries, reports, rounds
from bounced.ledger.entries import read_notice
from bounced.ledger.records import CaseState, NoticeState, ReportState
from bounced.logs import Event, emit
from bounced.model import BouncedError, recipient_key
from bounced.wiring import make_policy

T = TypeVar("T")
Row = dict[str, Any]

_LIMIT = 50

reports_app = typer.Typer(no_args_is_help=True, help="Received reports.")
cases_app = typer.Typer(no_args_is_help=True, help="Cases: an author and what fails for him.")
notices_app = typer.Typer(no_args_is_help=True, help="Notices: mails to authors.")
quarantine_app = typer.Typer(no_args_is_help=True, help="Reports that nothing vouches for.")

AuthorOption = Annotated[str | None, typer.Option("--author", help="Only of this author.")]
RecipientOption = Annotated[str | None, typer.Option("--recipient", help="Only this recipient.")]


@reports_app.command("list")
def list_reports(
    author: AuthorOption = None,
    recipient: RecipientOption = None,
    state: Annotated[ReportState | None, typer.Option("--state", help="Only these.")] = None,
    limit: LimitOption = _LIMIT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List received reports, newest first."""
    rows = _read(
        config,
        lambda connection: queries.list_reports(
            connection,
            author=_key(author),
            recipient=recipient,
            state=state,
            limit=None if as_json else limit,
        ),
    )
    columns = ("report", "received_at", "kind", "trust", "state", "why", "author")
    _print(rows, columns, as_json=as_json, extra=("recipients", _list_verdicts))


@reports_app.command("show")
def show_report(
    report: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one report with its recipients and verdicts."""
    rows = _read(config, lambda connection: queries.list_reports(connection, report=report))
    row = _only(rows, report, "report")
    if as_json:
        print_json(row)
        return
    recipients = row.pop("recipients")
    print_facts(row)
    for recipient in recipients:
        say()
        print_facts(recipient)


@reports_app.command("raw")
def print_raw(report: str, config: ConfigOption = None) -> None:
    """Write a report's message, byte for byte, to stdout."""
    stored = _read(config, lambda connection: reports.read_stored(connection, [report]))
    typer.get_binary_stream("stdout").write(_only(stored, report, "report").arrival.raw)


@cases_app.command("list")
def list_cases(
    author: AuthorOption = None,
    recipient: RecipientOption = None,
    state: Annotated[CaseState | None, typer.Option("--state", help="Only these.")] = None,
    limit: LimitOption = _LIMIT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List cases, the one with the latest strike first."""
    rows = _read(
        config,
        lambda connection: queries.list_cases(
            connection,
            author=_key(author),
            subject=_key(recipient),
            state=state.value if state else None,
            limit=None if as_json else limit,
        ),
    )
    columns = ("case", "author", "subject", "category", "reason", "state", "strikes", "notices",
               "last_strike_at", "due_at")  # fmt: skip
    _print(rows, columns, as_json=as_json)


@cases_app.command("show")
def show_case(
    case: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one case with its strikes."""
    row = _only(_read(config, lambda c: queries.list_cases(c, case=case)), case, "case")
    strikes = _read(config, lambda connection: queries.list_strikes(connection, case))
    if as_json:
        print_json(row | {"history": strikes})
        return
    print_facts(row)
    columns = ("failed_at", "recipient", "category", "reason", "round", "notice", "report")
    print_table("strikes", columns, ([line[name] for name in columns] for line in strikes))


@cases_app.command("reset")
def reset_case(case: str, config: ConfigOption = None) -> None:
    """Open a case's next round: its author may be told again, three times at most."""
    settings = _load_to_act(config)
    now = read_clock()
    row = _write(
        settings,
        lambda connection: rounds.reset(
            connection, case, now, settings=make_policy(settings), new_id=make_id
        ),
    )
    if row is None:
        raise BouncedError(f"{case}: no such case, or a notice of it is on its way just now")
    emit(Event.CASE_RESET, case=case, author=row.author, subject=row.subject, round=row.round,
         why="operator")  # fmt: skip
    say(f"{row.author} / {row.subject}: round {row.round} is open")


@cases_app.command("close")
def close_case(case: str, config: ConfigOption = None) -> None:
    """Close a case: the address is corrected. It keeps its count."""
    settings = _load_to_act(config)
    now = read_clock()
    row = _write(settings, lambda c: rounds.close(c, case, now, new_id=make_id))
    if row is None:
        raise BouncedError(f"{case}: no such case")
    emit(Event.CASE_CLOSED, case=case, author=row.author, subject=row.subject, why="operator")
    say(f"{row.author} / {row.subject}: closed")


@notices_app.command("list")
def list_notices(
    author: AuthorOption = None,
    state: Annotated[NoticeState | None, typer.Option("--state", help="Only these.")] = None,
    limit: LimitOption = _LIMIT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List notices, newest first."""
    rows = _read(
        config,
        lambda connection: queries.list_notices(
            connection,
            author=_key(author),
            state=state.value if state else None,
            limit=None if as_json else limit,
        ),
    )
    columns = ("notice", "author", "state", "due_at", "attempted_at", "attempts", "detail")
    _print(rows, columns, as_json=as_json, extra=("cases", _list_slots))


@notices_app.command("show")
def show_notice(
    notice: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one notice and the slots that it spends."""
    rows = _read(config, lambda connection: queries.list_notices(connection, notice=notice))
    row = _only(rows, notice, "notice")
    if as_json:
        print_json(row)
    else:
        print_facts(row | {"slots": None, "cases": _list_slots(row)})


@notices_app.command("preview")
def preview_notice(notice: str, config: ConfigOption = None) -> None:
    """Print the mail of a notice whose slots are taken, as its author gets it."""
    settings = load(config)
    claimed = _read(config, lambda connection: read_notice(connection, notice))
    if claimed is None:
        raise BouncedError(f"{notice}: no such notice, or it has no slots yet")
    message = make_composer(settings).compose(claimed)
    for name in ("From", "Reply-To", "To", "Subject", "Date"):
        say(f"{name}: {message[name]}")
    body = message.get_body(("plain",))
    assert body is not None
    say()
    say(body.get_content())


@notices_app.command("release")
def release_notices(
    notice: Annotated[str | None, typer.Argument(help="A held notice.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are held.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let held notices go; the daemon sends them at its next beat."""
    if (notice is None) == (not every):
        raise typer.BadParameter("name one notice, or --all")
    settings = _load_to_act(config)
    now = read_clock()
    released = _write(settings, lambda connection: notices.release_held(connection, notice, now))
    if notice is not None and not released:
        raise BouncedError(f"{notice}: no held notice of that id")
    emit(Event.OPERATOR_ACTED, action="notices release", detail=f"{len(released)} released")
    say(f"released {len(released)}")


@quarantine_app.command("list")
def list_quarantine(
    limit: LimitOption = _LIMIT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List reports in quarantine and what was missing, newest first."""
    rows = _read(
        config,
        lambda connection: queries.list_reports(
            connection, state=ReportState.QUARANTINED, limit=None if as_json else limit
        ),
    )
    columns = ("report", "received_at", "client", "envelope_recipient", "why", "detail")
    _print(rows, columns, as_json=as_json)


@quarantine_app.command("show")
def show_quarantined(
    report: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one report in quarantine."""
    show_report(report, as_json=as_json, config=config)


@quarantine_app.command("release")
def release_quarantined(report: str, config: ConfigOption = None) -> None:
    """Vouch for a report: the daemon processes it again and it may count."""
    settings = _load_to_act(config)
    if not _write(settings, lambda connection: reports.release(connection, report)):
        raise BouncedError(f"{report}: no report of that id is in quarantine")
    emit(Event.OPERATOR_ACTED, report=report, action="quarantine release")
    say(f"{report}: released; the daemon processes it within a second")


@quarantine_app.command("drop")
def drop_quarantined(report: str, config: ConfigOption = None) -> None:
    """Delete a report in quarantine for good."""
    settings = _load_to_act(config)
    if not _write(settings, lambda connection: reports.drop(connection, report)):
        raise BouncedError(f"{report}: no report of that id is in quarantine")
    emit(Event.OPERATOR_ACTED, report=report, action="quarantine drop")
    say(f"{report}: deleted")


def _load_to_act(config: Path | None) -> Settings:
    """Read the settings for a command that changes something, which the log tells."""
    settings = load(config)
    logs.configure(settings.log)
    return settings


def _read(config: Path | None, work: Callable[[Connection], T]) -> T:
    with open_ledger(load(config)) as ledger:
        return ledger.read(work)


def _write(settings: Settings, work: Callable[[Connection], T]) -> T:
    with open_ledger(settings) as ledger:
        return ledger.write(work)


def _key(address: str | None) -> str | None:
    return recipient_key(address) if address is not None else None


def _only(rows: list[T], name: str, what: str) -> T:
    if not rows:
        raise BouncedError(f"{name}: no such {what}")
    return rows[0]


def _print(
    rows: list[Row],
    columns: tuple[str, ...],
    *,
    as_json: bool,
    extra: tuple[str, Callable[[Row], object]] | None = None,
) -> None:
    if as_json:
        for row in rows:
            print_json(row)
        return
    names = columns + ((extra[0],) if extra else ())
    lines = ([row[name] for name in columns] + ([extra[1](row)] if extra else []) for row in rows)
    print_table("", [name.replace("_", " ") for name in names], lines)


def _list_verdicts(row: Row) -> str:
    return "\n".join(
        f"{line['recipient']} {line['category'] or line['action'] or ''}"
        + (f" ({line['ignored']})" if line["ignored"] else "")
        for line in row["recipients"]
    )


def _list_slots(row: Row) -> str:
    return "\n".join(f"{show(slot['subject'])} no. {slot['number']}" for slot in row["slots"])
