"""What strangers wrote never commands a terminal; bars where somebody looks; pipes may break."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.console import Console

from bounced.cli import output
from tests.cli.conftest import CommandLine
from tests.processor.mails import make_bounce

MESSAGES = 400
_COLUMNS = 80
_HOSTILE = "550 5.1.1 \x1b[31mUser unknown\x1b]0;title\x07 [bold red]x[/] \u202eevil \x9b1m"


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    path = tmp_path / "hostile.eml"
    path.write_bytes(make_bounce(reply=_HOSTILE, recipient="[red]max@kunde.example"))
    return str(path)


@pytest.fixture
def mbox(tmp_path: Path) -> str:
    raw = b"From MAILER-DAEMON\n" + make_bounce().replace(b"\r\n", b"\n") + b"\n"
    path = tmp_path / "mbox"
    path.write_bytes(raw * MESSAGES)
    return str(path)


def find_commands(text: str) -> set[str]:
    return {char for char in text if not char.isprintable() and char != "\n"}


def test_no_control_character_of_a_message_reaches_the_terminal(
    bounced: CommandLine, hostile: str
) -> None:
    bounced("ingest", "--trusted", hostile)
    (report,) = bounced("reports", "list", "--json").rows
    (case,) = bounced("cases", "list", "--json").rows
    shown = [
        bounced(*arguments)
        for arguments in (
            ("classify", hostile),
            ("classify", "--json", hostile),
            ("explain", hostile),
            ("explain", "--json", hostile),
            ("reports", "list"),
            ("reports", "list", "--json"),
            ("reports", "show", report["report"]),
            ("cases", "list"),
            ("cases", "show", case["case"]),
        )
    ]
    assert [outcome.code for outcome in shown] == [0] * len(shown)
    assert [find_commands(outcome.out) for outcome in shown] == [set()] * len(shown)


def test_mark_up_of_a_message_is_shown_as_it_is(bounced: CommandLine, hostile: str) -> None:
    assert "[red]max@kunde.example" in bounced("classify", hostile).out
    assert "[bold red]x[/]" in bounced("explain", hostile).out


def test_json_reads_back_to_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"text": _HOSTILE + "\ud83d grün \U000e0041\n"}
    output.print_json(row)
    printed = capsys.readouterr().out
    assert find_commands(printed) == set()
    assert "grün" in printed
    assert json.loads(printed) == row


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("Straße 日本", "Straße 日本"),
    ],
)
def test_a_value_is_one_line_without_commands(text: str, shown: str) -> None:
    assert output.show(text) == shown


def test_on_a_terminal_texts_are_wrapped_and_what_is_marked_has_a_style(
    config: Path, hostile: str
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, _COLUMNS, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(
        (sys.executable, "-m", "bounced", "explain", hostile, "--config", str(config)),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment | {"TERM": "xterm-256color"},
    )
    os.close(theirs)
    drawn = read_terminal(ours).decode()
    assert process.wait() == 0
    os.close(ours)
    assert re.search(r"\x1b\[1;7m[^\x1b]+\x1b\[0m", drawn)
    assert "»" not in drawn
    said = re.sub(r"\x1b\[[\d;]*m", "", drawn).split("Diagnostic-Code:\r\n")[1].splitlines()
    assert said[0].startswith("    550 5.1.1 \\x1b[31mUser unknown\\x1b")
    assert max(map(len, said)) <= _COLUMNS


def run(*arguments: str, stdout: int, stderr: int) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "bounced", *arguments)
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True
    )


def test_a_bar_is_drawn_on_a_terminal_and_the_results_still_go_to_the_file(
    config: Path, mbox: str, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    with (tmp_path / "out").open("wb") as out:
        process = run(
            "classify", "--json", mbox, "--config", str(config), stdout=out.fileno(), stderr=theirs
        )
        os.close(theirs)
        drawn = read_terminal(ours)
        assert process.wait() == 0
    os.close(ours)
    assert b"classifying" in drawn
    assert f"{MESSAGES}/{MESSAGES}".encode() in drawn
    lines = (tmp_path / "out").read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == [
        f"{mbox}#{number}" for number in range(1, MESSAGES + 1)
    ]


def read_terminal(descriptor: int) -> bytes:
    drawn = bytearray()
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # the last process has closed it
            return bytes(drawn)
        if not chunk:
            return bytes(drawn)
        drawn += chunk


def test_no_bar_is_drawn_elsewhere(bounced: CommandLine, mbox: str) -> None:
    assert bounced("ingest", mbox).err == ""


@pytest.mark.parametrize("command", [("classify", "--json"), ("db", "status")])
def test_a_reader_that_has_enough_ends_the_command_without_a_word(
    config: Path, mbox: str, command: tuple[str, ...]
) -> None:
    arguments = (*command, *((mbox,) if "--json" in command else ()), "--config", str(config))
    ours, theirs = os.pipe()
    os.close(ours)
    with run(*arguments, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_terminal_that_knows_few_letters_is_no_error(config: Path, hostile: str) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "bounced", "db", "upgrade", "--config", str(config)),
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "BOUNCED__DATABASE__URL":
             f"sqlite:///{config.parent}/new.db"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"schema none \\u2192 ")


LONG = "anna.berger@architekten-berger.example"


def print_at(width: int, monkeypatch: pytest.MonkeyPatch, *lines: tuple[object, ...]) -> None:
    monkeypatch.setattr(output, "make_console", lambda _least=0: Console(width=width))
    output.print_table("", ("id", "address", "words"), lines, fold=("address", "words"))


def test_a_table_is_narrowed_by_whole_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_at(60, monkeypatch, ("0123456789", [LONG, "b"], "unknown user"))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "id          address                                 words",
        "─" * 60,
        f"0123456789  {LONG}  unknown",
        "            b                                       user",
    ]


def test_a_terminal_that_is_too_narrow_for_a_table_gets_records(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_at(50, monkeypatch, ("0123456789", [LONG, "b"], "unknown user"), ("1", "c", None))
    assert capsys.readouterr().out.splitlines() == [
        "id       0123456789",
        f"address  {LONG}, b",
        "words    unknown user",
        "",
        "id       1",
        "address  c",
    ]


def test_names_stand_one_below_the_other_as_what_they_name_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "make_console", lambda _least=0: Console(width=40))
    output.print_table("", ("case, seen (UTC)", "strikes"), [(["1f2e", "2026-11-22"], 3)])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "case",
        "seen (UTC)  strikes",
        "─" * 19,
        "1f2e        3",
        "2026-11-22",
    ]


def test_a_record_names_each_line_of_a_cell_and_is_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = Console(width=50, force_terminal=True, file=io.StringIO())
    monkeypatch.setattr(output, "make_console", lambda _least=0: narrow)
    words = "the host is in no list of ours: add it to smtp.own_relays"
    row = (["1f2e", "2026-11-22"], LONG, ["not-own", words])
    output.print_table("", ("report, seen (UTC)", "author", "missing"), [row])
    assert capsys.readouterr().out.splitlines() == [
        "report      1f2e",
        "seen (UTC)  2026-11-22",
        f"author      {LONG}",
        "missing     not-own",
        "            the host is in no list of ours: add it to",
        "            smtp.own_relays",
    ]


def test_a_list_that_is_too_long_for_a_line_has_one_item_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_facts({"state": ["open", "held"], "cases": [LONG] * 9})
    assert capsys.readouterr().out.splitlines() == [
        "state  open, held",
        f"cases  {LONG}",
        *[f"       {LONG}"] * 8,
    ]


def test_what_is_not_a_terminal_is_always_wide_enough(capsys: pytest.CaptureFixture[str]) -> None:
    row = ["x" * 60] * 4
    output.print_table("", ("a", "b", "c", "d"), [row], fold=())
    assert "  ".join(row) in capsys.readouterr().out
