"""How notices are claimed: a slot of each of their cases is taken by one guarded statement.

The guard (fewer notices than the most, none on its way, the last one long enough ago) and the
keys of `slots` hold DESIGN §5.3 whatever else goes wrong. A statement takes the slots of several
notices, each of another author, so that ten thousand cases cost hardly more than ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)

from bounced.ledger import policy
from bounced.ledger.columns import UtcTime
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import CaseState, NoticeState
from bounced.ledger.schema import (
    authors,
    cases,
    is_under_way,
    is_waiting,
    notices,
    slots,
    strikes,
)
from bounced.ledger.strikes import NewId, lock_authors, open_digests
from bounced.ledger.tally import is_untold, recount_all
from bounced.model import Category

DAILY = timedelta(hours=24)
"""What `daily_limit` speaks of."""
LONGEST_WAIT = timedelta(hours=25)
"""Longer than any notice waits claimed: leases, retries, quiet hours."""

_Notices = Sequence[Row[Any]]


def is_silent() -> ColumnElement[bool]:
    """Return what picks the notices of authors who cannot or will not be written to."""
    silent = or_(authors.c.unreachable_at.is_not(None), authors.c.declined_at.is_not(None))
    return exists().where(authors.c.author == notices.c.author, silent).correlate(notices)


def is_ready(now: datetime) -> ColumnElement[bool]:
    """Return what picks the notices under way whose claim has run out.

    A claim that seems longer than any was made by a clock that was ahead.
    """
    until = notices.c.claimed_until
    return and_(is_under_way, or_(until <= now, until > now + LONGEST_WAIT))


def claim_again(
    connection: Connection, now: datetime, lease: timedelta, limit: int, mark: str
) -> _Notices:
    """Take claimed notices whose time has come: deferred, or left by a daemon that is gone.

    The one that was claimed first comes first.
    """
    is_claimed = notices.c.state == NoticeState.CLAIMED.value
    ready = and_(is_ready(now), is_claimed, ~is_silent())
    in_order = (notices.c.claimed_at, notices.c.notice)
    chosen = connection.execute(
        select(notices.c.notice)
        .where(ready)
        .order_by(*in_order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = chosen.scalars().all()
    if not ids:
        return ()
    claimed = connection.execute(
        update(notices)
        .where(notices.c.notice.in_(ids))
        .where(ready)
        .values(
            claim=mark,
            claimed_until=now + lease,
            attempts=notices.c.attempts + 1,
            attempted_at=now,
            detail=None,
        )
        .returning(*notices.c)
    ).all()
    return sorted(claimed, key=lambda row: (row.claimed_at, row.notice))


def claim_due(
    connection: Connection,
    now: datetime,
    lease: timedelta,
    limit: int,
    *,
    settings: PolicySettings,
    released_only: bool,
    domain: str,
    new_id: NewId,
) -> _Notices:
    """Take the digests that are due first, with a slot of every case that may be told of.

    None of an author whose last notice is still under way, or who got as many as he may in a day.
    """
    while due := _lock_due(connection, now, limit, released_only=released_only):
        due = _put_off_limited(connection, due, now, settings)
        claimed = take_slots(connection, due, now, settings)
        _put_off(connection, [row for row in due if row.notice not in claimed], settings)
        rows = connection.execute(
            update(notices)
            .where(notices.c.notice.in_(claimed))
            .values(
                state=NoticeState.CLAIMED.value,
                claim=new_id(),
                claimed_at=now,
                claimed_until=now + lease,
                attempts=1,
                attempted_at=now,
                message_id=notices.c.notice + f"@{domain}",
            )
            .returning(*notices.c)
        ).all()
        open_digests(connection, {row.author for row in due}, now, new_id)
        if rows:
            return sorted(rows, key=lambda row: (row.due_at, row.notice))
    return ()


def take_slots(
    connection: Connection, due: _Notices, now: datetime, settings: PolicySettings
) -> set[str]:
    """Take a slot of every case that its interval does not hold back; return who got any.

    The notices are of different authors, who are locked.
    """
    of_authors = cases.c.author.in_([row.author for row in due])
    ours = cases.c.unsettled_notice.in_([row.notice for row in due])
    taken = connection.execute(
        update(cases)
        .where(of_authors)
        .where(cases.c.author == notices.c.author)
        .where(notices.c.notice.in_([row.notice for row in due]))
        .where(cases.c.due_at.is_not(None))
        .where(cases.c.state == CaseState.OPEN.value)
        .where(cases.c.notices < settings.max_notices)
        .where(cases.c.unsettled_notice.is_(None))
        .where(or_(cases.c.last_notice_at.is_(None), _is_rested(now, settings)))
        .values(notices=cases.c.notices + 1, unsettled_notice=notices.c.notice, due_at=None)
        .returning(cases.c.unsettled_notice)
    ).scalars()
    found = set(taken)
    if found:
        _write_slots(connection, and_(of_authors, ours), settings)
        connection.execute(
            update(strikes)
            .where(of_authors, ours, is_untold())
            .values(notice=cases.c.unsettled_notice)
        )
    return found


def _lock_due(
    connection: Connection, now: datetime, limit: int, *, released_only: bool
) -> _Notices:
    """Return the digests that are due first, their authors locked and they still to be taken."""
    busy = notices.alias()
    due = and_(
        is_waiting,
        notices.c.state == NoticeState.OPEN.value,
        notices.c.due_at <= now,
        notices.c.author.not_in(select(busy.c.author).where(is_under_way)),
        ~is_silent(),
    )
    if released_only:
        due = and_(due, notices.c.released)
    in_order = (notices.c.due_at, notices.c.notice)
    first = select(notices.c.notice, notices.c.author).where(due).order_by(*in_order).limit(limit)
    while found := connection.execute(first).all():
        lock_authors(connection, [row.author for row in found])
        ours = connection.execute(
            select(notices)
            .where(due)
            .where(notices.c.notice.in_([row.notice for row in found]))
            .order_by(*in_order)
            .with_for_update()
        ).all()
        if ours:
            return ours
    return ()


def _put_off_limited(
    connection: Connection, due: _Notices, now: datetime, settings: PolicySettings
) -> _Notices:
    """Put off the digests of authors who got as many notices as they may; return the others.

    A notice counts from its settlement, which is never before its arrival, so that the limit
    holds at the author's mailbox; one that failed reached nobody.
    """
    arrived = (NoticeState.SENT.value, NoticeState.OUTCOME_UNKNOWN.value)
    recent = (
        select(notices.c.author, notices.c.settled_at)
        .where(notices.c.author.in_([row.author for row in due]))
        .where(notices.c.state.in_(arrived))
        .where(notices.c.settled_at > now - DAILY)
        .order_by(notices.c.settled_at.desc())
    )
    settled: dict[str, list[datetime]] = {}
    for author, settled_at in connection.execute(recent):
        settled.setdefault(author, []).append(settled_at)
    limit = settings.daily_limit
    free_at = {
        author: times[limit - 1] + DAILY
        for author, times in settled.items()
        if len(times) >= limit
    }
    for row in due:
        if row.author in free_at:
            put_off = update(notices).where(notices.c.notice == row.notice)
            connection.execute(put_off.values(due_at=free_at[row.author]))
    return [row for row in due if row.author not in free_at]


def _is_rested(now: datetime, settings: PolicySettings) -> ColumnElement[bool]:
    """Return what picks the cases whose last notice lies their interval back."""
    latest = {
        category.value: literal(now - policy.find_interval(category, settings), UtcTime)
        for category in Category
    }
    return cases.c.last_notice_at <= case(latest, value=cases.c.category)


def _write_slots(
    connection: Connection, taken: ColumnElement[bool], settings: PolicySettings
) -> None:
    """Write down what was just taken of the cases, as it stands in them."""
    is_address = cases.c.category == Category.BAD_ADDRESS.value
    # What was asked before the last strike may have been another question.
    is_diagnosed = and_(
        cases.c.category == Category.AUTH_FAILURE.value,
        cases.c.checked_at >= cases.c.last_strike_at,
    )
    values = {
        "author": cases.c.author,
        "subject": cases.c.subject,
        "round": cases.c.round,
        "number": cases.c.notices,
        "case": cases.c.case,
        "notice": cases.c.unsettled_notice,
        "category": cases.c.category,
        "reason": cases.c.reason,
        "max_notices": literal(settings.max_notices),
        "strikes": cases.c.strikes,
        "suggestion": case((is_address, cases.c.suggestion)),
        "diagnosis": case((is_diagnosed, cases.c.diagnosis)),
    }
    connection.execute(
        insert(slots).from_select(list(values), select(*values.values()).where(taken))
    )


def _put_off(connection: Connection, due: _Notices, settings: PolicySettings) -> None:
    """Find anew when the cases of due digests can be told of, where none can be now."""
    if due:
        waiting = and_(
            cases.c.author.in_([row.author for row in due]),
            cases.c.due_at.is_not(None),
            cases.c.unsettled_notice.is_(None),
        )
        recount_all(connection, waiting, settings)
