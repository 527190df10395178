"""When wrong addresses are looked into, and when a suggestion is sure enough to be made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bounced.advisor.dns import MailService, Resolver, find_mail_service
from bounced.advisor.providers import read_providers
from bounced.advisor.typo import Known, Suggestion, suggest
from bounced.config import DnsSettings
from bounced.ledger import addresses, advice, reached
from bounced.ledger.advice import UnadvisedCase
from bounced.ledger.engine import Ledger
from bounced.ledger.writer import Writer
from bounced.logs import Event, emit
from bounced.model import Reason, recipient_key, split_address

AT_ONCE = 50
"""Cases of one look; each takes some milliseconds of thought where much is known."""
LOOK_S = 10.0
"""What all questions to DNS about one case may take."""
TRY_AGAIN = timedelta(minutes=4)
"""After DNS failed: some three times before a digest with the usual window is due."""
MOST_POSTPONED = 1_000
"""Cases that wait for DNS; when there are more it is as good as dead, and new ones wait too."""
SITE_HOLDS = timedelta(minutes=10)
LEARNED_AT_ONCE = 100
"""Sends of one transaction, with up to a hundred recipients each."""
MOST_STEPS = 50
"""Transactions of one beat; after an upgrade every send there ever was is to be learned from."""

_DOMAIN_IS_WRONG = frozenset({Reason.DOMAIN_UNKNOWN, Reason.NOT_ACCEPTING})
"""The receiving side has looked into DNS for us."""


@dataclass(frozen=True, slots=True)
class _Proposal:
    case: UnadvisedCase
    suggestion: Suggestion | None
    """None: nothing comes to mind."""


class Adviser:
    """Looks into wrong addresses before their authors are told; no notice waits for it."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        settings: DnsSettings,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._clock = clock
        self._providers = read_providers()
        self._postponed: dict[str, datetime] = {}
        """Cases about which DNS could not be asked, and when to ask again."""
        self._site_domains: frozenset[str] = frozenset()
        self._site_until: datetime | None = None
        self.take(settings)

    def take(self, settings: DnsSettings) -> None:
        """Ask by these settings from now on; what is under way is asked by the old ones."""
        self._resolver = Resolver(settings, clock=self._clock) if settings.enabled else None

    async def advise(self, now: datetime) -> None:
        """Look into the cases that are due next and have not been looked into."""
        self._postponed = {case: at for case, at in self._postponed.items() if at > now}
        if len(self._postponed) >= MOST_POSTPONED:
            return
        proposals = await asyncio.to_thread(self._propose, now)
        confirmed = await asyncio.gather(*map(self._confirm, proposals))
        decided = []
        for proposal, answer in zip(proposals, confirmed, strict=True):
            if answer is None:
                self._postponed[proposal.case.case] = now + TRY_AGAIN
            else:
                decided.append(proposal if answer else _Proposal(proposal.case, None))
        if decided:
            stored = await self._writer.run(lambda c: _store(c, decided, now))
            _tell(stored)

    async def learn(self, now: datetime) -> None:
        """Take in which addresses work, in steps between which other work is done."""
        for _ in range(MOST_STEPS):
            step = await self._writer.run(lambda c: reached.learn(c, now, LEARNED_AT_ONCE))
            if step < LEARNED_AT_ONCE:
                break

    def _propose(self, now: datetime) -> list[_Proposal]:
        """Think of what may be meant, by what is known here; takes a thread's time."""

        def read(connection: Connection) -> list[_Proposal]:
            waiting = advice.find_unadvised(connection, AT_ONCE, without=self._postponed)
            known = self._read_known(connection, {case.author for case in waiting}, now)
            return [
                _Proposal(case, self._think(connection, case, known[case.author]))
                for case in waiting
            ]

        return self._ledger.read(read)

    def _read_known(
        self, connection: Connection, authors: Iterable[str], now: datetime
    ) -> dict[str, Known]:
        known = {}
        for author in authors:
            if self._site_until is None or now >= self._site_until:
                self._site_domains = reached.read_site_domains(connection)
                self._site_until = now + SITE_HOLDS
            domains, working = reached.read_known(connection, author)
            known[author] = Known(domains, self._site_domains, working)
        return known

    def _think(
        self, connection: Connection, case: UnadvisedCase, known: Known
    ) -> Suggestion | None:
        """Return what may be meant, unless that is itself known to be wrong."""
        suggestion = suggest(case.recipient, case.reason, known, self._providers)
        if suggestion is None:
            return None
        if recipient_key(suggestion.address) == case.subject:
            # The count does not tell `max@web.de.` from the address that is meant; we do.
            failed = advice.has_failed(connection, case.case, suggestion.address)
            return None if failed else suggestion
        (standing,) = addresses.look_up(connection, [suggestion.address])
        return None if standing.known_bad else suggestion

    async def _confirm(self, proposal: _Proposal) -> bool | None:
        """Tell whether DNS bears a proposal out; None: that cannot be said now."""
        suggestion, case = proposal.suggestion, proposal.case
        if suggestion is None:
            return True
        if self._resolver is None:
            return suggestion.holds_without_dns
        if not suggestion.needs_dns:
            return True
        try:
            async with asyncio.timeout(LOOK_S):
                typed, meant = await asyncio.gather(
                    find_mail_service(self._resolver, split_address(case.subject)[1]),
                    find_mail_service(self._resolver, split_address(suggestion.address)[1]),
                )
        except TimeoutError:
            typed = meant = MailService.FAILED
        return judge(case.reason, suggestion, typed, meant)


def judge(
    reason: Reason, suggestion: Suggestion, typed: MailService, meant: MailService
) -> bool | None:
    """Tell whether the domain that was typed takes no mail and the one that is meant does; pure.

    None: that cannot be said, because DNS failed and the receiving side has not said it either.
    """
    # Without MX a host takes mail by its address, if at all: one that has answered does.
    answered = typed is MailService.IMPLICIT and not suggestion.holds_without_dns
    if typed is MailService.HAS_MX or answered:
        return False
    if meant not in {MailService.HAS_MX, MailService.FAILED}:
        return False
    if MailService.FAILED in {typed, meant}:
        return True if reason in _DOMAIN_IS_WRONG else None
    return True


def _store(
    connection: Connection, decided: Iterable[_Proposal], now: datetime
) -> list[tuple[UnadvisedCase, Suggestion]]:
    """Write down what was found; return the suggestions that stand now."""
    return [
        (each.case, each.suggestion)
        for each in decided
        if advice.store(
            connection, each.case, each.suggestion.address if each.suggestion else None, now
        )
        and each.suggestion
    ]


def _tell(stored: Iterable[tuple[UnadvisedCase, Suggestion]]) -> None:
    for case, suggestion in stored:
        emit(
            Event.ADDRESS_SUGGESTED,
            case=case.case,
            author=case.author,
            subject=case.subject,
            suggestion=suggestion.address,
            why=suggestion.basis.value,
        )
