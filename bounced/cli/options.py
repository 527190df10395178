"""What all commands share: options, exit codes, how settings and ledger are opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer

from bounced.config import Settings
from bounced.configfile import find_config_file, load_settings
from bounced.ledger.engine import Ledger
from bounced.model import BouncedError
from bounced.values import parse_duration


class Exit(IntEnum):
    """Exit codes, of sysexits.h; FOUND is grep's and diff's."""

    OK = 0
    FOUND = 1
    USAGE = 64
    DATA = 65
    BUG = 70
    IO = 74
    LATER = 75
    CONFIG = 78


class InputError(BouncedError):
    """What the command was asked for is not there, or cannot be done with it (exit 65)."""


class LaterError(BouncedError):
    """It cannot be done just now (exit 75)."""


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file [default: $BOUNCED_CONFIG, /etc/bounced/config.toml, built in].",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Show at most so many [default: 50; with --json all]."),
]

AuthorOption = Annotated[str | None, typer.Option("--author", help="Only of this author.")]
RecipientOption = Annotated[str | None, typer.Option("--recipient", help="Only this recipient.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Only what came since: 30d, 12h, 2026-11-01 (UTC)."
    ),
]
_LIMIT = 50


def find_limit(limit: int | None, *, as_json: bool) -> int | None:
    """Return how many rows are shown at most; None: all, which is what programs want."""
    return limit or (None if as_json else _LIMIT)


def find_since(since: str | None, now: datetime) -> datetime | None:
    """Read a duration back from now, or a date or time, UTC where it names no zone.

    Raises typer.BadParameter (exit 64).
    """
    if since is None:
        return None
    with suppress(ValueError):
        return now - parse_duration(since)
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise typer.BadParameter(
            f"--since {since}: write how long ago, as 30d or 12h, or a date, as 2026-11-01"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def load(config: Path | None) -> Settings:
    """Read the settings; raises ConfigError."""
    return load_settings(find_config_file(config, os.environ), os.environ)


@contextmanager
def open_ledger(settings: Settings, *, create: bool = False) -> Iterator[Ledger]:
    """Open the ledger, its schema checked; raises ConfigError, LedgerError, BouncedError.

    A database that is not there yet is an error, unless the command is one that fills it.
    """
    ledger = Ledger(settings.database.url)
    try:
        if not create and is_missing(ledger):
            raise BouncedError(f"database {name_database(ledger)}: there is no such file yet")
        ledger.prepare()
        yield ledger
    finally:
        ledger.close()


def is_missing(ledger: Ledger) -> bool:
    """Tell whether the database is a file that is not there; looking further would make it."""
    return ledger.file is not None and not ledger.file.exists()


def name_database(ledger: Ledger) -> str:
    """Return the URL of a database without its password, the path of a file in full."""
    if ledger.file is not None:
        return f"sqlite:///{ledger.file.absolute()}"
    return ledger.engine.url.render_as_string(hide_password=True)
