"""What goes into the ledger and what comes out of it, as values free of SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bounced.diagnosis import Diagnosis
from bounced.model import Category, Reason, TokenType, recipient_key

DNS_PASSED = "dns-passed"
"""Why a case is closed whose sender domain DNS shows to be in order."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Replace NUL and lone surrogates, which no database takes, by U+FFFD; total."""
    return _UNSTORABLE.sub("\ufffd", text)


class ReportState(StrEnum):
    """How far a stored report has come."""

    STORED = "stored"
    PROCESSED = "processed"
    QUARANTINED = "quarantined"


class CaseState(StrEnum):
    """Whether a case may still have its author told."""

    OPEN = "open"
    EXHAUSTED = "exhausted"
    CLOSED = "closed"


class NoticeState(StrEnum):
    """How far a notice has come (DESIGN §5.3); `open` and `held` collect entries."""

    OPEN = "open"
    HELD = "held"
    CLAIMED = "claimed"
    DATA_STARTED = "data_started"
    SENT = "sent"
    FAILED = "failed"
    OUTCOME_UNKNOWN = "outcome_unknown"


class HeldWhy(StrEnum):
    """Why a due digest is held."""

    MODE = "mode"
    """`notices.mode` is "hold"."""
    UNREACHABLE = "unreachable"
    """A notice to this author bounced."""
    DECLINED = "declined"
    """The author wants no notices."""


class WebhookState(StrEnum):
    """How far the application has been told of something."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewReport:
    """A received message for one accepted envelope recipient, as the door saw it."""

    report: str
    received_at: datetime
    raw: bytes
    envelope_recipient: str
    door: str
    """`origin.admission.Door` value, or `ingest`."""
    client: str | None = None
    """IP address of the peer in text form; None for files."""
    mail_from: str | None = None
    """Envelope sender; "" is the null return path, None is not known."""
    token_type: TokenType | None = None
    """Type of the valid token in the envelope recipient."""
    token_id: str | None = None
    """16 hex digits: the send or notice that the token belongs to."""
    token_day: int | None = None
    """The token's day, counted from 1970-01-01 UTC."""
    vouched: bool = False
    """True where an operator vouched for it (`ingest --trusted`)."""

    @property
    def delivered(self) -> bytes:
        """Return the message as delivered: with the envelope sender on top (RFC 5321 §4.4)."""
        if self.mail_from is None:
            return self.raw
        return f"Return-Path: <{self.mail_from}>\r\n".encode(errors="replace") + self.raw


@dataclass(frozen=True, slots=True)
class EntryStrike:
    """One failure that a notice tells of."""

    recipient: str
    failed_at: datetime
    title: str | None
    """The protocol: the registered title, else the returned message's Subject."""
    sent_at: datetime | None
    """When the protocol was mailed, where known."""
    reference: str | None
    url: str | None
    reply: str | None
    """What the receiving server said, whole, one line."""
    remote_mta: str | None
    forwarded: bool = False
    title_from_subject: bool = False
    """True where the title is the returned message's Subject, which a site may keep out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One case in a digest, with the slot that this notice spends of it."""

    case: str
    subject: str
    """The recipient's address, or the sender domain for auth-failure."""
    category: Category
    reason: Reason
    number: int
    """This notice is the `number`-th of `max_notices`, from 1."""
    max_notices: int
    strikes: tuple[EntryStrike, ...]
    """Newest first; at least one."""
    strikes_total: int
    """Strikes of the case in this round, those told of earlier included."""
    suggestion: str | None = None
    """The address that may be meant, where one was found before the slot was taken."""
    diagnosis: Diagnosis | None = None
    """What DNS said of the sender domain before the slot was taken; None: nobody has asked."""

    @property
    def recipient(self) -> str:
        """Return the recipient as he was written to last; `subject` is his comparison form."""
        return self.strikes[0].recipient if self.strikes else self.subject

    @property
    def slip(self) -> str | None:
        """Return the recipient as written where `subject` hides what is wrong: a dot at the end.

        Blanks and brackets too; None where something else is meant by him.
        """
        meant = self.suggestion
        return self.recipient if meant and recipient_key(meant) == self.subject else None

    @property
    def last(self) -> bool:
        """Tell whether the author hears of this case for the last time."""
        return self.number >= self.max_notices


@dataclass(frozen=True, slots=True)
class MendedDomain:
    """A sender domain that was refused and that DNS shows to be in order by now."""

    domain: str
    mended_at: datetime
    """When that was found."""


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice whose slots are taken and which this process may now try to deliver."""

    notice: str
    """16 hex digits."""
    claim: str
    """Fencing mark of this claim; every later step names it."""
    author: str
    message_id: str
    """Without angle brackets; the same at every attempt."""
    claimed_at: datetime
    """When the slots were taken: the Date of the mail at every attempt."""
    attempts: int
    language: str | None
    """What the newest send or returned message asked for; None: the configured default."""
    entries: tuple[Entry, ...]
    mended: tuple[MendedDomain, ...] = ()
    """What he was told of and DNS has shown to be in order since his last notice."""
