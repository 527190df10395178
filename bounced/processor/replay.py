"""Stored reports through today's parser, rules and settings: what is different, and the mend.

Origin stays as it was judged when the report came; only where no author was found is it asked
again. What today's parser cannot read within its limits stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources

from sqlalchemy import Connection

from bounced.ledger import replays, sends, strikes
from bounced.ledger.counting import Counted, StrikeCounter
from bounced.ledger.engine import Ledger
from bounced.ledger.health import is_lost
from bounced.ledger.records import NewReport
from bounced.ledger.replays import Change, JudgedReport, Place, Run, TakenOverError
from bounced.ledger.reports import Finding
from bounced.ledger.strikes import Opened, Outcome
from bounced.model import Send, TokenType
from bounced.processor import events
from bounced.processor.processor import CLAIM, CLAIM_BYTES, ProcessorSettings, judge
from bounced.processor.worker import Parsed, Result, Unread

Parse = Callable[[Sequence[bytes]], Sequence[Result]]
_Read = tuple[JudgedReport, Parsed, Send | None]

_JUDGES = ("parser", "origin", "ledger")
"""Packages whose code decides what becomes of a report."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch brought."""

    reports: int
    changes: tuple[Change, ...] = ()
    left_alone: tuple[str, ...] = ()
    """Reports that could not be read or recorded: they stay as they are."""
    outcomes: tuple[Outcome, ...] = ()
    """Of a replay that corrects."""
    opened: tuple[Opened, ...] = ()

    @property
    def added(self) -> int:
        """Return how many strikes were not there before."""
        return sum(
            isinstance(item, Counted) and item.is_new
            for outcome in self.outcomes
            for item in outcome.recipients
        )

    def __add__(self, other: Step) -> Step:
        return Step(
            self.reports + other.reports,
            self.changes + other.changes,
            self.left_alone + other.left_alone,
            self.outcomes + other.outcomes,
            self.opened + other.opened,
        )


class Replay:
    """Judges stored reports anew, batch by batch; each batch is one transaction.

    One that corrects raises TakenOverError when another has begun meanwhile.
    """

    def __init__(
        self,
        ledger: Ledger,
        parse: Parse,
        settings: ProcessorSettings,
        *,
        since_at: datetime | None,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._parse = parse
        self._settings = settings
        self._since_at = since_at
        self._clock = clock
        self._new_id = new_id
        self._run: Run | None = None
        self._after: Place | None = None

    def correct(self, fingerprint: str) -> bool:
        """Let the replay correct what it finds; tell whether it goes on with an earlier one.

        Raises SinceError where it must not begin so late.
        """
        now = self._clock()
        self._run = self._ledger.write(
            lambda connection: replays.begin(connection, fingerprint, self._since_at, now)
        )
        self._after = self._run.after
        if self._after is None:
            self._clear(self._run)
        return self._after is not None

    def count(self) -> int:
        """Return how many reports are still to be looked at."""
        return self._ledger.read(
            lambda connection: replays.count_left(connection, self._since_at, self._after)
        )

    def run(self) -> Iterator[Step]:
        """Judge what is left, oldest first."""
        while batch := self._ledger.read(self._read_batch):
            yield self._judge(batch)
        run = self._run
        if run is not None:
            self._clear(run)
            self._ledger.write(lambda connection: replays.end(connection, run))

    def _clear(self, run: Run) -> None:
        while self._ledger.write(lambda connection: replays.clear_some(connection, run)):
            pass

    def _read_batch(self, connection: Connection) -> list[JudgedReport]:
        return replays.read_batch(
            connection, self._since_at, self._after, limit=CLAIM, max_bytes=CLAIM_BYTES
        )

    def _judge(self, batch: Sequence[JudgedReport]) -> Step:
        results = self._parse([judged.stored.arrival.delivered for judged in batch])
        known = self._ledger.read(lambda connection: sends.find(connection, _list_sends(batch)))
        read: list[_Read] = []
        unread: list[str] = []
        for judged, result in zip(batch, results, strict=True):
            arrival = judged.stored.arrival
            if isinstance(result, Unread):
                unread.append(arrival.report)
                events.log_unread(arrival, result)
            else:
                read.append((judged, result, known.get(arrival.token_id or "")))
        self._after = _find_place(batch[-1].stored.arrival)
        step = Step(len(batch), left_alone=tuple(unread))
        return step + self._settle(read) if read else step

    def _settle(self, read: Sequence[_Read]) -> Step:
        """Judge, compare, and correct, in one transaction.

        Where that fails, each report has its own, so that one report alone stays as it is.
        """
        try:
            return self._settle_once(read)
        except TakenOverError:
            raise
        except Exception as error:  # the last resort for one report
            if is_lost(error):
                raise
            if len(read) > 1:
                return sum((self._settle([each]) for each in read), Step(0))
            arrival = read[0][0].stored.arrival
            events.log_left_alone(arrival, error)
            return Step(0, left_alone=(arrival.report,))

    def _settle_once(self, read: Sequence[_Read]) -> Step:
        run, policy = self._run, self._settings.policy
        findings = [
            _keep_origin(judged, judge(judged.stored, parsed, send, self._settings))
            for judged, parsed, send in read
        ]
        if run is None:
            decided = [(finding, strikes.decide(finding, policy)) for finding in findings]
            changes = self._ledger.read(lambda c: replays.find_changes(c, decided))
            return Step(0, tuple(changes))
        now = self._clock()

        def work(connection: Connection) -> Step:
            replays.advance(connection, run, _find_place(findings[-1].arrival))
            counter = StrikeCounter(connection, policy, now, replays=True)
            return _correct(connection, findings, counter, run, self._new_id)

        return self._ledger.write(work)


def find_fingerprint(rules: Mapping[str, str], settings: Iterable[str]) -> str:
    """Return what tells one way of judging from another: rules, code, settings; 16 hex digits."""
    digest = hashlib.sha256()
    for text in (*(text for pair in rules.items() for text in pair), *settings):
        digest.update(f"{len(text)} {text}".encode("utf-8", "replace"))
    for package in _JUDGES:
        folder = resources.files("bounced").joinpath(package)
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                digest.update(entry.read_bytes())
    return digest.hexdigest()[:16]


def _correct(
    connection: Connection,
    findings: Sequence[Finding],
    counter: StrikeCounter,
    run: Run,
    new_id: Callable[[], str],
) -> Step:
    ids = [finding.arrival.report for finding in findings]
    there = replays.find_processed(connection, ids)
    decided = [
        (finding, strikes.decide(finding, counter.settings))
        for finding in findings
        if finding.arrival.report in there
    ]
    authors = strikes.lock_counted(connection, decided)
    changes = replays.find_changes(connection, decided)
    replays.keep_quiet(connection, run, ids)
    outcomes = strikes.settle(connection, decided, counter)
    opened = strikes.open_digests(connection, authors, counter.now, new_id)
    return Step(0, tuple(changes), (), tuple(outcomes), tuple(opened))


def _keep_origin(judged: JudgedReport, finding: Finding) -> Finding:
    """Put back whose mail it was; what is not in quarantine does not get there."""
    if judged.author is None and not finding.quarantined:
        return finding
    return replace(
        finding,
        trust=judged.trust,
        author=judged.author,
        source=judged.source,
        reference=judged.reference,
        why=judged.why,
        detail=judged.detail,
        quarantined=False,
    )


def _find_place(arrival: NewReport) -> Place:
    return Place(arrival.received_at, arrival.report)


def _list_sends(batch: Iterable[JudgedReport]) -> set[str]:
    arrivals = [judged.stored.arrival for judged in batch]
    return {
        arrival.token_id
        for arrival in arrivals
        if arrival.token_type is TokenType.SEND and arrival.token_id
    }
