"""How one conversation begins, how long it may last, and how it ends; not what is said in it.

The command loop, STARTTLS (RFC 3207) and the timer per command are aiosmtpd's. What is
overridden, and why, stands in docs/decisions/2026-11-21-aiosmtpd-overrides.md.
"""

from __future__ import annotations

import asyncio
import collections
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import AnyStr, ClassVar, Protocol

from aiosmtpd.smtp import SMTP, TLSSetupException

from bounced.config import SmtpSettings
from bounced.listener import replies
from bounced.listener.intake import Client, Intake, find_client, log_failure
from bounced.logs import Event, emit

MAX_COMMAND = 4096
"""Octets of a command line; RFC 5321 §4.5.3.1.4 asks for 512, long return paths for more."""
READ_LIMIT = 64 * 1024
"""Bytes read at once; when twice as many wait in memory, the client is made to wait."""


class Phase(IntEnum):
    """How far a session is with a message."""

    TALKING = 0
    READING = 1
    STORING = 2


class Gate(Protocol):
    """Knows which connections are open."""

    def enter(self, connection: Connection) -> str | None:
        """Let the connection in, or return the reply that refuses it."""

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
    command_size_limit = MAX_COMMAND
    # Actually, aiosmtpd's own is shared by all sessions, and every EHLO raises it.
    command_size_limits = collections.defaultdict(lambda: MAX_COMMAND)  # noqa: RUF012

    client: Client
    _commands: ClassVar[tuple[str, ...]]
    phase = Phase.TALKING
    _refused = False
    _farewell: str | None = None
    _session_timer: asyncio.TimerHandle | None = None

    def __init_subclass__(cls) -> None:
        cls._commands = tuple(name for name in dir(cls) if name.startswith("smtp_"))

    def __init__(self, house: House) -> None:
        self.house = house
        super().__init__(
            None,
            data_size_limit=house.settings.max_message,
            enable_SMTPUTF8=True,
            hostname=house.hostname,
            ident=f"{self.protocol} {replies.SERVICE}",
            tls_context=house.tls,
            require_starttls=house.settings.require_tls and self.tls_may_be_required,
            timeout=house.settings.command_timeout.total_seconds(),
            loop=asyncio.get_running_loop(),
        )

    def __dir__(self) -> Iterable[str]:
        """Name the commands only: aiosmtpd looks at every name of every new connection."""
        return self._commands

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in or refuse it; after STARTTLS this is called a second time."""
        if self._session_timer is None:
            peername = transport.get_extra_info("peername")
            self.client = find_client(peername, self.house.settings.own_relays)
            refusal = self.house.gate.enter(self)
            if refusal is not None:
                self._refused = True
                _say_last(transport, refusal)
                return
            self._session_timer = self.loop.call_later(
                self.house.settings.session_timeout.total_seconds(), self._end_long_session
            )
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection; a commit that is under way goes on."""
        if self._refused:
            return
        assert self._session_timer is not None
        self._session_timer.cancel()
        self.house.gate.leave(self)
        super().connection_lost(error)

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

    def hang_up(self) -> None:
        """End the conversation after what has been said so far."""
        assert self.transport is not None
        assert self._handler_coroutine is not None
        self._handler_coroutine.cancel()
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection without a word."""
        transport = self._original_transport or self.transport  # the socket's, beneath TLS
        assert isinstance(transport, asyncio.Transport)
        transport.abort()

    async def push(self, status: AnyStr) -> None:
        """Send one reply, in our words where aiosmtpd chose it."""
        text = status if isinstance(status, str) else status.decode("ascii")
        await super().push(replies.reword(text))

    async def handle_exception(self, error: Exception) -> str:
        """Return the reply to an error that nobody foresaw: never its text, never 5xx."""
        if isinstance(error, asyncio.IncompleteReadError):
            self.hang_up()
        elif isinstance(error, TLSSetupException):
            self.log_refusal("tls-handshake", None)
        else:
            log_failure(error)
        return replies.TRY_LATER

    def log_refusal(self, why: str, reply: str | None, sender: str | None = None) -> None:
        """Log that this client was refused something."""
        emit(Event.SMTP_REFUSED, why=why, client=str(self.client), sender=sender, reply=reply)

    def _timeout_cb(self) -> None:
        if self.phase is Phase.STORING:  # not the client's fault
            self._reset_timeout()
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
