"""Takes due notices from claim to settlement; every outcome is committed before the next step.

Between the last RCPT reply and DATA stands the commit of `data_started` (DESIGN §5.3): from then
on a lost connection or a lost daemon means that the outcome is unknown, and nothing is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bounced.config import NoticeSettings
from bounced.ledger import notices
from bounced.ledger.notices import Settled
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import ClaimedNotice, NoticeState
from bounced.ledger.writer import Writer
from bounced.logs import Event, emit
from bounced.model import TokenType
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import (
    Abandoned,
    Deferred,
    Delivered,
    Delivery,
    OutcomeUnknown,
    Refused,
)
from bounced.origin.admission import AdmissionSettings, build_return_path
from bounced.origin.token import KeyRing, find_day, seal

LEASE = timedelta(minutes=30)
"""How long one attempt may take before another node takes the notice over."""
CONCURRENCY = 4
"""Notices under way at once."""
FIRST_RETRY = timedelta(seconds=10)
LAST_RETRY = timedelta(hours=1)
GIVE_UP = timedelta(days=5)
"""What a mail server's queue lives (RFC 5321 §4.5.4.1)."""


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

    def stop(self) -> None:
        """Claim no more; what is under way goes on."""
        self._stopping = True

    async def send_due(self, now: datetime) -> int:
        """Hold or send every notice that is due; return how many were tried."""
        settings = self.settings
        lost = await self._writer.run(
            lambda connection: notices.settle_lost(
                connection, now, settings=settings.policy, new_id=self._new_id
            )
        )
        for settled in lost:
            _log_settled(settled, None, None)
        if settings.notices.mode == "hold":
            await self._hold(now)
        tried = await asyncio.gather(
            *(self._send_some(settings) for _ in range(CONCURRENCY)), return_exceptions=True
        )
        for result in tried:
            if isinstance(result, BaseException):
                raise result
        return sum(count for count in tried if isinstance(count, int))

    async def _hold(self, now: datetime) -> None:
        held = await self._writer.run(lambda connection: notices.hold_due(connection, now))
        for notice, author in held:
            emit(Event.NOTICE_HELD, notice=notice, author=author)

    async def _send_some(self, settings: DispatcherSettings) -> int:
        tried = 0
        while not self._stopping and (claimed := await self._claim(settings)):
            await self._send(claimed, settings)
            tried += 1
        return tried

    async def _claim(self, settings: DispatcherSettings) -> ClaimedNotice | None:
        now = self._clock()
        return await self._writer.run(
            lambda connection: notices.claim(
                connection,
                now,
                LEASE,
                settings=settings.policy,
                domain=settings.admission.domains[0],
                new_id=self._new_id,
            )
        )

    async def _send(self, claimed: ClaimedNotice, settings: DispatcherSettings) -> None:
        result = await settings.delivery.deliver(
            settings.composer.compose(claimed),
            mail_from=_make_return_path(claimed, settings),
            rcpt=claimed.author,
            before_data=lambda: self._start_data(claimed),
        )
        match result:
            case Delivered(reply=reply):
                await self._settle(claimed, NoticeState.SENT, reply, settings)
            case Refused(detail=detail):
                await self._settle(claimed, NoticeState.FAILED, detail, settings)
            case OutcomeUnknown(detail=detail):
                await self._settle(claimed, NoticeState.OUTCOME_UNKNOWN, detail, settings)
            case Deferred(detail=detail):
                await self._defer(claimed, detail, settings)
            case Abandoned():
                pass  # another node has taken the notice over

    async def _start_data(self, claimed: ClaimedNotice) -> bool:
        return await self._writer.run(
            lambda connection: notices.start_data(connection, claimed.notice, claimed.claim)
        )

    async def _settle(
        self,
        claimed: ClaimedNotice,
        state: NoticeState,
        detail: str,
        settings: DispatcherSettings,
    ) -> None:
        now = self._clock()
        settled = await self._writer.run(
            lambda connection: notices.settle(
                connection,
                claimed.notice,
                claimed.claim,
                state,
                detail=detail,
                now=now,
                settings=settings.policy,
                new_id=self._new_id,
            )
        )
        if settled is not None:
            _log_settled(settled, detail, claimed.message_id)

    async def _defer(
        self, claimed: ClaimedNotice, detail: str, settings: DispatcherSettings
    ) -> None:
        now = self._clock()
        if now - claimed.claimed_at > GIVE_UP:
            await self._settle(claimed, NoticeState.FAILED, f"given up: {detail}", settings)
            return
        next_at = now + min(LAST_RETRY, FIRST_RETRY * 2 ** min(claimed.attempts - 1, 20))
        kept = await self._writer.run(
            lambda connection: notices.defer(
                connection, claimed.notice, claimed.claim, next_at, detail
            )
        )
        if kept:
            emit(
                Event.NOTICE_DEFERRED,
                notice=claimed.notice,
                author=claimed.author,
                slots=[_slot(entry.case, entry.number) for entry in claimed.entries],
                detail=detail,
                next_at=next_at.isoformat(),
                attempts=claimed.attempts,
            )


def _make_return_path(claimed: ClaimedNotice, settings: DispatcherSettings) -> str:
    day = find_day(claimed.claimed_at)
    token = seal(TokenType.NOTICE, bytes.fromhex(claimed.notice), day, settings.ring().signing)
    return build_return_path(token, settings.admission)


def _log_settled(settled: Settled, detail: str | None, message_id: str | None) -> None:
    fields: dict[str, object] = {"detail": detail}
    if settled.state is NoticeState.SENT:
        fields = {"reply": detail, "message_id": message_id}
    emit(
        notices.SETTLED_EVENTS[settled.state],
        notice=settled.notice,
        author=settled.author,
        slots=[_slot(slot.case, slot.number) for slot in settled.slots],
        **fields,
    )
    for slot in settled.exhausted:
        emit(
            Event.CASE_EXHAUSTED,
            case=slot.case,
            author=settled.author,
            subject=slot.subject,
            notices=slot.number,
        )
    for digest in settled.opened:
        emit(
            Event.NOTICE_QUEUED,
            notice=digest.notice,
            author=digest.author,
            due_at=digest.due_at.isoformat(),
        )


def _slot(case: str, number: int) -> dict[str, object]:
    return {"case": case, "number": number}
