"""`bounced db`: schema and data."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import func, insert, select

from bounced.cli.options import ConfigOption, Exit, load
from bounced.cli.output import follow, say
from bounced.ledger.engine import Ledger, newest_version
from bounced.ledger.schema import metadata
from bounced.model import BouncedError

db_app = typer.Typer(no_args_is_help=True, help="Schema and data.")

_COPY_ROWS = 500


@db_app.command("status")
def status(config: ConfigOption = None) -> None:
    """Say which schema the database has; exits 1 when it is not the newest."""
    ledger = Ledger(load(config).database.url)
    try:
        version = ledger.find_version()
    finally:
        ledger.close()
    say(f"{ledger.engine.url.render_as_string(hide_password=True)}")
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
    say(f"schema {before or 'none'} → {newest_version()}")


@db_app.command("backup")
def backup(
    target: Annotated[Path, typer.Argument(help="A file that is not there yet.")],
    config: ConfigOption = None,
) -> None:
    """Write a consistent copy of the SQLite file beside a running daemon."""
    ledger = Ledger(load(config).database.url)
    source = ledger.file
    ledger.close()
    if source is None:
        raise BouncedError("db backup is for SQLite; use pg_dump for PostgreSQL")
    if target.exists():
        raise BouncedError(f"{target} is there already: choose another name")
    if not source.exists():
        raise BouncedError(f"{source}: no such database")
    try:
        with (
            closing(sqlite3.connect(source)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
    except sqlite3.Error as error:
        raise BouncedError(f"{target}: {error}") from None
    say(f"{target}: {target.stat().st_size} bytes")


@db_app.command("copy")
def copy(
    target: Annotated[str, typer.Argument(metavar="URL", help="An empty database.")],
    config: ConfigOption = None,
) -> None:
    """Copy everything into an empty database, as from SQLite to PostgreSQL; stop the daemon."""
    source, sink = Ledger(load(config).database.url), Ledger(target)
    try:
        source.prepare()
        if sink.find_version() is not None:
            raise BouncedError(f"{target}: not empty; copying adds nothing to what is there")
        sink.upgrade()
        with source.engine.connect() as reading, sink.engine.begin() as writing:
            for table in metadata.sorted_tables:
                total = reading.execute(select(func.count()).select_from(table)).scalar_one()
                rows = reading.execution_options(yield_per=_COPY_ROWS).execute(select(table))
                for row in follow(rows.mappings(), total=total, label=table.name):
                    writing.execute(insert(table), [dict(row)])
                say(f"{table.name}: {total}")
    finally:
        source.close()
        sink.close()
