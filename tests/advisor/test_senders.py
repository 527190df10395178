"""Refused domains are looked into before their authors are told, and again every day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dns.message
import dns.rcode
import pytest
import pytest_asyncio
import structlog
from sqlalchemy import select

from bounced.advisor import batch, senders
from bounced.advisor.diagnose import Means, Question, diagnose
from bounced.advisor.senders import TRY_AGAIN, SenderAdviser, SenderSettings, is_mended
from bounced.config import AdviceSettings, DnsSettings
from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    Fix,
    State,
    read_diagnosis,
)
from bounced.ledger import schema
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import find_case_id
from bounced.ledger.writer import Writer
from bounced.logs import check_shape
from bounced.model import Reason, Signature
from tests.advisor.nameserver import Behaviour, NameServer, Query, reply
from tests.ledger.office import AUTHOR, DAY, MINUTE, SPF, START, Office, bounce

DOMAIN = "bau.example"
CASE = find_case_id(AUTHOR, DOMAIN)
OURS, INCLUDE = "192.0.2.25", "spf.app.example"
RECORDS = {
    (DOMAIN, "A"): ["198.51.100.7"],
    (INCLUDE, "TXT"): [f'"v=spf1 ip4:{OURS} -all"'],
    ("bounce.example.com", "TXT"): [f'"v=spf1 ip4:{OURS} -all"'],
}
MERGED = [f'"v=spf1 include:{INCLUDE} ~all"']
SECOND = timedelta(seconds=1)


def _say_nothing(_query: Query) -> list[bytes]:
    return []


def _fail(query: Query) -> list[bytes]:
    return [reply(query, dns.rcode.SERVFAIL).to_wire()]


def _babble(_query: Query) -> list[bytes]:
    return [b"\0" * 11, b"\xff" * 500]


def _answer_something_else(query: Query) -> list[bytes]:
    return [reply(dns.message.make_query("other.example", "TXT", id=query.id)).to_wire()]


BAD_RESOLVERS: dict[str, Behaviour] = {
    "dead": _say_nothing,
    "failing": _fail,
    "babbling": _babble,
    "lying": _answer_something_else,
}


class House:
    """An office with an adviser and a name server of its own."""

    def __init__(self, office: Office, server: NameServer) -> None:
        self.office = office
        self.server = server
        self.writer = Writer(office.ledger)
        self.adviser = SenderAdviser(
            office.ledger,
            self.writer,
            self.make_settings(),
            clock=lambda: office.now,
            new_id=office.new_id,
        )

    def make_settings(self, **dns: object) -> SenderSettings:
        named = {"resolvers": [self.server.address], "timeout": "10s"}
        offers = {"spf_include": INCLUDE, "sending_addresses": [OURS]}
        return SenderSettings(
            DnsSettings.model_validate(named | dns),
            Means(
                AdviceSettings.model_validate(offers),
                own_domains=frozenset({"app.example"}),
                return_domains=frozenset({"bounce.example.com"}),
            ),
            self.office.settings,
        )

    def refuse(self, send: str = "a", author: str = AUTHOR, **returned: Any) -> None:
        """Let a mail be refused for SPF, whose MAIL FROM is of the author's domain."""
        found = bounce(send, verdict=SPF, author=author, at=self.office.now)
        assert found.report.returned is not None
        named = {"return_path": f"b@{author.partition('@')[2]}"} | returned
        changed = replace(found.report.returned, **named)
        self.office.receive(replace(found, report=replace(found.report, returned=changed)))

    async def advise(self) -> list[dict[str, object]]:
        """Look into what waits, a second later; return the lines of the log."""
        self.office.move(SECOND)
        return await self._log(self.adviser.advise(self.office.now))

    async def check(self, after: timedelta = DAY + SECOND) -> list[dict[str, object]]:
        self.office.move(after)
        return await self._log(self.adviser.check(self.office.now))

    async def _log(self, work: Any) -> list[dict[str, object]]:
        with structlog.testing.capture_logs(processors=[check_shape]) as lines:
            await work
        return [
            {key: value for key, value in line.items() if key != "log_level"} for line in lines
        ]

    def read(self, domain: str = DOMAIN) -> Any:
        query = select(schema.cases).where(schema.cases.c.subject == domain)
        return self.office.ledger.read(lambda c: c.execute(query).one())

    def read_said(self, domain: str = DOMAIN) -> Diagnosis:
        said = read_diagnosis(self.read(domain).diagnosis)
        assert said is not None
        return said

    def read_fix(self, domain: str = DOMAIN) -> Fix | None:
        return self.read_said(domain).fix if self.read(domain).diagnosis else None

    def silence(self, domain: str = DOMAIN) -> None:
        names = (domain, f"_dmarc.{domain}", f"_domainkey.{domain}", f"bounces.{domain}")
        self.server.odd |= dict.fromkeys(names, _say_nothing)
        self.adviser.take(self.make_settings(timeout="100ms"))

    def fail(self, domain: str) -> None:
        """Let every question about a domain fail."""
        names = (domain, f"_dmarc.{domain}", f"_domainkey.{domain}", f"bounces.{domain}")
        self.server.odd |= dict.fromkeys(names, _fail)

    def speak(self) -> None:
        self.server.odd.clear()
        self.adviser.take(self.make_settings())


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(dict(RECORDS)).run() as running:
        yield running


@pytest.fixture
def house(ledger: Ledger, server: NameServer) -> Iterator[House]:
    house = House(Office(ledger), server)
    yield house
    house.writer.stop()


def diagnosed(fix: str) -> dict[str, object]:
    return {
        "event": "sender_diagnosed",
        "case": CASE,
        "author": AUTHOR,
        "subject": DOMAIN,
        "fix": fix,
        "identity": "mail-from",
        "mail_from_domain": DOMAIN,
    }


CLOSED = {
    "event": "case_closed",
    "case": CASE,
    "author": AUTHOR,
    "subject": DOMAIN,
    "why": "dns-passed",
}


async def test_what_is_to_be_done_stands_in_the_case_and_in_the_log(house: House) -> None:
    house.refuse()
    assert await house.advise() == [diagnosed("publish-spf")]
    said = house.read_said()
    assert (said.domain, said.checked_at) == (DOMAIN, START + SECOND)
    (record,) = said.records
    assert (record.name, record.type, INCLUDE in record.value) == (DOMAIN, "TXT", True)
    assert await house.advise() == []


async def test_what_the_report_tells_of_the_mail_decides(house: House) -> None:
    """MAIL FROM of ours, which passes; a signature of his domain, without a key."""
    house.refuse(return_path=None, signatures=(Signature(DOMAIN, "s1"),))
    (line,) = await house.advise()
    assert line["mail_from_domain"] == "bounce.example.com"
    assert (f"s1._domainkey.{DOMAIN}", "TXT") in house.server.list_asked()


async def test_all_that_the_report_tells_is_asked_with(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def note(question: Question, *others: Any) -> Diagnosis:
        asked.append(question)
        return await diagnose(question, *others)

    monkeypatch.setattr(batch, "diagnose", note)
    house.refuse(signatures=(Signature(DOMAIN, "s1"),))
    await house.advise()
    assert asked == [
        Question(
            domain=DOMAIN,
            mail_from_domain=DOMAIN,
            reason=Reason.SPF,
            reply="smtp; 550 5.1.1 no such user",
            signatures=(Signature(DOMAIN, "s1"),),
            forwarded=False,
            recipient_domain="kunde.example",
        )
    ]


async def test_while_dns_is_silent_that_is_said_and_asked_again(house: House) -> None:
    house.silence()
    house.refuse()
    assert await house.advise() == [diagnosed("not-checked")]
    asked = len(house.server.asked)
    assert await house.advise() == []
    assert len(house.server.asked) == asked
    house.office.move(TRY_AGAIN)
    assert await house.advise() == []
    assert len(house.server.asked) > asked
    house.speak()
    house.office.move(2 * TRY_AGAIN)
    assert await house.advise() == [diagnosed("publish-spf")]
    assert house.read_fix() is Fix.PUBLISH_SPF


@pytest.mark.parametrize("name", BAD_RESOLVERS)
async def test_what_a_bad_resolver_says_is_never_read_as_no_record(
    house: House, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def respond(packet: bytes, _transport: str) -> list[bytes]:
        return BAD_RESOLVERS[name](dns.message.from_wire(packet))

    monkeypatch.setattr(house.server, "respond", respond)
    house.adviser.take(house.make_settings(timeout="100ms"))
    house.refuse()
    assert await house.advise() == [diagnosed("not-checked")]
    said = house.read_said()
    assert {finding.state for finding in said.findings} == {State.NOT_CHECKED}


async def test_a_domain_whose_dns_is_silent_holds_no_other_up(house: House) -> None:
    house.silence("stumm.example")
    house.adviser.take(house.make_settings(timeout="500ms"))
    house.refuse("a", "ida@stumm.example")
    house.refuse("b")
    await house.advise()
    assert (house.read_fix("stumm.example"), house.read_fix()) == (
        Fix.NOT_CHECKED,
        Fix.PUBLISH_SPF,
    )


async def test_dead_domains_hold_up_no_other_however_many_they_are(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "MOST_POSTPONED", 2)
    monkeypatch.setattr(batch, "AT_ONCE", 2)
    for number in range(8):
        house.fail(f"s{number}.example")
        house.refuse("a", f"x@s{number}.example")
    house.office.move(MINUTE)
    house.refuse("b")
    for _ in range(5):
        await house.advise()
    assert house.read_fix() is Fix.PUBLISH_SPF


async def test_each_pause_after_a_failure_is_twice_as_long_up_to_the_usual_one(
    house: House,
) -> None:
    house.fail(DOMAIN)
    house.refuse()
    asked_at = []
    for _ in range(5 * 24 * 60 // 4):
        house.server.asked.clear()
        await house.adviser.advise(house.office.now)
        await house.adviser.check(house.office.now)
        if house.server.asked:
            asked_at.append((house.office.now - START) // TRY_AGAIN)
        house.office.move(TRY_AGAIN)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 871, 1231, 1591]


async def test_a_dead_domain_is_asked_about_once_for_all_its_authors(house: House) -> None:
    house.fail(DOMAIN)
    house.refuse("a", f"anna@{DOMAIN}")
    await house.advise()
    once = len(house.server.asked)
    house.office.close(find_case_id(f"anna@{DOMAIN}", DOMAIN))
    house.server.asked.clear()
    for number in range(9):
        house.refuse("b", f"x{number}@{DOMAIN}")
    lines = await house.advise()
    assert [line["fix"] for line in lines] == ["not-checked"] * 9
    assert len(house.server.asked) == once
    house.speak()
    house.office.move(TRY_AGAIN)
    lines = await house.advise()
    assert {line["author"]: line["fix"] for line in lines} == {
        f"x{number}@{DOMAIN}": "publish-spf" for number in range(9)
    }


async def test_a_domain_that_breaks_the_look_stops_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def break_one(question: Question, *others: Any) -> Diagnosis:
        asked.append(question.domain)
        if question.domain == "gift.example":
            raise RuntimeError(question.domain)
        return await diagnose(question, *others)

    monkeypatch.setattr(batch, "diagnose", break_one)
    house.refuse("a", "ida@gift.example")
    house.refuse("b")
    failed, *lines = await house.advise()
    exception = str(failed.pop("exception"))
    assert exception.endswith("RuntimeError: gift.example\n")
    assert failed == {
        "event": "job_failed",
        "case": find_case_id("ida@gift.example", "gift.example"),
        "job": "look into a refused domain",
        "error": "RuntimeError",
    }
    assert {line["subject"]: line["fix"] for line in lines} == {
        "gift.example": "not-checked",
        DOMAIN: "publish-spf",
    }
    asked.clear()
    await house.advise()
    assert asked == []


async def test_a_dead_domain_is_checked_once_a_day(house: House) -> None:
    house.refuse()
    await house.advise()
    house.fail(DOMAIN)
    house.office.move(DAY)
    asked = 0
    for _ in range(2 * 24 * 60 // 4 - 1):
        house.office.move(TRY_AGAIN)
        house.server.asked.clear()
        await house.adviser.check(house.office.now)
        await house.adviser.advise(house.office.now)
        asked += bool(house.server.asked)
    assert (asked, house.read_fix()) == (2, Fix.PUBLISH_SPF)


async def test_a_refusal_from_a_clock_that_is_ahead_is_looked_into_once(house: House) -> None:
    house.office.move(5 * MINUTE)
    house.refuse()
    house.office.move(-5 * MINUTE)
    assert await house.advise() == [diagnosed("publish-spf")]
    house.server.asked.clear()
    house.adviser.take(house.make_settings())  # without what the resolver has kept
    assert (await house.advise(), house.server.asked) == ([], [])


async def _refuse_after_the_mend(house: House) -> None:
    """Tell the author what to publish; let a receiver refuse him who still keeps "no record"."""
    house.refuse()
    await house.advise()
    house.office.move(20 * MINUTE)
    assert len(house.office.send_due()) == 1
    house.server.records[DOMAIN, "TXT"] = MERGED
    house.adviser.take(house.make_settings())
    house.office.move(40 * MINUTE)
    house.refuse("b")
    assert await house.advise() == [diagnosed("ask-receiver")]


async def test_one_more_refusal_after_the_mend_leaves_the_case_open_for_two_days_only(
    house: House,
) -> None:
    await _refuse_after_the_mend(house)
    assert await house.check() == []
    assert await house.check() == [CLOSED]


async def test_nor_does_a_refusal_after_the_case_was_closed_keep_it_open_for_longer(
    house: House,
) -> None:
    house.refuse()
    await house.advise()
    house.office.move(20 * MINUTE)
    assert len(house.office.send_due()) == 1
    house.server.records[DOMAIN, "TXT"] = MERGED
    assert await house.check() == [CLOSED]
    house.office.move(DAY)
    house.refuse("b")
    assert await house.advise() == [diagnosed("ask-receiver")]
    assert await house.check() == []
    assert await house.check() == [CLOSED]


async def test_a_receiver_that_goes_on_refusing_keeps_the_case_open(house: House) -> None:
    await _refuse_after_the_mend(house)
    assert await house.check() == []
    house.refuse("c")
    await house.advise()
    assert await house.check() == []
    assert house.read().state == "open"


async def test_where_nothing_was_to_be_mended_no_silence_closes_the_case(house: House) -> None:
    house.server.records[DOMAIN, "TXT"] = MERGED
    house.refuse()
    assert await house.advise() == [diagnosed("ask-receiver")]
    house.office.move(20 * MINUTE)
    assert len(house.office.send_due()) == 1
    for _ in range(4):
        assert await house.check() == []
    assert house.read().state == "open"


async def test_with_dns_off_that_is_said_once(house: House) -> None:
    house.adviser.take(house.make_settings(enabled=False))
    house.refuse()
    assert await house.advise() == [diagnosed("not-checked")]
    house.office.move(TRY_AGAIN)
    written_at = house.read().checked_at
    assert await house.advise() == []
    assert await house.check() == []
    assert (house.read().checked_at, house.server.asked) == (written_at, [])


async def test_a_mail_providers_domain_is_known_without_dns(house: House) -> None:
    house.adviser.take(house.make_settings(enabled=False))
    house.refuse("a", "ida@gmx.de")
    await house.advise()
    assert house.read_fix("gmx.de") is Fix.USE_OUR_ADDRESS


async def test_a_new_strike_is_a_new_look(house: House) -> None:
    house.refuse()
    await house.advise()
    house.server.records[DOMAIN, "TXT"] = ['"v=spf1 mx -all"']
    house.office.move(DAY)
    house.refuse("b")
    assert await house.advise() == [diagnosed("merge-spf")]


async def test_what_changed_during_the_look_is_neither_stored_nor_told(house: House) -> None:
    house.refuse()

    def refuse_meanwhile(query: Query) -> list[bytes]:
        house.server.odd.clear()
        house.office.move(SECOND)
        house.refuse("b")
        return [house.server.answer(query).to_wire()]

    house.server.odd[DOMAIN] = refuse_meanwhile
    assert await house.advise() == []
    assert house.read_fix() is None
    assert await house.advise() == [diagnosed("publish-spf")]


async def test_what_was_found_within_the_second_of_the_refusal_is_told_once(house: House) -> None:
    house.office.move(SECOND / 2)
    house.refuse()
    house.office.move(SECOND / 4)
    await house.adviser.advise(house.office.now)
    assert house.read_fix() is Fix.PUBLISH_SPF
    assert await house.check() == []


async def test_the_case_closes_on_the_day_when_dns_passes(house: House) -> None:
    house.refuse()
    await house.advise()
    assert await house.check() == []
    assert house.read().state == "open"
    house.server.records[DOMAIN, "TXT"] = MERGED
    assert await house.check(MINUTE) == []
    assert await house.check() == [CLOSED]
    row = house.read()
    assert (row.state, row.closed_why, row.notices) == ("closed", "dns-passed", 0)
    assert house.read_fix() is Fix.ASK_RECEIVER
    assert await house.check() == []


async def test_while_it_does_not_pass_the_case_keeps_what_dns_says_now(house: House) -> None:
    house.refuse()
    await house.advise()
    house.server.records[DOMAIN, "TXT"] = ['"v=spf1 mx -all"']
    assert await house.check() == [diagnosed("merge-spf")]
    assert await house.check() == []
    assert (house.read().state, house.read_fix()) == ("open", Fix.MERGE_SPF)


async def test_dns_that_fails_proves_nothing_and_takes_nothing_back(house: House) -> None:
    house.refuse()
    await house.advise()
    house.silence()
    assert await house.check() == []
    assert (house.read().state, house.read_fix()) == ("open", Fix.PUBLISH_SPF)
    house.server.records[DOMAIN, "TXT"] = MERGED
    house.speak()
    assert await house.check(TRY_AGAIN) == []
    assert await house.check() == [CLOSED]


async def test_what_dns_could_not_say_when_it_was_told_is_found_out_later(house: House) -> None:
    house.silence()
    house.refuse()
    await house.advise()
    house.office.move(20 * MINUTE)
    (sent,) = house.office.send_due()
    (entry,) = sent.entries
    assert entry.diagnosis is not None
    assert entry.diagnosis.fix is Fix.NOT_CHECKED
    house.speak()
    assert await house.check() == []
    assert await house.advise() == [diagnosed("publish-spf")]


async def test_a_case_is_closed_a_day_later_if_a_notice_of_it_is_on_its_way(house: House) -> None:
    house.refuse()
    await house.advise()
    house.server.records[DOMAIN, "TXT"] = MERGED
    house.office.move(DAY)
    claimed = house.office.claim()
    assert claimed is not None
    assert await house.check() == []
    house.office.start_data(claimed)
    house.office.settle(claimed)
    assert await house.check(MINUTE) == []
    assert await house.check() == [CLOSED]


async def test_all_that_is_to_be_checked_is_checked_in_one_beat(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "AT_ONCE", 2)
    for number in range(5):
        house.refuse("a", f"x@d{number}.example")
    for _ in range(3):
        await house.advise()
    await house.check()
    checked = {house.read(f"d{number}.example").checked_at for number in range(5)}
    assert checked == {house.office.now}


async def test_neither_counting_nor_telling_waits_for_a_look(house: House) -> None:
    """Both write while the look has no answer yet."""
    asked = asyncio.Event()

    def note(_query: Query) -> list[bytes]:
        asked.set()
        return []

    house.refuse()
    house.server.odd[DOMAIN] = note
    look = asyncio.create_task(house.adviser.advise(house.office.now))
    await asked.wait()
    house.office.move(20 * MINUTE)
    (sent,) = house.office.send_due()
    assert [entry.diagnosis for entry in sent.entries] == [None]
    house.refuse("b", "ida@other.example")
    assert not look.done()
    look.cancel()
    await asyncio.gather(look, return_exceptions=True)


def diagnosis(fix: Fix, *findings: tuple[Check, State]) -> Diagnosis:
    looked = tuple(DiagnosisFinding(check, state, "") for check, state in findings)
    return Diagnosis(DOMAIN, None, START, None, fix, freemail=False, findings=looked)


SPF_BAD, SPF_GOOD = (Check.SPF, State.FAIL), (Check.SPF, State.PASS)
SPF_CARELESS, SPF_UNASKED = (Check.SPF, State.WARNING), (Check.SPF, State.NOT_CHECKED)
KEY_BAD, KEY_GOOD = (Check.DKIM, State.MISSING), (Check.DKIM, State.PASS)
PATH_BAD, PATH_GOOD = (Check.RETURN_PATH, State.MISSING), (Check.RETURN_PATH, State.PASS)
POLICY_BAD, POLICY_GOOD = (Check.DMARC, State.MISSING), (Check.DMARC, State.PASS)
TO_DO = (Fix.PUBLISH_SPF, Fix.MERGE_SPF, Fix.PUBLISH_DKIM, Fix.RETURN_PATH_CNAME)
TO_BE_SEEN = (*TO_DO, Fix.PUBLISH_DMARC, Fix.OURS)


@pytest.mark.parametrize("known", Fix)
@pytest.mark.parametrize("now", [Fix.NONE, Fix.ASK_RECEIVER])
def test_a_domain_is_mended_when_nothing_is_left_to_do_that_dns_can_show(
    known: Fix, now: Fix
) -> None:
    assert is_mended(diagnosis(known), diagnosis(now)) is (known in TO_BE_SEEN)
    assert not is_mended(diagnosis(Fix.OURS, SPF_GOOD), diagnosis(now)), "never shown by DNS"


@pytest.mark.parametrize(
    ("known", "was", "now", "expected"),
    [
        (Fix.PUBLISH_SPF, [SPF_BAD], [SPF_GOOD, KEY_BAD], True),
        (Fix.MERGE_SPF, [SPF_BAD], [SPF_GOOD, SPF_CARELESS], True),
        (Fix.MERGE_SPF, [SPF_BAD], [SPF_BAD, KEY_GOOD], False),
        (Fix.MERGE_SPF, [SPF_BAD], [SPF_UNASKED], False),
        (Fix.MERGE_SPF, [SPF_BAD], [], False),
        (Fix.PUBLISH_DKIM, [KEY_BAD, KEY_BAD], [KEY_GOOD, KEY_GOOD], True),
        (Fix.PUBLISH_DKIM, [KEY_BAD, KEY_BAD], [KEY_GOOD, KEY_BAD], False),
        (Fix.PUBLISH_DKIM, [KEY_BAD, SPF_BAD], [KEY_BAD, SPF_GOOD], False),
        (Fix.RETURN_PATH_CNAME, [PATH_BAD], [PATH_GOOD], True),
        (Fix.PUBLISH_DMARC, [POLICY_BAD], [POLICY_GOOD], True),
        (Fix.OURS, [SPF_BAD, KEY_BAD], [SPF_GOOD, KEY_BAD], True),
        (Fix.OURS, [SPF_GOOD], [SPF_GOOD], False),
        (Fix.USE_OUR_ADDRESS, [SPF_BAD], [SPF_GOOD], False),
        (Fix.NOT_CHECKED, [SPF_UNASKED], [SPF_GOOD], False),
    ],
)
def test_a_domain_is_mended_when_what_was_asked_for_is_done(
    known: Fix, was: list[tuple[Check, State]], now: list[tuple[Check, State]], expected: bool
) -> None:
    """Though the table of fixes would by now name another one."""
    other = Fix.PUBLISH_DMARC if known is Fix.PUBLISH_DKIM else Fix.PUBLISH_DKIM
    assert is_mended(diagnosis(known, *was), diagnosis(other, *now)) is expected


@pytest.mark.parametrize("known", TO_BE_SEEN)
def test_dns_that_could_not_be_asked_shows_nothing(known: Fix) -> None:
    was = diagnosis(known, SPF_BAD, KEY_BAD, PATH_BAD, POLICY_BAD)
    now = diagnosis(Fix.NOT_CHECKED, SPF_GOOD, KEY_GOOD, PATH_GOOD, POLICY_GOOD)
    assert not is_mended(was, now)
