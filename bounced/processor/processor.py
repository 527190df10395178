"""Takes stored reports through parser, origin and ledger, batch by batch, and logs what came out.

Claims are short, parsing happens outside any transaction, results are idempotent (DESIGN §9).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bounced.ledger import reports, sends, strikes
from bounced.ledger.health import is_lost
from bounced.ledger.policy import PolicySettings
from bounced.ledger.reports import Finding, StoredReport
from bounced.ledger.strikes import Opened, Outcome
from bounced.ledger.writer import Writer
from bounced.model import Send, TokenType, Trust
from bounced.origin.admission import Door
from bounced.origin.resolve import Arrival, OriginSettings, resolve_origin, speaks_for
from bounced.parser.cluster import Cluster, find_cluster
from bounced.processor import events
from bounced.processor.pool import ParserPool
from bounced.processor.worker import Parsed, Result, Unread

CLAIM = 200
"""Reports in one claim, and in the transaction that records them."""
CLAIM_BYTES = 64 * 2**20
LEASE = timedelta(minutes=10)
"""How long a claim holds; it is renewed while its messages are read."""
REFUSED = "ledger-refused"
"""The `why` of a report that was read but cannot be judged or recorded."""

_Read = tuple[StoredReport, Parsed, Send | None]


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
        lease: timedelta = LEASE,
    ) -> None:
        self.pool = pool
        self.settings = settings
        self._writer = writer
        self._clock = clock
        self._new_id = new_id
        self._lease = lease
        self._waiting = asyncio.Event()
        self._stopping = False
        self._under_way: list[str] = []
        """Reports claimed and not finished: still set when a batch fails."""

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
            self._under_way = []
            done += len(batch)
        return done

    async def _claim(self) -> list[StoredReport]:
        """Take the next batch; what a failed one left behind is to be had at once."""
        now, left = self._clock(), self._under_way

        def take(connection: Connection) -> list[StoredReport]:
            if left:
                reports.postpone(connection, left, now)
            return reports.claim(connection, now, self._lease, CLAIM, CLAIM_BYTES)

        batch = await self._writer.run(take)
        self._under_way = [stored.arrival.report for stored in batch]
        return batch

    async def _process(self, batch: Sequence[StoredReport]) -> None:
        """Process one batch; raises what concerns all of it: the database, the parser pool."""
        settings = self.settings
        results = await self._parse(batch)
        known = await self._find_sends(batch)
        read: list[_Read] = []
        for stored, result in zip(batch, results, strict=True):
            if isinstance(result, Unread):
                if await self._quarantine(stored, result.why.value, result.detail):
                    events.log_unreadable(stored.arrival, result)
            else:
                read.append((stored, result, known.get(stored.arrival.token_id or "")))
        await self._conclude(read, settings)

    async def _parse(self, batch: Sequence[StoredReport]) -> list[Result]:
        """Read the messages; slow ones may together take longer than the claim holds."""
        ids = [stored.arrival.report for stored in batch]
        messages = [stored.arrival.delivered for stored in batch]
        reading = asyncio.ensure_future(self.pool.parse(messages))
        try:
            while not (await asyncio.wait([reading], timeout=self._lease.total_seconds() / 2))[0]:
                until = self._clock() + self._lease
                await self._writer.run(lambda c, until=until: reports.postpone(c, ids, until))  # type: ignore[misc] # a lambda has no annotations
            return reading.result()
        finally:
            reading.cancel()

    async def _find_sends(self, batch: Sequence[StoredReport]) -> dict[str, Send]:
        ids = {
            stored.arrival.token_id
            for stored in batch
            if stored.arrival.token_type is TokenType.SEND and stored.arrival.token_id
        }
        return await self._writer.run(lambda connection: sends.find(connection, ids))

    async def _conclude(self, read: Sequence[_Read], settings: ProcessorSettings) -> None:
        """Judge and record in one transaction.

        Where that fails, each report has its own, so that one report alone is put away and no
        bug lets it block its neighbours for ever.
        """
        try:
            outcomes, opened = await self._record(read, settings)
        except Exception as error:  # the last resort for one report
            if is_lost(error):
                raise
            if len(read) > 1:
                for each in read:
                    await self._conclude([each], settings)
                return
            stored = read[0][0]
            detail = events.describe_refusal(error)
            if await self._quarantine(stored, REFUSED, detail):
                events.log_refused(stored.arrival, REFUSED, detail, error)
        else:
            events.log_recorded(outcomes, opened)

    async def _record(
        self, read: Sequence[_Read], settings: ProcessorSettings
    ) -> tuple[list[Outcome], list[Opened]]:
        now = self._clock()
        findings = [judge(stored, parsed, send, settings) for stored, parsed, send in read]
        return await self._writer.run(
            lambda connection: strikes.record(
                connection, findings, settings.policy, now, self._new_id
            )
        )

    async def _quarantine(self, stored: StoredReport, why: str, detail: str | None) -> bool:
        now, report = self._clock(), stored.arrival.report
        return await self._writer.run(
            lambda connection: reports.quarantine(connection, report, why, detail, now)
        )


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
        clusters=_find_clusters(parsed),
    )
    if send is None or origin.trust is not Trust.SIGNED:
        return finding
    return replace(
        finding,
        addressed=tuple(speaks_for(send, facts) for facts in parsed.report.recipients),
    )


def _find_clusters(parsed: Parsed) -> tuple[Cluster | None, ...]:
    """Return for each recipient whose text no rule knows what that text is one of."""
    return tuple(
        find_cluster(facts) if verdict is not None and verdict.rule is None else None
        for facts, verdict in zip(parsed.report.recipients, parsed.verdicts, strict=True)
    )
