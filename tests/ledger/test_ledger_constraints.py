"""What the database itself refuses, whatever the code above it does (DESIGN §5.3)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from bounced.ledger.engine import Ledger
from bounced.ledger.schema import (
    failures,
    metadata,
    report_contents,
    reports,
    slots,
    strikes,
)
from tests.ledger.office import START

CASE: dict[str, Any] = {
    "case": "c1",
    "author": "anna",
    "subject": "max",
    "category": "policy",
    "reason": "virus",
    "round": 1,
}
NOTICE: dict[str, Any] = {"notice": "n1", "author": "anna", "state": "sent", "created_at": START}
REPORT: dict[str, Any] = {
    "report": "r1",
    "received_at": START,
    "envelope_recipient": "bounces@bounce.example.com",
    "door": "mailbox",
    "size": 1,
}
SLOT: dict[str, Any] = {
    "author": "anna",
    "subject": "max",
    "round": 1,
    "number": 3,
    "case": "c1",
    "notice": "n1",
    "category": "policy",
    "reason": "virus",
    "max_notices": 3,
    "strikes": 1,
}
STRIKE: dict[str, Any] = {
    "author": "anna",
    "recipient_key": "max",
    "send_key": "send:1",
    "case": "c1",
    "round": 1,
    "report": "r1",
    "position": 0,
    "recipient": "max",
    "category": "policy",
    "reason": "virus",
    "failed_at": START,
    "counted_at": START,
}
SEND: dict[str, Any] = {
    "send": "s1",
    "registered_at": START,
    "author": "anna",
    "key": "protocol 1",
}
EVENT: dict[str, Any] = {"position": 1, "at": START, "event": "case_closed", "body": "{}"}
GROUND: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reports", REPORT),
    ("cases", CASE),
    ("notices", NOTICE),
    ("slots", SLOT),
    ("strikes", STRIKE),
    ("notices", NOTICE | {"notice": "n2", "state": "open"}),
    ("sends", SEND),
    ("events", EVENT),
    ("event_counter", {"id": 1, "last_position": 1}),
)

FORBIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "a fourth slot": ("slots", SLOT | {"number": 4, "notice": "n2"}),
    "a slot without a number": ("slots", SLOT | {"number": 0, "notice": "n2"}),
    "the same slot twice": ("slots", SLOT | {"notice": "n2"}),
    "two slots of one case in one notice": ("slots", SLOT | {"number": 2}),
    "a slot of no case": ("slots", SLOT | {"number": 2, "case": "c9", "notice": "n2"}),
    "a slot of no notice": ("slots", SLOT | {"number": 2, "notice": "n9"}),
    "a fourth notice": ("cases", CASE | {"case": "c2", "subject": "eva", "notices": 4}),
    "fewer than no notices": ("cases", CASE | {"case": "c2", "subject": "eva", "notices": -1}),
    "a round before the rehearsal": ("cases", CASE | {"case": "c2", "subject": "e", "round": -1}),
    "two cases of one recipient": ("cases", CASE | {"case": "c2"}),
    "an unknown state of a case": ("cases", CASE | {"case": "c2", "subject": "e", "state": "x"}),
    "an unknown category": ("cases", CASE | {"case": "c2", "subject": "e", "category": "hard"}),
    "two open digests of one author": ("notices", NOTICE | {"notice": "n3", "state": "open"}),
    "an open and a held digest": ("notices", NOTICE | {"notice": "n3", "state": "held"}),
    "an unknown state of a notice": ("notices", NOTICE | {"notice": "n3", "state": "lost"}),
    "an unknown state of a report": ("reports", REPORT | {"report": "r2", "state": "eaten"}),
    "a send counted twice": ("strikes", STRIKE | {"category": "system", "report": "r2"}),
    "a strike of no case": ("strikes", STRIKE | {"send_key": "send:2", "case": "c9"}),
    "two sends under one key": ("sends", SEND | {"send": "s2"}),
    "two events at one position": ("events", EVENT),
    "a second counter of positions": ("event_counter", {"id": 2, "last_position": 1}),
    "contents of no report": ("report_contents", {"report": "r9", "raw": b""}),
}
ALLOWED: dict[str, tuple[str, dict[str, Any]]] = {
    "a second notice that is sent": ("notices", NOTICE | {"notice": "n3"}),
    "the second of three slots": ("slots", SLOT | {"number": 2, "notice": "n2"}),
    "a third slot of the next round": ("slots", SLOT | {"round": 2, "notice": "n3"}),
    "an open digest of someone else": (
        "notices",
        NOTICE | {"notice": "n4", "state": "open", "author": "ben"},
    ),
    "a send without a key": ("sends", SEND | {"send": "s2", "key": None}),
    "another send without a key": ("sends", SEND | {"send": "s3", "key": None}),
    "an event without a position": ("events", EVENT | {"position": None}),
    "another event without a position": ("events", EVENT | {"position": None}),
    "another send": ("strikes", STRIKE | {"send_key": "send:2"}),
}


def write_ground(ledger: Ledger) -> None:
    def work(connection: Any) -> None:
        for table, values in GROUND:
            connection.execute(insert(metadata.tables[table]).values(values))

    ledger.write(work)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_database_refuses(ledger: Ledger, name: str) -> None:
    write_ground(ledger)
    table, values = FORBIDDEN[name]
    with pytest.raises(IntegrityError):
        ledger.write(lambda c: c.execute(insert(metadata.tables[table]).values(values)))


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "a third slot made a fourth": ("slots", {"number": 4}),
    "a fourth notice counted": ("cases", {"notices": 4}),
    "a sent notice made a second digest": ("notices", {"state": "open"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_database_refuses_to_make(ledger: Ledger, name: str) -> None:
    write_ground(ledger)
    table, values = CHANGES[name]
    with pytest.raises(IntegrityError):
        ledger.write(lambda c: c.execute(update(metadata.tables[table]).values(values)))


def test_the_database_takes_what_differs_in_one_thing(ledger: Ledger) -> None:
    write_ground(ledger)
    for table, values in ALLOWED.values():
        ledger.write(lambda c, t=table, v=values: c.execute(insert(metadata.tables[t]).values(v)))  # type: ignore[misc] # a lambda has no annotations
    assert len(ledger.read(lambda c: c.execute(select(slots)).all())) == 3


def test_a_report_takes_its_contents_and_failures_with_it(ledger: Ledger) -> None:
    write_ground(ledger)

    def work(connection: Any) -> list[int]:
        connection.execute(insert(report_contents).values(report="r1", raw=b"raw"))
        connection.execute(insert(failures).values(report="r1", position=0))
        connection.execute(reports.delete())
        return [
            len(connection.execute(select(table)).all())
            for table in (report_contents, failures, strikes)
        ]

    assert ledger.write(work) == [0, 0, 1]
