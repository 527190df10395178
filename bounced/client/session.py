"""The sync and the async client of the HTTP API: connections, the bearer token, retries.

Bearer tokens: RFC 6750.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from bounced.client import wire
from bounced.client.wire import Call, EventPage, Send, SendRegistered, Standing, UnavailableError

try:
    import httpx2
except ImportError as missing:
    raise ImportError("bounced.client needs httpx2: pip install httpx2") from missing

MAX_PER_CALL = 1000
"""How many sends, addresses or events the API takes or gives at once."""

_TIMEOUT_S = 10.0
_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 30.0
"""Who is asked to wait longer gives up; the caller has `retry_after_s` to go by."""
_TOKEN = re.compile(r"[!-~]+")

_T = TypeVar("_T")


class Client:
    """The API for programs with threads or none; one client serves many threads.

    Make it after a fork, keep it (it keeps connections), and close it at the end.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout: float = _TIMEOUT_S,
        attempts: int = _ATTEMPTS,
        verify: ssl.SSLContext | bool = True,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        options = _make_options(base_url, token, timeout)
        self._http = httpx2.Client(**options, verify=verify)
        self._attempts = attempts
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._http.close()

    def register(self, sends: Iterable[Send]) -> list[SendRegistered]:
        """Register up to 1,000 sends, all or none; the answers are in the same order."""
        return self._run(wire.register(sends))

    def lookup(self, recipients: Iterable[str]) -> list[Standing]:
        """Tell how up to 1,000 addresses stand, in the same order."""
        return self._run(wire.look_up(recipients))

    def corrected(
        self, recipient: str, *, author: str | None = None, new_recipient: str | None = None
    ) -> int:
        """Close the cases of an address, of one author or all; returns how many."""
        return self._run(wire.correct(recipient, author, new_recipient))

    def delivered(
        self, recipient: str, *, author: str | None = None, send: str | None = None
    ) -> int:
        """Reset the cases of an address that a mail has reached; returns how many.

        With `send`, a case that failed after that send was registered is left alone.
        """
        return self._run(wire.deliver(recipient, author, send))

    def events(self, after: str | None = None, *, limit: int = 100) -> EventPage:
        """Return up to `limit` (1,000) events behind the cursor; None is the beginning."""
        return self._run(wire.read_events(after, limit))

    def walk_events(
        self, after: str | None = None, *, limit: int = MAX_PER_CALL
    ) -> Iterator[EventPage]:
        """Go through all events behind the cursor, page by page, up to the newest."""
        while (page := self.events(after, limit=limit)).events:
            yield page
            after = page.next

    def _run(self, call: Call[_T]) -> _T:
        attempt = 0
        while True:
            attempt += 1
            try:
                return _read(call, self._http.request(**_make_request(call)))
            except (httpx2.RequestError, UnavailableError) as failure:
                pause_s = _find_pause(failure, attempt, self._attempts)
            self._sleep(pause_s)


class AsyncClient:
    """The API for asyncio programs; the same as Client, with `await` before each call."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout: float = _TIMEOUT_S,
        attempts: int = _ATTEMPTS,
        verify: ssl.SSLContext | bool = True,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        options = _make_options(base_url, token, timeout)
        self._http = httpx2.AsyncClient(**options, verify=verify)
        self._attempts = attempts
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._http.aclose()

    async def register(self, sends: Iterable[Send]) -> list[SendRegistered]:
        """Register up to 1,000 sends, all or none; the answers are in the same order."""
        return await self._run(wire.register(sends))

    async def lookup(self, recipients: Iterable[str]) -> list[Standing]:
        """Tell how up to 1,000 addresses stand, in the same order."""
        return await self._run(wire.look_up(recipients))

    async def corrected(
        self, recipient: str, *, author: str | None = None, new_recipient: str | None = None
    ) -> int:
        """Close the cases of an address, of one author or all; returns how many."""
        return await self._run(wire.correct(recipient, author, new_recipient))

    async def delivered(
        self, recipient: str, *, author: str | None = None, send: str | None = None
    ) -> int:
        """Reset the cases of an address that a mail has reached; returns how many.

        With `send`, a case that failed after that send was registered is left alone.
        """
        return await self._run(wire.deliver(recipient, author, send))

    async def events(self, after: str | None = None, *, limit: int = 100) -> EventPage:
        """Return up to `limit` (1,000) events behind the cursor; None is the beginning."""
        return await self._run(wire.read_events(after, limit))

    async def walk_events(
        self, after: str | None = None, *, limit: int = MAX_PER_CALL
    ) -> AsyncIterator[EventPage]:
        """Go through all events behind the cursor, page by page, up to the newest."""
        while (page := await self.events(after, limit=limit)).events:
            yield page
            after = page.next

    async def _run(self, call: Call[_T]) -> _T:
        attempt = 0
        while True:
            attempt += 1
            try:
                return _read(call, await self._http.request(**_make_request(call)))
            except (httpx2.RequestError, UnavailableError) as failure:
                pause_s = _find_pause(failure, attempt, self._attempts)
            await self._sleep(pause_s)


def _make_options(base_url: str, token: str, timeout: float) -> dict[str, Any]:
    """Check what a typing error would turn into a riddle, and return httpx2's options."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"base_url {base_url!r}: write http://host:port or https://host")
    if parts.path.rstrip("/").endswith("/v1"):
        raise ValueError(f"base_url {base_url!r}: leave /v1 away, the client adds it")
    if not _TOKEN.fullmatch(token):
        raise ValueError("the token is empty or holds a space or line break")
    return {
        "base_url": base_url,
        "headers": {"Authorization": f"Bearer {token}", "User-Agent": "bounced-client"},
        "timeout": timeout,
        # A proxy of the environment would see the token.
        "trust_env": False,
    }


def _make_request(call: Call[Any]) -> dict[str, Any]:
    return {"method": call.method, "url": call.path, "json": call.body, "params": call.params}


def _read(call: Call[_T], response: httpx2.Response) -> _T:
    retry_after = response.headers.get("Retry-After")
    return wire.read_answer(call, response.status_code, response.content, retry_after)


def _find_pause(
    failure: httpx2.RequestError | UnavailableError, attempt: int, attempts: int
) -> float:
    """Return after how many seconds to try again; raises UnavailableError when not at all."""
    if isinstance(failure, httpx2.RequestError):
        text = f"no answer: {failure or type(failure).__name__}"
        error = UnavailableError(text)
    else:
        error = failure
    pause_s = max(_FIRST_PAUSE_S * 2.0 ** (attempt - 1), error.retry_after_s or 0.0)
    if attempt >= attempts or pause_s > _MAX_PAUSE_S:
        raise error
    return pause_s
