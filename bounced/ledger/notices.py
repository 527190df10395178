"""Notices, step by step: held, claimed with a fencing mark, sent, settled.

A notice is open → claimed (slots taken) → data_started → sent, failed or outcome_unknown
(DESIGN §5.3). Every step after the claim names its mark, so that a node which lost its claim
can do nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, select, update

from bounced.ledger.claims import claim_again, claim_due
from bounced.ledger.entries import read_claimed
from bounced.ledger.outbox import NewEvent, publish
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import CaseState, ClaimedNotice, NoticeState
from bounced.ledger.schema import cases, is_under_way, is_waiting, notices, slots
from bounced.ledger.strikes import NewId, Opened, lock_authors, open_digests
from bounced.ledger.tally import recount
from bounced.logs import Event

SETTLED_EVENTS = {
    NoticeState.SENT: Event.NOTICE_SENT,
    NoticeState.FAILED: Event.NOTICE_FAILED,
    NoticeState.OUTCOME_UNKNOWN: Event.NOTICE_OUTCOME_UNKNOWN,
}


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
    state: NoticeState
    slots: tuple[SlotTaken, ...]
    exhausted: tuple[SlotTaken, ...]
    opened: tuple[Opened, ...]


def hold_due(connection: Connection, now: datetime) -> list[tuple[str, str]]:
    """Keep back every due digest that is not released; return (notice, author)."""
    rows = connection.execute(
        update(notices)
        .where(is_waiting)
        .where(notices.c.state == NoticeState.OPEN.value)
        .where(notices.c.due_at <= now)
        .where(notices.c.released.is_(False))
        .values(state=NoticeState.HELD.value)
        .returning(notices.c.notice, notices.c.author)
    )
    return [(row.notice, row.author) for row in rows]


def release_held(connection: Connection, notice: str | None, now: datetime) -> list[str]:
    """Let a held digest go, or all of them (None); return their ids."""
    held = and_(is_waiting, notices.c.state == NoticeState.HELD.value)
    rows = connection.execute(
        update(notices)
        .where(held if notice is None else and_(held, notices.c.notice == notice))
        .values(state=NoticeState.OPEN.value, released=True, due_at=now)
        .returning(notices.c.notice)
    )
    return [row.notice for row in rows]


def claim(
    connection: Connection,
    now: datetime,
    lease: timedelta,
    *,
    settings: PolicySettings,
    domain: str,
    new_id: NewId,
) -> ClaimedNotice | None:
    """Take the next notice to be tried: one whose claim has run out, else the next due digest.

    `domain` is that of new Message-IDs. None: nothing is due.
    """
    found = claim_again(connection, now, lease, new_id()) or claim_due(
        connection, now, lease, settings=settings, domain=domain, new_id=new_id
    )
    return read_claimed(connection, found) if found else None


def start_data(connection: Connection, notice: str, mark: str) -> bool:
    """Commit that DATA is about to be sent; False: the claim is lost, nothing may be sent."""
    return _step(connection, notice, mark, NoticeState.CLAIMED, NoticeState.DATA_STARTED)


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


def settle(
    connection: Connection,
    notice: str,
    mark: str,
    state: NoticeState,
    *,
    detail: str | None,
    now: datetime,
    settings: PolicySettings,
    new_id: NewId,
) -> Settled | None:
    """End a notice as sent, failed or outcome_unknown; None: it was settled already.

    One that another node called outcome_unknown may still be settled by the node that knows.
    """
    author = connection.execute(
        select(notices.c.author).where(notices.c.notice == notice)
    ).scalar_one()
    lock_authors(connection, [author])
    settled = connection.execute(
        update(notices)
        .where(notices.c.notice == notice)
        .where(notices.c.claim == mark)
        .where(or_(is_under_way, notices.c.state == NoticeState.OUTCOME_UNKNOWN.value))
        .where(notices.c.state != state.value)
        .values(state=state.value, settled_at=now, detail=detail, claimed_until=None)
    ).rowcount
    if not settled:
        return None
    return _settle_cases(
        connection, notice, author, state, now=now, settings=settings, new_id=new_id
    )


def settle_lost(
    connection: Connection, now: datetime, *, settings: PolicySettings, new_id: NewId
) -> list[Settled]:
    """End as outcome_unknown every notice whose daemon was lost after DATA began."""
    lost = and_(
        is_under_way,
        notices.c.state == NoticeState.DATA_STARTED.value,
        notices.c.claimed_until <= now,
    )
    found = connection.execute(
        select(notices.c.notice, notices.c.author).where(lost).order_by(notices.c.author)
    ).all()
    if not found:
        return []
    lock_authors(connection, {row.author for row in found})
    ended = connection.execute(
        update(notices)
        .where(lost)
        .where(notices.c.notice.in_([row.notice for row in found]))
        .values(
            state=NoticeState.OUTCOME_UNKNOWN.value,
            settled_at=now,
            claimed_until=None,
            detail="the daemon stopped between DATA and the reply",
        )
        .returning(notices.c.notice, notices.c.author)
    ).all()
    return [
        _settle_cases(
            connection,
            row.notice,
            row.author,
            NoticeState.OUTCOME_UNKNOWN,
            now=now,
            settings=settings,
            new_id=new_id,
        )
        for row in sorted(ended)
    ]


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


def _step(
    connection: Connection, notice: str, mark: str, old: NoticeState, new: NoticeState
) -> bool:
    return bool(
        connection.execute(
            update(notices)
            .where(notices.c.notice == notice)
            .where(notices.c.claim == mark)
            .where(notices.c.state == old.value)
            .values(state=new.value)
        ).rowcount
    )


def _settle_cases(
    connection: Connection,
    notice: str,
    author: str,
    state: NoticeState,
    *,
    now: datetime,
    settings: PolicySettings,
    new_id: NewId,
) -> Settled:
    """Free the cases of a settled notice; the interval runs from now on."""
    taken = read_slots(connection, notice)
    exhausted = []
    for slot in taken:
        before = connection.execute(
            select(cases.c.state).where(cases.c.case == slot.case)
        ).scalar()
        connection.execute(
            update(cases)
            .where(cases.c.case == slot.case)
            .where(or_(cases.c.unsettled_notice == notice, cases.c.unsettled_notice.is_(None)))
            .values(unsettled_notice=None, last_notice_at=now)
        )
        recount(connection, slot.case, settings)
        after = connection.execute(select(cases.c.state).where(cases.c.case == slot.case)).scalar()
        if after == CaseState.EXHAUSTED.value != before:
            exhausted.append(slot)
    opened = open_digests(connection, {author}, now, new_id)
    settled = Settled(notice, author, state, taken, tuple(exhausted), tuple(opened))
    publish(connection, _tell(settled), now)
    return settled


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


def read_slots(connection: Connection, notice: str) -> tuple[SlotTaken, ...]:
    """Return what a notice spends, in the order in which it lists its cases."""
    rows = connection.execute(
        select(slots.c.case, slots.c.subject, slots.c.number)
        .where(slots.c.notice == notice)
        .order_by(slots.c.category, slots.c.subject)
    )
    return tuple(SlotTaken(row.case, row.subject, row.number) for row in rows)
