"""Events: every reader's walk has each of them exactly once, whoever commits when."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from bounced.ledger import outbox
from bounced.ledger.engine import Ledger
from bounced.ledger.outbox import AheadError, NewEvent, PublishedEvent
from bounced.ledger.schema import events
from bounced.logs import Event
from tests.ledger.office import HOUR, START, wait_until_blocked


def happen(*numbers: int) -> Iterator[NewEvent]:
    return (NewEvent(Event.CASE_CLOSED, {"number": number}) for number in numbers)


def write(ledger: Ledger, *numbers: int) -> None:
    ledger.write(lambda connection: outbox.publish(connection, happen(*numbers), START))


def walk(ledger: Ledger, after: int = 0, limit: int = 3) -> tuple[list[int], int]:
    """Read to the end; return what was read, and where it ended."""
    read: list[int] = []
    while True:
        found, after = outbox.read_events(ledger, after, limit)
        if not found:
            return read, after
        assert len(found) <= limit
        read += list_numbers(found)


def list_numbers(found: Iterable[PublishedEvent]) -> list[int]:
    return [event.body["number"] for event in found]


def test_events_are_read_in_order_page_by_page(ledger: Ledger) -> None:
    write(ledger, 1, 2, 3, 4)
    write(ledger, 5)
    assert outbox.read_events(ledger, 0, 2) == (
        [
            PublishedEvent(1, START, "case_closed", {"number": 1}),
            PublishedEvent(2, START, "case_closed", {"number": 2}),
        ],
        2,
    )
    assert walk(ledger, after=2) == ([3, 4, 5], 5)


def test_a_reader_at_the_end_stays_where_it_is(ledger: Ledger) -> None:
    assert outbox.read_events(ledger, 0, 10) == ([], 0)
    write(ledger, 1)
    assert outbox.read_events(ledger, 1, 10) == ([], 1)
    write(ledger, 2)
    assert walk(ledger, after=1) == ([2], 2)


def test_what_is_rolled_back_did_not_happen(ledger: Ledger) -> None:
    def fail(connection: Connection) -> None:
        outbox.publish(connection, happen(1), START)
        raise LookupError

    with pytest.raises(LookupError):
        ledger.write(fail)
    write(ledger, 2)
    assert walk(ledger) == ([2], 1)


def test_what_is_unknown_is_left_out_and_what_no_database_takes_is_replaced(
    ledger: Ledger,
) -> None:
    body = {"author": None, "reference": 'Ä "\ud800" \0', "slots": [{"number": 1}]}
    ledger.write(lambda c: outbox.publish(c, [NewEvent(Event.NOTICE_SENT, body)], START))
    (found,), _ = outbox.read_events(ledger, 0, 10)
    assert found.body == {"reference": 'Ä "\ufffd" \ufffd', "slots": [{"number": 1}]}


def test_positions_go_on_after_a_purge(ledger: Ledger) -> None:
    write(ledger, 1, 2)
    assert walk(ledger) == ([1, 2], 2)
    assert ledger.write(lambda c: outbox.purge_events(c, START + HOUR)) == 2
    assert outbox.read_events(ledger, 0, 10) == ([], 0)
    write(ledger, 3)
    assert walk(ledger) == ([3], 3)


def test_a_purge_takes_what_is_older_and_leaves_the_rest(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.write(lambda c: outbox.publish(c, happen(2), START + HOUR))
    assert ledger.write(lambda c: outbox.purge_events(c, START + HOUR)) == 1
    assert walk(ledger) == ([2], 1)


def test_a_purge_goes_step_by_step(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PURGED_AT_ONCE", 2)
    write(ledger, 1, 2, 3)
    steps = [ledger.write(lambda c: outbox.purge_events(c, START + HOUR)) for _ in range(3)]
    assert steps == [2, 1, 0]


@pytest.mark.parametrize("given", [0, 3])
def test_a_position_that_was_never_given_is_refused(ledger: Ledger, given: int) -> None:
    write(ledger, *range(given))
    walk(ledger)
    with pytest.raises(AheadError):
        outbox.read_events(ledger, given + 1, 10)
    assert outbox.read_events(ledger, given, 10) == ([], given)


def test_a_reader_who_was_away_goes_on_with_what_is_kept(ledger: Ledger) -> None:
    write(ledger, 1, 2, 3)
    found, after = outbox.read_events(ledger, 0, 1)
    assert list_numbers(found) == [1]
    ledger.write(lambda c: c.execute(events.delete().where(events.c.position <= 2)))
    assert walk(ledger, after=after) == ([3], 3)


def test_many_events_are_numbered_in_pieces(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_NUMBERED_AT_ONCE", 2)
    write(ledger, 1, 2, 3, 4, 5)
    assert walk(ledger, limit=10) == ([1, 2, 3, 4, 5], 5)


def test_what_begins_first_and_is_committed_last_is_not_lost(postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    with ledger.engine.connect() as slow:
        with slow.begin():
            outbox.publish(slow, happen(1), START)
            write(ledger, 2)
            first, after = outbox.read_events(ledger, 0, 10)
            nothing, stays = outbox.read_events(ledger, after, 10)
        second, _ = outbox.read_events(ledger, stays, 10)
    whole, _ = walk(ledger)
    ledger.close()
    assert (list_numbers(first), nothing, list_numbers(second)) == ([2], [], [1])
    assert whole == [2, 1]


@pytest.mark.parametrize(
    ("purged", "left"), [pytest.param(HOUR, [2], id="some"), pytest.param(2 * HOUR, [], id="all")]
)
def test_what_is_purged_while_it_is_numbered_leaves_a_gap(
    postgres_url: str, purged: timedelta, left: list[int]
) -> None:
    ledger = Ledger(postgres_url)
    write(ledger, 0)
    _, after = walk(ledger)
    write(ledger, 1)
    ledger.write(lambda connection: outbox.publish(connection, happen(2), START + HOUR))
    with ThreadPoolExecutor(1) as pool:
        with ledger.engine.begin() as purging:
            outbox.purge_events(purging, START + purged)
            reading = pool.submit(walk, ledger, after)
            wait_until_blocked(purging)
        first, after = reading.result()
    write(ledger, 3)
    second, _ = walk(ledger, after)
    ledger.close()
    assert (first, second) == (left, [3])


def test_every_reader_has_every_event_once_while_others_write(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    written = threading.Event()
    numbers = itertools.count()

    def write_some(writer: int) -> list[int]:
        chance = random.Random(writer)
        mine = []
        for _ in range(25):
            some = [next(numbers) for _ in range(chance.randint(1, 3))]
            write(ledger, *some)
            mine += some
        return mine

    def read_all(_reader: int) -> list[int]:
        read: list[int] = []
        after, over = 0, False
        while not over:
            over = written.is_set()  # asked before the last walk
            found, after = walk(ledger, after)
            read += found
        return read

    with ThreadPoolExecutor(7) as pool:
        readers = [pool.submit(read_all, number) for number in range(3)]
        expected = sorted(itertools.chain(*pool.map(write_some, range(4))))
        written.set()
        walks = [reader.result() for reader in readers]
    ledger.close()
    assert [sorted(read) for read in walks] == [expected] * len(walks)
    assert walks[1:] == walks[:-1], "all in one order"
