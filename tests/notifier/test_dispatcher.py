"""When the dispatcher sends and when it rests, over real ledgers; the relay is made up."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from bounced.config import NoticeSettings, RelaySettings
from bounced.ledger import queries
from bounced.ledger.engine import Ledger
from bounced.ledger.writer import Writer
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import (
    Abandoned,
    BeforeData,
    Deferred,
    Delivered,
    Outcome,
    OutcomeUnknown,
    Refused,
)
from bounced.notifier.dispatcher import Dispatcher, DispatcherSettings
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing
from tests.ledger.office import DAY, DOMAIN, HOUR, MINUTE, START, Office, list_subjects
from tests.logcheck import Line, find_events

SECOND = timedelta(seconds=1)
WINDOW = 15 * MINUTE
DOWN = Deferred("no session", relay_down=True)
SENDER = "protocols@app.example"
RING = KeyRing((Key("a", bytes(32), START.date()),))


@dataclass
class FakeRelay:
    """Answers as it is told, and notes what arrived at whose mailbox, and when."""

    clock: Callable[[], datetime]
    answers: dict[str, Outcome] = field(default_factory=dict)
    """By author; "" stands for everyone."""
    tried: list[tuple[datetime, str]] = field(default_factory=list)
    arrived: list[tuple[datetime, str]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    """What happens during an attempt."""

    async def deliver(
        self, message: EmailMessage, *, mail_from: str, rcpt: str, before_data: BeforeData
    ) -> Outcome:
        assert (message["To"], mail_from.partition("@")[2]) == (rcpt, DOMAIN)
        self.tried.append((self.clock(), rcpt))
        self.meanwhile()
        answer = self.answers.get(rcpt) or self.answers.get("") or Delivered("250 ok")
        if isinstance(answer, Deferred | Refused):
            return answer
        if not await before_data():
            return Abandoned()
        if isinstance(answer, Delivered):
            self.arrived.append((self.clock(), rcpt))
        return answer

    async def close(self) -> None:
        """Nothing is kept."""


@dataclass
class House:
    """An office, its dispatcher and its relay, all by the office's clock."""

    office: Office
    dispatcher: Dispatcher
    relay: FakeRelay

    def configure(self, *, relay: FakeRelay | None = None, **notices: object) -> None:
        """Change settings of notices, as a reload does; a new relay comes with one."""
        settings = self.dispatcher.settings
        self.relay = relay or self.relay
        self.dispatcher.settings = replace(
            settings,
            notices=NoticeSettings.model_validate({"sender": SENDER} | notices),
            delivery=self.relay,
        )

    async def send_at(self, at: datetime) -> list[str]:
        """Let the clock stand there for one beat; return whose notices arrived."""
        self.office.now = at
        before = len(self.relay.arrived)
        await self.dispatcher.send_due(at)
        return [author for _, author in self.relay.arrived[before:]]

    async def beat(self, span: timedelta, *, step: timedelta = 10 * SECOND) -> None:
        """Let time pass, a beat every step."""
        end = self.office.now + span
        while self.office.now < end:
            await self.send_at(self.office.now + step)

    def fail(self, *authors: str, at: datetime = START) -> None:
        self.office.now = at
        for author in authors:
            self.office.fail(f"{at}", author=author)

    def list_states(self) -> list[str]:
        return sorted(row["state"] for row in self.office.list_notices())


@pytest.fixture
async def house(ledger: Ledger) -> AsyncIterator[House]:
    office = Office(ledger)
    notices = NoticeSettings(sender=SENDER)
    relay = FakeRelay(lambda: office.now)
    settings = DispatcherSettings(
        notices,
        office.settings,
        AdmissionSettings(domains=(DOMAIN,)),
        lambda: RING,
        Composer(None, notices, fallback_sender="post@app.example"),
        relay,
        RelaySettings(max_connections=2, give_up="2d"),
    )
    writer = Writer(ledger)
    dispatcher = Dispatcher(writer, settings, clock=lambda: office.now, new_id=office.new_id)
    yield House(office, dispatcher, relay)
    writer.stop()


def name_authors(number: int) -> list[str]:
    return [f"a{index:02}@bau.example" for index in range(number)]


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
    assert await house.send_at(START + WINDOW) == ["ben@bau.example"]


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
