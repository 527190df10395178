"""A small part of the chaos run; `make chaos` is the whole of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chaos.history import KINDS


def run_chaos(database: str, runs: int) -> str:
    """Run apart from the tests' own threads, as forks must; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seed", "1",
         "--runs", str(runs), "--database", database],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_row(table: str, title: str) -> int:
    (line,) = (line for line in table.splitlines() if line.startswith(title))
    return int(line.split()[-1].replace(",", ""))


@pytest.mark.slow
@pytest.mark.parametrize(("database", "runs"), [("sqlite", 12), ("postgresql", 8)])
def test_no_kill_makes_a_fourth_notice_two_within_the_interval_or_loses_a_case(
    request: pytest.FixtureRequest, database: str, runs: int
) -> None:
    if database == "postgresql":
        request.getfixturevalue("postgres")  # skipped where it cannot be started
    table = run_chaos(database, runs)
    print(table)
    assert read_row(table, "runs") == runs
    assert read_row(table, "violations") == 0
    # Which kinds so few runs meet is chance; that nobody was killed would show nothing.
    assert sum(read_row(table, f"killed at {kind}") for kind in KINDS) > 0
    assert read_row(table, "mails arrived") > 0
