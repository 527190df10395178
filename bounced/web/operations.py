"""The operations of the API that take a body: path, types, what they do, how they are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from bounced.web import recipients, schema, sends
from bounced.web.api import Api


@dataclass(frozen=True, slots=True)
class Operation:
    """One POST; `handle` gets a checked request of type `request` and the token's name."""

    path: str
    name: str
    request: type[BaseModel]
    answer: type[BaseModel]
    handle: Callable[[Api, Any, str], Awaitable[BaseModel]]
    example: Mapping[str, Any]
    refusals: Mapping[int, str] = field(default_factory=dict)
    """What it refuses beside what every operation does: status and meaning."""
    links: Mapping[str, Any] = field(default_factory=dict)
    """What can be asked next with the answer (OpenAPI 3.1 §4.8.20)."""


OPERATIONS = (
    Operation(
        "/v1/sends",
        "register sends",
        schema.SendsRequest,
        schema.SendsAnswer,
        sends.register,
        {
            "sends": [
                {
                    "key": "protocol-4711-max@example.com",
                    "author": "anna@building.example",
                    "recipients": ["max@example.com"],
                    "reference": "4711",
                    "title": "Protocol of 22 November",
                    "url": "https://app.example/protocols/4711",
                    "language": "de",
                }
            ]
        },
        {409: "A key is registered with another body; nothing was registered."},
        {
            "delivered": {
                "operationId": "tell_that_a_recipient_was_reached",
                "requestBody": {
                    "recipient": "$request.body#/sends/0/recipients/0",
                    "send": "$response.body#/sends/0/send",
                },
            }
        },
    ),
    Operation(
        "/v1/recipients/lookup",
        "look up recipients",
        schema.LookupRequest,
        schema.LookupAnswer,
        recipients.look_up,
        {"recipients": ["max@example.com", "eva@example.org"]},
    ),
    Operation(
        "/v1/recipients/corrected",
        "tell that an address was corrected",
        schema.CorrectedRequest,
        schema.CasesAnswer,
        recipients.correct,
        {"recipient": "max@exmaple.com", "new_recipient": "max@example.com"},
    ),
    Operation(
        "/v1/recipients/delivered",
        "tell that a recipient was reached",
        schema.DeliveredRequest,
        schema.CasesAnswer,
        recipients.prove_delivery,
        {"recipient": "max@example.com"},
        {404: "No send of this id to this recipient is registered."},
    ),
)
