"""How DNS is asked about many refused domains at once, so that no dead one costs the others."""

from __future__ import annotations

import asyncio
import traceback
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bounced.advisor.diagnose import Means, Question, diagnose
from bounced.advisor.dns import Resolver
from bounced.diagnosis import Diagnosis, Fix
from bounced.ledger.diagnoses import RefusedDomain
from bounced.logs import Event, emit
from bounced.model import Reason

MOST_CASES = 100
"""Cases of one look; those of one domain share its answers."""
AT_ONCE = 10
"""Domains of one look, then cases of those that answered; each domain is asked some ten to thirty
questions."""

_Zones = tuple[str, str | None, Reason]


@dataclass(frozen=True, slots=True)
class Look:
    """A case, and what DNS said of it by now."""

    case: RefusedDomain
    diagnosis: Diagnosis

    @property
    def failed(self) -> bool:
        """Tell whether DNS could not be asked."""
        return self.diagnosis.fix is Fix.NOT_CHECKED

    @property
    def is_news(self) -> bool:
        """Tell whether it says something else than the look before, or is of another strike."""
        known = self.case.diagnosis
        return (
            known is None
            or known.fix is not self.diagnosis.fix
            # A diagnosis has whole seconds.
            or known.checked_at < self.case.last_strike_at.replace(microsecond=0)
        )


async def look_into(
    refused: Sequence[RefusedDomain], means: Means, resolver: Resolver | None, now: datetime
) -> list[Look]:
    """Ask about the first AT_ONCE domains; where one case has no answer, its like have none.

    What DNS has answered is kept by the resolver, but a zone that is dead would be waited for
    again for each of its authors.
    """
    alike = defaultdict[_Zones, list[RefusedDomain]](list)
    for case in refused:
        key = case.domain, case.mail_from_domain, case.reason
        if key in alike or len(alike) < AT_ONCE:
            alike[key].append(case)
    looks = await _ask([first for first, *_ in alike.values()], means, resolver, now)
    answered = []
    for look, (_, *others) in zip(tuple(looks), alike.values(), strict=True):
        if look.failed and resolver is not None:
            looks += [replace(look, case=case) for case in others]
        else:
            answered += others
    return looks + await _ask(answered[:AT_ONCE], means, resolver, now)


async def _ask(
    refused: Sequence[RefusedDomain], means: Means, resolver: Resolver | None, now: datetime
) -> list[Look]:
    """Ask at once; a look that breaks is one that failed, so that it stops no other."""
    said = await asyncio.gather(
        *(diagnose(_make_question(case), means, resolver, now) for case in refused),
        return_exceptions=True,
    )
    return [
        Look(case, found if isinstance(found, Diagnosis) else _note_broken(case, found, now))
        for case, found in zip(refused, said, strict=True)
    ]


def _note_broken(case: RefusedDomain, error: BaseException, now: datetime) -> Diagnosis:
    """Log a bug as the job wrapper does, which would let the same domain stop every beat."""
    emit(
        Event.JOB_FAILED,
        case=case.case,
        job="look into a refused domain",
        error=type(error).__name__,
        exception="".join(traceback.format_exception(error)),
    )
    return Diagnosis(
        domain=case.domain,
        mail_from_domain=case.mail_from_domain,
        checked_at=now.replace(microsecond=0),
        identity=None,
        fix=Fix.NOT_CHECKED,
        freemail=False,
    )


def _make_question(case: RefusedDomain) -> Question:
    return Question(
        domain=case.domain,
        mail_from_domain=case.mail_from_domain,
        reason=case.reason,
        reply=case.reply,
        signatures=case.signatures,
        forwarded=case.forwarded,
        recipient_domain=case.recipient_domain,
    )
