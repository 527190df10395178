"""When what is kept becomes too old or too much, and how that is told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from bounced.config import RetentionSettings
from bounced.ledger import outbox, quarantine, webhooks
from bounced.ledger.engine import Ledger
from bounced.ledger.quarantine import Purged, Step
from bounced.ledger.writer import Writer
from bounced.logs import Event, emit
from bounced.watch.reserve import Reserve

T = TypeVar("T")

DAY = timedelta(days=1)
SLACK = 10
"""A purge by size goes a tenth below the limit, so that under a flood not every look purges."""
RESERVE_SHARE = 8
"""Which part of the free space is kept back for the purge itself: 32 MiB by default."""
DISK_CHECK = "disk-space"


def find_free_space(folder: Path) -> int:
    """Return what we may still write on the disk of a folder."""
    return shutil.disk_usage(folder).free


class Housekeeper:
    """Looks every minute whether something must go; `settings` may be replaced between looks."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        settings: RetentionSettings,
        *,
        find_free: Callable[[Path], int] = find_free_space,
    ) -> None:
        self.settings = settings
        self._ledger = ledger
        self._writer = writer
        self._find_free = find_free
        self._reserve = Reserve(ledger.file) if ledger.file else None
        self._counted_on: date | None = None
        self._disk_is_low = False

    async def look(self, now: datetime) -> None:
        """Delete what is too old or too much; count once a day, and at the first look."""
        if self._counted_on != now.date():
            await self.count(now)
            self._counted_on = now.date()
        if self._reserve is not None and self._ledger.file is not None:
            folder = self._ledger.file.absolute().parent
            _tell(await self._relieve_disk(folder, self._reserve), "disk-pressure")
        _tell(await self._purge_older(now - self.settings.quarantine_age), "age")
        held = await self._read(quarantine.measure)
        if held.bytes > self.settings.quarantine_size:
            wanted = self.settings.quarantine_size * (SLACK - 1) // SLACK
            _tell(await self._purge_shares(held.bytes - wanted), "size")
        await self._purge_told("events", outbox.purge_events, now - self.settings.events_age)
        await self._purge_told("webhooks", webhooks.purge, now - self.settings.events_age)

    async def count(self, now: datetime) -> None:
        """Log what is in quarantine."""

        def ask(
            connection: Connection,
        ) -> tuple[quarantine.Holding, int, dict[str, int]]:
            return (
                quarantine.measure(connection),
                quarantine.count_received(connection, now - DAY),
                quarantine.count_whys(connection),
            )

        held, received, whys = await self._read(ask)
        emit(
            Event.QUARANTINE_COUNTED,
            reports=held.reports,
            bytes=held.bytes,
            oldest_at=held.oldest_at,
            received=received,
            why=whys,
        )

    async def _purge_older(self, before: datetime) -> Purged:
        purged = Purged()
        while (
            step := await self._writer.run(lambda c: quarantine.purge_older(c, before))
        ).reports:
            purged += step
        return purged

    async def _purge_shares(self, excess: int) -> Purged:
        """Let `excess` bytes go, in steps between which other work is done."""
        weights = await self._read(quarantine.weigh_networks)
        step = Step(Purged(), quarantine.share_out(weights, excess), None)
        purged = Purged()
        while True:
            step = await self._writer.run(
                lambda c, last=step: quarantine.purge_shares(c, last.shares, last.after)  # type: ignore[misc] # a lambda has no annotations
            )
            purged += step.purged
            if step.after is None:
                return purged

    async def _relieve_disk(self, folder: Path, reserve: Reserve) -> Purged:
        """Let go what the free space lacks; what rows take is only about known: look again."""
        kept = self.settings.min_free_space // RESERVE_SHARE
        purged = Purged()
        while True:
            on_disk = await asyncio.to_thread(self._find_free, folder)
            in_file = await self._read(quarantine.count_free_bytes)
            lack = self.settings.min_free_space - on_disk - in_file - reserve.size
            if lack <= 0:
                break
            if on_disk < kept:
                reserve.give()
            step = await self._purge_shares(lack)
            purged += step
            if not step.reports:
                break
        if on_disk > 2 * kept:
            await asyncio.to_thread(reserve.keep, kept)
        self._tell_disk(folder, lack)
        return purged

    def _tell_disk(self, folder: Path, lack: int) -> None:
        """Tell once that space lacks which no purge can give, and once that it is there again."""
        if (lack > 0) == self._disk_is_low:
            return
        self._disk_is_low = lack > 0
        wanted = self.settings.min_free_space
        detail = f"{folder}: bytes free: {wanted - lack}, retention.min_free_space: {wanted}"
        if self._disk_is_low:
            emit(Event.SELF_CHECK_FAILED, check=DISK_CHECK, why="low", detail=detail)
        else:
            emit(Event.SELF_CHECK_PASSED, check=DISK_CHECK, detail=detail)

    async def _purge_told(
        self, what: str, purge: Callable[[Connection, datetime], int], before: datetime
    ) -> None:
        """Delete what the application was told long ago, in steps between other work."""
        count = 0
        while step := await self._writer.run(lambda c: purge(c, before)):
            count += step
        if count:
            emit(Event.RETENTION_PURGED, what=what, count=count, why="age")

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._ledger.read, work)


def _tell(purged: Purged, why: str) -> None:
    if purged.reports:
        emit(
            Event.RETENTION_PURGED,
            what="quarantine",
            count=purged.reports,
            bytes=purged.bytes,
            why=why,
        )
