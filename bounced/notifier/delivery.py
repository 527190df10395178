"""Hands a mail over, to the relay by SMTP or to a Maildir, and says how far it came.

RFC 5321 (SMTP), RFC 6531 (SMTPUTF8). The point of no return is the final dot: before it nothing
was accepted, after its reply we know, in between nobody does.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.email import parse_address

from bounced.config import RelaySettings
from bounced.model import SendError, domain_key, split_address
from bounced.notifier.pool import IDLE_S, Pool, Session
from bounced.notifier.session import (
    COMMAND_TIMEOUT_S,
    MAX_DETAIL_CHARS,
    SessionMaker,
    describe,
    show_reply,
)
from bounced.words.cleaning import clean

FINAL_TIMEOUT_S = 600.0
"""RFC 5321 §4.5.3.2.6: a server may take ten minutes for the final dot."""
START_INPUT = 354
AUTHENTICATION_REQUIRED = 530
"""RFC 4954 §6; RFC 3207 §4 has it for a missing STARTTLS."""

_LOCAL_PART = re.compile(r'''[^\s()<>\[\]:;@\\,"]+|"(?:[^"\\]|\\.)*"''')
"""A dot-string or a quoted string (RFC 5321 §4.1.2), of any letters."""
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)

BeforeData = Callable[[], Awaitable[bool]]
"""Commits that DATA is about to start; False: the notice is no longer ours, send nothing."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Accepted: the next server answers for it."""

    reply: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not accepted, and another attempt may help: the relay's trouble, or a 4xx."""

    detail: str
    relay_down: bool = False
    """No session could be had: the next mail would fare no better."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused for good: 5xx to MAIL, RCPT or DATA."""

    detail: str
    asked: bool = True
    """Whether it was the relay that refused; False: it would have, and was not asked."""


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The mail was being sent when the answer was lost: it may have arrived."""

    detail: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """`before_data` said no; nothing was sent."""


Outcome = Delivered | Deferred | Refused | OutcomeUnknown | Abandoned


class Delivery(Protocol):
    """What the notifier needs of either way."""

    async def deliver(
        self, message: EmailMessage, *, mail_from: str, rcpt: str, before_data: BeforeData
    ) -> Outcome:
        """Hand the mail over once; every trouble of wire or disk is an Outcome."""
        ...

    async def close(self) -> None:
        """Let go of what is kept for the next mail; what is under way comes to its end."""
        ...


@dataclass(frozen=True, slots=True)
class _Mail:
    """One mail on its way, and its envelope as the wire has it."""

    mail_from: str
    rcpt: str
    content: bytes
    before_data: BeforeData

    @property
    def international(self) -> bool:
        return not self.rcpt.isascii()


class SmtpDelivery:
    """Delivers by the configured relay, over sessions that are used again while they are young."""

    def __init__(
        self,
        settings: RelaySettings,
        *,
        password: str | None = None,
        hostname: str = "",
        tls_context: ssl.SSLContext | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
        final_timeout_s: float = FINAL_TIMEOUT_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Take the relay and how to reach it, see SessionMaker; raises ConfigError.

        `final_timeout_s` holds for the reply to the final dot, `idle_s` is how long a session
        waits for its next mail.
        """
        self._maker = SessionMaker(
            settings,
            password=password,
            hostname=hostname,
            tls_context=tls_context,
            timeout_s=timeout_s,
        )
        self._final_timeout_s = final_timeout_s
        self._places = asyncio.Semaphore(settings.max_connections)
        self._pool = Pool(idle_s=idle_s)

    async def deliver(
        self, message: EmailMessage, *, mail_from: str, rcpt: str, before_data: BeforeData
    ) -> Outcome:
        """Hand the mail over; `before_data` is awaited between RCPT's reply and DATA."""
        path = _make_path(rcpt)
        if path is None:
            why = "not sent: the author's address is not one that SMTP can carry"
            return Refused(why, asked=False)
        form = policy.SMTP if path.isascii() else policy.SMTPUTF8
        mail = _Mail(mail_from, path, _stuff(message.as_bytes(policy=form)), before_data)
        async with self._places:
            used = self._pool.take()
            if used is not None:
                with suppress(_StaleError):
                    return await self._send(used, mail)
            try:
                fresh = Session(await self._maker.open())
            except SendError as error:
                return Deferred(str(error), relay_down=True)
            return await self._send(fresh, mail)

    async def close(self) -> None:
        """Leave the sessions that wait; those at work leave after their mail."""
        await self._pool.close()

    async def _send(self, session: Session, mail: _Mail) -> Outcome:
        session.settled = False
        try:
            return await self._converse(session, mail)
        finally:
            self._pool.give_back(session)

    async def _converse(self, session: Session, mail: _Mail) -> Outcome:
        """Hand the mail over; raises _StaleError where a used session dies before DATA.

        The session is settled where the relay and we agree on how this mail ended.
        """
        client = session.client
        if mail.international and not client.supports_extension("smtputf8"):
            session.settled = True
            return Refused("not sent: the author's address needs SMTPUTF8, the relay has it not")
        try:
            await _offer(session, mail)
        except (SMTPException, OSError) as error:
            # After 421 the client has hung up.
            session.settled = isinstance(error, SMTPRecipientRefused) and client.is_connected
            if session.mails and not session.settled:
                raise _StaleError from None
            return _judge_error(error)
        if not await mail.before_data():
            session.settled = True
            return Abandoned()
        outcome = await self._send_data(session, mail.content)
        session.settled = isinstance(outcome, Delivered)
        return outcome

    async def _send_data(self, session: Session, content: bytes) -> Outcome:
        """Send DATA, then the mail.

        Not by `client.data()`, which does not tell a connection lost before 354 (nothing was
        sent, try again) from one lost after it (nobody knows).
        """
        refusal = await _ask_for_data(session)
        if refusal is not None:
            return refusal
        try:
            final = await self._send_content(session.client, content)
        except (SMTPException, OSError) as error:
            return OutcomeUnknown(f"after DATA: {describe(error)}")
        match final.code // 100:  # RFC 5321 §4.2.1: the first digit decides
            case 2:
                return Delivered(show_reply(final.code, final.message))
            case 4 | 5:
                return _judge(final.code, final.message)
            case _:
                return OutcomeUnknown(f"after DATA: {show_reply(final.code, final.message)}")

    async def _send_content(self, client: SMTP, content: bytes) -> SMTPResponse:
        if client.protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        client.protocol.write(content)
        return await client.protocol.read_response(timeout=self._final_timeout_s)


class _StaleError(Exception):
    """A session of the pool was no good any more; its mail is to be sent by a fresh one."""


class MaildirDelivery:
    """Delivers into a Maildir, where no relay is set; a second attempt makes no second mail."""

    def __init__(self, path: Path) -> None:
        """Take the folder; it is made at the first delivery."""
        self._path = path

    async def deliver(
        self, message: EmailMessage, *, mail_from: str, rcpt: str, before_data: BeforeData
    ) -> Outcome:
        """Write the mail and have it on disk before it counts as delivered.

        The envelope stands on top, as in any mailbox (RFC 5321 §4.4).
        """
        if not await before_data():
            return Abandoned()
        envelope = f"Return-Path: <{mail_from}>\nDelivered-To: {clean(rcpt, MAX_DETAIL_CHARS)}\n"
        content = message.as_bytes(policy=policy.SMTPUTF8.clone(linesep="\n"))
        name = f"{hashlib.sha256(str(message['Message-ID']).encode()).hexdigest()[:32]}.bounced"
        try:
            await asyncio.to_thread(self._write, name, envelope.encode() + content)
        except OSError as error:
            return Deferred(f"{self._path}: {error.strerror or error}")
        return Delivered(f"written to {self._path}")

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _write(self, name: str, content: bytes) -> None:
        for folder in ("tmp", "new", "cur"):
            (self._path / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        if any((self._path / "cur").glob(f"{name}*")):
            return  # delivered by an earlier attempt and read since
        source, target = self._path / "tmp" / name, self._path / "new" / name
        descriptor = os.open(source, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        source.replace(target)
        _sync_folder(target.parent)


def _make_path(address: str) -> str | None:
    """Return the address as RCPT takes it, its domain as A-labels; None where that cannot be."""
    local, domain = split_address(address)
    path = f"{local}@{domain_key(domain)}"
    try:
        whole = parse_address(path) == path
    except ValueError:  # spaces or brackets outside a quoted local part
        return None
    # Python 3.13 parses commas and the like there, too.
    whole = whole and _LOCAL_PART.fullmatch(local) is not None
    fit = whole and path.isprintable() and bool(domain) and domain_key(domain).isascii()
    return path if fit else None


async def _offer(session: Session, mail: _Mail) -> None:
    """Have the relay accept the envelope; what a used session still held is taken back first."""
    client = session.client
    if session.mails:
        await client.rset()
    await client.mail(mail.mail_from, options=["SMTPUTF8"] if mail.international else [])
    await client.rcpt(mail.rcpt, encoding="utf-8")


async def _ask_for_data(session: Session) -> Deferred | Refused | None:
    """Send DATA; return why the mail cannot follow, None: it may."""
    try:
        start = await session.client.execute_command(b"DATA")
    except (SMTPException, OSError) as error:
        return Deferred(f"at DATA: {describe(error)}")
    if start.code != START_INPUT:
        return _judge(start.code, start.message)
    if not session.in_step:
        return Deferred("at DATA: the relay answered before anything was sent")
    return None


def _judge_error(error: SMTPException | OSError) -> Deferred | Refused:
    if isinstance(error, SMTPResponseException) and error.code > 0:
        return _judge(error.code, error.message)
    return Deferred(f"before DATA: {describe(error)}")


def _judge(code: int, text: str) -> Deferred | Refused:
    """Tell a refusal of this mail from trouble that another attempt may pass."""
    said = show_reply(code, text)
    if code == AUTHENTICATION_REQUIRED:
        return Deferred(f"relay.username: the relay wants a login: {said}", relay_down=True)
    return Refused(said) if code // 100 == 5 else Deferred(said)  # noqa: PLR2004 - first digit


def _stuff(content: bytes) -> bytes:
    """Return the mail as it goes over the wire, its final dot included (RFC 5321 §4.5.2)."""
    lines = _LINE_END.sub(b"\r\n", content)
    ended = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
    return _LEADING_DOT.sub(b"..", ended) + b".\r\n"


def _sync_folder(path: Path) -> None:
    """Make the renaming itself durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
