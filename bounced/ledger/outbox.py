"""Events for the application that sends: what happened, in an order in which no reader misses any.

An event is written in the transaction of what it tells of. A transaction that began earlier may
commit later, so an event has a position, by which it is found, only once its commit is seen:
whoever reads gives the next positions to all that have none, one reader at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from bounced.ledger.engine import Ledger
from bounced.ledger.records import clean_text
from bounced.ledger.schema import event_counter, events, is_unnumbered
from bounced.ledger.tally import upsert
from bounced.logs import Event
from bounced.model import LedgerError

_NUMBERED_AT_ONCE = 10_000
"""So that a first reader after months locks no writer out."""
PURGED_AT_ONCE = 5_000
"""So that a purge does not either."""


class AheadError(LedgerError):
    """A reader has a position that was never given: it is of another ledger than this one."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What happened, in the words of the log."""

    event: Event
    body: dict[str, Any]
    """What JSON can say; None is left out."""


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as its readers get it."""

    position: int
    """From 1, growing, never given twice."""
    at: datetime
    event: str
    body: dict[str, Any]


def publish(connection: Connection, happened: Iterable[NewEvent], now: datetime) -> None:
    """Write events, in their order, in the transaction of what they tell of."""
    rows = [
        {
            "at": now,
            "event": item.event.value,
            "body": json.dumps(clean_body(item.body), ensure_ascii=False),
        }
        for item in happened
    ]
    if rows:
        connection.execute(insert(events), rows)


def read_events(ledger: Ledger, after: int, limit: int) -> tuple[list[PublishedEvent], int]:
    """Return up to `limit` events behind position `after`, and the position to go on from.

    0 is before all of them. What was purged is left out silently. No event: there was none when
    asked, and the position is the same. Raises AheadError, as where a backup has been restored.
    """
    if ledger.read(_has_unnumbered):
        ledger.write(number_events)
    found = ledger.read(lambda connection: _read_numbered(connection, after, limit))
    return found, found[-1].position if found else after


def clean_body(body: dict[str, Any]) -> dict[str, Any]:
    """Return what JSON and every database take of a body; None is left out."""
    return {
        key: clean_text(value) if isinstance(value, str) else value
        for key, value in body.items()
        if value is not None
    }


def number_events(connection: Connection) -> None:
    """Give the next positions to committed events that have none, the oldest first."""
    connection.execute(
        upsert(connection, event_counter).values(id=1, last_position=0).on_conflict_do_nothing()
    )
    # The counter's row is locked until our transaction ends: positions are committed in order.
    last = connection.execute(select(event_counter.c.last_position).with_for_update()).scalar_one()
    waiting = (
        select(events.c.id, func.row_number().over(order_by=events.c.id).label("number"))
        .where(is_unnumbered)
        .order_by(events.c.id)
        .limit(_NUMBERED_AT_ONCE)
        .subquery()
    )
    connection.execute(
        update(events).where(events.c.id == waiting.c.id).values(position=last + waiting.c.number)
    )
    # What is purged meanwhile leaves gaps: the highest position tells more than the number.
    highest = connection.execute(select(func.max(events.c.position))).scalar() or 0
    connection.execute(update(event_counter).values(last_position=max(last, highest)))


def purge_events(connection: Connection, before: datetime) -> int:
    """Delete some of what happened before then, read or not; return how many, 0 at the end.

    Positions are not reused.
    """
    some = select(events.c.id).where(events.c.at < before).order_by(events.c.at)
    chosen = events.c.id.in_(some.limit(PURGED_AT_ONCE))
    return connection.execute(delete(events).where(chosen)).rowcount


def _has_unnumbered(connection: Connection) -> bool:
    one = select(events.c.id).where(is_unnumbered).limit(1)
    return connection.execute(one).scalar() is not None


def _read_numbered(connection: Connection, after: int, limit: int) -> list[PublishedEvent]:
    last = connection.execute(select(event_counter.c.last_position)).scalar() or 0
    if after > last:
        raise AheadError(f"position {after} was never given: {last} is the last one")
    rows = connection.execute(
        select(events).where(events.c.position > after).order_by(events.c.position).limit(limit)
    )
    return [PublishedEvent(row.position, row.at, row.event, json.loads(row.body)) for row in rows]
