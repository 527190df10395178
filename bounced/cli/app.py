"""Puts the commands together and turns what goes wrong into one clear line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from sqlalchemy.exc import DBAPIError
from typer.core import TyperGroup

from bounced import __version__
from bounced.cli import (
    authors,
    cases,
    database,
    demo,
    keys,
    messages,
    notices,
    quarantine,
    reports,
    rules,
    serve,
    unknown,
    webhooks,
)
from bounced.cli.advise import advise
from bounced.cli.explain import explain
from bounced.cli.ingest import ingest
from bounced.cli.options import Exit, InputError, LaterError
from bounced.cli.output import complain
from bounced.cli.replay import replay
from bounced.ledger.health import describe_error, is_lost
from bounced.ledger.lock import AlreadyServedError
from bounced.model import BouncedError, ConfigError


class _Commands(TyperGroup):
    """Ends a command that Ctrl-C interrupts as what may be done later; typer says 130."""

    def invoke(self, ctx: Any) -> Any:  # typer does not export what it is called with
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise LaterError("interrupted") from None


app = typer.Typer(
    name="bounced",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Take bounces in, sort them, count them, and tell the author what to do.",
)
app.command()(serve.serve)
app.command()(serve.check)
app.command()(messages.classify)
app.command()(explain)
app.command()(advise)
app.command()(ingest)
app.command()(replay)
app.add_typer(reports.reports_app, name="reports")
app.add_typer(cases.cases_app, name="cases")
app.add_typer(notices.notices_app, name="notices")
app.add_typer(quarantine.quarantine_app, name="quarantine")
app.add_typer(unknown.unknown_app, name="unknown")
app.add_typer(rules.rules_app, name="rules")
app.add_typer(authors.authors_app, name="authors")
app.add_typer(webhooks.webhooks_app, name="webhooks")
app.add_typer(keys.keys_app, name="keys")
app.command()(keys.sign)
app.add_typer(database.db_app, name="db")
app.command()(demo.demo)


def _print_version(value: bool) -> None:
    if value:
        print(f"bounced {__version__}")  # noqa: T201 - the command line prints
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Take bounces in, sort them, count them, and tell the author what to do."""


_TYPER_USAGE = 2
_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (AlreadyServedError, Exit.LATER),
    (LaterError, Exit.LATER),
    (InputError, Exit.DATA),
    (ConfigError, Exit.CONFIG),
    (BouncedError, Exit.IO),
    (OSError, Exit.IO),
)
"""Which exit code an error has: the first that fits."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    try:
        try:
            app(list(arguments), prog_name="bounced")
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        return Exit.USAGE if end.code == _TYPER_USAGE else int(end.code or Exit.OK)
    except BrokenPipeError:
        # The reader of our output has gone; spare it the interpreter's complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as typer does where it meets the broken pipe itself
    except Exception as error:  # noqa: BLE001 - the rim: every error gets its line and its code
        return _fail(error)
    return Exit.OK


def _fail(error: Exception) -> Exit:
    if isinstance(error, DBAPIError) and is_lost(error):
        complain(f"database: {describe_error(error)}")
        return Exit.IO
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Exit.BUG)
    if code is Exit.BUG:
        traceback.print_exception(error)
        complain("this is a bug: please report it with the lines above")
        return code
    for line in str(error).splitlines():
        complain(line)
    return code
