"""The domain types that every room of the daemon speaks in; imports nothing of ours.

Words follow the RFCs: RFC 3464 (delivery status), RFC 6533 (its international form),
RFC 5965 (feedback reports), RFC 3834 (auto-replies), RFC 8098 (disposition notifications).
All values are frozen; times are aware UTC; absent is None; the null return path is "".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BouncedError(Exception):
    """Root of the errors that we raise on purpose; its text is meant for an operator."""


class ConfigError(BouncedError):
    """The configuration, or a file that it names, cannot be used (exit 78)."""


class RuleError(ConfigError):
    """A rule file cannot be used: names file, rule and mend."""


class LedgerError(BouncedError):
    """The database cannot be used as it is: old schema, locked, unwritable."""


class SendError(BouncedError):
    """A mail could not be handed over to the relay."""


class Kind(StrEnum):
    """What a received message is."""

    DELIVERY_STATUS = "delivery-status"
    FREEFORM = "freeform"
    FEEDBACK = "feedback"
    AUTO_REPLY = "auto-reply"
    DISPOSITION = "disposition"
    UNRECOGNIZED = "unrecognized"


class Action(StrEnum):
    """What happened to one recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class Category(StrEnum):
    """Why a recipient failed, as far as it decides who is told."""

    BAD_ADDRESS = "bad-address"
    SPAM_REJECTION = "spam-rejection"
    AUTH_FAILURE = "auth-failure"
    MAILBOX_FULL = "mailbox-full"
    POLICY = "policy"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """The finer reason inside a category; each belongs to exactly one (REASONS)."""

    USER_UNKNOWN = "user-unknown"
    DOMAIN_UNKNOWN = "domain-unknown"
    MAILBOX_DISABLED = "mailbox-disabled"
    MOVED = "moved"
    NOT_ACCEPTING = "not-accepting"
    CONTENT = "content"
    REPUTATION = "reputation"
    BLOCK_LIST = "block-list"
    SENDER_BLOCKED = "sender-blocked"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    UNAUTHENTICATED = "unauthenticated"
    MAILBOX_FULL = "mailbox-full"
    TOO_LARGE = "too-large"
    VIRUS = "virus"
    CONTENT_POLICY = "content-policy"
    NOT_PERMITTED = "not-permitted"
    RELAY_DENIED = "relay-denied"
    TLS_REQUIRED = "tls-required"
    REVERSE_DNS = "reverse-dns"
    FORMAT = "format"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"
    SYSTEM_TROUBLE = "system-trouble"
    GREYLISTED = "greylisted"
    RATE_LIMITED = "rate-limited"
    LOOP = "loop"
    STORAGE_FULL = "storage-full"
    UNKNOWN = "unknown"


REASONS: dict[Category, tuple[Reason, ...]] = {
    Category.BAD_ADDRESS: (
        Reason.USER_UNKNOWN,
        Reason.DOMAIN_UNKNOWN,
        Reason.MAILBOX_DISABLED,
        Reason.MOVED,
        Reason.NOT_ACCEPTING,
    ),
    Category.SPAM_REJECTION: (
        Reason.CONTENT,
        Reason.REPUTATION,
        Reason.BLOCK_LIST,
        Reason.SENDER_BLOCKED,
    ),
    Category.AUTH_FAILURE: (Reason.SPF, Reason.DKIM, Reason.DMARC, Reason.UNAUTHENTICATED),
    Category.MAILBOX_FULL: (Reason.MAILBOX_FULL,),
    Category.POLICY: (
        Reason.TOO_LARGE,
        Reason.VIRUS,
        Reason.CONTENT_POLICY,
        Reason.NOT_PERMITTED,
        Reason.RELAY_DENIED,
        Reason.TLS_REQUIRED,
        Reason.REVERSE_DNS,
        Reason.FORMAT,
    ),
    Category.SYSTEM: (
        Reason.EXPIRED,
        Reason.UNREACHABLE,
        Reason.SYSTEM_TROUBLE,
        Reason.GREYLISTED,
        Reason.RATE_LIMITED,
        Reason.LOOP,
        Reason.STORAGE_FULL,
    ),
    Category.UNKNOWN: (Reason.UNKNOWN,),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What one server said about one recipient, folded lines joined to one line of text."""

    text: str
    where: str
    """Place in the message for a person: `part 2, Diagnostic-Code`, `part 1, line 14`."""
    smtp_code: int | None = None
    """Basic reply code 200..599 (RFC 5321 §4.2), read from the text."""
    status: str | None = None
    """Enhanced status code (RFC 3463), such as `5.1.1`, read from the text."""
    host: str | None = None
    """The host that said it, where the report tells."""
    command: str | None = None
    """The SMTP command it answered, upper case: `RCPT TO`, `MAIL FROM`, `DATA`, `CONNECT`, ..."""


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """What a report says of one recipient: the per-recipient fields of RFC 3464 §2.3."""

    final_recipient: str | None = None
    original_recipient: str | None = None
    action: Action | None = None
    status: str | None = None
    """The Status field's own code, `digit.digits.digits` only; comments are cut off."""
    smtp_code: int | None = None
    """Code of the decisive reply."""
    remote_mta: str | None = None
    diagnostic_code: str | None = None
    """As reported with its type (`smtp; 550 ...`), unfolded; None where the report has none."""
    replies: tuple[Reply, ...] = ()
    """Every text that speaks of this recipient, the most decisive first."""
    refused_elsewhere: bool = False
    """Whether the decisive reply is another server's than his, to whom his own passed the mail."""

    @property
    def recipient(self) -> str | None:
        """Return the best address for a person to recognise: the original, else the final one."""
        return self.original_recipient or self.final_recipient

    @property
    def forwarded(self) -> bool:
        """Tell whether a forwarder stands between us and the server that refused.

        Original and final recipient differ, or the reply tells.
        """
        return self.refused_elsewhere or (
            self.original_recipient is not None
            and self.final_recipient is not None
            and recipient_key(self.original_recipient) != recipient_key(self.final_recipient)
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed a mail, as its DKIM-Signature field says (RFC 6376 §3.5)."""

    domain: str
    """d=, in its comparison form."""
    selector: str
    """s=, lower case."""


@dataclass(frozen=True, slots=True)
class ReturnedMessage:
    """What the report's third part tells of the mail that bounced (RFC 3462 §1)."""

    return_path: str | None = None
    from_address: str | None = None
    to_addresses: tuple[str, ...] = ()
    message_id: str | None = None
    """Without angle brackets."""
    subject: str | None = None
    sent_at: datetime | None = None
    author: str | None = None
    """Address in the configured author header."""
    reference: str | None = None
    """Text of the configured reference header."""
    language: str | None = None
    """Text of the configured language header, else of Content-Language, as written."""
    received: tuple[str, ...] = ()
    """Its Received fields, topmost first, unfolded."""
    signatures: tuple[Signature, ...] = ()
    """Its DKIM signatures, topmost first, each once."""


@dataclass(frozen=True, slots=True)
class Report:
    """One received message, read: facts only, no judgement."""

    kind: Kind
    recipients: tuple[RecipientFacts, ...] = ()
    reporting_mta: str | None = None
    queue_id: str | None = None
    """Queue id at the reporting MTA, where the report tells."""
    envelope_id: str | None = None
    """Original-Envelope-Id (RFC 3464 §2.2.1)."""
    arrived_at: datetime | None = None
    """Arrival-Date (RFC 3464 §2.2.5)."""
    message_id: str | None = None
    """Message-ID of the report itself, without angle brackets."""
    subject: str | None = None
    dated_at: datetime | None = None
    """Date of the report itself."""
    received: tuple[str, ...] = ()
    """Received fields of the report itself, topmost first, unfolded."""
    passed_on: bool = False
    """It stands inside another message, or in one that a robot or a person may have written.

    Whoever wrote that one vouches for nothing in it.
    """
    returned: ReturnedMessage | None = None
    notes: tuple[str, ...] = ()
    """What had to be cut or mended while reading, in plain words, for `bounced explain`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why one recipient failed, and the exact words that decided."""

    category: Category
    reason: Reason
    rule: str | None = None
    """Id of the winning rule; None where no rule speaks."""
    evidence: str | None = None
    """The exact text that decided, as it stands in the reply."""
    where: str | None = None
    """The winning reply's `where`."""


UNKNOWN_VERDICT = Verdict(Category.UNKNOWN, Reason.UNKNOWN)


class TokenType(StrEnum):
    """What a signed return path belongs to."""

    SEND = "s"
    NOTICE = "n"
    PROBE = "p"


class Trust(StrEnum):
    """Why a report may count, or that it may not (DESIGN §5.4)."""

    SIGNED = "signed"
    RELAY = "relay"
    NONE = "none"


class OriginSource(StrEnum):
    """Which source told whose mail it was."""

    SEND = "send"
    AUTHOR_HEADER = "author-header"
    FROM = "from"


@dataclass(frozen=True, slots=True)
class Send:
    """One registered send of a protocol (DESIGN §6, way B)."""

    send: str
    """16 hex digits."""
    author: str
    recipients: tuple[str, ...]
    registered_at: datetime
    reference: str | None = None
    title: str | None = None
    url: str | None = None
    language: str | None = None


MAX_LOCAL_OCTETS = 64
"""RFC 5321 §4.5.3.1.1."""
UNSAFE_BEGINNINGS = ("-", "+", "=", "|")
"""Of a local part: an option or a pipe to a program, a formula to a spreadsheet."""

_MAX_DOMAIN_OCTETS = 253
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}")


def is_host_name(domain: str) -> bool:
    """Tell whether a domain, in its comparison form, can have mail: RFC 1123 §2.1; total."""
    return len(domain) <= _MAX_DOMAIN_OCTETS and _HOST_NAME.fullmatch(domain) is not None


def split_address(address: str) -> tuple[str, str]:
    """Split at the last `@` into local part and domain; the domain is "" where there is none."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (domain, "")


def domain_key(domain: str) -> str:
    """Return the comparison form of a domain: lower-case A-labels, no trailing dot; total."""
    folded = domain.strip().rstrip(".").lower()
    if folded.isascii():
        return folded
    try:
        return folded.encode("idna").decode("ascii")
    except UnicodeError:
        return folded


def recipient_key(address: str) -> str:
    """Return the comparison form of an address: local part lower-cased, domain_key; total."""
    local, domain = split_address(address.strip().removeprefix("<").removesuffix(">"))
    return f"{local.lower()}@{domain_key(domain)}" if domain else local.lower()
