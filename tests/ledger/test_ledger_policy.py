"""What counts and when authors are told, table by table; no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bounced.ledger.policy import (
    NEEDS_TWO,
    OPS_REASONS,
    Context,
    Ignored,
    PolicySettings,
    Strike,
    decide_strike,
    find_age,
    find_case_id,
    find_due,
    find_interval,
    find_send_key,
    find_sent,
    find_threshold,
)
from bounced.model import (
    REASONS,
    Action,
    Category,
    Kind,
    Reason,
    RecipientFacts,
    Reply,
    Report,
    ReturnedMessage,
    Send,
    TokenType,
    Verdict,
)
from tests.ledger.office import AUTHOR, DAY, HOUR, MINUTE, RECIPIENT, SPF, START, USER_UNKNOWN

SETTINGS = PolicySettings()
FACTS = RecipientFacts(final_recipient=RECIPIENT, action=Action.FAILED)
RETURNED = ReturnedMessage(from_address=AUTHOR, message_id="m1@app.example", sent_at=START - DAY)
REPORT = Report(kind=Kind.DELIVERY_STATUS, recipients=(FACTS,), returned=RETURNED)
CONTEXT = Context(author=AUTHOR, received_at=START)
SEND = Send("00000000000000aa", AUTHOR, (RECIPIENT,), START)
REGISTERED = replace(CONTEXT, send=SEND, token_type=TokenType.SEND, token_id=SEND.send)

DMARC = Verdict(Category.AUTH_FAILURE, Reason.DMARC)
FORWARDED = replace(FACTS, original_recipient="max@alumni.example")


def say(text: str) -> RecipientFacts:
    return replace(FACTS, replies=(Reply(text, "part 2, Diagnostic-Code"),))


def decide(
    report: Report = REPORT,
    facts: RecipientFacts = FACTS,
    verdict: Verdict | None = USER_UNKNOWN,
    context: Context = CONTEXT,
    settings: PolicySettings = SETTINGS,
) -> Strike | Ignored:
    return decide_strike(report, facts, verdict, context, settings)


def returned(**fields: object) -> Report:
    return replace(REPORT, returned=replace(RETURNED, **fields))  # type: ignore[arg-type] # a table's short cut


def test_a_failure_is_a_strike_with_all_that_its_place_needs() -> None:
    assert decide() == Strike(
        author=AUTHOR,
        subject=RECIPIENT,
        recipient=RECIPIENT,
        recipient_key=RECIPIENT,
        send_key="message-id:m1@app.example",
        category=Category.BAD_ADDRESS,
        reason=Reason.USER_UNKNOWN,
    )


RETURN_DOMAINS = frozenset({"bounce.app.example", "bounces.bau.example"})

IGNORED = {
    "delayed": (decide(facts=replace(FACTS, action=Action.DELAYED)), Ignored.NOT_FAILED),
    "delivered": (decide(facts=replace(FACTS, action=Action.DELIVERED)), Ignored.NOT_FAILED),
    "relayed": (decide(facts=replace(FACTS, action=Action.RELAYED)), Ignored.NOT_FAILED),
    "expanded": (decide(facts=replace(FACTS, action=Action.EXPANDED)), Ignored.NOT_FAILED),
    "no action": (decide(facts=replace(FACTS, action=None)), Ignored.NOT_FAILED),
    "no verdict": (decide(verdict=None), Ignored.NOT_FAILED),
    "our own notice": (
        decide(context=replace(CONTEXT, token_type=TokenType.NOTICE)),
        Ignored.NOTICE,
    ),
    "our own probe": (decide(context=replace(CONTEXT, token_type=TokenType.PROBE)), Ignored.PROBE),
    "feedback": (decide(replace(REPORT, kind=Kind.FEEDBACK)), Ignored.NOT_A_BOUNCE),
    "auto-reply": (decide(replace(REPORT, kind=Kind.AUTO_REPLY)), Ignored.NOT_A_BOUNCE),
    "disposition": (decide(replace(REPORT, kind=Kind.DISPOSITION)), Ignored.NOT_A_BOUNCE),
    "unrecognized": (decide(replace(REPORT, kind=Kind.UNRECOGNIZED)), Ignored.NOT_A_BOUNCE),
    "no author": (decide(context=replace(CONTEXT, author=None)), Ignored.NO_AUTHOR),
    "an endless author": (
        decide(context=replace(CONTEXT, author="a" * 309 + "@bau.example")),
        Ignored.NO_AUTHOR,
    ),
    "another recipient than the send's": (decide(context=REGISTERED), Ignored.NOT_ADDRESSED),
    "no recipient": (decide(facts=RecipientFacts(action=Action.FAILED)), Ignored.NO_RECIPIENT),
    "an endless recipient": (
        decide(facts=replace(FACTS, final_recipient="a" * 309 + "@bau.example")),
        Ignored.NO_RECIPIENT,
    ),
    "too old": (decide(returned(sent_at=START - 14 * DAY - MINUTE)), Ignored.TOO_OLD),
    "of unknown age": (decide(returned(sent_at=None)), Ignored.AGE_UNKNOWN),
    "a category that is off": (
        decide(settings=replace(SETTINGS, categories=frozenset({Category.POLICY}))),
        Ignored.CATEGORY_OFF,
    ),
    "our own sender domain": (
        decide(verdict=DMARC, settings=replace(SETTINGS, own_domains=frozenset({"bau.example"}))),
        Ignored.OWN_DOMAIN,
    ),
    "a sender domain that is not his": (
        decide(returned(from_address="noreply@other.example"), verdict=DMARC),
        Ignored.FOREIGN_DOMAIN,
    ),
    "a sender domain that ends like his": (
        decide(returned(from_address="x@umbau.example"), verdict=DMARC),
        Ignored.FOREIGN_DOMAIN,
    ),
    "a sender without a domain": (
        decide(returned(from_address="root"), verdict=DMARC),
        Ignored.FOREIGN_DOMAIN,
    ),
    "SPF of our own return path": (
        decide(
            facts=say("550 5.7.23 SPF failed: bounces@bounce.app.example not permitted"),
            verdict=SPF,
            settings=replace(SETTINGS, return_domains=frozenset({"bounce.app.example"})),
        ),
        Ignored.OWN_DOMAIN,
    ),
    "SPF of our return path, and of one in his domain": (
        decide(
            facts=say("550 5.7.23 bounces.bau.example, bounce.app.example: SPF failed"),
            verdict=SPF,
            settings=replace(SETTINGS, return_domains=RETURN_DOMAINS),
        ),
        Ignored.OWN_DOMAIN,
    ),
    "SPF of our return path, in a link": (
        decide(
            facts=say("550 5.7.1 See http://openspf.org/Why?s=mfrom;id=b%40bounce.app.example"),
            verdict=SPF,
            settings=replace(SETTINGS, return_domains=RETURN_DOMAINS),
        ),
        Ignored.OWN_DOMAIN,
    ),
    "SPF behind a forwarder": (decide(facts=FORWARDED, verdict=SPF), Ignored.FORWARDED),
}


@pytest.mark.parametrize("name", IGNORED)
def test_a_failure_is_no_strike(name: str) -> None:
    actual, expected = IGNORED[name]
    assert actual is expected


COUNTED = {
    "a free-form bounce": decide(replace(REPORT, kind=Kind.FREEFORM)),
    "just young enough": decide(returned(sent_at=START - 14 * DAY)),
    "dated in the future": decide(returned(sent_at=START + DAY)),
    "DMARC behind a forwarder": decide(facts=FORWARDED, verdict=DMARC),
    "a category that is on": decide(
        settings=replace(SETTINGS, categories=frozenset({Category.BAD_ADDRESS}))
    ),
    "an own domain's other trouble": decide(
        settings=replace(SETTINGS, own_domains=frozenset({"bau.example"}))
    ),
    "SPF of his domain, named beside our return path": decide(
        facts=say("550 5.7.1 SPF of bau.example failed (bounces@bounce.app.example)"),
        verdict=SPF,
        settings=replace(SETTINGS, return_domains=frozenset({"bounce.app.example"})),
    ),
    "SPF of a return path in his domain": decide(
        facts=say("550 5.7.23 SPF failed: b@bounces.bau.example not permitted"),
        verdict=SPF,
        settings=replace(SETTINGS, return_domains=RETURN_DOMAINS),
    ),
    "SPF of nobody named": decide(
        facts=say("550 5.7.23 SPF failed"),
        verdict=SPF,
        settings=replace(SETTINGS, return_domains=frozenset({"bounce.app.example"})),
    ),
    "a recipient at the longest": decide(
        facts=replace(FACTS, final_recipient="a" * 308 + "@bau.example")
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_failure_is_a_strike(name: str) -> None:
    assert isinstance(COUNTED[name], Strike)


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_goes_to_the_author_or_to_ops(reason: Reason) -> None:
    (category,) = (category for category, reasons in REASONS.items() if reason in reasons)
    decided = decide(verdict=Verdict(category, reason))
    assert (decided is Ignored.OPS_ONLY) == (
        reason.value in {"relay-denied", "tls-required", "reverse-dns", "format"}
    )
    assert reason in OPS_REASONS or isinstance(decided, Strike)


SUBJECTS = {
    "the recipient": (decide(), RECIPIENT),
    "the original recipient": (decide(facts=FORWARDED), "max@alumni.example"),
    "the send's recipient, whatever the report shows": (
        decide(
            facts=replace(FACTS, final_recipient="m@gmx.example"),
            context=replace(REGISTERED, addressed="Max@Kunde.example"),
        ),
        RECIPIENT,
    ),
    "the send's recipient, where the report shows none": (
        decide(
            facts=RecipientFacts(action=Action.FAILED),
            context=replace(REGISTERED, addressed=RECIPIENT),
        ),
        RECIPIENT,
    ),
    "the sender domain": (decide(verdict=DMARC), "bau.example"),
    "a sender domain below the author's": (
        decide(returned(from_address="x@mail.BAU.example"), verdict=DMARC),
        "mail.bau.example",
    ),
    "a sender domain above the author's": (
        decide(verdict=DMARC, context=replace(CONTEXT, author="anna@nord.bau.example")),
        "bau.example",
    ),
    "the author's domain, where From is missing": (
        decide(returned(from_address=None), verdict=DMARC),
        "bau.example",
    ),
    "the author's domain, where From is endless": (
        decide(returned(from_address="x@" + "a" * 400 + ".bau.example"), verdict=DMARC),
        "bau.example",
    ),
    "the author's domain, where nothing came back": (
        decide(replace(REPORT, returned=None, dated_at=START), verdict=DMARC),
        "bau.example",
    ),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_case_is_about(name: str) -> None:
    decided, expected = SUBJECTS[name]
    assert isinstance(decided, Strike)
    assert decided.subject == expected


BARE = Report(kind=Kind.FREEFORM)
QUEUED = replace(BARE, reporting_mta="MX.example", queue_id="4XyZ")
ENVELOPE = replace(QUEUED, envelope_id="env1")
MESSAGE = replace(ENVELOPE, returned=RETURNED)

SEND_KEYS = {
    "the token's send id": (MESSAGE, REGISTERED, "send:00000000000000aa"),
    "the Message-ID of the returned message": (MESSAGE, CONTEXT, "message-id:m1@app.example"),
    "not the id of a notice": (
        MESSAGE,
        replace(REGISTERED, token_type=TokenType.NOTICE),
        "message-id:m1@app.example",
    ),
    "the envelope id": (ENVELOPE, CONTEXT, "envelope-id:env1"),
    "the envelope id, where the returned message has no id": (
        replace(ENVELOPE, returned=ReturnedMessage()),
        CONTEXT,
        "envelope-id:env1",
    ),
    "reporting MTA and queue id": (QUEUED, CONTEXT, "queue:mx.example/4XyZ"),
    "the report itself": (BARE, replace(CONTEXT, digest="abc"), "sha256:abc"),
    "the report itself, where the queue has no host": (
        replace(QUEUED, reporting_mta=None),
        replace(CONTEXT, digest="abc"),
        "sha256:abc",
    ),
    "the longest as it is": (
        replace(BARE, envelope_id="e" * 243),
        CONTEXT,
        "envelope-id:" + "e" * 243,
    ),
    "a longer one by its hash": (
        replace(BARE, envelope_id="e" * 244),
        CONTEXT,
        "sha256:0bf0df5e38aa868b",
    ),
}


@pytest.mark.parametrize("name", SEND_KEYS)
def test_one_send_is_told_from_another_by(name: str) -> None:
    report, context, expected = SEND_KEYS[name]
    assert find_send_key(report, context)[: len(expected)] == expected


def test_the_age_runs_from_the_first_known_time() -> None:
    report = replace(
        REPORT,
        arrived_at=START - 2 * DAY,
        returned=replace(RETURNED, sent_at=START - 3 * DAY),
        dated_at=START - 4 * DAY,
    )
    token_day = (START - 5 * DAY).toordinal() - 719_163
    ages = []
    for context, facts in (
        (replace(CONTEXT, token_day=token_day), report),
        (CONTEXT, report),
        (CONTEXT, replace(report, arrived_at=None)),
        (CONTEXT, replace(report, arrived_at=None, returned=None)),
    ):
        ages.append(find_age(facts, context))
    assert ages == [5 * DAY + 8 * HOUR, 2 * DAY, 3 * DAY, 4 * DAY]
    assert find_age(BARE, CONTEXT) is None


TODAY = (START - datetime(1970, 1, 1, tzinfo=UTC)).days


@pytest.mark.parametrize(
    ("day", "arrived_at", "sent_at", "expected"),
    [
        pytest.param(None, START, START - DAY, START, id="at the relay"),
        pytest.param(None, None, START - DAY, START - DAY, id="by its Date"),
        pytest.param(None, None, None, None, id="never told"),
        pytest.param(TODAY, None, None, START - 8 * HOUR, id="on the token's day"),
        pytest.param(TODAY, START, None, START, id="at a time of that day"),
        pytest.param(TODAY, START + DAY, START, START, id="by a Date of that day"),
        pytest.param(TODAY, START + DAY, START - DAY, START - 8 * HOUR, id="as the token says"),
    ],
)
def test_a_mail_was_sent(
    day: int | None, arrived_at: datetime | None, sent_at: datetime | None, expected: datetime
) -> None:
    returned = replace(RETURNED, sent_at=sent_at)
    report = replace(REPORT, arrived_at=arrived_at, returned=returned, dated_at=START + DAY)
    assert find_sent(report, day) == expected


@pytest.mark.parametrize("category", Category)
def test_network_trouble_is_told_from_the_second_send_all_else_from_the_first(
    category: Category,
) -> None:
    told_late = category in {Category.SYSTEM, Category.UNKNOWN}
    assert find_threshold(category) == (2 if told_late else 1)
    assert (category in NEEDS_TWO) == told_late


@pytest.mark.parametrize("category", Category)
def test_only_auth_failures_have_the_long_interval(category: Category) -> None:
    expected = 7 * DAY if category is Category.AUTH_FAILURE else DAY
    assert find_interval(category, SETTINGS) == expected


@pytest.mark.parametrize(
    ("last_notice_ago", "expected"),
    [
        (None, 15 * MINUTE),
        (30 * DAY, 15 * MINUTE),
        (DAY, 15 * MINUTE),
        (DAY - 15 * MINUTE, 15 * MINUTE),
        (DAY - 16 * MINUTE, 16 * MINUTE),
        (HOUR, 23 * HOUR),
        (timedelta(0), DAY),
    ],
)
def test_a_case_is_due_at_the_later_of_window_and_interval(
    last_notice_ago: timedelta | None, expected: timedelta
) -> None:
    last = None if last_notice_ago is None else START - last_notice_ago
    assert find_due(START, last, Category.BAD_ADDRESS, SETTINGS) == START + expected


def test_a_case_has_one_id_whoever_counts_it() -> None:
    assert find_case_id("anna@bau.example", "max@kunde.example") == "e8d78431b635c041"
    assert find_case_id("a", "b\nc") != find_case_id("a\nb", "c")
    assert len({find_case_id(a, s) for a in ("x", "y") for s in ("x", "y", "xy")}) == 6
