"""Hands a mail over, to the relay by SMTP or to a Maildir, and says how far it came.

RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 6531 (SMTPUTF8). The point of no return
is the final dot: before it nothing was accepted, after its reply we know, in between nobody does.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.email import parse_address

from bounced.config import RelaySettings
from bounced.model import domain_key, split_address
from bounced.words.cleaning import clean

COMMAND_TIMEOUT_S = 60.0
FINAL_TIMEOUT_S = 600.0
"""RFC 5321 §4.5.3.2.6: a server may take ten minutes for the final dot."""
MAX_DETAIL_CHARS = 500
START_INPUT = 354
AUTHENTICATION_REQUIRED = 530
"""RFC 4954 §6; RFC 3207 §4 has it for a missing STARTTLS."""

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


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused for good: 5xx to MAIL, RCPT or DATA."""

    detail: str


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


class SmtpDelivery:
    """Delivers by the configured relay, one connection a mail."""

    def __init__(
        self,
        settings: RelaySettings,
        *,
        password: str | None = None,
        hostname: str = "",
        tls_context: ssl.SSLContext | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
        final_timeout_s: float = FINAL_TIMEOUT_S,
    ) -> None:
        """Take the relay and how to reach it.

        `hostname` is our name in EHLO (default: what the system calls itself); `timeout_s` holds
        for connecting and for every command, `final_timeout_s` for the reply to the final dot.
        """
        self._settings = settings
        self._password = password
        self._hostname = hostname or None
        self._timeout_s = timeout_s
        self._final_timeout_s = final_timeout_s
        self._tls_context = tls_context or ssl.create_default_context()

    async def deliver(
        self, message: EmailMessage, *, mail_from: str, rcpt: str, before_data: BeforeData
    ) -> Outcome:
        """Hand the mail over; `before_data` is awaited between RCPT's reply and DATA."""
        path = _make_path(rcpt)
        if path is None:
            return Refused("not sent: the author's address is not one that SMTP can carry")
        client = self._make_client()
        try:
            return await self._converse(client, message, mail_from, path, before_data)
        finally:
            _hang_up(client)

    @property
    def _relay(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _make_client(self) -> SMTP:
        """Return a client that never goes on in clear where TLS is wanted."""
        security = self._settings.security
        return SMTP(
            hostname=self._settings.host,
            port=self._settings.port,
            username=self._settings.username or None,
            password=self._password,
            local_hostname=self._hostname,
            timeout=self._timeout_s,
            use_tls=security == "tls",
            start_tls=security == "starttls",
            tls_context=self._tls_context,
        )

    async def _converse(
        self,
        client: SMTP,
        message: EmailMessage,
        mail_from: str,
        rcpt: str,
        before_data: BeforeData,
    ) -> Outcome:
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except (SMTPException, OSError) as error:
            return Deferred(f"no session with {self._relay}: {_describe(error)}")
        international = not rcpt.isascii()
        if international and not client.supports_extension("smtputf8"):
            return Refused("not sent: the author's address needs SMTPUTF8, the relay has it not")
        try:
            await client.mail(mail_from, options=["SMTPUTF8"] if international else [])
            await client.rcpt(rcpt, encoding="utf-8")
        except SMTPResponseException as error:
            return _judge(error.code, error.message)
        except (SMTPException, OSError) as error:
            return Deferred(f"before DATA: {_describe(error)}")
        if not await before_data():
            return Abandoned()
        form = policy.SMTPUTF8 if international else policy.SMTP
        return await self._send_data(client, message.as_bytes(policy=form))

    async def _send_data(self, client: SMTP, content: bytes) -> Outcome:
        """Send DATA, then the mail.

        Not by `client.data()`, which does not tell a connection lost before 354 (nothing was
        sent, try again) from one lost after it (nobody knows).
        """
        try:
            start = await client.execute_command(b"DATA")
        except (SMTPException, OSError) as error:
            return Deferred(f"at DATA: {_describe(error)}")
        if start.code != START_INPUT:
            return _judge(start.code, start.message)
        try:
            final = await self._send_content(client, content)
        except (SMTPException, OSError) as error:
            return OutcomeUnknown(f"after DATA: {_describe(error)}")
        match final.code // 100:  # RFC 5321 §4.2.1: the first digit decides
            case 2:
                return Delivered(_show(final.code, final.message))
            case 4 | 5:
                return _judge(final.code, final.message)
            case _:
                return OutcomeUnknown(f"after DATA: {_show(final.code, final.message)}")

    async def _send_content(self, client: SMTP, content: bytes) -> SMTPResponse:
        if client.protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        client.protocol.write(_stuff(content))
        return await client.protocol.read_response(timeout=self._final_timeout_s)


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
    fit = whole and path.isprintable() and bool(domain) and domain_key(domain).isascii()
    return path if fit else None


def _judge(code: int, text: str) -> Deferred | Refused:
    """Tell a refusal of this mail from trouble that another attempt may pass."""
    refused = code // 100 == 5 and code != AUTHENTICATION_REQUIRED  # noqa: PLR2004 - first digit
    return Refused(_show(code, text)) if refused else Deferred(_show(code, text))


def _show(code: int, text: str) -> str:
    return clean(f"{code} {text}", MAX_DETAIL_CHARS)


def _describe(error: SMTPException | OSError) -> str:
    if isinstance(error, SMTPResponseException):
        return _show(error.code, error.message)
    return clean(str(error) or type(error).__name__, MAX_DETAIL_CHARS)


def _stuff(content: bytes) -> bytes:
    """Return the mail as it goes over the wire, its final dot included (RFC 5321 §4.5.2)."""
    lines = _LINE_END.sub(b"\r\n", content)
    ended = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
    return _LEADING_DOT.sub(b"..", ended) + b".\r\n"


def _hang_up(client: SMTP) -> None:
    """Say QUIT and leave: the outcome is known, and a cancelled wait for 221 would lose it."""
    if client.protocol is not None and client.is_connected:
        client.protocol.write(b"QUIT\r\n")
    client.close()


def _sync_folder(path: Path) -> None:
    """Make the renaming itself durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
