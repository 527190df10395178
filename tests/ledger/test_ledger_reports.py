"""Stored reports: claims, leases, quarantine; and registered sends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bounced.ledger import quarantine, queries, reports, sends
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport
from bounced.ledger.reports import StoredReport
from bounced.ledger.schema import report_contents
from bounced.ledger.schema import reports as stored_reports
from bounced.model import Send, TokenType
from tests.ledger.office import HOUR, LEASE, MINUTE, START, Office, bounce

PLENTY = 2**30


def make_report(number: int, raw: bytes = b"raw", at: datetime = START) -> NewReport:
    return NewReport(
        report=f"{number:016x}",
        received_at=at,
        raw=raw,
        envelope_recipient="bounces@bounce.example.com",
        door="mailbox",
    )


def store(ledger: Ledger, *arrivals: NewReport) -> None:
    ledger.write(lambda c: reports.append(c, arrivals))


def claim(
    ledger: Ledger, now: datetime = START, limit: int = 20, max_bytes: int = PLENTY
) -> list[StoredReport]:
    return ledger.write(lambda c: reports.claim(c, now, LEASE, limit, max_bytes))


def count(ledger: Ledger) -> dict[str, int]:
    """Return how many reports are in each state that any is in."""
    counts = ledger.read(queries.count_by_state)["reports"]
    return {state: number for state, number in counts.items() if number}


def list_ids(claimed: list[StoredReport]) -> list[int]:
    return [int(stored.arrival.report, 16) for stored in claimed]


def test_a_report_comes_out_as_it_went_in(ledger: Ledger) -> None:
    arrival = NewReport(
        report="00000000000000ff",
        received_at=START,
        raw=bytes(range(256)),
        envelope_recipient="satoken@bounce.example.com",
        door="token",
        client="2001:db8::1",
        mail_from="",
        token_type=TokenType.SEND,
        token_id="00000000000000aa",
        token_day=20_000,
        vouched=True,
    )
    store(ledger, arrival)
    assert claim(ledger) == [StoredReport(arrival, attempts=1)]


def test_an_unknown_sender_and_the_null_sender_are_told_apart(ledger: Ledger) -> None:
    store(ledger, make_report(1), replace(make_report(2), mail_from=""))
    assert [stored.arrival.mail_from for stored in claim(ledger)] == [None, ""]


def test_the_oldest_are_claimed_first_and_for_their_lease_only_once(ledger: Ledger) -> None:
    store(ledger, make_report(3), make_report(2), make_report(1, at=START + MINUTE))
    assert list_ids(claim(ledger, limit=2)) == [2, 3]
    assert list_ids(claim(ledger, limit=2)) == [1]
    assert claim(ledger) == []
    again = claim(ledger, START + LEASE)
    assert [(stored.attempts, stored.arrival.report[-1]) for stored in again] == [
        (2, "2"),
        (2, "3"),
        (2, "1"),
    ]


@pytest.mark.parametrize(
    ("max_bytes", "expected"), [(1, [1]), (10, [1]), (20, [1, 2]), (29, [1, 2]), (30, [1, 2, 3])]
)
def test_a_claim_stops_at_its_bytes_but_takes_one_at_least(
    ledger: Ledger, max_bytes: int, expected: list[int]
) -> None:
    store(ledger, *(make_report(number, b"0123456789") for number in (1, 2, 3)))
    assert list_ids(claim(ledger, max_bytes=max_bytes)) == expected


def test_a_restart_gives_claims_back(ledger: Ledger) -> None:
    store(ledger, make_report(1), make_report(2))
    claim(ledger)
    assert ledger.write(reports.release_claims) == 2
    assert ledger.write(reports.release_claims) == 0
    assert list_ids(claim(ledger)) == [1, 2]


def test_a_postponed_report_waits(ledger: Ledger) -> None:
    store(ledger, make_report(1), make_report(2))
    claim(ledger)
    ledger.write(lambda c: reports.postpone(c, [make_report(1).report], START + HOUR))
    assert list_ids(claim(ledger, START + LEASE)) == [2]
    assert list_ids(claim(ledger, START + HOUR)) == [1, 2]


def test_a_processed_report_is_not_claimed_again(office: Office) -> None:
    office.receive(bounce("a"))
    assert claim(office.ledger) == []
    assert count(office.ledger) == {"processed": 1}


def test_quarantine_keeps_the_message_until_it_is_released_or_dropped(ledger: Ledger) -> None:
    store(ledger, make_report(1), make_report(2), make_report(3))
    for stored in claim(ledger, limit=2):
        report = stored.arrival.report
        ledger.write(
            lambda c, r=report: reports.quarantine(c, r, "worker-killed", "signal 9", START)  # type: ignore[misc] # a lambda has no annotations
        )
    first, second, third = (make_report(number).report for number in (1, 2, 3))
    assert count(ledger) == {"quarantined": 2, "stored": 1}
    assert list_ids(claim(ledger)) == [3]
    assert ledger.write(lambda c: quarantine.release(c, first)) is True
    assert ledger.write(lambda c: quarantine.release(c, first)) is False
    assert ledger.write(lambda c: quarantine.drop(c, second)) is True
    assert ledger.write(lambda c: quarantine.drop(c, third)) is False, "only from quarantine"
    (released,) = claim(ledger)
    assert (released.arrival.vouched, released.arrival.raw, released.attempts) == (True, b"raw", 1)
    assert len(ledger.read(lambda c: c.execute(select(report_contents)).all())) == 2


def test_a_late_processor_does_not_put_away_what_another_one_has_counted(office: Office) -> None:
    finding = bounce("a")
    office.receive(finding)
    report = finding.arrival.report
    late = office.ledger.write(lambda c: reports.quarantine(c, report, "deadline", None, START))
    office.ledger.write(lambda c: reports.postpone(c, [report], START + HOUR))
    assert late is False
    assert count(office.ledger) == {"processed": 1}
    (row,) = office.ledger.read(lambda c: c.execute(select(stored_reports)).all())
    assert (row.why, row.claimed_until) == (None, None)


def test_one_report_that_cannot_be_stored_stores_none_of_its_group(ledger: Ledger) -> None:
    store(ledger, make_report(1))
    with pytest.raises(IntegrityError):
        store(ledger, make_report(2), make_report(1))
    assert count(ledger) == {"stored": 1}


SEND = Send(
    send="00000000000000aa",
    author="anna@bau.example",
    recipients=("Max@kunde.example", "eva@kunde.example"),
    registered_at=START,
    reference="2026-14",
    title="Lindenhof",
    url="https://app.example/14",
    language="de",
)


def test_a_registered_send_is_found_as_it_was(ledger: Ledger) -> None:
    plain = Send("00000000000000bb", "ben@bau.example", ("ida@kunde.example",), START)
    for send in (SEND, plain):
        ledger.write(lambda c, s=send: sends.register(c, s))  # type: ignore[misc] # a lambda has no annotations
    ids = [SEND.send, plain.send, "00000000000000cc"]
    assert ledger.read(lambda c: sends.find(c, ids)) == {SEND.send: SEND, plain.send: plain}
    assert ledger.read(lambda c: sends.find(c, [])) == {}


def test_a_recipient_named_twice_counts_once_in_the_first_form(ledger: Ledger) -> None:
    twice = replace(
        SEND, recipients=("Max@kunde.example", "eva@kunde.example", "max@KUNDE.example")
    )
    ledger.write(lambda c: sends.register(c, twice))
    found: dict[str, Any] = ledger.read(lambda c: sends.find(c, [SEND.send]))
    assert found[SEND.send].recipients == ("Max@kunde.example", "eva@kunde.example")
