"""Whatever the world sends as text, a ledger keeps; nothing hostile stops a batch."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy.exc import StatementError

from bounced.ledger import queries, reports
from bounced.ledger.records import NewReport, clean_text
from bounced.model import RecipientFacts, Reply, Verdict
from tests.ledger.office import (
    AUTHOR,
    CONTENT,
    MINUTE,
    RECIPIENT,
    SPF,
    START,
    USER_UNKNOWN,
    Office,
    bounce,
)

LONG = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=100_000))
"""Not to be compressed below what an index row may hold."""

HOSTILE = {
    "NUL": "a\0b",
    "a lone surrogate": "a\udcffb",
    "a surrogate pair in halves": "\ud83d\ude00",
    "control characters": "a\x1b[2J\r\n\x7f\x85\u2028b",
    "bidi overrides": "\u202egnp.exe",
    "beyond the basic plane": "😀",
    "a quote": "'; DROP TABLE cases; --",
    "a format": "%s %(x)s {0} :name ?",
    "100 KB": LONG,
    "nothing": "",
}


def make_hostile(text: str) -> Any:
    """Return a finding with `text` wherever a stranger's text can come to stand."""
    finding = bounce("a")
    report, returned = finding.report, finding.report.returned
    assert returned is not None
    facts = RecipientFacts(
        final_recipient=f"{text}@{text}",
        original_recipient=f"{text}@kunde.example",
        action=report.recipients[0].action,
        status=text,
        remote_mta=text,
        diagnostic_code=text,
        replies=(Reply(text, where=text),),
    )
    return replace(
        finding,
        report=replace(
            report,
            recipients=(facts,),
            reporting_mta=text,
            queue_id=text,
            envelope_id=text,
            message_id=text,
            subject=text,
            returned=replace(
                returned,
                from_address=f"{text}@{text}",
                message_id=text,
                subject=text,
                reference=text,
                language=text,
            ),
        ),
        reference=text,
        why=text,
        detail=text,
    )


@pytest.mark.parametrize("verdict", [USER_UNKNOWN, SPF])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_counted_told_or_ignored_but_never_an_error(
    office: Office, name: str, verdict: Verdict
) -> None:
    finding = replace(make_hostile(HOSTILE[name]), verdicts=(verdict,))
    office.receive(finding, bounce("innocent", at=START))
    office.receive(finding)
    office.move(15 * MINUTE)
    (notice,) = office.send_due()
    assert RECIPIENT in {entry.subject for entry in notice.entries}
    lines = office.ledger.read(lambda c: queries.list_reports(c, report=finding.arrival.report))
    assert lines[0]["detail"] == clean_text(HOSTILE[name])
    assert lines[0]["recipients"][0]["diagnostic_code"] == clean_text(HOSTILE[name])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_envelope_is_stored(office: Office, name: str) -> None:
    text = HOSTILE[name]
    arrival = NewReport(
        "00000000000000ff", START, text.encode("utf-8", "replace"), text, text, text, text
    )
    office.ledger.write(lambda c: reports.append(c, [arrival]))
    (line,) = office.ledger.read(queries.list_reports)
    assert line["envelope_recipient"] == clean_text(text)


def test_two_texts_that_are_stored_alike_are_one_case(office: Office) -> None:
    for send, odd in (("a", "m\0x@kunde.example"), ("b", "m\ufffdx@kunde.example")):
        office.receive(bounce(send, odd))
    assert [(case["subject"], case["strikes"]) for case in office.list_cases()] == [
        ("m\ufffdx@kunde.example", 2)
    ]


def test_a_long_message_id_still_tells_one_send_from_another(office: Office) -> None:
    for send in (LONG + "1", LONG + "2", LONG + "1"):
        office.receive(bounce(send, at=START))
    assert office.find_case()["strikes"] == 2


def test_a_domain_too_long_to_be_one_is_nobodys_sender_domain(office: Office) -> None:
    finding = bounce("a", verdict=SPF)
    assert finding.report.returned is not None
    returned = replace(finding.report.returned, from_address=f"x@{LONG}.bau.example")
    office.receive(replace(finding, report=replace(finding.report, returned=returned)))
    assert [case["subject"] for case in office.list_cases()] == ["bau.example"]


def test_an_author_too_long_to_be_one_is_not_told(office: Office) -> None:
    office.receive(bounce("a", author=f"{LONG}@bau.example"))
    assert office.list_cases() == []


def test_times_come_back_aware_and_in_utc(office: Office) -> None:
    berlin = timezone(timedelta(hours=1))
    finding = bounce("a", verdict=CONTENT, at=START.astimezone(berlin))
    office.receive(finding)
    case = office.find_case()
    assert (case["last_strike_at"], case["last_strike_at"].tzinfo) == (START, UTC)


def test_a_naive_time_never_reaches_the_ledger(office: Office) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of the test
    arrival = NewReport("00000000000000ff", naive, b"", f"bounces@{AUTHOR}", "mailbox")
    with pytest.raises(StatementError, match="naive"):
        office.ledger.write(lambda c: reports.append(c, [arrival]))
