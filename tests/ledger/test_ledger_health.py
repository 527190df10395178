"""Whether a database is lost, whose it is, and whether it is asked in a way that lasts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import DBAPIError

from bounced.ledger import notices, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.health import describe_error, is_lost, probe
from bounced.ledger.lock import AlreadyServedError, hold_database
from bounced.ledger.schema import cases, sends
from tests.ledger.office import DAY, LEASE, START, Office
from tests.ledger.test_ledger_constraints import CASE


def catch(ledger: Ledger, work: Callable[[Any], object]) -> DBAPIError:
    with pytest.raises(DBAPIError) as caught:
        ledger.write(work)
    return caught.value


def test_a_probe_leaves_no_trace(ledger: Ledger) -> None:
    ledger.write(lambda c: probe(c, START))
    ledger.write(lambda c: probe(c, START))
    assert ledger.read(lambda c: c.execute(select(sends)).all()) == []


def test_a_row_that_is_refused_is_no_lost_database(ledger: Ledger) -> None:
    ledger.write(lambda c: c.execute(insert(cases).values(CASE)))
    error = catch(ledger, lambda c: c.execute(insert(cases).values(CASE)))
    assert is_lost(error) is False
    assert "\n" not in describe_error(error)
    assert "anna" not in describe_error(error)


def test_a_full_database_is_lost_and_found_again(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)

    def fill(connection: Any) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        for number in range(1000):
            row = CASE | {"case": str(number), "subject": str(number)}
            connection.execute(insert(cases).values(row))

    error = catch(ledger, fill)
    ledger.engine.dispose()
    ledger.write(lambda c: probe(c, START))
    ledger.close()
    assert (is_lost(error), describe_error(error)) == (True, "database or disk is full")


def test_a_damaged_file_is_lost(tmp_path: Path) -> None:
    (tmp_path / "bounced.db").write_bytes(b"From nobody\n" * 1000)
    ledger = Ledger(f"sqlite:///{tmp_path / 'bounced.db'}")
    assert is_lost(catch(ledger, lambda c: probe(c, START)))
    ledger.close()


def test_a_server_that_is_gone_is_lost(tmp_path: Path) -> None:
    ledger = Ledger(f"postgresql://bounced@/bounced?host={tmp_path}")
    assert is_lost(catch(ledger, lambda c: probe(c, START)))
    ledger.close()


def test_an_error_of_ours_is_no_lost_database() -> None:
    assert is_lost(ZeroDivisionError()) is False


def test_one_daemon_holds_a_file_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "bounced.db"
    with hold_database(file):
        with (
            pytest.raises(AlreadyServedError, match=r"bounced\.db: a running `bounced serve`"),
            hold_database(file),
        ):
            pytest.fail("two hold it")
        with hold_database(tmp_path / "other.db"):
            pass
    with hold_database(file):
        pass


def test_nobody_holds_a_server(tmp_path: Path) -> None:
    with hold_database(None), hold_database(None):
        assert list(tmp_path.iterdir()) == []


def test_no_daily_work_reads_a_table_from_end_to_end(sqlite_url: str, tmp_path: Path) -> None:
    """SQLite takes a partial index only for a query that says its condition word for word."""
    office = Office(Ledger(sqlite_url))
    office.fail("a")
    office.move(DAY)
    said: list[tuple[str, Any]] = []

    def listen(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        said.append((statement, values))

    event.listen(office.ledger.engine, "before_cursor_execute", listen)
    office.ledger.write(lambda c: reports.claim(c, START, LEASE, 20, 2**30))
    office.ledger.write(lambda c: notices.expire_claims(c, office.now))
    office.hold_due()
    office.release_held()
    claimed = office.claim()
    assert claimed is not None
    office.settle_lost()
    office.settle(claimed)
    event.remove(office.ledger.engine, "before_cursor_execute", listen)
    office.ledger.close()

    connection = sqlite3.connect(tmp_path / "bounced.db")
    scans = {
        (step, statement)
        for statement, values in said
        if statement.startswith(("SELECT", "UPDATE", "DELETE"))
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        if step.startswith("SCAN") and "USING" not in step
    }
    connection.close()
    assert scans == set()
    assert len(said) > 20
