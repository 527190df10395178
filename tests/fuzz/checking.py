"""What must hold of every message: read and judged in its limits, sound to store, explained alike."""

from __future__ import annotations

import dataclasses
import json
import pickle
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bounced.model import Action
from bounced.parser.classify import explain
from bounced.parser.report import HeaderNames
from bounced.parser.ruleset import parse_rules
from bounced.processor.worker import Limits, Parsed, Parser, Unread, Worker, silence_libraries

_MAX_EXPLAINED = 3


@dataclass(frozen=True)
class Outcome:
    """What became of one message."""

    kind: str
    seconds: float
    peak_bytes: int
    """The most that the process ever held, this message included."""
    fault: str | None


def find_fault(parsed: Parsed, parser: Parser) -> str | None:
    """Return what does not hold of a message that was read; None where all does."""
    try:
        text = json.dumps(dataclasses.asdict(parsed), default=str, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError as error:
        return f"a text that cannot be stored: {error}"
    if "\\u0000" in text:
        return "a NUL in a text"
    pairs = zip(parsed.report.recipients, parsed.verdicts, strict=True)
    judged = [(facts, verdict) for facts, verdict in pairs if verdict is not None]
    for facts, verdict in judged[:_MAX_EXPLAINED]:
        if facts.action is not Action.FAILED:
            return "a verdict on a recipient that did not fail"
        told = explain(facts, parser.rules, reporting_mta=parsed.report.reporting_mta)
        if told.verdict != verdict:
            return f"explained as {told.verdict}, not {verdict}"
        for candidate in told.candidates:
            if candidate.stands_at is not None:
                said = facts.replies[candidate.reply].text[slice(*candidate.stands_at)]
                if not said.startswith(candidate.evidence):
                    return f"evidence {candidate.evidence!r} stands elsewhere: {said!r}"
    return None


def measure(worker: Worker, parser: Parser, raw: bytes) -> Outcome:
    """Read one message under the worker's limits and look at the result."""
    begun = time.perf_counter()
    (result,) = worker.parse_batch([raw])
    seconds = time.perf_counter() - begun
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if isinstance(result, Unread):
        fault = f"{result.why} {result.detail or ''}"
        return Outcome(result.why.value, seconds, peak_bytes, fault)
    pickle.dumps(result)
    return Outcome(result.report.kind.value, seconds, peak_bytes, find_fault(result, parser))


def run(pipe: Connection, files: Mapping[str, str], names: HeaderNames, limits: Limits) -> None:
    """Be a parser process of the pool that answers with outcomes."""
    silence_libraries()
    parser = Parser(parse_rules(files), names)
    worker = Worker(parser, limits)
    pipe.send(None)
    try:
        while True:
            pipe.send([measure(worker, parser, raw) for raw in pipe.recv()])
    except (EOFError, OSError):
        return
