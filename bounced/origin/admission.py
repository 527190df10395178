"""Who may enter: the judgement of one RCPT command, before any DATA (DESIGN §6, "At RCPT")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bounced.model import domain_key, recipient_key, split_address
from bounced.origin.rewriting import drop_batv, read_srs
from bounced.origin.token import KeyRing, Token, TokenFault, looks_like_token, open_token

OPS_LOCAL_PARTS = frozenset({"postmaster", "abuse"})
"""Taken at every domain of ours and kept for ops (RFC 5321 §4.5.1, RFC 2142 §4)."""


class Door(StrEnum):
    """By which right a report came in."""

    TOKEN = "token"  # noqa: S105 - a word, not a secret
    MAILBOX = "mailbox"
    OPS = "ops"
    UNKNOWN_LOCAL_PART = "unknown-local-part"
    """From an own relay only, as the others with a token that does not open: for quarantine."""
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105 - words, not secrets
    TOKEN_UNKNOWN_KEY = "token-unknown-key"  # noqa: S105
    TOKEN_FORGED = "token-forged"  # noqa: S105
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_FROM_THE_FUTURE = "token-from-the-future"  # noqa: S105
    TOKEN_RETIRED_KEY = "token-retired-key"  # noqa: S105
    INGEST = "ingest"
    """Read from a file: judged as if an own relay had delivered it."""


class Refusal(StrEnum):
    """Why a recipient is refused; the `why` of `smtp_refused`."""

    FOREIGN_DOMAIN = "foreign-domain"
    UNKNOWN_MAILBOX = "unknown-mailbox"
    SENDER_NOT_NULL = "sender-not-null"
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105 - words, not secrets
    TOKEN_UNKNOWN_KEY = "token-unknown-key"  # noqa: S105
    TOKEN_FORGED = "token-forged"  # noqa: S105
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_FROM_THE_FUTURE = "token-from-the-future"  # noqa: S105
    TOKEN_RETIRED_KEY = "token-retired-key"  # noqa: S105

    @property
    def reply(self) -> str:
        """Return the fixed SMTP reply; a forger learns no more than that it is not taken."""
        return _REPLIES.get(self, _TOKEN_REPLY)


_TOKEN_REPLY = "550 5.7.1 This return path was not issued here or has expired"  # noqa: S105
_REPLIES = {
    Refusal.FOREIGN_DOMAIN: "550 5.7.1 Only delivery reports for our own domains are taken here",
    Refusal.UNKNOWN_MAILBOX: "550 5.1.1 No such mailbox; delivery reports only",
    Refusal.SENDER_NOT_NULL: "550 5.7.1 This mailbox takes delivery reports only: MAIL FROM:<>",
}


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """What the door needs to know of the configuration."""

    domains: tuple[str, ...]
    """The first one stands in new return paths; at least one."""
    mailboxes: tuple[str, ...] = ()
    prefix: str = ""
    """What stands before the token, such as `bounces+`."""
    ttl_days: int = 14
    senders_allowed: tuple[str, ...] = ()
    """Addresses, or `@domain`, that may write to a plain mailbox besides the null sender."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The recipient is taken, by this right."""

    door: Door
    token: Token | None = None


Admission = Accepted | Refusal


def judge_recipient(
    address: str,
    mail_from: str,
    *,
    from_own_relay: bool,
    settings: AdmissionSettings,
    ring: KeyRing,
    today: int,
) -> Admission:
    """Judge one envelope recipient; total.

    `mail_from` is "" for the null sender; `today` is that of `find_day`.
    """
    local_part, domain = split_address(address)
    if not _is_ours(domain, settings):
        # A bare <postmaster> is everyone's (RFC 5321 §4.1.1.3).
        bare_postmaster = not domain and local_part.lower() == "postmaster"
        return Accepted(Door.OPS) if bare_postmaster else Refusal.FOREIGN_DOMAIN
    bare = _take_bare(local_part, settings)
    name = bare.lower()
    if name in OPS_LOCAL_PARTS:
        return Accepted(Door.OPS)
    if name in {mailbox.lower() for mailbox in settings.mailboxes}:
        # Refusing an own relay would lose the report, whatever sender it wrote.
        welcome = from_own_relay or _may_write(mail_from, settings.senders_allowed)
        return Accepted(Door.MAILBOX) if welcome else Refusal.SENDER_NOT_NULL
    found = _find_token(bare, settings, ring, today)
    if isinstance(found, Token):
        return Accepted(Door.TOKEN, found)
    if from_own_relay:
        return Accepted(Door.UNKNOWN_LOCAL_PART if found is None else Door(f"token-{found}"))
    return Refusal.UNKNOWN_MAILBOX if found is None else Refusal(f"token-{found}")


def build_return_path(token: str, settings: AdmissionSettings) -> str:
    """Return the address that goes into MAIL FROM of the mail that the token belongs to."""
    return f"{settings.prefix}{token}@{settings.domains[0]}"


def _is_ours(domain: str, settings: AdmissionSettings) -> bool:
    return domain_key(domain) in {domain_key(ours) for ours in settings.domains}


def _take_bare(local_part: str, settings: AdmissionSettings) -> str:
    """Take off what relays put around a local part of ours."""
    bare = drop_batv(local_part)
    rewritten = read_srs(bare)
    if rewritten is None or not _is_ours(rewritten.domain, settings):
        return bare
    return drop_batv(rewritten.local_part)


def _may_write(mail_from: str, allowed: tuple[str, ...]) -> bool:
    if mail_from == "":
        return True
    sender = recipient_key(mail_from)
    senders = {recipient_key(entry) for entry in allowed}
    return sender in senders or f"@{split_address(sender)[1]}" in senders


def _find_token(
    bare: str, settings: AdmissionSettings, ring: KeyRing, today: int
) -> Token | TokenFault | None:
    """Open the token in a local part, an older one without prefix too; None: there is none."""
    head, rest = bare[: len(settings.prefix)], bare[len(settings.prefix) :]
    if head and head.lower() == settings.prefix.lower():
        bare = rest
    elif not looks_like_token(bare):
        return None
    return open_token(bare, ring, today=today, ttl_days=settings.ttl_days)
