"""The parser processes: real ones, with messages that exceed every limit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path

import pytest

from bounced.model import Category
from bounced.parser.report import HeaderNames
from bounced.processor import pool as pool_module
from bounced.processor.pool import BATCH, ParserPool, ParserStartError
from bounced.processor.worker import Limits, Parsed, Result, Unread, Unreadable
from tests.mta.network import wait_for
from tests.processor import deadly
from tests.processor.deadly import make_pool
from tests.processor.mails import make_bounce


def make_numbered(number: int) -> bytes:
    return make_bounce(recipient=f"r{number}@kunde.example")


def describe(result: Result) -> str | Unread:
    if isinstance(result, Unread):
        return result
    return result.report.recipients[0].final_recipient or ""


@contextmanager
def stopped(pool: ParserPool) -> Iterator[ParserPool]:
    try:
        yield pool
    finally:
        pool.stop()


async def test_messages_are_read_and_judged_in_their_order_over_several_batches() -> None:
    numbers = range(2 * BATCH + 5)
    with stopped(make_pool(processes=2)) as pool:
        results = await pool.parse([make_numbered(number) for number in numbers])
    assert [describe(result) for result in results] == [f"r{n}@kunde.example" for n in numbers]
    verdicts = {
        verdict.category if verdict else None
        for result in results
        if isinstance(result, Parsed)
        for verdict in result.verdicts
    }
    assert verdicts == {Category.BAD_ADDRESS}


@pytest.mark.parametrize("deadly_message", [deadly.DIES, deadly.IS_KILLED])
async def test_only_the_message_that_kills_its_process_is_given_up(deadly_message: bytes) -> None:
    with stopped(make_pool()) as pool:
        results = await pool.parse([make_numbered(1), deadly_message, make_numbered(2)])
    assert [describe(result) for result in results] == [
        "r1@kunde.example",
        Unread(Unreadable.WORKER_KILLED),
        "r2@kunde.example",
    ]


async def test_a_process_that_hangs_beyond_its_own_timer_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "_SLACK_S", 0.1)
    with stopped(make_pool(deadline_s=0.2)) as pool:
        results = await pool.parse([deadly.HANGS, make_numbered(1)])
    assert [describe(result) for result in results] == [
        Unread(Unreadable.WORKER_KILLED),
        "r1@kunde.example",
    ]


async def test_a_message_over_its_deadline_stops_nobody_else() -> None:
    with stopped(make_pool(deadline_s=0.2)) as pool:
        results = await pool.parse([make_numbered(1), deadly.SLEEPS, make_numbered(2)])
    assert [describe(result) for result in results] == [
        "r1@kunde.example",
        Unread(Unreadable.DEADLINE),
        "r2@kunde.example",
    ]


async def test_a_message_over_its_memory_stops_nobody_else() -> None:
    with stopped(make_pool(memory_bytes=2**28)) as pool:
        results = await pool.parse([make_numbered(1), deadly.EATS, make_numbered(2)])
    assert [describe(result) for result in results] == [
        "r1@kunde.example",
        Unread(Unreadable.MEMORY),
        "r2@kunde.example",
    ]


async def test_a_bug_of_the_parser_is_told_by_its_place_and_without_the_messages_words() -> None:
    with stopped(make_pool()) as pool:
        failed, read = await pool.parse([deadly.FAILS, make_numbered(1)])
    assert describe(read) == "r1@kunde.example"
    assert isinstance(failed, Unread)
    assert failed.why is Unreadable.PARSER_FAILED
    assert failed.detail is not None
    assert failed.detail.startswith("KeyError in deadly.py, line ")
    assert deadly.SECRET not in failed.detail


async def test_a_process_killed_while_idle_is_replaced_and_no_message_blamed() -> None:
    with stopped(make_pool()) as pool:
        await pool.parse([make_numbered(1)])
        (child,) = active_children()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        (result,) = await pool.parse([make_numbered(2)])
    assert describe(result) == "r2@kunde.example"


async def test_a_process_that_does_not_start_blames_no_message() -> None:
    pool = ParserPool({}, HeaderNames(), Limits(1.0, 2**29), 1, run=deadly.run_stillborn)
    with stopped(pool), pytest.raises(ParserStartError, match="ended at once"):
        await pool.parse([make_numbered(1)])


async def test_stopping_waits_for_no_message() -> None:
    pool = make_pool(deadline_s=deadly.LONG_S)
    reading = asyncio.create_task(pool.parse([deadly.SLEEPS]))
    await asyncio.to_thread(wait_for, "the process", active_children)
    reading.cancel()
    began = time.monotonic()
    await asyncio.to_thread(pool.stop)
    assert time.monotonic() - began < 2
    assert active_children() == []
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_closed_pool_finishes_what_it_reads_and_then_ends_its_processes() -> None:
    pool = make_pool(deadline_s=0.3)
    reading = asyncio.create_task(pool.parse([deadly.SLEEPS, deadly.DIES, make_numbered(1)]))
    await asyncio.sleep(0)
    pool.close()
    results = await reading
    assert [describe(result) for result in results] == [
        Unread(Unreadable.DEADLINE),
        Unread(Unreadable.WORKER_KILLED),
        "r1@kunde.example",
    ]
    await asyncio.to_thread(wait_for, "the end of the processes", lambda: not active_children())


async def test_an_unused_pool_closes_at_once() -> None:
    make_pool().close()
    assert active_children() == []


def test_idle_and_busy_processes_end_with_a_daemon_that_is_killed() -> None:
    script = (sys.executable, "-m", deadly.__name__)
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        children = [int(pid) for pid in daemon.stdout.readline().split()]
        assert len(children) == 2
        daemon.kill()
    wait_for("the parser processes to end", lambda: not any(map(is_running, children)))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_no_library_writes_into_the_daemons_log_from_a_parser_process() -> None:
    code = (
        "import logging, warnings; from bounced.processor.worker import silence_libraries;"
        "silence_libraries(); logging.getLogger('flufl.bounce').error('x'); warnings.warn('y')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
