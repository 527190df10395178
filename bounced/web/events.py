"""The events for the sending application, page by page behind an opaque cursor."""

from __future__ import annotations

import re

from starlette.datastructures import QueryParams

from bounced.ledger.outbox import AheadError, read_events
from bounced.web.api import Api
from bounced.web.problem import Fault, Problem
from bounced.web.schema import DEFAULT_EVENTS, MAX_EVENTS, EventAnswer, EventsAnswer

CURSOR_PATTERN = "^[0-7][0-9a-f]{15}$"
"""A position of 63 bits; every text of this form is a cursor."""
_CURSOR = re.compile(CURSOR_PATTERN.strip("^$"))
_LIMIT = re.compile(f"[1-9][0-9]{{0,{len(str(MAX_EVENTS)) - 1}}}")


async def list_events(api: Api, query: QueryParams, _caller: str) -> EventsAnswer:
    """Return the events behind the cursor; `next` stays the same while there is nothing new."""
    after, limit = _parse_query(query)
    try:
        found, last = await api.read(lambda ledger: read_events(ledger, after, limit))
    except AheadError:
        fault = Fault("ahead of what was ever given out: begin again without it", "after")
        raise Problem(
            410, "the cursor is of another ledger; was a backup restored?", [fault]
        ) from None
    return EventsAnswer(
        events=[
            EventAnswer(
                id=_format_cursor(event.position), at=event.at, event=event.event, **event.body
            )
            for event in found
        ],
        next=_format_cursor(last),
    )


def _parse_query(query: QueryParams) -> tuple[int, int]:
    """Return position and limit; raises Problem 400."""
    faults = [
        Fault("no such parameter, or named twice: after and limit, once each", name)
        for name in sorted(set(query))
        if name not in {"after", "limit"} or len(query.getlist(name)) > 1
    ]
    after, limit = query.get("after", _format_cursor(0)), query.get("limit", str(DEFAULT_EVENTS))
    if not _CURSOR.fullmatch(after):
        faults.append(Fault("no cursor of ours: send the `next` of an answer, or none", "after"))
    if not _LIMIT.fullmatch(limit) or int(limit) > MAX_EVENTS:
        faults.append(Fault(f"write a number from 1 to {MAX_EVENTS}", "limit"))
    if faults:
        raise Problem(400, "the query does not fit; `errors` tells where", faults)
    return int(after, 16), int(limit)


def _format_cursor(position: int) -> str:
    return f"{position:016x}"
