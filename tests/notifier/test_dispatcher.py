"""When the dispatcher sends and when it rests, over real ledgers; the relay is made up."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bounced.config import NoticeSettings, RelaySettings
from bounced.ledger import queries
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import Deferred, OutcomeUnknown, Refused
from bounced.notifier.render import TEXT
from tests.ledger.office import DAY, HOUR, MINUTE, START, list_subjects
from tests.logcheck import Line, find_events
from tests.notifier.house import DOWN, SECOND, SENDER, WINDOW, FakeRelay, House, name_authors


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


async def test_everything_due_is_sent_on_all_connections(house: House) -> None:
    house.fail(*name_authors(30))
    assert sorted(await house.send_at(START + WINDOW)) == name_authors(30)
    assert house.list_states() == ["sent"] * 30


@pytest.mark.parametrize(
    ("hours", "zone", "last_quiet", "first_loud"),
    [
        ("22:00-06:00", "Europe/Berlin", "2026-11-03T05:59:59+01:00", "2026-11-03T06:00+01:00"),
        ("12:00-13:30", "Europe/Berlin", "2026-11-02T13:29:59+01:00", "2026-11-02T13:30+01:00"),
        ("22:00-06:00", "America/New_York", "2026-11-03T05:59:59-05:00", "2026-11-03T06:00-05:00"),
        # The clock is put forward on 28 March, put back on 31 October 2027.
        ("22:00-06:00", "Europe/Berlin", "2027-03-28T05:59:59+02:00", "2027-03-28T06:00+02:00"),
        ("22:00-06:00", "Europe/Berlin", "2027-10-31T05:59:59+01:00", "2027-10-31T06:00+01:00"),
        ("22:00-02:30", "Europe/Berlin", "2027-10-31T02:29:59+01:00", "2027-10-31T02:30+01:00"),
    ],
)
async def test_in_quiet_hours_no_slot_is_taken_and_at_their_end_all_goes(
    house: House, hours: str, zone: str, last_quiet: str, first_loud: str
) -> None:
    quiet, loud = at(last_quiet), at(first_loud)
    house.configure(quiet_hours=hours, timezone=zone)
    house.fail("anna@bau.example", at=quiet - HOUR)
    assert await house.send_at(quiet) == []
    assert (house.list_states(), house.office.dump("slots")) == (["open"], {"slots": []})
    assert await house.send_at(loud) == ["anna@bau.example"]


async def test_when_quiet_begins_what_is_under_way_ends_and_the_rest_is_kept_for_its_end(
    house: House,
) -> None:
    house.configure(quiet_hours="22:00-06:00")
    house.fail(*name_authors(8), at=at("2026-11-02T21:00+01:00"))

    def pass_time() -> None:
        house.office.now = at("2026-11-02T22:00+01:00")

    house.relay.meanwhile = pass_time
    first = await house.send_at(at("2026-11-02T21:59:59+01:00"))
    assert 0 < len(first) <= 2, "one for each connection"
    assert await house.send_at(at("2026-11-03T05:59+01:00")) == []
    house.relay.meanwhile = lambda: None
    rest = await house.send_at(at("2026-11-03T06:00+01:00"))
    assert sorted(first + rest) == name_authors(8)
    assert {row["attempts"] for row in house.office.list_notices()} == {1}


async def test_in_quiet_hours_nothing_is_tried_again_and_lost_outcomes_are_settled(
    house: House,
) -> None:
    house.relay.answers[""] = Deferred("451 later")
    house.fail("anna@bau.example", "ben@bau.example", at=at("2026-11-02T21:00+01:00"))
    await house.send_at(at("2026-11-02T21:30+01:00"))
    tried = len(house.relay.tried)
    house.office.move(HOUR)
    lost = house.office.claim()
    assert lost is not None
    house.office.start_data(lost)
    house.configure(quiet_hours="22:00-06:00")
    assert await house.send_at(at("2026-11-03T00:00+01:00")) == []
    assert len(house.relay.tried) == tried
    assert house.list_states() == ["claimed", "outcome_unknown"]


async def test_an_outage_is_asked_about_by_one_notice_with_growing_pauses(
    house: House, log: list[Line]
) -> None:
    house.relay.answers[""] = DOWN
    house.fail(*name_authors(50))
    house.office.now = START + WINDOW
    await house.beat(HOUR)
    times = sorted({moment for moment, _ in house.relay.tried})
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses == [
        timedelta(seconds=seconds) for seconds in (10, 20, 40, 80, 160, *[300] * len(pauses[5:]))
    ]
    assert len(house.relay.tried) <= 2 + len(pauses), "two connections, then one notice a pause"
    assert len({author for _, author in house.relay.tried[2:]}) == 1
    assert len(find_events(log, "notice_deferred")) == len(house.relay.tried)
    assert house.list_states() == ["claimed"] * 8 + ["open"] * 42, "no slot was taken since"


async def test_after_hours_of_outage_all_goes_in_order_and_the_interval_holds_at_the_mailbox(
    house: House,
) -> None:
    house.dispatcher.settings = replace(
        house.dispatcher.settings, relay=RelaySettings(max_connections=1, give_up="2d")
    )
    house.relay.answers[""] = DOWN
    authors = name_authors(12)
    for number, author in enumerate(authors):
        house.fail(author, at=START + number * MINUTE)
    house.office.now = START + HOUR
    await house.beat(5 * HOUR, step=MINUTE)
    house.fail(*authors, at=house.office.now)
    house.relay.answers.clear()
    await house.beat(30 * HOUR, step=5 * MINUTE)
    arrived: dict[str, list[datetime]] = {}
    for moment, author in house.relay.arrived:
        arrived.setdefault(author, []).append(moment)
    assert list(arrived) == authors
    told = [len(times) for times in arrived.values()]
    collected = sum(count == 1 for count in told)
    assert set(told) == {1, 2}, "first claimed: again a day later; still open: both in one"
    assert collected == 12 - 4, "four were claimed when the relay went away"
    for first, *later in arrived.values():
        assert all(moment - first >= DAY for moment in later)
    cases = house.office.list_cases()
    assert [case["notices"] for case in sorted(cases, key=lambda c: c["author"])] == told
    assert house.list_states() == ["sent"] * sum(told)


async def test_a_relay_that_answers_again_ends_the_outage_whatever_it_says(house: House) -> None:
    house.relay.answers[""] = DOWN
    house.fail(*name_authors(6))
    await house.send_at(START + WINDOW)
    house.relay.answers = {name_authors(1)[0]: Deferred("451 greylisted")}
    arrived = await house.send_at(START + WINDOW + 10 * SECOND)
    assert sorted(arrived) == name_authors(6)[1:]


async def test_one_refused_or_deferred_notice_makes_no_outage(house: House) -> None:
    house.relay.answers = {
        "a00@bau.example": Deferred("451 later"),
        "a01@bau.example": Refused("550 no"),
        "a02@bau.example": OutcomeUnknown("lost"),
    }
    house.fail(*name_authors(6))
    assert sorted(await house.send_at(START + WINDOW)) == name_authors(6)[3:]


async def test_lost_answers_during_an_outage_prolong_it(house: House) -> None:
    house.relay.answers[""] = DOWN
    house.fail(*name_authors(6))
    await house.send_at(START + WINDOW)
    house.relay.answers[""] = OutcomeUnknown("lost after DATA")
    tried = len(house.relay.tried)
    for _ in range(3):
        await house.send_at(START + WINDOW + 10 * SECOND)
    assert len(house.relay.tried) == tried + 1


async def test_a_refusal_that_the_relay_had_no_part_in_ends_no_outage(house: House) -> None:
    house.relay.answers[""] = DOWN
    house.fail(*name_authors(12))
    await house.send_at(START + WINDOW)
    before = house.list_states()
    house.relay.answers[""] = Refused("not sent", asked=False)
    tried = len(house.relay.tried)
    await house.send_at(START + WINDOW + 10 * SECOND)
    assert len(house.relay.tried) == tried + 1
    assert house.list_states() == [*before[1:8], "failed", *before[8:]]


async def test_a_new_relay_is_asked_at_once(house: House) -> None:
    house.relay.answers[""] = DOWN
    house.fail(*name_authors(10))
    await house.send_at(START + WINDOW)
    house.configure(relay=FakeRelay(lambda: house.office.now))
    claimed, still_open = name_authors(10)[:8], name_authors(10)[8:]
    assert sorted(await house.send_at(START + WINDOW + SECOND)) == still_open
    assert sorted(await house.send_at(START + WINDOW + 10 * SECOND)) == claimed


async def test_a_pause_that_a_clock_ahead_has_begun_does_not_last(house: House) -> None:
    house.relay.answers[""] = DOWN
    house.fail("anna@bau.example", at=START + 30 * DAY)
    await house.send_at(START + 30 * DAY + WINDOW)
    house.relay.answers.clear()
    house.fail("ben@bau.example", at=START)
    assert await house.send_at(START + WINDOW) == [
        "anna@bau.example",
        "ben@bau.example",
    ]


async def test_a_notice_is_given_up_at_the_configured_age(house: House, log: list[Line]) -> None:
    house.relay.answers[""] = Deferred("451 later")
    house.fail("anna@bau.example")
    house.office.now = START + WINDOW
    await house.beat(2 * DAY - HOUR, step=30 * MINUTE)
    assert house.list_states() == ["claimed"]
    await house.beat(3 * HOUR, step=30 * MINUTE)
    assert house.list_states() == ["failed"]
    (line,) = find_events(log, "notice_failed")
    assert line["detail"] == "given up: 451 later"


async def test_a_notice_that_only_waited_for_the_relay_is_not_given_up_at_its_first_attempt(
    house: House,
) -> None:
    house.relay.answers[""] = DOWN
    house.fail(*name_authors(8))
    await house.send_at(START + WINDOW)
    tried = {author for _, author in house.relay.tried}
    assert len(tried) < 8
    house.relay.answers[""] = Deferred("451 later")
    await house.send_at(START + 3 * DAY)
    states = {row["author"]: row["state"] for row in house.office.list_notices()}
    assert states == {a: "failed" if a in tried else "claimed" for a in name_authors(8)}
    await house.send_at(house.office.now + HOUR)
    assert house.list_states() == ["failed"] * 8, "the second attempt is the last one"


async def test_a_notice_that_quiet_hours_kept_is_not_given_up_at_its_first_attempt(
    house: House,
) -> None:
    house.configure(quiet_hours="22:00-06:00")
    house.dispatcher.settings = replace(
        house.dispatcher.settings, relay=RelaySettings(max_connections=1, give_up="1h")
    )
    house.fail(*name_authors(4), at=at("2026-11-02T21:00+01:00"))

    def pass_time() -> None:
        house.office.now = at("2026-11-02T22:00+01:00")

    house.relay.meanwhile = pass_time
    arrived = await house.send_at(at("2026-11-02T21:59:59+01:00"))
    house.relay.meanwhile = lambda: None
    house.relay.answers[""] = Deferred("451 greylisted")
    await house.send_at(at("2026-11-03T06:00+01:00"))
    kept = 4 - len(arrived)
    assert house.list_states() == ["claimed"] * kept + ["sent"] * len(arrived)
    assert kept > 0
    house.relay.answers.clear()
    assert len(await house.send_at(at("2026-11-03T06:01+01:00"))) == kept


async def test_a_notice_that_cannot_be_composed_waits_and_is_given_up_and_the_others_go(
    house: House, log: list[Line], tmp_path: Path
) -> None:
    (tmp_path / TEXT).write_text("{{ 1 // ('eva' not in notice.intro) | int }}\n")
    composer = Composer(tmp_path, NoticeSettings(sender=SENDER), fallback_sender=SENDER)
    house.dispatcher.settings = replace(house.dispatcher.settings, composer=composer)
    house.office.fail("a", "eva@kunde.example", author="anna@bau.example")
    house.fail("ben@bau.example")
    assert await house.send_at(START + WINDOW) == ["ben@bau.example"]
    assert house.list_states() == ["claimed", "sent"]
    await house.beat(2 * DAY + HOUR, step=30 * MINUTE)
    assert house.list_states() == ["failed", "sent"]
    assert [author for _, author in house.relay.tried] == ["ben@bau.example"]
    (line,) = find_events(log, "notice_failed")
    why = f"{tmp_path / TEXT}, line 1: ZeroDivisionError: integer division or modulo by zero"
    assert line["detail"] == f"given up: cannot be composed: {why}"


async def test_under_hold_a_due_digest_is_held_once_and_sent_after_its_release(
    house: House, log: list[Line]
) -> None:
    house.configure(mode="hold")
    house.fail("anna@bau.example")
    for minute in range(15, 20):
        assert await house.send_at(START + minute * MINUTE) == []
    (line,) = find_events(log, "notice_held")
    assert (line["author"], line["why"]) == ("anna@bau.example", "mode")
    house.configure(mode="send")
    assert await house.send_at(START + HOUR) == []
    house.office.release_held()
    assert await house.send_at(START + HOUR) == ["anna@bau.example"]


async def test_once_stopped_nothing_is_claimed_and_what_waits_is_given_back(house: House) -> None:
    house.fail(*name_authors(8))
    house.relay.meanwhile = house.dispatcher.stop
    assert len(await house.send_at(START + WINDOW)) <= 2
    assert await house.send_at(START + HOUR) == []
    rest = house.office.send_due()
    assert list_subjects(rest) == [[("max@kunde.example", 1)]] * len(rest)
    assert len(rest) + len(house.relay.arrived) == 8


async def test_an_author_gets_the_configured_number_of_notices_a_day(house: House) -> None:
    house.office.configure(daily_limit=1)
    house.dispatcher.settings = replace(house.dispatcher.settings, policy=house.office.settings)
    for hour in range(3):
        house.office.now = START + hour * HOUR
        house.office.fail("a", f"r{hour}@kunde.example")
        await house.send_at(house.office.now + WINDOW)
    await house.beat(DAY, step=HOUR)
    (first, second) = (moment for moment, _ in house.relay.arrived)
    assert second - first >= DAY
    waiting = house.office.ledger.read(lambda c: queries.count_waiting(c, house.office.now))
    assert waiting["due"] == 0
