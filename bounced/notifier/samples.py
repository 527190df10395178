"""Makes up notices that use every word and every turn of the templates, to check them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bounced.ledger.records import ClaimedNotice, Entry, EntryStrike, MendedDomain
from bounced.model import REASONS, Category, Reason
from bounced.notifier.diagnoses import list_diagnoses
from bounced.notifier.grouping import MAX_CASES
from bounced.notifier.protocols import MAX_RECIPIENTS
from bounced.notifier.telling import COMPACT_CASES

AT = datetime(2026, 11, 20, 13, 3, tzinfo=UTC)
MAX_NOTICES = 3
MANY = 12


def list_samples(language: str) -> list[ClaimedNotice]:
    """Return notices of one case, first and last, digests of every reason, and large ones."""
    every = [reason for reasons in REASONS.values() for reason in reasons]
    singles = [
        make_entry(reason, number=number)
        for reason in (Reason.USER_UNKNOWN, Reason.SPF)
        for number in (1, MAX_NOTICES)
    ]
    domains = [
        replace(make_entry(reason, local=name), subject=diagnosis.domain, diagnosis=diagnosis)
        for name, (reason, diagnosis) in list_diagnoses(AT).items()
    ]
    singles += domains
    singles += [
        make_entry(Reason.USER_UNKNOWN, strikes=MANY),
        make_entry(Reason.USER_UNKNOWN, forwarded=True),
        make_entry(Reason.USER_UNKNOWN, suggestion="user@kunde.example"),
    ]
    digests = [
        domains,
        [make_entry(reason) for reason in every],
        [make_entry(r, number=n, strikes=n) for r in every for n in (1, MAX_NOTICES)],
        _make_crowd(strikes=1),
        _make_crowd(strikes=MANY),
        [make_entry(Reason.EXPIRED, local=f"{n}") for n in range(MAX_CASES + 1)],
        [make_entry(Reason.SPF, strikes=MAX_RECIPIENTS + 1)],
    ]
    notices = [
        make_notice(entries, language) for entries in (*([one] for one in singles), *digests)
    ]
    mended = tuple(MendedDomain(domain, AT) for domain in ("bau.example", "statik.example"))
    return [*notices, replace(notices[0], mended=mended)]


def make_notice(entries: list[Entry], language: str) -> ClaimedNotice:
    """Return a claimed notice of these entries."""
    return ClaimedNotice(
        notice="0123456789abcdef",
        claim="sample",
        author="anna.berger@bau.example",
        message_id="0123456789abcdef.sample@bounce.example.com",
        claimed_at=AT,
        attempts=1,
        language=language,
        entries=tuple(entries),
    )


def make_entry(
    reason: Reason,
    *,
    number: int = 1,
    strikes: int = 1,
    local: str = "",
    forwarded: bool = False,
    suggestion: str | None = None,
) -> Entry:
    """Return a case of this reason; its protocols differ where it has several strikes."""
    category = _find_category(reason)
    is_domain = category is Category.AUTH_FAILURE
    address = f"{local or reason.value}@kunde.example"
    return Entry(
        case=make_case_id(f"{reason.value} {number} {local}"),
        subject="bau.example" if is_domain else address,
        category=category,
        reason=reason,
        number=number,
        max_notices=MAX_NOTICES,
        strikes=tuple(
            _make_strike(f"{n}.{address}" if is_domain else address, n, forwarded=forwarded)
            for n in range(strikes)
        ),
        strikes_total=strikes + number - 1,
        suggestion=suggestion,
    )


def make_case_id(name: str) -> str:
    """Return an id in the form of the ledger's, always the same for the same name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _make_crowd(*, strikes: int) -> list[Entry]:
    """Return so many cases of one reason that each is a line, first and last ones."""
    return [
        make_entry(
            Reason.USER_UNKNOWN,
            number=number,
            strikes=strikes,
            local=f"{nth}",
            suggestion=f"user{nth}@kunde.example",
        )
        for number in (1, MAX_NOTICES)
        for nth in range(COMPACT_CASES)
    ]


def _make_strike(recipient: str, nth: int, *, forwarded: bool) -> EntryStrike:
    return EntryStrike(
        recipient=recipient,
        failed_at=AT - timedelta(days=nth),
        title=f"Lindenhof {14 - nth}",
        sent_at=AT - timedelta(days=nth, minutes=20),
        reference=f"2026-{14 - nth}",
        url="https://protokolle.example/14",
        reply=f"550 5.0.0 sample <{recipient}>",
        remote_mta="mx.kunde.example",
        forwarded=forwarded,
    )


def _find_category(reason: Reason) -> Category:
    return next(category for category, reasons in REASONS.items() if reason in reasons)
