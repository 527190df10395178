"""The sockets: which addresses are listened on, and how all of it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bounced.config import SmtpSettings
from bounced.ledger.records import NewReport
from bounced.listener import replies
from bounced.listener.connection import Connection, House, Phase
from bounced.listener.gate import ConnectionGate
from bounced.listener.intake import Intake
from bounced.listener.lmtp import LmtpSession
from bounced.listener.localsocket import LocalSocket, open_local_socket
from bounced.listener.session import SmtpSession
from bounced.listener.tls import load_tls
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import KeyRing
from bounced.sockets import bind, name_address
from bounced.values import parse_socket_path

BACKLOG = 512
"""Connections that the kernel keeps waiting while the loop is busy."""
TURN = 16
"""Connections that are accepted before those that are open have their turn."""
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
        self._smtp = _Door(SmtpSession, "smtp.listen")
        self._lmtp = _Door(LmtpSession, "smtp.lmtp_listen")
        self._files: list[LocalSocket] = []

    @property
    def smtp(self) -> list[str]:
        """Return the addresses that SMTP is listened for on, `host:port`, with real ports."""
        return self._smtp.list_addresses()

    @property
    def lmtp(self) -> list[str]:
        """Return the addresses that LMTP is listened for on, `host:port` or `unix:/path`."""
        return self._lmtp.list_addresses()

    async def start(self, sockets: Mapping[str, Sequence[socket.socket]] | None = None) -> None:
        """Listen on every address, or on none.

        `sockets`, under `smtp` and `lmtp`, listen already and stand in for the configured
        addresses of their kind. Raises OSError, whose text names key and address, where one cannot
        be had, ConfigError where the certificate cannot be used.
        """
        self.take(await self.prepare(self._settings))
        given = sockets or {}
        settings = self._settings
        try:
            await self._open(self._smtp, given.get("smtp", ()), settings.listen)
            await self._open(self._lmtp, given.get("lmtp", ()), settings.lmtp_listen)
        except OSError:
            self._close_servers()
            raise

    async def prepare(self, settings: SmtpSettings) -> House:
        """Return what connections by these settings share, for `take`; changes nothing.

        Raises ConfigError where the certificate cannot be used.
        """
        tls = load_tls(settings)
        hostname = settings.hostname or await asyncio.to_thread(socket.getfqdn)
        return House(settings, hostname, tls, self._intake, self._gate)

    def take(self, house: House) -> None:
        """Use it for connections from now on; the addresses stay what they are."""
        self._gate.settings = house.settings
        self._house = house

    def reload_certificate(self) -> None:
        """Read the certificate anew, for connections from now on; those that are open go on.

        Raises ConfigError where it cannot be used; the old one stays then.
        """
        house = self._current_house
        self._house = replace(house, tls=load_tls(house.settings))

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
        self._intake.refusals.settle()

    async def _open(
        self, door: _Door, given: Sequence[socket.socket], addresses: Sequence[str]
    ) -> None:
        for sock in given:
            await self._serve(door, sock)
        for address in () if given else addresses:
            try:
                await self._listen(door, address)
            except OSError as error:
                raise OSError(error.errno, f"{door.key}: {address}: {error.strerror}") from None

    async def _listen(self, door: _Door, address: str) -> None:
        path = parse_socket_path(address)
        if path is not None:
            local = open_local_socket(path)
            self._files.append(local)
            await self._serve(door, local.sock)
        else:
            for sock in await bind(address):
                await self._serve(door, sock)

    async def _serve(self, door: _Door, sock: socket.socket) -> None:
        # Serves local sockets too; create_unix_server would remove files that are not ours.
        server = await asyncio.get_running_loop().create_server(
            lambda: door.session(self._current_house), sock=sock, backlog=TURN
        )
        sock.listen(BACKLOG)  # asyncio has one number for both
        door.servers.append(server)

    @property
    def _current_house(self) -> House:
        assert self._house is not None
        return self._house

    def _close_servers(self) -> None:
        for local in self._files:
            local.remove()
        self._files.clear()
        for door in (self._smtp, self._lmtp):
            for server in door.servers:
                server.close()
            door.servers.clear()


@dataclass(frozen=True, slots=True)
class _Door:
    """What is spoken on some sockets, and who accepts on them."""

    session: type[Connection]
    key: str
    """Of the configuration, where its addresses stand."""
    servers: list[asyncio.Server] = field(default_factory=list)

    def list_addresses(self) -> list[str]:
        return [name_address(sock) for server in self.servers for sock in server.sockets]
