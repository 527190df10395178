"""Suggestions are stored before the digest is due, or not at all; DNS is a server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import select

from bounced.advisor import adviser as advising
from bounced.advisor.adviser import TRY_AGAIN, Adviser, judge
from bounced.advisor.dns import MailService
from bounced.advisor.typo import Basis, Suggestion
from bounced.config import DnsSettings
from bounced.ledger import reached, schema, sends
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import find_case_id
from bounced.ledger.writer import Writer
from bounced.logs import check_shape
from bounced.model import Category, Reason, Send, Verdict
from tests.advisor.nameserver import NameServer, Query
from tests.ledger.office import AUTHOR, DAY, MAILBOX_FULL, MINUTE, Office

TYPED, MEANT = "max@gmial.com", "max@gmail.com"
DOMAIN_UNKNOWN = Verdict(Category.BAD_ADDRESS, Reason.DOMAIN_UNKNOWN)
NOT_ACCEPTING = Verdict(Category.BAD_ADDRESS, Reason.NOT_ACCEPTING)
RECORDS = {
    ("gmail.com", "MX"): ["10 mx.gmail.com."],
    ("example.org", "MX"): ["10 mx.example.org."],
}
SECOND = timedelta(seconds=1)


def _say_nothing(_query: Query) -> list[bytes]:
    return []


class House:
    """An office with an adviser and a name server of its own."""

    def __init__(self, office: Office, server: NameServer) -> None:
        self.office = office
        self.server = server
        self.writer = Writer(office.ledger)
        self.adviser = self.make_adviser()

    def make_adviser(self, **dns: object) -> Adviser:
        return Adviser(
            self.office.ledger,
            self.writer,
            self.make_settings(**dns),
            clock=lambda: self.office.now,
        )

    def make_settings(self, **dns: object) -> DnsSettings:
        named = {"resolvers": [self.server.address], "timeout": "10s"}
        return DnsSettings.model_validate(named | dns)

    def reach(self, *recipients: str, author: str = AUTHOR) -> None:
        for recipient in recipients:
            self.office.ledger.write(
                lambda c, to=recipient: reached.mark(c, author, to, self.office.now)  # type: ignore[misc] # a lambda has no annotations
            )

    async def advise(self) -> list[dict[str, object]]:
        """Look into what waits, a second later; return the lines of the log."""
        self.office.move(SECOND)
        with structlog.testing.capture_logs(processors=[check_shape]) as lines:
            await self.adviser.advise(self.office.now)
        return [
            {key: value for key, value in line.items() if key != "log_level"} for line in lines
        ]

    def read(self, subject: str = TYPED) -> tuple[str | None, bool]:
        """Return a case's suggestion, and whether it was looked into."""
        query = select(schema.cases).where(schema.cases.c.subject == subject)
        row = self.office.ledger.read(lambda c: c.execute(query).one())
        return row.suggestion, row.advised_at is not None

    def kill_dns(self) -> None:
        self.server.odd |= dict.fromkeys(("gmial.com", "gmail.com", "exmaple.org"), _say_nothing)


NOTHING, NOT_YET = (None, True), (None, False)
FOUND = (MEANT, True)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(dict(RECORDS)).run() as running:
        yield running


@pytest.fixture
def house(ledger: Ledger, server: NameServer) -> Iterator[House]:
    house = House(Office(ledger), server)
    yield house
    house.writer.stop()


async def test_what_was_meant_stands_in_the_case_and_in_the_log(house: House) -> None:
    house.office.fail("a", TYPED)
    assert await house.advise() == [
        {
            "event": "address_suggested",
            "case": find_case_id(AUTHOR, TYPED),
            "author": AUTHOR,
            "subject": TYPED,
            "suggestion": MEANT,
            "why": "domain",
        }
    ]
    assert house.read() == FOUND
    assert set(house.server.list_asked()) == {("gmial.com", "MX"), ("gmail.com", "MX")}
    assert await house.advise() == []


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param({}, FOUND, id="NXDOMAIN"),
        pytest.param({("gmial.com", "MX"): ["0 ."]}, FOUND, id="null MX"),
        pytest.param({("gmial.com", "TXT"): ['"x"']}, FOUND, id="no mail service"),
        pytest.param({("gmial.com", "A"): ["192.0.2.1"]}, FOUND, id="an address, no MX"),
        pytest.param({("gmial.com", "MX"): ["10 mx.gmial.com."]}, NOTHING, id="MX"),
    ],
)
async def test_only_a_domain_that_takes_no_mail_is_mistyped(
    house: House, records: dict[tuple[str, str], list[str]], expected: tuple[str | None, bool]
) -> None:
    house.server.records |= records
    house.office.fail("a", TYPED)
    await house.advise()
    assert house.read() == expected


@pytest.mark.parametrize(
    "records",
    [
        pytest.param({}, id="NXDOMAIN"),
        pytest.param({("gmail.com", "MX"): ["0 ."]}, id="null MX"),
        pytest.param({("gmail.com", "A"): ["192.0.2.1"]}, id="an address, no MX"),
    ],
)
async def test_only_a_domain_with_mail_servers_is_meant(
    house: House, records: dict[tuple[str, str], list[str]]
) -> None:
    del house.server.records["gmail.com", "MX"]
    house.server.records |= records
    house.office.fail("a", TYPED)
    assert await house.advise() == []
    assert house.read() == NOTHING


OURS = Suggestion(MEANT, Basis.DOMAIN, needs_dns=True, holds_without_dns=True)
DOUBTFUL = Suggestion(MEANT, Basis.DOMAIN, needs_dns=True, holds_without_dns=False)
UNKNOWN, WRONG = Reason.USER_UNKNOWN, Reason.DOMAIN_UNKNOWN


@pytest.mark.parametrize(
    ("reason", "suggestion", "typed", "meant", "expected"),
    [
        (UNKNOWN, OURS, MailService.NXDOMAIN, MailService.HAS_MX, True),
        (UNKNOWN, OURS, MailService.IMPLICIT, MailService.HAS_MX, True),
        (UNKNOWN, DOUBTFUL, MailService.NONE, MailService.HAS_MX, True),
        (UNKNOWN, DOUBTFUL, MailService.NULL_MX, MailService.HAS_MX, True),
        (UNKNOWN, DOUBTFUL, MailService.IMPLICIT, MailService.HAS_MX, False),
        (UNKNOWN, OURS, MailService.HAS_MX, MailService.FAILED, False),
        (WRONG, OURS, MailService.HAS_MX, MailService.HAS_MX, False),
        (UNKNOWN, OURS, MailService.FAILED, MailService.NXDOMAIN, False),
        (WRONG, OURS, MailService.FAILED, MailService.IMPLICIT, False),
        (UNKNOWN, OURS, MailService.FAILED, MailService.HAS_MX, None),
        (UNKNOWN, OURS, MailService.NXDOMAIN, MailService.FAILED, None),
        (WRONG, OURS, MailService.FAILED, MailService.FAILED, True),
        (Reason.NOT_ACCEPTING, OURS, MailService.FAILED, MailService.HAS_MX, True),
    ],
)
def test_dns_decides_where_it_speaks_and_else_the_receiving_side(
    reason: Reason,
    suggestion: Suggestion,
    typed: MailService,
    meant: MailService,
    expected: bool | None,
) -> None:
    assert judge(reason, suggestion, typed, meant) is expected


async def test_while_dns_is_silent_the_case_waits_and_is_looked_into_again(house: House) -> None:
    house.kill_dns()
    house.adviser.take(house.make_settings(timeout="100ms"))
    house.office.fail("a", TYPED)
    assert await house.advise() == []
    assert house.read() == NOT_YET
    asked = len(house.server.asked)
    await house.advise()
    assert len(house.server.asked) == asked
    house.server.odd.clear()
    house.adviser.take(house.make_settings())
    house.office.move(TRY_AGAIN)
    await house.advise()
    assert house.read() == FOUND


@pytest.mark.parametrize("verdict", [DOMAIN_UNKNOWN, NOT_ACCEPTING])
async def test_while_dns_is_silent_the_receiving_sides_word_is_enough(
    house: House, verdict: Verdict
) -> None:
    house.kill_dns()
    house.adviser.take(house.make_settings(timeout="100ms"))
    house.office.fail("a", TYPED, verdict=verdict)
    await house.advise()
    assert house.read() == FOUND


async def test_a_case_whose_dns_is_silent_holds_no_other_up(house: House) -> None:
    house.server.odd["gmial.com"] = _say_nothing
    house.adviser.take(house.make_settings(timeout="500ms"))
    for number in range(3):
        house.office.fail(f"a{number}", f"max{number}@gmial.com")
    house.office.fail("b", "ida@gmali.com")
    await house.advise()
    assert house.read("ida@gmali.com") == ("ida@gmail.com", True)
    assert house.read("max0@gmial.com") == NOT_YET


async def test_a_look_at_a_resolver_that_never_ends_is_cut_short(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "LOOK_S", 0.1)
    house.kill_dns()
    house.adviser.take(house.make_settings(timeout="1d"))
    house.office.fail("a", TYPED)
    async with asyncio.timeout(30):
        await house.advise()
    assert house.read() == NOT_YET


async def test_with_very_many_cases_waiting_for_dns_no_more_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "MOST_POSTPONED", 2)
    house.kill_dns()
    house.adviser.take(house.make_settings(timeout="100ms"))
    for number in range(2):
        house.office.fail(f"a{number}", f"max{number}@gmial.com")
    await house.advise()
    house.server.asked.clear()
    house.office.fail("b", "ida@gmail.con")
    await house.advise()
    assert house.server.asked == []
    house.server.odd.clear()
    house.adviser.take(house.make_settings())
    house.office.move(TRY_AGAIN)
    await house.advise()
    assert house.read("ida@gmail.con") == ("ida@gmail.com", True)


async def test_without_dns_likeness_decides_unless_both_may_be_real(house: House) -> None:
    house.adviser.take(house.make_settings(enabled=False))
    house.reach("ida@example.org")
    house.office.fail("a", TYPED)
    house.office.fail("b", "max@exmaple.org")
    house.office.fail("c", "eva@exmaple.org", verdict=DOMAIN_UNKNOWN)
    await house.advise()
    assert house.read() == FOUND
    assert house.read("max@exmaple.org") == NOTHING
    assert house.read("eva@exmaple.org") == ("eva@example.org", True)
    assert house.server.asked == []


async def test_what_the_author_has_reached_is_meant(house: House) -> None:
    house.reach("max.muster@example.org")
    house.reach("max.meier@example.org", author="ben@bau.example")
    house.office.fail("a", "max.mustre@example.org")
    house.office.fail("b", "max.meire@example.org")
    house.office.fail("c", "eva@exmaple.org")
    await house.advise()
    assert house.read("max.mustre@example.org") == ("max.muster@example.org", True)
    assert house.read("max.meire@example.org") == NOTHING
    assert house.read("eva@exmaple.org") == ("eva@example.org", True)


async def test_what_the_installation_has_reached_is_meant_and_read_every_ten_minutes(
    house: House,
) -> None:
    house.office.fail("a", "eva@exmaple.org")
    await house.advise()
    assert house.read("eva@exmaple.org") == NOTHING
    house.reach("a@example.org", "b@example.org", "c@example.org", author="ben@bau.example")
    house.office.fail("b", "ida@exmaple.org")
    await house.advise()
    assert house.read("ida@exmaple.org") == NOTHING
    house.office.move(10 * MINUTE)
    house.office.fail("c", "uta@exmaple.org")
    await house.advise()
    assert house.read("uta@exmaple.org") == ("uta@example.org", True)


async def test_an_address_that_is_itself_known_to_be_wrong_is_not_meant(house: House) -> None:
    house.office.fail("a", MEANT)
    house.office.fail("b", TYPED)
    assert await house.advise() == []
    assert house.read() == NOTHING


async def test_a_new_strike_is_a_new_look(house: House) -> None:
    house.server.records["gmial.com", "MX"] = ["10 mx.gmial.com."]
    house.office.fail("a", TYPED)
    await house.advise()
    assert house.read() == NOTHING
    del house.server.records["gmial.com", "MX"]
    house.office.move(DAY)
    house.office.fail("b", TYPED)
    await house.advise()
    assert house.read() == FOUND


async def test_what_changed_during_the_look_is_neither_stored_nor_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.office.fail("a", TYPED)

    def fail_meanwhile(query: Query) -> list[bytes]:
        house.office.fail("a", TYPED, verdict=MAILBOX_FULL, report="f" * 16)
        house.server.odd.clear()
        return [house.server.answer(query).to_wire()]

    house.server.odd["gmial.com"] = fail_meanwhile
    assert await house.advise() == []
    assert house.read() == NOT_YET


async def test_a_look_takes_so_many_cases_and_the_next_one_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "AT_ONCE", 2)
    for number in range(3):
        house.office.fail(f"a{number}", f"max{number}@gmial.com")
    assert len(await house.advise()) == 2
    assert len(await house.advise()) == 1


async def test_learning_takes_every_send_that_has_had_its_time_in_steps(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "LEARNED_AT_ONCE", 2)
    monkeypatch.setattr(advising, "MOST_STEPS", 2)
    for number in range(5):
        send = Send(f"{number:016x}", AUTHOR, (f"r{number}@example.org",), house.office.now)
        house.office.ledger.write(lambda c, new=send: sends.register(c, new))  # type: ignore[misc] # a lambda has no annotations
    house.office.move(reached.LEARN_AFTER)
    await house.adviser.learn(house.office.now)
    assert len(house.office.dump("reached")["reached"]) == 4
    await house.adviser.learn(house.office.now)
    assert len(house.office.dump("reached")["reached"]) == 5
