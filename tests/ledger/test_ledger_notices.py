"""The states of a notice, and what a crash leaves of them (DESIGN §5.3)."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from bounced.ledger import entries, notices, sends, settling
from bounced.ledger.records import ClaimedNotice, EntryStrike, NoticeState
from bounced.ledger.schema import cases
from bounced.ledger.settling import Ending, Settled, SlotTaken
from bounced.model import Category, Reason, Send
from tests.ledger.office import (
    AUTHOR,
    DAY,
    HOUR,
    LEASE,
    MINUTE,
    RECIPIENT,
    SPF,
    START,
    Office,
    bounce,
)


@pytest.fixture
def claimed(office: Office) -> ClaimedNotice:
    """Return a notice that a daemon has just claimed."""
    office.fail("a")
    office.move(15 * MINUTE)
    found = office.claim()
    assert found is not None
    return found


def read_states(office: Office) -> list[tuple[str, int]]:
    return [(notice["state"], notice["attempts"]) for notice in office.list_notices()]


def count_slots(office: Office) -> int:
    return len(office.dump("slots")["slots"])


def test_a_claimed_notice_carries_all_that_its_author_is_told(claimed: ClaimedNotice) -> None:
    (entry,) = claimed.entries
    assert (claimed.author, claimed.attempts, claimed.language) == (AUTHOR, 1, "de")
    assert claimed.message_id == f"{claimed.notice}@bounce.example.com"
    assert claimed.claimed_at == START + 15 * MINUTE
    assert (entry.subject, entry.category, entry.reason) == (
        RECIPIENT,
        Category.BAD_ADDRESS,
        Reason.USER_UNKNOWN,
    )
    assert (entry.number, entry.max_notices, entry.strikes_total, entry.last) == (1, 3, 1, False)
    assert entry.strikes == (
        EntryStrike(
            recipient=RECIPIENT,
            failed_at=START,
            title="Protokoll a",
            title_from_subject=True,
            sent_at=START - MINUTE,
            reference="reference of a",
            url=None,
            reply="smtp; 550 5.1.1 no such user",
            remote_mta="mx.kunde.example",
        ),
    )


def test_a_notice_can_be_read_again_as_it_was_claimed_but_not_before(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.settle(claimed)
    office.fail("b")
    (open_one,) = office.list_notices(state="open")
    read = [
        office.ledger.read(lambda c, n=notice: entries.read_notice(c, n))  # type: ignore[misc] # a lambda has no annotations
        for notice in (claimed.notice, open_one["notice"], "0123456789abcdef")
    ]
    assert read == [claimed, None, None]


def test_a_registered_send_tells_title_reference_link_and_language(office: Office) -> None:
    send = Send(
        send="00000000000000aa",
        author=AUTHOR,
        recipients=(RECIPIENT,),
        registered_at=START,
        reference="2026-14",
        title="Lindenhof 14",
        url="https://app.example/14",
        language="en",
    )
    office.ledger.write(lambda c: sends.register(c, send))
    office.receive(bounce("a", registered=send))
    office.move(15 * MINUTE)
    (notice,) = office.send_due()
    (strike,) = notice.entries[0].strikes
    assert notice.language == "en"
    assert (strike.title, strike.reference, strike.url) == (
        "Lindenhof 14",
        "2026-14",
        "https://app.example/14",
    )


def test_of_two_claims_of_one_notice_in_one_commit_the_lost_one_sends_nothing(
    office: Office, claimed: ClaimedNotice
) -> None:
    """As where an attempt hangs until its lease runs out, and the next one overtakes it."""
    office.move(LEASE)
    again = office.claim()
    assert again is not None
    marks = [(each.notice, each.claim) for each in (claimed, again)]
    assert office.ledger.write(lambda c: notices.start_data(c, marks)) == [False, True]
    endings = [
        Ending(notice, mark, NoticeState.SENT, "250 ok", office.now) for notice, mark in marks
    ]
    settled = office.ledger.write(
        lambda c: settling.settle(c, endings, settings=office.settings, new_id=office.new_id)
    )
    assert [each is not None for each in settled] == [False, True]


def test_the_way_to_sent(office: Office, claimed: ClaimedNotice) -> None:
    assert read_states(office) == [("claimed", 1)]
    assert office.start_data(claimed)
    assert read_states(office) == [("data_started", 1)]
    settled = office.settle(claimed)
    case = office.find_case()["case"]
    assert settled == Settled(
        claimed.notice,
        AUTHOR,
        claimed.message_id,
        NoticeState.SENT,
        "250 ok",
        slots=(SlotTaken(case, RECIPIENT, 1),),
        exhausted=(),
        opened=(),
    )
    assert read_states(office) == [("sent", 1)]


def test_settling_opens_the_digest_of_what_came_meanwhile(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.fail("b")
    settled = office.settle(claimed)
    assert settled is not None
    assert [opened.due_at for opened in settled.opened] == [START + 15 * MINUTE + DAY]


def test_a_crash_before_data_sends_the_same_notice_again_and_takes_no_slot(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.move(LEASE)
    again = office.claim()
    assert again is not None
    assert (again.notice, again.message_id, again.claimed_at, again.entries) == (
        claimed.notice,
        claimed.message_id,
        claimed.claimed_at,
        claimed.entries,
    )
    assert (again.attempts, again.claim == claimed.claim) == (2, False)
    assert (count_slots(office), office.find_case()["notices"]) == (1, 1)


def test_a_claim_holds_for_its_lease(office: Office, claimed: ClaimedNotice) -> None:
    office.move(LEASE - MINUTE)
    assert office.claim() is None


def test_a_crash_after_data_is_an_unknown_outcome_once_and_no_second_mail(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.start_data(claimed)
    office.move(LEASE - MINUTE)
    assert office.settle_lost() == []
    office.move(MINUTE)
    assert [lost.state for lost in office.settle_lost()] == [NoticeState.OUTCOME_UNKNOWN]
    assert office.settle_lost() == []
    office.move(30 * DAY)
    assert office.send_due() == []
    assert office.find_case()["notices"] == 1


def test_an_unknown_outcome_counts_and_its_interval_runs(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.start_data(claimed)
    office.move(LEASE)
    office.settle_lost()
    office.fail("b")
    office.move(DAY - MINUTE)
    assert office.send_due() == []
    office.move(MINUTE)
    assert office.send_due()[0].entries[0].number == 2


def test_an_outcome_that_stays_unknown_is_settled_once(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.start_data(claimed)
    office.move(LEASE)
    office.settle_lost()
    settled_at = office.find_last_notice_at()
    office.move(HOUR)
    assert office.settle(claimed, NoticeState.OUTCOME_UNKNOWN) is None
    assert office.find_last_notice_at() == settled_at


def test_the_owner_may_settle_late_what_was_called_unknown(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.start_data(claimed)
    office.move(LEASE)
    office.settle_lost()
    settled = office.settle(claimed)
    assert settled is not None
    assert settled.state is NoticeState.SENT
    assert read_states(office) == [("sent", 1)]
    assert (count_slots(office), office.find_case()["notices"]) == (1, 1)
    assert office.settle(claimed) is None, "settled is settled"
    assert office.settle(claimed, NoticeState.FAILED) is None


def test_a_late_settlement_leaves_the_next_notice_of_the_case_alone(office: Office) -> None:
    office.configure(min_interval=0 * MINUTE)
    office.fail("a")
    office.move(15 * MINUTE)
    first = office.claim()
    assert first is not None
    office.start_data(first)
    office.move(LEASE)
    office.settle_lost()
    office.fail("b")
    office.move(15 * MINUTE)
    second = office.claim()
    assert second is not None
    office.settle(first)
    assert office.claim() is None, "the second is still under way"
    assert office.settle(second) is not None


def test_a_daemon_that_lost_its_claim_can_do_nothing_more(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.move(LEASE)
    again = office.claim()
    assert again is not None
    assert office.start_data(claimed) is False
    assert office.defer(claimed, office.now + HOUR) is False
    assert office.settle(claimed) is None
    assert read_states(office) == [("claimed", 2)]
    assert office.start_data(again)
    assert office.start_data(again) is False, "DATA begins once"


def test_a_deferred_notice_keeps_its_slot_and_waits_for_its_time(
    office: Office, claimed: ClaimedNotice
) -> None:
    assert office.defer(claimed, office.now + HOUR)
    office.move(HOUR - MINUTE)
    assert office.claim() is None
    office.move(MINUTE)
    again = office.claim()
    assert again is not None
    assert (again.notice, again.attempts, count_slots(office)) == (claimed.notice, 2, 1)


def test_a_refusal_after_data_may_be_tried_again(office: Office, claimed: ClaimedNotice) -> None:
    office.start_data(claimed)
    assert office.defer(claimed, office.now + MINUTE)
    office.move(MINUTE)
    again = office.claim()
    assert again is not None
    assert office.start_data(again)


def test_a_restart_takes_up_what_the_only_daemon_was_doing(
    office: Office, claimed: ClaimedNotice
) -> None:
    assert office.ledger.write(lambda c: notices.expire_claims(c, office.now)) == 1
    again = office.claim()
    assert again is not None
    office.start_data(again)
    assert office.ledger.write(lambda c: notices.expire_claims(c, office.now)) == 1
    assert [lost.notice for lost in office.settle_lost()] == [claimed.notice]


def test_a_restart_leaves_a_deferred_notice_its_time(
    office: Office, claimed: ClaimedNotice
) -> None:
    office.defer(claimed, office.now + HOUR)
    assert office.ledger.write(lambda c: notices.expire_claims(c, office.now)) == 0
    assert office.claim() is None


@pytest.mark.parametrize(
    "wrong", [{"notices": 3}, {"state": "closed"}, {"unsettled_notice": "0123456789abcdef"}]
)
def test_the_guard_of_a_slot_holds_whatever_the_due_time_says(
    office: Office, wrong: dict[str, object]
) -> None:
    office.fail("a")
    office.ledger.write(lambda c: c.execute(update(cases).values(due_at=START, **wrong)))
    office.move(DAY)
    assert office.claim() is None
    assert count_slots(office) == 0


def test_the_notice_whose_time_came_first_goes_first(office: Office) -> None:
    office.fail("a", author="ben@bau.example")
    office.move(MINUTE)
    office.fail("a")
    office.move(HOUR)
    assert [notice.author for notice in office.send_due()] == ["ben@bau.example", AUTHOR]


def test_entries_are_listed_by_category_then_subject(office: Office) -> None:
    office.receive(
        bounce("a", "max@kunde.example"),
        bounce("a", "eva@kunde.example"),
        bounce("b", "ida@kunde.example", verdict=SPF),
    )
    office.move(15 * MINUTE)
    (notice,) = office.send_due()
    assert [(entry.category, entry.subject) for entry in notice.entries] == [
        ("auth-failure", "bau.example"),
        ("bad-address", "eva@kunde.example"),
        ("bad-address", "max@kunde.example"),
    ]
