"""Which changed record lets our servers pass, keeps what passed, and stays within the limits."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bounced.advisor.spf.evaluate import check_hosts, do_pass, has_passed
from bounced.advisor.spf.facts import Facts
from bounced.advisor.spf.mend import Reading
from bounced.advisor.spf.merge import (
    SPARED,
    drop_doubles,
    find_end,
    insert_terms,
    join_records,
    soften,
    spare,
)
from bounced.advisor.spf.terms import (
    MOST_LOOKUPS,
    MOST_OCTETS,
    IpAddress,
    Term,
    Terms,
    write_record,
)
from bounced.advisor.spf.tree import Tree, walk_record

LEFT_OUT = "left out: "
"""Begins a remark on what a proposed record has no longer."""

_MOST_TRIED = 5
"""Addresses that an include names, before it is said that it permits none."""
_MOST_COSTLY = 3
"""Terms that are named where a record costs too much."""


@dataclass(frozen=True, slots=True)
class Means:
    """What we can offer, tried out."""

    ways: tuple[Terms, ...]
    """What can be put into a record: the include, else the addresses, which cost no look-up;
    none where there are no addresses to try them with."""
    addresses: tuple[IpAddress, ...]
    """With which a record is tried; none: nothing can be said of our servers."""
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The record to publish, or why there is none."""

    record: str | None
    lookups: int | None
    """That it needs; without a record, that the least change would need if these are too many."""
    remarks: tuple[str, ...]


async def try_means(
    facts: Facts, domain: str, include: str, addresses: Sequence[IpAddress]
) -> Means:
    """Find out what we have to offer; raises UnansweredError."""
    named = tuple(_name_address(each) for each in addresses)
    if not include or include == domain:
        return Means((named,) if named else (), tuple(addresses), ())
    term = Term(f"include:{include}", "+", "include", include)
    tree = await walk_record(facts, domain, (term,))
    if tree.dead:
        remark = f"our own include is of no use: {tree.dead[term]}"
        return Means((named,) if named else (), tuple(addresses), (remark,))
    if addresses:
        return await _try_addresses(facts, domain, term, named)
    for address in tree.permitted[:_MOST_TRIED]:
        if await do_pass(facts, (address,), domain, write_record((term,))):
            return Means(((term,),), (address,), ())
    return Means((), (), (f"no address is known that include:{include} permits",))


def _name_address(address: IpAddress) -> Term:
    name = f"ip{address.version}"
    return Term(f"{name}:{address}", "+", name, str(address))


async def _try_addresses(facts: Facts, domain: str, include: Term, named: Terms) -> Means:
    """Find out whether the include permits each of our addresses."""
    addresses = tuple(ipaddress.ip_address(term.argument) for term in named)
    verdicts = await check_hosts(facts, addresses, domain, write_record((include,)))
    if has_passed(verdicts):
        return Means(((include,), named), addresses, ())
    failed = ", ".join(str(each.address) for each in verdicts if each.result != "pass")
    return Means((named,), addresses, (f"our own {include.text} does not permit {failed}",))


async def propose_record(
    facts: Facts, domain: str, reading: Reading, means: Means, present: str | None
) -> Proposal:
    """Search the least change; `present` is the record that is there and can be read.

    Raises UnansweredError.
    """
    terms = join_records(reading.records) if len(reading.records) > 1 else reading.records[0]
    if reading.error is not None:
        terms = soften(terms)  # nobody passed, so nobody loses
    tree = await walk_record(facts, domain, terms)
    passing = await _find_passing(facts, domain, tree, present)
    wanted = (*means.addresses, *passing)
    for changed, first in _list_changes(terms, tree, means).items():
        cost = await walk_record(facts, domain, changed)
        record = write_record(changed)
        if cost.is_within_limits and await do_pass(facts, wanted, domain, record):
            remarks = _describe_change(reading, terms, changed, tree, first=first)
            return Proposal(record, cost.lookups, (*remarks, *cost.troubles))
    return await _say_why(facts, domain, terms, means)


async def _find_passing(
    facts: Facts, domain: str, tree: Tree, present: str | None
) -> tuple[IpAddress, ...]:
    """Return addresses of others that pass today."""
    if present is None:
        return ()
    verdicts = await check_hosts(facts, tree.permitted, domain, present)
    return tuple(verdict.address for verdict in verdicts if verdict.result == "pass")


def _list_changes(terms: Terms, tree: Tree, means: Means) -> dict[Terms, bool]:
    """Return the changed records, the lesser change first, and whether ours come first there."""
    changes: dict[Terms, bool] = {}
    for way in means.ways:
        for kept in _list_bases(terms, tree):
            for first in (False, True):
                changes.setdefault(insert_terms(kept, way, first=first), first)
    return changes


def _list_bases(terms: Terms, tree: Tree) -> Iterator[Terms]:
    """Return what of the record is kept, the more the earlier."""
    living = tuple(term for term in terms if term not in tree.dead)
    living = spare(living) if tree.dead else living
    yield living
    single = drop_doubles(living)
    yield single
    if tree.void:
        found = tuple(term for term in single if term not in tree.void)
        # Within the limits `-all` has refused all the time what such a term may mean.
        yield found if tree.is_within_limits else spare(found)


def _describe_change(
    reading: Reading, terms: Terms, changed: Terms, tree: Tree, *, first: bool
) -> Iterator[str]:
    """Say what is otherwise than it was, beside the terms that came in."""
    for term in terms:
        if term in tree.dead:
            yield f"{LEFT_OUT}{tree.dead[term]}"
        elif term in tree.void and term not in changed:
            yield f"{LEFT_OUT}{term.text} finds nothing"
    hard = any(term.name == "all" and term.qualifier == "-" for term in terms)
    if hard and spare(changed) == changed:
        yield SPARED
    if _is_open(*reading.records) and not _is_open(terms):
        yield "?all stands for +all, which would permit every server in the world"
    doubles = Counter(terms) - Counter(changed)
    yield from (f"{LEFT_OUT}{term.text} stood there twice" for term in doubles if term in changed)
    behind = set(terms[find_end(terms) :])
    yield from (
        f"{term.text} stood behind the end, where nothing is looked at"
        for term in changed[: find_end(changed)]
        if term in behind
    )
    if first:
        yield f"{changed[0].text} must come first: an earlier term decides on our servers"


def _is_open(*records: Terms) -> bool:
    return any(term.name == "all" and term.qualifier == "+" for each in records for term in each)


async def _say_why(facts: Facts, domain: str, terms: Terms, means: Means) -> Proposal:
    """Say why no record can be offered."""
    no = "no record can be offered:"
    changed = insert_terms(terms, means.ways[0])
    if len(write_record(changed)) > MOST_OCTETS:
        why = f"{no} it would have more than {MOST_OCTETS} octets"
        return Proposal(None, None, (why,))
    cost = await walk_record(facts, domain, changed)
    if cost.lookups > MOST_LOOKUPS:
        costly = sorted(cost.costs.items(), key=lambda each: -each[1])[:_MOST_COSTLY]
        most = ", ".join(f"{term.text} costs {count}" for term, count in costly)
        why = (
            f"{no} with ours it needs {cost.lookups} look-ups, {MOST_LOOKUPS} are allowed; {most}"
        )
        return Proposal(None, cost.lookups, (why,))
    troubles = "; ".join(cost.troubles) or "our servers do not pass by it"
    return Proposal(None, None, (f"{no} {troubles}",))
