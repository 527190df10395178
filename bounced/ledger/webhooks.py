"""What the application is told by webhook: queued with the act, sent at least once, in order.

A body is written once and stays: the same bytes at every attempt, under the same id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from bounced.ledger.outbox import NewEvent, clean_body
from bounced.ledger.records import WebhookState
from bounced.ledger.schema import is_unsent, webhooks
from bounced.ledger.strikes import NewId

PURGED_AT_ONCE = 5_000
"""So that a purge locks no writer out."""


@dataclass(frozen=True, slots=True)
class DueWebhook:
    """A webhook that this process may now try to deliver."""

    webhook: str
    """16 hex digits; the `id` in its body, too."""
    created_at: datetime
    event: str
    body: str
    attempts: int
    """This one included; later steps name it, so that an attempt that took too long is void."""


def queue(connection: Connection, happened: NewEvent, now: datetime, new_id: NewId) -> str:
    """Write a webhook in the transaction of what it tells of; return its id."""
    webhook = new_id()
    at = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    head = {"id": webhook, "at": at, "event": happened.event.value}
    connection.execute(
        insert(webhooks).values(
            webhook=webhook,
            created_at=now,
            event=happened.event.value,
            body=json.dumps(head | clean_body(happened.body), ensure_ascii=False),
            next_at=now,
        )
    )
    return webhook


def claim(connection: Connection, now: datetime, lease: timedelta) -> DueWebhook | None:
    """Take the oldest webhook that is due, for `lease`; None: nothing is due."""
    due = webhooks.c.next_at <= now
    chosen = (
        select(webhooks.c.webhook)
        .where(is_unsent)
        .where(due)
        .order_by(webhooks.c.created_at, webhooks.c.webhook)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(
        update(webhooks)
        .where(webhooks.c.webhook == chosen.scalar_subquery())
        .where(is_unsent)
        .where(due)
        .values(next_at=now + lease, attempts=webhooks.c.attempts + 1)
        .returning(*webhooks.c)
    ).one_or_none()
    if row is None:
        return None
    return DueWebhook(row.webhook, row.created_at, row.event, row.body, row.attempts)


def settle_sent(connection: Connection, webhook: str, detail: str, now: datetime) -> None:
    """Note that the application has taken a webhook, whichever attempt it was."""
    connection.execute(
        update(webhooks)
        .where(webhooks.c.webhook == webhook)
        .values(state=WebhookState.SENT.value, next_at=None, settled_at=now, detail=detail)
    )


def settle_failed(connection: Connection, tried: DueWebhook, detail: str, now: datetime) -> bool:
    """Give a webhook up; False: a later attempt has taken it over."""
    return _note_failure(
        connection,
        tried,
        state=WebhookState.FAILED.value,
        next_at=None,
        settled_at=now,
        detail=detail,
    )


def postpone(connection: Connection, tried: DueWebhook, next_at: datetime, detail: str) -> bool:
    """Try a webhook again at `next_at`; False: a later attempt has taken it over."""
    return _note_failure(connection, tried, next_at=next_at, detail=detail)


def retry(connection: Connection, webhook: str | None, now: datetime) -> list[str]:
    """Let a webhook that is not sent, or each of them (None), be tried at once; return them."""
    unsent = webhooks.c.state != WebhookState.SENT.value
    chosen = update(webhooks).where(unsent)
    if webhook is not None:
        chosen = chosen.where(webhooks.c.webhook == webhook)
    rows = connection.execute(
        chosen.values(state=WebhookState.WAITING.value, next_at=now, settled_at=None).returning(
            webhooks.c.webhook
        )
    )
    return sorted(rows.scalars())


def list_webhooks(
    connection: Connection,
    *,
    state: WebhookState | None = None,
    webhook: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return webhooks, newest first, each with its body as an object."""
    query = select(webhooks).order_by(webhooks.c.created_at.desc(), webhooks.c.webhook)
    if state is not None:
        query = query.where(webhooks.c.state == state.value)
    if webhook is not None:
        query = query.where(webhooks.c.webhook == webhook)
    return [
        {**row._mapping, "body": json.loads(row.body)}  # noqa: SLF001 - public in SQLAlchemy
        for row in connection.execute(query.limit(limit))
    ]


def purge(connection: Connection, before: datetime) -> int:
    """Delete some that were settled and queued before then; return how many, 0 at the end."""
    some = (
        select(webhooks.c.webhook)
        .where(webhooks.c.created_at < before)
        .where(webhooks.c.state != WebhookState.WAITING.value)
        .order_by(webhooks.c.created_at)
        .limit(PURGED_AT_ONCE)
    )
    return connection.execute(delete(webhooks).where(webhooks.c.webhook.in_(some))).rowcount


def _note_failure(connection: Connection, tried: DueWebhook, **values: Any) -> bool:
    return bool(
        connection.execute(
            update(webhooks)
            .where(webhooks.c.webhook == tried.webhook)
            .where(webhooks.c.state == WebhookState.WAITING.value)
            .where(webhooks.c.attempts == tried.attempts)
            .values(**values)
        ).rowcount
    )
