"""Which addresses of an author work: mail to them was registered, and nobody reported a failure.

Nobody tells that a mail arrived, so the silence after it has to do; what fails later is the newer
word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, or_, select, update

from bounced.ledger.records import clean_text
from bounced.ledger.schema import (
    cases,
    failures,
    is_unlearned,
    reached,
    reports,
    send_recipients,
    sends,
    strikes,
)
from bounced.ledger.tally import upsert
from bounced.model import Action, Category, Kind, recipient_key, split_address

LEARN_AFTER = timedelta(days=6)
"""A relay tries for five days, as a rule, before it reports that a host never answered."""
MOST_ADDRESSES = 5_000
"""Of one author, the newest; so that reading them takes no time to speak of."""
MOST_DOMAINS = 2_000
"""Of the installation, those with most addresses."""
SITE_ADDRESSES = 3
"""Addresses at a domain from which on the whole installation trusts that it is no typing error."""

_BOUNCES = (Kind.DELIVERY_STATUS.value, Kind.FREEFORM.value, Kind.UNRECOGNIZED.value)
"""What may tell of a failure; whoever sends anything else has got the mail."""

Found = dict[tuple[str, str], datetime]
"""(author, recipient_key) → when the newest mail was registered that arrived."""


def learn(connection: Connection, now: datetime, limit: int) -> int:
    """Take in whom the oldest `limit` sends reached that have had time to fail; return how many.

    Parallel nodes pass over each other's sends.
    """
    ready = connection.execute(
        select(sends.c.send, sends.c.author, sends.c.registered_at)
        .where(is_unlearned)
        .where(sends.c.registered_at <= now - LEARN_AFTER)
        .order_by(sends.c.registered_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not ready:
        return 0
    _write(connection, _drop_failed(connection, _find_silent(connection, ready)))
    connection.execute(
        update(sends).where(sends.c.send.in_([row.send for row in ready])).values(learned=True)
    )
    return len(ready)


def mark(connection: Connection, author: str, recipient: str, at: datetime) -> None:
    """Write down that mail of an author arrived which was sent at `at`."""
    _write(connection, {(_find_key(author), _find_key(recipient)): at})


def read_known(connection: Connection, author: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the domains that an author has reached, and his addresses that work."""
    rows = connection.execute(
        select(reached.c.domain, reached.c.recipient_key)
        .where(reached.c.author == author)
        .where(_still_works())
        .order_by(reached.c.reached_at.desc(), reached.c.recipient_key)
        .limit(MOST_ADDRESSES)
    ).all()
    return (
        frozenset(row.domain for row in rows),
        frozenset(row.recipient_key for row in rows),
    )


def read_site_domains(connection: Connection) -> frozenset[str]:
    """Return the domains at which several addresses work, whoever wrote to them."""
    addresses = func.count(reached.c.recipient_key.distinct())
    return frozenset(
        connection.execute(
            select(reached.c.domain)
            .where(_still_works())
            .group_by(reached.c.domain)
            .having(addresses >= SITE_ADDRESSES)
            .order_by(addresses.desc(), reached.c.domain)
            .limit(MOST_DOMAINS)
        ).scalars()
    )


def _find_silent(connection: Connection, ready: Sequence[Row[*tuple[Any, ...]]]) -> Found:
    """Return those recipients of sends of whom no report speaks."""
    by_send: dict[str, set[str]] = {row.send: set() for row in ready}
    for row in connection.execute(
        select(send_recipients.c.send, send_recipients.c.recipient_key).where(
            send_recipients.c.send.in_(by_send)
        )
    ):
        by_send[row.send].add(row.recipient_key)
    for send, said in _read_reported(connection, by_send):
        # A report that names none of them may speak of any.
        by_send[send] -= said if by_send[send] & said else by_send[send]
    return {
        (_find_key(row.author), key): row.registered_at
        for row in ready  # oldest first: the newest stays
        for key in by_send[row.send]
        if split_address(key)[1]
    }


def _read_reported(connection: Connection, ids: Iterable[str]) -> list[tuple[str, set[str]]]:
    """Return the failures that were reported of sends: the send, every name of the recipient."""
    rows = connection.execute(
        select(
            reports.c.token_id,
            failures.c.recipient,
            failures.c.original_recipient,
            failures.c.final_recipient,
        )
        .outerjoin(failures, failures.c.report == reports.c.report)
        .where(reports.c.token_id.in_(list(ids)))
        .where(or_(reports.c.kind.is_(None), reports.c.kind.in_(_BOUNCES)))
        .where(or_(failures.c.action.is_(None), failures.c.action == Action.FAILED.value))
    ).all()
    return [(row[0], {_find_key(name) for name in row[1:] if name}) for row in rows]


def _drop_failed(connection: Connection, found: Found) -> Found:
    """Leave out who has failed since, in whatever send."""
    failed = connection.execute(
        select(strikes.c.author, strikes.c.recipient_key, func.max(strikes.c.failed_at))
        .where(strikes.c.author.in_({author for author, _ in found}))
        .where(strikes.c.recipient_key.in_({key for _, key in found}))
        .where(strikes.c.withdrawn.is_(False))
        .group_by(strikes.c.author, strikes.c.recipient_key)
    )
    failed_at = {(author, key): at for author, key, at in failed}
    return {
        name: at for name, at in found.items() if name not in failed_at or failed_at[name] < at
    }


def _write(connection: Connection, found: Found) -> None:
    if not found:
        return
    statement = upsert(connection, reached)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["author", "recipient_key"],
            set_={"reached_at": statement.excluded.reached_at},
            where=statement.excluded.reached_at > reached.c.reached_at,
        ),
        [
            {
                "author": author,
                "recipient_key": key,
                "domain": split_address(key)[1],
                "reached_at": found[author, key],
            }
            for author, key in sorted(found)  # in one order for all, so that nobody deadlocks
        ],
    )


def _still_works() -> ColumnElement[bool]:
    """Return what picks reached addresses that have not turned out to be wrong since."""
    return ~exists().where(
        cases.c.author == reached.c.author,
        cases.c.subject == reached.c.recipient_key,
        cases.c.category == Category.BAD_ADDRESS.value,
        cases.c.last_strike_at > reached.c.reached_at,
    )


def _find_key(address: str) -> str:
    """Return the form in which cases name an address, recipient's or author's."""
    return recipient_key(clean_text(address))
