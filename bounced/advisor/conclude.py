"""How all that DNS said of a sender domain becomes one fix with its records; pure.

What could not be looked up counts as each of its values: a fix is said if it is right for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import assert_never

from bounced.advisor.dkim import DkimLook
from bounced.advisor.dmarc import DmarcLook, is_aligned
from bounced.advisor.fixes import (
    Dkim,
    Dmarc,
    Offer,
    Refusal,
    ReturnPath,
    Sender,
    Situation,
    Spf,
    agree,
    choose_way,
    decide,
)
from bounced.advisor.returnpath import ReturnPathLook
from bounced.advisor.spf.examine import SpfLook
from bounced.config import AdviceSettings
from bounced.diagnosis import IN_ORDER, Check, Diagnosis, DiagnosisFinding, DnsRecord, Fix, State

_MENDS_SPF = frozenset({Fix.PUBLISH_SPF, Fix.MERGE_SPF})
_ASKS_FOR_POLICY = frozenset({Refusal.DMARC, Refusal.UNAUTHENTICATED})
_BESIDE_POLICY = _MENDS_SPF | {Fix.PUBLISH_DKIM, Fix.RETURN_PATH_CNAME}
"""Records that go into the author's zone: one more is no trouble while he is at it."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What is known of a refusal, and what DNS says of all that may have failed."""

    domain: str
    """The From domain."""
    refusal: Refusal
    forwarded: bool
    spf_domain: str
    """The domain that SPF is checked on."""
    spf: SpfLook
    led_to_us: bool | None
    """Whether that domain is a CNAME to ours; None: DNS could not be asked."""
    dkim: DkimLook
    dmarc: DmarcLook
    return_path: ReturnPathLook
    hoster: str | None


def conclude(
    made: Diagnosis, looks: Looks, senders: Sequence[Sender], offers: AdviceSettings
) -> Diagnosis:
    """Return the diagnosis with its fix and all that belongs to it; total.

    Of `senders` there is more than one where DNS could not be asked.
    """
    fix = agree(
        choose_way(decide(situation), situation.refusal, offer)
        for situation in _list_situations(looks, senders, offers)
        for offer in _list_offers(offers, looks)
    )
    fix = _adapt(fix, looks, offers)
    return replace(
        made,
        fix=fix,
        findings=tuple(sorted(_list_findings(looks, senders), key=_find_rank)),
        records=tuple(_list_records(fix, looks)),
        lookups_before=looks.spf.lookups_before,
        lookups_after=_count_after(fix, looks),
        hoster=looks.hoster,
    )


def _count_after(fix: Fix, looks: Looks) -> int | None:
    """Return how many look-ups the record will need, or would where it has no room for ours."""
    after = looks.spf.lookups_after
    is_full = is_beyond_mending(looks) and after is not None
    return after if fix in _MENDS_SPF or is_full else looks.spf.lookups_before


def is_beyond_mending(looks: Looks) -> bool:
    """Tell whether his SPF fails, no record can be proposed, and keys of ours do not help.

    A mail that is refused for SPF is refused with a signature too.
    """
    is_wrong = looks.spf.state not in IN_ORDER and looks.spf.record is None
    is_his = is_aligned(looks.spf_domain, looks.domain, strict=False)
    has_keys = looks.refusal is not Refusal.SPF and bool(looks.dkim.records)
    return is_wrong and is_his and not has_keys


def _list_situations(
    looks: Looks, senders: Sequence[Sender], offers: AdviceSettings
) -> Iterator[Situation]:
    """Yield every situation that the refusal can be due to; one, where all could be looked up."""
    signings = (looks.dkim.signing,) if looks.dkim.signing else tuple(Dkim)
    policies = (looks.dmarc.policy,) if looks.dmarc.policy else tuple(Dmarc)
    spfs = set(_list_spfs(looks, offers))
    for sender, spf, dkim, dmarc in product(senders, spfs, signings, policies):
        yield Situation(looks.refusal, sender, spf, dkim, dmarc)


def _list_spfs(looks: Looks, offers: AdviceSettings) -> Iterator[Spf]:
    if not is_aligned(looks.spf_domain, looks.domain, strict=False):
        # Whose else it may be, a mail service's of ours for one, it is not the author's.
        yield from _list_ours(looks, offers)
        return
    # Behind a CNAME that leads to us stands our record (RFC 1034 §3.6.2).
    led = {False, True} if looks.led_to_us is None else {looks.led_to_us}
    is_same = looks.spf_domain == looks.domain
    strict = {False} if is_same else _list_strictness(looks.dmarc)
    for spf, led_to_us, strict_spf in product(_list_his(looks), led, strict):
        is_passing = spf is Spf.HIS_PASSING
        if led_to_us and not is_passing:
            yield Spf.OURS_FAILING
        elif strict_spf and looks.refusal is not Refusal.SPF and is_passing:
            yield Spf.OURS_PASSING  # RFC 9989 §4.4.2: as little aligned as ours
        elif strict_spf and looks.refusal is Refusal.DMARC:
            yield Spf.OURS_FAILING
        else:
            yield spf


def _list_ours(looks: Looks, offers: AdviceSettings) -> Iterator[Spf]:
    match looks.spf.state:
        case State.MISSING | State.BROKEN:
            yield Spf.OURS_FAILING
        case State.PASS | State.WARNING:
            yield Spf.OURS_PASSING
        case State.FAIL:
            # Who gives his bounces a domain with an SPF record names his own servers there. To say
            # that it fails takes their addresses: one of the include's may be another customer's.
            yield Spf.OURS_FAILING if offers.sending_addresses else Spf.OURS_PASSING
        case State.NOT_CHECKED:
            yield Spf.OURS_PASSING
            if not _is_there(looks.spf):
                yield Spf.OURS_FAILING
        case _:
            assert_never(looks.spf.state)


def _list_his(looks: Looks) -> Iterator[Spf]:
    match looks.spf.state:
        case State.MISSING:
            yield Spf.HIS_MISSING
        case State.BROKEN | State.FAIL:
            yield Spf.HIS_FAILING
        case State.PASS | State.WARNING:
            yield Spf.HIS_PASSING
        case State.NOT_CHECKED if _is_there(looks.spf) and looks.refusal is Refusal.SPF:
            # The receiver knows the address of our server, and we do not.
            yield Spf.HIS_FAILING
        case State.NOT_CHECKED if _is_there(looks.spf):
            yield from (Spf.HIS_FAILING, Spf.HIS_PASSING)
        case State.NOT_CHECKED:
            yield from (Spf.HIS_MISSING, Spf.HIS_FAILING, Spf.HIS_PASSING)
        case _:
            assert_never(looks.spf.state)


def _is_there(spf: SpfLook) -> bool:
    """Tell whether there is a record, though no address of ours to try it with."""
    return spf.lookups_before is not None


def _list_strictness(dmarc: DmarcLook) -> set[bool]:
    return {False, True} if dmarc.policy is None else {dmarc.strict_spf}


def _list_offers(offers: AdviceSettings, looks: Looks) -> Iterator[Offer]:
    """Yield what we may have to offer; one, where all could be looked up."""
    published = looks.return_path.published
    paths = (ReturnPath.OFFERED, ReturnPath.PUBLISHED) if published is None else (published,)
    for return_path, strict_spf in product(paths, _list_strictness(looks.dmarc)):
        yield Offer(
            include=bool(offers.spf_include),
            cnames=bool(offers.dkim_cnames),
            return_path=return_path,
            strict_spf=strict_spf,
        )


def _adapt(fix: Fix, looks: Looks, offers: AdviceSettings) -> Fix:
    """Return the fix for which there is something to do, where the first has no record."""
    keys = looks.dkim
    if fix in _MENDS_SPF and looks.spf.record is None:
        if is_beyond_mending(looks):
            without = (
                replace(offer, include=False, cnames=False)
                for offer in _list_offers(offers, looks)
            )
            return agree(choose_way(fix, looks.refusal, offer) for offer in without)
        fix = Fix.PUBLISH_DKIM if keys.records else fix
    if fix is not Fix.PUBLISH_DKIM or keys.records:
        return fix
    if keys.signing is None:
        return Fix.NOT_CHECKED
    if looks.refusal is Refusal.NOTHING and keys.signing in {Dkim.READY, Dkim.GOOD}:
        return Fix.NONE
    # Our CNAMEs stand in his zone. If he signs with a good key, the receiver wants SPF, for which
    # we have nothing to publish; else the signer, or the key behind them, is ours.
    return Fix.USE_OUR_ADDRESS if keys.signing is Dkim.GOOD else Fix.OURS


def _list_records(fix: Fix, looks: Looks) -> Iterator[DnsRecord]:
    match fix:
        case Fix.PUBLISH_SPF | Fix.MERGE_SPF:
            yield from filter(None, (looks.spf.record,))
        case Fix.PUBLISH_DKIM:
            yield from looks.dkim.records
        case Fix.RETURN_PATH_CNAME:
            yield from filter(None, (looks.return_path.record,))
        case _:
            pass
    is_due = fix in _BESIDE_POLICY and looks.refusal in _ASKS_FOR_POLICY
    if looks.dmarc.record and (fix is Fix.PUBLISH_DMARC or is_due):
        yield looks.dmarc.record


def _list_findings(looks: Looks, senders: Sequence[Sender]) -> Iterator[DiagnosisFinding]:
    if len(senders) > 1:
        detail = f"{looks.domain}: its mail servers could not be asked for"
        yield DiagnosisFinding(Check.FREEMAIL, State.NOT_CHECKED, detail)
    detail = looks.spf.detail
    if looks.spf_domain not in detail:
        detail = f"{looks.spf_domain}: {detail}"
    yield DiagnosisFinding(Check.SPF, looks.spf.state, detail)
    for detail in looks.spf.findings:
        yield DiagnosisFinding(Check.SPF, State.WARNING, detail)
    if looks.forwarded:
        detail = "the mail was forwarded: receivers behind a forwarder see his server, not ours"
        yield DiagnosisFinding(Check.SPF, State.WARNING, detail)
    yield from looks.dkim.findings
    yield looks.dmarc.finding
    if looks.return_path.finding:
        yield looks.return_path.finding


def _find_rank(finding: DiagnosisFinding) -> int:
    return list(Check).index(finding.check)
