"""Which fix mends which refusal: the table of docs/decisions/2026-11-22-fixes.md as code; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bounced.model import Reason


class Refusal(StrEnum):
    """What a mail was refused for."""

    SPF = Reason.SPF.value
    DKIM = Reason.DKIM.value
    DMARC = Reason.DMARC.value
    UNAUTHENTICATED = Reason.UNAUTHENTICATED.value
    NOTHING = "nothing"
    """Somebody asks."""


class Sender(StrEnum):
    """Whose domain stands in From."""

    AUTHOR = "author"
    FREEMAIL = "freemail"
    OURS = "ours"


class Spf(StrEnum):
    """The SPF of the domain that it is checked on, for the servers that send our mail."""

    OURS_PASSING = "ours-passing"
    OURS_FAILING = "ours-failing"
    HIS_MISSING = "his-missing"
    HIS_FAILING = "his-failing"
    HIS_PASSING = "his-passing"


class Dkim(StrEnum):
    """The signatures of the mail, and the keys below the From domain."""

    NONE = "none"
    OURS = "ours"
    """Signed with a domain of ours only."""
    OURS_BROKEN = "ours-broken"
    READY = "ready"
    """Not signed by his domain, though our keys stand in its zone."""
    BROKEN = "broken"
    """Signed by his domain, and the key is missing or unusable."""
    GOOD = "good"


class Dmarc(StrEnum):
    """The policy of the From domain."""

    ABSENT = "absent"
    NONE = "none"
    ENFORCED = "enforced"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a refusal; None: it could not be looked up."""

    refusal: Refusal
    sender: Sender
    spf: Spf | None
    dkim: Dkim | None
    dmarc: Dmarc | None
