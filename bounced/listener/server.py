"""The sockets: which addresses are listened on, and how all of it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

from bounced.config import SmtpSettings
from bounced.ledger.records import NewReport
from bounced.listener import replies
from bounced.listener.connection import Connection, House, Phase
from bounced.listener.gate import ConnectionGate
from bounced.listener.intake import Intake
from bounced.listener.lmtp import LmtpSession
from bounced.listener.session import SmtpSession
from bounced.model import ConfigError
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import KeyRing
from bounced.values import parse_address

BACKLOG = 512
"""Connections that the kernel keeps waiting while the loop is busy."""
ABORT_S = 1.0
"""How long a connection may take to vanish after it was aborted."""


class Listener:
    """Takes bounces in over SMTP and LMTP.

    `admission` is asked at every RCPT, so that a reload changes it; `store` returns when the
    reports are committed.
    """

    def __init__(
        self,
        settings: SmtpSettings,
        admission: Callable[[], tuple[AdmissionSettings, KeyRing]],
        store: Callable[[Sequence[NewReport]], Awaitable[None]],
        clock: Callable[[], datetime],
        new_id: Callable[[datetime], str],
    ) -> None:
        self._settings = settings
        self._intake = Intake(admission, store, clock, new_id)
        self._gate = ConnectionGate(settings)
        self._house: House | None = None
        self._smtp: list[asyncio.Server] = []
        self._lmtp: list[asyncio.Server] = []

    @property
    def smtp(self) -> list[str]:
        """Return the addresses that SMTP is listened for on, `host:port`, with real ports."""
        return _list_addresses(self._smtp)

    @property
    def lmtp(self) -> list[str]:
        """Return the addresses that LMTP is listened for on, `host:port`, with real ports."""
        return _list_addresses(self._lmtp)

    async def start(self) -> None:
        """Listen on every configured address, or on none.

        Raises OSError where one cannot be had, ConfigError where the certificate cannot be used.
        """
        await self.apply(self._settings)
        try:
            for address in self._settings.listen:
                self._smtp.append(await self._listen(address, SmtpSession))
            for address in self._settings.lmtp_listen:
                self._lmtp.append(await self._listen(address, LmtpSession))
        except OSError:
            self._close_servers()
            raise

    async def apply(self, settings: SmtpSettings) -> None:
        """Use other settings for connections from now on; the addresses stay what they are.

        Raises ConfigError where the certificate cannot be used; the old settings stay then.
        """
        tls = _load_tls(settings)
        hostname = settings.hostname or await asyncio.to_thread(socket.getfqdn)
        self._gate.settings = settings
        self._house = House(settings, hostname, tls, self._intake, self._gate)

    async def stop(self, grace: timedelta) -> None:
        """Stop listening, let messages at hand be finished within `grace`, close everything.

        A message that is not stored by then has had no 250: its sender tries again.
        """
        self._close_servers()
        for connection in self._gate:
            connection.leave(replies.SHUTTING_DOWN, unless=Phase.READING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await self._gate.wait_until_empty()
                await self._intake.wait_for_commits()
        for connection in self._gate:
            connection.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ABORT_S):
                await self._gate.wait_until_empty()

    async def _listen(self, address: str, session: type[Connection]) -> asyncio.Server:
        host, port = parse_address(address)
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: session(self._current_house), host, port, backlog=BACKLOG
        )

    @property
    def _current_house(self) -> House:
        assert self._house is not None
        return self._house

    def _close_servers(self) -> None:
        for server in (*self._smtp, *self._lmtp):
            server.close()
        self._smtp.clear()
        self._lmtp.clear()


def _load_tls(settings: SmtpSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"smtp.tls_certificate_file, smtp.tls_key_file: {settings.tls_certificate_file}, "
            f"{settings.tls_key_file}: cannot be used: {error}"
        ) from None
    return context


def _list_addresses(servers: Iterable[asyncio.Server]) -> list[str]:
    names = [sock.getsockname() for server in servers for sock in server.sockets]
    return [
        f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}" for name in names
    ]
