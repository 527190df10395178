"""What runs in a parser process: bytes to facts and verdicts, each message under its limits."""

from __future__ import annotations

import logging
import os
import resource
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import connection, parent_process
from pathlib import Path
from types import FrameType

from bounced.model import Action, Report, Verdict
from bounced.parser.classify import Texts, classify
from bounced.parser.report import HeaderNames, read_report
from bounced.parser.rule import RuleSet
from bounced.parser.ruleset import parse_rules

_STATM = Path("/proc/self/statm")
"""Linux only; elsewhere the deadline alone guards."""


class Unreadable(StrEnum):
    """Why a message could not be read; the `why` of its quarantine."""

    DEADLINE = "deadline"
    MEMORY = "memory"
    PARSER_FAILED = "parser-failed"
    WORKER_KILLED = "worker-killed"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message, read and judged."""

    report: Report
    verdicts: tuple[Verdict | None, ...]
    """One for each of the report's recipients; None unless that recipient failed."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that could not be read."""

    why: Unreadable
    detail: str | None = None
    """Which error, and where in our code; never a word of the message."""


Result = Parsed | Unread


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
        texts = Texts(self.rules)
        return Parsed(
            report,
            tuple(
                classify(facts, self.rules, reporting_mta=report.reporting_mta, texts=texts)
                if facts.action is Action.FAILED
                else None
                for facts in report.recipients
            ),
        )


class _DeadlineError(BaseException):
    """Raised by the timer; no `except Exception` of a library may keep it."""


class Worker:
    """One process's parser with the limits of each message."""

    def __init__(self, parser: Parser, limits: Limits) -> None:
        self._parser = parser
        self._limits = limits
        signal.signal(signal.SIGALRM, _raise_deadline)
        _limit_memory(limits.memory_bytes)

    def parse_batch(self, messages: Sequence[bytes]) -> list[Result]:
        """Read messages one by one, each under its deadline and the memory limit."""
        return [self._parse(raw) for raw in messages]

    def _parse(self, raw: bytes) -> Result:
        try:
            with _deadline(self._limits.deadline_s):
                return self._parser.parse(raw)
        except _DeadlineError:
            return Unread(Unreadable.DEADLINE)
        except MemoryError:
            return Unread(Unreadable.MEMORY)
        except Exception as error:  # noqa: BLE001 - a bug of the parser's must not stop the others
            return Unread(Unreadable.PARSER_FAILED, _describe(error))


def run(
    pipe: connection.Connection, files: Mapping[str, str], names: HeaderNames, limits: Limits
) -> None:
    """Say that all is ready, then answer batch after batch until the daemon has gone.

    The process ends with the daemon, however that ends, also in the midst of a message.
    """
    silence_libraries()
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # a terminal's, meant for the daemon
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = Worker(Parser(parse_rules(files), names), limits)
    try:
        pipe.send(None)
        while True:
            pipe.send(worker.parse_batch(pipe.recv()))
    except (EOFError, OSError):
        return
    except MemoryError:
        os._exit(1)  # a batch too large to take in: the daemon tries its messages alone


def silence_libraries() -> None:
    """Keep libraries off stderr, which holds the daemon's log; what matters is in the results."""
    logging.disable()
    warnings.simplefilter("ignore")


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
    if _STATM.exists():
        pages = int(_STATM.read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + message_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(0)


def _describe(error: Exception) -> str:
    """Name the error and the place, but not its text, which may quote the message."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
