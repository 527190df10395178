"""Counting: findings become strikes, strikes make cases, cases make an author's open digest.

Case, strikes and digest all belong to one author, so whoever counts or tells locks the author
first: parallel nodes work on one author one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from bounced.ledger import policy, reports
from bounced.ledger.policy import Context, Ignored, PolicySettings, Strike
from bounced.ledger.records import NoticeState
from bounced.ledger.reports import Finding
from bounced.ledger.schema import cases, is_waiting, notices, strikes
from bounced.ledger.tally import drop_empty, end_quiet, open_case, recount

NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Counted:
    """A strike and where it went."""

    strike: Strike
    case: str
    strikes: int
    """Strikes of the case in its round."""
    is_new: bool
    """False for a double, a retry, a report processed again."""
    new_round: int | None = None
    """Number of the round that this strike opens after a long quiet (`quiet_reset`)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one finding did to the ledger, for the log."""

    finding: Finding
    recipients: tuple[Counted | Ignored, ...]
    """One for each of the report's recipients."""


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
    decided = [(finding, _decide(finding, settings)) for finding in findings]
    wanted = [item for _, decisions in decided for item in decisions if isinstance(item, Strike)]
    lock_authors(connection, {item.author for item in wanted})
    outcomes = []
    for finding, decisions in decided:
        counted = tuple(
            item
            if isinstance(item, Ignored)
            else _count(connection, finding, position, item, settings=settings, now=now)
            for position, item in enumerate(decisions)
        )
        why = [item.value if isinstance(item, Ignored) else None for item in decisions]
        reports.write_finding(connection, finding, why, now)
        outcomes.append(Outcome(finding, counted))
    return outcomes, open_digests(connection, {item.author for item in wanted}, now, new_id)


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
    opened = []
    for author in sorted(authors):
        due_at = connection.execute(
            select(func.min(cases.c.due_at))
            .where(cases.c.author == author)
            .where(cases.c.unsettled_notice.is_(None))
        ).scalar()
        waiting = and_(is_waiting, notices.c.author == author)
        if due_at is None:
            connection.execute(delete(notices).where(waiting))
            continue
        if connection.execute(update(notices).where(waiting).values(due_at=due_at)).rowcount:
            continue
        notice = new_id()
        connection.execute(
            insert(notices).values(
                notice=notice,
                author=author,
                state=NoticeState.OPEN.value,
                created_at=now,
                due_at=due_at,
            )
        )
        opened.append(Opened(notice, author, due_at))
    return opened


def _decide(finding: Finding, settings: PolicySettings) -> list[Strike | Ignored]:
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


def _count(
    connection: Connection,
    finding: Finding,
    position: int,
    strike: Strike,
    *,
    settings: PolicySettings,
    now: datetime,
) -> Counted:
    """Write one strike, new or known, and bring its case up to date."""
    values: dict[str, Any] = {
        "report": finding.arrival.report,
        "position": position,
        "recipient": strike.recipient,
        "category": strike.category.value,
        "reason": strike.reason.value,
        "failed_at": finding.arrival.received_at,
    }
    known = connection.execute(
        select(strikes, cases.c.round.label("case_round"))
        .join(cases, cases.c.case == strikes.c.case)
        .where(_key(strike))
    ).one_or_none()
    new_round = None
    if known is None:
        case = open_case(connection, strike, settings)
        new_round = end_quiet(connection, case, finding.arrival.received_at, settings)
        connection.execute(
            insert(strikes).values(
                author=strike.author,
                recipient_key=strike.recipient_key,
                send_key=strike.send_key,
                case=case,
                round=_read_round(case),
                counted_at=now,
                send=finding.send.send if finding.send else None,
                **values,
            )
        )
    elif _is_newer(values, known):
        case = _change(connection, strike, values, known, settings)
    else:
        case = known.case
    total = recount(connection, case, settings)
    return Counted(strike, case, total, is_new=known is None, new_round=new_round)


def _is_newer(values: dict[str, Any], known: Row[Any]) -> bool:
    """Tell whether a report speaks later of a send than the strike's own, or is that report."""
    mine = (values["failed_at"], values["report"], values["position"])
    return bool(mine >= (known.failed_at, known.report, known.position))


def _change(
    connection: Connection,
    strike: Strike,
    values: dict[str, Any],
    known: Row[Any],
    settings: PolicySettings,
) -> str:
    """Let a later report of the same send speak; return the case that the strike is now in.

    Another category may mean another case. A strike stays where it is, as it is, once its author
    was told of it or its round has ended.
    """
    moves = known.case != policy.find_case_id(strike.author, strike.subject)
    if moves and (known.notice is not None or known.round != known.case_round):
        return str(known.case)
    if not moves:
        connection.execute(update(strikes).where(_key(strike)).values(values))
        return str(known.case)
    case = open_case(connection, strike, settings)
    place = {"case": case, "round": _read_round(case)}
    connection.execute(update(strikes).where(_key(strike)).values(values | place))
    recount(connection, known.case, settings)
    drop_empty(connection, known.case)
    return case


def _key(strike: Strike) -> ColumnElement[bool]:
    return and_(
        strikes.c.author == strike.author,
        strikes.c.recipient_key == strike.recipient_key,
        strikes.c.send_key == strike.send_key,
    )


def _read_round(case: str) -> ScalarSelect[int]:
    return select(cases.c.round).where(cases.c.case == case).scalar_subquery()
