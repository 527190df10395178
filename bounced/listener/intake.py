"""What a session asks of the daemon: who may enter, and to keep what has come in.

The reply to a message is decided here alone: 250 stands for a commit (DESIGN §5.1).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bounced.ledger.records import NewReport
from bounced.listener import replies
from bounced.listener.client import Client
from bounced.listener.memory import MessageMemory, Share
from bounced.listener.refusals import RefusalLog
from bounced.logs import Event, emit
from bounced.model import LedgerError, Trust, recipient_key
from bounced.origin.admission import (
    Accepted,
    Admission,
    AdmissionSettings,
    Refusal,
    judge_recipient,
)
from bounced.origin.token import KeyRing, find_day


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient that was accepted at RCPT."""

    address: str
    accepted: Accepted

    @property
    def key(self) -> tuple[str, str]:
        """Return the same for every way to write this recipient."""
        token = self.accepted.token
        if token is not None:
            return token.type, token.hex_id
        return self.accepted.door, recipient_key(self.address)


class Intake:
    """Judges recipients and stores messages for all sessions of the listener."""

    def __init__(
        self,
        admission: Callable[[], tuple[AdmissionSettings, KeyRing]],
        store: Callable[[Sequence[NewReport]], Awaitable[None]],
        clock: Callable[[], datetime],
        new_id: Callable[[datetime], str],
    ) -> None:
        self._admission = admission
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self.memory = MessageMemory()
        self.refusals = RefusalLog()
        self._commits: set[asyncio.Task[str]] = set()

    def judge(self, address: str, mail_from: str, client: Client) -> Admission:
        """Judge one recipient, and log a refusal."""
        settings, ring = self._admission()
        judgement = judge_recipient(
            address,
            mail_from,
            from_own_relay=client.own_relay,
            settings=settings,
            ring=ring,
            today=find_day(self._clock()),
        )
        if isinstance(judgement, Refusal):
            self.refusals.write(
                client,
                judgement.value,
                sender=mail_from,
                recipient=address,
                reply=judgement.reply,
            )
        return judgement

    async def keep(
        self,
        raw: bytes,
        mail_from: str,
        recipients: Sequence[Recipient],
        client: Client,
        share: Share,
    ) -> str:
        """Commit one report for each recipient and return the reply; whoever waits may leave.

        The commit goes on when the caller is cancelled because the client hung up; the memory of
        the message, `share`, is given back when it is over.
        """
        commit = asyncio.create_task(self._commit(raw, mail_from, recipients, client))
        self._commits.add(commit)
        commit.add_done_callback(self._commits.discard)
        commit.add_done_callback(lambda _commit: share.release())
        return await asyncio.shield(commit)

    async def wait_for_commits(self) -> None:
        """Wait until nothing is being stored any more."""
        while self._commits:
            await asyncio.wait(self._commits)

    async def _commit(
        self, raw: bytes, mail_from: str, recipients: Sequence[Recipient], client: Client
    ) -> str:
        try:
            reports = [
                self._build_report(raw, mail_from, recipient, client) for recipient in recipients
            ]
            await self._store(reports)
        except LedgerError:  # whoever stores has logged why
            return replies.TRY_LATER
        except Exception as error:  # noqa: BLE001 - the last resort: after 451 the peer tries again
            log_failure(error)
            return replies.TRY_LATER
        for report in reports:
            _log_received(report, client)
        return replies.STORED

    def _build_report(
        self, raw: bytes, mail_from: str, recipient: Recipient, client: Client
    ) -> NewReport:
        received_at, token = self._clock(), recipient.accepted.token
        return NewReport(
            report=self._new_id(received_at),
            received_at=received_at,
            raw=raw,
            envelope_recipient=recipient.address,
            door=recipient.accepted.door,
            client=str(client) if client.is_known else None,
            mail_from=mail_from,
            token_type=token.type if token else None,
            token_id=token.hex_id if token else None,
            token_day=token.day if token else None,
        )


def log_failure(error: Exception) -> None:
    """Log an error that nobody foresaw, with its traceback; the peer gets a fixed reply."""
    emit(
        Event.JOB_FAILED,
        job="smtp session",
        error=type(error).__name__,
        exception="".join(traceback.format_exception(error)),
    )


def _log_received(report: NewReport, client: Client) -> None:
    if report.token_id is not None:
        trust = Trust.SIGNED
    else:
        trust = Trust.RELAY if client.own_relay else Trust.NONE
    emit(
        Event.REPORT_RECEIVED,
        report=report.report,
        client=str(client),
        trust=trust,
        recipient=report.envelope_recipient,
        sender=report.mail_from,
        size=len(report.raw),
    )
