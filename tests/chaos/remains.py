"""What a history leaves behind: its log, and its ledger as the judge wants it."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from bounced.ledger.schema import cases, events, notices, slots, strikes
from tests.chaos.judge import Case, CaseRow, End, NoticeRow, StrikeRow


def read_log(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the events, and what is none; a line that a kill cut short is neither."""
    lines: list[dict[str, Any]] = []
    strays: list[str] = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            lines.append(json.loads(line))
        except ValueError:
            strays += [line] if line.endswith("\n") else []
    return lines, strays


def read_end(connection: Connection) -> End:
    """Return what the judge wants to know of the ledger."""
    names: dict[str, Case] = {}
    taken: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for slot in connection.execute(select(slots)):
        taken[slot.case].append((slot.round, slot.number))
    found = []
    for row in connection.execute(select(cases)):
        names[row.case] = (row.author, row.subject)
        found.append(
            CaseRow(
                names[row.case], row.state, row.category, row.round, row.strikes,
                tuple(sorted(taken[row.case])),
            )
        )  # fmt: skip
    published = {
        (event.event, json.loads(event.body).get("notice"))
        for event in connection.execute(select(events))
    }
    return End(
        notices=tuple(
            NoticeRow(row.notice, row.state, told=(f"notice_{row.state}", row.notice) in published)
            for row in connection.execute(select(notices))
        ),
        cases=tuple(found),
        strikes=tuple(
            StrikeRow(names[row.case], _name_send(row), row.round, row.notice)
            for row in connection.execute(select(strikes))
        ),
    )


def _name_send(row: Row[Any]) -> str:
    return f"{row.recipient} {row.send_key.removeprefix('message-id:').partition('@')[0]}"
