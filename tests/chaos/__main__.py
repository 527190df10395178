"""`python -m tests.chaos`: histories with real kills; prints a table, exits 1 on a violation.

The same seed and runs make the same histories; `--only N` repeats one of them. Where several
notices are on their way at once, a daemon may then be killed over another of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.history import DATABASES, KINDS, POINTS, History, list_histories, make_base
from tests.chaos.site import Result, Site, open_site
from tests.postgres import run_postgres

_MEMORY = Path("/dev/shm")
"""A kill loses nothing that was written, so the files need no disk."""


@dataclass
class Tally:
    """The figures of one database."""

    runs: int = 0
    mails: int = 0
    uncertain: int = 0
    unlogged: int = 0
    faults: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        """Count one run."""
        self.runs += 1
        self.mails += len(result.mails)
        self.uncertain += sum(not mail.certain for mail in result.mails)
        self.unlogged += result.unlogged
        self.faults += len(result.faults)
        self.kills += result.kills
        self.states += result.states


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="repeat this run alone, and show it")
    parser.add_argument("--database", choices=DATABASES, help="default: both")
    options = parser.parse_args()
    chosen = (options.database,) if options.database else DATABASES
    with ExitStack() as stack:
        sites = {name: stack.enter_context(_open(name)) for name in chosen}
        return asyncio.run(_run(sites, options))


@contextmanager
def _open(database: str) -> Iterator[Site]:
    place = _MEMORY if _MEMORY.is_dir() else None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory("-chaos", dir=place)))
        url = f"sqlite:///{folder}/bounced.db"
        if database == "postgresql":
            server = stack.enter_context(run_postgres())
            server.execute("CREATE DATABASE chaos")
            url = server.make_url("chaos")
        yield stack.enter_context(open_site(folder, url))


async def _run(sites: Mapping[str, Site], options: argparse.Namespace) -> int:
    """Run every history, those of one database one after the other; return the exit code."""
    begun = time.monotonic()
    dry = await asyncio.gather(*(_run_dry(name, site) for name, site in sites.items()))
    points = dict(zip(sites, dry, strict=True))
    histories = list(enumerate(list_histories(options.seed, options.runs, tuple(sites))))
    if options.only is not None:
        histories = [histories[options.only]]

    async def run_all(name: str, site: Site) -> Tally:
        tally = Tally()
        for number, history in histories:
            if history.database == name:
                result = await site.run(history, f"{options.seed}/{number}")
                tally.add(result)
                if result.faults or options.only is not None:
                    _show(number, history, result)
        await site.sink.stop()
        return tally

    tallies = await asyncio.gather(*(run_all(name, site) for name, site in sites.items()))
    _print_table(points, dict(zip(sites, tallies, strict=True)), time.monotonic() - begun)
    return int(any(tally.faults for tally in tallies))


async def _run_dry(name: str, site: Site) -> dict[str, int]:
    """Return the points of the base history, by kind."""
    await site.start()
    result = await site.run(make_base(name), "dry")
    if result.faults:
        _show(-1, make_base(name), result)
    for kind, most in POINTS.items():
        assert result.points[kind] <= most, f"{name}: more points than POINTS[{kind!r}] allows for"
    return result.points


def _show(number: int, history: History, result: Result) -> None:
    """Print a run and what is wrong with it."""
    print(f"run {number} on {history.database}: kills {history.kills}")
    print(f"    {dict(history.settings)}")
    for manner in history.manners:
        print(f"    relay: {manner.phase} {manner.act}")
    for step in history.steps:
        print(f"    {step}")
    for item in result.timeline:
        print(f"    {item}")
    for fault in result.faults:
        print(f"  VIOLATION {fault}")
    sys.stdout.flush()


def _print_table(
    points: dict[str, dict[str, int]], tallies: dict[str, Tally], elapsed_s: float
) -> None:
    print(f"{'':<28}" + "".join(f"{name:>12}" for name in tallies))
    for title, values in _list_rows(points, tallies):
        print(f"{title:<28}" + "".join(f"{value:>12,}" for value in values))
    runs = sum(tally.runs for tally in tallies.values())
    print(f"{runs:,} runs in {elapsed_s:,.0f} s, {elapsed_s / max(1, runs) * 1e3:,.0f} ms each")


def _list_rows(
    points: dict[str, dict[str, int]], tallies: dict[str, Tally]
) -> Iterator[tuple[str, list[int]]]:
    each = tallies.values()
    yield "runs", [tally.runs for tally in each]
    for kind in points[next(iter(points))]:
        yield f"points of kind {kind}", [points[name].get(kind, 0) for name in tallies]
    for kind in KINDS:
        yield f"killed at {kind}", [tally.kills[kind] for tally in each]
    yield "mails arrived", [tally.mails for tally in each]
    yield "  their reply lost", [tally.uncertain for tally in each]
    for state in ("sent", "failed", "outcome_unknown"):
        yield f"notices {state}", [tally.states[state] for tally in each]
    yield "  killed before its line", [tally.unlogged for tally in each]
    yield "violations", [tally.faults for tally in each]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
