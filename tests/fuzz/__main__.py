"""`python -m tests.fuzz`: mutated messages through the parser processes, each under its limits.

A message that fails is written to a file and named; the same seed and number make it again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from bounced.config import WorkerSettings
from bounced.parser.report import HeaderNames
from bounced.parser.ruleset import parse_rules
from bounced.processor.pool import ParserPool
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Limits, Unread
from tests.fuzz.checking import Outcome, run
from tests.fuzz.mutations import Mutant, make_mutant
from tests.fuzz.seeds import make_seeds, read_corpus

_CHUNK = 400
_PER_BYTES = 100_000


@dataclass
class Tally:
    """The figures of a run."""

    kinds: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    """Seconds and number."""
    dearest: tuple[float, int] = (0.0, 0)
    """Seconds for each 100 KB, a smaller message counted as one; and number."""
    largest: tuple[int, int] = (0, 0)
    """Bytes and number."""
    peak_bytes: int = 0

    def add(self, number: int, mutant: Mutant, outcome: Outcome) -> None:
        """Count one message."""
        size = len(mutant.raw)
        self.kinds[outcome.kind] += 1
        self.steps.update(mutant.steps)
        self.slowest = max(self.slowest, (outcome.seconds, number))
        self.dearest = max(self.dearest, (outcome.seconds / max(1.0, size / _PER_BYTES), number))
        self.largest = max(self.largest, (size, number))
        self.peak_bytes = max(self.peak_bytes, outcome.peak_bytes)

    def print(self, elapsed_s: float) -> None:
        """Print the figures."""
        total = self.kinds.total()
        print(f"{total:>10,}  messages in {elapsed_s:,.0f} s, {len(self.failed)} failed")
        for kind, count in self.kinds.most_common():
            print(f"{count:>10,}  {kind}")
        for step, count in self.steps.most_common():
            print(f"{count:>10,}  {step}")
        print(f"{self.slowest[0] * 1e3:>10,.1f}  ms, the slowest (number {self.slowest[1]})")
        print(f"{self.dearest[0] * 1e3:>10,.1f}  ms per 100 KB (number {self.dearest[1]})")
        print(f"{self.largest[0]:>10,}  bytes, the largest (number {self.largest[1]})")
        print(f"{self.peak_bytes / 2**20:>10,.0f}  MiB, the most a parser process held")


async def fuzz(options: argparse.Namespace) -> Tally:
    """Run until count or time is reached."""
    files = read_rule_files([])
    seeds = make_seeds(parse_rules(files)) + read_corpus()
    workers = WorkerSettings()
    limits = Limits(workers.message_deadline.total_seconds(), workers.message_memory)
    pool = ParserPool(files, HeaderNames(), limits, options.processes, run=run)
    tally = Tally()
    begun = time.monotonic()
    try:
        for start in range(options.first, options.first + options.count, _CHUNK):
            if options.seconds and time.monotonic() - begun > options.seconds:
                break
            numbers = range(start, min(start + _CHUNK, options.first + options.count))
            mutants = [make_mutant(seeds, options.seed, number) for number in numbers]
            # The processes run our own `run`, which answers with outcomes.
            results = cast("list[Outcome]", await pool.parse([each.raw for each in mutants]))
            for number, mutant, outcome in zip(numbers, mutants, results, strict=True):
                _take(tally, options, number, mutant, outcome)
            if sys.stderr.isatty() or not (start - options.first) % (25 * _CHUNK):
                sys.stderr.write(f"{tally.kinds.total():>10,}  of {options.count:,}\n")
    finally:
        pool.stop()
    tally.print(time.monotonic() - begun)
    return tally


def _take(
    tally: Tally,
    options: argparse.Namespace,
    number: int,
    mutant: Mutant,
    outcome: Outcome | Unread,
) -> None:
    if isinstance(outcome, Unread):  # the process was killed
        outcome = Outcome(outcome.why.value, 0.0, 0, outcome.why.value)
    tally.add(number, mutant, outcome)
    if outcome.fault:
        options.failures.mkdir(exist_ok=True)
        path = options.failures / f"{options.seed}-{number}.eml"
        path.write_bytes(mutant.raw)
        tally.failed.append(str(path))
        print(f"{path}: {' '.join(mutant.steps)}: {outcome.fault}")


def main() -> int:
    """Run; 1 where a message failed."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--count", type=int, default=50_000, help="messages [50000]")
    options.add_argument("--first", type=int, default=0, help="number of the first [0]")
    options.add_argument("--seed", type=int, default=1, help="of the random numbers [1]")
    options.add_argument("--seconds", type=float, default=0, help="stop after so long [never]")
    options.add_argument("--processes", type=int, default=2, help="parser processes [2]")
    options.add_argument(
        "--failures", type=Path, default=Path("fuzz-failures"), help="where failing messages go"
    )
    return int(bool(asyncio.run(fuzz(options.parse_args())).failed))


if __name__ == "__main__":
    sys.exit(main())
