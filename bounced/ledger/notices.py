"""Notices, step by step: held, claimed with a fencing mark, sent, settled.

A notice is open → claimed (slots taken) → data_started → sent, failed or outcome_unknown
(DESIGN §5.3). Every step after the claim names its mark, so that a node which lost its claim
can do nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from bounced.ledger.claims import claim_again, claim_due, is_silent, take_slots
from bounced.ledger.entries import read_claimed
from bounced.ledger.outbox import NewEvent, publish
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import CaseState, ClaimedNotice, HeldWhy, NoticeState
from bounced.ledger.schema import (
    UtcTime,
    authors,
    cases,
    is_under_way,
    is_waiting,
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
_START = (
    update(notices)
    .where(notices.c.notice.in_(bindparam("named", expanding=True)))
    .where(tuple_(notices.c.notice, notices.c.claim).in_(bindparam("claims", expanding=True)))
    .where(notices.c.state == NoticeState.CLAIMED.value)
    .values(state=NoticeState.DATA_STARTED.value)
    .returning(notices.c.notice, notices.c.claim)
)
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
    .returning(cases.c.case, cases.c.state, cases.c.due_at)
)
_READ_SLOTS = (
    select(slots.c.notice, slots.c.case, slots.c.subject, slots.c.number)
    .where(slots.c.notice.in_(bindparam("named", expanding=True)))
    .order_by(slots.c.category, slots.c.subject)
)


@dataclass(frozen=True, slots=True)
class Held:
    """A digest that was due and is kept back."""

    notice: str
    author: str
    why: HeldWhy


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


def hold_due(connection: Connection, now: datetime, *, everyone: bool) -> list[Held]:
    """Keep back the due digests of silent authors and, where `everyone`, all but released ones.

    A digest that is held collects what happens, as an open one does.
    """
    due = and_(is_waiting, notices.c.state == NoticeState.OPEN.value, notices.c.due_at <= now)
    kept = or_(is_silent(), notices.c.released.is_(False)) if everyone else is_silent()
    why = (
        select(
            case(
                (authors.c.declined_at.is_not(None), HeldWhy.DECLINED.value),
                else_=HeldWhy.UNREACHABLE.value,
            )
        )
        .where(authors.c.author == notices.c.author)
        .where(or_(authors.c.declined_at.is_not(None), authors.c.unreachable_at.is_not(None)))
        .scalar_subquery()
    )
    rows = connection.execute(
        update(notices)
        .where(due)
        .where(kept)
        .values(state=NoticeState.HELD.value, why=func.coalesce(why, HeldWhy.MODE.value))
        .returning(notices.c.notice, notices.c.author, notices.c.why)
    )
    return sorted(
        (Held(row.notice, row.author, HeldWhy(row.why)) for row in rows),
        key=lambda held: held.notice,
    )


def release_held(connection: Connection, notice: str | None, now: datetime) -> list[str]:
    """Let a digest go that `notices.mode` holds, or all of them (None); return their ids.

    One that was held stays so, whatever the mode is now, until it is released here. What an
    author's silence holds, his reset lets go.
    """
    held = and_(
        is_waiting,
        notices.c.state == NoticeState.HELD.value,
        # Earlier versions noted no reason, and had no other.
        notices.c.why == HeldWhy.MODE.value,
    )
    rows = connection.execute(
        update(notices)
        .where(held if notice is None else and_(held, notices.c.notice == notice))
        .values(state=NoticeState.OPEN.value, why=None, released=True, due_at=now)
        .returning(notices.c.notice)
    )
    return [row.notice for row in rows]


def claim(
    connection: Connection,
    now: datetime,
    lease: timedelta,
    limit: int,
    *,
    settings: PolicySettings,
    released_only: bool,
    domain: str,
    new_id: NewId,
) -> list[ClaimedNotice]:
    """Take up to `limit` notices to be tried: those whose claim has run out, else due digests.

    `released_only`: none that no operator has released. `domain` is that of new Message-IDs.
    None: nothing is due.
    """
    found = claim_again(connection, now, lease, limit, new_id()) or claim_due(
        connection,
        now,
        lease,
        limit,
        settings=settings,
        released_only=released_only,
        domain=domain,
        new_id=new_id,
    )
    return read_claimed(connection, found) if found else []


def preview(
    connection: Connection, notice: str, now: datetime, *, settings: PolicySettings
) -> ClaimedNotice | None:
    """Return what a waiting notice would tell if it went now; None: nothing.

    Takes its slots to see them: the transaction is to be rolled back.
    """
    row = connection.execute(
        select(notices).where(is_waiting).where(notices.c.notice == notice)
    ).one_or_none()
    if row is None or not take_slots(connection, [row], now, settings):
        return None
    claimed = connection.execute(
        update(notices)
        .where(notices.c.notice == notice)
        .values(claim=notice, message_id=notice, claimed_at=now)
        .returning(*notices.c)
    ).one()
    return read_claimed(connection, [claimed])[0]


def start_data(connection: Connection, claims: Sequence[tuple[str, str]]) -> list[bool]:
    """Commit that DATA is about to be sent for notices, each named with its mark.

    False: that claim is lost, nothing may be sent.
    """
    if not claims:
        return []
    named = [notice for notice, _ in claims]
    started = connection.execute(_START, {"named": named, "claims": claims})
    # By its mark too: the same notice may be here twice, once by a claim that is lost.
    found = {(row.notice, row.claim) for row in started}
    return [claim in found for claim in claims]


def defer(connection: Connection, notice: str, mark: str, next_at: datetime, detail: str) -> bool:
    """Keep the notice claimed, slots and all, and try again at `next_at`; False: claim lost."""
    return bool(
        connection.execute(
            update(notices)
            .where(notices.c.notice == notice)
            .where(notices.c.claim == mark)
            .where(is_under_way)
            .values(
                state=NoticeState.CLAIMED.value,
                claimed_until=next_at,
                detail=detail,
            )
        ).rowcount
    )


def give_back(
    connection: Connection, claims: Sequence[tuple[str, str]], next_at: datetime, detail: str
) -> None:
    """Leave claimed notices that were not tried to whoever claims at `next_at` or later."""
    for notice, mark in claims:
        connection.execute(
            update(notices)
            .where(notices.c.notice == notice)
            .where(notices.c.claim == mark)
            .where(notices.c.state == NoticeState.CLAIMED.value)
            .values(claimed_until=next_at, attempts=notices.c.attempts - 1, detail=detail)
        )


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
    lost = and_(
        is_under_way,
        notices.c.state == NoticeState.DATA_STARTED.value,
        notices.c.claimed_until <= now,
    )
    found = _lock_notices(connection, lost)
    if not found:
        return []
    ended = _end(
        connection,
        _build_end(and_(lost, notices.c.notice.in_(found))),
        NoticeState.OUTCOME_UNKNOWN,
        "the daemon stopped between DATA and the reply",
        now,
    )
    return _settle_cases(connection, ended, settings=settings, new_id=new_id)


def settle_silent(
    connection: Connection, now: datetime, *, settings: PolicySettings, new_id: NewId
) -> list[Settled]:
    """End as failed every notice that waits for another attempt, its author silent by now."""
    silent = and_(
        is_under_way,
        notices.c.state == NoticeState.CLAIMED.value,
        notices.c.claimed_until <= now,
        is_silent(),
    )
    found = _lock_notices(connection, silent)
    if not found:
        return []
    ended = _end(
        connection,
        _build_end(and_(silent, notices.c.notice.in_(found))),
        NoticeState.FAILED,
        "not tried again: the author cannot be reached or wants no notices",
        now,
    )
    return _settle_cases(connection, ended, settings=settings, new_id=new_id)


def expire_claims(connection: Connection, now: datetime) -> int:
    """End the claims of a daemon that is gone; for a database with one daemon only.

    A notice that waits for its next attempt keeps its time: `attempts` tells it was tried.
    """
    return connection.execute(
        update(notices)
        .where(is_under_way)
        .where(notices.c.claimed_until > now)
        .where(notices.c.detail.is_(None) | (notices.c.state == NoticeState.DATA_STARTED.value))
        .values(claimed_until=now)
    ).rowcount


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
    return {row.case for row in freed if row.state == CaseState.EXHAUSTED.value}


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
