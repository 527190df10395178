"""How refusals are logged, so that a flood of them does not become a flood of the log."""

from __future__ import annotations

import asyncio
import collections

from bounced.listener.client import Client
from bounced.logs import Event, emit

LINES = 20
"""Lines in a period for one client and one reason; what comes after them is counted."""
MAX_LINES = 500
"""Lines in a period for all; who has none of them by then is counted with the others."""
PERIOD_S = 60.0

_Key = tuple[str | None, str]
"""Client and reason; None: any client."""


class RefusalLog:
    """Writes `smtp_refused`: the first ones in full, the rest as one line with their number."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._written: collections.Counter[_Key] = collections.Counter()
        self._counted: collections.Counter[_Key] = collections.Counter()
        self._lines = 0
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
        key: _Key = (client.group, why)
        if self._written[key] < LINES and self._lines < MAX_LINES:
            self._written[key] += 1
            self._lines += 1
            emit(
                Event.SMTP_REFUSED,
                why=why,
                client=str(client),
                sender=sender,
                recipient=recipient,
                reply=reply,
            )
        else:
            self._counted[key if key in self._written else (None, why)] += 1
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._period_s, self.settle)

    def settle(self) -> None:
        """End the period: log how often each client was refused without a line of its own."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted = dict(self._counted)
        self._written.clear()
        self._counted.clear()
        self._lines = 0
        for (client, why), times in counted.items():
            emit(Event.SMTP_REFUSED, why=why, client=client, times=times)
