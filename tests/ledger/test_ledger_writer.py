"""Group commit: what waits is committed once, and answered only then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport
from bounced.ledger.schema import reports
from bounced.ledger.writer import Writer
from tests.ledger.office import START


class Bench:
    """A writer whose thread can be held up, and the commits that it has made."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger(url)
        self.writer = Writer(self.ledger)
        self.gate = threading.Event()
        self.commits = 0
        event.listen(self.ledger.engine, "commit", self._note_commit)

    def _note_commit(self, _connection: object) -> None:
        self.commits += 1

    def hold_up(self) -> asyncio.Task[bool]:
        """Keep the writing thread busy until the gate opens."""
        return asyncio.create_task(self.writer.run(lambda _: self.gate.wait(10)))

    def append(self, *numbers: int) -> asyncio.Task[None]:
        return asyncio.create_task(self.writer.append([make_report(n) for n in numbers]))

    def list_stored(self) -> list[int]:
        query = select(reports.c.report).order_by(reports.c.report)
        return [int(row[0], 16) for row in self.ledger.read(lambda c: c.execute(query).all())]


def make_report(number: int) -> NewReport:
    return NewReport(f"{number:016x}", START, b"raw", "bounces@bounce.example.com", "mailbox")


@pytest.fixture
def bench(ledger_url: str) -> Iterator[Bench]:
    made = Bench(ledger_url)
    yield made
    made.gate.set()
    made.writer.stop()
    made.ledger.close()


async def turn() -> None:
    """Let every task that was made come to its first await."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_arrives_while_a_commit_is_under_way_shares_the_next(bench: Bench) -> None:
    busy = bench.hold_up()
    await turn()
    waiting = [bench.append(number) for number in range(50)]
    await turn()
    assert not any(task.done() for task in waiting)
    bench.gate.set()
    await asyncio.gather(busy, *waiting)
    assert bench.commits == 2
    assert bench.list_stored() == list(range(50))


async def test_an_answer_means_that_it_is_stored(bench: Bench) -> None:
    for number in range(5):
        await bench.writer.append([make_report(number)])
        assert bench.list_stored() == list(range(number + 1))
    assert bench.commits == 5


async def test_all_recipients_of_a_message_are_in_one_commit(bench: Bench) -> None:
    await bench.append(*range(100))
    assert (bench.commits, len(bench.list_stored())) == (1, 100)


async def test_a_group_that_fails_tells_everyone_in_it_and_stores_none(bench: Bench) -> None:
    await bench.append(1)
    busy = bench.hold_up()
    await turn()
    waiting = [bench.append(2), bench.append(1), bench.append(3)]
    await turn()
    bench.gate.set()
    await busy
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [IntegrityError] * 3
    assert bench.list_stored() == [1]
    await bench.append(2)
    assert bench.list_stored() == [1, 2]


async def test_the_report_of_a_client_that_hung_up_is_stored_all_the_same(bench: Bench) -> None:
    busy = bench.hold_up()
    await turn()
    gone, stays = bench.append(1), bench.append(2)
    await turn()
    gone.cancel()
    await turn()
    assert gone.cancelled()
    bench.gate.set()
    await asyncio.gather(busy, stays)
    assert bench.list_stored() == [1, 2]


async def test_work_is_done_in_the_order_in_which_it_came(bench: Bench) -> None:
    done: list[str] = []
    busy = bench.hold_up()
    await turn()
    first = asyncio.create_task(bench.writer.run(lambda _: done.append("first")))
    await turn()
    stored = bench.append(1)
    await turn()
    second = asyncio.create_task(
        bench.writer.run(lambda c: done.extend(c.execute(select(reports.c.report)).scalars()))
    )
    await turn()
    bench.gate.set()
    await asyncio.gather(busy, first, stored, second)
    assert done == ["first", make_report(1).report]


async def test_an_error_in_one_piece_of_work_reaches_its_caller_and_nobody_else(
    bench: Bench,
) -> None:
    with pytest.raises(ZeroDivisionError):
        await bench.writer.run(lambda _: 1 / 0)
    await bench.append(1)
    assert bench.list_stored() == [1]


async def test_stopping_finishes_what_waits(bench: Bench) -> None:
    busy = bench.hold_up()
    await turn()
    waiting = [bench.append(1), bench.append(2)]
    await turn()
    bench.gate.set()
    bench.writer.stop()
    assert bench.list_stored() == [1, 2]
    await asyncio.gather(busy, *waiting)
    with pytest.raises(RuntimeError):
        await bench.writer.append([make_report(3)])
