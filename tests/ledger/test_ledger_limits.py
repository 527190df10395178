"""What keeps notices back: silence, one under way, the daily limit."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, true, update

from bounced.ledger import authors, notices, queries, schema, tally
from bounced.ledger.engine import Ledger
from bounced.ledger.records import ClaimedNotice, NoticeState
from bounced.model import Verdict
from tests.ledger.office import (
    AUTHOR,
    DAY,
    EXPIRED,
    HOUR,
    LEASE,
    MAILBOX_FULL,
    MINUTE,
    SPF,
    START,
    USER_UNKNOWN,
    Office,
    list_subjects,
)

WINDOW = 15 * MINUTE
EVA, MAX = "eva@kunde.example", "max@kunde.example"


def silence(office: Office, **columns: datetime) -> None:
    """Write down that the author cannot or will not be written to."""
    values = {"author": AUTHOR, **columns}
    office.ledger.write(lambda c: c.execute(insert(schema.authors).values(values)))


def end_silence(office: Office) -> None:
    office.ledger.write(lambda c: c.execute(schema.authors.delete()))
    office.ledger.write(
        lambda c: c.execute(
            update(schema.notices)
            .where(schema.notices.c.state == "held")
            .values(state="open", why=None)
        )
    )


def read_waiting(office: Office) -> list[tuple[str, str | None]]:
    return [
        (row["state"], row["why"])
        for row in office.list_notices()
        if row["state"] in {"open", "held"}
    ]


def claim_one(office: Office) -> ClaimedNotice:
    claimed = office.claim()
    assert claimed is not None
    return claimed


def test_an_author_has_one_notice_under_way_and_the_next_digest_waits(office: Office) -> None:
    office.fail("a", EVA)
    office.move(WINDOW)
    first = claim_one(office)
    office.defer(first, office.now + DAY)
    office.fail("b", MAX)
    office.move(HOUR)
    assert office.claim() is None, "another case, but the same author"
    office.fail("c", "ida@kunde.example")
    office.now = START + WINDOW + DAY
    again = claim_one(office)
    assert again.notice == first.notice
    office.settle(again)
    assert list_subjects(office.send_due()) == [[("ida@kunde.example", 1), (MAX, 1)]]


def test_a_batch_is_claimed_at_once_in_the_order_of_their_times(office: Office) -> None:
    names = [f"a{number}@bau.example" for number in range(5)]
    for author in names:
        for recipient in (EVA, MAX):
            office.fail("a", recipient, author=author)
        office.move(MINUTE)
    office.move(HOUR)
    batch = office.claim_some(3)
    assert [claimed.author for claimed in batch] == names[:3]
    assert list_subjects(batch) == [[(EVA, 1), (MAX, 1)]] * 3
    assert [claimed.author for claimed in office.claim_some(3)] == names[3:]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"unreachable_at": START}, "unreachable"),
        ({"declined_at": START}, "declined"),
        ({"declined_at": START, "unreachable_at": START}, "declined"),
    ],
)
def test_a_silent_authors_digest_is_held_once_and_collects(
    office: Office, columns: dict[str, datetime], why: str
) -> None:
    silence(office, **columns)
    office.fail("a")
    assert office.hold_due(everyone=False) == [], "not due yet"
    office.move(WINDOW)
    assert office.claim() is None, "held or not"
    ((notice, author),) = office.hold_due(everyone=False)
    assert (author, read_waiting(office)) == (AUTHOR, [("held", why)])
    assert office.hold_due(everyone=False) == []
    assert office.release_held() == [], "that is for what the mode holds"
    office.fail("b")
    end_silence(office)
    (sent,) = office.send_due()
    assert (sent.notice, len(sent.entries[0].strikes)) == (notice, 2)


def test_another_authors_silence_holds_nobody(office: Office) -> None:
    silence(office, declined_at=START)
    office.fail("a", author="ben@bau.example")
    office.move(WINDOW)
    assert office.hold_due(everyone=False) == []
    assert len(office.send_due()) == 1


def test_a_deferred_notice_of_an_author_who_falls_silent_is_not_tried_again(
    office: Office,
) -> None:
    office.fail("a")
    office.move(WINDOW)
    claimed = claim_one(office)
    silence(office, unreachable_at=START)
    assert office.settle_silent() == [], "the attempt may still be under way"
    office.defer(claimed, office.now + HOUR)
    office.move(HOUR)
    assert office.claim() is None
    (settled,) = office.settle_silent()
    assert (settled.notice, settled.state, office.settle_silent()) == (
        claimed.notice,
        NoticeState.FAILED,
        [],
    )
    assert "author" in str(settled.detail)


def test_a_claimed_notice_of_an_author_who_falls_silent_before_data_is_not_sent(
    office: Office,
) -> None:
    office.fail("a")
    office.fail("b", EVA, author="ben@bau.example")
    office.move(WINDOW)
    claimed = {notice.author: notice for notice in office.claim_some(2)}
    silence(office, declined_at=office.now)
    assert office.start_data(claimed[AUTHOR]) is False
    assert office.start_data(claimed["ben@bau.example"]) is True
    assert office.settle_silent() == [], "its sender may be at work"
    office.move(LEASE)
    (ended,) = office.settle_silent()
    assert (ended.notice, ended.state) == (claimed[AUTHOR].notice, NoticeState.FAILED)


def test_what_is_held_as_its_authors_silence_ends_goes_at_the_next_beat(
    postgres_url: str,
) -> None:
    office = Office(Ledger(postgres_url))
    silence(office, declined_at=START)
    office.fail("a")
    office.move(WINDOW)
    with office.ledger.engine.begin() as beat:
        (held,) = notices.hold_due(beat, office.now, everyone=False)
        assert office.ledger.write(
            lambda c: authors.resume(c, AUTHOR, office.now, webhook=False, new_id=office.new_id)
        )
    assert read_waiting(office) == [("held", "declined")], "neither saw the other"
    assert office.hold_due(everyone=False) == []
    sent = [notice.notice for notice in office.send_due()]
    office.ledger.close()
    assert sent == [held.notice]


def test_under_hold_only_what_was_released_is_claimed(office: Office) -> None:
    office.fail("a")
    office.fail("a", author="ben@bau.example")
    office.move(WINDOW)
    held = {author: notice for notice, author in office.hold_due()}
    office.release_held(held[AUTHOR])
    office.fail("a", author="ida@bau.example")
    office.move(WINDOW)
    claimed = office.claim_some(9, released_only=True)
    assert [notice.author for notice in claimed] == [AUTHOR]


def test_what_the_mode_held_stays_until_it_is_released(office: Office) -> None:
    office.fail("a")
    office.move(WINDOW)
    office.hold_due()
    assert read_waiting(office) == [("held", "mode")]
    assert office.hold_due(everyone=False) == []
    assert office.send_due() == [], "though nothing is held any more"
    office.release_held()
    assert len(office.send_due()) == 1


def test_an_author_gets_so_many_notices_in_any_24_hours_the_rest_in_one(office: Office) -> None:
    office.configure(daily_limit=2)
    for number in range(5):
        office.fail("a", f"r{number}@kunde.example")
        office.move(HOUR)
        office.send_due()
    sent = office.list_notices(state="sent")
    assert len(sent) == 2
    (put_off,) = office.list_notices(state="open")
    first_at = min(row["settled_at"] for row in sent)
    assert put_off["due_at"] == first_at + DAY
    office.now = first_at + DAY - MINUTE
    assert office.send_due() == []
    office.move(MINUTE)
    assert list_subjects(office.send_due()) == [
        [("r2@kunde.example", 1), ("r3@kunde.example", 1), ("r4@kunde.example", 1)]
    ]


def test_a_failed_notice_and_those_of_others_do_not_count_for_the_limit(office: Office) -> None:
    office.configure(daily_limit=1)
    office.fail("a", author="ben@bau.example")
    office.fail("a")
    office.move(WINDOW)
    for claimed in office.claim_some(2):
        office.settle(
            claimed, NoticeState.FAILED if claimed.author == AUTHOR else NoticeState.SENT
        )
    office.fail("b", EVA)
    office.fail("b", EVA, author="ben@bau.example")
    office.move(WINDOW)
    assert [notice.author for notice in office.send_due()] == [AUTHOR]


def test_a_late_settlement_moves_the_interval_and_exhausts_nothing_twice(office: Office) -> None:
    office.configure(max_notices=1)
    office.fail("a")
    office.move(WINDOW)
    claimed = claim_one(office)
    office.start_data(claimed)
    office.move(LEASE)
    (lost,) = office.settle_lost()
    office.move(HOUR)
    settled = office.settle(claimed)
    assert settled is not None
    assert (len(lost.exhausted), settled.exhausted) == (1, ())
    assert office.find_last_notice_at() == office.now


def test_a_slot_keeps_the_suggestion_of_a_bad_address_and_of_no_other(office: Office) -> None:
    office.fail("a", EVA)
    office.fail("a", MAX, verdict=MAILBOX_FULL)
    office.ledger.write(
        lambda c: c.execute(update(schema.cases).values(suggestion="eva@kunde.test"))
    )
    office.move(WINDOW)
    (sent,) = office.send_due()
    assert {entry.subject: entry.suggestion for entry in sent.entries} == {
        EVA: "eva@kunde.test",
        MAX: None,
    }


def test_waiting_notices_are_counted_by_what_they_wait_for(office: Office) -> None:
    silence(office, declined_at=START)
    for number in range(2):
        office.fail("a", author=f"a{number}@bau.example")
    office.fail("a")
    office.move(WINDOW)
    office.hold_due(everyone=False)
    office.hold_due()
    office.fail("a", author="due@bau.example")
    office.move(WINDOW)
    office.fail("a", author="later@bau.example")
    assert office.ledger.read(lambda c: queries.count_waiting(c, office.now)) == {
        "due": 1,
        "mode": 2,
        "declined": 1,
        "unreachable": 0,
    }


VERDICTS: tuple[Verdict, ...] = (USER_UNKNOWN, EXPIRED, SPF, MAILBOX_FULL)


@pytest.mark.parametrize("seed", range(4))
def test_recounting_all_at_once_gives_the_figures_of_one_after_the_other(
    office: Office, seed: int
) -> None:
    choose = random.Random(seed)
    for number in range(60):
        office.fail(f"s{number}", choose.choice((EVA, MAX)), verdict=choose.choice(VERDICTS))
        office.move(timedelta(minutes=choose.choice((0, 5, 600))))
        if choose.random() < 0.3:
            office.send_due()
        if choose.random() < 0.1:
            office.reset(choose.choice(office.list_cases())["case"])
        if choose.random() < 0.1:
            office.close(choose.choice(office.list_cases())["case"])
    spoil = {"strikes": 99, "category": "policy", "reason": "virus", "due_at": START}

    def recount(connection: Any, *, at_once: bool) -> None:
        connection.execute(update(schema.cases).values(spoil))
        if at_once:
            tally.recount_all(connection, true(), office.settings)
        else:
            for case in connection.execute(select(schema.cases.c.case)).scalars().all():
                tally.recount(connection, case, office.settings)

    expected = office.dump("cases")
    found = []
    for at_once in (True, False):
        office.ledger.write(lambda c, at_once=at_once: recount(c, at_once=at_once))  # type: ignore[misc] # a lambda has no annotations
        found.append(office.dump("cases"))
    assert found == [expected, expected]
