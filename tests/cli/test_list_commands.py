"""`bounced reports`, `cases`, `notices` and `quarantine`: shown, filtered, acted on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from bounced.diagnosis import Check, Diagnosis, DiagnosisFinding, DnsRecord, Fix, Identity, State
from bounced.ledger import diagnoses, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport
from tests.cli.conftest import CommandLine
from tests.ledger.office import AUTHOR, DAY, HOUR, MAILBOX_FULL, RECIPIENT, SPF, START, Office
from tests.processor.mails import make_bounce

OTHER = "ben@other.example"
FULL = "voll@kunde.example"
HELD = "0000000quarantin"
UTC_START = "2026-11-02T08:00:00Z"
DIAGNOSIS = Diagnosis(
    domain="bau.example",
    mail_from_domain="bau.example",
    checked_at=START,
    identity=Identity.MAIL_FROM,
    fix=Fix.MERGE_SPF,
    freemail=False,
    findings=(DiagnosisFinding(Check.SPF, State.FAIL, "bau.example: v=spf1 mx -all"),),
    records=(
        DnsRecord(
            "bau.example",
            "TXT",
            "v=spf1 mx " + "ip4:192.0.2.1 " * 20 + "include:spf.app.example -all",
            "v=spf1 mx -all",
        ),
    ),
)


@pytest.fixture
def office(sqlite_url: str) -> Iterator[Office]:
    """Return the ledger of a site with three cases, one told, and a quarantined report."""
    office = Office(Ledger(sqlite_url))
    office.fail("s1")
    office.fail("s1", FULL, verdict=MAILBOX_FULL)
    office.move(HOUR)
    office.send_due()
    office.fail("s2", author=OTHER)
    raw = make_bounce()
    held = NewReport(HELD, START, raw, "postmaster@bounce.example.com", "ops", client="192.0.2.9")
    office.ledger.write(lambda connection: reports.append(connection, [held]))
    office.ledger.write(
        lambda c: reports.quarantine(c, HELD, "ops-mailbox", "written to postmaster", START)
    )
    yield office
    office.ledger.close()


@pytest.mark.usefixtures("office")
class TestLists:
    @pytest.mark.parametrize(
        ("filters", "count"),
        [
            ([], 4),
            (["--author", AUTHOR.upper()], 2),
            (["--recipient", FULL], 1),
            (["--state", "quarantined"], 1),
            (["--limit", "3"], 3),
            (["--author", "nobody@x.example"], 0),
        ],
    )
    def test_reports_are_filtered(
        self, bounced: CommandLine, filters: list[str], count: int
    ) -> None:
        assert len(bounced("reports", "list", "--json", *filters).rows) == count

    def test_a_report_has_the_keys_of_the_design(self, bounced: CommandLine) -> None:
        (row,) = bounced("reports", "list", "--json", "--recipient", FULL).rows
        assert set(row) >= {
            *("report", "received_at", "client", "envelope_recipient", "trust", "state", "why"),
            *("kind", "author", "origin_source", "reference", "recipients"),
        }
        assert (row["received_at"], row["state"]) == (UTC_START, "processed")
        (recipient,) = row["recipients"]
        assert (recipient["recipient"], recipient["reason"]) == (FULL, "mailbox-full")

    @pytest.mark.parametrize(
        ("filters", "subjects"),
        [
            ([], [RECIPIENT, FULL, RECIPIENT]),
            (["--author", OTHER], [RECIPIENT]),
            (["--recipient", FULL], [FULL]),
            (["--state", "exhausted"], []),
            (["--limit", "1"], [RECIPIENT]),
        ],
    )
    def test_cases_are_filtered(
        self, bounced: CommandLine, filters: list[str], subjects: list[str]
    ) -> None:
        rows = bounced("cases", "list", "--json", *filters).rows
        assert sorted(row["subject"] for row in rows) == sorted(subjects)

    def test_a_case_has_the_keys_of_the_design(self, bounced: CommandLine) -> None:
        (row,) = bounced("cases", "list", "--json", "--recipient", FULL).rows
        assert {name: value for name, value in row.items() if name != "case"} == {
            "author": AUTHOR,
            "subject": FULL,
            "category": "mailbox-full",
            "reason": "mailbox-full",
            "round": 1,
            "state": "open",
            "strikes": 1,
            "notices": 1,
            "first_strike_at": UTC_START,
            "last_strike_at": UTC_START,
            "due_at": None,
            "suggestion": None,
            "closed_at": None,
            "closed_why": None,
            "corrected_to": None,
        }

    @pytest.mark.parametrize(
        ("filters", "states"),
        [
            ([], ["open", "sent"]),
            (["--author", OTHER], ["open"]),
            (["--state", "sent"], ["sent"]),
            (["--limit", "1"], ["open"]),
        ],
    )
    def test_notices_are_filtered(
        self, bounced: CommandLine, filters: list[str], states: list[str]
    ) -> None:
        rows = bounced("notices", "list", "--json", *filters).rows
        assert [row["state"] for row in rows] == states

    def test_a_notice_has_the_keys_of_the_design(self, bounced: CommandLine) -> None:
        (row,) = bounced("notices", "list", "--json", "--state", "sent").rows
        assert set(row) >= {
            *("notice", "author", "state", "attempted_at", "message_id", "slots"),
        }
        assert [(slot["subject"], slot["number"]) for slot in row["slots"]] == [
            (RECIPIENT, 1),
            (FULL, 1),
        ]

    def test_the_quarantine_tells_what_was_missing(self, bounced: CommandLine) -> None:
        (row,) = bounced("quarantine", "list", "--json").rows
        assert (row["report"], row["why"], row["detail"]) == (
            HELD,
            "ops-mailbox",
            "written to postmaster",
        )

    @pytest.mark.parametrize(
        ("command", "parts"),
        [
            ("reports", [RECIPIENT, "bad-address", HELD, "ops-mailbox", "2026-11-02 08:00"]),
            ("cases", [RECIPIENT, AUTHOR, OTHER, "mailbox-full", "2026-11-02 09:15"]),
            ("notices", [AUTHOR, f"{FULL} no. 1", "sent", "250 ok"]),
            ("quarantine", [HELD, "192.0.2.9", "written to postmaster"]),
        ],
    )
    def test_people_get_a_table(
        self, bounced: CommandLine, command: str, parts: list[str]
    ) -> None:
        outcome = bounced(command, "list")
        assert outcome.code == 0
        assert [part for part in parts if part not in outcome.out] == []

    @pytest.mark.parametrize("command", ["reports", "cases", "notices", "quarantine"])
    def test_the_heads_of_a_table_name_the_zone_of_its_times(
        self, bounced: CommandLine, command: str
    ) -> None:
        heads, line, _ = bounced(command, "list").out.partition("─")
        assert (line, "(UTC)" in heads) == ("─", True)

    def test_one_report_is_shown_with_its_verdict(self, bounced: CommandLine) -> None:
        (row,) = bounced("reports", "list", "--json", "--recipient", FULL).rows
        assert bounced("reports", "show", "--json", row["report"]).rows == [row]
        shown = bounced("reports", "show", row["report"]).out
        assert "received at         2026-11-02 08:00:00" in shown
        assert "category            mailbox-full" in shown

    def test_one_case_is_shown_with_its_strikes(self, bounced: CommandLine) -> None:
        (row,) = bounced("cases", "list", "--json", "--recipient", FULL).rows
        (shown,) = bounced("cases", "show", "--json", row["case"]).rows
        assert [strike["recipient"] for strike in shown.pop("history")] == [FULL]
        assert shown == row | {"diagnosis": None}
        assert "told in notice" in bounced("cases", "show", row["case"]).out

    def test_a_case_of_a_refused_domain_is_shown_with_what_dns_said(
        self, bounced: CommandLine, office: Office
    ) -> None:
        case = office.fail("s3", verdict=SPF).case
        (refused,) = office.ledger.read(
            lambda c: diagnoses.find_undiagnosed(c, 1, asked_before=office.now)
        )
        office.ledger.write(
            lambda c: diagnoses.store(c, refused, DIAGNOSIS, office.now, is_final=True)
        )
        (shown,) = bounced("cases", "show", "--json", case).rows
        assert shown["diagnosis"] == DIAGNOSIS.describe()
        lines = bounced("cases", "show", case).out.splitlines()
        assert {" ".join(line.split()) for line in lines} >= {
            "fix merge-spf",
            "dns asked at 2026-11-02 08:00:00",
            f"findings spf: fail: {DIAGNOSIS.findings[0].detail}",
            f"records bau.example TXT {DIAGNOSIS.records[0].value}",
        }

    def test_one_notice_is_shown_with_its_cases(self, bounced: CommandLine) -> None:
        (row,) = bounced("notices", "list", "--json", "--state", "sent").rows
        assert bounced("notices", "show", "--json", row["notice"]).rows == [row]
        shown = bounced("notices", "show", row["notice"]).out
        assert f"cases         {RECIPIENT} no. 1, {FULL} no. 1" in shown

    def test_a_message_is_written_byte_for_byte(
        self, bounced: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written = bytearray()
        monkeypatch.setattr(
            "typer.get_binary_stream", lambda _name: type("", (), {"write": written.extend})()
        )
        bounced("reports", "raw", HELD)
        assert bytes(written) == make_bounce()

    @pytest.mark.parametrize(
        ("command", "complaint"),
        [
            (("reports", "show"), "nope: no such report; `bounced reports list` shows them"),
            (("reports", "raw"), "nope: no such report; `bounced reports list` shows them"),
            (("cases", "show"), "nope: no such case; `bounced cases list` shows them"),
            (("cases", "reset"), "nope: no such case; `bounced cases list` shows them"),
            (("cases", "close"), "nope: no such case; `bounced cases list` shows them"),
            (("notices", "show"), "nope: no such notice; `bounced notices list` shows them"),
            (("notices", "preview"), "nope: no such notice; `bounced notices list` shows them"),
            (("notices", "release"), "nope: no held notice of that id"),
            (("quarantine", "show"), "nope: no such report; `bounced reports list` shows them"),
            (("quarantine", "release"), "nope: no report of that id is in quarantine"),
            (("quarantine", "drop"), "nope: no report of that id is in quarantine"),
        ],
    )
    def test_an_unknown_id_is_told(
        self, bounced: CommandLine, command: tuple[str, ...], complaint: str
    ) -> None:
        outcome = bounced(*command, "nope")
        assert (outcome.code, outcome.complaints) == (65, [f"bounced: {complaint}"])


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("reports", "no reports"),
        ("cases", "no cases"),
        ("notices", "no notices"),
        ("quarantine", "nothing in quarantine"),
    ],
)
def test_an_empty_list_says_so(bounced: CommandLine, command: str, line: str) -> None:
    assert bounced(command, "list").out == f"{line}\n"
    assert bounced(command, "list", "--json").out == ""


def test_a_released_report_is_processed_again_and_vouched_for(
    bounced: CommandLine, office: Office
) -> None:
    outcome = bounced("quarantine", "release", HELD)
    assert outcome.code == 0
    assert '"operator_acted"' in outcome.err
    (stored,) = office.ledger.read(lambda c: reports.read_stored(c, [HELD]))
    assert stored.arrival.vouched
    assert bounced("quarantine", "list", "--json").rows == []
    assert bounced("quarantine", "release", HELD).code == 65


def test_a_dropped_report_is_gone(bounced: CommandLine, office: Office) -> None:
    assert bounced("quarantine", "show", "--json", HELD).rows[0]["report"] == HELD
    assert bounced("quarantine", "drop", HELD).out == f"{HELD}: deleted\n"
    assert bounced("reports", "show", HELD).code == 65


def test_a_reset_case_begins_its_next_round(bounced: CommandLine, office: Office) -> None:
    case = office.find_case(FULL)["case"]
    outcome = bounced("cases", "reset", case)
    assert outcome.out == f"{AUTHOR} / {FULL}: round 2 is open\n"
    assert '"case_reset"' in outcome.err
    found = office.find_case(FULL)
    assert (found["round"], found["notices"], found["strikes"]) == (2, 0, 0)


def test_a_case_whose_notice_is_on_its_way_is_reset_later(
    bounced: CommandLine, office: Office
) -> None:
    office.move(DAY)
    office.fail("s3")
    office.move(HOUR)
    while office.claim() is not None:
        pass
    (case,) = [row for row in office.list_cases(subject=RECIPIENT) if row["author"] == AUTHOR]
    outcome = bounced("cases", "reset", case["case"])
    assert outcome.code == 75
    assert "on its way or waits" in outcome.err


def test_a_closed_case_keeps_its_count(bounced: CommandLine, office: Office) -> None:
    case = office.find_case(FULL)["case"]
    outcome = bounced("cases", "close", case)
    assert outcome.code == 0
    assert '"case_closed"' in outcome.err
    found = office.find_case(FULL)
    assert (found["state"], found["notices"], found["strikes"]) == ("closed", 1, 1)


def test_a_sent_notice_is_shown_as_its_author_got_it(bounced: CommandLine, office: Office) -> None:
    (sent,) = office.list_notices(state="sent")
    shown = bounced("notices", "preview", sent["notice"]).out
    assert f"To: {AUTHOR}" in shown
    assert "Hinweis 1 von 3" in shown
    assert RECIPIENT in shown


@pytest.mark.parametrize("held", [True, False], ids=["held", "open"])
def test_a_waiting_notice_is_shown_as_it_would_go_and_stays_as_it_is(
    bounced: CommandLine, office: Office, held: bool
) -> None:
    if held:
        office.move(HOUR)
        office.hold_due()
    tables = ("notices", "slots", "cases", "strikes")
    before = office.dump(*tables)
    (waiting,) = office.list_notices(author=OTHER)
    shown = bounced("notices", "preview", waiting["notice"])
    assert shown.code == 0, shown.err
    assert f"To: {OTHER}" in shown.out
    assert "Hinweis 1 von 3" in shown.out
    assert office.dump(*tables) == before


def test_without_a_notice_an_example_is_shown_in_any_language(bounced: CommandLine) -> None:
    german, english = (
        bounced("notices", "preview", *more).out for more in ([], ["--language", "en"])
    )
    assert "Subject: Protokolle an 9 Empfänger nicht zugestellt\n" in german
    assert "Meinten Sie max.huber@gmail.com?" in german
    assert "Subject: Documents not delivered to 9 recipients\n" in english
    assert "berichtigen oder bestätigen" not in german


def test_the_page_of_a_preview_stands_alone_and_its_links_lead_nowhere(
    bounced: CommandLine,
) -> None:
    text = bounced.config.read_text()
    url = 'public_url = "https://bounces.baudoku.example"'
    bounced.config.write_text(text.replace("[http]", f"[http]\n{url}"))
    page = bounced("notices", "preview", "--html").out
    assert page.startswith("<!DOCTYPE html>\n")
    links = set(re.findall(r'href="(https://bounces[^"]+)"', page))
    assert links == {"https://bounces.baudoku.example/n/preview"}


@pytest.mark.parametrize(
    "arguments",
    [("--language", "fr"), ("--send-test", "nobody"), ("--send-test", "@kunde.example")],
)
def test_what_cannot_be_previewed_is_a_usage_error(
    bounced: CommandLine, arguments: tuple[str, ...]
) -> None:
    assert bounced("notices", "preview", *arguments).code == 64


@pytest.mark.parametrize("named", [True, False], ids=["a waiting notice", "an example"])
def test_a_test_mail_goes_to_who_asked_and_changes_nothing(
    bounced: CommandLine, office: Office, tmp_path: Path, *, named: bool
) -> None:
    tables = ("notices", "slots", "cases", "strikes")
    before = office.dump(*tables)
    (waiting,) = office.list_notices(author=OTHER)
    notice = [waiting["notice"]] if named else []
    outcome = bounced("notices", "preview", *notice, "--send-test", "ops@bau.example")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("sent to ops@bau.example: ")
    (written,) = (tmp_path / "notices" / "new").iterdir()
    mail = message_from_bytes(written.read_bytes(), policy=policy.default)
    assert mail["To"] == "ops@bau.example"
    assert mail["Return-Path"] == "<postmaster@bounce.example.com>"
    assert mail["Subject"].startswith("[Test] Protokoll")
    assert mail["Message-ID"].endswith(".test@bounce.example.com>")
    assert office.dump(*tables) == before


def test_a_test_mail_that_is_not_taken_ends_with_the_relays_words(bounced: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    bounced.config.write_text(
        bounced.config.read_text().replace(
            "[relay]", f'[relay]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"'
        )
    )
    bounced.configure('[notices]\nsender = "protokolle@bau.example"\n')
    outcome = bounced("notices", "preview", "--send-test", "ops@bau.example")
    assert outcome.code == 74
    assert outcome.complaints[0].startswith("bounced: ops@bau.example: ")
    assert "127.0.0.1" in outcome.complaints[0]


def test_a_waiting_notice_of_a_case_that_is_used_up_has_nothing_to_tell(
    bounced: CommandLine, office: Office
) -> None:
    office.move(DAY)
    office.fail("s3")
    (waiting,) = office.list_notices(author=AUTHOR, state="open")
    bounced.configure("[notices]\nmax_notices = 1\n")
    outcome = bounced("notices", "preview", waiting["notice"])
    assert (outcome.code, outcome.complaints) == (
        65,
        [f"bounced: {waiting['notice']}: there is nothing to tell in it any more"],
    )


def test_a_waiting_notice_lists_the_cases_that_wait_for_it(
    bounced: CommandLine, office: Office
) -> None:
    (waiting,) = office.list_notices(author=OTHER)
    assert f"{RECIPIENT} no. 1" in bounced("notices", "list", "--author", OTHER).out
    shown = bounced("notices", "show", waiting["notice"]).out
    assert f"cases         {RECIPIENT} no. 1\n" in shown
    assert bounced("notices", "show", "--json", waiting["notice"]).rows[0]["slots"] == []


@pytest.mark.parametrize(("begins", "ends", "told"), [(-1, 2, True), (2, 4, False)])
def test_in_quiet_hours_a_notice_that_is_due_says_until_when_it_waits(
    bounced: CommandLine, office: Office, begins: int, ends: int, told: bool
) -> None:
    (waiting,) = office.list_notices(author=OTHER)
    begin, end = (datetime.now(UTC) + timedelta(hours=hours) for hours in (begins, ends))
    bounced.configure(f'[notices]\ntimezone = "UTC"\nquiet_hours = "{begin:%H:%M}-{end:%H:%M}"\n')
    until = f"quiet until {end:%Y-%m-%d %H:%M}"
    assert (until in bounced("notices", "list", "--author", OTHER).out) is told
    assert (until in bounced("notices", "show", waiting["notice"]).out) is told


def test_a_case_that_is_due_later_than_the_notice_says_when(
    bounced: CommandLine, office: Office
) -> None:
    office.fail("s9", FULL, author=OTHER, verdict=MAILBOX_FULL)
    office.move(DAY)
    office.fail("s10", "neu@kunde.example", author=OTHER)
    listed = bounced("notices", "list", "--author", OTHER).out
    assert f"{FULL} no. 1" in listed
    assert f"{FULL} no. 1, due" not in listed
    assert "neu@kunde.example no. 1, due 2026-11-03" in listed


def test_a_notice_that_was_put_off_says_when_it_is_tried_next(
    bounced: CommandLine, office: Office
) -> None:
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    assert "claimed" in bounced("notices", "list", "--author", OTHER).out
    office.defer(claimed, START.replace(hour=23, minute=4, second=5))
    shown = bounced("notices", "list", "--author", OTHER).out
    assert "waiting, next 23:04:05" in shown
    assert "claimed" not in shown
    (row,) = bounced("notices", "list", "--author", OTHER, "--json").rows
    assert (row["state"], "claimed_until" in row) == ("claimed", False)


@pytest.mark.parametrize("by_id", [True, False])
def test_held_notices_are_let_go(bounced: CommandLine, office: Office, by_id: bool) -> None:
    office.move(HOUR)
    ((notice, _),) = office.hold_due()
    outcome = bounced("notices", "release", notice if by_id else "--all")
    assert outcome.out == "released 1\n"
    assert [row["state"] for row in office.list_notices(notice=notice)] == ["open"]


@pytest.mark.parametrize("arguments", [(), ("0123456789abcdef", "--all")])
def test_releasing_wants_one_notice_or_all(
    bounced: CommandLine, arguments: tuple[str, ...]
) -> None:
    outcome = bounced("notices", "release", *arguments)
    assert outcome.code == 64
    assert "name one notice, or --all" in outcome.err


def test_lists_do_not_make_a_database(bounced: CommandLine) -> None:
    database = bounced.config.with_name("bounced.db")
    database.unlink()
    outcome = bounced("cases", "list")
    assert outcome.code == 74
    assert outcome.complaints == [
        f"bounced: database sqlite:///{database}: there is no such file yet"
    ]
    assert not database.exists()
