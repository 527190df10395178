"""One clear line and an exit code of sysexits.h for whatever goes wrong."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import NoReturn

import pytest

from bounced import __main__, __version__
from bounced.cli import app
from bounced.ledger import queries
from bounced.ledger.lock import AlreadyServedError
from bounced.model import BouncedError, ConfigError
from tests.cli.conftest import CommandLine


def fail_with(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("what"), 78),
        (AlreadyServedError("what"), 75),
        (BouncedError("what"), 74),
        (OSError(errno.ENOSPC, "what"), 74),
    ],
)
def test_every_error_has_its_code_and_its_line(
    bounced: CommandLine, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    monkeypatch.setattr(queries, "list_cases", fail_with(error))
    outcome = bounced("cases", "list")
    assert outcome.code == code
    (line,) = outcome.complaints
    assert line.startswith("bounced: ")
    assert line.endswith("what")


def test_a_bug_shows_its_traceback_and_asks_to_be_reported(
    bounced: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "list_cases", fail_with(ZeroDivisionError()))
    outcome = bounced("cases", "list")
    assert outcome.code == 70
    assert outcome.complaints[0] == "Traceback (most recent call last):"
    assert outcome.complaints[-1] == (
        "bounced: this is a bug: please report it with the lines above"
    )


def test_an_interrupted_command_is_one_line(
    bounced: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "list_cases", fail_with(KeyboardInterrupt()))
    outcome = bounced("cases", "list")
    assert (outcome.code, outcome.complaints) == (75, ["bounced: interrupted"])


def test_a_command_interrupted_before_it_began_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "run", fail_with(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert (ended.value.code, capsys.readouterr().err) == (75, "bounced: interrupted\n")


def test_a_damaged_database_is_one_line_without_the_statement(bounced: CommandLine) -> None:
    with closing(sqlite3.connect(bounced.config.with_name("bounced.db"))) as connection:
        connection.execute("DROP TABLE cases")
    outcome = bounced("cases", "list")
    assert (outcome.code, outcome.complaints) == (74, ["bounced: database: no such table: cases"])


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("cases",),
        ("cases", "list", "--nonsense"),
        ("cases", "list", "--state", "nonsense"),
        ("cases", "list", "--limit", "0"),
        ("cases", "show"),
        ("classify",),
    ],
)
def test_wrong_usage_is_64(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(arguments) == 64
    captured = capsys.readouterr()
    assert "Usage: bounced" in captured.out + captured.err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"bounced {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        *("serve", "check", "classify", "explain", "ingest", "sign", "demo"),
        *("reports list", "reports show", "reports raw", "cases list", "cases show"),
        *("cases reset", "cases close", "notices list", "notices show", "notices preview"),
        *("notices release", "quarantine list", "quarantine show", "quarantine release"),
        *("quarantine drop", "keys new", "keys list", "keys retire"),
        *("db status", "db upgrade", "db backup", "db copy"),
    ],
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*command.split(), "--help"]) == 0
    assert f"Usage: bounced {command}" in capsys.readouterr().out
