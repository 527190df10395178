"""Which cases may be typing errors that nobody has looked into yet, and what was found of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from bounced.ledger.schema import cases, is_unadvised, strikes
from bounced.model import Reason


@dataclass(frozen=True, slots=True)
class UnadvisedCase:
    """A wrong address that its author will hear of, not looked into since its last strike."""

    case: str
    author: str
    subject: str
    recipient: str
    """As he was written to last: `subject` has lost a dot at the end, a blank, half a bracket."""
    reason: Reason
    last_strike_at: datetime


def find_unadvised(
    connection: Connection, limit: int, *, without: Collection[str] = ()
) -> list[UnadvisedCase]:
    """Return the cases to be looked into, the one that is due first in front."""
    newest = (
        select(strikes.c.recipient)
        .where(strikes.c.case == cases.c.case)
        .where(strikes.c.withdrawn.is_(False))
        .order_by(strikes.c.failed_at.desc(), strikes.c.recipient_key, strikes.c.send_key)
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(
            cases.c.case,
            cases.c.author,
            cases.c.subject,
            func.coalesce(newest, cases.c.subject).label("recipient"),
            cases.c.reason,
            cases.c.last_strike_at,
        )
        .where(is_unadvised)
        .where(cases.c.case.not_in(list(without)))
        .order_by(cases.c.due_at, cases.c.case)
        .limit(limit)
    )
    return [
        UnadvisedCase(
            row.case,
            row.author,
            row.subject,
            row.recipient,
            Reason(row.reason),
            row.last_strike_at,
        )
        for row in rows
    ]


def has_failed(connection: Connection, case: str, address: str) -> bool:
    """Tell whether an address of a case failed just as it is written here, but for its case."""
    failed = (
        select(strikes.c.case)
        .where(strikes.c.case == case)
        .where(strikes.c.withdrawn.is_(False))
        .where(func.lower(strikes.c.recipient) == func.lower(address))
    )
    return connection.execute(failed.limit(1)).first() is not None


def store(
    connection: Connection, looked_at: UnadvisedCase, suggestion: str | None, now: datetime
) -> bool:
    """Write down what was found of a case, None for nothing; False: it has changed meanwhile.

    Then it is still, or no longer, to be looked into.
    """
    return bool(
        connection.execute(
            update(cases)
            .where(cases.c.case == looked_at.case)
            .where(is_unadvised)
            .where(cases.c.last_strike_at == looked_at.last_strike_at)
            .values(suggestion=suggestion, advised_at=now)
        ).rowcount
    )
