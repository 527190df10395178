"""When refused sender domains are looked into, and when DNS shows that they are mended.

No notice waits for it: one that is due before DNS has answered goes without a diagnosis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bounced.advisor.batch import MOST_CASES, Look, look_into
from bounced.advisor.diagnose import Means
from bounced.advisor.dns import Resolver
from bounced.config import DnsSettings
from bounced.diagnosis import SHOWN_BY, Diagnosis, Fix, is_in_order, is_watched
from bounced.ledger import diagnoses, rounds
from bounced.ledger.diagnoses import RefusedDomain
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import DNS_PASSED
from bounced.ledger.strikes import NewId, lock_authors
from bounced.ledger.writer import Writer
from bounced.logs import Event, emit

TRY_AGAIN = timedelta(minutes=4)
"""After DNS failed: some three times before a digest with the usual window is due. Each further
pause is twice as long."""
MOST_POSTPONED = 1_000
"""Cases whose pause is remembered; the others that failed are asked in turn, after TRY_AGAIN."""
MOST_STEPS = 50
"""Looks of one beat of the daily check."""
RECEIVERS_CATCH_UP = timedelta(hours=48)
"""After DNS was mended receivers may refuse for so long: they keep "no record" up to a day
(RFC 2308 §5), and a mail may have waited in a queue."""

_ALL_IS_THERE = frozenset({Fix.NONE, Fix.ASK_RECEIVER})


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
        self._pauses: dict[str, _Pause] = {}
        """Of cases about which DNS could not be asked; the one put off last at the end."""
        self.take(settings)

    def take(self, settings: SenderSettings) -> None:
        """Ask by these settings from now on; what is under way is asked by the old ones."""
        self._settings = settings
        self._resolver = (
            Resolver(settings.dns, clock=self._clock) if settings.dns.enabled else None
        )

    async def advise(self, now: datetime) -> None:
        """Look into the domains that authors will hear of and nobody has looked into."""
        without = frozenset(case for case, pause in self._pauses.items() if pause.until > now)
        waiting = await asyncio.to_thread(
            self._ledger.read,
            lambda c: diagnoses.find_undiagnosed(
                c, MOST_CASES, asked_before=now - TRY_AGAIN, without=without
            ),
        )
        if waiting:
            settings, resolver = self._settings, self._resolver
            found = await look_into(waiting, settings.means, resolver, now)
            self._put_off(found, now)
            is_asked = resolver is not None
            stored = await self._writer.run(lambda c: _store(c, found, now, is_asked=is_asked))
            _tell(stored)

    async def check(self, now: datetime) -> None:
        """Look again at the domains that are still refused; close what DNS shows to be mended."""
        for _ in range(MOST_STEPS):
            if self._resolver is None or not await self._check_some(now):
                break

    async def _check_some(self, now: datetime) -> bool:
        """Look again at some; tell whether there were any."""
        settings, resolver = self._settings, self._resolver
        refused = await asyncio.to_thread(
            self._ledger.read,
            lambda c: diagnoses.find_to_check(
                c,
                MOST_CASES,
                checked_before=now - settings.means.offers.check_interval,
                refused_since=now - settings.policy.quiet_reset,
            ),
        )
        if refused:
            found = await look_into(refused, settings.means, resolver, now)
            closed, changed = await self._writer.run(
                lambda c: _store_checks(c, found, now, settings.policy, self._new_id)
            )
            _tell(changed)
            for case in closed:
                emit(
                    Event.CASE_CLOSED,
                    case=case.case,
                    author=case.author,
                    subject=case.domain,
                    why=DNS_PASSED,
                )
        return bool(refused)

    def _put_off(self, found: Iterable[Look], now: datetime) -> None:
        """Let what failed wait, twice as long as before; forget what has an answer."""
        longest = self._settings.means.offers.check_interval
        for look in found:
            before = self._pauses.pop(look.case.case, None)
            if look.failed:
                length = min(before.length * 2 if before else TRY_AGAIN, longest)
                self._pauses[look.case.case] = _Pause(length, now + length)
        for case in tuple(self._pauses)[:-MOST_POSTPONED]:
            del self._pauses[case]


@dataclass(frozen=True, slots=True)
class _Pause:
    length: timedelta
    until: datetime


def is_mended(known: Diagnosis, now: Diagnosis) -> bool:
    """Tell whether DNS shows by now that what was missing is there; pure.

    Either nothing is left to do in DNS, or what the first diagnosis asked for is done. After that
    the same refusal may mean another fix: where SPF was published for DMARC's sake, a signature
    would be better still. That is no reason to keep the case open.
    """
    if not is_watched(known) or now.fix is Fix.NOT_CHECKED:
        return False
    check = SHOWN_BY[known.fix]
    return now.fix in _ALL_IS_THERE or (not is_in_order(known, check) and is_in_order(now, check))


def _is_over(look: Look, now: datetime) -> bool:
    """Tell whether a check closes the case.

    An author who mends his zone and is refused once more, by a receiver that still keeps "no
    record", is told to ask the receiver, which no DNS shows to be done. So where what he was
    told before is there, and nobody has refused him for RECEIVERS_CATCH_UP, that was the mend. A
    receiver that goes on refusing opens the case again, and what it refuses then is told.
    """
    case, known = look.case, look.case.diagnosis
    if known is None:
        return False
    if is_mended(known, look.diagnosis):
        return True
    return (
        known.fix in _ALL_IS_THERE
        and now - case.last_strike_at >= RECEIVERS_CATCH_UP
        and any(is_mended(told, look.diagnosis) for told in case.told)
    )


def _store(
    connection: Connection, found: Sequence[Look], now: datetime, *, is_asked: bool
) -> list[Look]:
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
    found: Sequence[Look],
    now: datetime,
    policy: PolicySettings,
    new_id: NewId,
) -> tuple[list[RefusedDomain], list[Look]]:
    """Close what is mended, write down the others; return what was closed, and what is news."""
    _lock(connection, found)
    closed, changed = [], []
    for look in found:
        case, diagnosis = look.case, look.diagnosis
        if _is_over(look, now):
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
        elif look.failed:  # that was the look of this interval
            diagnoses.store_check(connection, case, None, now)
        elif diagnoses.store_check(connection, case, diagnosis, now) and look.is_news:
            changed.append(look)
    return closed, changed


def _lock(connection: Connection, found: Iterable[Look]) -> None:
    """Lock all authors before anything is written, so that nobody deadlocks."""
    lock_authors(connection, {look.case.author for look in found})


def _tell(looks: Iterable[Look]) -> None:
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
