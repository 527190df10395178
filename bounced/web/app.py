"""Which path leads where (DESIGN §8)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bounced.web.api import Api
from bounced.web.body import read_body
from bounced.web.events import list_events
from bounced.web.guard import Guard, RefusalLog
from bounced.web.health import Health
from bounced.web.openapi import make_document
from bounced.web.operations import OPERATIONS, Operation
from bounced.web.pages.routes import PATH, Pages
from bounced.web.problem import Problem
from bounced.web.rim import Rim

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(api: Api) -> Starlette:
    """Return the application that answers HTTP."""
    refusals, health = RefusalLog(api.clock), Health(api)
    guard, pages = Guard(api.tokens, refusals), Pages(api, refusals)
    document = json.dumps(make_document())

    async def show_document(_request: Request) -> Response:
        return Response(document, media_type="application/json")

    async def show_events(request: Request) -> Response:
        caller = guard.authenticate(request)
        return _say(await list_events(api, request.query_params, caller))

    app = Starlette(
        routes=[
            *(
                Route(operation.path, _make_endpoint(api, guard, operation), methods=["POST"])
                for operation in OPERATIONS
            ),
            Route("/v1/events", show_events),
            Route("/healthz", health.live),
            Route("/readyz", health.ready),
            Route("/metrics", health.metrics),
            Route("/openapi.json", show_document),
            Route(f"{PATH}{{token}}", pages.answer, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(Rim, pages=PATH, apologize=pages.apologize)],
        exception_handlers={Problem: _answer_problem, HTTPException: _answer_http},
    )
    app.router.redirect_slashes = False  # a body is not sent twice, nor by the client's Host
    return app


def _make_endpoint(api: Api, guard: Guard, operation: Operation) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        caller = guard.authenticate(request)  # before any byte of the body
        asked = await read_body(request, operation.request, within=api.body_timeout)
        return _say(await operation.handle(api, asked, caller))

    return endpoint


def _say(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


async def _answer_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.answer()


async def _answer_http(_request: Request, error: Exception) -> Response:
    """Answer what the router refuses: 404, and 405 with Allow."""
    assert isinstance(error, HTTPException)
    if error.headers is None or "Allow" not in error.headers:
        return Problem(error.status_code, "there is nothing under this path").answer()
    allowed = ", ".join(sorted(error.headers["Allow"].split(", ")))
    return Problem(
        error.status_code, f"this path takes {allowed}", headers={"Allow": allowed}
    ).answer()
