"""How a notice is claimed: a slot of each of its cases is taken by one guarded statement.

The guard (fewer notices than the most, none on its way, the last one long enough ago) and the
keys of `slots` hold DESIGN §5.3 whatever else goes wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from bounced.ledger import policy
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import CaseState, NoticeState
from bounced.ledger.schema import cases, is_under_way, is_waiting, notices, slots, strikes
from bounced.ledger.strikes import NewId, lock_authors, open_digests
from bounced.ledger.tally import find_untold, recount
from bounced.model import Category


def claim_again(
    connection: Connection, now: datetime, lease: timedelta, mark: str
) -> Row[Any] | None:
    """Take a claimed notice whose time has come: deferred, or left by a daemon that is gone."""
    ready = and_(
        is_under_way,
        notices.c.state == NoticeState.CLAIMED.value,
        notices.c.claimed_until <= now,
    )
    chosen = (
        select(notices.c.notice)
        .where(ready)
        .order_by(notices.c.claimed_until)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(
        update(notices)
        .where(notices.c.notice == chosen.scalar_subquery())
        .where(ready)
        .values(
            claim=mark,
            claimed_until=now + lease,
            attempts=notices.c.attempts + 1,
            attempted_at=now,
            detail=None,
        )
        .returning(*notices.c)
    ).one_or_none()


def claim_due(
    connection: Connection,
    now: datetime,
    lease: timedelta,
    *,
    settings: PolicySettings,
    domain: str,
    new_id: NewId,
) -> Row[Any] | None:
    """Take the digest that is due first, with a slot of every case that may be told of."""
    while True:
        due = _lock_due(connection, now)
        if due is None:
            return None
        if not _take_slots(connection, due, now, settings):
            _put_off(connection, due, now, settings, new_id)
            continue
        claimed = connection.execute(
            update(notices)
            .where(notices.c.notice == due.notice)
            .values(
                state=NoticeState.CLAIMED.value,
                claim=new_id(),
                claimed_at=now,
                claimed_until=now + lease,
                attempts=1,
                attempted_at=now,
                message_id=f"{due.notice}@{domain}",
            )
            .returning(*notices.c)
        ).one()
        open_digests(connection, {due.author}, now, new_id)
        return claimed


def _lock_due(connection: Connection, now: datetime) -> Row[Any] | None:
    """Return the digest that is due first, its author locked and it still there to be taken."""
    is_open = notices.c.state == NoticeState.OPEN.value
    due = and_(is_waiting, is_open, notices.c.due_at <= now)
    first = select(notices).where(due).order_by(notices.c.due_at, notices.c.notice).limit(1)
    while (found := connection.execute(first).one_or_none()) is not None:
        lock_authors(connection, [found.author])
        ours = connection.execute(
            select(notices).where(due).where(notices.c.notice == found.notice).with_for_update()
        ).one_or_none()
        if ours is not None:
            return ours
    return None


def _take_slots(
    connection: Connection, notice: Row[Any], now: datetime, settings: PolicySettings
) -> int:
    """Take a slot of every case of the author that its interval does not hold back."""
    waiting = connection.execute(
        select(cases.c.case, cases.c.category)
        .where(cases.c.author == notice.author)
        .where(cases.c.due_at.is_not(None))
        .order_by(cases.c.case)
    ).all()
    taken = 0
    for case, category in waiting:
        interval = policy.find_interval(Category(category), settings)
        slot = connection.execute(
            update(cases)
            .where(cases.c.case == case)
            .where(cases.c.state == CaseState.OPEN.value)
            .where(cases.c.notices < settings.max_notices)
            .where(cases.c.unsettled_notice.is_(None))
            .where(or_(cases.c.last_notice_at.is_(None), cases.c.last_notice_at <= now - interval))
            .values(notices=cases.c.notices + 1, unsettled_notice=notice.notice, due_at=None)
            .returning(*cases.c)
        ).one_or_none()
        if slot is None:
            continue
        taken += 1
        connection.execute(
            insert(slots).values(
                author=slot.author,
                subject=slot.subject,
                round=slot.round,
                number=slot.notices,
                case=case,
                notice=notice.notice,
                category=slot.category,
                reason=slot.reason,
                max_notices=settings.max_notices,
                strikes=slot.strikes,
            )
        )
        connection.execute(update(strikes).where(find_untold(slot)).values(notice=notice.notice))
    return taken


def _put_off(
    connection: Connection,
    notice: Row[Any],
    now: datetime,
    settings: PolicySettings,
    new_id: NewId,
) -> None:
    """Move a due digest, none of whose cases can be told of now, to when one can."""
    rows = connection.execute(
        select(cases.c.case)
        .where(cases.c.author == notice.author)
        .where(cases.c.due_at.is_not(None))
        .where(cases.c.unsettled_notice.is_(None))
    ).scalars()
    for case in rows.all():
        recount(connection, case, settings)
    open_digests(connection, {notice.author}, now, new_id)
