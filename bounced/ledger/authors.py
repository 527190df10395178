"""What authors say behind the links of a notice, and who of them is not mailed, and why.

An author is silent whose notice bounced (unreachable) or who wants no notices (declined). His
strikes count on; his digests are held once they are due, until he or an operator ends it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from bounced.diagnosis import Diagnosis, read_diagnosis
from bounced.ledger import rounds, webhooks
from bounced.ledger.addresses import ChangedCase
from bounced.ledger.entries import find_language, read_entry
from bounced.ledger.outbox import NewEvent, publish
from bounced.ledger.records import CaseState, Entry, HeldWhy, NoticeState
from bounced.ledger.schema import authors, cases, is_waiting, notices
from bounced.ledger.strikes import NewId, lock_authors
from bounced.ledger.tally import upsert
from bounced.logs import Event
from bounced.model import Category


class AuthorAction(StrEnum):
    """What an author can do behind a link; also the `why` of a case that it closes."""

    CORRECTED = "corrected"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class PageCase:
    """A case as its page shows it: what the notice said, and what became of it since."""

    entry: Entry
    """`suggestion` may have been found after the notice went out."""
    state: CaseState
    closed_why: str | None
    """How it was closed last; of interest where `state` is closed."""
    corrected_to: str | None
    """The new address, where somebody named it."""
    closed_at: datetime | None = None
    diagnosis: Diagnosis | None = None
    """What DNS said of the sender domain last; None: nobody has asked."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the page behind a link shows."""

    notice: str
    author: str
    language: str | None
    """That of the notice; None: the configured default."""
    declined: bool
    """Whether the author wants no notices."""
    case: PageCase | None
    """None: the link leads to the author's settings."""


@dataclass(frozen=True, slots=True)
class SilentAuthor:
    """An author who is not mailed."""

    author: str
    unreachable_at: datetime | None
    unreachable_notice: str | None
    """The notice that bounced."""
    declined_at: datetime | None

    @property
    def why(self) -> HeldWhy:
        """Return why his digests are held; his own word comes first."""
        return HeldWhy.DECLINED if self.declined_at is not None else HeldWhy.UNREACHABLE


def read_page(connection: Connection, notice: str, case: str | None) -> PageFacts | None:
    """Return what the page of a notice's case shows, or of its author's settings (None).

    None: no such notice was ever claimed, or it does not list that case.
    """
    author = connection.execute(
        select(notices.c.author)
        .where(notices.c.notice == notice)
        .where(notices.c.claim.is_not(None))
    ).scalar_one_or_none()
    if author is None:
        return None
    entry = read_entry(connection, notice, case) if case is not None else None
    if case is not None and entry is None:
        return None
    silent = _find_silent(connection, author)
    return PageFacts(
        notice,
        author,
        find_language(connection, notice),
        declined=silent is not None and silent.declined_at is not None,
        case=_read_case(connection, entry) if entry is not None else None,
    )


def correct_case(
    connection: Connection,
    case: str,
    new_recipient: str,
    now: datetime,
    *,
    webhook: bool,
    new_id: NewId,
) -> ChangedCase | None:
    """Close a case whose author names another address; None: no such case, or closed already."""
    return _close(
        connection,
        case,
        now,
        AuthorAction.CORRECTED,
        new_recipient,
        webhook=webhook,
        new_id=new_id,
    )


def confirm_case(
    connection: Connection, case: str, now: datetime, *, webhook: bool, new_id: NewId
) -> ChangedCase | None:
    """Close a case whose author stands by the address; None: no such case, or closed already.

    It keeps its count and goes on where it stood when the address fails again.
    """
    return _close(
        connection, case, now, AuthorAction.CONFIRMED, None, webhook=webhook, new_id=new_id
    )


def decline(
    connection: Connection, author: str, now: datetime, *, webhook: bool, new_id: NewId
) -> bool:
    """Send an author no more notices because he wants none; False: he has said so before."""
    lock_authors(connection, [author])
    said = connection.execute(
        upsert(connection, authors)
        .values(author=author, declined_at=now)
        .on_conflict_do_update(
            index_elements=[authors.c.author],
            set_={"declined_at": now},
            where=authors.c.declined_at.is_(None),
        )
        .returning(authors.c.author)
    ).all()
    if said:
        body = {"author": author, "action": AuthorAction.DECLINED.value}
        _tell_act(connection, body, now, webhook=webhook, new_id=new_id)
        told = NewEvent(Event.AUTHOR_SILENCED, {"author": author, "why": HeldWhy.DECLINED.value})
        publish(connection, [told], now)
    return bool(said)


def resume(
    connection: Connection, author: str, now: datetime, *, webhook: bool, new_id: NewId
) -> bool:
    """Let an author have notices again who declined them; False: he did not.

    What is held for that waits for the next beat; one who is also unreachable stays silent.
    """
    lock_authors(connection, [author])
    taken_back = connection.execute(
        update(authors)
        .where(authors.c.author == author)
        .where(authors.c.declined_at.is_not(None))
        .values(declined_at=None)
    ).rowcount
    if taken_back:
        _open_held(connection, author, [HeldWhy.DECLINED])
        body = {"author": author, "action": AuthorAction.RESUMED.value}
        _tell_act(connection, body, now, webhook=webhook, new_id=new_id)
        publish(
            connection, [NewEvent(Event.AUTHOR_RESET, {"author": author, "why": "author"})], now
        )
    return bool(taken_back)


def list_silent(connection: Connection, *, author: str | None = None) -> list[SilentAuthor]:
    """Return the authors who are not mailed, by address."""
    query = select(authors).where(
        or_(authors.c.unreachable_at.is_not(None), authors.c.declined_at.is_not(None))
    )
    if author is not None:
        query = query.where(authors.c.author == author)
    return [_read_silent(row) for row in connection.execute(query.order_by(authors.c.author))]


def reset_author(connection: Connection, author: str, now: datetime) -> bool:
    """Mail an author again, whyever he was silent; False: he was not.

    What is held for that waits for the next beat.
    """
    lock_authors(connection, [author])
    if _find_silent(connection, author) is None:
        return False
    # The notice that bounced stays known: its second bounce is no news.
    connection.execute(
        update(authors)
        .where(authors.c.author == author)
        .values(unreachable_at=None, declined_at=None)
    )
    _open_held(connection, author, [HeldWhy.UNREACHABLE, HeldWhy.DECLINED])
    told = NewEvent(Event.AUTHOR_RESET, {"author": author, "why": "operator"})
    publish(connection, [told], now)
    return True


def _read_case(connection: Connection, entry: Entry) -> PageCase:
    row = connection.execute(select(cases).where(cases.c.case == entry.case)).one()
    if any(strike.forwarded for strike in entry.strikes):
        entry = replace(entry, suggestion=None)
    elif entry.category is Category.BAD_ADDRESS:
        meant = entry.suggestion or row.suggestion
        # A later slip at the edge of this very address may have brought it in.
        is_same = meant is not None and meant.lower() == entry.recipient.lower()
        entry = replace(entry, suggestion=None if is_same else meant)
    return PageCase(
        entry,
        CaseState(row.state),
        row.closed_why,
        row.corrected_to,
        row.closed_at,
        read_diagnosis(row.diagnosis) if row.diagnosis else None,
    )


def _close(
    connection: Connection,
    case: str,
    now: datetime,
    action: AuthorAction,
    new_recipient: str | None,
    *,
    webhook: bool,
    new_id: NewId,
) -> ChangedCase | None:
    query = select(cases).where(cases.c.case == case)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    lock_authors(connection, [found.author])
    row = connection.execute(query).one_or_none()
    if row is None or row.state == CaseState.CLOSED.value:
        return None
    about = "sender_domain" if row.category == Category.AUTH_FAILURE.value else "recipient"
    body = {
        "author": row.author,
        "action": action.value,
        "case": case,
        about: row.subject,
        "new_recipient": new_recipient,
        "category": row.category,
        "reason": row.reason,
    }
    _tell_act(connection, body, now, webhook=webhook, new_id=new_id)
    rounds.close(
        connection, case, now, why=action.value, corrected_to=new_recipient, new_id=new_id
    )
    return ChangedCase(case, row.author, row.subject, row.round)


def _tell_act(
    connection: Connection, body: dict[str, Any], now: datetime, *, webhook: bool, new_id: NewId
) -> None:
    """Tell the application in both ways, in the transaction of the act."""
    told = NewEvent(Event.AUTHOR_ACTED, body)
    publish(connection, [told], now)
    if webhook:
        webhooks.queue(connection, told, now, new_id)


def _open_held(connection: Connection, author: str, whys: Collection[HeldWhy]) -> None:
    """Let an author's digest wait again that is held for these reasons."""
    held = and_(is_waiting, notices.c.state == NoticeState.HELD.value)
    connection.execute(
        update(notices)
        .where(held)
        .where(notices.c.author == author)
        .where(notices.c.why.in_([why.value for why in whys]))
        .values(state=NoticeState.OPEN.value, why=None)
    )


def _find_silent(connection: Connection, author: str) -> SilentAuthor | None:
    return next(iter(list_silent(connection, author=author)), None)


def _read_silent(row: Row[Any]) -> SilentAuthor:
    unreachable = row.unreachable_at is not None
    return SilentAuthor(
        row.author,
        row.unreachable_at,
        row.unreachable_notice if unreachable else None,
        row.declined_at,
    )
