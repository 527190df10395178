"""Relays for the delivery tests: a real aiosmtpd that refuses on request, and scripted ones."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "localhost"
USERNAME = "notices"
PASSWORD = "right"


@dataclass
class Relay:
    """What a relay was told, and what it is to answer."""

    replies: dict[str, str] = field(default_factory=dict)
    """Command (MAIL, RCPT, DATA, dot) → the reply instead of 250."""
    port: int = 0
    encrypted: list[bool] = field(default_factory=list)
    """One for every MAIL: came it over TLS?"""
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        self.senders.append(address)
        self.options += options
        envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        self.recipients.append(address)
        envelope.rcpt_tos.append(address)
        return self.replies.get("RCPT", "250 OK")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.contents.append(envelope.content)
        return self.replies.get("dot", "250 2.0.0 queued as 4711")

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        right = data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=right)


class _Session(SMTP):
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        reply = self.event_handler.replies.get("DATA")
        if reply:
            await self.push(reply)
        else:
            await super().smtp_DATA(arg)


@asynccontextmanager
async def run_relay(
    replies: dict[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    login: bool = False,
    smtputf8: bool = False,
) -> AsyncIterator[Relay]:
    relay = Relay(replies or {})

    def make_session() -> SMTP:
        return _Session(
            relay,
            hostname="relay.test",
            tls_context=None if implicit_tls else tls,
            require_starttls=tls is not None and not implicit_tls,
            authenticator=relay.authenticate if login else None,
            auth_required=login,
            enable_SMTPUTF8=smtputf8,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(
        make_session, HOST, 0, ssl=tls if implicit_tls else None
    )
    async with server:
        relay.port = server.sockets[0].getsockname()[1]
        yield relay


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def run_script(script: Script) -> AsyncIterator[int]:
    """Run a server that follows the script, then drops the connection; yield its port."""
    ended = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.current_task())
        try:
            await script(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in ended:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in ended if task), return_exceptions=True)


async def answer_until(
    command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Greet, answer every command with 250, and return when `command` has come, unanswered."""
    writer.write(b"220 relay.test\r\n")
    while not (line := await reader.readline()).upper().startswith(command):
        assert line, f"the client left before {command!r}"
        writer.write(b"250 OK\r\n")


def make_server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def make_client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
