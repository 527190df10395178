"""How the database is opened: transactions, durability, schema version; one call, one transaction.

SQLite runs in WAL with synchronous=FULL; writers begin IMMEDIATE, readers deferred (with the
driver's own transaction handling two processes lost updates of each other).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bounced.model import ConfigError, LedgerError

T = TypeVar("T")

_BUSY_TIMEOUT_MS = 30_000
_PAUSE_S = 0.01
_CACHE_KIB = 16_384
_TRIES = 5
_TRY_AGAIN = frozenset({"40001", "40P01"})
"""SQLSTATE serialization_failure and deadlock_detected."""
_UPGRADE_LOCK = 0x626F756E636564
"""Advisory lock of PostgreSQL that lets one node upgrade; the letters `bounced`."""


class Ledger:
    """The database, opened; `write` and `read` run one function in one transaction each."""

    def __init__(self, url: str) -> None:
        """Open `url` (`sqlite:///file` or `postgresql://...`); raises LedgerError.

        Connects at the first use only.
        """
        self.engine = _create_engine(url)

    @property
    def file(self) -> Path | None:
        """Return the SQLite file; None for PostgreSQL."""
        database = self.engine.url.database
        return Path(database) if self.engine.dialect.name == "sqlite" and database else None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one durable transaction; what it raises rolls back.

        Where PostgreSQL breaks a deadlock by ending our transaction, `work` runs again.
        """
        for _ in range(_TRIES - 1):
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _TRY_AGAIN:
                    raise
        with self.engine.begin() as connection:
            return work(connection)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one read transaction that no writer waits for."""
        with self.engine.connect().execution_options(bounced_read=True) as connection:
            return work(connection)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def find_version(self) -> str | None:
        """Return the schema's revision; None for an empty database; raises LedgerError."""
        try:
            return self.read(lambda c: MigrationContext.configure(c).get_current_revision())
        except DBAPIError as error:
            raise LedgerError(f"database {self._name}: {_first_line(error)}") from error

    def upgrade(self) -> None:
        """Bring the schema to the newest revision; raises LedgerError, ConfigError on a newer."""
        config, version = _alembic_config(), self.find_version()
        if version is not None and version not in known_versions():
            raise ConfigError(self._explain(version, "this is an older bounced: update it"))

        def run(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

        try:
            self.write(run)
        except SQLAlchemyError as error:
            raise LedgerError(f"database {self._name}: {_first_line(error)}") from error

    def prepare(self) -> None:
        """Create the schema in an empty database; raises ConfigError on an old or newer one.

        A new SQLite file is for its owner alone: it holds whole mails.
        """
        if self.file is not None and not self.file.exists():
            with suppress(OSError):  # what is wrong with the place, the first query tells
                self.file.touch(mode=0o600)
        version = self.find_version()
        if version is None:
            self.upgrade()
        elif version not in known_versions():
            raise ConfigError(self._explain(version, "this is an older bounced: update it"))
        elif version != newest_version():
            raise ConfigError(self._explain(version, "run `bounced db upgrade`"))

    def _explain(self, version: str, mend: str) -> str:
        needed = newest_version()
        return f"database {self._name}: schema {version}, this version needs {needed}: {mend}"

    @property
    def _name(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)


def newest_version() -> str:
    """Return the revision that this version of bounced works on."""
    head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
    assert head is not None
    return head


def known_versions() -> frozenset[str]:
    """Return every revision that can be upgraded from."""
    script = ScriptDirectory.from_config(_alembic_config())
    return frozenset(revision.revision for revision in script.walk_revisions())


def _alembic_config() -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config


def _create_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise LedgerError(
            "database.url is no database: write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from None
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed)
        case "postgresql":
            return _open_postgresql(parsed)
        case other:
            raise LedgerError(f"database.url names {other}: only sqlite and postgresql will do")


def _open_postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, hide_parameters=True
        )
    except ModuleNotFoundError:
        raise LedgerError(
            "database.url names PostgreSQL: install psycopg (the extra `postgresql`)"
        ) from None


def _open_sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise LedgerError(f"database.url {url}: memory keeps nothing, name a file")
    folder = Path(url.database).parent
    if not os.access(folder, os.W_OK):
        what = "cannot be written" if folder.is_dir() else "does not exist"
        raise LedgerError(f"database {url}: folder {folder.absolute()} {what}")
    engine = create_engine(
        url.set(drivername="sqlite"), connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000}
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite alone
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Wait for the lock ourselves: here SQLite does not, and two that open a new file collide."""
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("bounced_read", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _first_line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
