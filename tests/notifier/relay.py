"""Relays for the delivery tests: a real aiosmtpd that refuses on request, and scripted ones."""

import asyncio
import base64
import hmac
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "localhost"
USERNAME = "notices"
PASSWORD = "rïght horse"
TOKEN = "ya29.rightTokenOfSomeLength"
CHALLENGE = b"<1896.697170952@relay.test>"
MECHANISMS = frozenset({"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"})


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
    taken: list[list[str]] = field(default_factory=list)
    """One for every mail with content: whom it was for."""
    logins: list[bytes] = field(default_factory=list)
    mechanisms: list[str] = field(default_factory=list)
    """One for every login."""
    sessions: list["_Session"] = field(default_factory=list)
    """One for every connection."""
    resets: int = 0

    async def wait_until_left(self) -> None:
        """Wait until no client is connected."""
        async with asyncio.timeout(5):
            for session in self.sessions:
                await session.left.wait()

    def hang_up(self) -> None:
        """Drop every connection, as a relay that is restarted."""
        for session in self.sessions:
            if session.transport is not None:
                session.transport.close()

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
        self.taken.append(envelope.rcpt_tos)
        return self.replies.get("dot", "250 2.0.0 queued as 4711")

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
        return self._note_login(mechanism, data.login, right=right)

    async def auth_CRAM__MD5(self, server: SMTP, _args: list[str]) -> AuthResult:  # noqa: N802
        answer = await server.challenge_auth(CHALLENGE)
        assert isinstance(answer, bytes)
        login, digest = answer.split(b" ")
        expected = hmac.new(PASSWORD.encode(), CHALLENGE, "md5").hexdigest()
        return self._note_login("CRAM-MD5", login, right=digest.decode() == expected)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        expected = f"user={USERNAME}\1auth=Bearer {TOKEN}\1\1".encode()
        right = base64.b64decode(args[1]) == expected
        if not right:  # the fault comes as a challenge, which the client answers by an empty line
            assert await server.challenge_auth(b'{"status":"401"}') == b""
        return self._note_login("XOAUTH2", USERNAME.encode(), right=right)

    def _note_login(self, mechanism: str, login: bytes, *, right: bool) -> AuthResult:
        self.mechanisms.append(mechanism)
        self.logins.append(login)
        return AuthResult(success=right, handled=False, message=self.replies.get("AUTH"))


class _Session(SMTP):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.left = asyncio.Event()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.left.set()

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        self.event_handler.resets += 1
        await super().smtp_RSET(arg)

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
    mechanisms: Collection[str] = ("PLAIN", "LOGIN"),
    smtputf8: bool = False,
) -> AsyncIterator[Relay]:
    relay = Relay(replies or {})
    starttls = tls is not None and not implicit_tls

    def make_session() -> SMTP:
        session = _Session(
            relay,
            hostname="relay.test",
            tls_context=tls if starttls else None,
            require_starttls=starttls,
            authenticator=relay.authenticate if login else None,
            auth_required=login and starttls,
            auth_require_tls=starttls or not login,
            auth_exclude_mechanism=MECHANISMS - set(mechanisms) if login else MECHANISMS,
            enable_SMTPUTF8=smtputf8,
            loop=asyncio.get_running_loop(),
        )
        relay.sessions.append(session)
        return session

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
        await asyncio.sleep(0)  # what is aborted is closed by the loop's next turn


async def answer_until(
    command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Greet, answer every command with 250, and return when `command` has come, unanswered."""
    writer.write(b"220 relay.test\r\n")
    await answer_on(command, reader, writer)


async def answer_on(
    command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Go on as `answer_until` does, after the greeting."""
    while not (line := await reader.readline()).upper().startswith(command):
        assert line, f"the client left before {command!r}"
        writer.write(b"250 OK\r\n")


async def wait_for_quit(reader: asyncio.StreamReader) -> None:
    """Hear all without a word until the client leaves."""
    while (line := await reader.readline()) and line != b"QUIT\r\n":
        pass


async def take_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Go on to the end of one mail."""
    await answer_on(b"DATA", reader, writer)
    writer.write(b"354 go on\r\n")
    await reader.readuntil(b"\r\n.\r\n")
    writer.write(b"250 queued\r\n")


@asynccontextmanager
async def run_wiretap(port: int) -> AsyncIterator[tuple[int, bytearray]]:
    """Pass on to a relay's port; yield our own, and all that a client has said."""
    heard = bytearray()

    async def pass_on(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: bytearray
    ) -> None:
        while chunk := await reader.read(65536):
            note += chunk
            writer.write(chunk)
        writer.close()

    async def tap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay_reader, relay_writer = await asyncio.open_connection(HOST, port)
        try:
            await asyncio.gather(
                pass_on(reader, relay_writer, heard),
                pass_on(relay_reader, writer, bytearray()),
                return_exceptions=True,
            )
        finally:
            relay_writer.transport.abort()

    async with run_script(tap) as tapped:
        yield tapped, heard


def make_server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def make_client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
