"""Takes stored reports through parser, origin and ledger, batch by batch, and logs what came out.

Claims are short, parsing happens outside any transaction, results are idempotent (DESIGN §9).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import DBAPIError, OperationalError

from bounced.ledger import reports, sends, strikes
from bounced.ledger.policy import PolicySettings
from bounced.ledger.reports import Finding, StoredReport
from bounced.ledger.strikes import Opened, Outcome
from bounced.ledger.writer import Writer
from bounced.model import Send, TokenType, Trust
from bounced.origin.admission import Door
from bounced.origin.resolve import Arrival, OriginSettings, resolve_origin, speaks_for
from bounced.processor import events
from bounced.processor.pool import ParserPool
from bounced.processor.worker import Parsed, Unreadable

CLAIM = 200
"""Reports in one claim, and in the transaction that records them."""
CLAIM_BYTES = 64 * 2**20
LEASE = timedelta(minutes=10)
_REFUSED = "ledger-refused"


@dataclass(frozen=True, slots=True)
class ProcessorSettings:
    """What judging a report needs of the configuration."""

    origin: OriginSettings
    policy: PolicySettings


class Processor:
    """Works through what waits; `settings` and `pool` may be replaced between batches."""

    def __init__(
        self,
        writer: Writer,
        pool: ParserPool,
        settings: ProcessorSettings,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.pool = pool
        self.settings = settings
        self._writer = writer
        self._clock = clock
        self._new_id = new_id
        self._waiting = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Claim no more; what is under way goes on."""
        self._stopping = True
        self._waiting.set()

    def wake(self) -> None:
        """Say that a report has been stored."""
        self._waiting.set()

    async def wait(self, timeout_s: float) -> None:
        """Sleep until a report has been stored, or for `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._waiting.wait()
        except TimeoutError:
            pass
        self._waiting.clear()

    async def process_waiting(self) -> int:
        """Process every report that waits; return how many there were."""
        done = 0
        while not self._stopping and (batch := await self._claim()):
            await self._process(batch)
            done += len(batch)
        return done

    async def _claim(self) -> list[StoredReport]:
        now = self._clock()
        return await self._writer.run(
            lambda connection: reports.claim(connection, now, LEASE, CLAIM, CLAIM_BYTES)
        )

    async def _process(self, batch: Sequence[StoredReport]) -> None:
        pool, settings = self.pool, self.settings
        parsed = await pool.parse([stored.arrival.raw for stored in batch])
        known = await self._find_sends(batch)
        findings = []
        for stored, result in zip(batch, parsed, strict=True):
            if isinstance(result, Unreadable):
                await self._quarantine(stored, result.value, None)
            else:
                send = known.get(stored.arrival.token_id or "")
                findings.append(judge(stored, result, send, settings))
        await self._record(findings, settings)

    async def _find_sends(self, batch: Sequence[StoredReport]) -> dict[str, Send]:
        ids = {
            stored.arrival.token_id
            for stored in batch
            if stored.arrival.token_type is TokenType.SEND and stored.arrival.token_id
        }
        return await self._writer.run(lambda connection: sends.find(connection, ids))

    async def _record(self, findings: Sequence[Finding], settings: ProcessorSettings) -> None:
        """Record in one transaction; a finding that the database refuses is put away alone.

        Raises OperationalError when the database itself is out of reach.
        """
        now = self._clock()

        def write(some: Sequence[Finding]) -> Callable[..., tuple[list[Outcome], list[Opened]]]:
            return lambda connection: strikes.record(
                connection, some, settings.policy, now, self._new_id
            )

        try:
            events.log_recorded(*await self._writer.run(write(findings)))
        except OperationalError:
            raise
        except DBAPIError as error:
            if len(findings) == 1:
                stored = StoredReport(findings[0].arrival, 1)
                await self._quarantine(stored, _REFUSED, str(error.orig))
                return
            for finding in findings:
                await self._record([finding], settings)

    async def _quarantine(self, stored: StoredReport, why: str, detail: str | None) -> None:
        now, report = self._clock(), stored.arrival.report
        await self._writer.run(
            lambda connection: reports.quarantine(connection, report, why, detail, now)
        )
        events.log_unreadable(stored.arrival, why, detail)


def judge(
    stored: StoredReport, parsed: Parsed, send: Send | None, settings: ProcessorSettings
) -> Finding:
    """Say whose mail it was and whether it may count; pure."""
    arrival = stored.arrival
    origin = resolve_origin(
        parsed.report,
        Arrival(Door(arrival.door), arrival.client, arrival.token_type, arrival.vouched),
        send,
        settings.origin,
    )
    finding = Finding(
        arrival=replace(arrival, raw=b""),
        report=parsed.report,
        verdicts=parsed.verdicts,
        trust=origin.trust,
        author=origin.author,
        source=origin.source,
        reference=origin.reference,
        why=origin.why.value if origin.why else None,
        detail=origin.detail,
        quarantined=origin.quarantined,
        send=send,
        digest=hashlib.sha256(arrival.raw).hexdigest(),
    )
    if send is None or origin.trust is not Trust.SIGNED:
        return finding
    return replace(
        finding,
        addressed=tuple(speaks_for(send, facts) for facts in parsed.report.recipients),
    )
