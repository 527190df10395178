"""What a clock that was ahead, or leaps, does to notices."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bounced.ledger.records import ClaimedNotice, NoticeState
from tests.ledger.office import DAY, HOUR, MINUTE, START, Office

WINDOW = 15 * MINUTE


def claim_one(office: Office) -> ClaimedNotice:
    claimed = office.claim()
    assert claimed is not None
    return claimed


def claim_ahead(office: Office) -> ClaimedNotice:
    """Claim a notice by a clock that is a month ahead."""
    office.now = START + 30 * DAY
    office.fail("a")
    office.move(WINDOW)
    return claim_one(office)


@pytest.mark.parametrize("ahead", [MINUTE, 30 * DAY])
def test_a_clock_that_was_ahead_and_is_put_back_makes_no_second_notice(
    office: Office, ahead: timedelta
) -> None:
    office.now = START + ahead
    office.fail("a")
    office.move(WINDOW)
    office.send_due()
    told_at = office.now
    office.now = START
    office.fail("b", report="b" * 16)
    for _ in range(4):
        office.move(WINDOW)
        assert office.send_due() == []
    office.now = told_at + DAY - timedelta(seconds=1)
    assert office.send_due() == []
    office.move(timedelta(seconds=1))
    assert len(office.send_due()) == 1


def test_the_interval_runs_from_the_attempt_where_the_clock_is_put_back_before_settlement(
    office: Office,
) -> None:
    office.fail("a")
    office.move(WINDOW)
    claimed = claim_one(office)
    tried_at = office.now
    office.move(-2 * DAY)
    office.settle(claimed)
    assert office.find_last_notice_at() == tried_at


def test_a_clock_that_leaps_leaves_a_notice_to_one_attempt_at_a_time(office: Office) -> None:
    office.fail("a")
    office.move(WINDOW)
    claimed = claim_one(office)
    office.start_data(claimed)
    office.move(30 * DAY)
    assert office.claim() is None
    assert [lost.state for lost in office.settle_lost()] == [NoticeState.OUTCOME_UNKNOWN]
    assert office.claim() is None


@pytest.mark.parametrize("deferred", [False, True])
def test_a_claim_of_a_clock_that_was_ahead_is_taken_over(office: Office, deferred: bool) -> None:
    claimed = claim_ahead(office)
    if deferred:
        office.defer(claimed, office.now + HOUR)
    office.now = START + WINDOW
    again = claim_one(office)
    assert (again.notice, again.attempts) == (claimed.notice, 2)
    assert office.start_data(claimed) is False, "its own sender has lost it"
    assert office.start_data(again) is True


def test_data_started_by_a_clock_that_was_ahead_is_an_unknown_outcome(office: Office) -> None:
    claimed = claim_ahead(office)
    office.start_data(claimed)
    office.now = START + WINDOW
    assert office.claim() is None
    (lost,) = office.settle_lost()
    assert (lost.notice, lost.state) == (claimed.notice, NoticeState.OUTCOME_UNKNOWN)


def test_a_notice_that_waits_for_a_day_keeps_its_time(office: Office) -> None:
    office.fail("a")
    office.move(WINDOW)
    claimed = claim_one(office)
    office.defer(claimed, office.now + 25 * HOUR)
    assert office.claim() is None
    office.move(25 * HOUR)
    assert claim_one(office).notice == claimed.notice
