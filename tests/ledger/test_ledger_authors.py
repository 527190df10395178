"""What authors say behind the links, and who of them is not mailed."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from bounced.ledger import authors, outbox, schema, webhooks
from bounced.ledger.addresses import ChangedCase
from bounced.ledger.authors import PageCase, PageFacts, SilentAuthor
from bounced.ledger.engine import Ledger
from bounced.ledger.entries import read_notice
from bounced.ledger.policy import find_case_id
from bounced.ledger.records import CaseState, HeldWhy, NoticeState
from bounced.ledger.reports import Finding
from bounced.ledger.silence import BouncedNotice
from bounced.model import Action, TokenType, Verdict
from tests.ledger.office import (
    AUTHOR,
    DAY,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    SPF,
    START,
    USER_UNKNOWN,
    Office,
    bounce,
    wait_until_blocked,
)

CASE = find_case_id(AUTHOR, RECIPIENT)
NEW = "max.muster@kunde.example"


def tell_once(office: Office, send: str = "told") -> str:
    """Tell the author of one failure; return the notice."""
    office.fail(send)
    office.move(15 * MINUTE)
    (sent,) = office.send_due()
    return sent.notice


def bounce_notice(
    office: Office,
    notice: str,
    recipient: str = AUTHOR,
    *,
    verdict: Verdict = USER_UNKNOWN,
    report: str = "00000000000000b1",
    action: Action = Action.FAILED,
) -> Finding:
    """Return what the processor finds in the report that comes back on a notice."""
    found = bounce("x", recipient, at=office.now, report=report, verdict=verdict)
    facts = (replace(found.report.recipients[0], action=action),)
    return replace(
        found,
        arrival=replace(found.arrival, token_type=TokenType.NOTICE, token_id=notice),
        report=replace(found.report, recipients=facts),
        verdicts=(verdict if action is Action.FAILED else None,),
        author=None,
    )


def act(office: Office, work: Callable[..., Any], *what: str, webhook: bool = True) -> Any:
    """Let an author act now."""
    return office.ledger.write(
        lambda c: work(c, *what, office.now, webhook=webhook, new_id=office.new_id)
    )


def reset(office: Office, author: str = AUTHOR) -> bool:
    return office.ledger.write(lambda c: authors.reset_author(c, author, office.now))


def find_silence(office: Office) -> HeldWhy | None:
    return next((each.why for each in list_silent(office) if each.author == AUTHOR), None)


def list_silent(office: Office) -> list[SilentAuthor]:
    return office.ledger.read(authors.list_silent)


def read_page(office: Office, notice: str, case: str | None) -> PageFacts | None:
    return office.ledger.read(lambda c: authors.read_page(c, notice, case))


def hear(office: Office) -> list[tuple[str, dict[str, Any]]]:
    """Return what the application hears besides strikes and notices."""
    found, _ = outbox.read_events(office.ledger, 0, 100)
    dull = {"strike_counted", "notice_sent"}
    return [(event.event, event.body) for event in found if event.event not in dull]


def list_bodies(office: Office) -> list[dict[str, Any]]:
    rows = office.ledger.read(webhooks.list_webhooks)
    return [json.loads(json.dumps(row["body"])) for row in reversed(rows)]


def hold(office: Office, why: HeldWhy) -> None:
    """Hold the author's waiting digest."""
    values = {"state": NoticeState.HELD.value, "why": why.value}
    office.ledger.write(
        lambda c: c.execute(update(schema.notices).where(schema.is_waiting).values(values))
    )


def find_waiting(office: Office) -> tuple[str, str | None, bool]:
    """Return state, reason and release of the only waiting digest."""
    columns = schema.notices.c
    query = select(columns.state, columns.why, columns.released).where(schema.is_waiting)
    return office.ledger.read(lambda c: tuple(c.execute(query).one()))


def test_a_notice_that_bounces_makes_its_author_unreachable_whoever_the_report_names(
    office: Office,
) -> None:
    notice = tell_once(office)
    forwarded_to = "anna@elsewhere.example"
    (outcome,) = office.receive(bounce_notice(office, notice, forwarded_to, verdict=MAILBOX_FULL))
    assert outcome.bounced == BouncedNotice(notice, AUTHOR, silenced=True)
    assert find_silence(office) is HeldWhy.UNREACHABLE
    assert list_silent(office) == [SilentAuthor(AUTHOR, office.now, notice, None)]
    assert hear(office) == [
        (
            "notice_bounced",
            {
                "notice": notice,
                "author": AUTHOR,
                "report": "00000000000000b1",
                "recipient": forwarded_to,
                "category": "mailbox-full",
                "reason": "mailbox-full",
            },
        ),
        ("author_silenced", {"notice": notice, "author": AUTHOR, "why": "unreachable"}),
    ]


def test_a_notice_that_was_sent_and_bounced_keeps_its_slots_and_strikes_count_on(
    office: Office,
) -> None:
    notice = tell_once(office)
    slots = office.dump("slots")
    office.receive(bounce_notice(office, notice))
    assert office.dump("slots") == slots
    assert [(row["notice"], row["state"]) for row in office.list_notices()] == [(notice, "sent")]
    assert office.fail("again").strikes == 2


@pytest.mark.parametrize("again", ["00000000000000b1", "00000000000000b2"])
def test_a_second_report_silences_nobody_anew(office: Office, again: str) -> None:
    notice = tell_once(office)
    office.receive(bounce_notice(office, notice))
    since = office.now
    office.move(HOUR)
    (outcome,) = office.receive(bounce_notice(office, notice, report=again))
    assert outcome.bounced == BouncedNotice(notice, AUTHOR, silenced=False)
    assert list_silent(office) == [SilentAuthor(AUTHOR, since, notice, None)]


def test_the_second_bounce_of_a_forgiven_notice_is_no_news_another_notice_is(
    office: Office,
) -> None:
    first = tell_once(office)
    office.receive(bounce_notice(office, first))
    assert reset(office)
    office.receive(bounce_notice(office, first, report="00000000000000b2"))
    assert list_silent(office) == []
    office.move(DAY)
    second = tell_once(office, "later")
    office.receive(bounce_notice(office, second, report="00000000000000b3"))
    assert list_silent(office) == [SilentAuthor(AUTHOR, office.now, second, None)]


@pytest.mark.parametrize("action", [Action.DELAYED, Action.RELAYED, Action.DELIVERED, None])
def test_what_is_no_failure_for_good_changes_nothing(
    office: Office, action: Action | None
) -> None:
    notice = tell_once(office)
    before = office.dump("cases", "strikes", "notices", "slots", "authors", "events")
    found = bounce_notice(office, notice, action=action)  # type: ignore[arg-type] # None: a reply
    (outcome,) = office.receive(found)
    assert outcome.bounced is None
    assert office.dump("cases", "strikes", "notices", "slots", "authors", "events") == before


def test_a_bounce_of_a_notice_that_nobody_knows_silences_nobody(office: Office) -> None:
    (outcome,) = office.receive(bounce_notice(office, "fedcba9876543210"))
    assert outcome.bounced == BouncedNotice("fedcba9876543210", None, silenced=False)
    assert office.dump("authors") == {"authors": []}
    assert [name for name, _ in hear(office)] == ["notice_bounced"]


def test_who_declines_is_silent_until_he_resumes(office: Office) -> None:
    assert act(office, authors.decline, AUTHOR) is True
    declined_at = office.now
    office.move(MINUTE)
    assert act(office, authors.decline, AUTHOR) is False
    assert list_silent(office) == [SilentAuthor(AUTHOR, None, None, declined_at)]
    assert find_silence(office) is HeldWhy.DECLINED
    assert act(office, authors.resume, AUTHOR) is True
    assert act(office, authors.resume, AUTHOR) is False
    assert find_silence(office) is None
    assert hear(office) == [
        ("author_acted", {"author": AUTHOR, "action": "declined"}),
        ("author_silenced", {"author": AUTHOR, "why": "declined"}),
        ("author_acted", {"author": AUTHOR, "action": "resumed"}),
        ("author_reset", {"author": AUTHOR, "why": "author"}),
    ]


def test_who_resumes_while_unreachable_stays_silent(office: Office) -> None:
    notice = tell_once(office)
    act(office, authors.decline, AUTHOR)
    office.receive(bounce_notice(office, notice))
    assert find_silence(office) is HeldWhy.DECLINED
    assert act(office, authors.resume, AUTHOR) is True
    assert find_silence(office) is HeldWhy.UNREACHABLE


def test_an_operator_ends_every_silence(office: Office) -> None:
    notice = tell_once(office)
    act(office, authors.decline, AUTHOR)
    office.receive(bounce_notice(office, notice))
    assert reset(office) is True
    assert reset(office) is False
    assert (find_silence(office), list_silent(office)) == (None, [])
    assert hear(office)[-1] == ("author_reset", {"author": AUTHOR, "why": "operator"})


@pytest.mark.parametrize(
    ("held", "ended_by", "found"),
    [
        (HeldWhy.DECLINED, "resume", ("open", None, False)),
        (HeldWhy.DECLINED, "reset", ("open", None, False)),
        (HeldWhy.UNREACHABLE, "reset", ("open", None, False)),
        (HeldWhy.UNREACHABLE, "resume", ("held", "unreachable", False)),
        (HeldWhy.MODE, "resume", ("held", "mode", False)),
        (HeldWhy.MODE, "reset", ("held", "mode", False)),
    ],
)
def test_what_is_held_for_a_silence_waits_again_when_that_silence_ends(
    office: Office, held: HeldWhy, ended_by: str, found: tuple[str, str | None, bool]
) -> None:
    office.fail("other", author="ben@bau.example")
    act(office, authors.decline, AUTHOR)
    office.ledger.write(lambda c: c.execute(schema.notices.delete()))
    office.fail("mine")
    hold(office, held)
    if ended_by == "resume":
        act(office, authors.resume, AUTHOR)
    else:
        reset(office)
    assert find_waiting(office) == found


def test_a_silent_authors_digest_is_kept_when_due_and_goes_once_he_is_reset(
    office: Office,
) -> None:
    office.receive(bounce_notice(office, tell_once(office)))
    office.move(2 * DAY)
    office.fail("kept")
    office.move(HOUR)
    ((_, author),) = office.hold_due(everyone=False)
    assert (author, office.send_due()) == (AUTHOR, [])
    assert find_waiting(office) == ("held", "unreachable", False)
    reset(office)
    (sent,) = office.send_due()
    assert [(entry.subject, entry.number) for entry in sent.entries] == [(RECIPIENT, 2)]


def test_another_authors_digest_stays_held(office: Office) -> None:
    office.fail("other", author="ben@bau.example")
    act(office, authors.decline, AUTHOR)
    hold(office, HeldWhy.DECLINED)
    act(office, authors.resume, AUTHOR)
    assert find_waiting(office) == ("held", "declined", False)


def test_a_page_shows_the_case_as_the_notice_told_it_and_what_became_of_it(
    office: Office,
) -> None:
    notice = tell_once(office)
    told = office.ledger.read(lambda c: read_notice(c, notice))
    assert told is not None
    (entry,) = told.entries
    page = PageFacts(
        notice, AUTHOR, "de", declined=False, case=PageCase(entry, CaseState.OPEN, None, None)
    )
    assert read_page(office, notice, CASE) == page
    act(office, authors.correct_case, CASE, NEW)
    act(office, authors.decline, AUTHOR)
    closed = PageCase(entry, CaseState.CLOSED, "corrected", NEW, closed_at=office.now)
    assert read_page(office, notice, CASE) == replace(page, declined=True, case=closed)
    assert read_page(office, notice, None) == replace(page, declined=True, case=None)


@pytest.mark.parametrize(
    ("verdict", "shown"), [(USER_UNKNOWN, NEW), (MAILBOX_FULL, None)], ids=["bad", "full"]
)
def test_a_page_shows_a_suggestion_that_was_found_after_the_notice_went_out(
    office: Office, verdict: Verdict, shown: str | None
) -> None:
    office.fail("a", verdict=verdict)
    office.move(15 * MINUTE)
    (sent,) = office.send_due()
    office.ledger.write(lambda c: c.execute(update(schema.cases).values(suggestion=NEW)))
    page = read_page(office, sent.notice, CASE)
    assert page is not None
    assert page.case is not None
    assert page.case.entry.suggestion == shown


def test_there_is_no_page_of_what_no_notice_tells(office: Office) -> None:
    notice = tell_once(office)
    office.fail("b", "ida@kunde.example")
    (waiting,) = office.list_notices(state="open")
    assert read_page(office, "0123456789abcdef", None) is None
    assert read_page(office, notice, find_case_id(AUTHOR, "ida@kunde.example")) is None
    assert read_page(office, waiting["notice"], None) is None


@pytest.mark.parametrize(
    ("work", "what", "more"),
    [
        (authors.correct_case, (CASE, NEW), {"action": "corrected", "new_recipient": NEW}),
        (authors.confirm_case, (CASE,), {"action": "confirmed"}),
    ],
)
def test_an_author_closes_a_case_once_and_the_application_hears_of_it(
    office: Office, work: Callable[..., Any], what: tuple[str, ...], more: dict[str, str]
) -> None:
    office.fail("a")
    assert act(office, work, *what) == ChangedCase(CASE, AUTHOR, RECIPIENT, 1)
    office.move(MINUTE)
    assert act(office, work, *what) is None
    assert act(office, authors.correct_case, CASE, "third@kunde.example") is None
    case = office.find_case()
    assert (case["state"], case["closed_at"], case["closed_why"], case["corrected_to"]) == (
        "closed",
        START,
        more["action"],
        more.get("new_recipient"),
    )
    acted = {
        "author": AUTHOR,
        "case": CASE,
        "recipient": RECIPIENT,
        "category": "bad-address",
        "reason": "user-unknown",
    } | more
    closed = {"case": CASE, "author": AUTHOR, "subject": RECIPIENT, "round": 1}
    closed |= {"why": more["action"]}
    closed |= {"new_recipient": NEW} if "new_recipient" in more else {}
    assert hear(office) == [("author_acted", acted), ("case_closed", closed)]
    head = {"id": f"{2:016x}", "at": "2026-11-02T08:00:00Z", "event": "author_acted"}
    assert list_bodies(office) == [head | acted]


def test_a_sender_domain_that_is_mended_is_no_recipient(office: Office) -> None:
    office.fail("a", verdict=SPF)
    act(office, authors.confirm_case, find_case_id(AUTHOR, "bau.example"))
    (body,) = list_bodies(office)
    assert (body["sender_domain"], body["reason"], "recipient" in body) == (
        "bau.example",
        "spf",
        False,
    )


def test_without_a_webhook_address_none_is_queued(office: Office) -> None:
    office.fail("a")
    act(office, authors.correct_case, CASE, NEW, webhook=False)
    act(office, authors.decline, AUTHOR, webhook=False)
    act(office, authors.resume, AUTHOR, webhook=False)
    assert list_bodies(office) == []
    assert [name for name, _ in hear(office)].count("author_acted") == 3


def test_all_that_an_author_does_is_queued_in_its_order(office: Office) -> None:
    office.fail("a")
    for work, what in (
        (authors.decline, AUTHOR),
        (authors.resume, AUTHOR),
        (authors.confirm_case, CASE),
    ):
        act(office, work, what)
        office.move(MINUTE)
    assert [body["action"] for body in list_bodies(office)] == ["declined", "resumed", "confirmed"]


def test_a_case_that_is_not_there_cannot_be_closed(office: Office) -> None:
    assert act(office, authors.confirm_case, CASE) is None
    assert (hear(office), list_bodies(office)) == ([], [])


def test_a_confirmed_address_goes_on_where_it_stood_and_a_new_round_forgets_how_it_was_closed(
    office: Office,
) -> None:
    tell_once(office)
    act(office, authors.correct_case, CASE, NEW)
    office.move(2 * DAY)
    office.fail("again")
    case = office.find_case()
    assert (case["state"], case["strikes"], case["notices"], case["corrected_to"]) == (
        "open",
        2,
        1,
        NEW,
    )
    office.reset(CASE)
    case = office.find_case()
    assert (case["closed_at"], case["closed_why"], case["corrected_to"]) == (None, None, None)


def test_of_two_nodes_that_close_a_case_at_once_one_tells(postgres_url: str) -> None:
    office = Office(Ledger(postgres_url))
    office.fail("a")

    def confirm(connection: Connection) -> ChangedCase | None:
        return authors.confirm_case(
            connection, CASE, office.now, webhook=True, new_id=office.new_id
        )

    with ThreadPoolExecutor(1) as pool:
        with office.ledger.engine.begin() as first:
            assert confirm(first) is not None
            second = pool.submit(office.ledger.write, confirm)
            wait_until_blocked(first)
        assert second.result() is None
    bodies = list_bodies(office)
    office.ledger.close()
    assert len(bodies) == 1


def test_a_bounced_notice_waits_for_who_works_on_its_author(postgres_url: str) -> None:
    office = Office(Ledger(postgres_url))
    found = bounce_notice(office, tell_once(office))

    def find_at() -> datetime | None:
        return next((each.unreachable_at for each in list_silent(office)), None)

    with ThreadPoolExecutor(1) as pool:
        with office.ledger.engine.begin() as first:
            authors.decline(first, AUTHOR, office.now, webhook=False, new_id=office.new_id)
            second = pool.submit(office.receive, found)
            wait_until_blocked(first)
        second.result()
    silenced_at = find_at()
    office.ledger.close()
    assert silenced_at == office.now
