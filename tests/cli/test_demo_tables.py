"""`bounced demo`: its tables tell the story in the order in which it happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bounced.cli import demo
from bounced.cli.story import BOUNCES

DAY_ONE = datetime(2026, 6, 1, 8, 1, tzinfo=UTC)


def test_reports_stand_in_the_order_of_the_story_and_its_trouble_after_each_day() -> None:
    story = [(bounce.day, bounce.recipient) for bounce in BOUNCES]
    told = [*story, (1, "forged@bauherr.example")]
    rows = [
        {
            "received_at": DAY_ONE + timedelta(days=day - 1),
            "recipients": [{"recipient": recipient}],
            "why": None,
        }
        for day, recipient in reversed(told)
    ]
    day_one = sum(bounce.day == 1 for bounce in BOUNCES)
    expected = [*story[:day_one], (1, "forged@bauherr.example"), *story[day_one:]]
    assert [row["recipients"] for row in sorted(rows, key=demo._tell_order)] == [
        [{"recipient": recipient}] for _, recipient in expected
    ]


def test_cases_stand_in_the_order_of_the_story_too() -> None:
    rows = [
        {"first_strike_at": DAY_ONE, "subject": subject}
        for subject in ("architekten-berger.example", BOUNCES[1].recipient, BOUNCES[0].recipient)
    ]
    assert sorted(rows, key=demo._tell_case_order) == rows[::-1]
