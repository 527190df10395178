"""Which DMARC policy holds for a From domain, and which domains are aligned with it.

RFC 9989 §4.4 (alignment), §4.7 and §4.8 (the record), §4.10 (where it is looked for).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME

from bounced.advisor.dmarc_record import POLICIES, keep_policy
from bounced.advisor.dns import Answer, Outcome, Resolver
from bounced.advisor.fixes import Dmarc
from bounced.advisor.taglist import list_texts, show, split_tags
from bounced.advisor.wildcard import is_of_wildcard
from bounced.diagnosis import Check, DiagnosisFinding, DnsRecord, State
from bounced.model import domain_key
from bounced.suffixes import find_organizational_domain

LONGEST_WALK = 8
"""Names that are asked for a policy, however deep the domain lies."""

_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(;|$)")
_MEANT = re.compile(r"\W*v\W*dmarc", re.IGNORECASE)
"""Was to be a DMARC record, and may not be one: `v=dmarc1`, quotes inside the text."""
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s,!]+", re.IGNORECASE)
_TESTED = {"reject": "quarantine", "quarantine": "none"}
"""What `t=y` makes of a policy (RFC 9989 §4.7)."""


@dataclass(frozen=True, slots=True)
class DmarcLook:
    """What DMARC says of a domain."""

    policy: Dmarc | None
    """None: DNS could not be asked."""
    strict_dkim: bool
    strict_spf: bool
    finding: DiagnosisFinding
    record: DnsRecord | None
    """To be published where there is no policy."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands at one name."""

    domain: str
    records: tuple[str, ...]
    """Those that are DMARC records."""
    meant: tuple[str, ...]
    """Those, and what was to be one."""

    @property
    def tags(self) -> Mapping[str, str] | None:
        """The tags of the only record; several count for nothing (RFC 9989 §4.10)."""
        if len(self.records) != 1:
            return None
        # Of a tag that is there twice the first counts; names are in either case.
        return {name.lower(): value for name, value in reversed(split_tags(self.records[0]))}


async def examine_dmarc(resolver: Resolver, domain: str, reports_to: str = "") -> DmarcLook:
    """Find the policy that holds for mail from `domain`, else propose one without teeth; total."""
    places = await _walk(resolver, domain)
    if isinstance(places, str):
        return _tell_failed(places)
    chosen = _choose(places)
    if chosen is None or chosen.tags is None:
        return await _tell_absent(resolver, places, find_organizational_domain(domain), reports_to)
    speaking = await _list_speaking(resolver, domain, chosen)
    if speaking is None:
        return _tell_failed(domain)
    policy = _read_policy(chosen.tags, speaking)
    if policy is None:
        return await _tell_absent(resolver, places, chosen.domain, reports_to)
    return DmarcLook(
        policy=Dmarc.NONE if policy == "none" else Dmarc.ENFORCED,
        strict_dkim=chosen.tags.get("adkim", "").lower() == "s",
        strict_spf=chosen.tags.get("aspf", "").lower() == "s",
        finding=_find(State.PASS, f"{_name(chosen.domain)}: {show(chosen.records[0])}"),
        record=None,
    )


def is_aligned(identifier: str, from_domain: str, *, strict: bool) -> bool:
    """Tell whether a domain that passes speaks for the From domain (RFC 9989 §4.4); total."""
    passed, wanted = domain_key(identifier), domain_key(from_domain)
    if strict or not passed or not wanted:
        return bool(passed) and passed == wanted
    return find_organizational_domain(passed) == find_organizational_domain(wanted)


async def _walk(resolver: Resolver, domain: str) -> list[_Place] | str:
    """Look for records from the domain upwards; return the name that could not be asked for.

    Where the domain has a record of its own nothing else is asked (RFC 9989 §4.10.1).
    """
    names = list(_list_names(domain_key(domain)))
    own = await resolver.lookup(_name(names[0]), RdataType.TXT)
    answers = [own]
    if own.outcome is not Outcome.FAILED and _read_place(names[0], own).tags is None:
        questions = (resolver.lookup(_name(name), RdataType.TXT) for name in names[1:])
        answers += await asyncio.gather(*questions)
    places = []
    for name, answer in zip(names, answers, strict=False):
        if answer.outcome is Outcome.FAILED:
            return _name(name)
        places.append(_read_place(name, answer))
        if _find_psd(places[-1]):
            break
    return places


def _list_names(domain: str) -> Iterator[str]:
    """Return the domain and those above it, at most eight; a deep one is cut to seven labels."""
    yield domain
    labels = domain.split(".")[1:][-(LONGEST_WALK - 1) :]
    for start in range(len(labels)):
        yield ".".join(labels[start:])


def _read_place(domain: str, answer: Answer) -> _Place:
    texts = list_texts(answer)
    return _Place(
        domain,
        tuple(text for text in texts if _VERSION.match(text)),
        tuple(text for text in texts if _MEANT.match(text)),
    )


def _find_psd(place: _Place) -> Literal["y", "n", ""]:
    value = (place.tags or {}).get("psd", "").lower()
    return "y" if value == "y" else "n" if value == "n" else ""


def _choose(places: Sequence[_Place]) -> _Place | None:
    """Return whose record holds: the domain's own, the organization's, the public suffix's.

    RFC 9989 §4.10.1 and §4.10.2.
    """
    with_record = [place for place in places if place.tags is not None]
    top = with_record[-1] if with_record else None
    if top is None or _find_psd(top) != "y":
        return top
    below = [place for place in with_record if _is_just_below(place.domain, top.domain)]
    return below[0] if below else top


def _is_just_below(domain: str, top: str) -> bool:
    return domain.partition(".")[2] == top


async def _list_speaking(resolver: Resolver, domain: str, place: _Place) -> tuple[str, ...] | None:
    """Return the tags that speak for exactly this domain, the first before the next.

    None: DNS could not be asked whether the domain exists.
    """
    if place.domain == domain_key(domain):
        return ("p",)
    if "np" not in (place.tags or {}):
        return ("sp", "p")
    outcome = (await resolver.lookup(domain, RdataType.A)).outcome
    if outcome is Outcome.FAILED:
        return None
    # RFC 8020: of a name that does not exist no type does.
    return ("np", "sp", "p") if outcome is Outcome.NXDOMAIN else ("sp", "p")


def _read_policy(tags: Mapping[str, str], speaking: Sequence[str]) -> str | None:
    """Return what is asked of receivers; None: the record is as good as none."""
    asked = {name: tags[name].lower() for name in ("p", "sp", "np") if name in tags}
    if "p" not in asked or not set(POLICIES).issuperset(asked.values()):
        # RFC 9989 §4.10.1: whoever wants reports of such a record gets them.
        return "none" if _URI.match(tags.get("rua", "")) else None
    policy = next(asked[name] for name in speaking if name in asked)
    is_test = tags.get("t", "").lower() == "y"
    return _TESTED.get(policy, policy) if is_test else policy


def _tell_failed(name: str) -> DmarcLook:
    detail = f"{name}: DNS could not be asked"
    return DmarcLook(
        None,
        strict_dkim=False,
        strict_spf=False,
        finding=_find(State.NOT_CHECKED, detail),
        record=None,
    )


async def _tell_absent(
    resolver: Resolver, places: Sequence[_Place], domain: str, reports_to: str
) -> DmarcLook:
    """Propose a record at `domain`, in the place of what stands there in vain."""
    name = _name(domain)
    # Beside a CNAME no record can stand (RFC 1034 §3.6.2).
    alias = await resolver.lookup(name, RdataType.CNAME)
    meant = next((place.meant for place in places if place.domain == domain), ())
    standing = {RdataType.CNAME: alias}
    if meant and not alias.records:
        standing = {RdataType.TXT: await resolver.lookup(name, RdataType.TXT)}
    yields = await is_of_wildcard(resolver, name, standing)
    if yields is None:
        return _tell_failed(name)
    useless = () if yields else _list_targets(alias) or meant
    wrong = [place for place in places if place.meant]
    reports = f"mailto:{quote(reports_to, safe='@+')}" if reports_to else ""
    return DmarcLook(
        Dmarc.ABSENT,
        strict_dkim=False,
        strict_spf=False,
        finding=_describe(wrong[0]) if wrong else _describe_missing(places),
        record=DnsRecord(
            name,
            "TXT",
            keep_policy(meant, reports),
            "\n".join(map(show, useless)) or None,
        ),
    )


def _list_targets(answer: Answer) -> list[str]:
    aliases = [each for each in answer.records if isinstance(each, CNAME)]
    return [f"CNAME {each.target.to_text(omit_final_dot=True)}" for each in aliases]


def _describe(place: _Place) -> DiagnosisFinding:
    if len(place.records) > 1:
        why = f"{len(place.records)} DMARC records, so that none counts"
    elif place.records:
        why = f"no valid policy, and nobody to report to: {show(place.records[0])}"
    else:
        why = f"no DMARC record, though it was to be one: {show(place.meant[0])}"
    return _find(State.BROKEN, f"{_name(place.domain)}: {why}")


def _describe_missing(places: Sequence[_Place]) -> DiagnosisFinding:
    above = ", nor above it" if len(places) > 1 else ""
    return _find(State.MISSING, f"{_name(places[0].domain)}: no DMARC record there{above}")


def _name(domain: str) -> str:
    return f"_dmarc.{domain}"


def _find(state: State, detail: str) -> DiagnosisFinding:
    return DiagnosisFinding(Check.DMARC, state, detail)
