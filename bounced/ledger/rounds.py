"""Rounds: what gives a case its three notices anew, and what ends it.

The rehearsal (notices to a Maildir) is round 0; the first start with a relay opens round 1.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update
from sqlalchemy import case as choose

from bounced.diagnosis import Diagnosis, write_diagnosis
from bounced.ledger.outbox import NewEvent, publish
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import DNS_PASSED, CaseState, NoticeState
from bounced.ledger.schema import cases, is_under_way, notices, slots, strikes
from bounced.ledger.strikes import NewId, lock_authors, open_digests
from bounced.ledger.tally import FRESH, find_untold, recount
from bounced.logs import Event
from bounced.model import Category


def leave_rehearsal(
    connection: Connection, now: datetime, *, settings: PolicySettings, new_id: NewId
) -> int:
    """Open round 1 for every case of the rehearsal (round 0); return how many.

    Strikes that no notice told of go along; the others stay with their round.
    """
    rehearsed = select(cases.c.case, cases.c.author).where(cases.c.round == 0)
    authors = {row.author for row in connection.execute(rehearsed)}
    lock_authors(connection, authors)
    _end_rehearsed_notices(connection, now)
    rows = connection.execute(rehearsed.where(cases.c.author.in_(authors))).all()
    for row in rows:
        connection.execute(
            update(strikes)
            .where(strikes.c.case == row.case)
            .where(strikes.c.notice.is_(None))
            .values(round=1)
        )
        # What was rehearsed reached nobody: no interval runs from it.
        connection.execute(
            update(cases)
            .where(cases.c.case == row.case)
            .values(round=1, last_notice_at=None, **FRESH)
        )
        recount(connection, row.case, settings)
    open_digests(connection, authors, now, new_id)
    return len(rows)


def reset(
    connection: Connection,
    case: str,
    now: datetime,
    *,
    why: str,
    settings: PolicySettings,
    new_id: NewId,
) -> Row[Any] | None:
    """Open a case's next round; None: no such case, or a notice of it is on its way.

    Strikes that were still to be told of go along. `why` is that of `case_reset`.
    """
    _lock_author_of(connection, case)
    before = connection.execute(select(cases).where(cases.c.case == case)).one_or_none()
    row = connection.execute(
        update(cases)
        .where(cases.c.case == case)
        .where(cases.c.unsettled_notice.is_(None))
        .values(round=cases.c.round + 1, reset_at=now, **FRESH)
        .returning(cases.c.case, cases.c.author, cases.c.subject, cases.c.round)
    ).one_or_none()
    if row is not None and before is not None:
        # Of one that is used up or closed nothing more was to be told.
        if before.state == CaseState.OPEN.value:
            connection.execute(update(strikes).where(find_untold(before)).values(round=row.round))
        recount(connection, case, settings)
        open_digests(connection, {row.author}, now, new_id)
        told = NewEvent(Event.CASE_RESET, {**row._mapping, "why": why})  # noqa: SLF001 - public in SQLAlchemy
        publish(connection, [told], now)
    return row


def close(
    connection: Connection,
    case: str,
    now: datetime,
    *,
    why: str,
    corrected_to: str | None = None,
    new_id: NewId,
) -> Row[Any] | None:
    """Close a case: the address is corrected; it keeps its count. None: no such case.

    `why` is that of `case_closed`; both it and the new address stay when the case is used again.
    """
    _lock_author_of(connection, case)
    row = connection.execute(
        update(cases)
        .where(cases.c.case == case)
        .values(
            state=CaseState.CLOSED.value,
            closed_at=now,
            closed_why=why,
            corrected_to=corrected_to,
            due_at=None,
        )
        .returning(cases.c.case, cases.c.author, cases.c.subject, cases.c.round)
    ).one_or_none()
    if row is not None:
        open_digests(connection, {row.author}, now, new_id)
        more = {"why": why, "new_recipient": corrected_to}
        told = NewEvent(Event.CASE_CLOSED, {**row._mapping, **more})  # noqa: SLF001 - public in SQLAlchemy
        publish(connection, [told], now)
    return row


def mend(
    connection: Connection,
    case: str,
    now: datetime,
    *,
    last_strike_at: datetime,
    diagnosis: Diagnosis,
    settings: PolicySettings,
    new_id: NewId,
) -> Row[Any] | None:
    """Close a case because DNS shows its sender domain in order, its next round before it.

    Within `quiet_reset` of its last reset it keeps its round and count: DNS that says something
    else every other day would bring notices without end. What was still to be told of is told no
    more. None: a notice of it is on its way, or it is not any more as it was when DNS was asked:
    closed, or with another last strike.
    """
    _lock_author_of(connection, case)
    rested = or_(cases.c.reset_at.is_(None), cases.c.reset_at <= now - settings.quiet_reset)
    row = connection.execute(
        update(cases)
        .where(cases.c.case == case)
        .where(cases.c.state != CaseState.CLOSED.value)
        .where(cases.c.category == Category.AUTH_FAILURE.value)
        .where(cases.c.last_strike_at == last_strike_at)
        .where(cases.c.unsettled_notice.is_(None))
        .values(
            FRESH
            | {
                "round": choose((rested, cases.c.round + 1), else_=cases.c.round),
                "notices": choose((rested, 0), else_=cases.c.notices),
                "reset_at": choose((rested, now), else_=cases.c.reset_at),
                "diagnosis": write_diagnosis(diagnosis),
                "checked_at": now,
                "state": CaseState.CLOSED.value,
                "closed_at": now,
                "closed_why": DNS_PASSED,
            }
        )
        .returning(cases.c.case, cases.c.author, cases.c.subject, cases.c.round)
    ).one_or_none()
    if row is not None:
        recount(connection, case, settings)
        open_digests(connection, {row.author}, now, new_id)
        told = NewEvent(Event.CASE_CLOSED, {**row._mapping, "why": DNS_PASSED})  # noqa: SLF001 - public in SQLAlchemy
        publish(connection, [told], now)
    return row


def _end_rehearsed_notices(connection: Connection, now: datetime) -> None:
    """Let no notice of the rehearsal that is still under way reach the relay."""
    ended = connection.execute(
        update(notices)
        .where(notices.c.notice.in_(select(slots.c.notice).where(slots.c.round == 0)))
        .where(is_under_way)
        .values(
            state=NoticeState.FAILED.value,
            claimed_until=None,
            settled_at=now,
            detail="the rehearsal ended",
        )
        .returning(notices.c.notice)
    ).scalars()
    ids = ended.all()
    connection.execute(
        update(cases)
        .where(cases.c.unsettled_notice.in_(ids))
        .values(unsettled_notice=None, last_notice_at=now)
    )
    # What they would have told of is still to be told.
    connection.execute(update(strikes).where(strikes.c.notice.in_(ids)).values(notice=None))


def _lock_author_of(connection: Connection, case: str) -> None:
    author = connection.execute(select(cases.c.author).where(cases.c.case == case)).scalar()
    if author is not None:
        lock_authors(connection, [author])
