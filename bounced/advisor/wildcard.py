"""Whether what DNS gives at a name stands there, or a wildcard beside it gives it for any name.

RFC 4592 §2.2.1: a wildcard's records are given where nothing stands, and yield to what does.
"""

from __future__ import annotations

from collections.abc import Mapping

from dns.rdatatype import RdataType

from bounced.advisor.dns import Answer, Outcome, Resolver

_BESIDE = "_nothing-stands-here"
"""A label that nobody gives to anything."""


def name_beside(name: str) -> str:
    """Return a name at which only a wildcard gives what it gives at `name`."""
    return f"{_BESIDE}.{name.partition('.')[2]}"


async def is_of_wildcard(
    resolver: Resolver, name: str, answers: Mapping[RdataType, Answer]
) -> bool | None:
    """Tell whether all that was answered at a name is answered beside it too; total.

    False where nothing was answered at all. None: DNS could not be asked.
    """
    if not any(answer.records for answer in answers.values()):
        return False
    for rdtype, answer in answers.items():
        other = await resolver.lookup(name_beside(name), rdtype)
        if other.outcome is Outcome.FAILED:
            return None
        if set(other.records) != set(answer.records):
            return False
    return True
