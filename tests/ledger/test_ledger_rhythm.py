"""When authors are told: DESIGN §5, *Rhythm* and *After three*, with a moved clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import NoticeState
from bounced.model import Category
from tests.ledger.office import (
    AUTHOR,
    CONTENT,
    DAY,
    EXPIRED,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    SPF,
    START,
    Office,
    list_subjects,
)


def test_a_notice_is_due_when_the_window_ends_and_not_before(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE - timedelta(seconds=1))
    assert office.send_due() == []
    office.move(timedelta(seconds=1))
    assert list_subjects(office.send_due()) == [[(RECIPIENT, 1)]]


def test_strikes_within_the_window_join_the_notice_and_do_not_move_it(office: Office) -> None:
    for minute, send in enumerate("abcdef"):
        office.now = START + 2 * minute * MINUTE
        office.fail(send)
    office.now = START + 15 * MINUTE
    (notice,) = office.send_due()
    assert [strike.title for strike in notice.entries[0].strikes] == [
        f"Protokoll {send}" for send in "fedcba"
    ]


def test_one_digest_lists_every_case_of_its_author_each_with_its_own_number(
    office: Office,
) -> None:
    office.fail("a", "eva@kunde.example")
    office.move(15 * MINUTE)
    office.send_due()
    office.move(DAY)
    office.fail("b", "eva@kunde.example")
    office.fail("b", "max@kunde.example", verdict=MAILBOX_FULL)
    office.fail("b", "max@kunde.example", author="ben@bau.example")
    office.move(15 * MINUTE)
    sent = office.send_due()
    assert {notice.author: list_subjects([notice])[0] for notice in sent} == {
        AUTHOR: [("eva@kunde.example", 2), ("max@kunde.example", 1)],
        "ben@bau.example": [("max@kunde.example", 1)],
    }


def test_a_case_rests_for_its_interval_counted_from_settlement(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    office.move(5 * MINUTE)
    office.settle(claimed)
    office.fail("b")
    office.move(DAY - timedelta(seconds=1))
    assert office.send_due() == []
    office.move(timedelta(seconds=1))
    assert list_subjects(office.send_due()) == [[(RECIPIENT, 2)]]


def test_a_strike_late_in_the_interval_waits_for_its_window(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    office.send_due()
    office.move(DAY - MINUTE)
    office.fail("b")
    office.move(14 * MINUTE)
    assert office.send_due() == []
    office.move(MINUTE)
    assert list_subjects(office.send_due()) == [[(RECIPIENT, 2)]]


def test_an_auth_failure_rests_for_seven_days(office: Office) -> None:
    office.fail("a", verdict=SPF)
    office.move(15 * MINUTE)
    assert list_subjects(office.send_due()) == [[("bau.example", 1)]]
    office.fail("b", "eva@kunde.example", verdict=SPF)
    office.move(7 * DAY - timedelta(seconds=1))
    assert office.send_due() == []
    office.move(timedelta(seconds=1))
    assert list_subjects(office.send_due()) == [[("bau.example", 2)]]


def test_a_digest_takes_along_every_entry_that_its_interval_does_not_hold_back(
    office: Office,
) -> None:
    office.fail("a", "told@kunde.example")
    office.move(15 * MINUTE)
    office.send_due()
    office.move(HOUR)
    office.fail("b", "told@kunde.example")
    office.fail("b", "due@kunde.example")
    office.move(14 * MINUTE)
    office.fail("c", "fresh@kunde.example")
    office.move(MINUTE)
    assert list_subjects(office.send_due()) == [
        [("due@kunde.example", 1), ("fresh@kunde.example", 1)]
    ]
    assert office.list_notices(state="open")[0]["due_at"] == START + 15 * MINUTE + DAY


def test_nothing_is_due_without_a_strike_newer_than_the_last_notice(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    office.send_due()
    for _ in range(40):
        office.move(DAY)
        assert office.send_due() == []


def test_a_strike_while_a_notice_is_under_way_waits_for_the_next(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    first = office.claim()
    assert first is not None
    office.fail("b")
    office.move(15 * MINUTE)
    again = office.claim()
    assert again is not None
    assert again.notice == first.notice, "whose lease ran out"
    assert office.claim() is None, "never two of one case at a time"
    office.settle(again)
    office.move(DAY)
    (second,) = office.send_due()
    assert [strike.title for strike in second.entries[0].strikes] == ["Protokoll b"]


@pytest.mark.parametrize("verdict", [EXPIRED, replace(EXPIRED, category=Category.UNKNOWN)])
def test_system_and_unknown_are_told_from_the_second_send_that_failed(
    office: Office, verdict: object
) -> None:
    office.fail("a", verdict=verdict)
    office.fail("a", verdict=verdict, report="the-same-send")
    office.move(DAY)
    assert office.send_due() == []
    office.fail("b", verdict=verdict)
    office.move(15 * MINUTE - timedelta(seconds=1))
    assert office.send_due() == []
    office.move(timedelta(seconds=1))
    (notice,) = office.send_due()
    assert len(notice.entries[0].strikes) == 2


def test_a_category_that_needs_one_strike_is_told_with_the_earlier_system_trouble(
    office: Office,
) -> None:
    office.fail("a", verdict=EXPIRED)
    office.move(HOUR)
    office.fail("b")
    office.move(15 * MINUTE)
    (notice,) = office.send_due()
    assert (notice.entries[0].category, len(notice.entries[0].strikes)) == (
        Category.BAD_ADDRESS,
        2,
    )


@pytest.mark.parametrize("max_notices", [1, 2, 3])
def test_after_the_last_notice_strikes_count_and_nothing_is_due(
    office: Office, max_notices: int
) -> None:
    office.configure(max_notices=max_notices)
    numbers = []
    for day in range(6):
        office.now = START + day * 2 * DAY
        office.fail(f"send-{day}")
        office.move(15 * MINUTE)
        numbers += [notice.entries[0].number for notice in office.send_due()]
    case = office.find_case()
    assert numbers == list(range(1, max_notices + 1))
    assert (case["state"], case["strikes"], case["notices"], case["due_at"]) == (
        "exhausted",
        6,
        max_notices,
        None,
    )
    assert office.list_notices(state="open") == []


def test_exhaustion_is_reported_once_when_the_last_notice_is_settled(office: Office) -> None:
    office.configure(max_notices=1)
    office.fail("a")
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    office.fail("b")
    assert office.find_case()["state"] == "open", "the last notice is still under way"
    settled = office.settle(claimed)
    assert settled is not None
    assert [slot.subject for slot in settled.exhausted] == [RECIPIENT]
    office.fail("c")
    assert office.find_case()["strikes"] == 3


def test_a_raised_maximum_opens_a_used_up_case_at_its_next_strike(office: Office) -> None:
    office.configure(max_notices=1)
    office.fail("a")
    office.move(15 * MINUTE)
    office.send_due()
    office.configure(max_notices=3)
    office.move(DAY)
    office.fail("b")
    office.move(15 * MINUTE)
    (notice,) = office.send_due()
    entry = notice.entries[0]
    assert (entry.number, entry.max_notices, entry.last) == (2, 3, False)


def test_a_longer_interval_set_meanwhile_puts_a_due_digest_off(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    office.send_due()
    office.fail("b")
    office.configure(min_interval=3 * DAY)
    office.move(DAY)
    assert office.send_due() == []
    assert office.list_notices(state="open")[0]["due_at"] == START + 15 * MINUTE + 3 * DAY
    office.move(2 * DAY)
    assert list_subjects(office.send_due()) == [[(RECIPIENT, 2)]]


def test_a_failed_notice_spends_its_slot_and_the_interval(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    office.settle(claimed, NoticeState.FAILED)
    office.fail("b")
    office.move(DAY)
    assert list_subjects(office.send_due()) == [[(RECIPIENT, 2)]]


def test_a_held_digest_takes_no_slot_until_it_is_released(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    ((notice, author),) = office.hold_due()
    office.move(DAY)
    office.fail("b")
    assert (author, office.send_due(), office.hold_due()) == (AUTHOR, [], [])
    assert office.find_case()["notices"] == 0
    assert office.release_held() == [notice]
    assert office.hold_due() == [], "released once, it goes"
    (sent,) = office.send_due()
    assert (sent.notice, len(sent.entries[0].strikes)) == (notice, 2)


def test_one_held_digest_can_be_released_alone(office: Office) -> None:
    office.fail("a")
    office.fail("a", author="ben@bau.example")
    office.move(15 * MINUTE)
    held = {author: notice for notice, author in office.hold_due()}
    assert office.release_held(held["ben@bau.example"]) == [held["ben@bau.example"]]
    assert [notice.author for notice in office.send_due()] == ["ben@bau.example"]
    assert office.release_held("0123456789abcdef") == []


def test_a_window_and_an_interval_of_seconds_are_kept_to_the_second(office: Office) -> None:
    second = timedelta(seconds=1)
    office.settings = PolicySettings(digest_window=second, min_interval=2 * second)
    told_at = []
    for tick in range(12):
        office.now = START + tick * second
        office.fail(f"send-{tick}")
        told_at += [tick for _ in office.send_due()]
    assert told_at == [1, 3, 5]


def test_a_spam_rejection_and_a_full_mailbox_of_one_recipient_are_one_case(
    office: Office,
) -> None:
    office.fail("a", verdict=CONTENT)
    office.move(MINUTE)
    office.fail("b", verdict=MAILBOX_FULL)
    assert [(case["category"], case["strikes"]) for case in office.list_cases()] == [
        ("mailbox-full", 2)
    ]
