"""`bounced db`: schema and data."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Table, func, insert, select

from bounced.cli.options import (
    ConfigOption,
    Exit,
    InputError,
    is_missing,
    load,
    name_database,
    open_ledger,
)
from bounced.cli.output import follow, say
from bounced.ledger.engine import Ledger, newest_version
from bounced.ledger.lock import hold_database
from bounced.ledger.schema import events, metadata
from bounced.model import BouncedError

db_app = typer.Typer(no_args_is_help=True, help="Schema and data.")

_COPY_ROWS = 200
_OWNER_ONLY = 0o600


@db_app.command("status")
def status(config: ConfigOption = None) -> None:
    """Say which schema the database has; exits 1 when it is not the newest."""
    ledger = Ledger(load(config).database.url)
    try:
        version = None if is_missing(ledger) else ledger.find_version()
    finally:
        ledger.close()
    say(name_database(ledger))
    say(f"schema {version or 'none'}, newest {newest_version()}")
    if version != newest_version():
        say("run `bounced db upgrade`")
        raise typer.Exit(Exit.FOUND)


@db_app.command("upgrade")
def upgrade(config: ConfigOption = None) -> None:
    """Bring the schema to the newest version; does nothing where it is."""
    ledger = Ledger(load(config).database.url)
    try:
        before = ledger.find_version()
        ledger.upgrade()
    finally:
        ledger.close()
    newest = newest_version()
    say(
        f"schema {newest} already" if before == newest else f"schema {before or 'none'} → {newest}"
    )


@db_app.command("backup")
def backup(
    target: Annotated[Path, typer.Argument(help="A file that is not there yet.")],
    config: ConfigOption = None,
) -> None:
    """Write a consistent copy of the SQLite file beside a running daemon."""
    with open_ledger(load(config)) as ledger:
        source = ledger.file
    if source is None:
        raise InputError("db backup is for SQLite; use pg_dump for PostgreSQL")
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
    except FileExistsError:
        raise InputError(f"{target}: is there already; choose another name") from None
    except OSError as error:
        raise BouncedError(
            f"{target}: cannot be made: {error.strerror}; name a file in a folder that is there "
            "and may be written to"
        ) from None
    try:
        with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as copy:
            reading.backup(copy)
    except sqlite3.Error as error:
        target.unlink()
        raise BouncedError(f"{source} to {target}: {error}") from None
    say(f"{target}: {target.stat().st_size} bytes")


@db_app.command("copy")
def copy(
    target: Annotated[str, typer.Argument(metavar="URL", help="An empty database.")],
    config: ConfigOption = None,
) -> None:
    """Copy everything into an empty database, as from SQLite to PostgreSQL; stop the daemon."""
    with open_ledger(load(config)) as source, hold_database(source.file):
        sink = Ledger(target)
        try:
            if sink.find_version() is not None:
                raise InputError(
                    f"{name_database(sink)}: not empty; copying adds nothing to what is there"
                )
            sink.upgrade()
            source.read(lambda reading: sink.write(lambda writing: _copy_all(reading, writing)))
        finally:
            sink.close()


def _copy_all(reading: Connection, writing: Connection) -> None:
    for table in metadata.sorted_tables:
        total = reading.execute(select(func.count()).select_from(table)).scalar_one()
        rows = follow(_read_rows(reading, table), total=total, label=table.name)
        while some := list(islice(rows, _COPY_ROWS)):
            writing.execute(insert(table), some)
        say(f"{table.name}: {total}")
    _go_on_counting(writing)


def _go_on_counting(writing: Connection) -> None:
    """Let events get ids behind the copied ones: PostgreSQL does not count those it is given."""
    if writing.dialect.name != "postgresql":
        return
    sequence = func.pg_get_serial_sequence(events.name, events.c.id.name)
    last = select(func.max(events.c.id)).scalar_subquery()
    next_one = func.coalesce(last + 1, 1)
    writing.execute(select(func.setval(sequence, next_one, False)))


def _read_rows(reading: Connection, table: Table) -> Iterator[dict[str, Any]]:
    rows = reading.execution_options(yield_per=_COPY_ROWS).execute(select(table))
    return (dict(row) for row in rows.mappings())
