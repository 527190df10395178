"""Parser processes whose parser does what no message should be able to make it do."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from multiprocessing import active_children
from multiprocessing.connection import Connection

from bounced.parser.report import HeaderNames
from bounced.processor import worker
from bounced.processor.pool import ParserPool
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Limits, Parsed

DIES, IS_KILLED, HANGS, SLEEPS, EATS, FAILS = b"DIE", b"KILL", b"HANG", b"SLEEP", b"EAT", b"BUG"
SECRET = "a word of the message"
LONG_S = 60


def run_deadly(
    pipe: Connection, files: Mapping[str, str], names: HeaderNames, limits: Limits
) -> None:
    """Be a parser process in which some messages are deadly."""
    parse = worker.Parser.parse

    def parse_deadly(self: worker.Parser, raw: bytes) -> Parsed:
        _suffer(raw)
        return parse(self, raw)

    setattr(worker.Parser, "parse", parse_deadly)  # noqa: B010 - mypy forbids the assignment
    worker.run(pipe, files, names, limits)


def run_stillborn(
    pipe: Connection, files: Mapping[str, str], names: HeaderNames, limits: Limits
) -> None:
    """Be a parser process that ends before it is ready."""
    os._exit(3)


def make_pool(
    *, processes: int = 1, deadline_s: float = 20.0, memory_bytes: int = 2**29
) -> ParserPool:
    return ParserPool(
        read_rule_files([]),
        HeaderNames(),
        Limits(deadline_s, memory_bytes),
        processes,
        run=run_deadly,
    )


def _suffer(raw: bytes) -> None:
    match raw:
        case b"DIE":
            os._exit(1)
        case b"KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"HANG":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            time.sleep(LONG_S)
        case b"SLEEP":
            time.sleep(LONG_S)
        case b"EAT":
            bytearray(2**30)
        case b"BUG":
            raise KeyError(SECRET)


async def _be_a_daemon() -> None:
    """Keep one process idle and one busy, print their ids, wait to be killed."""
    pool = make_pool(processes=2, deadline_s=LONG_S)
    await pool.parse([b"idle"] * 40)
    busy = asyncio.create_task(pool.parse([SLEEPS]))
    print(*(child.pid for child in active_children()), flush=True)
    await busy


if __name__ == "__main__":
    sys.exit(asyncio.run(_be_a_daemon()))
