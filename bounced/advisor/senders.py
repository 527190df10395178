"""When refused sender domains are looked into, and when DNS shows that they are mended.

No notice waits for it: one that is due before DNS has answered goes without a diagnosis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bounced.advisor.diagnose import Means, Question, diagnose
from bounced.advisor.dns import Resolver
from bounced.config import DnsSettings
from bounced.diagnosis import Check, Diagnosis, Fix, State
from bounced.ledger import diagnoses, rounds
from bounced.ledger.diagnoses import RefusedDomain
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import PolicySettings
from bounced.ledger.strikes import NewId, lock_authors
from bounced.ledger.writer import Writer
from bounced.logs import Event, emit

AT_ONCE = 20
"""Cases of one look; each asks DNS some ten to thirty questions."""
TRY_AGAIN = timedelta(minutes=4)
"""After DNS failed: some three times before a digest with the usual window is due."""
MOST_POSTPONED = 1_000
"""Cases that wait for DNS; when there are more it is as good as dead, and new ones wait too."""
MOST_STEPS = 50
"""Looks of one beat of the daily check."""

_PASSING = frozenset({State.PASS, State.WARNING})
_ALL_IS_THERE = frozenset({Fix.NONE, Fix.ASK_RECEIVER})
_SHOWN_BY = {
    Fix.PUBLISH_SPF: Check.SPF,
    Fix.MERGE_SPF: Check.SPF,
    Fix.PUBLISH_DKIM: Check.DKIM,
    Fix.RETURN_PATH_CNAME: Check.RETURN_PATH,
    Fix.PUBLISH_DMARC: Check.DMARC,
    Fix.OURS: Check.SPF,
}
"""Where DNS shows that a fix was applied; the others leave no trace there."""


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """By what refused domains are looked into."""

    dns: DnsSettings
    means: Means
    policy: PolicySettings


class SenderAdviser:
    """Asks DNS about refused sender domains: before their authors are told, and every day."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        settings: SenderSettings,
        *,
        clock: Callable[[], datetime],
        new_id: NewId,
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._clock = clock
        self._new_id = new_id
        self._postponed: dict[str, datetime] = {}
        """Cases about which DNS could not be asked, and when to ask again."""
        self.take(settings)

    def take(self, settings: SenderSettings) -> None:
        """Ask by these settings from now on; what is under way is asked by the old ones."""
        self._settings = settings
        self._resolver = (
            Resolver(settings.dns, clock=self._clock) if settings.dns.enabled else None
        )

    async def advise(self, now: datetime) -> None:
        """Look into the domains that authors will hear of and nobody has looked into."""
        if not self._make_room(now):
            return
        without = frozenset(self._postponed)
        waiting = await asyncio.to_thread(
            self._ledger.read,
            lambda c: diagnoses.find_undiagnosed(c, AT_ONCE, without=without),
        )
        if waiting:
            is_asked = self._resolver is not None
            found = await self._diagnose(waiting, now)
            stored = await self._writer.run(lambda c: _store(c, found, now, is_asked=is_asked))
            _tell(stored)

    async def check(self, now: datetime) -> None:
        """Look again at the domains that are still refused; close what DNS shows to be mended."""
        for _ in range(MOST_STEPS):
            if self._resolver is None or not self._make_room(now):
                break
            if await self._check_some(now) < AT_ONCE:
                break

    async def _check_some(self, now: datetime) -> int:
        without, policy = frozenset(self._postponed), self._settings.policy
        refused = await asyncio.to_thread(
            self._ledger.read,
            lambda c: diagnoses.find_to_check(
                c,
                AT_ONCE,
                checked_before=now - self._settings.means.offers.check_interval,
                refused_since=now - policy.quiet_reset,
                without=without,
            ),
        )
        if refused:
            found = await self._diagnose(refused, now)
            closed, changed = await self._writer.run(
                lambda c: _store_checks(c, found, now, policy, self._new_id)
            )
            _tell(changed)
            for case in closed:
                emit(
                    Event.CASE_CLOSED,
                    case=case.case,
                    author=case.author,
                    subject=case.domain,
                    why=rounds.DNS_PASSED,
                )
        return len(refused)

    def _make_room(self, now: datetime) -> bool:
        """Forget whom to ask about again by now; tell whether there are not too many others."""
        self._postponed = {case: at for case, at in self._postponed.items() if at > now}
        return len(self._postponed) < MOST_POSTPONED

    async def _diagnose(self, refused: list[RefusedDomain], now: datetime) -> list[_Look]:
        """Ask DNS about all at once; what it could not be asked is put off."""
        means, resolver = self._settings.means, self._resolver
        said = await asyncio.gather(
            *(diagnose(_make_question(case), means, resolver, now) for case in refused)
        )
        looks = [_Look(case, diagnosis) for case, diagnosis in zip(refused, said, strict=True)]
        self._postponed |= {look.case.case: now + TRY_AGAIN for look in looks if look.failed}
        return looks


@dataclass(frozen=True, slots=True)
class _Look:
    case: RefusedDomain
    diagnosis: Diagnosis

    @property
    def failed(self) -> bool:
        return self.diagnosis.fix is Fix.NOT_CHECKED

    @property
    def is_news(self) -> bool:
        """Tell whether it says something else than the look before, or is of another strike."""
        known = self.case.diagnosis
        return (
            known is None
            or known.fix is not self.diagnosis.fix
            or known.checked_at < self.case.last_strike_at
        )


def is_mended(known: Diagnosis, now: Diagnosis) -> bool:
    """Tell whether DNS shows by now that what was missing is there; pure.

    Either nothing is left to do in DNS, or what the first diagnosis asked for is done. After that
    the same refusal may mean another fix: where SPF was published for DMARC's sake, a signature
    would be better still. That is no reason to keep the case open.
    """
    check = _SHOWN_BY.get(known.fix)
    if check is None or now.fix is Fix.NOT_CHECKED:
        return False
    if now.fix in _ALL_IS_THERE:
        return True
    return not _is_in_order(known, check) and _is_in_order(now, check)


def _is_in_order(diagnosis: Diagnosis, check: Check) -> bool:
    states = {finding.state for finding in diagnosis.findings if finding.check is check}
    return bool(states) and states <= _PASSING


def _make_question(case: RefusedDomain) -> Question:
    return Question(
        domain=case.domain,
        mail_from_domain=case.mail_from_domain,
        reason=case.reason,
        reply=case.reply,
        signatures=case.signatures,
        forwarded=case.forwarded,
    )


def _store(
    connection: Connection, found: Sequence[_Look], now: datetime, *, is_asked: bool
) -> list[_Look]:
    """Write down what was found; return what is news.

    Where DNS is never asked, nothing better is to be waited for.
    """
    _lock(connection, found)
    return [
        look
        for look in found
        if diagnoses.store(
            connection,
            look.case,
            look.diagnosis,
            now,
            is_final=not look.failed or not is_asked,
        )
        and look.is_news
    ]


def _store_checks(
    connection: Connection,
    found: Sequence[_Look],
    now: datetime,
    policy: PolicySettings,
    new_id: NewId,
) -> tuple[list[RefusedDomain], list[_Look]]:
    """Close what is mended, write down the others; return what was closed, and what is news."""
    _lock(connection, found)
    closed, changed = [], []
    for look in found:
        case, diagnosis = look.case, look.diagnosis
        if case.diagnosis is not None and is_mended(case.diagnosis, diagnosis):
            row = rounds.mend(
                connection,
                case.case,
                now,
                last_strike_at=case.last_strike_at,
                diagnosis=diagnosis,
                settings=policy,
                new_id=new_id,
            )
            if row is not None:
                closed.append(case)
            else:  # a notice of it is on its way: it is mended by the next check, too
                diagnoses.store_check(connection, case, None, now)
        elif not look.failed and diagnoses.store_check(connection, case, diagnosis, now):
            changed += [look] if look.is_news else []
    return closed, changed


def _lock(connection: Connection, found: Iterable[_Look]) -> None:
    """Lock all authors before anything is written, so that nobody deadlocks."""
    lock_authors(connection, {look.case.author for look in found})


def _tell(looks: Iterable[_Look]) -> None:
    for look in looks:
        identity = look.diagnosis.identity
        emit(
            Event.SENDER_DIAGNOSED,
            case=look.case.case,
            author=look.case.author,
            subject=look.case.domain,
            fix=look.diagnosis.fix.value,
            identity=identity.value if identity else None,
            mail_from_domain=look.diagnosis.mail_from_domain,
        )
