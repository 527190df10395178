"""The document as a reader needs it; that answers keep to it is test_api_schema's."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from bounced.web.openapi import make_document
from bounced.web.operations import OPERATIONS, Operation
from tests.web.conftest import House


def test_every_route_but_the_authors_pages_is_in_the_document_and_nothing_else(
    sqlite_house: House,
) -> None:
    routes = {
        (route.path, method)  # type: ignore[attr-defined] # all of them are Route
        for route in sqlite_house.make_app().routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    told = {
        (path, method.upper())
        for path, methods in make_document()["paths"].items()
        for method in methods
    }
    assert told == routes - {("/n/{token}", "GET"), ("/n/{token}", "POST")}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.path)
async def test_every_example_is_taken(
    sqlite_client: httpx2.AsyncClient, operation: Operation
) -> None:
    answer = await sqlite_client.post(operation.path, json=operation.example)
    assert answer.status_code == 200


def test_every_reference_leads_somewhere() -> None:
    document = make_document()
    names = {name.rpartition("/")[2] for name in list_references(document)}
    assert names == document["components"]["schemas"].keys()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.path)
def test_every_refusal_is_told_of(operation: Operation) -> None:
    told = set(make_document()["paths"][operation.path]["post"]["responses"])
    everywhere = {"200", "400", "401", "403", "408", "413", "415", "422", "503"}
    assert told == everywhere | {str(status) for status in operation.refusals}


def test_only_health_and_document_are_open() -> None:
    paths = make_document()["paths"]
    open_paths = {
        path
        for path, methods in paths.items()
        for operation in methods.values()
        if operation.get("security") == []
    }
    assert open_paths == {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def list_references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [name for each in value.values() for name in list_references(each)]
    return [n for each in value for n in list_references(each)] if isinstance(value, list) else []
