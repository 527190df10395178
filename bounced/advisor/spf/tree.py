"""What a record costs whoever evaluates it to the end, and what it leads to.

RFC 7208 §4.6.4: the limits on look-ups, and on look-ups that find nothing.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

import spf
from dns.rdatatype import RdataType

from bounced.advisor.spf.facts import Facts
from bounced.advisor.spf.terms import (
    MOST_LOOKUPS,
    MOST_VOIDS,
    IpAddress,
    Term,
    Terms,
    list_effective,
)

_MOST_COUNTED = 50
"""Look-ups after which nobody counts on: the record is beyond every limit."""
_MOST_HOSTS = 10
"""Of an `mx` (RFC 7208 §4.6.4)."""
_MOST_PERMITTED = 20
"""Addresses that are remembered, for trying a changed record."""
_CHANGING_MACRO = re.compile(r"%\{[slihpv]", re.IGNORECASE)
"""Differs from mail to mail, so that nobody can follow it beforehand."""
_SOME_ADDRESS = "192.0.2.1"
"""pyspf wants one to expand macros, also those that do not speak of it."""


@dataclass(slots=True)
class Tree:
    """What was met on the way through a record; filled while walking."""

    lookups: int = 0
    voids: int = 0
    is_looping: bool = False
    dead: dict[Term, str] = field(default_factory=dict)
    """Terms of the record itself behind which nothing can ever pass, and why."""
    void: list[Term] = field(default_factory=list)
    """Terms of the record itself that find nothing."""
    costs: dict[Term, int] = field(default_factory=dict)
    """Terms of the record itself, with the look-ups that they cost."""
    troubles: list[str] = field(default_factory=list)
    """What stops a receiver on his way."""
    permitted: list[IpAddress] = field(default_factory=list)
    """Some addresses that the record speaks of."""

    @property
    def is_within_limits(self) -> bool:
        """Tell whether a receiver comes to the end."""
        return self.lookups <= MOST_LOOKUPS and self.voids <= MOST_VOIDS and not self.is_looping


async def walk_record(facts: Facts, domain: str, terms: Terms) -> Tree:
    """Follow a record of the domain to every end; raises UnansweredError."""
    walk = _Walk(facts, domain)
    for term in list_effective(terms):
        before, voids = walk.tree.lookups, walk.tree.voids
        trouble = await walk.follow(term, (domain,))
        if trouble is not None:
            walk.tree.dead[term] = trouble
            walk.tree.troubles.append(trouble)
        if walk.tree.lookups > before:
            walk.tree.costs[term] = walk.tree.lookups - before
        if walk.tree.voids > voids and term.name in {"a", "mx"}:
            walk.tree.void.append(term)
    return walk.tree


class _Walk:
    """One way through a record and all that it names."""

    def __init__(self, facts: Facts, origin: str) -> None:
        self._facts = facts
        self._origin = origin
        self.tree = Tree()

    async def follow(self, term: Term, path: tuple[str, ...]) -> str | None:
        """Follow one term; return why nothing behind it can pass, where that is so."""
        match term.name:
            case "ip4" | "ip6":
                self._note_permitted(term.argument)
            case "include" | "redirect":
                self.tree.lookups += 1
                return await self._follow_record(term, path)
            case "a" | "mx":
                self.tree.lookups += 1
                await self._follow_host(term, path)
            case "ptr" | "exists":
                self.tree.lookups += 1
        return None

    async def _follow_record(self, term: Term, path: tuple[str, ...]) -> str | None:
        target = self._expand(term.argument, path[-1])
        if target is None or self.tree.lookups > _MOST_COUNTED:
            return None
        if target == path[-1]:
            return f"{term.text} leads to itself"
        if target in path:
            self.tree.is_looping = True
            self.tree.troubles.append(f"{term.text} leads back to {target}")
            return None
        terms = await self._facts.ask_record(target)
        self.tree.voids += not await self._facts.ask_texts(target)
        if isinstance(terms, str):
            return f"{term.text}: {target} has {terms}"
        for each in list_effective(terms):
            if trouble := await self.follow(each, (*path, target)):
                self.tree.troubles.append(trouble)
        return None

    async def _follow_host(self, term: Term, path: tuple[str, ...]) -> None:
        host = self._expand(term.argument or path[-1], path[-1])
        if host is None or self.tree.lookups > _MOST_COUNTED:
            return
        if term.name == "mx":
            hosts = await self._facts.ask(host, RdataType.MX)
            self.tree.voids += not hosts
            if len(hosts) > _MOST_HOSTS:
                self.tree.troubles.append(f"{term.text} has {len(hosts)} hosts: 10 are allowed")
            return
        found = await self._facts.ask_addresses(host, 4) or await self._facts.ask_addresses(
            host, 6
        )
        self.tree.voids += not found
        for address in found[:1]:
            self._note_permitted(address)

    def _note_permitted(self, address: str) -> None:
        if len(self.tree.permitted) < _MOST_PERMITTED:
            self.tree.permitted.append(ipaddress.ip_address(address))

    def _expand(self, text: str, domain: str) -> str | None:
        """Return the name that a `domain-spec` stands for; None: that depends on the mail."""
        if _CHANGING_MACRO.search(text):
            return None
        query = spf.query(_SOME_ADDRESS, f"postmaster@{self._origin}", self._origin)
        query.d = domain
        return str(query.expand(text)).lower()
