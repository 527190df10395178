"""Registered sends: who wrote which protocol to whom (DESIGN §6, way B)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select

from bounced.ledger.schema import send_recipients, sends
from bounced.model import Send, recipient_key


def register(connection: Connection, send: Send) -> None:
    """Write one send with its recipients, one at least; who is named twice counts once."""
    connection.execute(
        insert(sends).values(
            send=send.send,
            registered_at=send.registered_at,
            author=send.author,
            reference=send.reference,
            title=send.title,
            url=send.url,
            language=send.language,
        )
    )
    by_key: dict[str, str] = {}
    for recipient in send.recipients:
        by_key.setdefault(recipient_key(recipient), recipient)
    connection.execute(
        insert(send_recipients),
        [
            {"send": send.send, "recipient_key": key, "recipient": recipient, "position": i}
            for i, (key, recipient) in enumerate(by_key.items())
        ],
    )


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
