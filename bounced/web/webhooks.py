"""How the application hears of what authors do: one request after the other, until it is taken.

Standard Webhooks 1.0. A daemon that dies after the request and before the commit sends it again,
under the same id: at least once. While the application cannot be reached at all, everything waits
and keeps its order; what it refuses waits alone and lets the next one pass.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx2

from bounced import __version__
from bounced.config import WebhookSettings
from bounced.ledger import webhooks
from bounced.ledger.webhooks import DueWebhook
from bounced.ledger.writer import Writer
from bounced.logs import Event, emit
from bounced.model import ConfigError
from bounced.web.signing import read_signing_secrets, sign

FIRST_RETRY = timedelta(seconds=10)
LAST_RETRY = timedelta(hours=1)
LONGEST_PAUSE = timedelta(minutes=5)
"""How long an application that was away for long waits at most once it is back."""
LEASE_MARGIN = timedelta(minutes=1)
"""How long after the end of an attempt another node takes the webhook over."""

_HEADERS = {"content-type": "application/json", "user-agent": f"bounced/{__version__}"}
_AWAY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses that speak of the application as a whole, not of this request."""


@dataclass(frozen=True, slots=True)
class _Taken:
    status: int


@dataclass(frozen=True, slots=True)
class _NotTaken:
    why: str
    away: bool = False
    """Whether the application could not be reached: then the next one need not try either."""
    gone: bool = False
    """Whether it said never to send this again."""


class WebhookSender:
    """Sends what is queued; `settings` may be replaced between runs."""

    def __init__(
        self, writer: Writer, settings: WebhookSettings, *, clock: Callable[[], datetime]
    ) -> None:
        self.settings = settings
        self._writer = writer
        self._clock = clock
        self._paused_until: datetime | None = None
        self._stopping = False

    def stop(self) -> None:
        """Claim no more; what is under way goes on."""
        self._stopping = True

    async def send_due(self, now: datetime) -> int:
        """Send what is due, the oldest first; return how many were tried."""
        settings = self.settings
        if not settings.url or (self._paused_until is not None and now < self._paused_until):
            return 0
        self._paused_until = None
        due = await self._claim(settings)
        if due is None:
            return 0
        tried = 0
        async with _open_client() as client:
            while due is not None:
                await self._send(due, client, settings)
                tried += 1
                stop = self._stopping or self._paused_until is not None
                due = None if stop else await self._claim(settings)
        return tried

    async def _claim(self, settings: WebhookSettings) -> DueWebhook | None:
        now = self._clock()
        lease = settings.timeout + LEASE_MARGIN
        return await self._writer.run(lambda connection: webhooks.claim(connection, now, lease))

    async def _send(
        self, due: DueWebhook, client: httpx2.AsyncClient, settings: WebhookSettings
    ) -> None:
        result = await self._post(due, client, settings)
        now = self._clock()
        if isinstance(result, _Taken):
            detail = f"HTTP {result.status}"
            await self._writer.run(
                lambda connection: webhooks.settle_sent(connection, due.webhook, detail, now)
            )
            emit(
                Event.WEBHOOK_SENT,
                webhook=due.webhook,
                about=due.event,
                attempts=due.attempts,
                detail=detail,
            )
        elif result.gone or now - due.created_at > settings.give_up:
            await self._give_up(due, result, now)
        else:
            await self._put_off(due, result, now)

    async def _post(
        self, due: DueWebhook, client: httpx2.AsyncClient, settings: WebhookSettings
    ) -> _Taken | _NotTaken:
        """Make one attempt; what is answered besides the status is not read."""
        assert settings.secret_file is not None, "the configuration has both or none"
        body = due.body.encode()
        try:
            secrets = read_signing_secrets(settings.secret_file)
            headers = _HEADERS | sign(due.webhook, self._clock(), body, secrets)
            async with (
                asyncio.timeout(settings.timeout.total_seconds()),
                client.stream("POST", settings.url, content=body, headers=headers) as response,
            ):
                status = int(response.status_code)
        except (ConfigError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            return _NotTaken(_describe(error), away=True)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return _Taken(status)
        return _NotTaken(f"HTTP {status}", away=status in _AWAY, gone=status == HTTPStatus.GONE)

    async def _give_up(self, due: DueWebhook, result: _NotTaken, now: datetime) -> None:
        if await self._writer.run(
            lambda connection: webhooks.settle_failed(connection, due, result.why, now)
        ):
            emit(
                Event.WEBHOOK_FAILED,
                webhook=due.webhook,
                about=due.event,
                why=result.why,
                attempts=due.attempts,
                detail="given up",
            )

    async def _put_off(self, due: DueWebhook, result: _NotTaken, now: datetime) -> None:
        next_at = now + _find_delay(due, LONGEST_PAUSE if result.away else LAST_RETRY)
        if result.away:
            self._paused_until = next_at
        if await self._writer.run(
            lambda connection: webhooks.postpone(connection, due, next_at, result.why)
        ):
            emit(
                Event.WEBHOOK_FAILED,
                webhook=due.webhook,
                about=due.event,
                why=result.why,
                attempts=due.attempts,
                next_at=next_at.isoformat(),
            )


def _open_client() -> httpx2.AsyncClient:
    """Return a client that trusts what the system trusts and asks no proxy of the environment."""
    return httpx2.AsyncClient(
        verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, timeout=None
    )


def _find_delay(due: DueWebhook, longest: timedelta) -> timedelta:
    """Return the pause after an attempt: doubled each time, up to a quarter less by the id.

    So many daemons do not knock at one moment.
    """
    doublings = min(due.attempts - 1, 20)
    whole = min(longest, FIRST_RETRY * (1 << doublings))
    return whole * (1 - int(due.webhook, 16) % 256 / 1024)


def _describe(error: Exception) -> str:
    """Return in one line why no answer came."""
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")
