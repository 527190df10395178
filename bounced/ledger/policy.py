"""What counts, who is told, and when: the promises of DESIGN §5 as pure functions.

Nothing here reads a clock or a database; the ledger asks, and writes down what it is told.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import unquote

from bounced.ledger.records import clean_text
from bounced.model import (
    Action,
    Category,
    Kind,
    Reason,
    RecipientFacts,
    Report,
    Send,
    TokenType,
    Verdict,
    domain_key,
    recipient_key,
    split_address,
)

OPS_REASONS = frozenset(
    {Reason.RELAY_DENIED, Reason.TLS_REQUIRED, Reason.REVERSE_DNS, Reason.FORMAT}
)
"""Reasons that an author can do nothing about: ops read them in the log."""

_HOST_NAME = re.compile(r"[a-z0-9.-]{3,253}")

NEEDS_TWO = frozenset({Category.SYSTEM, Category.UNKNOWN})
"""Told from the second distinct send that failed for good: one network fault is no news."""

_ADDRESS_OCTETS = 320
"""Local part, @ and domain at their longest (RFC 5321 §4.5.3.1); longer is no address."""
_SEND_KEY_OCTETS = 255


class Ignored(StrEnum):
    """Why a failure is no strike; the `why` of `strike_ignored`."""

    NOT_FAILED = "not-failed"
    NOT_A_BOUNCE = "not-a-bounce"
    NO_RECIPIENT = "no-recipient"
    NO_AUTHOR = "origin-unresolved"
    NOT_ADDRESSED = "not-addressed"
    NOTICE = "own-notice"
    PROBE = "own-probe"
    TOO_OLD = "too-old"
    AGE_UNKNOWN = "age-unknown"
    OPS_ONLY = "ops-only"
    CATEGORY_OFF = "category-off"
    OWN_DOMAIN = "own-domain"
    FOREIGN_DOMAIN = "sender-domain-not-his"
    FORWARDED = "behind-forwarder"


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The settings that decide what counts and when authors are told."""

    max_age: timedelta = timedelta(days=14)
    max_notices: int = 3
    digest_window: timedelta = timedelta(minutes=15)
    min_interval: timedelta = timedelta(hours=24)
    min_interval_auth: timedelta = timedelta(days=7)
    daily_limit: int = 20
    """Notices that one author gets in any 24 hours."""
    categories: frozenset[Category] = frozenset(Category)
    own_domains: frozenset[str] = frozenset()
    """Comparison forms (`domain_key`)."""
    return_domains: frozenset[str] = frozenset()
    """Domains of our return paths, comparison forms: what fails for them is ours to mend."""
    quiet_reset: timedelta = timedelta(days=180)
    """A case without a strike for so long begins its next round with the next one."""
    first_round: int = 1
    """0 in a rehearsal: notices go to a Maildir because no relay is configured."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a report besides its own words."""

    author: str | None
    received_at: datetime
    token_type: TokenType | None = None
    token_id: str | None = None
    token_day: int | None = None
    send: Send | None = None
    addressed: str | None = None
    """For a registered send: the recipient that this failure speaks of (DESIGN §5.5)."""
    digest: str = ""
    """SHA-256 of the report, hex: the last resort of `send_key`."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One counted failure, before the ledger has given it a place."""

    author: str
    subject: str
    recipient: str
    recipient_key: str
    send_key: str
    category: Category
    reason: Reason

    @property
    def strike(self) -> str:
        """Return the id of the strike's key, 16 hex digits."""
        key = f"{self.author}\0{self.recipient_key}\0{self.send_key}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]


def decide_strike(
    report: Report,
    facts: RecipientFacts,
    verdict: Verdict | None,
    context: Context,
    settings: PolicySettings,
) -> Strike | Ignored:
    """Decide whether one recipient's failure counts, and for which case; total."""
    if facts.action is not Action.FAILED or verdict is None:
        return Ignored.NOT_FAILED
    ignored = _refuse_origin(report, facts, context) or _refuse_age(report, context, settings)
    if ignored is not None:
        return ignored
    recipient = context.addressed or facts.recipient
    assert recipient is not None and context.author is not None  # noqa: PT018 - by _refuse_origin
    recipient, author = clean_text(recipient), recipient_key(clean_text(context.author))
    subject = _find_subject(report, verdict, recipient, author)
    ignored = _refuse_verdict(facts, verdict, subject, author, settings)
    if ignored is not None:
        return ignored
    return Strike(
        author=author,
        subject=subject,
        recipient=recipient,
        recipient_key=recipient_key(recipient),
        send_key=find_send_key(report, context),
        category=verdict.category,
        reason=verdict.reason,
    )


def find_send_key(report: Report, context: Context) -> str:
    """Return what tells one send from another (DESIGN §5.2), the surest source first; total."""
    if context.token_type is TokenType.SEND and context.token_id:
        return f"send:{context.token_id}"
    if report.returned and report.returned.message_id:
        return _bound(f"message-id:{report.returned.message_id}")
    if report.envelope_id:
        return _bound(f"envelope-id:{report.envelope_id}")
    if report.reporting_mta and report.queue_id:
        return _bound(f"queue:{report.reporting_mta.lower()}/{report.queue_id}")
    return f"sha256:{context.digest}"


def find_age(report: Report, context: Context) -> timedelta | None:
    """Return receipt minus the first known time of the send; None when none is known."""
    token_at = _find_day(context.token_day)
    for moment in (token_at, *_find_sending(report), report.dated_at):
        if moment is not None:
            return context.received_at - moment
    return None


def find_sent(report: Report, token_day: int | None) -> datetime | None:
    """Return when the mail was sent that came back; None when nothing tells.

    A token tells the day only: its beginning, unless the report names a time of that day.
    """
    moments = [moment for moment in _find_sending(report) if moment is not None]
    day = _find_day(token_day)
    if day is not None:
        moments = [moment for moment in moments if day <= moment < day + timedelta(days=1)]
    return next(iter(moments), day)


def find_threshold(category: Category) -> int:
    """Return from which strike of its round on an author hears of a case."""
    return 2 if category in NEEDS_TWO else 1


def find_interval(category: Category, settings: PolicySettings) -> timedelta:
    """Return the shortest time between two notices of one case."""
    if category is Category.AUTH_FAILURE:
        return settings.min_interval_auth
    return settings.min_interval


def find_due(
    counted_at: datetime,
    last_notice_at: datetime | None,
    category: Category,
    settings: PolicySettings,
) -> datetime:
    """Return when a case with a new strike is due: the later of window and interval."""
    window_ends = counted_at + settings.digest_window
    if last_notice_at is None:
        return window_ends
    return max(window_ends, last_notice_at + find_interval(category, settings))


def find_case_id(author: str, subject: str) -> str:
    """Return the case's id, 16 hex digits; the same whoever counts first."""
    return hashlib.sha256(f"{author}\0{subject}".encode()).hexdigest()[:16]


def _find_day(token_day: int | None) -> datetime | None:
    return datetime.fromtimestamp(token_day * 86_400, UTC) if token_day is not None else None


def _find_sending(report: Report) -> tuple[datetime | None, datetime | None]:
    """Return when the mail arrived at the server that reports, and its Date."""
    return report.arrived_at, report.returned.sent_at if report.returned else None


def _refuse_origin(report: Report, facts: RecipientFacts, context: Context) -> Ignored | None:
    if context.token_type in _OWN_MAIL:
        return _OWN_MAIL[context.token_type]
    if report.kind not in {Kind.DELIVERY_STATUS, Kind.FREEFORM}:
        return Ignored.NOT_A_BOUNCE
    if context.author is None or _is_too_long(context.author):
        return Ignored.NO_AUTHOR
    if context.addressed is None and context.send is not None:
        return Ignored.NOT_ADDRESSED
    recipient = context.addressed or facts.recipient
    return Ignored.NO_RECIPIENT if recipient is None or _is_too_long(recipient) else None


_OWN_MAIL = {TokenType.NOTICE: Ignored.NOTICE, TokenType.PROBE: Ignored.PROBE}


def _refuse_age(report: Report, context: Context, settings: PolicySettings) -> Ignored | None:
    age = find_age(report, context)
    if age is None:
        return Ignored.AGE_UNKNOWN
    return Ignored.TOO_OLD if age > settings.max_age else None


def _refuse_verdict(
    facts: RecipientFacts,
    verdict: Verdict,
    subject: str,
    author: str,
    settings: PolicySettings,
) -> Ignored | None:
    if verdict.reason in OPS_REASONS:
        return Ignored.OPS_ONLY
    if verdict.category is Category.AUTH_FAILURE:
        if subject in settings.own_domains or _blames_return_path(facts, subject, settings):
            return Ignored.OWN_DOMAIN
        if not _is_same_owner(subject, split_address(author)[1]):
            return Ignored.FOREIGN_DOMAIN
        if verdict.reason is Reason.SPF and facts.forwarded:
            return Ignored.FORWARDED
    return Ignored.CATEGORY_OFF if verdict.category not in settings.categories else None


def _blames_return_path(facts: RecipientFacts, subject: str, settings: PolicySettings) -> bool:
    """Tell whether the server names our return path's domain, and not the author's, as failing.

    SPF is checked on MAIL FROM (RFC 7208 §2.4), which is ours: his record could mend nothing.
    A return path in his own domain is his, though it leads to us.
    """
    # Actually, openspf's explanation has the address in a URL: `id=bounces%40bounce.example.com`.
    said = unquote(facts.replies[0].text).lower() if facts.replies else ""
    named = {name.strip(".-") for name in _HOST_NAME.findall(said)}
    blamed = settings.return_domains & named
    return subject not in named and any(not _is_same_owner(name, subject) for name in blamed)


def _find_subject(report: Report, verdict: Verdict, recipient: str, author: str) -> str:
    """Return what the case is about: the recipient as sent, or the failing sender domain."""
    if verdict.category is not Category.AUTH_FAILURE:
        return recipient_key(recipient)
    sender = report.returned.from_address if report.returned else None
    if sender is None or _is_too_long(sender):
        sender = author
    return domain_key(split_address(clean_text(sender))[1])


def _is_same_owner(sender_domain: str, author_domain: str) -> bool:
    """Tell whether the sender domain is the author's: the same, above or below his."""
    return (
        sender_domain == author_domain
        or sender_domain.endswith(f".{author_domain}")
        or author_domain.endswith(f".{sender_domain}")
    )


def _is_too_long(address: str) -> bool:
    return len(recipient_key(clean_text(address)).encode()) > _ADDRESS_OCTETS


def _bound(send_key: str) -> str:
    """Keep a key short enough for an index of any database."""
    cleaned = clean_text(send_key)
    if len(cleaned.encode()) <= _SEND_KEY_OCTETS:
        return cleaned
    return f"sha256:{hashlib.sha256(cleaned.encode()).hexdigest()}"
