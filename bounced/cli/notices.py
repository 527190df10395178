"""`bounced notices`: the mails to authors; what is held can be seen and let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
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
from bounced.cli.testmail import link_nowhere, send_test
from bounced.config import Settings
from bounced.daemon import make_id, read_clock
from bounced.ledger import notices, queries
from bounced.ledger.engine import Ledger
from bounced.ledger.entries import read_notice
from bounced.ledger.records import CaseState, ClaimedNotice, NoticeState
from bounced.logs import Event, emit
from bounced.model import split_address
from bounced.notifier.examples import DIGEST, list_examples
from bounced.plan import load_signer, make_composer
from bounced.wiring import make_policy

_WAITING = (NoticeState.OPEN.value, NoticeState.HELD.value)


class _Shown(NamedTuple):
    """How a person sees a notice's state and its cases."""

    state: list[str | None]
    cases: list[str]


class _Quiet(NamedTuple):
    """The quiet hours that it is now."""

    now: datetime
    end: datetime


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
    quiet = _find_quiet(load(config))

    def find(connection: Connection) -> tuple[list[dict[str, Any]], list[_Shown]]:
        rows = queries.list_notices(
            connection,
            author=to_key(author),
            state=state.value if state else None,
            limit=find_limit(limit, as_json=as_json),
        )
        return rows, [] if as_json else [_look_up(connection, row, quiet) for row in rows]

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
    quiet = _find_quiet(load(config))

    def find(connection: Connection) -> tuple[dict[str, Any], _Shown]:
        row = only(queries.list_notices(connection, notice=notice), notice, "notice")
        return row, _look_up(connection, row, quiet)

    row, shown = read(config, find)
    if as_json:
        print_json(row)
    else:
        del row["next_attempt_at"]  # the state tells
        print_facts(row | {"state": shown.state, "slots": None, "cases": shown.cases})


@notices_app.command("preview")
def preview_notice(
    notice: Annotated[
        str | None, typer.Argument(help="A notice [default: an example of a digest].")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", metavar="CODE", help="Not the author's own.")
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="Print the HTML part alone.")] = False,
    send_to: Annotated[
        str | None,
        typer.Option("--send-test", metavar="ADDRESS", help="Send it there instead, as a test."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the mail of a notice, or send it to yourself.

    As its author got it or, where it waits, as he would get it now; nothing is changed. Its links
    lead to a page that only says so.
    """
    settings = load(config)
    composer = make_composer(settings, signer=load_signer(settings))
    if language is not None and language not in composer.words:
        known = ", ".join(composer.words)
        raise typer.BadParameter(f"{language!r} has no catalogue; there is {known}")
    if send_to is not None and not all(split_address(send_to)):
        raise typer.BadParameter(f"{send_to!r} is no mail address: write local@domain")
    told = _find_told(settings, notice, language or settings.notices.language)
    if language is not None:
        told = replace(told, language=language)
    if send_to is not None:
        reply = send_test(settings, composer, told, send_to, now=read_clock(), new_id=make_id())
        say(f"sent to {show(send_to)}: {show(reply)}")
        return
    message = composer.compose(told, links=link_nowhere(settings))
    body = message.get_body(("html" if html else "plain",))
    assert body is not None
    if not html:
        for name in ("From", "Reply-To", "To", "Subject", "Date"):
            say(f"{name}: {show(message[name])}")
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
        raise InputError(f"{notice}: {_explain_kept(settings, notice)}")
    emit(Event.OPERATOR_ACTED, action="notices release", detail=f"{len(released)} released")
    say(f"released {len(released)}")


def _explain_kept(settings: Settings, notice: str) -> str:
    """Say why a notice is not one to be released."""
    with open_ledger(settings) as ledger:
        rows = ledger.read(lambda connection: queries.list_notices(connection, notice=notice))
    if not rows or rows[0]["state"] != NoticeState.HELD.value:
        return "no held notice of that id"
    author, why = rows[0]["author"], rows[0]["why"]
    return f"held because its author is silent ({why}): `bounced authors reset {author}`"


def _find_told(settings: Settings, notice: str | None, language: str) -> ClaimedNotice:
    """Return what the notice tells, or would tell; for None, an example."""
    if notice is None:
        return list_examples(language)[DIGEST]
    with open_ledger(settings) as ledger:
        claimed = ledger.read(lambda connection: read_notice(connection, notice))
        return claimed or _claim_and_undo(ledger, notice, settings)


def _claim_and_undo(ledger: Ledger, notice: str, settings: Settings) -> ClaimedNotice:
    """Return what a waiting notice would tell: take its slots, look, and roll back."""
    with ledger.engine.connect() as connection:  # never committed
        row = only(queries.list_notices(connection, notice=notice), notice, "notice")
        now = max(read_clock(), row["due_at"] or read_clock())
        policy = make_policy(settings)
        claimed = notices.preview(connection, notice, now, settings=policy)
        if claimed is not None:
            return claimed
    raise InputError(f"{notice}: there is nothing to tell in it any more")


def _find_quiet(settings: Settings) -> _Quiet | None:
    now = read_clock()
    end = settings.notices.find_quiet_end(now)
    return _Quiet(now, end) if end else None


def _look_up(connection: Connection, row: dict[str, Any], quiet: _Quiet | None) -> _Shown:
    """Return what the row of a notice does not say by itself."""
    if row["state"] in _WAITING:
        is_open = row["state"] == NoticeState.OPEN.value
        waits = quiet is not None and is_open and row["due_at"] <= quiet.now
        until = [f"quiet until {show_minute(quiet.end)}"] if quiet and waits else []
        return _Shown(
            [row["state"], row["why"], show_due(row["due_at"]), *until],
            _list_waiting(connection, row),
        )
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
