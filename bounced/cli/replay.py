"""`bounced replay`: what today's parser and rules make of the reports that are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import typer

from bounced.cli.access import load_to_act
from bounced.cli.options import (
    ConfigOption,
    Exit,
    InputError,
    JsonOption,
    LaterError,
    SinceOption,
    find_since,
    open_ledger,
)
from bounced.cli.output import complain, follow, print_rows, print_table, say
from bounced.config import Settings
from bounced.daemon import make_id, read_clock
from bounced.ledger.replays import SinceError, TakenOverError, Word
from bounced.logs import Event, emit
from bounced.plan import load_rules, make_pool
from bounced.processor import events
from bounced.processor.pool import ParserPool
from bounced.processor.processor import ProcessorSettings
from bounced.processor.replay import Replay, Step, find_fingerprint
from bounced.wiring import make_origin, make_policy

_Difference = tuple[Word, Word, bool]


def replay(
    since: SinceOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Correct what differs; nobody is mailed for it.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read stored reports again by today's parser, rules and settings, and show what differs.

    Changes nothing unless told to, and exits 1 when something differs. With --apply it corrects
    verdicts, strikes and cases, beside a running daemon too: it causes no mail and gives no
    notice back. When interrupted, run it again: it goes on. Quarantine is left alone. Exits 1
    also when a report had to be left as it is.
    """
    settings = load_to_act(config)
    since_at = find_since(since, read_clock())
    rules = load_rules(settings)
    fingerprint = find_fingerprint(rules, _list_settings(settings))
    pool = make_pool(settings, rules)
    with open_ledger(settings) as ledger, asyncio.Runner() as runner:
        work = Replay(
            ledger,
            lambda raws: runner.run(pool.parse(raws)),
            ProcessorSettings(make_origin(settings), make_policy(settings)),
            since_at=since_at,
            clock=read_clock,
            new_id=make_id,
        )
        seen = _run(work, pool, fingerprint if apply else None, as_json=as_json)
    _tell(seen, apply=apply, as_json=as_json)
    if seen.left_alone or (seen.counts and not apply):
        raise typer.Exit(Exit.FOUND)


@dataclass
class _Seen:
    """What a replay has brought so far."""

    reports: int = 0
    differing: int = 0
    """Reports."""
    counts: dict[_Difference, int] = field(default_factory=dict)
    """Recipients of each difference."""
    samples: dict[_Difference, str] = field(default_factory=dict)
    left_alone: list[str] = field(default_factory=list)
    added: int = 0
    withdrawn: int = 0

    def add(self, step: Step) -> None:
        self.reports += step.reports
        self.differing += len({change.report for change in step.changes})
        for change in step.changes:
            difference = (change.was, change.now, change.renamed)
            self.counts[difference] = self.counts.get(difference, 0) + 1
            self.samples.setdefault(difference, change.report)
        self.left_alone += step.left_alone
        self.added += step.added
        self.withdrawn += sum(outcome.withdrawn for outcome in step.outcomes)

    def list_differences(self) -> list[_Difference]:
        """Return the most frequent first."""
        return sorted(self.counts, key=lambda each: (-self.counts[each], self.samples[each]))


def _run(work: Replay, pool: ParserPool, fingerprint: str | None, *, as_json: bool) -> _Seen:
    """Replay to the end; raises LaterError when somebody interrupts it, InputError."""
    seen = _Seen()
    try:
        if fingerprint is not None and work.correct(fingerprint) and not as_json:
            say(f"a replay was interrupted: it goes on, {work.count()} reports are left")
        for _ in follow(_watch(work, seen), total=work.count(), label="replaying"):
            pass
    except SinceError as error:
        raise InputError(str(error)) from None
    except TakenOverError as error:
        raise LaterError(
            f"stopped after {seen.reports} reports: {error}; what was found in them is "
            "corrected; run it again when no other runs"
        ) from None
    except KeyboardInterrupt:
        raise LaterError(
            f"interrupted after {seen.reports} reports; "
            + (
                "what was found in them is corrected; run it again, and it goes on"
                if fingerprint
                else "nothing was changed"
            )
        ) from None
    finally:
        pool.stop()
        # Of an interrupted run too: what it found is corrected.
        if fingerprint is not None and seen.differing:
            emit(
                Event.OPERATOR_ACTED,
                action="replay",
                detail=f"{seen.differing} of {seen.reports} reports differed, "
                f"{seen.added} strikes added, {seen.withdrawn} taken back",
            )
    return seen


def _watch(work: Replay, seen: _Seen) -> Iterator[None]:
    """Yield once for each report that is done."""
    for step in work.run():
        seen.add(step)
        for outcome in step.outcomes:
            events.log_clusters(outcome)
        events.log_opened(step.opened)
        yield from [None] * step.reports


def _list_settings(settings: Settings) -> list[str]:
    """Return the settings that decide what becomes of a report."""
    sections = (settings.return_path, settings.authors, settings.ledger, settings.notices)
    return [section.model_dump_json() for section in sections]


def _tell(seen: _Seen, *, apply: bool, as_json: bool) -> None:
    differences = seen.list_differences()
    if as_json:
        print_rows(_describe(seen, difference) for difference in differences)
    elif differences:
        lines = [
            (
                _show_word(was, now),
                [*_show_word(now, was), "another recipient" if renamed else None],
                seen.counts[was, now, renamed],
                seen.samples[was, now, renamed],
            )
            for was, now, renamed in differences
        ]
        print_table("", ("was", "is now", "recipients", "such as report"), lines)
    if seen.left_alone:
        complain(
            f"{len(seen.left_alone)} of {seen.reports} reports stay as they are, such as "
            f"{seen.left_alone[0]}: they cannot be read within the limits of [workers], or "
            "judged or recorded, of which the log tells"
        )
    if not as_json:
        say(_sum_up(seen, apply=apply))


def _sum_up(seen: _Seen, *, apply: bool) -> str:
    looked = f"looked at {seen.reports} reports"
    recipients = sum(seen.counts.values())
    if not recipients:
        return f"{looked}: no difference"
    found = f"{looked}: {recipients} recipients of {seen.differing} reports"
    if not apply:
        return f"{found} differ; nothing was changed, `bounced replay --apply` corrects them"
    return (
        f"{found} corrected, {seen.added} strikes added, {seen.withdrawn} taken back; "
        "nobody is mailed for it"
    )


def _describe(seen: _Seen, difference: _Difference) -> dict[str, Any]:
    was, now, renamed = difference
    return {
        "was": asdict(was),
        "now": asdict(now),
        "renamed": renamed,
        "count": seen.counts[difference],
        "report": seen.samples[difference],
    }


def _show_word(word: Word, other: Word) -> list[str | None]:
    """Return what is said of a recipient, a line each."""
    kind = word.kind if word.kind != other.kind else None
    if not word.named:
        return [kind, "no such recipient"]
    if word.category is None:
        return [kind, word.action or "no verdict"]
    return [
        kind,
        f"{word.category} / {word.reason}",
        f"rule {word.rule}" if word.rule else "no rule",
        f"not counted: {word.ignored}" if word.ignored else None,
    ]
