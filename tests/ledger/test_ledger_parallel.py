"""Several daemons on one database: nothing lost, nothing twice, at most three."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from bounced.ledger import reports
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport
from bounced.ledger.schema import notices, slots
from tests.ledger.office import DAY, HOUR, LEASE, START, Office, bounce

NODES = 2
SENDS = [f"send-{number}" for number in range(40)]
RECIPIENTS = ["max@kunde.example", "eva@kunde.example", "ida@kunde.example"]
AUTHORS = ["anna@bau.example", "ben@bau.example"]


class Meeting:
    """Where the processes wait for each other, so that they work at the same time."""

    barrier: Barrier


@pytest.fixture(scope="module")
def nodes() -> Iterator[ProcessPoolExecutor]:
    """Return the processes that play the daemons."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(NODES)
    with ProcessPoolExecutor(NODES, context, set_meeting, (barrier,)) as pool:
        yield pool


def set_meeting(barrier: Barrier) -> None:
    Meeting.barrier = barrier


def run_on_all(nodes: ProcessPoolExecutor, work: Callable[[str, int], Any], url: str) -> list[Any]:
    return list(nodes.map(work_together, [work] * NODES, [url] * NODES, range(NODES)))


def work_together(work: Callable[[str, int], Any], url: str, node: int) -> Any:
    Meeting.barrier.wait(20)
    return work(url, node)


def think() -> None:
    """Let the other one have the database, as parsing and SMTP do between transactions."""
    time.sleep(0.02)


def open_office(url: str, node: int) -> Office:
    return Office(Ledger(url), ids=itertools.count((node + 1) << 32))


def count_everything(url: str, node: int) -> int:
    """Count every send for every recipient, in an order of one's own; return the new strikes."""
    office = open_office(url, node)
    findings = [
        bounce(send, recipient, author=author, report=f"{node}{number:015x}")
        for number, (send, recipient, author) in enumerate(
            itertools.product(SENDS, RECIPIENTS, AUTHORS)
        )
    ]
    random.Random(node).shuffle(findings)
    new = 0
    for start in range(0, len(findings), 12):
        for outcome in office.receive(*findings[start : start + 12]):
            new += sum(counted.is_new for counted in outcome.recipients)  # type: ignore[union-attr] # all count
        think()
    office.ledger.close()
    return new


def test_two_daemons_that_count_the_same_bounces_lose_none_and_double_none(
    ledger_url: str, nodes: ProcessPoolExecutor
) -> None:
    new = run_on_all(nodes, count_everything, ledger_url)
    office = open_office(ledger_url, NODES)
    cases = office.list_cases()
    opened = office.list_notices(state="open")
    office.ledger.close()
    assert sum(new) == len(SENDS) * len(RECIPIENTS) * len(AUTHORS)
    assert min(new) > 0, "both took part"
    assert {(case["author"], case["subject"]): case["strikes"] for case in cases} == dict.fromkeys(
        itertools.product(AUTHORS, RECIPIENTS), len(SENDS)
    )
    assert sorted(notice["author"] for notice in opened) == AUTHORS


def claim_everything(url: str, node: int) -> list[str]:
    ledger = Ledger(url)
    claimed: list[str] = []
    while batch := ledger.write(lambda c: reports.claim(c, START, LEASE, 7, 2**30)):
        claimed += [stored.arrival.report for stored in batch]
        think()
    ledger.close()
    return claimed


def test_no_report_is_claimed_by_two(ledger_url: str, nodes: ProcessPoolExecutor) -> None:
    ids = [f"{number:016x}" for number in range(700)]
    arrivals = [NewReport(i, START, b"raw", "bounces@bounce.example.com", "mailbox") for i in ids]
    ledger = Ledger(ledger_url)
    ledger.write(lambda c: reports.append(c, arrivals))
    ledger.close()
    taken = run_on_all(nodes, claim_everything, ledger_url)
    assert Counter(itertools.chain(*taken)) == Counter(ids)
    assert all(taken), "both took part"


def tell_everyone(url: str, node: int) -> list[tuple[str, int]]:
    """Count and tell for ten days; return each notice that was sent, with its attempt."""
    office = open_office(url, node)
    sent = []
    for hour in range(0, 10 * 24, 6):
        office.now = START + hour * HOUR
        office.receive(
            *(
                bounce(f"{node}-{hour}", recipient, author=author, at=office.now)
                for recipient in RECIPIENTS
                for author in AUTHORS
            )
        )
        office.now += HOUR
        sent += [(notice.notice, notice.attempts) for notice in office.send_due()]
    office.ledger.close()
    return sent


def test_two_daemons_tell_each_case_three_times_and_never_within_the_interval(
    ledger_url: str, nodes: ProcessPoolExecutor
) -> None:
    sent = list(itertools.chain(*run_on_all(nodes, tell_everyone, ledger_url)))
    assert len({notice for notice, _ in sent}) == len(sent), "no notice was sent by both"
    ledger = Ledger(ledger_url)
    query = select(slots.c.author, slots.c.subject, slots.c.number, notices).join(notices)
    told: dict[tuple[str, str], list[tuple[int, datetime, datetime]]] = {}
    for row in ledger.read(lambda c: c.execute(query.order_by(slots.c.number)).all()):
        entry = (row.number, row.claimed_at, row.settled_at)
        told.setdefault((row.author, row.subject), []).append(entry)
    ledger.close()
    assert {key: [number for number, _, _ in entries] for key, entries in told.items()} == {
        key: [1, 2, 3] for key in itertools.product(AUTHORS, RECIPIENTS)
    }
    for entries in told.values():
        for (_, _, settled_at), (_, claimed_at, _) in itertools.pairwise(entries):
            assert claimed_at >= settled_at + DAY
