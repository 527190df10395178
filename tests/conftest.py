"""What every test may ask for: an empty ledger on each database that we support."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bounced.ledger.engine import Ledger
from bounced.ledger.schema import metadata
from tests.logcheck import log
from tests.postgres import PostgresServer, run_postgres

__all__ = ["log"]

REQUIRED = os.environ.get("BOUNCED_REQUIRE_MTA") == "1"
"""Set where everything must be there: what is missing fails instead of being skipped."""

_LONG = frozenset({"chaos", "e2e", "mta", "zones"})
"""Folders whose tests start servers of their own."""
_DATABASE = "bounced"
_DISCONNECT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    f"WHERE datname = '{_DATABASE}' AND pid <> pg_backend_pid()"
)
_EMPTY = (
    _DISCONNECT,
    *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take long; where one is last, a worker waits for the other."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow and item.path.parent.name not in _LONG)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one PostgreSQL for all tests, with one prepared database."""
    server = run_postgres()
    try:
        running = server.__enter__()
    except (OSError, KeyError, subprocess.CalledProcessError) as error:
        if REQUIRED:
            raise
        pytest.skip(f"PostgreSQL cannot be started: {error}")
    try:
        running.execute(f"CREATE DATABASE {_DATABASE}")
        prepare(running.make_url(_DATABASE))
        yield running
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a prepared SQLite file to copy from."""
    file = tmp_path_factory.mktemp("template") / "bounced.db"
    prepare(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """Return the URL of an empty, prepared ledger in SQLite."""
    shutil.copy(sqlite_template, tmp_path / "bounced.db")
    return f"sqlite:///{tmp_path / 'bounced.db'}"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty, prepared ledger in PostgreSQL."""
    yield postgres.make_url(_DATABASE)
    postgres.execute(*_EMPTY, database=_DATABASE)  # quicker than a new database for each test


@pytest.fixture
def make_bare_postgres_url(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """Return a maker of URLs of PostgreSQL databases without a schema."""
    names: list[str] = []

    def make() -> str:
        names.append(f"bare_{os.urandom(8).hex()}")
        postgres.execute(f"CREATE DATABASE {names[-1]}")
        return postgres.make_url(names[-1])

    yield make
    postgres.execute(*(f"DROP DATABASE {name} WITH (FORCE)" for name in names))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty, prepared ledger, once on each database."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """Return an empty ledger, once on each database."""
    opened = Ledger(ledger_url)
    yield opened
    opened.close()


def prepare(url: str) -> None:
    """Create the schema and let go of the database."""
    ledger = Ledger(url)
    ledger.prepare()
    ledger.close()
