"""What every answer has, and the last resort: no exception's text ever reaches a client."""

from __future__ import annotations

import traceback

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bounced.logs import Event, emit
from bounced.web.problem import Problem

_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Rim:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
            emit(
                Event.JOB_FAILED,
                job=f"{scope['method']} {scope['path']}",
                error=type(error).__name__,
                exception="".join(traceback.format_exception(error)),
            )
            if not started:
                answer = Problem(500, "the request could not be worked on; the log says why")
                await answer.answer()(scope, receive, send_on)
