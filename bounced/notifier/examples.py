"""Makes up notices as they come in real life, for a preview and the gallery; always the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bounced.diagnosis import Fix
from bounced.ledger.records import ClaimedNotice, Entry, EntryStrike, MendedDomain
from bounced.model import REASONS, Category, Reason
from bounced.notifier.diagnoses import DOMAIN, list_diagnoses
from bounced.notifier.samples import make_case_id

AUTHOR = f"anna.berger@{DOMAIN}"
DIGEST = "digest"
"""The example that shows most."""

_SENT_AT = datetime(2026, 11, 20, 13, 3, tzinfo=UTC)
_TITLES = {
    "de": ("Neubau Lindenhof – Baubesprechung Nr. 14", "Abnahme Rohbau", "Begehung Haus B"),
    "en": ("Linden Court – Site meeting no. 14", "Shell acceptance", "Inspection of house B"),
}
_NAMES = (
    ("BV-2026-014", "https://protokolle.example/p/8f3a"),
    ("BV-2026-015", "https://protokolle.example/p/2c71"),
    ("BV-2026-009", "https://protokolle.example/p/d05e"),
)
"""Reference and page of each."""
_LOCALS = ("a.klein", "buero", "c.weber", "einkauf", "f.wagner", "info", "j.becker", "planung")
_FIRMS = ("amt", "elektro", "geruest", "holzbau", "kunde", "maler", "sanitaer", "statik")
_REPLIES = {
    Reason.USER_UNKNOWN: "550 5.1.1 <{address}>: Recipient address rejected: User unknown",
    Reason.DOMAIN_UNKNOWN: "550 5.1.2 <{address}>: Recipient address rejected: Domain not found",
    Reason.MAILBOX_DISABLED: "550 5.2.1 The email account that you tried to reach is disabled",
    Reason.CONTENT: "554 5.7.1 Message refused as spam",
    Reason.SPF: "550 5.7.23 SPF validation failed",
    Reason.DKIM: f"550 5.7.20 No passing DKIM signature found for {DOMAIN}",
    Reason.DMARC: "550 5.7.1 Rejected by the DMARC policy of the sender's domain",
    Reason.UNAUTHENTICATED: "550 5.7.26 Blocked because the sender is unauthenticated",
    Reason.MAILBOX_FULL: "452 4.2.2 <{address}>: The email account is over quota",
    Reason.TOO_LARGE: "552 5.3.4 Message size exceeds fixed limit",
    Reason.EXPIRED: "451 4.4.1 Connection timed out",
}


@dataclass(frozen=True, slots=True)
class _Protocol:
    """What an example's author has sent."""

    title: str
    reference: str
    url: str


def list_examples(language: str) -> dict[str, ClaimedNotice]:
    """Return notices by name; their titles are German or English, whatever the language."""
    titles = _TITLES["de" if language == "de" else "en"]
    protocols = tuple(_Protocol(title, *name) for title, name in zip(titles, _NAMES, strict=True))
    first = protocols[0]
    typo = replace(
        _make_case(Reason.DOMAIN_UNKNOWN, "max.huber@gmial.com", first),
        suggestion="max.huber@gmail.com",
    )
    examples = {
        "single": [typo],
        "last": [_make_case(Reason.USER_UNKNOWN, "p.mayer@kunde.example", first, number=3)],
        "spam": [_make_case(Reason.CONTENT, "planung@amt.example", first)],
        DIGEST: _make_digest(typo, protocols),
        "forty": [_make_numbered(Reason.USER_UNKNOWN, nth, first) for nth in range(40)],
        "two-hundred": [
            _make_numbered(reason, nth, protocols[nth % len(protocols)])
            for reason, numbers in (
                (Reason.USER_UNKNOWN, range(120)),
                (Reason.MAILBOX_FULL, range(120, 200)),
            )
            for nth in numbers
        ],
    }
    notices = {name: _make_notice(entries, language) for name, entries in examples.items()}
    for name, entry in _list_domains(first):
        author = f"anna.berger@{entry.subject}"
        notices[name] = replace(_make_notice([entry], language), author=author)
    mended = (MendedDomain(DOMAIN, _SENT_AT - timedelta(days=1, hours=5)),)
    return notices | {"mended": replace(_make_notice(examples["spam"], language), mended=mended)}


def _list_domains(protocol: _Protocol) -> Iterable[tuple[str, Entry]]:
    """Return a case for each kind of diagnosis that an author hears of."""
    for name, (reason, diagnosis) in list_diagnoses(_SENT_AT + timedelta(minutes=16)).items():
        if diagnosis.fix is not Fix.NONE:
            case = _make_case(reason, "jan@statik.example", protocol)
            yield name, replace(case, subject=diagnosis.domain, diagnosis=diagnosis)


def _make_digest(typo: Entry, protocols: tuple[_Protocol, ...]) -> list[Entry]:
    first, second, third = protocols
    return [
        typo,
        _make_case(Reason.USER_UNKNOWN, "p.mayer@kunde.example", second, number=3),
        _make_case(Reason.MAILBOX_DISABLED, "c.weber@holzbau.example", first, number=2),
        _make_case(Reason.CONTENT, "planung@amt.example", first),
        *(case for name, case in _list_domains(first) if name == "publish-dkim"),
        _make_case(Reason.MAILBOX_FULL, "info@maler.example", second),
        _make_case(Reason.TOO_LARGE, "einkauf@sanitaer.example", third, number=2),
        _make_case(Reason.EXPIRED, "buero@elektro.example", first, forwarded=True),
    ]


def _make_notice(entries: list[Entry], language: str) -> ClaimedNotice:
    return ClaimedNotice(
        notice="0123456789abcdef",
        claim="example",
        author=AUTHOR,
        message_id="0123456789abcdef.example@bounce.example.com",
        claimed_at=_SENT_AT + timedelta(minutes=17),
        attempts=1,
        language=language,
        entries=tuple(entries),
    )


def _make_numbered(reason: Reason, nth: int, protocol: _Protocol) -> Entry:
    """Return one of many cases, each of another address."""
    local = f"{_LOCALS[nth % len(_LOCALS)]}{nth // len(_LOCALS) or ''}"
    address = f"{local}@{_FIRMS[nth // 3 % len(_FIRMS)]}.example"
    return _make_case(reason, address, protocol, number=nth % 7 // 3 + 1)


def _make_case(
    reason: Reason,
    address: str,
    protocol: _Protocol,
    *,
    number: int = 1,
    forwarded: bool = False,
) -> Entry:
    """Return a case of this protocol; a sender domain's has two recipients."""
    category = next(category for category, reasons in REASONS.items() if reason in reasons)
    is_domain = category is Category.AUTH_FAILURE
    strike = EntryStrike(
        recipient=address,
        failed_at=_SENT_AT + timedelta(minutes=2),
        title=protocol.title,
        sent_at=_SENT_AT,
        reference=protocol.reference,
        url=protocol.url,
        reply=_REPLIES[reason].format(address=address),
        remote_mta=f"mx.{address.rpartition('@')[2]}",
        forwarded=forwarded,
    )
    other = replace(strike, recipient="petra@kunde.example")
    return Entry(
        case=make_case_id(f"{reason.value} {address}"),
        subject=DOMAIN if is_domain else address,
        category=category,
        reason=reason,
        number=number,
        max_notices=3,
        strikes=(strike, other) if is_domain else (strike,),
        strikes_total=2 if is_domain else number,
    )
