"""`bounced db`: schema status, upgrade, backup beside a daemon, copy to another database."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from bounced.ledger.engine import Ledger, newest_version
from bounced.ledger.lock import hold_database
from bounced.ledger.outbox import read_events
from bounced.ledger.schema import metadata
from tests.cli.conftest import CommandLine
from tests.ledger.office import DAY, HOUR, START, Office


@pytest.fixture
def database(config: Path) -> Path:
    return config.with_name("bounced.db")


@pytest.fixture
def filled(sqlite_url: str) -> str:
    """Return the URL of a ledger that has a row in most tables."""
    office = Office(Ledger(sqlite_url))
    for number in range(3):
        office.fail(f"s{number}")
    office.move(HOUR)
    office.send_due()
    read_events(office.ledger, 0, 10)
    office.ledger.close()
    return sqlite_url


def dump(url: str) -> dict[str, list[tuple[object, ...]]]:
    ledger = Ledger(url)
    tables = metadata.sorted_tables
    found = ledger.read(
        lambda c: {t.name: sorted(map(tuple, c.execute(select(t))), key=repr) for t in tables}
    )
    ledger.close()
    return found


def test_the_status_of_a_new_schema(bounced: CommandLine, database: Path) -> None:
    outcome = bounced("db", "status")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"sqlite:///{database}",
        f"schema {newest_version()}, newest {newest_version()}",
    ]


def test_the_status_of_no_database_makes_none_and_upgrading_does(
    bounced: CommandLine, database: Path
) -> None:
    database.unlink()
    outcome = bounced("db", "status")
    assert outcome.code == 1
    assert outcome.out.splitlines()[1:] == [
        f"schema none, newest {newest_version()}",
        "run `bounced db upgrade`",
    ]
    assert not database.exists()
    assert bounced("db", "upgrade").out == f"schema none → {newest_version()}\n"
    assert bounced("db", "upgrade").out == f"schema {newest_version()} already\n"
    assert bounced("db", "status").code == 0


def test_a_backup_holds_everything_and_is_for_its_owner_alone(
    bounced: CommandLine, filled: str, tmp_path: Path
) -> None:
    target = tmp_path / "backup.db"
    outcome = bounced("db", "backup", str(target))
    assert outcome.out == f"{target}: {target.stat().st_size} bytes\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert dump(f"sqlite:///{target}") == dump(filled)


def test_a_backup_is_made_while_somebody_writes(
    bounced: CommandLine, database: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert bounced("db", "backup", str(tmp_path / "backup.db")).code == 0


def test_a_backup_overwrites_nothing(bounced: CommandLine, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.write_text("mine")
    outcome = bounced("db", "backup", str(target))
    assert (outcome.code, outcome.complaints) == (
        65,
        [f"bounced: {target}: is there already; choose another name"],
    )
    assert target.read_text() == "mine"


def test_a_backup_that_cannot_be_written_names_file_and_mend(
    bounced: CommandLine, tmp_path: Path
) -> None:
    target = tmp_path / "absent" / "x"
    outcome = bounced("db", "backup", str(target))
    assert (outcome.code, outcome.complaints) == (
        74,
        [
            (
                f"bounced: {target}: cannot be made: No such file or directory; "
                "name a file in a folder that is there and may be written to"
            )
        ],
    )


def test_a_backup_of_nothing_leaves_nothing(
    bounced: CommandLine, database: Path, tmp_path: Path
) -> None:
    database.unlink()
    outcome = bounced("db", "backup", str(tmp_path / "backup.db"))
    assert outcome.code == 74
    assert "there is no such file yet" in outcome.err
    assert not (tmp_path / "backup.db").exists()


def test_everything_is_copied_to_another_file(
    bounced: CommandLine, filled: str, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path}/copy.db"
    outcome = bounced("db", "copy", target)
    assert outcome.code == 0
    assert "strikes: 3" in outcome.out
    assert dump(target) == dump(filled)


def test_everything_is_copied_to_postgresql(
    bounced: CommandLine, filled: str, request: pytest.FixtureRequest
) -> None:
    target = request.getfixturevalue("make_bare_postgres_url")()
    assert bounced("db", "copy", target).code == 0
    assert dump(target) == dump(filled)


def test_a_copy_goes_on_where_the_original_stood(
    bounced: CommandLine, filled: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = request.getfixturevalue("make_bare_postgres_url")()
    back = f"sqlite:///{tmp_path}/back.db"
    bounced("db", "copy", there)
    config = write_config(tmp_path / "there.toml", there)
    assert bounced("db", "copy", back, "--config", str(config)).code == 0
    for url in (there, back):
        office = Office(Ledger(url), now=START + DAY, ids=count(100))
        assert office.fail("after the copy").strikes == 4
        found, last = read_events(office.ledger, 4, 10)
        office.ledger.close()
        assert ([event.event for event in found], last) == (["strike_counted"], 5)


def write_config(path: Path, url: str) -> Path:
    path.write_text(f'[database]\nurl = "{url}"\n')
    return path


def test_a_database_that_is_not_empty_is_not_copied_to(
    bounced: CommandLine, filled: str, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path}/copy.db"
    bounced("db", "copy", target)
    outcome = bounced("db", "copy", target)
    assert (outcome.code, outcome.complaints) == (
        65,
        [f"bounced: {target}: not empty; copying adds nothing to what is there"],
    )


def test_nothing_is_copied_beside_a_running_daemon(
    bounced: CommandLine, filled: str, database: Path, tmp_path: Path
) -> None:
    with hold_database(database):
        outcome = bounced("db", "copy", f"sqlite:///{tmp_path}/copy.db")
    assert (outcome.code, outcome.complaints) == (
        75,
        [f"bounced: database {database}: a running `bounced serve` works on it"],
    )


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nonsense", "database.url is no database"),
        ("sqlite:////absent/folder/x.db", "folder /absent/folder does not exist"),
        ("postgresql://bounced:secret@127.0.0.1:1/x", "refused"),
    ],
)
def test_a_target_that_cannot_be_opened_is_told_without_its_password(
    bounced: CommandLine, filled: str, url: str, complaint: str
) -> None:
    outcome = bounced("db", "copy", url)
    assert outcome.code == 74
    assert complaint in outcome.err
    assert "secret" not in outcome.err


@pytest.mark.parametrize("command", [("status",), ("upgrade",), ("backup", "x")])
def test_a_file_that_is_no_database_is_told(
    bounced: CommandLine, database: Path, command: tuple[str, ...]
) -> None:
    database.write_text("not a database, " * 100)
    outcome = bounced("db", *command)
    assert (outcome.code, outcome.complaints) == (
        74,
        [f"bounced: database sqlite:///{database}: file is not a database"],
    )
