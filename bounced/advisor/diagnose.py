"""How a sender domain is diagnosed: what is asked of DNS, and how the answers become one fix."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from bounced.advisor.conclude import Looks, conclude, is_beyond_mending
from bounced.advisor.dkim import DkimLook, examine_dkim
from bounced.advisor.dmarc import DmarcLook, examine_dmarc, is_aligned
from bounced.advisor.dns import Resolver
from bounced.advisor.fixes import Refusal, Sender
from bounced.advisor.freemail import Keeper, find_keeper
from bounced.advisor.hosters import find_hoster
from bounced.advisor.identity import Parties, read_blame
from bounced.advisor.returnpath import ReturnPathLook, examine_return_path, leads_to
from bounced.advisor.spf.examine import SpfLook, SpfOffer, examine_spf
from bounced.config import AdviceSettings
from bounced.diagnosis import Check, Diagnosis, DiagnosisFinding, Fix, State
from bounced.model import Reason, Signature

T = TypeVar("T")

LOOK_S = 15.0
"""What all questions to DNS about one domain may take."""

_FAILED = "DNS could not be asked in time"


@dataclass(frozen=True, slots=True)
class Means:
    """What we are, and what we have to offer to authors."""

    offers: AdviceSettings
    own_domains: frozenset[str]
    """`authors.own_domains`, comparison forms: From domains that are ours."""
    return_domains: frozenset[str]
    """`return_path.domains`, comparison forms; one of them may lie below an author's domain."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a mail was refused for; with the domain alone, somebody asks."""

    domain: str
    """The From domain, comparison form."""
    mail_from_domain: str | None = None
    """None: the first of our return domains, by the alphabet, is taken."""
    reason: Reason | None = None
    """A reason of auth-failure; None: nothing was refused."""
    reply: str | None = None
    """The decisive reply of the server that refused."""
    signatures: tuple[Signature, ...] = ()
    forwarded: bool = False
    recipient_domain: str | None = None
    """Of the address that refused; None: not known."""

    @property
    def refusal(self) -> Refusal:
        """What the tables of fixes call the reason."""
        return Refusal(self.reason.value) if self.reason else Refusal.NOTHING


async def diagnose(
    question: Question, means: Means, resolver: Resolver | None, now: datetime
) -> Diagnosis:
    """Find out what is wrong with a sender domain and what mends it.

    Total for any answer of DNS; ends within LOOK_S. Without a resolver DNS is not asked.
    """
    until = asyncio.get_running_loop().time() + LOOK_S
    blame = read_blame(question.reason, question.reply, _list_parties(question, means))
    made = Diagnosis(
        domain=question.domain,
        mail_from_domain=question.mail_from_domain or blame.spf_domain,
        checked_at=now.replace(microsecond=0),
        identity=blame.identity,
        fix=Fix.NOT_CHECKED,
        freemail=False,
    )
    senders: tuple[Sender, ...] = (Sender.OURS,)
    if question.domain not in means.own_domains:
        keeper = await _within(until, find_keeper(resolver, question.domain), None)
        if keeper is Keeper.PROVIDER:
            return _tell_freemail(made)
        if keeper is Keeper.NOBODY:
            return _tell_unknown(made)
        senders = (Sender.AUTHOR,) if keeper else (Sender.AUTHOR, Sender.FREEMAIL)
    if resolver is None:
        is_ours = senders == (Sender.OURS,)
        return replace(
            made,
            fix=Fix.OURS if is_ours else Fix.NOT_CHECKED,
            findings=(DiagnosisFinding(Check.SPF, State.NOT_CHECKED, "DNS is switched off"),),
        )
    spf_domain = blame.spf_domain or min(means.return_domains, default=question.domain)
    looks = await _look(question, spf_domain, means.offers, resolver, until)
    return conclude(made, looks, senders, means.offers)


def _list_parties(question: Question, means: Means) -> Parties:
    return Parties(
        question.domain,
        question.mail_from_domain,
        question.recipient_domain,
        means.own_domains | means.return_domains,
    )


def _tell_unknown(made: Diagnosis) -> Diagnosis:
    """Say that there is no such domain: no record can be published, and no answer arrives."""
    finding = DiagnosisFinding(Check.FROM, State.MISSING, f"{made.domain} does not exist")
    return replace(made, fix=Fix.USE_OUR_ADDRESS, findings=(finding,))


def _tell_freemail(made: Diagnosis) -> Diagnosis:
    detail = (
        f"{made.domain}: a mail provider's domain, for which only the provider publishes records"
    )
    finding = DiagnosisFinding(Check.FREEMAIL, State.FAIL, detail)
    return replace(made, fix=Fix.USE_OUR_ADDRESS, freemail=True, findings=(finding,))


async def _look(
    question: Question,
    spf_domain: str,
    offers: AdviceSettings,
    resolver: Resolver,
    until: float,
) -> Looks:
    """Ask for everything at once; what has no answer by then has failed."""
    domain = question.domain
    target = offers.return_path_target
    return_path = f"{offers.return_path_label}.{domain}"
    spf_failed = SpfLook(State.NOT_CHECKED, f"{spf_domain}: {_FAILED}", (), None, None, None)
    path_failed = ReturnPathLook.fail(f"{return_path}: {_FAILED}")
    offer = SpfOffer(offers.spf_include, offers.sending_addresses)
    spf, led_to_us, (dmarc, dkim), found_path, hoster = await asyncio.gather(
        _within(until, examine_spf(resolver, spf_domain, offer), spf_failed),
        _within(until, leads_to(resolver, spf_domain, target), None),
        _look_at_policy_and_keys(question, offers, resolver, until),
        _within(
            until,
            # With keys of ours to lead to nobody needs a return path, but for what follows.
            examine_return_path(resolver, return_path, "" if offers.dkim_cnames else target),
            path_failed,
        ),
        _within(until, find_hoster(resolver, domain), None),
    )
    looks = Looks(
        domain=domain,
        refusal=question.refusal,
        forwarded=question.forwarded,
        spf_domain=spf_domain,
        spf=spf,
        led_to_us=led_to_us,
        dkim=dkim,
        dmarc=dmarc,
        return_path=found_path,
        hoster=hoster,
    )
    if offers.spf_include and offers.dkim_cnames and is_beyond_mending(looks):
        found_path = await _within(
            until, examine_return_path(resolver, return_path, target), path_failed
        )
    return replace(looks, return_path=found_path)


async def _look_at_policy_and_keys(
    question: Question, offers: AdviceSettings, resolver: Resolver, until: float
) -> tuple[DmarcLook, DkimLook]:
    """Look at the policy first: it says whose signatures are the author's (adkim)."""
    domain = question.domain
    dmarc = await _within(
        until,
        examine_dmarc(resolver, domain, offers.dmarc_reports_to),
        DmarcLook(
            None,
            strict_dkim=False,
            strict_spf=False,
            finding=_not_checked(Check.DMARC, f"_dmarc.{domain}"),
            record=None,
        ),
    )
    dkim = await _within(
        until,
        examine_dkim(
            resolver,
            domain,
            question.signatures,
            offers.dkim_cnames,
            is_aligned=lambda signer: is_aligned(signer, domain, strict=dmarc.strict_dkim),
        ),
        DkimLook(None, (_not_checked(Check.DKIM, f"_domainkey.{domain}"),), ()),
    )
    return dmarc, dkim


async def _within(until: float, look: Awaitable[T], otherwise: T) -> T:
    try:
        async with asyncio.timeout_at(until):
            return await look
    except TimeoutError:
        return otherwise


def _not_checked(check: Check, name: str) -> DiagnosisFinding:
    return DiagnosisFinding(check, State.NOT_CHECKED, f"{name}: {_FAILED}")
