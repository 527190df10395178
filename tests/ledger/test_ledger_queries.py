"""The lists in the form of DESIGN §8, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bounced.ledger import queries, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport, ReportState
from bounced.model import OriginSource
from tests.ledger.office import (
    AUTHOR,
    DAY,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    START,
    Office,
    bounce,
)


def list_reports(office: Office, **filters: Any) -> list[dict[str, Any]]:
    return office.ledger.read(lambda c: queries.list_reports(c, **filters))


def test_a_processed_report_has_every_key_of_the_design(office: Office) -> None:
    finding = replace(bounce("a"), source=OriginSource.FROM)
    office.receive(finding)
    assert list_reports(office) == [
        {
            "report": finding.arrival.report,
            "received_at": START,
            "client": "127.0.0.1",
            "envelope_recipient": "bounces@bounce.example.com",
            "trust": "relay",
            "state": "processed",
            "why": None,
            "detail": None,
            "kind": "delivery-status",
            "author": AUTHOR,
            "origin_source": "from",
            "reference": "reference of a",
            "recipients": [
                {
                    "recipient": RECIPIENT,
                    "original_recipient": None,
                    "final_recipient": RECIPIENT,
                    "action": "failed",
                    "status": "5.1.1",
                    "smtp_code": 550,
                    "remote_mta": "mx.kunde.example",
                    "diagnostic_code": "smtp; 550 5.1.1 no such user",
                    "category": "bad-address",
                    "reason": "user-unknown",
                    "rule": None,
                    "evidence": None,
                    "ignored": None,
                }
            ],
        }
    ]


def test_a_report_that_waits_is_listed_with_what_is_known(ledger: Ledger) -> None:
    arrival = NewReport("0000000000000001", START, b"", "bounces@bounce.example.com", "mailbox")
    ledger.write(lambda c: reports.append(c, [arrival]))
    (line,) = ledger.read(queries.list_reports)
    assert (line["state"], line["trust"], line["kind"], line["recipients"]) == (
        "stored",
        None,
        None,
        [],
    )


def test_reports_are_listed_newest_first_and_by_every_filter(office: Office) -> None:
    old = bounce("a", at=START)
    new = bounce("b", "eva@kunde.example", at=START + HOUR, author="ben@bau.example")
    held = replace(bounce("c", at=START + DAY), quarantined=True, author=None, why="not-ours")
    office.receive(old, new, held)
    names = {
        finding.arrival.report: name for finding, name in ((old, "a"), (new, "b"), (held, "c"))
    }

    def show(**filters: Any) -> str:
        return "".join(names[line["report"]] for line in list_reports(office, **filters))

    assert {
        "all": show(),
        "limit": show(limit=2),
        "state": show(state=ReportState.QUARANTINED),
        "author": show(author="ben@bau.example"),
        "recipient": show(recipient="eva@kunde.example"),
        "since": show(since=START + HOUR),
        "report": show(report=old.arrival.report),
        "nothing": show(author="nobody@bau.example"),
    } == {
        "all": "cba",
        "limit": "cb",
        "state": "c",
        "author": "b",
        "recipient": "b",
        "since": "cb",
        "report": "a",
        "nothing": "",
    }


def test_why_a_failure_is_no_strike_stands_at_its_recipient(office: Office) -> None:
    office.receive(replace(bounce("a"), author=None))
    assert list_reports(office)[0]["recipients"][0]["ignored"] == "origin-unresolved"


def test_a_case_has_every_key_of_the_design(office: Office) -> None:
    counted = office.fail("a")
    office.move(HOUR)
    office.fail("b", verdict=MAILBOX_FULL)
    assert office.list_cases() == [
        {
            "case": counted.case,
            "author": AUTHOR,
            "subject": RECIPIENT,
            "category": "mailbox-full",
            "reason": "mailbox-full",
            "round": 1,
            "state": "open",
            "strikes": 2,
            "notices": 0,
            "first_strike_at": START,
            "last_strike_at": START + HOUR,
            "due_at": START + 15 * MINUTE,
            "suggestion": None,
            "closed_at": None,
            "closed_why": None,
            "corrected_to": None,
        }
    ]


def test_cases_are_listed_by_latest_strike_those_without_one_last(office: Office) -> None:
    office.fail("a", "none@kunde.example")
    office.reset(office.find_case("none@kunde.example")["case"])
    office.fail("a", "early@kunde.example")
    office.move(HOUR)
    office.fail("a", "late@kunde.example", author="ben@bau.example")
    assert [case["subject"].split("@")[0] for case in office.list_cases()] == [
        "late",
        "early",
        "none",
    ]
    case = office.find_case("late@kunde.example")["case"]
    for filters in ({"author": "ben@bau.example"}, {"case": case}, {"limit": 1}):
        assert [line["case"] for line in office.list_cases(**filters)] == [case], filters
    assert office.list_cases(state="closed") == []


def test_a_notice_has_every_key_of_the_design(office: Office) -> None:
    counted = office.fail("a")
    office.move(15 * MINUTE)
    (sent,) = office.send_due()
    office.fail("b")
    open_one, sent_one = sorted(office.list_notices(), key=lambda line: str(line["state"]))
    assert sent_one == {
        "notice": sent.notice,
        "author": AUTHOR,
        "state": "sent",
        "why": None,
        "due_at": START + 15 * MINUTE,
        "attempted_at": START + 15 * MINUTE,
        "settled_at": START + 15 * MINUTE,
        "message_id": f"{sent.notice}@bounce.example.com",
        "attempts": 1,
        "detail": "250 ok",
        "next_attempt_at": None,
        "slots": [{"case": counted.case, "subject": RECIPIENT, "number": 1}],
    }
    assert (open_one["state"], open_one["attempted_at"], open_one["slots"]) == ("open", None, [])


def test_notices_are_listed_newest_first_and_by_every_filter(office: Office) -> None:
    office.fail("a")
    office.move(MINUTE)
    office.fail("a", author="ben@bau.example")
    first = office.list_notices(author=AUTHOR)[0]["notice"]
    assert [line["author"] for line in office.list_notices()] == ["ben@bau.example", AUTHOR]
    assert [line["author"] for line in office.list_notices(limit=1)] == ["ben@bau.example"]
    assert [line["author"] for line in office.list_notices(notice=first)] == [AUTHOR]
    assert office.list_notices(state="sent") == []


def test_reports_are_counted_by_state_among_those_asked_for(office: Office) -> None:
    counted, held = bounce("a"), replace(bounce("b"), quarantined=True)
    office.receive(counted, held, bounce("c"))
    asked = [counted.arrival.report, held.arrival.report, "0123456789abcdef"]
    assert office.ledger.read(lambda c: queries.count_states(c, asked)) == {
        "processed": 1,
        "quarantined": 1,
    }
    assert office.ledger.read(lambda c: queries.count_states(c, [])) == {}


def test_the_strikes_of_a_case_are_listed_newest_first(office: Office) -> None:
    counted = office.fail("a")
    office.move(HOUR)
    office.fail("b")
    lines = office.ledger.read(lambda c: queries.list_strikes(c, counted.case))
    assert [(line["send_key"], line["failed_at"]) for line in lines] == [
        ("message-id:b@app.example", START + HOUR),
        ("message-id:a@app.example", START),
    ]


def test_everything_is_counted_by_state_also_what_there_is_none_of(office: Office) -> None:
    office.fail("a")
    office.receive(replace(bounce("b"), quarantined=True))
    arrival = replace(bounce("c").arrival, report="waiting")
    office.ledger.write(lambda connection: reports.append(connection, [arrival]))
    office.move(HOUR)
    office.send_due()
    office.fail("d", "ida@kunde.example")
    assert office.ledger.read(queries.count_by_state) == {
        "reports": {"stored": 1, "processed": 2, "quarantined": 1},
        "cases": {"open": 2, "exhausted": 0, "closed": 0},
        "notices": {
            "open": 1,
            "held": 0,
            "claimed": 0,
            "data_started": 0,
            "sent": 1,
            "failed": 0,
            "outcome_unknown": 0,
        },
    }
