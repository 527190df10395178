"""Keeps sessions with the relay open between two mails, and knows when one is too old to trust."""

from __future__ import annotations

import asyncio

from aiosmtplib import SMTP

from bounced.notifier.session import hang_up, leave

IDLE_S = 30.0
"""Relays hang up on silence, after 5 minutes by RFC 5321 §4.5.3.2.7, in practice much earlier."""
MAX_MAILS = 100
"""Relays limit mails a session; a fresh one also finds a relay that moved to another address."""


class Session:
    """An open session, how many mails it was used for, and whether it stands between two."""

    def __init__(self, client: SMTP) -> None:
        self.client = client
        self.mails = 0
        self.settled = True

    @property
    def in_step(self) -> bool:
        """Tell whether nothing waits that the relay said unasked: it would pass for a reply."""
        protocol = self.client.protocol
        return protocol is not None and not protocol._buffer  # noqa: SLF001 - it has no other name


class Pool:
    """The sessions that wait for their next mail; whoever has one at work holds it alone."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._idle: dict[Session, asyncio.TimerHandle] = {}
        self._closed = False

    def take(self) -> Session | None:
        """Return the session that has waited least, dead or alive; None: there is none."""
        if not self._idle:
            return None
        session, timer = self._idle.popitem()
        timer.cancel()
        return session

    def give_back(self, session: Session) -> None:
        """Keep the session for the next mail, or leave where it has served."""
        session.mails += 1
        usable = session.settled and session.client.is_connected and session.in_step
        if self._closed or not usable or session.mails >= MAX_MAILS:
            hang_up(session.client)
            return
        loop = asyncio.get_running_loop()
        self._idle[session] = loop.call_later(self._idle_s, self._expire, session)

    async def close(self) -> None:
        """Leave all that wait, politely but not for long; those at work leave when done."""
        self._closed = True
        sessions = [*self._idle]
        for timer in self._idle.values():
            timer.cancel()
        self._idle.clear()
        await asyncio.gather(*(leave(session.client) for session in sessions))

    def _expire(self, session: Session) -> None:
        del self._idle[session]
        hang_up(session.client)
