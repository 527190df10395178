"""What the sending application may ask and say of one address, whichever authors wrote to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from bounced.ledger import reached, rounds, sends
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import CaseState, clean_text
from bounced.ledger.schema import cases, notices
from bounced.ledger.strikes import NewId, lock_authors
from bounced.model import Category, LedgerError, Send, recipient_key

_LOOKED_UP = (
    cases.c.subject,
    cases.c.case,
    cases.c.author,
    cases.c.category,
    cases.c.reason,
    cases.c.state,
    cases.c.strikes,
    cases.c.notices,
    cases.c.last_strike_at,
    cases.c.reset_at,
)
_NOT_CLOSED = cases.c.state.in_([CaseState.OPEN.value, CaseState.EXHAUSTED.value])


class UnknownSendError(LedgerError):
    """Delivery of a send is claimed that is not registered, or names no such recipient."""


class NoticeUnderWayError(LedgerError):
    """A notice of the case is on its way, or waits for its next attempt."""

    def __init__(self, until: datetime) -> None:
        """Name the time before which it is not settled, unless its present attempt does it."""
        super().__init__("a notice of this address is on its way just now")
        self.until = until


@dataclass(frozen=True, slots=True)
class AddressCase:
    """What one author has of an address."""

    case: str
    author: str
    category: Category
    reason: str
    state: CaseState
    strikes: int
    """Those of its present round."""
    notices: int
    last_strike_at: datetime | None
    reset_at: datetime | None
    """When mail was last known to arrive; older strikes are only still to be told of."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one address."""

    recipient: str
    """As asked."""
    known_bad: bool
    """Whether mail to it has failed, by the latest word for good, and nobody has mended it."""
    cases: tuple[AddressCase, ...]
    """The one with the latest strike first."""


@dataclass(frozen=True, slots=True)
class ChangedCase:
    """A case that was closed or begins its next round."""

    case: str
    author: str
    subject: str
    round: int


def look_up(connection: Connection, recipients: Sequence[str]) -> list[Standing]:
    """Say of each address, in order, what fails there; a thousand or so at once."""
    keys = [_find_key(recipient) for recipient in recipients]
    found: dict[str, list[AddressCase]] = {}
    for row in connection.execute(
        select(*_LOOKED_UP)
        .where(cases.c.subject.in_(set(keys)))
        .order_by(cases.c.last_strike_at.desc().nulls_last(), cases.c.case)
    ):
        found.setdefault(row.subject, []).append(_read_case(row))
    return [
        _judge(recipient, found.get(key, ()))
        for recipient, key in zip(recipients, keys, strict=True)
    ]


def correct(
    connection: Connection,
    recipient: str,
    now: datetime,
    *,
    author: str | None,
    new_recipient: str | None = None,
    new_id: NewId,
) -> list[ChangedCase]:
    """Close what is not closed yet of an address, of one author or of all; return it."""
    rows = _lock_cases(connection, recipient, author, _NOT_CLOSED)
    closed = (
        rounds.close(
            connection,
            row.case,
            now,
            why="corrected",
            corrected_to=new_recipient,
            new_id=new_id,
        )
        for row in rows
    )
    return [_read_changed(row) for row in closed if row is not None]


def prove_delivery(
    connection: Connection,
    recipient: str,
    now: datetime,
    *,
    author: str | None,
    send: str | None,
    settings: PolicySettings,
    new_id: NewId,
) -> list[ChangedCase]:
    """Open the next round of an address's cases that have failed or been told of; return them.

    Of one author: `author`, else that of the send; else of all. A case that failed after the
    send was registered stays as it is: the proof is older. Raises UnknownSendError, and
    NoticeUnderWayError before anything is changed.
    """
    proof = _find_send(connection, send, recipient) if send is not None else None
    failed = or_(cases.c.reset_at.is_(None), cases.c.last_strike_at > cases.c.reset_at)
    spent = or_(and_(cases.c.strikes > 0, failed), cases.c.notices > 0)
    if proof is not None:
        author = author if author is not None else proof.author
        before = cases.c.last_strike_at <= proof.registered_at
        spent = and_(spent, or_(cases.c.last_strike_at.is_(None), before))
    rows = _lock_cases(connection, recipient, author, spent)
    on_their_way = {row.unsettled_notice for row in rows} - {None}
    if on_their_way:
        raise NoticeUnderWayError(_find_claimed_until(connection, on_their_way) or now)
    if author is not None:
        reached.mark(connection, author, recipient, proof.registered_at if proof else now)
    begun = (
        rounds.reset(connection, row.case, now, why="delivered", settings=settings, new_id=new_id)
        for row in rows
    )
    return [_read_changed(row) for row in begun if row is not None]


def _lock_cases(
    connection: Connection, recipient: str, author: str | None, chosen: ColumnElement[bool]
) -> Sequence[Row[Any]]:
    """Return the chosen cases of an address, their authors locked, all in one order."""
    of_address = and_(cases.c.subject == _find_key(recipient), chosen)
    if author is not None:
        of_address = and_(of_address, cases.c.author == _find_key(author))
    query = select(cases).where(of_address).order_by(cases.c.author)
    authors = {row.author for row in connection.execute(query)}
    lock_authors(connection, authors)
    return connection.execute(query.where(cases.c.author.in_(authors))).all()


def _find_send(connection: Connection, send: str, recipient: str) -> Send:
    """Return the send whose delivery is claimed; raises UnknownSendError."""
    found = sends.find(connection, [send]).get(send)
    if found is None or _find_key(recipient) not in map(_find_key, found.recipients):
        raise UnknownSendError("no such send to this recipient is registered")
    return found


def _find_claimed_until(connection: Connection, ids: Iterable[str]) -> datetime | None:
    query = select(func.max(notices.c.claimed_until)).where(notices.c.notice.in_(ids))
    return connection.execute(query).scalar()


def _find_key(address: str) -> str:
    """Return the form in which cases name an address, recipient's or author's."""
    return recipient_key(clean_text(address))


def _judge(recipient: str, of_address: Iterable[AddressCase]) -> Standing:
    told = tuple(of_address)
    return Standing(recipient, any(_is_bad(case) for case in told), told)


def _is_bad(case: AddressCase) -> bool:
    if case.category is not Category.BAD_ADDRESS or case.state is CaseState.CLOSED:
        return False
    if case.reset_at is None or case.last_strike_at is None:
        return case.strikes > 0
    return case.last_strike_at > case.reset_at


def _read_case(row: Row[*tuple[Any, ...]]) -> AddressCase:
    return AddressCase(
        case=row.case,
        author=row.author,
        category=Category(row.category),
        reason=row.reason,
        state=CaseState(row.state),
        strikes=row.strikes,
        notices=row.notices,
        last_strike_at=row.last_strike_at,
        reset_at=row.reset_at,
    )


def _read_changed(row: Row[Any]) -> ChangedCase:
    return ChangedCase(row.case, row.author, row.subject, row.round)
