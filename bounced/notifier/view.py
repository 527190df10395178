"""What the templates show of a notice: one language, every value one clean line."""

from __future__ import annotations

from dataclasses import dataclass

from bounced.words.advice import AdviceView


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """One protocol that did not arrive."""

    title: str
    url: str | None
    when: str
    """Labelled day and time of sending, else of the failure."""
    recipients: tuple[str, ...]
    """Who did not get it; empty where the case is an address and says so itself."""
    more_recipients: str | None


@dataclass(frozen=True, slots=True)
class LinkView:
    """Where the author can act on a case."""

    label: str
    url: str
    mark: str
    """`[17]` where the text part lists the URL at its end; else empty."""


@dataclass(frozen=True, slots=True)
class ReplyView:
    """A server's own words."""

    label: str
    words: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """One address, or one sender domain."""

    subject: str
    number: str
    suggestion: str | None
    """The question whether another address is meant."""
    link: LinkView | None
    total: str | None
    reply: ReplyView | None
    """None where nothing was said or may be shown, or where many cases share it."""


@dataclass(frozen=True, slots=True)
class BatchView:
    """Cases of one reason and the same protocols."""

    protocols: tuple[ProtocolView, ...]
    """Empty where all cases of the notice share one protocol."""
    more_protocols: str | None
    cases: tuple[CaseView, ...]


@dataclass(frozen=True, slots=True)
class GroupView:
    """The cases of one reason, and what is to be said of all of them."""

    heading: str
    explanation: str
    action: str
    advice: AdviceView | None
    """What is to be published, where the group is a domain; it says the two above as well."""
    compact: bool
    """True where the cases are many: one line each. Else every batch holds one case."""
    batches: tuple[BatchView, ...]
    replies: tuple[ReplyView, ...]
    """What the servers said alike of several of the cases."""


@dataclass(frozen=True, slots=True)
class SectionView:
    """The groups of one category."""

    heading: str
    groups: tuple[GroupView, ...]


@dataclass(frozen=True, slots=True)
class NoticeView:
    """Everything that the templates show."""

    subject: str
    intro: str
    common: ProtocolView | None
    """The protocol that all cases share; their own lists leave it out."""
    overview: tuple[str, ...]
    """How many cases each reason has, where they are many; those not shown included."""
    list_note: str | None
    """Where everything stands that this mail leaves out: the attached list."""
    sections: tuple[SectionView, ...]
    mended: tuple[str, ...]
    """What has come right since the last notice, a sentence for each domain."""
    closing: tuple[str, ...]
    automatic: str
    application_url: str | None
    settings: LinkView | None
    """Where the author can switch these notices off."""
    marked: tuple[LinkView, ...]
    """The links that the text part lists at its end."""
