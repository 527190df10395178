"""Takes due notices from claim to settlement; every outcome is committed before the next step.

Between the last RCPT reply and DATA stands the commit of `data_started` (DESIGN §5.3): from then
on a lost connection or a lost daemon means that the outcome is unknown, and nothing is repeated.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bounced.config import NoticeSettings, RelaySettings
from bounced.ledger import notices, settling
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import ClaimedNotice, NoticeState
from bounced.ledger.settling import Ending, Settled
from bounced.ledger.writer import Group, Writer
from bounced.model import ConfigError, TokenType
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import (
    Abandoned,
    Deferred,
    Delivered,
    Delivery,
    OutcomeUnknown,
    Refused,
)
from bounced.notifier.outage import Outage
from bounced.notifier.reporting import log_deferred, log_held, log_settled
from bounced.origin.admission import AdmissionSettings, build_return_path
from bounced.origin.token import KeyRing, find_day, seal

LEASE = timedelta(minutes=30)
"""How long one attempt may take before another node takes the notice over."""
CLAIMED_AHEAD = 4
"""Notices claimed at once for each connection."""
SENDERS = 2
"""Notices under way for each connection."""
FIRST_RETRY = timedelta(seconds=10)
LAST_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """What sending notices needs of the configuration; replaced as a whole on reload."""

    notices: NoticeSettings
    policy: PolicySettings
    admission: AdmissionSettings
    ring: Callable[[], KeyRing]
    """Asked for each notice, so that a new key signs at once."""
    composer: Composer
    delivery: Delivery
    relay: RelaySettings


class Dispatcher:
    """Sends what is due; `settings` may be replaced between runs."""

    def __init__(
        self,
        writer: Writer,
        settings: DispatcherSettings,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.settings = settings
        self._writer = writer
        self._clock = clock
        self._new_id = new_id
        self._stopping = False
        self._outage = Outage()
        self._asked = settings.delivery
        """What the outage is of: another relay may be there."""
        self._steps = Group(writer, self._write_steps)

    def stop(self) -> None:
        """Claim no more; what is under way goes on."""
        self._stopping = True

    async def send_due(self, now: datetime) -> int:
        """Hold or send every notice that is due; return how many were tried."""
        settings = self.settings
        if self._asked is not settings.delivery:
            self._outage, self._asked = Outage(), settings.delivery
        await self._settle_left(now, settings)
        await self._hold(now, settings)
        tried = 0
        if self._outage.is_on:
            tried = await self._ask_again(settings)
        return tried + await self._send_all(settings)

    async def _settle_left(self, now: datetime, settings: DispatcherSettings) -> None:
        """Settle what a lost daemon has left, and what is no longer to be tried."""
        for settle in (settling.settle_lost, settling.settle_silent):
            settled = await self._writer.run(
                lambda connection, settle=settle: settle(  # type: ignore[misc] # a lambda has no annotations
                    connection, now, settings=settings.policy, new_id=self._new_id
                )
            )
            for each in settled:
                log_settled(each)

    async def _hold(self, now: datetime, settings: DispatcherSettings) -> None:
        everyone = settings.notices.mode == "hold"
        held = await self._writer.run(
            lambda connection: notices.hold_due(connection, now, everyone=everyone)
        )
        for each in held:
            log_held(each)

    async def _ask_again(self, settings: DispatcherSettings) -> int:
        """Try one notice, once the pause is over, to see whether the relay is there again."""
        now = self._clock()
        if self._stopping or settings.notices.find_quiet_end(now) or self._outage.find_end(now):
            return 0
        claimed = await self._claim(settings, 1)
        for notice in claimed:
            await self._send(notice, settings)
        return len(claimed)

    async def _send_all(self, settings: DispatcherSettings) -> int:
        """Send on all connections at once until nothing is due or a rest begins.

        Twice as many senders as connections: while one waits for the commit of its ending, another
        has the connection, and what both have to write shares a commit.
        """
        claimed: deque[ClaimedNotice] = deque()
        turn = asyncio.Lock()

        async def send_some() -> int:
            tried = 0
            while await self._fill(claimed, turn, settings) and not self._find_rest(settings):
                await self._send(claimed.popleft(), settings)
                tried += 1
            return tried

        try:
            results = await asyncio.gather(
                *(send_some() for _ in range(SENDERS * settings.relay.max_connections)),
                return_exceptions=True,
            )
        finally:  # when the daemon stops, too
            if claimed:
                await self._give_back(claimed, settings)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if isinstance(result, int))

    async def _fill(
        self, claimed: deque[ClaimedNotice], turn: asyncio.Lock, settings: DispatcherSettings
    ) -> bool:
        """Claim more where nothing is left, one at a time; tell whether there is something."""
        async with turn:
            if not claimed and not self._find_rest(settings):
                at_once = CLAIMED_AHEAD * settings.relay.max_connections
                claimed.extend(await self._claim(settings, at_once))
        return bool(claimed)

    def _find_rest(self, settings: DispatcherSettings) -> _Rest | None:
        """Return why nothing is to be tried now."""
        now = self._clock()
        if self._stopping:
            return _Rest(now, "the daemon stopped")
        if self.settings is not settings:
            return _Rest(now, "the configuration has changed")
        quiet_end = settings.notices.find_quiet_end(now)
        if quiet_end is not None:
            return _Rest(quiet_end, "it is quiet")
        if self._outage.is_on:
            return _Rest(self._outage.find_end(now) or now, "the relay is not there")
        return None

    async def _claim(self, settings: DispatcherSettings, limit: int) -> list[ClaimedNotice]:
        now = self._clock()
        return await self._writer.run(
            lambda connection: notices.claim(
                connection,
                now,
                LEASE,
                limit,
                settings=settings.policy,
                released_only=settings.notices.mode == "hold",
                domain=settings.admission.domains[0],
                new_id=self._new_id,
            )
        )

    async def _give_back(
        self, claimed: Iterable[ClaimedNotice], settings: DispatcherSettings
    ) -> None:
        rest = self._find_rest(settings) or _Rest(self._clock(), "an error came between")
        claims = [(notice.notice, notice.claim) for notice in claimed]
        await self._writer.run(
            lambda connection: notices.give_back(connection, claims, rest.until, rest.why)
        )

    async def _send(self, claimed: ClaimedNotice, settings: DispatcherSettings) -> None:
        try:
            message = settings.composer.compose(claimed)
        except ConfigError as error:
            await self._defer(claimed, f"cannot be composed: {error}", settings)
            return
        result = await settings.delivery.deliver(
            message,
            mail_from=_make_return_path(claimed, settings),
            rcpt=claimed.author,
            before_data=lambda: self._start_data(claimed),
        )
        match result:
            case Delivered(reply=reply):
                self._outage.note_up()
                await self._settle(claimed, NoticeState.SENT, reply)
            case Refused(detail=detail, asked=asked):
                if asked:
                    self._outage.note_up()
                await self._settle(claimed, NoticeState.FAILED, detail)
            case OutcomeUnknown(detail=detail):
                if self._outage.is_on:
                    self._outage.note_down(self._clock())
                await self._settle(claimed, NoticeState.OUTCOME_UNKNOWN, detail)
            case Deferred(detail=detail, relay_down=True):
                await self._defer(
                    claimed, detail, settings, until=self._outage.note_down(self._clock())
                )
            case Deferred(detail=detail):
                self._outage.note_up()
                await self._defer(claimed, detail, settings)
            case Abandoned():
                pass  # another node has taken the notice over

    async def _start_data(self, claimed: ClaimedNotice) -> bool:
        return await self._steps.run(_Start(claimed.notice, claimed.claim)) is not None

    async def _settle(self, claimed: ClaimedNotice, state: NoticeState, detail: str) -> None:
        ending = Ending(claimed.notice, claimed.claim, state, detail, self._clock())
        settled = await self._steps.run(ending)
        if isinstance(settled, Settled):
            log_settled(settled)

    def _write_steps(
        self, connection: Connection, steps: Sequence[_Start | Ending]
    ) -> list[_Start | Settled | None]:
        """Write what ends and what starts in one transaction; None: that claim is lost."""
        endings = [step for step in steps if isinstance(step, Ending)]
        starts = [(step.notice, step.claim) for step in steps if isinstance(step, _Start)]
        # Endings first: they lock authors, and everybody locks these before notices.
        settled = iter(
            settling.settle(
                connection, endings, settings=self.settings.policy, new_id=self._new_id
            )
        )
        started = iter(notices.start_data(connection, starts))
        return [
            next(settled) if isinstance(step, Ending) else step if next(started) else None
            for step in steps
        ]

    async def _defer(
        self,
        claimed: ClaimedNotice,
        detail: str,
        settings: DispatcherSettings,
        *,
        until: datetime | None = None,
    ) -> None:
        """Try again `until` then, by default after a pause that grows; or give up.

        Never at the first attempt: until then the notice may only have waited.
        """
        now = self._clock()
        pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(claimed.attempts - 1, 20))
        next_at = until or now + pause
        if claimed.attempts > 1 and now - claimed.claimed_at > settings.relay.give_up:
            await self._settle(claimed, NoticeState.FAILED, f"given up: {detail}")
            return
        kept = await self._writer.run(
            lambda connection: notices.defer(
                connection, claimed.notice, claimed.claim, next_at, detail
            )
        )
        if kept:
            log_deferred(claimed, next_at, detail)


@dataclass(frozen=True, slots=True)
class _Start:
    """A claimed notice whose DATA is about to be sent."""

    notice: str
    claim: str


@dataclass(frozen=True, slots=True)
class _Rest:
    """Why nothing is tried before `until`."""

    until: datetime
    why: str


def _make_return_path(claimed: ClaimedNotice, settings: DispatcherSettings) -> str:
    day = find_day(claimed.claimed_at)
    token = seal(TokenType.NOTICE, bytes.fromhex(claimed.notice), day, settings.ring().signing)
    return build_return_path(token, settings.admission)
