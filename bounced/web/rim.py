"""What every answer has, and the last resort: no exception's text ever reaches a client."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bounced.logs import Event, emit
from bounced.web.problem import Problem

_FAULT = Problem(500, "the request could not be worked on; the log says why")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Rim:
    """ASGI middleware around everything else.

    What stands behind `pages` in a path is an author's only credential: it is never logged. He is
    no program, so what `apologize` says is for a person.
    """

    def __init__(self, app: ASGIApp, *, pages: str, apologize: Callable[[], Response]) -> None:
        self._app = app
        self._pages = pages
        self._apologize = apologize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:  # noqa: BLE001 - the last resort: a bug is answered by 500
            is_page = scope["path"].startswith(self._pages)
            path = f"{self._pages}…" if is_page else scope["path"]
            emit(
                Event.JOB_FAILED,
                job=f"{scope['method']} {path}",
                error=type(error).__name__,
                exception="".join(traceback.format_exception(error)),
            )
            if not started:
                answer = self._apologize() if is_page else _FAULT.answer()
                await answer(scope, receive, send_on)
