"""What a case's strikes make of it: figures, category, state and due time.

A case is never added to, it is recomputed from its strikes, so that any order of counting gives
the same case. Every function wants the case's author locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Subquery,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from bounced.ledger import policy
from bounced.ledger.policy import PolicySettings, Strike
from bounced.ledger.records import CaseState
from bounced.ledger.schema import cases, slots, strikes
from bounced.model import Category

FRESH = {
    "state": CaseState.OPEN.value,
    "notices": 0,
    "closed_at": None,
    "closed_why": None,
    "corrected_to": None,
}
"""How a case begins a round; `recount` finds the rest.

The interval runs on from the last notice, whatever its round.
"""

_THRESHOLDS = sorted({policy.find_threshold(category) for category in Category})
_RECOMPUTED = (
    "state",
    "strikes",
    "first_strike_at",
    "last_strike_at",
    "category",
    "reason",
    "due_at",
)


_EVER = datetime.min.replace(tzinfo=UTC)

# What runs for every strike is built once: building takes as long as running.
_OF_CASE = cases.c.case == bindparam("of")
_OF_ROUND = and_(
    strikes.c.case == bindparam("of"),
    strikes.c.round == bindparam("in_round"),
    strikes.c.withdrawn.is_(False),
)
_INSERT_CASE = {
    dialect: insert(cases).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_OPEN_AGAIN = (
    update(cases)
    .where(_OF_CASE)
    .where(cases.c.state == CaseState.CLOSED.value)
    .where(cases.c.closed_at < bindparam("used_at"))
    .values(state=CaseState.OPEN.value)
)
_END_QUIET = (
    update(cases)
    .where(_OF_CASE)
    .where(cases.c.last_strike_at < bindparam("before"))
    .where(cases.c.unsettled_notice.is_(None))
    .where(cases.c.round > 0)
    .values(round=cases.c.round + 1, **FRESH)
    .returning(cases.c.round)
)
_READ_CASE = select(cases).where(_OF_CASE)
_READ_FIGURES = select(
    func.count().label("strikes"),
    func.min(strikes.c.failed_at).label("first_strike_at"),
    func.max(strikes.c.failed_at).label("last_strike_at"),
).where(_OF_ROUND)
_READ_LATEST = (
    select(strikes.c.category, strikes.c.reason)
    .where(_OF_ROUND)
    .order_by(strikes.c.failed_at.desc(), strikes.c.report.desc(), strikes.c.position.desc())
    .limit(1)
)
_FIND_ENOUGH = (
    select(strikes.c.counted_at)
    .where(_OF_ROUND)
    .order_by(strikes.c.counted_at)
    .offset(bindparam("missing"))
    .limit(1)
)
_FIND_DUE_BY = (
    select(func.min(strikes.c.counted_at))
    .where(_OF_ROUND)
    .where(strikes.c.notice.is_(None))
    .where(strikes.c.quiet.is_(False))
    .where(strikes.c.counted_at > bindparam("closed_at"))
    .where(strikes.c.counted_at >= bindparam("enough_at"))
)
_WRITE_CASE = (
    update(cases).where(_OF_CASE).values({name: bindparam(f"new_{name}") for name in _RECOMPUTED})
)


@dataclass(frozen=True, slots=True)
class Recounted:
    """A case whose figures were recomputed."""

    case: str
    was: CaseState
    state: CaseState


def open_case(
    connection: Connection, strike: Strike, settings: PolicySettings, used_at: datetime | None
) -> str:
    """Return the case that a strike goes to; one that was closed before `used_at` is open again.

    It goes on where it stood. None: what is closed stays closed.
    """
    case_id = policy.find_case_id(strike.author, strike.subject)
    values = {
        "case": case_id,
        "author": strike.author,
        "subject": strike.subject,
        "category": strike.category.value,
        "reason": strike.reason.value,
        "round": settings.first_round,
    }
    is_new = connection.execute(_INSERT_CASE[connection.dialect.name], values).rowcount
    if used_at is not None and not is_new:
        connection.execute(_OPEN_AGAIN, {"of": case_id, "used_at": used_at})
    return case_id


def end_quiet(
    connection: Connection, case_id: str, failed_at: datetime, settings: PolicySettings
) -> int | None:
    """Open the next round of a case without a strike for `quiet_reset`; return its number.

    None: it was not quiet for so long. A rehearsal has one round only.
    """
    quiet_since = {"of": case_id, "before": failed_at - settings.quiet_reset}
    number = connection.execute(_END_QUIET, quiet_since).scalar()
    return int(number) if number is not None else None


def drop_empty(connection: Connection, case_id: str) -> None:
    """Delete a case whose only strikes went to another one before anybody was told."""
    connection.execute(
        delete(cases)
        .where(cases.c.case == case_id)
        .where(~exists().where(strikes.c.case == case_id))
        .where(~exists().where(slots.c.case == case_id))
    )


def find_untold(row: Row[Any]) -> ColumnElement[bool]:
    """Return what picks the strikes of the case in `row` that its author is still to be told of.

    A case that was closed and is used again starts from there.
    """
    untold = and_(
        strikes.c.case == row.case,
        strikes.c.round == row.round,
        strikes.c.withdrawn.is_(False),
        strikes.c.notice.is_(None),
    )
    return untold if row.closed_at is None else and_(untold, strikes.c.counted_at > row.closed_at)


def is_untold() -> ColumnElement[bool]:
    """Return what `find_untold` picks, of every case that the statement names."""
    return and_(
        _is_counting(),
        strikes.c.notice.is_(None),
        or_(cases.c.closed_at.is_(None), strikes.c.counted_at > cases.c.closed_at),
    )


def recount(connection: Connection, case_id: str, settings: PolicySettings) -> int:
    """Recompute one case of a locked author from its strikes; return how many there are."""
    row = connection.execute(_READ_CASE, {"of": case_id}).one()
    of_round = {"of": case_id, "in_round": row.round}
    figures = connection.execute(_READ_FIGURES, of_round).one()
    latest = connection.execute(_READ_LATEST, of_round).one_or_none()
    category = Category(latest.category if latest else row.category)
    state = _find_state(row, settings)
    is_open = state is CaseState.OPEN
    due_at = _find_due(connection, row, category, settings) if is_open else None
    values = (
        state.value,
        *figures,
        category.value,
        latest.reason if latest else row.reason,
        due_at,
    )
    recounted = {f"new_{name}": value for name, value in zip(_RECOMPUTED, values, strict=True)}
    connection.execute(_WRITE_CASE, recounted | {"of": case_id})
    return int(figures.strikes)


def recount_all(
    connection: Connection, which: ColumnElement[bool], settings: PolicySettings
) -> list[Recounted]:
    """Recompute the cases that `which` picks, all at once; return them.

    The same figures as by `recount`, whose cost grows less with the strikes of one case, but more
    with the number of cases.
    """
    figures = _sum_up(which)
    rows = connection.execute(
        select(cases, *(column for column in figures.c if column.name != "of"))
        .outerjoin(figures, figures.c.of == cases.c.case)
        .where(which)
    ).all()
    found = [(row, _recompute(row, settings)) for row in rows]
    changed = [
        {"of": row.case, **values}
        for row, values in found
        if any(getattr(row, name) != value for name, value in values.items())
    ]
    if changed:
        connection.execute(update(cases).where(cases.c.case == bindparam("of")), changed)
    return [
        Recounted(row.case, CaseState(row.state), CaseState(values["state"]))
        for row, values in found
    ]


def upsert(connection: Connection, table: Table) -> Any:  # the two dialects share no type
    """Return the dialect's INSERT that knows ON CONFLICT."""
    return (
        sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    )


def _find_state(row: Row[Any], settings: PolicySettings) -> CaseState:
    """Return a case's state; it is used up once its last notice is settled, not before."""
    if row.state == CaseState.CLOSED.value:
        return CaseState.CLOSED
    used_up = row.notices >= settings.max_notices and row.unsettled_notice is None
    return CaseState.EXHAUSTED if used_up else CaseState.OPEN


def _find_due(
    connection: Connection, row: Row[Any], category: Category, settings: PolicySettings
) -> datetime | None:
    """Return when an open case is due: never without a strike that is still to be told of.

    That strike, or one before it, is the one from which on the author hears of the case. A quiet
    one never makes a case due, but is told of when another does.
    """
    if row.notices >= settings.max_notices:
        return None
    of_round = {"of": row.case, "in_round": row.round}
    makes_due = of_round | {"closed_at": row.closed_at or _EVER, "enough_at": _EVER}
    missing = policy.find_threshold(category) - 1
    if missing:
        enough_at = connection.execute(_FIND_ENOUGH, of_round | {"missing": missing}).scalar()
        if enough_at is None:
            return None
        makes_due["enough_at"] = enough_at
    due_by = connection.execute(_FIND_DUE_BY, makes_due).scalar()
    if due_by is None:
        return None
    return policy.find_due(due_by, row.last_notice_at, category, settings)


def _is_counting() -> ColumnElement[bool]:
    """Return what picks the strikes that count in the round of their case."""
    return and_(
        strikes.c.case == cases.c.case,
        strikes.c.round == cases.c.round,
        strikes.c.withdrawn.is_(False),
    )


def _sum_up(which: ColumnElement[bool]) -> Subquery:
    """Return the figures of cases that have strikes, one row a case.

    `due_by_n` is when the first strike was counted that makes a case due whose category is told
    from the n-th strike on.
    """
    of_case = strikes.c.case
    latest_first = (strikes.c.failed_at.desc(), strikes.c.report.desc(), strikes.c.position.desc())
    so_far = func.count().over(partition_by=of_case, order_by=strikes.c.counted_at)
    each = (
        select(
            *strikes.c,
            func.row_number().over(partition_by=of_case, order_by=latest_first).label("age"),
            so_far.label("so_far"),  # with those counted at the same time
            and_(is_untold(), strikes.c.quiet.is_(False)).label("makes_due"),
        )
        .join(cases, _is_counting())
        .where(which)
        .subquery()
    )
    newest = each.c.age == 1
    return (
        select(
            each.c.case.label("of"),
            func.count().label("total"),
            func.min(each.c.failed_at).label("first_at"),
            func.max(each.c.failed_at).label("last_at"),
            func.max(each.c.category).filter(newest).label("new_category"),
            func.max(each.c.reason).filter(newest).label("new_reason"),
            *(
                func.min(each.c.counted_at)
                .filter(each.c.makes_due, each.c.so_far >= threshold)
                .label(f"due_by_{threshold}")
                for threshold in _THRESHOLDS
            ),
        )
        .group_by(each.c.case)
        .subquery()
    )


def _recompute(row: Row[Any], settings: PolicySettings) -> dict[str, Any]:
    """Return what a case is by its figures."""
    state = _find_state(row, settings)
    category = Category(row.new_category or row.category)
    due_by = getattr(row, f"due_by_{policy.find_threshold(category)}")
    is_due = state is CaseState.OPEN and row.notices < settings.max_notices and due_by is not None
    values = (
        state.value,
        row.total or 0,
        row.first_at,
        row.last_at,
        category.value,
        row.new_reason or row.reason,
        policy.find_due(due_by, row.last_notice_at, category, settings) if is_due else None,
    )
    return dict(zip(_RECOMPUTED, values, strict=True))
