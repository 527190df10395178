"""`bounced authors`: who is not mailed, and why; an operator can end it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from bounced.cli.access import load_to_act, read, write
from bounced.cli.options import ConfigOption, InputError, JsonOption
from bounced.cli.output import (
    print_facts,
    print_json,
    print_list,
    print_rows,
    say,
    show,
    show_minute,
)
from bounced.daemon import read_clock
from bounced.ledger import authors, queries
from bounced.ledger.authors import SilentAuthor
from bounced.ledger.records import CaseState
from bounced.logs import Event, emit
from bounced.model import recipient_key, split_address

AuthorArgument = Annotated[str, typer.Argument(help="The author's address.")]

authors_app = typer.Typer(no_args_is_help=True, help="Authors: who is not mailed, and why.")


@authors_app.command("list")
def list_authors(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the authors who get no notices: a notice bounced, or they want none."""
    silent = read(config, authors.list_silent)
    if as_json:
        print_rows(_describe(each) for each in silent)
        return
    columns = ("author", "why", "since (UTC)", "bounced notice")
    lines = [
        (
            each.author,
            each.why.value,
            show_minute(each.declined_at or each.unreachable_at),
            each.unreachable_notice,
        )
        for each in silent
    ]
    print_list(columns, lines, fold=("author",), nothing="no author is silent")


@authors_app.command("show")
def show_author(
    author: AuthorArgument, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Show whether an author is mailed, and how many cases he has."""
    key = _read_key(author)

    def find(connection: Connection) -> tuple[list[SilentAuthor], list[dict[str, Any]]]:
        return (
            authors.list_silent(connection, author=key),
            queries.list_cases(connection, author=key),
        )

    silent, cases = read(config, find)
    if not silent and not cases:
        raise InputError(f"{key}: nothing is known of this author; `bounced cases list`")
    states = {
        state.value: sum(case["state"] == state.value for case in cases) for state in CaseState
    }
    row: dict[str, Any] = {"author": key, "mailed": not silent}
    row |= _describe(silent[0]) if silent else {}
    if as_json:
        print_json(row | {"cases": states})
    else:
        print_facts(row | {"cases": [f"{count} {state}" for state, count in states.items()]})


@authors_app.command("reset")
def reset_author(author: AuthorArgument, config: ConfigOption = None) -> None:
    """Mail an author again; what is held for him goes at the daemon's next beat."""
    key = _read_key(author)
    settings = load_to_act(config)
    now = read_clock()
    if not write(settings, lambda connection: authors.reset_author(connection, key, now)):
        raise InputError(f"{key}: this author is not silent; `bounced authors list` shows who is")
    emit(Event.AUTHOR_RESET, author=key, why="operator")
    say(f"{show(key)}: is mailed again")


def _read_key(author: str) -> str:
    """Return the form in which authors are stored; raises typer.BadParameter (exit 64)."""
    if not all(split_address(author)):
        raise typer.BadParameter(f"{author!r} is no mail address: write local@domain")
    return recipient_key(author)


def _describe(silent: SilentAuthor) -> dict[str, Any]:
    return {
        "author": silent.author,
        "why": silent.why.value,
        "unreachable_at": silent.unreachable_at,
        "unreachable_notice": silent.unreachable_notice,
        "declined_at": silent.declined_at,
    }
