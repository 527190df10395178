"""How the database is opened: durability, transactions, and errors an operator can act on."""

from __future__ import annotations

import shutil
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from bounced.ledger.engine import Ledger
from bounced.ledger.schema import metadata
from bounced.model import BouncedError, LedgerError
from tests.ledger.test_ledger_constraints import CASE

cases = metadata.tables["cases"]


def read_pragmas(connection: Any) -> dict[str, object]:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


def test_sqlite_is_durable_and_checks_foreign_keys_in_every_connection(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }
    both = [ledger.read(read_pragmas), ledger.write(read_pragmas)]
    ledger.close()
    assert both == [expected, expected]


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/new.db")
    ledger.prepare()
    ledger.close()
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600


def test_the_file_is_known_on_sqlite_only(tmp_path: Path) -> None:
    file = tmp_path / "bounced.db"
    assert Ledger(f"sqlite:///{file}").file == file
    assert Ledger("postgresql://bounced@localhost/bounced").file is None


def test_what_fails_leaves_nothing(ledger: Ledger) -> None:
    def work(connection: Any) -> None:
        connection.execute(insert(cases).values(CASE))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.write(work)
    assert ledger.read(lambda c: c.execute(select(cases)).all()) == []


def test_a_reader_sees_one_state_and_waits_for_no_writer(ledger: Ledger) -> None:
    ledger.write(lambda c: c.execute(insert(cases).values(CASE)))

    def work(connection: Any) -> int:
        connection.execute(update(cases).values(strikes=7))
        return int(ledger.read(lambda c: c.execute(select(cases.c.strikes)).scalar_one()))

    assert ledger.write(work) == 0


def test_a_second_writer_on_sqlite_waits_from_its_first_statement(sqlite_url: str) -> None:
    """Two that read, then write, lose nothing: the second reads only after the first commit."""
    ledger = Ledger(sqlite_url)
    ledger.write(lambda c: c.execute(insert(cases).values(CASE)))
    began = threading.Event()
    count = select(cases.c.strikes)

    def slow(connection: Any) -> None:
        seen = connection.execute(count).scalar_one()
        began.set()
        other.join(0.3)
        assert other.is_alive(), "the other waits"
        connection.execute(update(cases).values(strikes=seen + 1))

    def quick(connection: Any) -> None:
        seen = connection.execute(count).scalar_one()
        connection.execute(update(cases).values(strikes=seen + 1))

    other = threading.Thread(target=lambda: (began.wait(10), ledger.write(quick)))
    other.start()
    ledger.write(slow)
    other.join(10)
    assert ledger.read(lambda c: c.execute(count).scalar_one()) == 2
    ledger.close()


def test_a_deadlock_is_broken_by_postgresql_and_tried_again(postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    rows = [CASE, CASE | {"case": "c2", "subject": "eva"}]
    ledger.write(lambda c: c.execute(insert(cases), rows))
    meeting = threading.Barrier(2)
    runs = []

    def lock(first: str, second: str) -> Callable[[Any], None]:
        def work(connection: Any) -> None:
            runs.append(first)
            raise_strikes(connection, first)
            if len(runs) <= 2:
                meeting.wait(10)
            raise_strikes(connection, second)

        return work

    def raise_strikes(connection: Any, case: str) -> None:
        raised = update(cases).where(cases.c.case == case).values(strikes=cases.c.strikes + 1)
        connection.execute(raised)

    other = threading.Thread(target=ledger.write, args=(lock("c2", "c1"),))
    other.start()
    ledger.write(lock("c1", "c2"))
    other.join(20)
    strikes = ledger.read(lambda c: c.execute(select(cases.c.strikes)).scalars().all())
    ledger.close()
    assert list(strikes) == [2, 2]
    assert len(runs) > 2, "one was ended and ran again, or both"


def test_what_deadlocks_every_time_is_raised_at_last(postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    runs = []

    def work(connection: Any) -> None:
        runs.append(1)
        connection.exec_driver_sql(
            "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"
        )

    with pytest.raises(OperationalError):
        ledger.write(work)
    ledger.close()
    assert len(runs) == 5


UNUSABLE = {
    "no URL": ("bounced.db", "is no database: write sqlite:///FILE"),
    "no number for a port": ("postgresql://u:secret@h:port/db", "is no database"),
    "another database": ("mysql://localhost/bounced", "names mysql: only sqlite and postgresql"),
    "memory": ("sqlite://", "memory keeps nothing, name a file"),
    "memory by name": ("sqlite:///:memory:", "memory keeps nothing, name a file"),
    "no such folder": ("sqlite:////nowhere/bounced.db", "folder /nowhere does not exist"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_url_is_one_clear_error(name: str) -> None:
    url, expected = UNUSABLE[name]
    with pytest.raises(BouncedError) as caught:
        Ledger(url)
    assert expected in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"install psycopg \(the extra `postgresql`\)"):
        Ledger("postgresql://bounced@localhost/bounced")


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BouncedError, match="cannot be written"):
        Ledger(f"sqlite:///{tmp_path / 'bounced.db'}")


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bounced.db").write_bytes(b"From nobody\n" * 1000)
    ledger = Ledger(f"sqlite:///{tmp_path / 'bounced.db'}")
    with pytest.raises(LedgerError, match=r"bounced\.db: file is not a database"):
        ledger.prepare()
    ledger.close()


def test_a_server_that_does_not_answer_is_one_clear_error(tmp_path: Path) -> None:
    ledger = Ledger(f"postgresql://bounced:secret@/bounced?host={tmp_path}")
    with pytest.raises(LedgerError, match=r"bounced:\*\*\*@.*connection is bad") as caught:
        ledger.prepare()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_copy_of_the_file_is_a_ledger(sqlite_url: str, tmp_path: Path) -> None:
    ledger = Ledger(sqlite_url)
    ledger.write(lambda c: c.execute(insert(cases).values(CASE)))
    ledger.close()
    shutil.copy(tmp_path / "bounced.db", tmp_path / "copy.db")
    copied = Ledger(f"sqlite:///{tmp_path / 'copy.db'}")
    copied.prepare()
    assert len(copied.read(lambda c: c.execute(select(cases)).all())) == 1
    copied.close()
