"""How refusals are logged, so that a flood of them does not become a flood of the log."""

from __future__ import annotations

import asyncio

from bounced.listener.client import Client
from bounced.logs import Event, emit

LINES = 20
"""Lines in a period for one client and one reason; what comes after them is counted."""
PERIOD_S = 60.0
MAX_CLIENTS = 1000
"""Pairs of client and reason that are counted apart in a period; the others share one count."""


class RefusalLog:
    """Writes `smtp_refused`: the first ones in full, the rest as one line with their number."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._seen: dict[tuple[str | None, str], int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def write(
        self,
        client: Client,
        why: str,
        *,
        reply: str | None,
        sender: str | None = None,
        recipient: str | None = None,
    ) -> None:
        """Log one refusal, or count it."""
        key: tuple[str | None, str] = (client.group, why)
        if key not in self._seen and len(self._seen) >= MAX_CLIENTS:
            key = (None, why)
        self._seen[key] = self._seen.get(key, 0) + 1
        if self._seen[key] <= LINES:
            emit(
                Event.SMTP_REFUSED,
                why=why,
                client=str(client),
                sender=sender,
                recipient=recipient,
                reply=reply,
            )
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._period_s, self.settle)

    def settle(self) -> None:
        """End the period: log how often each client was refused without a line of its own."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seen, self._seen = self._seen, {}
        for (client, why), times in seen.items():
            if times > LINES:
                emit(Event.SMTP_REFUSED, why=why, client=client, times=times - LINES)
