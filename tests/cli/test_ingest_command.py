"""`bounced ingest` and `bounced explain`: files into the ledger, and why a verdict is what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.processor.mails import (
    AUTHOR,
    RECIPIENT,
    SPAM,
    make_bounce,
    make_delay,
    make_forgery,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "bounce.eml").write_bytes(make_bounce())
    (folder / "forgery.eml").write_bytes(make_forgery())
    (folder / "spam.eml").write_bytes(SPAM)
    return folder


def test_files_are_stored_and_judged_as_if_an_own_relay_had_brought_them(
    bounced: CommandLine, folder: Path
) -> None:
    outcome = bounced("ingest", *(str(path) for path in sorted(folder.iterdir())))
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "stored 3: 2 processed, 1 in quarantine"
    assert outcome.out.splitlines()[1:3] == [
        "  in quarantine, received-from-outside: 1",
        "  recipients counted: 1",
    ]
    assert "quarantine list" in outcome.out
    assert outcome.err == ""
    (case,) = bounced("cases", "list", "--json").rows
    assert (case["author"], case["subject"], case["strikes"]) == (AUTHOR, RECIPIENT, 1)
    (held,) = bounced("quarantine", "list", "--json").rows
    assert (held["why"], held["client"]) == ("received-from-outside", None)
    assert "203.0.113.66" in held["detail"]


def test_trusted_files_count_whatever_vouches_for_them(bounced: CommandLine, folder: Path) -> None:
    outcome = bounced("ingest", "--trusted", str(folder / "forgery.eml"))
    assert outcome.out == "stored 1: 1 processed\n  recipients counted: 1\n"
    assert [row["strikes"] for row in bounced("cases", "list", "--json").rows] == [1]


def test_the_same_file_again_is_stored_and_counts_nothing(
    bounced: CommandLine, folder: Path
) -> None:
    source = str(folder / "bounce.eml")
    bounced("ingest", source, source)
    assert len(bounced("reports", "list", "--json").rows) == 2
    assert [row["strikes"] for row in bounced("cases", "list", "--json").rows] == [1]


def test_an_unreadable_file_does_not_keep_the_others_out(
    bounced: CommandLine, folder: Path
) -> None:
    outcome = bounced("ingest", str(folder / "absent"), str(folder / "bounce.eml"))
    assert outcome.code == 65
    assert outcome.out == "stored 1: 1 processed\n  recipients counted: 1\n"
    assert f"bounced: {folder / 'absent'}: No such file or directory" in outcome.complaints


def test_what_the_log_is_told_keeps_the_form_of_addresses_that_is_configured(
    bounced: CommandLine, folder: Path
) -> None:
    bounced.config.write_text(
        bounced.config.read_text().replace("[log]", '[log]\naddresses = "masked"')
    )
    raw = make_bounce(reply="550 5.0.0 Xyzzy plugh")
    (folder / "odd.eml").write_bytes(raw)
    assert bounced("ingest", str(folder / "odd.eml")).err == ""
    outcome = bounced("ingest", "--verbose", str(folder / "odd.eml"))
    assert "failure_unclassified" in outcome.err
    assert "m***@kunde.example" in outcome.err
    assert RECIPIENT not in outcome.err


def test_a_database_is_made_where_there_is_none(
    bounced: CommandLine, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "bounced.db").unlink()
    assert bounced("ingest", str(folder / "spam.eml")).out == "stored 1: 1 processed\n"


def test_a_file_is_explained(bounced: CommandLine, folder: Path) -> None:
    outcome = bounced("explain", str(folder / "bounce.eml"))
    assert outcome.code == 0
    assert f"{RECIPIENT}: failed" in outcome.out
    assert "said, part 1, Diagnostic-Code:\n    550 5.1.1 »User unknown«\n" in outcome.out
    assert "verdict: bad-address / user-unknown, rule " in outcome.out
    assert 'decided by "User unknown" in part 1, Diagnostic-Code' in outcome.out


def test_a_stored_report_is_explained_by_its_id(bounced: CommandLine, folder: Path) -> None:
    bounced("ingest", str(folder / "bounce.eml"))
    (report,) = bounced("reports", "list", "--json").rows
    (row,) = bounced("explain", "--json", report["report"]).rows
    assert row["source"] == report["report"]
    (recipient,) = row["recipients"]
    assert recipient["where"] == "part 1, Diagnostic-Code"
    winner, *losers = recipient["candidates"]
    assert (winner["rule"], winner["lost"]) == (recipient["rule"], None)
    assert all(loser["lost"] for loser in losers)
    assert recipient["replies"][0]["text"] == "550 5.1.1 User unknown"


def test_a_stored_report_says_at_the_end_whether_it_counted(
    bounced: CommandLine, folder: Path
) -> None:
    bounced("ingest", str(folder / "bounce.eml"))
    (report,) = bounced("reports", "list", "--json").rows
    (row,) = bounced("explain", "--json", report["report"]).rows
    assert row["ledger"] == {
        "state": "processed",
        "trust": "relay",
        "why": None,
        "detail": None,
        "recipients": [{"recipient": RECIPIENT, "counted": True, "ignored": None}],
    }
    told = bounced("explain", report["report"]).out
    assert told.endswith(f"state   processed\ntrust   relay\n  {RECIPIENT}: counted\n")


def test_a_failure_that_is_no_strike_is_explained_by_its_reason(
    bounced: CommandLine, folder: Path
) -> None:
    path = folder / "delay.eml"
    path.write_bytes(make_delay())
    bounced("ingest", str(path))
    (report,) = bounced("reports", "list", "--json").rows
    (row,) = bounced("explain", "--json", report["report"]).rows
    assert row["ledger"]["recipients"] == [
        {"recipient": RECIPIENT, "counted": False, "ignored": "not-failed"}
    ]
    told = bounced("explain", report["report"]).out
    assert told.endswith(f"  {RECIPIENT}: not counted: not-failed\n")


def test_a_report_in_quarantine_is_explained_by_what_was_missing(
    bounced: CommandLine, folder: Path
) -> None:
    bounced("ingest", str(folder / "forgery.eml"))
    (report,) = bounced("reports", "list", "--json").rows
    told = bounced("explain", report["report"]).out
    assert "203.0.113.66" in told
    assert told.endswith(": not counted: received-from-outside\n")
    assert "origin-unresolved" not in told
    listed = bounced("reports", "list").out
    assert "received-from-outside" in listed
    assert "origin-unresolved" not in listed


def test_a_file_has_no_word_of_the_ledger(bounced: CommandLine, folder: Path) -> None:
    (row,) = bounced("explain", "--json", str(folder / "bounce.eml")).rows
    assert row["ledger"] is None


def test_words_that_no_rule_knows_are_explained_as_that(bounced: CommandLine) -> None:
    raw = make_bounce(reply="550 5.0.0 Xyzzy plugh")
    outcome = bounced("explain", "-", stdin=raw)
    assert "verdict: unknown; no rule speaks of these words" in outcome.out
    assert "bounced unknown list" in outcome.out
    assert "date (UTC)" in outcome.out


def test_explaining_what_is_neither_file_nor_report_fails(bounced: CommandLine) -> None:
    outcome = bounced("explain", "nothing")
    assert outcome.code == 65
    assert outcome.complaints == ["bounced: nothing: no such file, and no report of that id"]


def test_explaining_nothing_without_a_database_says_the_same_and_makes_none(
    bounced: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "bounced.db").unlink()
    outcome = bounced("explain", "nothing")
    assert outcome.code == 65
    assert outcome.complaints == ["bounced: nothing: no such file, and no report of that id"]
    assert not (tmp_path / "bounced.db").exists()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("", "name a stored report's id, or a file"),
        ("{folder}", "{folder}: a folder; name one message of it (bounced classify reads all)"),
    ],
)
def test_explaining_nothing_or_a_folder_fails(
    bounced: CommandLine, folder: Path, what: str, says: str
) -> None:
    outcome = bounced("explain", what.format(folder=folder))
    assert (outcome.code, outcome.out) == (65, "")
    assert outcome.complaints == [f"bounced: {says.format(folder=folder)}"]
