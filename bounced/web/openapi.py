"""The OpenAPI 3.1 document, made from the same types that check requests and make answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from bounced import __version__
from bounced.web import metrics, problem, schema
from bounced.web.events import CURSOR_PATTERN
from bounced.web.operations import OPERATIONS, Operation

_REF = "#/components/schemas/"
_REFUSED = {
    400: "The request is not as it should be: no JSON, or a parameter does not fit.",
    401: "The bearer token is missing or unknown.",
    403: "The API is closed: the daemon has no file of tokens.",
    503: "The database does not answer, or a notice is just being sent: ask again.",
}
_BODY_REFUSED = {
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is no JSON by its Content-Type.",
    422: "The body does not fit; `errors` tells where.",
}
_NEXT = {"next": {"operationId": "list_events", "parameters": {"after": "$response.body#/next"}}}
_HEADERS = {401: "WWW-Authenticate", 503: "Retry-After"}


def make_document() -> dict[str, Any]:
    """Return the document."""
    models = [(operation.request, "validation") for operation in OPERATIONS]
    models += [(operation.answer, "serialization") for operation in OPERATIONS]
    models += [(schema.EventsAnswer, "serialization"), (schema.ProblemAnswer, "serialization")]
    _, definitions = models_json_schema(
        list(dict.fromkeys(models)),  # type: ignore[arg-type] # a str is no Literal of modes
        ref_template=_REF + "{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bounced",
            "version": __version__,
            "description": "Registers mails before they are sent, and tells what became of them.",
        },
        "security": [{"bearer": []}],
        "paths": {operation.path: {"post": _describe(operation)} for operation in OPERATIONS}
        | {"/v1/events": {"get": _describe_events()}}
        | _describe_open_paths(),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe(operation: Operation) -> dict[str, Any]:
    refused = {**_REFUSED, **_BODY_REFUSED, **operation.refusals}
    return {
        "operationId": operation.name.replace(" ", "_"),
        "summary": operation.name.capitalize(),
        "description": operation.handle.__doc__,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _REF + operation.request.__name__},
                    "example": operation.example,
                }
            },
        },
        "responses": {"200": _describe_answer(operation.answer.__name__, operation.links)}
        | _describe_refusals(refused),
    }


def _describe_events() -> dict[str, Any]:
    return {
        "operationId": "list_events",
        "summary": "List events",
        "description": "What has happened since `after`, oldest first. `next` is always there: "
        "keep it and send it as `after`. Kept for [retention] events_age.",
        "parameters": [
            {
                "name": "after",
                "in": "query",
                "description": "The `next` of an earlier answer; left out: from the beginning.",
                "schema": {"type": "string", "pattern": CURSOR_PATTERN},
            },
            {
                "name": "limit",
                "in": "query",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": schema.MAX_EVENTS,
                    "default": schema.DEFAULT_EVENTS,
                },
            },
        ],
        "responses": {"200": _describe_answer(schema.EventsAnswer.__name__, _NEXT)}
        | _describe_refusals(
            {**_REFUSED, 410: "The cursor was never given out, as after a restore: begin again."}
        ),
    }


def _describe_open_paths() -> dict[str, Any]:
    """Describe what is answered without a token."""
    unready = _describe_refusals({503: "What keeps the daemon from its work."}, retry=False)
    status = {
        "type": "object",
        "properties": {"status": {"type": "string"}},
        "required": ["status"],
    }
    paths: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
        "/healthz": ("Tell whether the loop runs", "application/json", status, {}),
        "/readyz": ("Tell whether mail can be taken in", "application/json", status, unready),
        "/metrics": ("Figures for Prometheus", metrics.MEDIA_TYPE, {"type": "string"}, {}),
        "/openapi.json": ("This document", "application/json", {"type": "object"}, {}),
    }
    return {
        path: {
            "get": {
                "operationId": path.strip("/").replace(".", "_"),
                "summary": summary,
                "security": [],
                "responses": {
                    "200": {"description": "As asked.", "content": {media: {"schema": form}}}
                }
                | refused,
            }
        }
        for path, (summary, media, form, refused) in paths.items()
    }


def _describe_answer(name: str, links: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": "As asked.",
        "content": {"application/json": {"schema": {"$ref": _REF + name}}},
        "links": dict(links),
    }


def _describe_refusals(refused: Mapping[int, str], *, retry: bool = True) -> dict[str, Any]:
    form = {"schema": {"$ref": _REF + schema.ProblemAnswer.__name__}}
    described = {}
    for status, meaning in sorted(refused.items()):
        one: dict[str, Any] = {"description": meaning, "content": {problem.MEDIA_TYPE: form}}
        if status in _HEADERS and retry:
            one["headers"] = {_HEADERS[status]: {"required": True, "schema": {"type": "string"}}}
        described[str(status)] = one
    return described
