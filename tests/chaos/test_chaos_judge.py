"""The judge of the chaos runs convicts every history that must not be, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.chaos.judge import (
    Arrived,
    Asked,
    CaseRow,
    End,
    Entry,
    Item,
    Limits,
    NoticeRow,
    RoundOpened,
    Silenced,
    StrikeRow,
    Unsilenced,
    judge_end,
    judge_mails,
)
from tests.ledger.office import DAY, START

AUTHOR = "anna@bau.example"
CASE = (AUTHOR, "max@kunde.example")
DOMAIN_CASE = (AUTHOR, "bau.example")
WEEK = 7 * DAY


def mail(
    day: float, number: int, *sends: str, notice: str = "", subject: str = CASE[1]
) -> Arrived:
    entry = Entry(subject, number, sends or (f"send of day {day}",))
    at = START + timedelta(days=day)
    return Arrived(notice or f"of day {day}", AUTHOR, at, at, (entry,), certain=True)


def asked(*hours: float, author: str = AUTHOR) -> Asked:
    return Asked(author, tuple(START + timedelta(hours=each) for each in hours))


def find_quiet_end(now: datetime) -> datetime | None:
    begin, end = START + timedelta(hours=1), START + timedelta(hours=2)
    return end if begin <= now < end else None


OPENED = RoundOpened(CASE)
SILENCED, UNSILENCED = Silenced(AUTHOR), Unsilenced(AUTHOR)
LIMITS = Limits(DAY, WEEK, daily_limit=2, find_quiet_end=find_quiet_end)
OTHER, THIRD = "b@b.example", "c@c.example"

ALLOWED = {
    "nothing": [],
    "three notices": [mail(0, 1), mail(1, 2), mail(2, 3)],
    "the second was lost": [mail(0, 1), mail(2, 3)],
    "anew after a reset": [mail(0, 1), mail(1, 2), mail(2, 3), OPENED, mail(3, 1), mail(4, 2)],
    "the first after a reset was lost": [mail(0, 1), mail(1, 2), OPENED, mail(3, 2)],
    "a reset that did nothing": [mail(0, 1), OPENED, mail(1, 2)],
    "a week for a sender domain": [
        mail(0, 1, subject=DOMAIN_CASE[1]), mail(7, 2, subject=DOMAIN_CASE[1])
    ],
    "two cases at one time": [mail(0, 1, "a"), mail(0, 1, "b", notice="2", subject=OTHER)],
    "as many a day as allowed": [
        mail(0, 1), mail(0.5, 1, subject=OTHER), mail(1, 1, subject=THIRD)
    ],
    "within the interval by the clocks of two nodes": [
        mail(0, 1), replace(mail(2, 2), at=START + 0.5 * DAY)
    ],
    "before silence": [asked(0), SILENCED],
    "after silence": [SILENCED, UNSILENCED, asked(0)],
    "the silence of another": [SILENCED, asked(0, author=OTHER)],
    "outside quiet hours": [asked(0.9), asked(2)],
    "the quiet began under way": [asked(0.9, 1.4)],
}  # fmt: skip

FORBIDDEN = {
    "a fourth": [mail(0, 1), mail(1, 2), mail(2, 3), mail(3, 4)],
    "a fourth under a number of before": [mail(0, 1), mail(1, 2), mail(2, 3), mail(3, 3)],
    "begun anew without a reset": [mail(0, 1), mail(1, 2), mail(2, 3), mail(3, 1)],
    "begun anew by the reset of another case": [
        mail(0, 1), mail(1, 2), RoundOpened(DOMAIN_CASE), mail(2, 1)
    ],
    "within the interval": [mail(0, 1), mail(0.99, 2)],
    "within the interval after a reset": [mail(0, 1), OPENED, mail(0.99, 1)],
    "before the last by its clock": [mail(5, 1), mail(1, 2)],
    "within the week of a sender domain": [
        mail(0, 1, subject=DOMAIN_CASE[1]), mail(6, 2, subject=DOMAIN_CASE[1])
    ],
    "a notice twice": [mail(0, 1, notice="7"), mail(1, 2, notice="7")],
    "a send twice": [mail(0, 1, "a"), mail(1, 2, "a")],
    "more a day than allowed": [
        mail(0, 1), mail(0.5, 1, subject=OTHER), mail(0.99, 1, subject=THIRD)
    ],
    "in silence": [SILENCED, asked(0)],
    "silent again": [SILENCED, UNSILENCED, SILENCED, asked(0)],
    "in quiet hours": [asked(1, 1.4)],
}  # fmt: skip


@pytest.mark.parametrize("timeline", ALLOWED.values(), ids=ALLOWED)
def test_mails_that_keep_the_promises_are_not_faulted(
    timeline: list[Item],
) -> None:
    assert judge_mails(timeline, LIMITS) == []


@pytest.mark.parametrize("timeline", FORBIDDEN.values(), ids=FORBIDDEN)
def test_mails_that_break_a_promise_are_faulted(timeline: list[Item]) -> None:
    assert judge_mails(timeline, LIMITS)


MAIL = mail(0, 1, "a", notice="1")
CASE_ROW = CaseRow(CASE, "open", "bad-address", round=1, strikes=1, slots=((1, 1),))
STRIKE = StrikeRow(CASE, "a", round=1, notice="1")
SENT = NoticeRow("1", "sent")
END = End((SENT,), (CASE_ROW,), (STRIKE,))
WAITS = replace(STRIKE, notice=None)
UNTOLD = replace(END, notices=(), strikes=(WAITS,))
USED_UP = ((1, 1), (1, 2), (1, 3))


def judge(end: End, *mails: Arrived, waived: bool = False) -> list[str]:
    return judge_end(end, mails, {(CASE, "a")}, {(CASE, "a")} if waived else set())


@pytest.mark.parametrize(
    ("end", "mails"),
    [
        (END, [MAIL]),
        (replace(END, notices=(NoticeRow("1", "failed"),)), []),
        (replace(END, notices=(NoticeRow("1", "outcome_unknown"),)), []),
        (replace(END, notices=(NoticeRow("1", "outcome_unknown"),)), [MAIL]),
        (replace(UNTOLD, cases=(replace(CASE_ROW, slots=USED_UP),)), []),
        (replace(UNTOLD, cases=(replace(CASE_ROW, state="closed"),)), []),
        (replace(UNTOLD, cases=(replace(CASE_ROW, category="system"),)), []),
    ],
)
def test_a_send_that_is_told_or_need_not_be_is_not_lost(end: End, mails: list[Arrived]) -> None:
    assert judge(end, *mails) == []


def test_a_send_whose_case_was_closed_meanwhile_is_not_lost() -> None:
    assert judge(UNTOLD, waived=True) == []


@pytest.mark.parametrize(
    ("end", "mails", "fault"),
    [
        (UNTOLD, [], "never told"),
        (replace(END, strikes=()), [MAIL], "no strike"),
        (replace(END, notices=(NoticeRow("1", "claimed"),)), [], "hangs"),
        (replace(END, notices=(NoticeRow("1", "held"),)), [], "hangs"),
        (replace(END, notices=(NoticeRow("1", "outcome_unknown", told=False),)), [], "nobody"),
        (END, [], "did not arrive"),
        (END, [replace(MAIL, certain=False)], "did not arrive"),
        (replace(END, notices=(NoticeRow("1", "failed"),)), [MAIL], "arrived"),
        (END, [MAIL, mail(1, 2, "a", notice="2")], "unknown"),
        (END, [mail(0, 1, "b", notice="1")], "does not count"),
        (
            replace(UNTOLD, cases=(replace(CASE_ROW, category="system", strikes=2),)),
            [],
            "never told",
        ),
        (
            replace(UNTOLD, strikes=(replace(WAITS, round=2),), cases=(
                replace(CASE_ROW, round=2, slots=USED_UP),)),
            [],
            "never told",
        ),
    ],
)  # fmt: skip
def test_a_history_that_loses_or_invents_something_is_faulted(
    end: End, mails: list[Arrived], fault: str
) -> None:
    assert any(fault in found for found in judge(end, *mails))
