"""Notices of one building site, as they happen; the values that the notice tests share."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry, EntryStrike
from bounced.model import REASONS, Reason
from bounced.notifier.compose import Composer
from bounced.notifier.telling import Links

SENT_AT = datetime(2026, 11, 20, 13, 3, tzinfo=UTC)

SETTINGS = NoticeSettings(
    sender="protokolle@baudoku.example",
    reply_to="hilfe@baudoku.example",
    application_name="Baudoku",
    application_url="https://baudoku.example/",
)

EVERY_REASON = [reason for reasons in REASONS.values() for reason in reasons]

LINDENHOF = EntryStrike(
    recipient="max.huber@gmial.com",
    failed_at=SENT_AT + timedelta(minutes=2),
    title="Neubau Lindenhof – Baubesprechung Nr. 14",
    sent_at=SENT_AT,
    reference="BV-2026-014",
    url="https://baudoku.example/p/8f3a",
    reply="550 5.1.2 <max.huber@gmial.com>: Recipient address rejected: Domain not found",
    remote_mta="mx1.relay.example",
)


def make_strike(recipient: str, reply: str | None = None, **changes: object) -> EntryStrike:
    strike = replace(LINDENHOF, recipient=recipient, reply=reply, remote_mta="mx.kunde.example")
    return replace(strike, **changes)  # type: ignore[arg-type] # the tests' own names


def make_case(
    reason: Reason,
    *strikes: EntryStrike,
    number: int = 1,
    total: int = 0,
    suggestion: str | None = None,
) -> Entry:
    category = next(category for category, reasons in REASONS.items() if reason in reasons)
    is_domain = category.value == "auth-failure"
    return Entry(
        case=f"{reason.value} {strikes[0].recipient}",
        subject="bergerbau.example" if is_domain else strikes[0].recipient,
        category=category,
        reason=reason,
        number=number,
        max_notices=3,
        strikes=strikes,
        strikes_total=total or len(strikes),
        suggestion=suggestion,
    )


def make_notice(*entries: Entry, language: str | None = "de") -> ClaimedNotice:
    return ClaimedNotice(
        notice="0123456789abcdef",
        claim="claim-1",
        author="anna.berger@bergerbau.example",
        message_id="0123456789abcdef.k2x7@bounce.baudoku.example",
        claimed_at=SENT_AT + timedelta(minutes=17),
        attempts=1,
        language=language,
        entries=entries,
    )


def make_composer(settings: NoticeSettings = SETTINGS, links: Links | None = None) -> Composer:
    return Composer(None, settings, fallback_sender="bounced@bounce.example.com", links=links)


def make_link(notice: ClaimedNotice, entry: Entry | None) -> str:
    """Return a URL as long as a sealed one, and as free of addresses."""
    about = "settings" if entry is None else hashlib.sha256(entry.case.encode()).hexdigest()
    return f"https://bounces.example.com/n/{notice.notice}{about}"


SINGLE = (make_case(Reason.DOMAIN_UNKNOWN, LINDENHOF, number=2, total=2),)

LAST = (
    make_case(
        Reason.MAILBOX_FULL,
        make_strike(
            "info@maler-huber.example",
            "452 4.2.2 The email account is over quota",
            title="Abnahme",
        ),
        make_strike("info@maler-huber.example", sent_at=SENT_AT - timedelta(days=7), url=None),
        number=3,
        total=5,
    ),
)

DOMAIN = (
    make_case(
        Reason.SPF,
        make_strike(
            "petra@kunde.example",
            "550 5.7.23 SPF validation failed",
            remote_mta="mx.kunde.example",
        ),
        make_strike("jan@statik.example", remote_mta=None),
    ),
)

DIGEST = (
    make_case(Reason.USER_UNKNOWN, make_strike("p.mayer@kunde.example", "550 5.1.1 User unknown")),
    make_case(
        Reason.USER_UNKNOWN,
        make_strike("a.klein@statik.example", "550 No such user here", remote_mta=None),
        number=3,
        total=3,
    ),
    make_case(
        Reason.CONTENT,
        make_strike("planung@amt.example", "554 5.7.1 Message refused as spam"),
        number=2,
        total=2,
    ),
    make_case(
        Reason.UNREACHABLE,
        make_strike(
            "buero@elektro.example",
            "550 5.1.1 <elektro.privat@example.net>: unknown",
            forwarded=True,
        ),
    ),
    make_case(Reason.DOMAIN_UNKNOWN, LINDENHOF),
)
