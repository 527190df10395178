"""What runs in a parser process: bytes to facts and verdicts, each message under its limits."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import connection, parent_process
from pathlib import Path
from types import FrameType

from bounced.model import Action, Report, Verdict
from bounced.parser.classify import classify
from bounced.parser.report import HeaderNames, read_report
from bounced.parser.rule import RuleSet
from bounced.parser.ruleset import parse_rules

_STATM_TOTAL = 0


class Unreadable(StrEnum):
    """Why a message could not be read; the `why` of its quarantine."""

    DEADLINE = "deadline"
    MEMORY = "memory"
    WORKER_KILLED = "worker-killed"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message, read and judged."""

    report: Report
    verdicts: tuple[Verdict | None, ...]
    """One for each of the report's recipients; None unless that recipient failed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may cost."""

    deadline_s: float
    memory_bytes: int


class Parser:
    """Reads and classifies messages with one set of rules and header names; pure."""

    def __init__(self, rules: RuleSet, names: HeaderNames) -> None:
        self.rules = rules
        self._names = names

    def parse(self, raw: bytes) -> Parsed:
        """Read one message and judge each recipient that failed; total."""
        report = read_report(raw, self._names)
        return Parsed(
            report,
            tuple(
                classify(facts, self.rules, reporting_mta=report.reporting_mta)
                if facts.action is Action.FAILED
                else None
                for facts in report.recipients
            ),
        )


class _DeadlineError(BaseException):
    """Raised by the timer; no `except Exception` of a library may keep it."""


_parser: Parser | None = None
"""The process's own parser: set once, by `start`, before its first message."""
_limits = Limits(deadline_s=0, memory_bytes=0)


def start(files: Mapping[str, str], names: HeaderNames, limits: Limits) -> None:
    """Set up a fresh parser process; it ends with the daemon, however that ends."""
    global _parser, _limits  # noqa: PLW0603 - what a pool's initialiser is for
    _parser = Parser(parse_rules(files), names)
    _limits = limits
    signal.signal(signal.SIGALRM, _raise_deadline)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit_memory(limits.memory_bytes)


def parse_batch(messages: Sequence[bytes]) -> list[Parsed | Unreadable]:
    """Read messages one by one, each under its deadline and the memory limit."""
    assert _parser is not None
    return [_parse(_parser, raw) for raw in messages]


def _parse(parser: Parser, raw: bytes) -> Parsed | Unreadable:
    try:
        with _deadline(_limits.deadline_s):
            return parser.parse(raw)
    except _DeadlineError:
        return Unreadable.DEADLINE
    except MemoryError:
        return Unreadable.MEMORY


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _raise_deadline(_signal: int, _frame: FrameType | None) -> None:
    raise _DeadlineError


def _limit_memory(message_bytes: int) -> None:
    """Allow what the process has now and `message_bytes` more of address space."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[_STATM_TOTAL])
    limit = pages * resource.getpagesize() + message_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(0)
