"""Registered sends: who wrote which protocol to whom (DESIGN §6, way B)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Insert, insert, select, update

from bounced.ledger.records import clean_text
from bounced.ledger.schema import send_recipients, sends
from bounced.ledger.tally import upsert
from bounced.model import LedgerError, Send, recipient_key


class KeyTakenError(LedgerError):
    """Keys that stand for sends of which something else was said."""

    def __init__(self, positions: tuple[int, ...]) -> None:
        """Name the places, from 0, in what was asked."""
        super().__init__("keys of other sends")
        self.positions = positions


@dataclass(frozen=True, slots=True)
class KeyedSend:
    """A send under the application's own key, with the return path that was answered."""

    key: str
    digest: str
    """SHA-256, hex, of all that the application said of the send."""
    send: Send
    return_path: str


def register(connection: Connection, send: Send) -> None:
    """Write one send with its recipients, one at least; who is named twice counts once."""
    connection.execute(insert(sends).values(_describe(send)))
    _write_recipients(connection, [send])


def register_all(connection: Connection, asked: Sequence[KeyedSend]) -> list[KeyedSend]:
    """Write sends, all or none; return in order what each key stands for from now on.

    That is an earlier send, with its id and return path, where the same was said of it before.
    Raises KeyTakenError where something else was.
    """
    if not asked:
        return []
    # In one order for all, so that nobody deadlocks; of two with one key the first is written.
    new = {clean_text(item.key): item for item in reversed(asked)}
    connection.execute(_insert_new(connection), [_describe_keyed(new[key]) for key in sorted(new)])
    stored = {
        row.key: row for row in connection.execute(select(sends).where(sends.c.key.in_(new)))
    }
    taken = tuple(
        position
        for position, item in enumerate(asked)
        if stored[clean_text(item.key)].digest != item.digest
    )
    if taken:
        raise KeyTakenError(taken)
    written = [item.send for key, item in new.items() if stored[key].send == item.send.send]
    if written:
        _write_recipients(connection, written)
    known = {send.send: send for send in written}
    known |= find(connection, {row.send for row in stored.values()} - known.keys())
    rows = [stored[clean_text(item.key)] for item in asked]
    return [KeyedSend(row.key, row.digest, known[row.send], row.return_path) for row in rows]


def renew(connection: Connection, send: str, return_path: str) -> None:
    """Give a send another return path, which is answered from now on."""
    connection.execute(update(sends).where(sends.c.send == send).values(return_path=return_path))


def find(connection: Connection, ids: Iterable[str]) -> dict[str, Send]:
    """Return the registered sends among `ids`, by id."""
    wanted = list(ids)
    if not wanted:
        return {}
    recipients: dict[str, list[str]] = {}
    for row in connection.execute(
        select(send_recipients)
        .where(send_recipients.c.send.in_(wanted))
        .order_by(send_recipients.c.send, send_recipients.c.position)
    ):
        recipients.setdefault(row.send, []).append(row.recipient)
    return {
        row.send: Send(
            send=row.send,
            author=row.author,
            recipients=tuple(recipients.get(row.send, ())),
            registered_at=row.registered_at,
            reference=row.reference,
            title=row.title,
            url=row.url,
            language=row.language,
        )
        for row in connection.execute(select(sends).where(sends.c.send.in_(wanted)))
    }


def find_keys(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Return the application's own keys of those sends that have one, by id."""
    wanted = list(ids)
    if not wanted:
        return {}
    query = select(sends.c.send, sends.c.key).where(sends.c.send.in_(wanted))
    return {row.send: row.key for row in connection.execute(query) if row.key is not None}


def _insert_new(connection: Connection) -> Insert:
    """Return the INSERT that leaves a key alone which stands already.

    Where another node is just writing the key, it waits for that one's commit.
    """
    statement: Insert = upsert(connection, sends).on_conflict_do_nothing(index_elements=["key"])
    return statement


def _describe(send: Send) -> dict[str, Any]:
    return {
        "send": send.send,
        "registered_at": send.registered_at,
        "author": send.author,
        "reference": send.reference,
        "title": send.title,
        "url": send.url,
        "language": send.language,
    }


def _describe_keyed(item: KeyedSend) -> dict[str, Any]:
    return _describe(item.send) | {
        "key": item.key,
        "digest": item.digest,
        "return_path": item.return_path,
    }


def _write_recipients(connection: Connection, written: Iterable[Send]) -> None:
    connection.execute(
        upsert(connection, send_recipients).on_conflict_do_nothing(),
        [
            {"send": send.send, "recipient_key": key, "recipient": recipient, "position": i}
            for send in written
            for i, (key, recipient) in enumerate(_name_once(send).items())
        ],
    )


def _name_once(send: Send) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for recipient in send.recipients:
        by_key.setdefault(recipient_key(recipient), recipient)
    return by_key
