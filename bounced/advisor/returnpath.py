"""Whether the CNAME stands that makes a return path below the author's domain lead to us.

RFC 1034 §3.6.2: where a CNAME stands, nothing else may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME

from bounced.advisor.dns import Answer, Outcome, Resolver
from bounced.advisor.fixes import ReturnPath
from bounced.advisor.wildcard import is_of_wildcard
from bounced.diagnosis import Check, DiagnosisFinding, DnsRecord, State
from bounced.model import domain_key

_IN_THE_WAY = (RdataType.A, RdataType.AAAA, RdataType.MX, RdataType.TXT)
_MOST_CHARS = 500
"""Of one record that is in the way; a person recognizes it by less."""


@dataclass(frozen=True, slots=True)
class ReturnPathLook:
    """What DNS says of the return path that we offer."""

    published: ReturnPath | None
    """None: DNS could not be asked."""
    finding: DiagnosisFinding | None
    """None: we offer none."""
    record: DnsRecord | None
    """What is to be published; None: nothing, or nobody could say."""

    @classmethod
    def fail(cls, detail: str) -> ReturnPathLook:
        """Return what a look has shown that did not end."""
        finding = DiagnosisFinding(Check.RETURN_PATH, State.NOT_CHECKED, detail)
        return cls(None, finding, None)


async def examine_return_path(resolver: Resolver, name: str, target: str) -> ReturnPathLook:
    """Look whether `name` is a CNAME to `target`, and what is in its way if not; total.

    Without a target we offer none, and nothing is asked.
    """
    if not target:
        return ReturnPathLook(ReturnPath.NONE, None, None)
    answers = await _ask_standing(resolver, name)
    standing = [] if answers is None else _list_standing(answers)
    if standing == [f"CNAME {domain_key(target)}"]:
        finding = DiagnosisFinding(Check.RETURN_PATH, State.PASS, f"{name}: {standing[0]}")
        return ReturnPathLook(ReturnPath.PUBLISHED, finding, None)
    yields = None if answers is None else await is_of_wildcard(resolver, name, answers)
    if yields is None:
        return ReturnPathLook.fail(f"{name}: DNS could not be asked")
    return _offer(name, target, [] if yields else standing)


async def leads_to(resolver: Resolver, name: str, target: str) -> bool | None:
    """Tell whether `name` is a CNAME to `target`; None: DNS could not be asked."""
    if not target:
        return False
    answer = await resolver.lookup(name, RdataType.CNAME)
    if answer.outcome is Outcome.FAILED:
        return None
    return answer.outcome is Outcome.FOUND and _read_target(answer) == domain_key(target)


async def _ask_standing(resolver: Resolver, name: str) -> Mapping[RdataType, Answer] | None:
    """Return what is answered at a name, by type; None: DNS could not be asked."""
    answers = {RdataType.CNAME: await resolver.lookup(name, RdataType.CNAME)}
    if answers[RdataType.CNAME].outcome is Outcome.NO_DATA:
        answers = {rdtype: await resolver.lookup(name, rdtype) for rdtype in _IN_THE_WAY}
    failed = any(answer.outcome is Outcome.FAILED for answer in answers.values())
    return None if failed else answers


def _list_standing(answers: Mapping[RdataType, Answer]) -> list[str]:
    """Return the records, one an item."""
    alias = answers.get(RdataType.CNAME)
    if alias is not None:
        return [f"CNAME {_read_target(alias)}"] if alias.records else []
    return [
        f"{rdtype.name} {each}"[:_MOST_CHARS]
        for rdtype, answer in answers.items()
        for each in answer.records
    ]


def _read_target(answer: Answer) -> str:
    hosts = (each.target for each in answer.records if isinstance(each, CNAME))
    return next((host.to_text(omit_final_dot=True).lower() for host in hosts), "")


def _offer(name: str, target: str, standing: list[str]) -> ReturnPathLook:
    state = State.FAIL if standing else State.MISSING
    found = f"{', '.join(standing)} in the way of" if standing else "no"
    return ReturnPathLook(
        ReturnPath.OFFERED,
        DiagnosisFinding(Check.RETURN_PATH, state, f"{name}: {found} CNAME {target}"),
        DnsRecord(name, "CNAME", target, "\n".join(standing) or None),
    )
