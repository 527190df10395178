"""A replay: which stored reports are judged anew, how far it has come, what is different.

Quarantine is left alone, and so is whose mail a report spoke of, once that was known. A replay
never makes a case due: strikes that were not about to be told when it began, and those that it
adds, are quiet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from bounced.ledger.counting import clear
from bounced.ledger.failures import Decision, describe_failures, find_unnamed
from bounced.ledger.records import ReportState
from bounced.ledger.reports import Finding, StoredReport, cut_by_size, read_stored
from bounced.ledger.schema import cases, failures, replays, reports, strikes
from bounced.ledger.strikes import lock_authors
from bounced.model import BouncedError, OriginSource, Trust, recipient_key

_AUTHORS = 100
"""Authors that one transaction may lock: their number is limited."""
_STILL = and_(strikes.c.notice.is_(None), strikes.c.quiet.is_(False))
_NOT_DUE = strikes.c.case.in_(select(cases.c.case).where(cases.c.due_at.is_(None)))


class SinceError(BouncedError):
    """A replay would have to look further back than it is told to."""


class TakenOverError(BouncedError):
    """Another replay took the place of this one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A report in the order of a replay: by receipt, then by id."""

    received_at: datetime
    report: str


@dataclass(frozen=True, slots=True)
class Run:
    """A replay that corrects, as it began."""

    fingerprint: str
    """What it judges with: rules, parser and settings."""
    started_at: datetime
    after: Place | None
    """The last report that is done."""


@dataclass(frozen=True, slots=True)
class JudgedReport:
    """A processed report with what was known of its origin."""

    stored: StoredReport
    trust: Trust
    author: str | None
    source: OriginSource | None
    reference: str | None
    why: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Word:
    """What the ledger says, or would say, of one recipient of a report."""

    kind: str | None
    """Of the report."""
    named: bool = True
    """False: the report names no such recipient."""
    action: str | None = None
    category: str | None = None
    reason: str | None = None
    rule: str | None = None
    ignored: str | None = None
    """Why it does not count; None where it does."""


@dataclass(frozen=True, slots=True)
class Change:
    """One recipient of whom the ledger would say something else today."""

    report: str
    was: Word
    now: Word
    renamed: bool = False
    """Whether the recipient is read as another."""


def begin(
    connection: Connection, fingerprint: str, since_at: datetime | None, now: datetime
) -> Run:
    """Begin a replay, or go on with one of the same fingerprint that was interrupted.

    One of another fingerprint has lost its place. Raises SinceError.
    """
    unnamed = find_unnamed(connection, since_at) if since_at is not None else None
    if unnamed is not None:
        raise SinceError(
            f"report {unnamed} and others from before the upgrade to schema 0002 must be read "
            "first: run `bounced replay --apply` once without --since"
        )
    if connection.dialect.name == "postgresql":
        # Two that begin at once would not see each other; batches that go on wait here.
        connection.execute(text("LOCK TABLE replays IN SHARE ROW EXCLUSIVE MODE"))
    chosen = replays.c.fingerprint == fingerprint
    connection.execute(delete(replays).where(~chosen))
    row = connection.execute(select(replays).where(chosen)).one_or_none()
    if row is not None and not _reaches_back(row.since_at, since_at):
        connection.execute(delete(replays).where(chosen))
        row = None
    if row is None:
        values = {"fingerprint": fingerprint, "since_at": since_at, "started_at": now}
        connection.execute(insert(replays).values(values))
        connection.execute(update(strikes).where(_STILL).where(_NOT_DUE).values(quiet=True))
        return Run(fingerprint, now, None)
    done = Place(row.received_at, row.report) if row.report else None
    return Run(fingerprint, row.started_at, done)


def advance(connection: Connection, run: Run, done: Place) -> None:
    """Note that a replay has come so far; raises TakenOverError.

    Comes first in its transaction: `begin` waits for it, and does so holding nothing.
    """
    _write_run(connection, run, {"received_at": done.received_at, "report": done.report})


def clear_some(connection: Connection, run: Run) -> bool:
    """Delete what was taken back and never told, of some authors; False: there is nothing.

    Raises TakenOverError: another replay may still count for it.
    """
    _write_run(connection, run, {"started_at": run.started_at})
    chosen = and_(strikes.c.withdrawn, strikes.c.notice.is_(None))
    query = select(strikes.c.author).where(chosen).distinct().order_by(strikes.c.author)
    authors = connection.execute(query.limit(_AUTHORS)).scalars().all()
    lock_authors(connection, authors)
    for author in authors:
        clear(connection, author)
    return bool(authors)


def end(connection: Connection, run: Run) -> None:
    """Note that a replay has come to its end: another one begins anew."""
    connection.execute(delete(replays).where(*_choose_run(run)))


def keep_quiet(connection: Connection, run: Run, ids: Sequence[str]) -> None:
    """Let what was counted meanwhile, and is not due, not become due by being judged anew."""
    connection.execute(
        update(strikes)
        .where(strikes.c.report.in_(ids))
        .where(strikes.c.counted_at > run.started_at)
        .where(_STILL)
        .where(_NOT_DUE)
        .values(quiet=True)
    )


def count_left(connection: Connection, since_at: datetime | None, after: Place | None) -> int:
    """Return how many reports a replay has before it."""
    return int(connection.execute(_choose(func.count(), since_at, after)).scalar_one())


def read_batch(
    connection: Connection,
    since_at: datetime | None,
    after: Place | None,
    *,
    limit: int,
    max_bytes: int,
) -> list[JudgedReport]:
    """Return the next processed reports, oldest first; at least one, if one is left."""
    rows = connection.execute(
        _choose(reports, since_at, after)
        .order_by(reports.c.received_at, reports.c.report)
        .limit(limit)
    ).all()
    known = {row.report: row for row in cut_by_size(rows, max_bytes)}
    return [
        _read_judged(stored, known[stored.arrival.report])
        for stored in read_stored(connection, list(known))
    ]


def find_processed(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of these reports are there still, and processed."""
    chosen = (reports.c.report.in_(ids), reports.c.state == ReportState.PROCESSED.value)
    return set(connection.execute(select(reports.c.report).where(*chosen)).scalars())


def find_changes(
    connection: Connection, decided: Sequence[tuple[Finding, Sequence[Decision]]]
) -> list[Change]:
    """Compare what was found anew with what is stored."""
    ids = [finding.arrival.report for finding, _ in decided]
    stored = connection.execute(
        select(reports.c.report.label("of"), reports.c.kind, failures)
        .outerjoin(failures, failures.c.report == reports.c.report)
        .where(reports.c.report.in_(ids))
        .order_by(reports.c.report, failures.c.position)
    ).all()
    rows: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in stored:
        rows[row.of].append(row)
    return [
        change
        for finding, decisions in decided
        for change in _compare(finding, decisions, rows[finding.arrival.report])
    ]


def _compare(
    finding: Finding, decisions: Sequence[Decision], stored: Sequence[Row[Any]]
) -> Iterable[Change]:
    """Yield what is different in one report; `stored` has a row without failure if it has none."""
    if not stored:
        return
    old_kind, new_kind = stored[0].kind, finding.report.kind.value
    old = [row._mapping for row in stored if row.position is not None]  # noqa: SLF001 - public in SQLAlchemy
    new = describe_failures(finding, decisions)
    for was, now, renamed in _match(old, new):
        change = Change(
            finding.arrival.report, _tell(old_kind, was), _tell(new_kind, now), renamed
        )
        if renamed or change.was != change.now:
            yield change


def _match(old: Sequence[Any], new: Sequence[Any]) -> Iterable[tuple[Any, Any, bool]]:
    """Pair the recipients of two readings: by address, what is left in order."""
    if not old and not new:
        yield None, None, False
    waiting: dict[str, list[Any]] = defaultdict(list)
    for row in reversed(old):
        waiting[_name(row)].append(row)
    left = []
    for row in new:
        if waiting[_name(row)]:
            yield waiting[_name(row)].pop(), row, False
        else:
            left.append(row)
    gone = sorted(
        (row for rows in waiting.values() for row in rows), key=lambda row: int(row["position"])
    )
    for was, now in zip_longest(gone, left):
        yield was, now, was is not None and now is not None


def _name(row: Any) -> str:
    return recipient_key(row["final_recipient"] or row["original_recipient"] or "")


def _tell(kind: str | None, row: Any) -> Word:
    if row is None:
        return Word(kind, named=False)
    return Word(
        kind,
        action=row["action"],
        category=row["category"],
        reason=row["reason"],
        rule=row["rule"],
        ignored=row["ignored"],
    )


def _write_run(connection: Connection, run: Run, values: dict[str, Any]) -> None:
    if not connection.execute(update(replays).where(*_choose_run(run)).values(values)).rowcount:
        raise TakenOverError("another replay has begun, or come to its end, since this one began")


def _choose_run(run: Run) -> tuple[ColumnElement[bool], ...]:
    """Two of the same fingerprint and start are one: they share their place."""
    return replays.c.fingerprint == run.fingerprint, replays.c.started_at == run.started_at


def _reaches_back(earlier: datetime | None, later: datetime | None) -> bool:
    """Tell whether a replay since `earlier` looks at all that one since `later` looks at."""
    return earlier is None or (later is not None and earlier <= later)


def _choose(what: Any, since_at: datetime | None, after: Place | None) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [reports.c.state == ReportState.PROCESSED.value]
    if since_at is not None:
        conditions.append(reports.c.received_at >= since_at)
    if after is not None:
        conditions.append(reports.c.received_at >= after.received_at)
        conditions.append(
            or_(reports.c.received_at > after.received_at, reports.c.report > after.report)
        )
    return select(what).select_from(reports).where(*conditions)


def _read_judged(stored: StoredReport, row: Row[Any]) -> JudgedReport:
    return JudgedReport(
        stored,
        trust=Trust(row.trust) if row.trust else Trust.NONE,
        author=row.author,
        source=OriginSource(row.origin_source) if row.origin_source else None,
        reference=row.reference,
        why=row.why,
        detail=row.detail,
    )
