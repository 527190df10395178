"""What the SPF record of a domain says of our servers, and which record to publish instead.

RFC 7208 §4 (check_host), §4.6.4 (limits), §3.2 (one record).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bounced.advisor.dns import Resolver
from bounced.advisor.spf.apart import Ask, run_apart
from bounced.advisor.spf.evaluate import Verdict, check_hosts, has_passed
from bounced.advisor.spf.facts import Facts, UnansweredError
from bounced.advisor.spf.mend import Reading, find_records, read_records
from bounced.advisor.spf.propose import LEFT_OUT, Means, Proposal, propose_record, try_means
from bounced.advisor.spf.terms import (
    MOST_LOOKUPS,
    MOST_VOIDS,
    Term,
    Terms,
    list_effective,
    read_terms,
    write_value,
)
from bounced.advisor.spf.tree import Tree, walk_record
from bounced.advisor.wildcard import name_beside
from bounced.diagnosis import DnsRecord, State
from bounced.model import domain_key

LONGEST_S = 10.0
"""Of one examination, whatever the zones are like."""
_MOST_SHOWN = 500
"""Letters of a record in a line for people."""
_NEUTRAL: Terms = (Term("?all", "?", "all"),)


@dataclass(frozen=True, slots=True)
class SpfOffer:
    """What of ours a record can name."""

    include: str
    """Domain whose record permits our servers; "" is none."""
    addresses: tuple[IPv4Address | IPv6Address, ...]
    """Of our servers; none: one that the include permits is tried."""


@dataclass(frozen=True, slots=True)
class SpfLook:
    """What was seen."""

    state: State
    """PASS; WARNING: passes, but careless; FAIL: can be read, and does not pass for us; BROKEN: a
    permerror; MISSING; NOT_CHECKED: DNS failed, or no address of ours is known to try it with."""
    detail: str
    findings: tuple[str, ...]
    record: DnsRecord | None
    """To publish; None: there is nothing to do, or nothing right to offer, as the findings say."""
    lookups_before: int | None
    """Of the record that is there; None: there is none, or they could not be counted."""
    lookups_after: int | None
    """Of the record to publish; without one, how many it would need if that is why."""


@dataclass(frozen=True, slots=True)
class _Present:
    """What is there, and what was found out about it."""

    texts: tuple[str, ...]
    state: State
    detail: str
    findings: tuple[str, ...] = ()
    lookups: int | None = None


async def examine_spf(resolver: Resolver, domain: str, offer: SpfOffer) -> SpfLook:
    """Look at the SPF of a domain; total."""
    key = domain_key(domain)
    try:
        async with asyncio.timeout(LONGEST_S):
            return await run_apart(resolver, lambda ask: _Examination(ask, key).run(offer))
    except UnansweredError as error:
        return _say_unknown(str(error))
    except TimeoutError:
        return _say_unknown(f"looking at the SPF of {key} took more than {LONGEST_S:.0f} s")


def _say_unknown(detail: str) -> SpfLook:
    return SpfLook(State.NOT_CHECKED, detail, (), None, None, None)


class _Examination:
    """One look at one domain."""

    def __init__(self, ask: Ask, domain: str) -> None:
        self._domain = domain
        self._facts = Facts(ask)

    async def run(self, offer: SpfOffer) -> SpfLook:
        texts = find_records(await self._facts.ask_texts(self._domain))
        reading = read_records(texts)
        means = await try_means(
            self._facts, self._domain, domain_key(offer.include), offer.addresses
        )
        if not texts:
            known = "has no SPF record" if self._facts.exists(self._domain) else "does not exist"
            present = _Present((), State.MISSING, f"{self._domain} {known}")
            # RFC 7208 §8.2: neutral must be treated as if there were no record. So with ?all the
            # other mail of the domain, whose servers we do not know, is received as it was.
            return await self._propose(present, Reading((_NEUTRAL,), None, ()), means)
        if reading.error is None:
            return await self._examine_readable(texts[0], reading, means)
        present = _Present(texts, State.BROKEN, f"{reading.error}: {_show(texts)}")
        return await self._propose(present, reading, means)

    async def _examine_readable(self, text: str, reading: Reading, means: Means) -> SpfLook:
        """Look at the one record of the domain."""
        terms, _ = read_terms(text)
        verdicts = await check_hosts(self._facts, means.addresses, self._domain, text)
        if verdicts and has_passed(verdicts):
            return await self._examine_passing(text, terms)
        tree = await walk_record(self._facts, self._domain, terms)
        cares = tuple(_list_cares(terms, tree))
        state, detail = _find_worst(verdicts) if verdicts else _judge_alone(terms, tree)
        present = _Present((text,), state, f"{detail}: {_show([text])}", cares, tree.lookups)
        return await self._propose(present, reading, means)

    async def _examine_passing(self, text: str, terms: Terms) -> SpfLook:
        """Look at what is careless about a record by which our servers pass."""
        try:
            tree = await walk_record(self._facts, self._domain, terms)
        except UnansweredError as error:
            # Behind what lets us pass, so that it is still certain that we do.
            return SpfLook(State.PASS, _show([text]), (str(error),), None, None, None)
        cares = tuple(_list_cares(terms, tree))
        state = State.WARNING if cares else State.PASS
        return SpfLook(state, _show([text]), cares, None, tree.lookups, None)

    async def _propose(self, present: _Present, reading: Reading, means: Means) -> SpfLook:
        """Add the record to publish to what was seen."""
        findings = (*present.findings, *means.remarks)
        if not reading.records:
            findings += reading.remarks
        record, lookups = None, None
        if means.addresses and reading.records:
            alias = await self._find_alias()
            if alias is not None:
                findings += (alias,)
            else:
                text = present.texts[0] if present.texts and reading.error is None else None
                proposal = await propose_record(self._facts, self._domain, reading, means, text)
                said = [each.removeprefix(LEFT_OUT) for each in proposal.remarks]
                findings = tuple(each for each in findings if each not in said)
                findings += (*reading.remarks, *proposal.remarks)
                record = await self._make_record(proposal, present.texts)
                lookups = proposal.lookups
        findings = tuple(dict.fromkeys(findings))
        return SpfLook(present.state, present.detail, findings, record, present.lookups, lookups)

    async def _make_record(self, proposal: Proposal, texts: Sequence[str]) -> DnsRecord | None:
        if proposal.record is None:
            return None
        # RFC 4592 §2.2.1: what a wildcard gives does not stand here, and yields to what does.
        beside = await self._facts.ask_texts(name_beside(self._domain)) if texts else ()
        stands_here = not set(texts) <= set(beside)
        value = write_value(proposal.record)
        return DnsRecord(
            self._domain, "TXT", value, "\n".join(texts) or None if stands_here else None
        )

    async def _find_alias(self) -> str | None:
        """Say whose records the domain has, if it is an alias: beside a CNAME no TXT may stand."""
        target = await self._facts.find_alias(self._domain)  # RFC 1034 §3.6.2
        return target and (
            f"{self._domain} is an alias (CNAME) of {target}: no record can stand beside it, "
            f"the SPF record is that of {target}"
        )


def _find_worst(verdicts: Sequence[Verdict]) -> tuple[State, str]:
    """Return the state by the address that fares worst, and how it fares."""
    failed = [verdict for verdict in verdicts if verdict.result != "pass"]
    for verdict in failed:
        if verdict.result == "permerror":
            return State.BROKEN, f"permerror for {verdict.address} ({verdict.problem})"
    return State.FAIL, f"{failed[0].result} for {failed[0].address}"


def _judge_alone(terms: Terms, tree: Tree) -> tuple[State, str]:
    """Judge a record without any address of ours."""
    permits = [term for term in list_effective(terms) if term.qualifier in {"+", ""}]
    if any(term.name == "all" for term in permits):
        return State.WARNING, "permits everybody"
    if not permits:
        return State.FAIL, "permits nobody"
    if not tree.is_within_limits:
        return State.BROKEN, "beyond the limits of SPF"
    return State.NOT_CHECKED, "no address of our servers is known to try it with"


def _list_cares(terms: Terms, tree: Tree) -> Sequence[str]:
    """Say what is careless about a record, or wrong for others than us."""
    effective = list_effective(terms)
    cares = list(tree.troubles)
    if any(term.name == "all" and term.qualifier == "+" for term in effective):
        cares.append("+all permits every server in the world to send mail of this domain")
    if any(term.name == "ptr" for term in effective):
        cares.append("ptr is slow and unreliable, and is not to be used (RFC 7208 §5.5)")
    if tree.lookups > MOST_LOOKUPS:
        cares.append(f"{tree.lookups} look-ups are needed, {MOST_LOOKUPS} are allowed")
    if tree.voids > MOST_VOIDS:
        cares.append(f"{tree.voids} look-ups find nothing, {MOST_VOIDS} are allowed")
    return cares


def _show(texts: Sequence[str]) -> str:
    """Return the records for people, in one line; without what a terminal would obey."""
    line = " | ".join(texts)
    shown = line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]} …"
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shown
    )
