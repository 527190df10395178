"""`bounced quarantine`: chosen, shown with what to do, believed or thrown away, one or many."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bounced.ledger import quarantine, queries, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport, ReportState
from bounced.model import TokenType
from bounced.origin.keytext import format_keys
from bounced.origin.token import Key, KeyRing, find_day, seal
from bounced.origin.why import Why
from bounced.processor.processor import REFUSED
from bounced.processor.worker import Unreadable
from tests.cli.conftest import CommandLine
from tests.ledger.office import DAY, HOUR, START
from tests.ledger.strangers import FLOOD, HONEST, THIRD, put

KEY = Key("b", b"s" * 32, date(2026, 11, 1))
OWN_RELAY = (
    "if the address named above is a server of yours, add it to smtp.own_relays and reload; "
    "then release the report"
)
SEND = bytes.fromhex("00000000000000aa")
TODAY = find_day(START)
NEVER_HELD = {Why.ORIGIN_UNRESOLVED, Why.NOTICE_BOUNCED, Why.PROBE}


@pytest.fixture
def ledger(sqlite_url: str) -> Iterator[Ledger]:
    opened = Ledger(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def held(ledger: Ledger) -> dict[str, list[str]]:
    """Return the reports of three hosts in quarantine, by host."""
    return {
        FLOOD: put(ledger, FLOOD, 3),
        HONEST: put(ledger, HONEST, 1, at=START + HOUR, why="received-from-outside"),
        THIRD: put(ledger, THIRD, 1, at=START + DAY, why="unsigned"),
    }


def list_stored(ledger: Ledger) -> set[str]:
    """Return the reports that wait to be processed again."""
    rows = ledger.read(lambda c: queries.list_reports(c, state=ReportState.STORED))
    return {row["report"] for row in rows}


def count_held(ledger: Ledger) -> int:
    return len(ledger.read(lambda c: queries.list_reports(c, state=ReportState.QUARANTINED)))


CHOICES: list[tuple[list[str], list[str]]] = [
    (["--client", FLOOD], [FLOOD] * 3),
    (["--client", "198.51.100.0/24"], [HONEST]),
    (["--client", "2001:db8:1:1::/64"], [THIRD]),
    (["--why", "unsigned"], [THIRD]),
    (["--since", "2026-11-02T09:00"], [THIRD, HONEST]),
    (["--why", "unsigned", "--client", FLOOD], []),
]


@pytest.mark.usefixtures("held")
class TestList:
    @pytest.mark.parametrize(
        ("choice", "clients"), [*CHOICES, (["--limit", "2"], [THIRD, HONEST])]
    )
    def test_reports_are_chosen_newest_first(
        self, bounced: CommandLine, choice: list[str], clients: list[str]
    ) -> None:
        rows = bounced("quarantine", "list", "--json", *choice).rows
        assert [row["client"] for row in rows] == clients

    def test_a_row_is_that_of_the_reports(self, bounced: CommandLine) -> None:
        assert (
            bounced("quarantine", "list", "--json").rows
            == bounced("reports", "list", "--json", "--state", "quarantined").rows
        )

    @pytest.mark.parametrize(
        ("choice", "complaint"),
        [
            (["--why", "nonsense"], "--why nonsense: no such reason; there are client-not-own-"),
            (["--client", "foo"], "--client foo: no address or network"),
        ],
    )
    def test_what_cannot_be_chosen_is_a_usage_error(
        self, bounced: CommandLine, choice: list[str], complaint: str
    ) -> None:
        outcome = bounced("quarantine", "list", *choice)
        assert outcome.code == 64
        assert complaint in " ".join(outcome.err.split())

    def test_a_choice_without_a_hit_says_so(self, bounced: CommandLine) -> None:
        shown = bounced("quarantine", "list", "--client", "local").out.splitlines()
        assert shown[0] == "nothing in quarantine matches"
        assert shown[1].startswith("0 shown of 5 in quarantine")

    def test_the_last_line_sums_up(self, bounced: CommandLine) -> None:
        shown = bounced("quarantine", "list", "--client", FLOOD).out.splitlines()
        assert shown[-1] == (
            "3 shown of 5 in quarantine: 9.88 KiB of 1 GiB, the oldest of 2026-11-02 08:00 (UTC)"
        )


class TestShow:
    def test_it_tells_what_can_be_done(
        self, bounced: CommandLine, held: dict[str, list[str]]
    ) -> None:
        (report,) = held[HONEST]
        shown = bounced("quarantine", "show", report).out.splitlines()
        assert shown[-4:] == [
            f"to do    {OWN_RELAY}",
            f"message  bounced reports raw {report}",
            f"believe  bounced quarantine release {report}",
            f"delete   bounced quarantine drop {report}",
        ]

    @pytest.mark.parametrize("why", sorted({*Why, *Unreadable, REFUSED} - NEVER_HELD))
    def test_for_every_reason_there_is_something_to_do(
        self, bounced: CommandLine, ledger: Ledger, why: str
    ) -> None:
        (report,) = put(ledger, FLOOD, why=why)
        assert "\nto do    " in bounced("quarantine", "show", report).out

    def test_a_report_that_counts_needs_nothing(
        self, bounced: CommandLine, ledger: Ledger, held: dict[str, list[str]]
    ) -> None:
        (report,) = held[HONEST]
        ledger.write(lambda c: quarantine.release(c, report))
        assert "to do" not in bounced("quarantine", "show", report).out


@pytest.mark.parametrize("action", ["release", "drop"])
class TestMany:
    def test_several_are_named(
        self, bounced: CommandLine, ledger: Ledger, held: dict[str, list[str]], action: str
    ) -> None:
        outcome = bounced("quarantine", action, *held[FLOOD][:2], held[HONEST][0])
        assert (outcome.code, outcome.out.partition(":")[0]) == (0, "3 reports")
        assert count_held(ledger) == 2
        released = {*held[FLOOD][:2], *held[HONEST]} if action == "release" else set()
        assert list_stored(ledger) == released

    def test_the_log_tells_of_the_act_in_one_line(
        self, bounced: CommandLine, held: dict[str, list[str]], action: str
    ) -> None:
        outcome = bounced("quarantine", action, "--client", FLOOD, "--yes")
        (line,) = map(json.loads, outcome.err.splitlines())
        assert (line["event"], line["action"]) == ("operator_acted", f"quarantine {action}")
        named = ", ".join(reversed(held[FLOOD]))
        assert line["detail"] == f"3 reports, client {FLOOD}/32: {named}"

    def test_the_log_does_not_name_a_host_of_reports(
        self, bounced: CommandLine, ledger: Ledger, action: str
    ) -> None:
        put(ledger, FLOOD, 11)
        outcome = bounced("quarantine", action, "--all", "--yes")
        (line,) = map(json.loads, outcome.err.splitlines())
        assert (line["action"], line["detail"]) == (f"quarantine {action}", "11 reports, all")

    def test_the_log_names_a_single_report(
        self, bounced: CommandLine, held: dict[str, list[str]], action: str
    ) -> None:
        outcome = bounced("quarantine", action, *held[HONEST])
        (line,) = map(json.loads, outcome.err.splitlines())
        assert ([line["report"]], "detail" in line) == (held[HONEST], False)

    @pytest.mark.parametrize(("choice", "clients"), CHOICES[:-1])
    @pytest.mark.usefixtures("held")
    def test_they_are_chosen_as_in_the_list(
        self,
        bounced: CommandLine,
        ledger: Ledger,
        action: str,
        choice: list[str],
        clients: list[str],
    ) -> None:
        assert bounced("quarantine", action, "--yes", *choice).code == 0
        assert count_held(ledger) == 5 - len(clients)
        assert bounced("quarantine", "list", "--json", *choice).rows == []

    @pytest.mark.usefixtures("held")
    def test_all_are_all(self, bounced: CommandLine, ledger: Ledger, action: str) -> None:
        outcome = bounced("quarantine", action, "--all", "--yes")
        assert outcome.out.startswith("5 reports: ")
        assert count_held(ledger) == 0

    @pytest.mark.usefixtures("held")
    @pytest.mark.parametrize(
        "arguments", [[], ["--yes"], ["--all", "--why", "unsigned"], ["x", "--all"]]
    )
    def test_what_is_meant_must_be_said_in_one_way(
        self, bounced: CommandLine, ledger: Ledger, action: str, arguments: list[str]
    ) -> None:
        outcome = bounced("quarantine", action, *arguments)
        assert outcome.code == 64
        assert ("exclude each other" in outcome.err) == ("--all" in arguments)
        assert count_held(ledger) == 5

    @pytest.mark.usefixtures("held")
    def test_nothing_of_a_kind_is_told(self, bounced: CommandLine, action: str) -> None:
        outcome = bounced("quarantine", action, "--client", "192.0.2.99", "--yes")
        assert (outcome.code, outcome.complaints) == (
            65,
            ["bounced: nothing of that kind is in quarantine"],
        )

    def test_one_unknown_id_and_nothing_is_done(
        self, bounced: CommandLine, ledger: Ledger, held: dict[str, list[str]], action: str
    ) -> None:
        outcome = bounced("quarantine", action, held[FLOOD][0], "nope", "nix")
        assert (outcome.code, outcome.complaints) == (
            65,
            [
                f"bounced: {name}: no report of that id is in quarantine"
                for name in ("nope", "nix")
            ],
        )
        assert count_held(ledger) == 5

    @pytest.mark.usefixtures("held")
    def test_where_nobody_can_be_asked_yes_must_be_said_before(
        self, bounced: CommandLine, ledger: Ledger, action: str
    ) -> None:
        outcome = bounced("quarantine", action, "--client", FLOOD)
        assert outcome.code == 64
        assert "3 reports: add --yes" in outcome.err
        assert count_held(ledger) == 5

    @pytest.mark.usefixtures("held")
    @pytest.mark.parametrize(("answer", "outcome"), [(b"y\n", (0, 2)), (b"n\n", (1, 5))])
    def test_on_a_terminal_it_is_asked_back(
        self, config: Path, ledger: Ledger, action: str, answer: bytes, outcome: tuple[int, int]
    ) -> None:
        ours, theirs = pty.openpty()
        command = ("quarantine", action, "--client", FLOOD, "--config", str(config))
        os.write(ours, answer)
        done = subprocess.run(
            (sys.executable, "-m", "bounced", *command),
            stdin=theirs,
            capture_output=True,
            check=False,
            text=True,
        )
        os.close(theirs)
        os.close(ours)
        assert "3 reports? [y/N]" in done.stdout
        assert ("their authors may be mailed" in done.stdout) == (action == "release")
        assert (done.returncode, count_held(ledger)) == outcome


class TestTokenOfALaterKey:
    """A return path that was signed elsewhere, whose key came into the key file too late."""

    def test_it_speaks_for_its_send(
        self, bounced: CommandLine, ledger: Ledger, config: Path
    ) -> None:
        report = self._put(ledger, seal(TokenType.SEND, SEND, TODAY, KEY))
        (config.parent / "bounced.keys").write_text(format_keys(KeyRing((KEY,))))
        assert self._release(bounced, ledger, report) == ("token", TokenType.SEND, SEND.hex())

    @pytest.mark.parametrize("day", [TODAY - 15, TODAY + 2])
    def test_it_is_judged_as_of_the_day_of_receipt(
        self, bounced: CommandLine, ledger: Ledger, config: Path, day: int
    ) -> None:
        report = self._put(ledger, seal(TokenType.SEND, SEND, day, KEY))
        (config.parent / "bounced.keys").write_text(format_keys(KeyRing((KEY,))))
        assert self._release(bounced, ledger, report) == ("unknown-local-part", None, None)

    def test_without_its_key_the_operator_vouches_for_all_of_it(
        self, bounced: CommandLine, ledger: Ledger
    ) -> None:
        report = self._put(ledger, seal(TokenType.SEND, SEND, TODAY, KEY))
        assert self._release(bounced, ledger, report) == ("unknown-local-part", None, None)

    def _put(self, ledger: Ledger, token: str) -> str:
        arrival = NewReport(
            report="0000000000000001",
            received_at=START,
            raw=b"",
            envelope_recipient=f"{token}@bounce.example.com",
            door="unknown-local-part",
            client="127.0.0.1",
            mail_from="",
        )

        def put_away(connection: Any) -> None:
            reports.append(connection, [arrival])
            reports.quarantine(connection, arrival.report, "unknown-local-part", None, START)

        ledger.write(put_away)
        return arrival.report

    def _release(self, bounced: CommandLine, ledger: Ledger, report: str) -> tuple[Any, ...]:
        assert bounced("quarantine", "release", report).code == 0
        (stored,) = ledger.read(lambda c: reports.read_stored(c, [report]))
        assert stored.arrival.vouched
        return stored.arrival.door, stored.arrival.token_type, stored.arrival.token_id
