"""How notices end, and what that does to their cases: the interval runs from here (DESIGN §5)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from bounced.ledger.claims import is_ready, is_silent
from bounced.ledger.columns import UtcTime
from bounced.ledger.outbox import NewEvent, publish
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import CaseState, NoticeState
from bounced.ledger.schema import (
    cases,
    is_under_way,
    notices,
    slots,
)
from bounced.ledger.strikes import NewId, Opened, lock_authors, open_digests
from bounced.ledger.tally import recount_all
from bounced.logs import Event

SETTLED_EVENTS = {
    NoticeState.SENT: Event.NOTICE_SENT,
    NoticeState.FAILED: Event.NOTICE_FAILED,
    NoticeState.OUTCOME_UNKNOWN: Event.NOTICE_OUTCOME_UNKNOWN,
}

_OPEN_STILL = or_(is_under_way, notices.c.state == NoticeState.OUTCOME_UNKNOWN.value)


def _build_end(which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    """Return what ends the notices that `which` picks."""
    attempted_at, now = notices.c.attempted_at, bindparam("now", type_=UtcTime)
    return (
        update(notices)
        .where(which)
        .values(
            state=bindparam("ended"),
            settled_at=case((attempted_at > now, attempted_at), else_=now),
            detail=bindparam("said"),
            claimed_until=None,
        )
        .returning(*notices.c)
    )


# What runs for each group of mails is built once: building takes as long as running.
_READ_AUTHORS = select(notices.c.author).where(
    notices.c.notice.in_(bindparam("named", expanding=True))
)
_END_OURS = _build_end(
    and_(
        notices.c.notice == bindparam("ours"),
        notices.c.claim == bindparam("mark"),
        _OPEN_STILL,
        notices.c.state != bindparam("ended"),
    )
)
_OF_CASES = (
    update(cases)
    .where(slots.c.notice.in_(bindparam("named", expanding=True)))
    .where(notices.c.notice == slots.c.notice)
    .where(cases.c.case == slots.c.case)
    .values(
        last_notice_at=case(
            (cases.c.last_notice_at > notices.c.settled_at, cases.c.last_notice_at),
            else_=notices.c.settled_at,
        )
    )
)
_NOTE_SETTLED = _OF_CASES.where(cases.c.unsettled_notice.is_(None))
_FREE = (
    _OF_CASES.where(cases.c.unsettled_notice == slots.c.notice)
    .values(
        unsettled_notice=None,
        state=case(
            (cases.c.state == CaseState.CLOSED.value, cases.c.state),
            (cases.c.notices >= bindparam("most"), CaseState.EXHAUSTED.value),
            else_=CaseState.OPEN.value,
        ),
    )
    .returning(cases.c.case, cases.c.notices, cases.c.due_at)
)
_READ_SLOTS = (
    select(slots.c.notice, slots.c.case, slots.c.subject, slots.c.number)
    .where(slots.c.notice.in_(bindparam("named", expanding=True)))
    .order_by(slots.c.category, slots.c.subject)
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claimed notice ended."""

    notice: str
    claim: str
    state: NoticeState
    """Sent, failed or outcome_unknown."""
    detail: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class SlotTaken:
    """What a notice spends of a case's three."""

    case: str
    subject: str
    number: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A notice that is over, and the cases that it used up."""

    notice: str
    author: str
    message_id: str
    state: NoticeState
    detail: str | None
    slots: tuple[SlotTaken, ...]
    exhausted: tuple[SlotTaken, ...]
    opened: tuple[Opened, ...]


def settle(
    connection: Connection,
    endings: Sequence[Ending],
    *,
    settings: PolicySettings,
    new_id: NewId,
) -> list[Settled | None]:
    """End notices as sent, failed or outcome_unknown; None for one that was settled already.

    One that another node called outcome_unknown may still be settled by the node that knows.
    """
    if not endings:
        return []
    named = {"named": [ending.notice for ending in endings]}
    lock_authors(connection, connection.execute(_READ_AUTHORS, named).scalars())
    ended: list[Row[Any]] = []
    ours_ended: list[bool] = []
    for ending in endings:
        ours = {"ours": ending.notice, "mark": ending.claim}
        rows = _end(connection, _END_OURS, ending.state, ending.detail, ending.at, **ours)
        ended += rows
        ours_ended.append(bool(rows))
    settled = {
        each.notice: each
        for each in _settle_cases(connection, ended, settings=settings, new_id=new_id)
    }
    return [
        settled[ending.notice] if is_ours else None
        for ending, is_ours in zip(endings, ours_ended, strict=True)
    ]


def settle_lost(
    connection: Connection, now: datetime, *, settings: PolicySettings, new_id: NewId
) -> list[Settled]:
    """End as outcome_unknown every notice whose daemon was lost after DATA began."""
    lost = and_(is_ready(now), notices.c.state == NoticeState.DATA_STARTED.value)
    detail = "the daemon stopped between DATA and the reply"
    ended = _end_left(connection, lost, NoticeState.OUTCOME_UNKNOWN, detail, now)
    return _settle_cases(connection, ended, settings=settings, new_id=new_id)


def settle_silent(
    connection: Connection, now: datetime, *, settings: PolicySettings, new_id: NewId
) -> list[Settled]:
    """End as failed every notice that waits for another attempt, its author silent by now."""
    is_claimed = notices.c.state == NoticeState.CLAIMED.value
    silent = and_(is_ready(now), is_claimed, is_silent())
    detail = "not tried again: the author cannot be reached or wants no notices"
    ended = _end_left(connection, silent, NoticeState.FAILED, detail, now)
    return _settle_cases(connection, ended, settings=settings, new_id=new_id)


def _end_left(
    connection: Connection,
    which: ColumnElement[bool],
    state: NoticeState,
    detail: str,
    now: datetime,
) -> Sequence[Row[Any]]:
    """End notices that nobody has in hand; return them."""
    found = _lock_notices(connection, which)
    if not found:
        return []
    statement = _build_end(and_(which, notices.c.notice.in_(found)))
    return _end(connection, statement, state, detail, now)


def _lock_notices(connection: Connection, which: ColumnElement[bool]) -> list[str]:
    """Lock the authors of some notices; return the notices."""
    found = connection.execute(select(notices.c.notice, notices.c.author).where(which)).all()
    lock_authors(connection, {row.author for row in found})
    return [row.notice for row in found]


def _end(
    connection: Connection,
    statement: ReturningUpdate[Any],
    state: NoticeState,
    detail: str | None,
    now: datetime,
    **which: str,
) -> Sequence[Row[Any]]:
    """Write down how notices ended, never before their last attempt whatever the clock says."""
    how = {"ended": state.value, "said": detail, "now": now}
    return connection.execute(statement, how | which).all()


def _settle_cases(
    connection: Connection, ended: Sequence[Row[Any]], *, settings: PolicySettings, new_id: NewId
) -> list[Settled]:
    """Free the cases of settled notices; the interval runs from settlement, never backwards."""
    if not ended:
        return []
    ids = [row.notice for row in ended]
    exhausted = _free_cases(connection, ids, settings)
    now = max(row.settled_at for row in ended)
    opened = open_digests(connection, {row.author for row in ended}, now, new_id)
    taken = read_slots(connection, ids)
    settled = [
        Settled(
            row.notice,
            row.author,
            row.message_id,
            NoticeState(row.state),
            row.detail,
            taken[row.notice],
            tuple(slot for slot in taken[row.notice] if slot.case in exhausted),
            tuple(digest for digest in opened if digest.author == row.author),
        )
        for row in sorted(ended, key=lambda row: (row.claimed_at, row.notice))
    ]
    publish(connection, (event for each in settled for event in _tell(each)), now)
    return settled


def _free_cases(connection: Connection, ids: Sequence[str], settings: PolicySettings) -> set[str]:
    """Let cases go that settled notices tell of; return those that have no notice left.

    Their strikes are as they were. What came meanwhile has made a case due by its last notice, and
    is due by this one.
    """
    named = {"named": ids}
    # Of a notice whose outcome was unknown the cases were let go before.
    connection.execute(_NOTE_SETTLED, named)
    freed = connection.execute(_FREE, named | {"most": settings.max_notices}).all()
    due = [row.case for row in freed if row.due_at is not None]
    if due:
        recount_all(connection, cases.c.case.in_(due), settings)
    return {row.case for row in freed if row.notices >= settings.max_notices}


def _tell(settled: Settled) -> Iterator[NewEvent]:
    """Yield what the sending application hears of a settled notice."""
    ids = {"notice": settled.notice, "author": settled.author}
    yield NewEvent(
        SETTLED_EVENTS[settled.state], ids | {"slots": [asdict(slot) for slot in settled.slots]}
    )
    for slot in settled.exhausted:
        yield NewEvent(
            Event.CASE_EXHAUSTED,
            ids | {"case": slot.case, "subject": slot.subject, "notices": slot.number},
        )


def read_slots(connection: Connection, ids: Collection[str]) -> dict[str, tuple[SlotTaken, ...]]:
    """Return what notices spend, in the order in which they list their cases."""
    found: dict[str, list[SlotTaken]] = {notice: [] for notice in ids}
    for row in connection.execute(_READ_SLOTS, {"named": [*ids]}):
        found[row.notice].append(SlotTaken(row.case, row.subject, row.number))
    return {notice: tuple(taken) for notice, taken in found.items()}
