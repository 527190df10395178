"""Which fix mends which refusal; pure.

The tables of docs/decisions/2026-11-22-fixes.md as code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from bounced.diagnosis import Fix
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


class ReturnPath(StrEnum):
    """The CNAME below the author's domain that leads to our bounce domain."""

    NONE = "none"
    """We offer none."""
    OFFERED = "offered"
    PUBLISHED = "published"
    """It is there, and not used yet."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a refusal is due to."""

    refusal: Refusal
    sender: Sender
    spf: Spf
    dkim: Dkim
    dmarc: Dmarc


@dataclass(frozen=True, slots=True)
class Offer:
    """What we have that an author can publish."""

    include: bool
    """A domain whose SPF record names our servers."""
    cnames: bool
    """Keys of ours that CNAMEs lead to."""
    return_path: ReturnPath
    strict_spf: bool
    """The author's policy takes no domain below his for his (aspf=s, RFC 9989 §4.7)."""


_TAKES_MEANS = frozenset({Fix.PUBLISH_SPF, Fix.MERGE_SPF, Fix.PUBLISH_DKIM})
_HIS_TO_MEND = frozenset({Spf.HIS_MISSING, Spf.HIS_FAILING})
_UNSIGNED = frozenset({Dkim.NONE, Dkim.OURS, Dkim.OURS_BROKEN})
"""Not by his domain, nor with a key of ours in its zone."""


def decide(situation: Situation) -> Fix:
    """Return what mends a refusal, whatever we have to offer; total."""
    match situation.sender:
        case Sender.FREEMAIL:
            return Fix.USE_OUR_ADDRESS
        case Sender.OURS:
            return Fix.OURS
        case Sender.AUTHOR:
            return _decide_for_author(situation)
    assert_never(situation.sender)


def choose_way(fix: Fix, refusal: Refusal, offer: Offer) -> Fix:
    """Return what mends a refusal as well, where we lack the means for the first choice; total."""
    if fix not in _TAKES_MEANS or (offer.include and fix is not Fix.PUBLISH_DKIM):
        return fix
    if offer.cnames:
        return Fix.PUBLISH_DKIM
    has_way = offer.return_path is not ReturnPath.NONE and not offer.strict_spf
    if not has_way or refusal is Refusal.DKIM:  # a return path is no signature
        return Fix.USE_OUR_ADDRESS
    return Fix.OURS if offer.return_path is ReturnPath.PUBLISHED else Fix.RETURN_PATH_CNAME


def agree(fixes: Iterable[Fix]) -> Fix:
    """Return the fix that is right whatever could not be looked up, NOT_CHECKED if none is."""
    different = set(fixes)
    return different.pop() if len(different) == 1 else Fix.NOT_CHECKED


def _decide_for_author(situation: Situation) -> Fix:
    match situation.refusal:
        case Refusal.SPF:
            return _decide_spf(situation.spf, situation.dkim)
        case Refusal.DKIM:
            return _decide_dkim(situation.dkim)
        case Refusal.DMARC:
            return _decide_dmarc(situation.spf, situation.dkim, situation.dmarc)
        case Refusal.UNAUTHENTICATED:
            return _decide_unauthenticated(situation.spf, situation.dkim, situation.dmarc)
        case Refusal.NOTHING:
            return _look_ahead(situation.spf, situation.dkim, situation.dmarc)
    assert_never(situation.refusal)


def _decide_spf(spf: Spf, dkim: Dkim) -> Fix:
    """RFC 7208 §2.4: what counts is the domain that was checked, not the one in From."""
    if spf is Spf.OURS_FAILING:
        return Fix.OURS
    if spf in _HIS_TO_MEND:
        return _mend_spf(spf)
    if spf is Spf.HIS_PASSING or dkim is Dkim.GOOD:
        return Fix.ASK_RECEIVER
    return Fix.OURS if dkim is Dkim.READY else Fix.PUBLISH_DKIM


def _decide_dkim(dkim: Dkim) -> Fix:
    """RFC 6376 §6.1: the key is missing, the signer is wrong, or the mail was changed."""
    if dkim in {Dkim.NONE, Dkim.BROKEN}:
        return Fix.PUBLISH_DKIM
    return Fix.OURS if dkim in {Dkim.OURS_BROKEN, Dkim.READY} else Fix.ASK_RECEIVER


def _decide_dmarc(spf: Spf, dkim: Dkim, dmarc: Dmarc) -> Fix:
    """RFC 9989 §4.4: one of SPF and DKIM must pass for a domain that is his."""
    if dmarc is Dmarc.ABSENT and (spf is Spf.HIS_PASSING or dkim is Dkim.GOOD):
        return Fix.PUBLISH_DMARC
    if dkim is Dkim.GOOD:
        return Fix.ASK_RECEIVER
    return _mend_alignment(spf, dkim)


def _decide_unauthenticated(spf: Spf, dkim: Dkim, dmarc: Dmarc) -> Fix:
    if dkim is Dkim.GOOD:
        return Fix.PUBLISH_DMARC if dmarc is Dmarc.ABSENT else Fix.ASK_RECEIVER
    if spf is Spf.OURS_FAILING and dkim in {Dkim.NONE, Dkim.OURS_BROKEN}:
        return Fix.OURS
    return _mend_alignment(spf, dkim)


def _look_ahead(spf: Spf, dkim: Dkim, dmarc: Dmarc) -> Fix:
    """Return what a receiver may refuse a mail for that none has refused yet."""
    if spf is Spf.OURS_FAILING:
        return Fix.OURS
    if spf in _HIS_TO_MEND:
        return _mend_spf(spf)
    if dkim is Dkim.BROKEN or (spf is Spf.OURS_PASSING and dkim in _UNSIGNED):
        return Fix.PUBLISH_DKIM
    return Fix.PUBLISH_DMARC if dmarc is Dmarc.ABSENT else Fix.NONE


def _mend_alignment(spf: Spf, dkim: Dkim) -> Fix:
    """Return what makes SPF or DKIM pass for his domain, where his signature does not."""
    if dkim is Dkim.READY:
        return Fix.OURS
    return _mend_spf(spf) if spf in _HIS_TO_MEND and dkim in _UNSIGNED else Fix.PUBLISH_DKIM


def _mend_spf(spf: Spf) -> Fix:
    return Fix.PUBLISH_SPF if spf is Spf.HIS_MISSING else Fix.MERGE_SPF
