"""What a session asks of the daemon: who may enter, and to keep what has come in.

The reply to a message is decided here alone: 250 stands for a commit (DESIGN §5.1).
"""

from __future__ import annotations

import asyncio
import ipaddress
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bounced.ledger.records import NewReport
from bounced.listener import replies
from bounced.logs import Event, emit
from bounced.model import LedgerError, Trust
from bounced.origin.admission import (
    Accepted,
    Admission,
    AdmissionSettings,
    Refusal,
    judge_recipient,
)
from bounced.origin.token import KeyRing

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Client:
    """The host at the other end of a connection."""

    address: IPAddress | None
    """None where the socket has none."""
    own_relay: bool

    def __str__(self) -> str:
        return str(self.address or "unknown")


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient that was accepted at RCPT."""

    address: str
    accepted: Accepted


def find_client(peername: object, own_relays: Iterable[IPNetwork]) -> Client:
    """Read the address of a socket's peer, as asyncio's `peername` gives it; total."""
    host = peername[0] if isinstance(peername, tuple) and peername else ""
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return Client(None, own_relay=False)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return Client(address, own_relay=any(address in network for network in own_relays))


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
            today=int(self._clock().timestamp()) // _DAY_S,
        )
        if isinstance(judgement, Refusal):
            emit(
                Event.SMTP_REFUSED,
                why=judgement.value,
                client=str(client),
                sender=mail_from,
                recipient=address,
                reply=judgement.reply,
            )
        return judgement

    async def keep(
        self, raw: bytes, mail_from: str, recipients: Sequence[Recipient], client: Client
    ) -> str:
        """Commit one report for each recipient and return the reply; whoever waits may leave.

        The commit goes on when the caller is cancelled because the client hung up.
        """
        commit = asyncio.create_task(self._commit(raw, mail_from, recipients, client))
        self._commits.add(commit)
        commit.add_done_callback(self._commits.discard)
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
            client=str(client.address) if client.address else None,
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
