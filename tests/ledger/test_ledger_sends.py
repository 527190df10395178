"""Sends under the application's own keys: all or none, the same answer to the same request."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import func, select

from bounced.ledger import engine, sends
from bounced.ledger.engine import Ledger
from bounced.ledger.schema import send_recipients
from bounced.ledger.sends import KeyedSend, KeyTakenError
from bounced.model import Send
from tests.ledger.office import AUTHOR, RECIPIENT, START

OTHER = "eva@kunde.example"


def keyed(key: str, send: int, *, digest: str | None = None) -> KeyedSend:
    """Return what an application asks under `key`, and the id it gets if it is the first."""
    return KeyedSend(
        key=key,
        digest=digest or f"digest of {key}",
        send=Send(
            send=f"{send:016x}",
            author=AUTHOR,
            recipients=(RECIPIENT, OTHER),
            registered_at=START,
            reference=f"reference of {key}",
            title=f"Protokoll {key}",
            url=f"https://app.example/{key}",
            language="de",
        ),
        return_path=f"s{send:016x}@bounce.example.com",
    )


def register(ledger: Ledger, *asked: KeyedSend) -> list[KeyedSend]:
    return ledger.write(lambda connection: sends.register_all(connection, asked))


def count_recipients(ledger: Ledger) -> dict[str, int]:
    query = select(send_recipients.c.send, func.count()).group_by(send_recipients.c.send)
    return {row[0]: row[1] for row in ledger.read(lambda c: c.execute(query).all())}


def test_sends_are_registered_in_the_order_asked(ledger: Ledger) -> None:
    asked = [keyed("b", 1), keyed("c", 2), keyed("a", 3)]
    assert register(ledger, *asked) == asked
    found = ledger.read(lambda c: sends.find(c, [item.send.send for item in asked]))
    assert found == {item.send.send: item.send for item in asked}


def test_no_send_is_an_answer_too(ledger: Ledger) -> None:
    assert register(ledger) == []


def test_the_same_request_once_more_has_the_same_answer(ledger: Ledger) -> None:
    first = register(ledger, keyed("a", 1), keyed("b", 2))
    assert register(ledger, keyed("b", 3), keyed("a", 4)) == list(reversed(first))
    assert count_recipients(ledger) == {first[0].send.send: 2, first[1].send.send: 2}


def test_a_transaction_that_runs_once_more_changes_nothing(ledger: Ledger) -> None:
    asked = keyed("a", 1)
    assert register(ledger, asked) == register(ledger, asked) == [asked]
    assert count_recipients(ledger) == {asked.send.send: 2}


def test_known_and_new_keys_may_be_asked_together(ledger: Ledger) -> None:
    first = keyed("b", 1)
    register(ledger, first)
    before, after = keyed("a", 2), keyed("c", 3)
    assert register(ledger, before, keyed("b", 4), after) == [before, first, after]
    assert count_recipients(ledger) == {f"{number:016x}": 2 for number in (1, 2, 3)}


def test_a_key_asked_twice_at_once_is_one_send(ledger: Ledger) -> None:
    first = keyed("a", 1)
    assert register(ledger, first, keyed("a", 2)) == [first, first]
    assert count_recipients(ledger) == {first.send.send: 2}


def test_another_send_under_a_key_that_stands_leaves_everything_as_it_was(ledger: Ledger) -> None:
    register(ledger, keyed("b", 1), keyed("d", 2))
    others = [keyed(key, number, digest="another") for key, number in (("b", 4), ("d", 6))]
    with pytest.raises(KeyTakenError) as caught:
        register(ledger, keyed("a", 3), others[0], keyed("c", 5), others[1])
    assert caught.value.positions == (1, 3)
    assert count_recipients(ledger) == {f"{number:016x}": 2 for number in (1, 2)}
    assert register(ledger, keyed("b", 7)) == [keyed("b", 1)]


def test_two_sends_under_one_key_at_once_are_refused(ledger: Ledger) -> None:
    with pytest.raises(KeyTakenError) as caught:
        register(ledger, keyed("a", 1), keyed("a", 2, digest="another"))
    assert caught.value.positions == (1,)
    assert count_recipients(ledger) == {}


def test_a_recipient_named_twice_is_one_recipient(ledger: Ledger) -> None:
    asked = keyed("a", 1)
    twice = replace(asked, send=replace(asked.send, recipients=(RECIPIENT, "Max@KUNDE.example")))
    register(ledger, twice)
    (found,) = ledger.read(lambda c: sends.find(c, [twice.send.send])).values()
    assert found.recipients == (RECIPIENT,)


def test_sends_without_a_key_do_not_meet(ledger: Ledger) -> None:
    one, two = keyed("a", 1).send, keyed("a", 2).send
    for send in (one, two):
        ledger.write(partial(sends.register, send=send))
    assert register(ledger, keyed("a", 3)) == [keyed("a", 3)]
    ids = [one.send, two.send, keyed("a", 3).send.send]
    assert ledger.read(lambda c: sends.find_keys(c, ids)) == {ids[2]: "a"}


def test_a_thousand_sends_are_one_transaction(ledger: Ledger) -> None:
    asked = [keyed(f"key {number}", number) for number in range(1000)]
    assert register(ledger, *asked) == asked
    assert len(count_recipients(ledger)) == 1000


def test_nodes_that_register_the_same_keys_at_once_give_one_answer(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_TRIES", 1)  # a deadlock would be seen
    nodes = [Ledger(ledger_url) for _ in range(4)]
    keys = [f"key {number}" for number in range(60)]

    def register_some(node: int) -> dict[str, KeyedSend]:
        order = random.Random(node)
        answers: dict[str, KeyedSend] = {}
        for chunk in range(20):
            chosen = order.sample(keys, 20)
            asked = [
                keyed(key, (node + 1) << 40 | chunk << 20 | number)
                for number, key in enumerate(chosen)
            ]
            for answer in register(nodes[node], *asked):
                assert answers.setdefault(answer.key, answer) == answer
        return answers

    with ThreadPoolExecutor(len(nodes)) as pool:
        first, *others = pool.map(register_some, range(len(nodes)))
    written = count_recipients(nodes[0])
    for node in nodes:
        node.close()
    assert first.keys() == set(keys)
    assert others == [first] * len(others)
    assert written == {answer.send.send: 2 for answer in first.values()}
