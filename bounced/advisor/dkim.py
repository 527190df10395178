"""Whether the keys that a domain's mail is signed with stand in DNS, and ours below it.

RFC 6376 §3.6.2 (where a key stands), §6.1.2 (what a verifier makes of it).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME

from bounced.advisor.dkim_key import UsableKey, read_key
from bounced.advisor.dns import Answer, Outcome, Resolver
from bounced.advisor.fixes import Dkim
from bounced.advisor.taglist import list_texts, show
from bounced.advisor.wildcard import is_of_wildcard
from bounced.diagnosis import IN_ORDER, Check, DiagnosisFinding, DnsRecord, State
from bounced.model import Signature, domain_key
from bounced.values import DkimCname

MOST_SIGNATURES = 8
"""Of one mail; each costs a question, and a stranger wrote them."""
MOST_SHOWN = 5
"""Records at one name."""

_BAD = frozenset({State.MISSING, State.BROKEN})


@dataclass(frozen=True, slots=True)
class DkimLook:
    """What the keys in DNS say of a domain's mail."""

    signing: Dkim | None
    """None: DNS could not be asked, and that decides."""
    findings: tuple[DiagnosisFinding, ...]
    records: tuple[DnsRecord, ...]
    """CNAMEs to our keys that are missing or lead elsewhere; none: the author has done his."""


@dataclass(frozen=True, slots=True)
class _Key:
    """What stands at the name of a key."""

    name: str
    state: State
    detail: str
    public: bytes = b""


@dataclass(frozen=True, slots=True)
class _Selector:
    """One of our selectors below the domain."""

    key: _Key
    is_linked: bool = False
    """The CNAME is right: what is wrong behind it is ours to mend."""
    record: DnsRecord | None = None


async def examine_dkim(
    resolver: Resolver,
    domain: str,
    signatures: Sequence[Signature],
    cnames: Sequence[DkimCname],
    *,
    is_aligned: Callable[[str], bool],
) -> DkimLook:
    """Look at the keys that the mail was signed with, and at our selectors' below `domain`; total.

    Where our CNAME stands and the key behind it does not, nothing is asked of the author: the
    signing is OURS_BROKEN if the mail bears that key's signature, and there is no record. Nor is
    he asked to lead to a key that we do not have.
    """
    his, others = _sort(signatures, is_aligned)
    selectors = await asyncio.gather(*(_examine_cname(resolver, domain, each) for each in cnames))
    keys = await asyncio.gather(*(_examine_signature(resolver, each) for each in his + others))
    # What is said of our selectors tells of the CNAME too, so it comes last.
    shown = {key.name: key for key in keys} | {each.key.name: each.key for each in selectors}
    return DkimLook(
        _decide(selectors, keys[: len(his)], keys[len(his) :]),
        tuple(_find(shown[name]) for name in sorted(shown)),
        tuple(each.record for each in selectors if each.record is not None),
    )


def _sort(
    signatures: Iterable[Signature], is_aligned: Callable[[str], bool]
) -> tuple[list[Signature], list[Signature]]:
    """Return the signatures of the author's domain and the others, each once."""
    each_once = list(dict.fromkeys(signatures))
    his = [each for each in each_once if is_aligned(each.domain)][:MOST_SIGNATURES]
    others = [each for each in each_once if not is_aligned(each.domain)]
    return his, others[: MOST_SIGNATURES - len(his)]


def _decide(
    selectors: Sequence[_Selector], his: Sequence[_Key], others: Sequence[_Key]
) -> Dkim | None:
    if his:
        return _decide_signed(selectors, his)
    ready = {each.key.state for each in selectors}
    if selectors and ready <= IN_ORDER:
        return Dkim.READY
    if selectors and not ready & _BAD:
        return None
    if not others:
        return Dkim.NONE
    states = {key.state for key in others}
    if states & IN_ORDER:
        return Dkim.OURS
    return None if State.NOT_CHECKED in states else Dkim.OURS_BROKEN


def _decide_signed(selectors: Sequence[_Selector], his: Sequence[_Key]) -> Dkim | None:
    """Decide for a mail that bears a signature of the author's domain."""
    states = {key.state for key in his}
    if states & IN_ORDER:
        return Dkim.GOOD
    if State.NOT_CHECKED in states:
        return None
    linked = {each.key.name for each in selectors if each.is_linked}
    return Dkim.OURS_BROKEN if linked.issuperset(key.name for key in his) else Dkim.BROKEN


async def _examine_signature(resolver: Resolver, signature: Signature) -> _Key:
    name = _name_key(signature.selector, signature.domain)
    return _read_key(name, await resolver.lookup(name, RdataType.TXT))


async def _examine_cname(resolver: Resolver, domain: str, cname: DkimCname) -> _Selector:
    """Look at one of our selectors: at the CNAME, at the key behind it, and at ours."""
    name = _name_key(cname.selector, domain)
    target = domain_key(cname.target.replace("{domain}", domain))
    alias, answer, ours = await asyncio.gather(
        resolver.lookup(name, RdataType.CNAME),
        resolver.lookup(name, RdataType.TXT),
        resolver.lookup(target, RdataType.TXT),
    )
    found, meant = _read_key(name, answer), _read_key(target, ours)
    leads_to = _find_target(alias)
    if alias.outcome is Outcome.FAILED or found.state is State.NOT_CHECKED:
        return _Selector(_Key(name, State.NOT_CHECKED, "DNS could not be asked"))
    if leads_to == target:
        return _Selector(_tell_linked(found, target), is_linked=True)
    if found.state is State.PASS and meant.state is State.NOT_CHECKED:
        detail = f"{target}, which holds our key, could not be asked"
        return _Selector(_Key(name, State.NOT_CHECKED, detail))
    if found.public and found.public == meant.public:
        return _Selector(_tell_copied(found, target, leads_to))
    # A key of his own ({domain}) may be made when he asks for it; one for all must be there.
    if meant.state in _BAD and "{domain}" not in cname.target:
        return _Selector(_tell_useless(name, meant))
    yields = await is_of_wildcard(
        resolver, name, {RdataType.CNAME: alias} if leads_to else {RdataType.TXT: answer}
    )
    return _tell_unlinked(name, target, _list_there(leads_to, answer), yields=yields)


def _tell_linked(found: _Key, target: str) -> _Key:
    if found.state is State.PASS:
        return _Key(found.name, State.PASS, f"CNAME to {target}, {found.detail}")
    detail = f"CNAME to {target} is right, but there is {found.detail}: only we can mend it"
    return _Key(found.name, found.state, detail)


def _tell_useless(name: str, meant: _Key) -> _Key:
    detail = f"our own key is of no use: {meant.name}: {meant.detail}; only we can mend it"
    return _Key(name, State.MISSING, detail)


def _tell_copied(found: _Key, target: str, leads_to: str | None) -> _Key:
    form = f"CNAME to {leads_to}, which holds" if leads_to else "TXT with"
    detail = f"{form} the key of {target}: right as long as we keep that key"
    return _Key(found.name, State.WARNING, detail)


def _tell_unlinked(
    name: str, target: str, there: Sequence[str], *, yields: bool | None
) -> _Selector:
    """Propose the CNAME; `yields`: what is there is a wildcard's, None: that cannot be said."""
    if yields is None:
        return _Selector(_Key(name, State.NOT_CHECKED, "DNS could not be asked"))
    if yields or not there:
        record = DnsRecord(name, "CNAME", target)
        return _Selector(_Key(name, State.MISSING, f"no CNAME to {target}"), record=record)
    record = DnsRecord(name, "CNAME", target, "\n".join(there))
    detail = f"no CNAME to {target}, but {there[0]}"
    return _Selector(_Key(name, State.BROKEN, detail), record=record)


def _list_there(leads_to: str | None, answer: Answer) -> list[str]:
    """Return what stands where our CNAME is to be."""
    if leads_to is not None:
        return [f"CNAME {show(leads_to)}"]
    return [f"TXT {show(text)}" for text in list_texts(answer)[:MOST_SHOWN]]


def _find_target(alias: Answer) -> str | None:
    targets = (each.target for each in alias.records if isinstance(each, CNAME))
    return next((domain_key(target.to_text()) for target in targets), None)


def _read_key(name: str, answer: Answer) -> _Key:
    """Read what a verifier finds at the name of a key; total."""
    if answer.outcome is Outcome.FAILED:
        return _Key(name, State.NOT_CHECKED, "DNS could not be asked")
    texts = list_texts(answer)
    if not texts:
        return _Key(name, State.MISSING, "no key")
    if len(texts) > 1:  # RFC 6376 §3.6.2.2: the results are undefined
        return _Key(name, State.BROKEN, f"{len(texts)} TXT records, of which no key can be read")
    key = read_key(texts[0])
    if isinstance(key, UsableKey):
        return _Key(name, State.PASS, key.kind, key.public)
    return _Key(name, State.BROKEN, f"a useless key ({key}): {show(texts[0])}")


def _name_key(selector: str, domain: str) -> str:
    return f"{selector}._domainkey.{domain}"


def _find(key: _Key) -> DiagnosisFinding:
    return DiagnosisFinding(Check.DKIM, key.state, f"{show(key.name)}: {key.detail}")
