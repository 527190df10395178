"""How check_host judges an address by a record: pyspf, on answers that our resolver gave.

RFC 7208 §4. pyspf asks DNS in the middle of its work and waits; here it stops at the first
question that was not asked yet, the question is asked, and it begins anew. So nothing of it is
replaced for the whole process, and every address is judged by the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import spf
from dns.rdatatype import RdataType

from bounced.advisor.spf.facts import Facts
from bounced.advisor.spf.terms import MOST_OCTETS, MOST_VOIDS, IpAddress, is_record, parse_term

_LONGEST_LABEL = 63
_OWN_MODIFIER = re.compile(r"^(?:redirect|exp)=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What check_host says."""

    address: IpAddress
    result: str
    """pass, fail, softfail, neutral or permerror (RFC 7208 §2.6)."""
    problem: str
    """What a permerror is about; else empty."""


async def check_hosts(
    facts: Facts, addresses: Iterable[IpAddress], domain: str, record: str
) -> tuple[Verdict, ...]:
    """Judge mail of the domain from each address, as if this were its record.

    Raises UnansweredError where check_host says temperror.
    """
    return tuple([await _check_host(facts, each, domain, record) for each in addresses])


async def do_pass(facts: Facts, addresses: Iterable[IpAddress], domain: str, record: str) -> bool:
    """Tell whether every address passes; after one that does not, none is looked at."""
    for address in addresses:
        if (await _check_host(facts, address, domain, record)).result != "pass":
            return False
    return True


def has_passed(verdicts: Iterable[Verdict]) -> bool:
    """Tell whether every address passed."""
    return all(verdict.result == "pass" for verdict in verdicts)


async def _check_host(facts: Facts, address: IpAddress, domain: str, record: str) -> Verdict:
    if len(record) > MOST_OCTETS:
        return Verdict(address, "permerror", f"a record of more than {MOST_OCTETS} octets")
    while True:
        evaluation = _Evaluation(facts, address, domain)
        try:
            result, _, _ = evaluation.check(_prepare(record))
        except _UnaskedError as gap:
            await facts.ask(gap.name, gap.rdtype)
            continue
        problem = evaluation.prob if result == "permerror" else ""
        return Verdict(address, result, problem)


class _UnaskedError(Exception):
    """pyspf needs an answer that is not there yet."""

    def __init__(self, name: str, rdtype: RdataType) -> None:
        super().__init__(name, rdtype)
        self.name = name
        self.rdtype = rdtype


class _Evaluation(spf.query):  # type: ignore[misc] # pyspf has no types
    """One run of pyspf, which knows what the facts know."""

    def __init__(self, facts: Facts, address: IpAddress, domain: str) -> None:
        super().__init__(i=str(address), s=f"postmaster@{domain}", h=domain)
        self._facts = facts

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - the signature is pyspf's
        """Answer in pyspf's form; CNAMEs were followed."""
        if not all(0 < len(label) <= _LONGEST_LABEL for label in name.split(".")):
            return []  # RFC 7208 §4.8: what cannot be a name matches nothing
        known = self._facts.recall(name, RdataType[qtype])
        if known is None:
            raise _UnaskedError(name, RdataType[qtype])
        if not known and not ignore_void and not self._facts.has_failed(name, RdataType[qtype]):
            self.void_lookups += 1
            if self.void_lookups > MOST_VOIDS:
                raise spf.PermError(f"more than {MOST_VOIDS} look-ups found nothing")
        return [_write_text(value) for value in known] if qtype == "TXT" else list(known)


def _write_text(value: Any) -> list[bytes]:
    """Return a TXT record in pyspf's form."""
    if not is_record(value):
        return [value.encode()]
    if len(value) > MOST_OCTETS:
        raise spf.PermError(f"a record of more than {MOST_OCTETS} octets")
    return [_prepare(value).encode()]


def _prepare(record: str) -> str:
    """Return a record as pyspf wants it.

    Modifiers in lower case, and without those that nobody knows: they are to be ignored (RFC 7208
    §6), and pyspf minds when one stands there twice.
    """
    words = record.split(" ")
    kept = [word for word in words[1:] if not _is_unknown_modifier(word)]
    return " ".join(
        [words[0], *(_OWN_MODIFIER.sub(lambda m: m[0].lower(), word) for word in kept)]
    )


def _is_unknown_modifier(word: str) -> bool:
    term = parse_term(word)
    return term is not None and not term.qualifier and term.name not in {"redirect", "exp"}
