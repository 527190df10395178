"""The queue of webhooks: written with the act, taken in order, by one node at a time."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from bounced.ledger import webhooks
from bounced.ledger.engine import Ledger
from bounced.ledger.outbox import NewEvent
from bounced.ledger.records import WebhookState
from bounced.ledger.webhooks import DueWebhook
from bounced.logs import Event
from tests.ledger.office import DAY, MINUTE, START, Office

ACT = NewEvent(
    Event.AUTHOR_ACTED, {"author": "a\0ü@x.example", "action": "resumed", "recipient": None}
)
BODY = (
    '{"id": "%s", "at": "%s", "event": "author_acted", "author": "a\N{REPLACEMENT CHARACTER}ü@x.example",'
    ' "action": "resumed"}'
)
LEASE = MINUTE


def queue(office: Office) -> str:
    return office.ledger.write(lambda c: webhooks.queue(c, ACT, office.now, office.new_id))


def claim(office: Office) -> DueWebhook | None:
    return office.ledger.write(lambda c: webhooks.claim(c, office.now, LEASE))


def take(office: Office) -> DueWebhook:
    due = claim(office)
    assert due is not None
    return due


def settle_sent(office: Office, due: DueWebhook) -> None:
    office.ledger.write(lambda c: webhooks.settle_sent(c, due.webhook, "HTTP 204", office.now))


def settle_failed(office: Office, due: DueWebhook) -> bool:
    return office.ledger.write(lambda c: webhooks.settle_failed(c, due, "HTTP 410", office.now))


def postpone(office: Office, due: DueWebhook, by: timedelta) -> bool:
    return office.ledger.write(lambda c: webhooks.postpone(c, due, office.now + by, "HTTP 500"))


def retry(office: Office, webhook: str | None) -> list[str]:
    return office.ledger.write(lambda c: webhooks.retry(c, webhook, office.now))


def show(office: Office, **filters: Any) -> list[tuple[str, str, int]]:
    rows = office.ledger.read(lambda c: webhooks.list_webhooks(c, **filters))
    return [(row["webhook"], row["state"], row["attempts"]) for row in rows]


def test_the_body_is_written_once_and_says_what_it_is(office: Office) -> None:
    webhook = queue(office)
    assert take(office) == DueWebhook(
        webhook, START, "author_acted", BODY % (webhook, "2026-11-02T08:00:00Z"), 1
    )
    (row,) = office.ledger.read(webhooks.list_webhooks)
    assert row == {
        "webhook": webhook,
        "created_at": START,
        "event": "author_acted",
        "body": json.loads(BODY % (webhook, "2026-11-02T08:00:00Z")),
        "state": "waiting",
        "attempts": 1,
        "next_at": START + LEASE,
        "settled_at": None,
        "detail": None,
    }


def test_what_is_rolled_back_is_not_told(office: Office) -> None:
    def fail(connection: Connection) -> None:
        webhooks.queue(connection, ACT, office.now, office.new_id)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        office.ledger.write(fail)
    assert claim(office) is None


def test_the_oldest_goes_first_and_each_is_one_nodes(office: Office) -> None:
    first = queue(office)
    office.move(MINUTE)
    second = queue(office)
    assert [take(office).webhook, take(office).webhook, claim(office)] == [first, second, None]


def test_who_is_lost_is_taken_over_after_his_lease_and_speaks_no_more(office: Office) -> None:
    queue(office)
    lost = take(office)
    office.move(LEASE)
    again = take(office)
    assert (again.webhook, again.body, again.attempts) == (lost.webhook, lost.body, 2)
    assert not postpone(office, lost, DAY)
    assert not settle_failed(office, lost)
    assert postpone(office, again, MINUTE)
    office.move(MINUTE)
    assert take(office).attempts == 3


def test_what_is_sent_stays_sent_whichever_attempt_it_was(office: Office) -> None:
    queue(office)
    slow = take(office)
    office.move(LEASE)
    quick = take(office)
    settle_sent(office, slow)
    assert not settle_failed(office, quick)
    office.move(DAY)
    assert claim(office) is None
    (row,) = office.ledger.read(webhooks.list_webhooks)
    assert (row["state"], row["settled_at"], row["next_at"], row["detail"]) == (
        "sent",
        START + LEASE,
        None,
        "HTTP 204",
    )


def test_what_was_given_up_or_waits_can_be_retried_what_is_sent_cannot(office: Office) -> None:
    waiting, failed, sent = (queue(office) for _ in range(3))
    dues = {due.webhook: due for due in (take(office) for _ in range(3))}
    postpone(office, dues[waiting], DAY)
    assert settle_failed(office, dues[failed])
    settle_sent(office, dues[sent])
    assert claim(office) is None
    assert retry(office, sent) == []
    assert retry(office, failed) == [failed]
    assert take(office).webhook == failed
    assert retry(office, None) == [waiting, failed]
    assert retry(office, "0123456789abcdef") == []


def test_webhooks_are_listed_newest_first_by_state(office: Office) -> None:
    first = queue(office)
    office.move(MINUTE)
    second = queue(office)
    settle_sent(office, take(office))
    assert show(office) == [(second, "waiting", 0), (first, "sent", 1)]
    assert show(office, state=WebhookState.WAITING) == [(second, "waiting", 0)]
    assert show(office, webhook=first) == [(first, "sent", 1)]
    assert show(office, limit=1) == [(second, "waiting", 0)]


def test_only_what_is_settled_is_purged(office: Office) -> None:
    sent, waiting = queue(office), queue(office)
    settle_sent(office, take(office))
    office.move(MINUTE)
    young = queue(office)
    purged = [office.ledger.write(lambda c: webhooks.purge(c, START + MINUTE)) for _ in range(2)]
    assert purged == [1, 0]
    assert sorted(name for name, _, _ in show(office)) == sorted([waiting, young])
    assert sent not in [name for name, _, _ in show(office)]


def test_a_second_node_takes_the_next_one_while_the_first_decides(postgres_url: str) -> None:
    office = Office(Ledger(postgres_url))
    first, second = queue(office), queue(office)
    with office.ledger.engine.begin() as one:
        mine = webhooks.claim(one, office.now, LEASE)
        theirs = claim(office)
    office.ledger.close()
    assert [due.webhook for due in (mine, theirs) if due] == [first, second]
