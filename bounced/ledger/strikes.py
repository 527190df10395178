"""What a transaction of findings does: strikes are counted, cases make an author's open digest.

Case, strikes and digest all belong to one author, so whoever counts or tells locks the author
first: parallel nodes work on one author one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, select, update

from bounced.ledger import clusters, policy, reports
from bounced.ledger.announce import announce, find_new_of_notices
from bounced.ledger.counting import Counted, StrikeCounter
from bounced.ledger.failures import Decision, write_failures
from bounced.ledger.policy import Context, Ignored, PolicySettings, Strike
from bounced.ledger.records import NoticeState
from bounced.ledger.reports import Finding
from bounced.ledger.schema import cases, is_waiting, notices, strikes
from bounced.ledger.silence import BouncedNotice, find_authors, note_bounced

NewId = Callable[[], str]
Decided = tuple[Finding, Sequence[Decision]]
"""A finding with one decision for each of its recipients."""


# Built once: they run for every group of findings, and of mails.
_FIND_DUE = (
    select(cases.c.author, func.min(cases.c.due_at).label("due_at"))
    .where(cases.c.author.in_(bindparam("authors", expanding=True)))
    .where(cases.c.unsettled_notice.is_(None))
    .where(cases.c.due_at.is_not(None))
    .group_by(cases.c.author)
)
_DROP_WAITING = delete(notices).where(
    is_waiting, notices.c.author.in_(bindparam("authors", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one finding did to the ledger, for the log."""

    finding: Finding
    recipients: tuple[Counted | Ignored, ...]
    """One for each of the report's recipients."""
    clusters: tuple[str, ...] = ()
    """Clusters of unknown texts that nobody had found before."""
    withdrawn: int = 0
    """Strikes that count no longer since the report was judged anew."""
    bounced: BouncedNotice | None = None
    """The notice of ours that failed for good, where the report says so."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An author's digest that was not there before."""

    notice: str
    author: str
    due_at: datetime


def record(
    connection: Connection,
    findings: Sequence[Finding],
    settings: PolicySettings,
    now: datetime,
    new_id: NewId,
) -> tuple[list[Outcome], list[Opened]]:
    """Write findings and count their strikes; running it again changes nothing."""
    decided = [(finding, decide(finding, settings)) for finding in findings]
    for_whom = find_authors(connection, findings)
    authors = lock_counted(connection, decided, for_whom.values())
    new = find_new_of_notices(connection, findings)
    outcomes = settle(connection, decided, StrikeCounter(connection, settings, now))
    recorded = [(each.finding, each.recipients) for each in outcomes]
    bounced = note_bounced(connection, recorded, for_whom, new, now)
    announce(connection, recorded, bounced, new, now)
    outcomes = [
        replace(each, bounced=bounced.get(each.finding.arrival.report)) for each in outcomes
    ]
    return outcomes, open_digests(connection, authors, now, new_id)


def lock_counted(
    connection: Connection, decided: Iterable[Decided], others: Iterable[str] = ()
) -> set[str]:
    """Lock every author for whom these findings count, or counted before; return them.

    All at once with `others`, so that nobody deadlocks.
    """
    decided = list(decided)
    before = _read_strikes(connection, decided)
    wanted = {
        item.author for _, decisions in decided for item in decisions if isinstance(item, Strike)
    }
    authors = wanted | {row.author for row in before} | set(others)
    lock_authors(connection, authors)
    return authors


def settle(
    connection: Connection, decided: Sequence[Decided], counter: StrikeCounter
) -> list[Outcome]:
    """Write findings, count what counts, take back what their reports counted for before.

    The authors are locked.
    """
    before = _read_strikes(connection, decided)
    written = [_write(connection, finding, decisions, counter) for finding, decisions in decided]
    found = clusters.note(connection, (finding for finding, _ in decided), counter.now)
    withdrawn = _take_back(before, decided, counter)
    return [
        Outcome(
            finding,
            recipients,
            clusters=tuple(found.get(finding.arrival.report, ())),
            withdrawn=withdrawn[finding.arrival.report],
        )
        for (finding, _), recipients in zip(decided, written, strict=True)
    ]


def lock_authors(connection: Connection, authors: Iterable[str]) -> None:
    """Let nobody else count or tell for these authors until our transaction ends.

    On SQLite every writer is alone already. One order for all, so that nobody deadlocks.
    """
    if connection.dialect.name == "sqlite":
        return
    for author in sorted(authors):
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(author, 0))))


def open_digests(
    connection: Connection, authors: Iterable[str], now: datetime, new_id: NewId
) -> list[Opened]:
    """Give each author with something due an open digest, in time; nobody else keeps one.

    The authors are locked. Returns the digests that are new.
    """
    authors = set(authors)
    rows = connection.execute(_FIND_DUE, {"authors": [*authors]})
    due_at = {row.author: row.due_at for row in rows}
    idle = authors - due_at.keys()
    if idle:
        connection.execute(_DROP_WAITING, {"authors": [*idle]})
    opened = []
    for author in sorted(due_at):
        waiting = and_(is_waiting, notices.c.author == author)
        moved = update(notices).where(waiting).values(due_at=due_at[author])
        if connection.execute(moved).rowcount:
            continue
        notice = new_id()
        connection.execute(
            insert(notices).values(
                notice=notice,
                author=author,
                state=NoticeState.OPEN.value,
                created_at=now,
                due_at=due_at[author],
            )
        )
        opened.append(Opened(notice, author, due_at[author]))
    return opened


def decide(finding: Finding, settings: PolicySettings) -> list[Decision]:
    """Say for each recipient of a report whether it counts; pure."""
    arrival = finding.arrival
    addressed = finding.addressed or (None,) * len(finding.verdicts)
    return [
        policy.decide_strike(
            finding.report,
            facts,
            verdict,
            Context(
                author=None if finding.quarantined else finding.author,
                received_at=arrival.received_at,
                token_type=arrival.token_type,
                token_id=arrival.token_id,
                token_day=arrival.token_day,
                send=finding.send,
                addressed=recipient,
                digest=finding.digest,
            ),
            settings,
        )
        for facts, verdict, recipient in zip(
            finding.report.recipients, finding.verdicts, addressed, strict=True
        )
    ]


def _write(
    connection: Connection,
    finding: Finding,
    decisions: Sequence[Decision],
    counter: StrikeCounter,
) -> tuple[Counted | Ignored, ...]:
    """Count what a report counts for, then write it down; return one for each recipient."""
    counted = tuple(
        item if isinstance(item, Ignored) else counter.count(finding, position, item)
        for position, item in enumerate(decisions)
    )
    if reports.write_finding(connection, finding, None if counter.replays else counter.now):
        write_failures(connection, finding, decisions)
    return counted


def _read_strikes(connection: Connection, decided: Iterable[Decided]) -> Sequence[Row[Any]]:
    """Return the strikes that have their words from these reports."""
    ids = [finding.arrival.report for finding, _ in decided]
    return connection.execute(
        select(strikes)
        .where(strikes.c.report.in_(ids))
        .order_by(strikes.c.author, strikes.c.recipient_key, strikes.c.send_key)
    ).all()


def _take_back(
    before: Iterable[Row[Any]], decided: Iterable[Decided], counter: StrikeCounter
) -> Counter[str]:
    """Take back the strikes that their reports no longer count for; return how many, by report."""
    now = {finding.arrival.report: decisions for finding, decisions in decided}
    withdrawn: Counter[str] = Counter()
    for row in before:
        decisions = now[row.report]
        if _name(row) in {_name(item) for item in decisions if isinstance(item, Strike)}:
            continue
        at = decisions[row.position] if row.position < len(decisions) else None
        instead = at if isinstance(at, Strike) else None
        withdrawn[row.report] += counter.take_back(row, instead)
    return withdrawn


def _name(strike: Strike | Row[Any]) -> tuple[str, str, str]:
    return strike.author, strike.recipient_key, strike.send_key
