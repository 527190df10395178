"""How one conversation begins, how long it may last, and how it ends; not what is said in it.

STARTTLS (RFC 3207) and the timer per command are aiosmtpd's. What is overridden, and why, stands
in docs/decisions/2026-11-21-aiosmtpd-overrides.md.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import AnyStr, ClassVar, Protocol

from aiosmtpd.smtp import ALLOWED_BEFORE_STARTTLS, SMTP, TLSSetupException

from bounced.config import SmtpSettings
from bounced.listener import replies
from bounced.listener.client import LOCAL, Client, find_client
from bounced.listener.command_line import Command, CommandReader
from bounced.listener.intake import Intake, log_failure
from bounced.listener.proxy import read_proxied_client
from bounced.listener.syntax import Refused
from bounced.origin.hosts import is_in

READ_LIMIT = 64 * 1024
"""Bytes read at once; when twice as many wait in memory, the client is made to wait."""
TURN = 16
"""Commands that a client who pipelines may have executed before others have their turn."""


class Phase(IntEnum):
    """How far a session is with a message."""

    TALKING = 0
    READING = 1
    STORING = 2


class Gate(Protocol):
    """Knows which connections are open."""

    def enter(self, connection: Connection, *, known: bool) -> str | None:
        """Let the connection in, or return the reply that refuses it.

        A client that is not `known` yet is counted once `identify` is called.
        """

    def identify(self, connection: Connection) -> str | None:
        """Count the client of a connection that is in, or return the reply that refuses it."""

    def note(self, connection: Connection) -> None:
        """Take note that the client has just spoken, or has got further with its message."""

    def leave(self, connection: Connection) -> None:
        """Forget the connection, also one that is forgotten already."""


@dataclass(frozen=True, slots=True)
class House:
    """What all connections of a listener share."""

    settings: SmtpSettings
    hostname: str
    tls: ssl.SSLContext | None
    intake: Intake
    gate: Gate


class Connection(SMTP):
    """One client's connection, from the first packet to the last."""

    protocol = "ESMTP"
    tls_may_be_required = True
    line_length_limit = READ_LIMIT  # aiosmtpd makes it the limit of the stream

    client: Client
    _command_names: ClassVar[tuple[str, ...]]
    phase = Phase.TALKING
    _introduced = True
    """Whether `client` is the client, not the balancer in front of it."""
    _farewell: str | None = None
    _session_timer: asyncio.TimerHandle | None = None
    _errors = 0
    _commands = 0

    def __init_subclass__(cls) -> None:
        cls._command_names = tuple(name for name in dir(cls) if name.startswith("smtp_"))

    def __init__(self, house: House) -> None:
        self.house = house
        super().__init__(
            None,
            data_size_limit=house.settings.max_message,
            enable_SMTPUTF8=True,
            hostname=house.hostname,
            tls_context=house.tls,
            require_starttls=house.settings.require_tls and self.tls_may_be_required,
            timeout=house.settings.command_timeout.total_seconds(),
            loop=asyncio.get_running_loop(),
        )

    def __dir__(self) -> Iterable[str]:
        """Name the commands only: aiosmtpd looks at every name of every new connection."""
        return self._command_names

    @property
    def has_recipient(self) -> bool:
        """Tell whether a recipient has been accepted, so that a message may be on its way."""
        return False

    def reach(self, phase: Phase) -> None:
        """Go on to the next phase; a client whose message is being stored is not shown out."""
        self.phase = phase
        self.house.gate.note(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in or refuse it; after STARTTLS this is called a second time."""
        if self._session_timer is None and not self._enter(transport):
            return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection; a commit that is under way goes on."""
        if self._session_timer is not None:  # else it was refused, or is over already
            self._session_timer.cancel()
            self._session_timer = None
            self.house.gate.leave(self)
            super().connection_lost(error)
        self._cut_cycles()

    def eof_received(self) -> bool | None:
        """Go on with what the client sent before it hung up: it may be a whole message."""
        keep_open = asyncio.StreamReaderProtocol.eof_received(self)
        return keep_open if self._original_transport is None else None  # TLS knows no half-close

    def leave(self, reply: str, *, unless: Phase) -> None:
        """Say goodbye now, or after the message at hand if that has come as far as `unless`."""
        assert self.transport is not None
        if self.phase >= unless:
            self._farewell = reply
        elif self.transport.is_closing():
            self.abort()  # the client takes too long to close its side
        else:
            _say_last(self.transport, reply)

    def leave_if_asked(self) -> None:
        """Say the goodbye that waited for the end of a message."""
        if self._farewell is not None:
            self.leave(self._farewell, unless=Phase.READING)

    def make_room(self) -> None:
        """Leave in favour of a client that has just come."""
        self.log_refusal("made-room", replies.MADE_ROOM)
        self.leave(replies.MADE_ROOM, unless=Phase.STORING)
        self.abort()  # what has been said is on its way; TLS would wait for the client's goodbye

    def hang_up(self) -> None:
        """End the conversation after what has been said so far."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection without a word."""
        transport = self._original_transport or self.transport  # the socket's, beneath TLS
        assert isinstance(transport, asyncio.Transport)
        transport.abort()

    async def push(self, status: AnyStr) -> None:
        """Send one reply, in our words where aiosmtpd chose it, and count it if it is an error."""
        text = status if isinstance(status, str) else status.decode("ascii")
        # RFC 5321 §4.5.3.1.10: with this one, the client goes on in another transaction.
        if text[0] in "45" and text != replies.TOO_MANY_RECIPIENTS:
            self._errors += 1
        await super().push(replies.reword(text))

    def note_stored(self) -> None:
        """Begin to count the commands anew: a message has been stored."""
        self._commands = 0

    def log_refusal(self, why: str, reply: str | None, sender: str | None = None) -> None:
        """Log that this client was refused something."""
        self.house.intake.refusals.write(self.client, why, reply=reply, sender=sender)

    def _enter(self, transport: asyncio.BaseTransport) -> bool:
        settings = self.house.settings
        sock = transport.get_extra_info("socket")
        if sock.family == socket.AF_UNIX:
            self.client = LOCAL
        else:
            peername = transport.get_extra_info("peername")
            self.client = find_client(peername, settings.own_relays)
        self._introduced = not is_in(self.client.address, settings.proxy_protocol_from)
        refusal = self.house.gate.enter(self, known=self._introduced)
        if refusal is not None:
            _say_last(transport, refusal)
            return False
        self._session_timer = self.loop.call_later(
            settings.session_timeout.total_seconds(), self._end_long_session
        )
        return True

    def _cut_cycles(self) -> None:
        """Let go of what refers back here: collecting thousands of these would stop the loop."""
        self._smtp_methods = {}
        self._client_connected_cb = None
        self._handler_coroutine = None
        self.__dict__.pop("_writer", None)

    async def _handle_client(self) -> None:
        """Speak with the client until one side hangs up; aiosmtpd makes a task of this."""
        try:
            if self._introduced or await self._meet_client():
                await self.push(f"220 {self.hostname} {self.protocol} {replies.SERVICE}")
                await self._converse()
        except (asyncio.IncompleteReadError, OSError):  # the client hung up, ssl.SSLError is one
            self.hang_up()
        except TLSSetupException:
            self.log_refusal("tls-handshake", None)
            self.connection_lost(None)  # asyncio tells nobody when a handshake fails

    async def _meet_client(self) -> bool:
        """Learn from the balancer who the client is, and let it in or not."""
        client = await read_proxied_client(self._reader, self.house.settings.own_relays)
        if client is None:
            self.log_refusal("proxy-header", None)
            self.abort()
            return False
        self.client, self._introduced = client, True
        self._reset_timeout()
        refusal = self.house.gate.identify(self)
        if refusal is not None:
            self.leave(refusal, unless=Phase.READING)
        return refusal is None

    async def _converse(self) -> None:
        commands = CommandReader(self._reader)
        while self.transport is not None and not self.transport.is_closing():
            command = await commands.read()
            try:
                await self._answer(command)
            except (asyncio.IncompleteReadError, OSError, TLSSetupException):
                raise
            except Exception as error:  # noqa: BLE001 - the last resort: after 421 the peer tries again
                log_failure(error)
                # Not on with what comes next: it may be the rest of a message, not a command.
                self.leave(replies.BROKEN, unless=Phase.STORING)
            self._check_patience()
            self.house.gate.note(self)
            if self._commands % TURN == 0:
                await asyncio.sleep(0)

    async def _answer(self, command: Command | Refused) -> None:
        self._commands += 1
        if isinstance(command, Refused):
            self.log_refusal(command.why, command.reply)
            await self.push(command.reply)
            return
        method = self._smtp_methods.get(command.name)
        if method is None and command.is_http:
            self.log_refusal("http", replies.NO_HTTP)
            self.leave(replies.NO_HTTP, unless=Phase.READING)
        elif command.name not in ALLOWED_BEFORE_STARTTLS and self._lacks_tls:  # RFC 3207 §4
            await self.push(replies.TLS_FIRST)
        elif method is None:
            await self.push(replies.UNKNOWN_COMMAND)
        else:
            self._reset_timeout()
            await method(command.argument)

    @property
    def _lacks_tls(self) -> bool:
        return bool(self.require_starttls) and self._tls_protocol is None

    def _check_patience(self) -> None:
        """Say goodbye to a client that errs or talks too much."""
        if self.transport is None or self.transport.is_closing():
            return
        if self._errors >= self.house.settings.max_errors:
            self.log_refusal("too-many-errors", replies.TOO_MANY_ERRORS)
            self.leave(replies.TOO_MANY_ERRORS, unless=Phase.READING)
        elif self._commands > self.house.settings.max_commands:
            self.log_refusal("too-many-commands", replies.TOO_MANY_COMMANDS)
            self.leave(replies.TOO_MANY_COMMANDS, unless=Phase.READING)

    def _timeout_cb(self) -> None:
        if self.phase is Phase.STORING:  # not the client's fault
            self._reset_timeout()
            return
        if not self._introduced:
            self.log_refusal("proxy-header", None)
            self.abort()
            return
        self.log_refusal("timeout", replies.TIMED_OUT)
        self.leave(replies.TIMED_OUT, unless=Phase.STORING)

    def _end_long_session(self) -> None:
        self.log_refusal("session-too-long", replies.SESSION_TOO_LONG)
        self.leave(replies.SESSION_TOO_LONG, unless=Phase.STORING)


def _say_last(transport: asyncio.BaseTransport, reply: str) -> None:
    """Send a last reply and close, at once if the client does not read."""
    assert isinstance(transport, asyncio.Transport)
    transport.write(reply.encode("ascii") + b"\r\n")
    if transport.get_write_buffer_size():
        transport.abort()  # close() would wait for the client, for ever
    else:
        transport.close()
