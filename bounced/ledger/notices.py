"""Notices, step by step: held, released, claimed with a fencing mark, put off.

A notice is open → claimed (slots taken) → data_started → sent, failed or outcome_unknown
(DESIGN §5.3). Every step after the claim names its mark, so that a node which lost its claim
can do nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    tuple_,
    update,
)

from bounced.ledger.claims import claim_again, claim_due, is_silent, take_slots
from bounced.ledger.entries import read_claimed
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import ClaimedNotice, HeldWhy, NoticeState
from bounced.ledger.schema import (
    authors,
    is_under_way,
    is_waiting,
    notices,
)
from bounced.ledger.strikes import NewId

# What runs for each group of mails is built once: building takes as long as running.
_START = (
    update(notices)
    .where(notices.c.notice.in_(bindparam("named", expanding=True)))
    .where(tuple_(notices.c.notice, notices.c.claim).in_(bindparam("claims", expanding=True)))
    .where(notices.c.state == NoticeState.CLAIMED.value)
    .where(~is_silent())
    .values(state=NoticeState.DATA_STARTED.value)
    .returning(notices.c.notice, notices.c.claim)
)


@dataclass(frozen=True, slots=True)
class Held:
    """A digest that was due and is kept back."""

    notice: str
    author: str
    why: HeldWhy


def hold_due(connection: Connection, now: datetime, *, everyone: bool) -> list[Held]:
    """Keep back the due digests of silent authors and, where `everyone`, all but released ones.

    A digest that is held collects what happens, as an open one does.
    """
    _let_go(connection)
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

    False: that claim is lost, or the author has become silent; nothing may be sent.
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


def _let_go(connection: Connection) -> None:
    """Open again what is held for a silence that is over.

    Whoever ended it could not see a digest that was being held at that moment.
    """
    connection.execute(
        update(notices)
        .where(is_waiting, notices.c.state == NoticeState.HELD.value)
        .where(notices.c.why.in_([HeldWhy.DECLINED.value, HeldWhy.UNREACHABLE.value]))
        .where(~is_silent())
        .values(state=NoticeState.OPEN.value, why=None)
    )
