"""`bounced notices`: the mails to authors; what is held can be seen and let go."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, NamedTuple

import typer
from sqlalchemy import Connection

from bounced.cli.access import load_to_act, only, read, to_key, write
from bounced.cli.options import (
    AuthorOption,
    ConfigOption,
    InputError,
    JsonOption,
    LimitOption,
    find_limit,
    load,
    open_ledger,
)
from bounced.cli.output import (
    print_facts,
    print_json,
    print_list,
    print_rows,
    say,
    show,
    show_due,
    show_minute,
)
from bounced.config import Settings
from bounced.daemon import make_id, read_clock
from bounced.ledger import notices, queries
from bounced.ledger.engine import Ledger
from bounced.ledger.entries import read_notice
from bounced.ledger.records import CaseState, ClaimedNotice, NoticeState
from bounced.logs import Event, emit
from bounced.plan import make_composer
from bounced.wiring import make_policy

_LEASE = timedelta(minutes=1)
_WAITING = (NoticeState.OPEN.value, NoticeState.HELD.value)


class _Shown(NamedTuple):
    """How a person sees a notice's state and its cases."""

    state: list[str | None]
    cases: list[str]


notices_app = typer.Typer(no_args_is_help=True, help="Notices: mails to authors.")


@notices_app.command("list")
def list_notices(
    author: AuthorOption = None,
    state: Annotated[NoticeState | None, typer.Option("--state", help="Only these.")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List notices, newest first."""

    def find(connection: Connection) -> tuple[list[dict[str, Any]], list[_Shown]]:
        rows = queries.list_notices(
            connection,
            author=to_key(author),
            state=state.value if state else None,
            limit=find_limit(limit, as_json=as_json),
        )
        return rows, [] if as_json else [_look_up(connection, row) for row in rows]

    rows, shown = read(config, find)
    if as_json:
        print_rows(rows)
        return
    columns = ("notice, author, tried (UTC)", "cases", "what became of it (UTC)")
    lines = [
        (
            [row["notice"], row["author"], show_minute(row["attempted_at"])],
            more.cases,
            [*more.state, row["detail"]],
        )
        for row, more in zip(rows, shown, strict=True)
    ]
    print_list(columns, lines, fold=columns, nothing="no notices")


@notices_app.command("show")
def show_notice(
    notice: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one notice and its cases: those it tells of or, where it waits, would tell of."""

    def find(connection: Connection) -> tuple[dict[str, Any], _Shown]:
        row = only(queries.list_notices(connection, notice=notice), notice, "notice")
        return row, _look_up(connection, row)

    row, shown = read(config, find)
    if as_json:
        print_json(row)
    else:
        del row["next_attempt_at"]  # the state tells
        print_facts(row | {"state": shown.state, "slots": None, "cases": shown.cases})


@notices_app.command("preview")
def preview_notice(notice: str, config: ConfigOption = None) -> None:
    """Print the mail of a notice.

    As its author got it or, where it waits, as he would get it now; nothing is changed.
    """
    settings = load(config)
    with open_ledger(settings) as ledger:
        claimed = ledger.read(lambda connection: read_notice(connection, notice))
        claimed = claimed or _claim_and_undo(ledger, notice, settings)
    message = make_composer(settings).compose(claimed)
    for name in ("From", "Reply-To", "To", "Subject", "Date"):
        say(f"{name}: {show(message[name])}")
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
    settings = load_to_act(config)
    now = read_clock()
    released = write(settings, lambda connection: notices.release_held(connection, notice, now))
    if notice is not None and not released:
        raise InputError(f"{notice}: no held notice of that id")
    emit(Event.OPERATOR_ACTED, action="notices release", detail=f"{len(released)} released")
    say(f"released {len(released)}")


def _claim_and_undo(ledger: Ledger, notice: str, settings: Settings) -> ClaimedNotice:
    """Return what a waiting notice would tell: take its slots, look, and roll back."""
    with ledger.engine.connect() as connection:  # never committed
        row = only(queries.list_notices(connection, notice=notice), notice, "notice")
        now = max(read_clock(), row["due_at"] or read_clock())
        notices.release_held(connection, notice, now)
        while claimed := notices.claim(
            connection,
            now,
            _LEASE,
            settings=make_policy(settings),
            domain=settings.return_path.domains[0],
            new_id=make_id,
        ):
            if claimed.notice == notice:
                return claimed
    raise InputError(f"{notice}: there is nothing to tell in it any more")


def _look_up(connection: Connection, row: dict[str, Any]) -> _Shown:
    """Return what the row of a notice does not say by itself."""
    if row["state"] in _WAITING:
        return _Shown([row["state"], show_due(row["due_at"])], _list_waiting(connection, row))
    told = [f"{slot['subject']} no. {slot['number']}" for slot in row["slots"]]
    if row["next_attempt_at"] is not None:
        return _Shown([f"waiting, next {row['next_attempt_at']:%H:%M:%S}"], told)
    return _Shown([row["state"]], told)


def _list_waiting(connection: Connection, row: dict[str, Any]) -> list[str]:
    """Return the author's cases with something to tell; those due after the notice say when."""
    rows = queries.list_cases(connection, author=row["author"], state=CaseState.OPEN.value)
    return [
        f"{case['subject']} no. {case['notices'] + 1}"
        + (f", {show_due(case['due_at'])}" if case["due_at"] > row["due_at"] else "")
        for case in sorted(rows, key=lambda case: (case["category"], case["subject"]))
        if case["due_at"] is not None
    ]
