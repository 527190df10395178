"""What a case becomes whose domain DNS shows to be in order, and what its author hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from bounced.diagnosis import Diagnosis, Fix, write_diagnosis
from bounced.ledger import authors, diagnoses, entries, rounds, schema
from bounced.ledger.policy import find_case_id
from bounced.ledger.records import ClaimedNotice, MendedDomain, NoticeState
from bounced.ledger.reports import Finding
from bounced.model import Category, Reason, TokenType, Verdict
from tests.ledger.office import (
    AUTHOR,
    DAY,
    EXPIRED,
    HOUR,
    MINUTE,
    SPF,
    START,
    Office,
    bounce,
)

DOMAIN = "bau.example"
CASE = find_case_id(AUTHOR, DOMAIN)
DMARC = Verdict(Category.AUTH_FAILURE, Reason.DMARC)
QUIET = 180 * DAY


def diagnosis(fix: Fix, at: datetime) -> Diagnosis:
    return Diagnosis(DOMAIN, DOMAIN, at, None, fix, freemail=False)


def read_case(office: Office) -> Any:
    query = select(schema.cases).where(schema.cases.c.case == CASE)
    return office.ledger.read(lambda c: c.execute(query).one())


def mend(office: Office) -> Any:
    """Let DNS show now that the domain is in order, an hour ago when it returns."""
    row = office.ledger.write(
        lambda c: rounds.mend(
            c,
            CASE,
            office.now,
            last_strike_at=read_case(office).last_strike_at,
            diagnosis=diagnosis(Fix.NONE, office.now),
            settings=office.settings,
            new_id=office.new_id,
        )
    )
    office.move(HOUR)
    return row


def look(office: Office) -> Diagnosis:
    """Write down what DNS says now of the domain that is refused."""
    said = diagnosis(Fix.PUBLISH_SPF, office.now)
    kept = {"diagnosis": write_diagnosis(said), "checked_at": office.now, "advised_at": office.now}
    refused = update(schema.cases).where(schema.cases.c.case == CASE)
    office.ledger.write(lambda c: c.execute(refused.values(kept)))
    return said


def tell(office: Office) -> ClaimedNotice:
    """Let the window pass, send the one notice, a minute ago when it returns."""
    office.move(15 * MINUTE)
    (sent,) = office.send_due()
    office.move(MINUTE)
    return sent


def refuse_sent(
    office: Office,
    arrived_at: datetime | None = None,
    sent_at: datetime | None = None,
    token_day: int | None = None,
    verdict: Verdict = SPF,
) -> Finding:
    """Return a refusal that comes in now of a mail that was sent at these times."""
    found = bounce(f"late {arrived_at} {sent_at}", verdict=verdict, at=office.now)
    assert found.report.returned is not None
    returned = replace(found.report.returned, sent_at=sent_at)
    return replace(
        found,
        arrival=replace(
            found.arrival,
            token_type=TokenType.SEND if token_day is not None else None,
            token_id=f"{token_day:016x}" if token_day is not None else None,
            token_day=token_day,
        ),
        report=replace(
            found.report, arrived_at=arrived_at, returned=returned, dated_at=office.now
        ),
    )


def test_a_domain_that_is_mended_every_day_brings_no_notices_without_end(office: Office) -> None:
    told = []
    for day in range(180):
        office.fail(f"a{day}", verdict=SPF)
        told += [entry.number for sent in office.send_due() for entry in sent.entries]
        office.move(HOUR)
        told += [entry.number for sent in office.send_due() for entry in sent.entries]
        mend(office)
        assert read_case(office).state == "closed"
        office.move(22 * HOUR)
    assert told == [1, 1, 2, 3]


def test_after_a_long_time_a_mended_domain_has_three_new_notices_again(office: Office) -> None:
    office.fail("a", verdict=SPF)
    tell(office)
    first = mend(office)
    office.fail("b", verdict=SPF)
    office.move(8 * DAY)
    tell(office)
    office.move(QUIET - 9 * DAY)
    office.fail("c", verdict=SPF)
    tell(office)
    kept = mend(office)
    assert (first.round, kept.round) == (2, 2)
    assert (read_case(office).notices, read_case(office).reset_at) == (2, START + 16 * MINUTE)
    office.move(DAY)
    office.fail("d", verdict=SPF)
    office.move(7 * DAY)
    again = mend(office)
    assert (again.round, read_case(office).notices, read_case(office).reset_at) == (
        3,
        0,
        office.now - HOUR,
    )


def test_a_used_up_case_that_is_mended_again_stays_used_up(office: Office) -> None:
    office.configure(max_notices=1)
    office.fail("a", verdict=SPF)
    mend(office)
    office.fail("b", verdict=SPF)
    tell(office)
    assert mend(office).round == 2
    office.fail("c", verdict=SPF)
    office.move(8 * DAY)
    assert office.send_due() == []
    assert (read_case(office).state, read_case(office).strikes) == ("exhausted", 2)


DAY_OF_START = (START - datetime(1970, 1, 1, tzinfo=START.tzinfo)).days
"""The case is mended at START + 16 min, at 8:16 of its day."""


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"arrived_at": START + 16 * MINUTE}, id="reached the relay"),
        pytest.param({"sent_at": START}, id="dated"),
        pytest.param({"arrived_at": START, "sent_at": START + HOUR}, id="reached, dated later"),
        pytest.param({"token_day": DAY_OF_START - 1, "arrived_at": START + HOUR}, id="day before"),
        pytest.param({"token_day": DAY_OF_START}, id="same day"),
        pytest.param({"token_day": DAY_OF_START, "sent_at": START}, id="same day, before"),
        pytest.param({"token_day": DAY_OF_START, "sent_at": START + DAY}, id="same day, or not"),
    ],
)
def test_the_late_bounce_of_a_mail_sent_before_its_domain_was_mended_changes_nothing(
    office: Office, times: dict[str, Any]
) -> None:
    office.fail("a", verdict=SPF)
    tell(office)
    mend(office)
    office.move(2 * DAY)
    office.receive(refuse_sent(office, **times))
    office.move(30 * DAY)
    assert office.send_due() == []
    case = read_case(office)
    assert (case.state, case.strikes, case.due_at) == ("closed", 1, None)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(
            {"arrived_at": START + 17 * MINUTE, "sent_at": START}, id="reached the relay"
        ),
        pytest.param({"sent_at": START + 17 * MINUTE}, id="dated"),
        pytest.param({"token_day": DAY_OF_START + 1, "sent_at": START}, id="day after"),
        pytest.param({"token_day": DAY_OF_START, "sent_at": START + HOUR}, id="same day, after"),
        pytest.param({}, id="unknown"),
    ],
)
def test_the_bounce_of_a_mail_sent_after_its_domain_was_mended_opens_the_case(
    office: Office, times: dict[str, Any]
) -> None:
    office.fail("a", verdict=SPF)
    tell(office)
    mend(office)
    office.move(10 * DAY)
    office.receive(refuse_sent(office, **times))
    assert read_case(office).state == "open"
    assert [entry.number for entry in tell(office).entries] == [1]


def test_a_late_bounce_is_told_of_along_with_a_later_one(office: Office) -> None:
    office.fail("a", verdict=SPF)
    tell(office)
    mend(office)
    office.receive(refuse_sent(office, START))
    office.move(8 * DAY)
    office.fail("b", verdict=SPF)
    (entry,) = tell(office).entries
    assert (entry.number, entry.strikes_total, len(entry.strikes)) == (1, 2, 2)


def test_the_late_bounce_of_a_case_that_somebody_closed_opens_it(office: Office) -> None:
    office.fail("a", verdict=SPF)
    office.close(CASE)
    office.move(MINUTE)
    office.receive(refuse_sent(office, START))
    assert read_case(office).state == "open"


def test_a_failure_that_turns_out_to_be_of_a_mended_domain_leaves_it_closed(
    office: Office,
) -> None:
    office.fail("a", verdict=SPF)
    tell(office)
    mend(office)
    office.receive(refuse_sent(office, START, verdict=EXPIRED))
    office.move(HOUR)
    office.receive(refuse_sent(office, START))
    assert [case["subject"] for case in office.list_cases()] == [DOMAIN]
    case = read_case(office)
    assert (case.state, case.strikes, case.due_at) == ("closed", 1, None)


def test_a_late_bounce_does_not_unsay_that_the_domain_is_in_order(office: Office) -> None:
    office.fail("a", verdict=SPF)
    tell(office)
    mend(office)
    mended_at = office.now - HOUR
    office.receive(refuse_sent(office, START))
    office.move(8 * DAY)
    office.fail("b")
    assert tell(office).mended == (MendedDomain(DOMAIN, mended_at),)


def test_what_nobody_was_told_of_is_not_said_to_be_in_order(office: Office) -> None:
    office.fail("a", verdict=SPF)
    mend(office)
    office.move(8 * DAY)
    office.fail("b")
    assert tell(office).mended == ()


def test_what_was_told_of_in_vain_is_not_said_to_be_in_order(office: Office) -> None:
    office.fail("a", verdict=SPF)
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    office.start_data(claimed)
    office.settle(claimed, NoticeState.FAILED)
    mend(office)
    office.move(8 * DAY)
    office.fail("b")
    assert tell(office).mended == ()


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="no object"),
        pytest.param('{"domain":"bau.example"}', id="half of it"),
        pytest.param('"fix":"publish-spf"', id="newer"),
    ],
)
def test_a_diagnosis_that_cannot_be_read_stops_nobodys_notices(office: Office, kept: str) -> None:
    office.fail("a", verdict=SPF)
    said = write_diagnosis(look(office))
    spoilt = said.replace(kept, '"fix":"of-a-newer-version"') if "fix" in kept else kept
    assert spoilt != said
    values = {"diagnosis": spoilt}
    office.ledger.write(lambda c: c.execute(update(schema.cases).values(values)))
    office.move(MINUTE)
    office.fail("b", author="ben@other.example")
    office.move(HOUR)
    sent = office.send_due()
    assert {(notice.author, notice.entries[0].diagnosis) for notice in sent} == {
        (AUTHOR, None),
        ("ben@other.example", None),
    }
    of_domain = next(notice.notice for notice in sent if notice.author == AUTHOR)
    page = office.ledger.read(lambda c: authors.read_page(c, of_domain, CASE))
    assert page is not None
    assert page.case is not None
    assert page.case.diagnosis is None
    assert office.ledger.read(lambda c: diagnoses.find_diagnosis(c, CASE)) is None


def test_what_dns_said_of_a_failure_is_not_told_of_it_for_another_reason(office: Office) -> None:
    found = bounce("a", verdict=SPF)
    office.receive(found)
    office.move(MINUTE)
    said = look(office)
    office.receive(replace(found, verdicts=(SPF,)))
    assert read_case(office).checked_at == office.now
    office.receive(replace(found, verdicts=(DMARC,)))
    case = read_case(office)
    assert (case.reason, case.advised_at, case.checked_at) == ("dmarc", None, None)
    sent = tell(office)
    assert [(entry.reason, entry.diagnosis) for entry in sent.entries] == [(Reason.DMARC, None)]
    assert office.ledger.read(lambda c: diagnoses.find_diagnosis(c, CASE)) == said


def test_what_a_notice_told_of_a_domain_stays_when_the_failure_is_judged_anew(
    office: Office,
) -> None:
    found = bounce("a", verdict=SPF)
    office.receive(found)
    office.move(MINUTE)
    said = look(office)
    sent = tell(office)
    office.receive(replace(found, verdicts=(DMARC,)))
    office.receive(replace(found, verdicts=(EXPIRED,)))
    entry = office.ledger.read(lambda c: entries.read_entry(c, sent.notice, CASE))
    assert entry is not None
    assert (entry.reason, entry.diagnosis) == (Reason.SPF, said)


def test_a_failure_that_a_domain_is_found_to_be_refused_for_is_looked_into(
    office: Office,
) -> None:
    found = bounce("b", verdict=EXPIRED)
    office.receive(found)
    office.move(MINUTE)
    office.fail("a", verdict=SPF)
    look(office)
    office.receive(replace(found, verdicts=(SPF,)))
    assert (read_case(office).strikes, read_case(office).checked_at) == (2, None)
