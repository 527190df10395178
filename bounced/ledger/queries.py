"""What people and programs ask the ledger: lists and single rows in the form of DESIGN §8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from bounced.ledger.records import CaseState, HeldWhy, NoticeState, ReportState
from bounced.ledger.schema import cases, failures, is_waiting, notices, reports, slots, strikes

_CHUNK = 500
"""Values in one IN list: every database takes so many."""

_RECIPIENT_KEYS = (
    "recipient",
    "original_recipient",
    "final_recipient",
    "action",
    "status",
    "smtp_code",
    "remote_mta",
    "diagnostic_code",
    "category",
    "reason",
    "rule",
    "evidence",
)


def list_reports(
    connection: Connection,
    *,
    state: ReportState | None = None,
    author: str | None = None,
    recipient: str | None = None,
    since: datetime | None = None,
    report: str | None = None,
    among: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return reports, newest first, each with its recipients; `among` are at most _CHUNK."""
    query = select(reports).order_by(reports.c.received_at.desc(), reports.c.report.desc())
    if state is not None:
        query = query.where(reports.c.state == state.value)
    if author is not None:
        query = query.where(reports.c.author == author)
    if since is not None:
        query = query.where(reports.c.received_at >= since)
    if report is not None:
        query = query.where(reports.c.report == report)
    if among is not None:
        query = query.where(reports.c.report.in_(among))
    if recipient is not None:
        named = select(failures.c.report).where(
            or_(
                func.lower(failures.c.recipient) == recipient.lower(),
                func.lower(failures.c.final_recipient) == recipient.lower(),
            )
        )
        query = query.where(reports.c.report.in_(named))
    rows = connection.execute(query.limit(limit)).all()
    recipients = _read_recipients(connection, [row.report for row in rows])
    return [
        {
            "report": row.report,
            "received_at": row.received_at,
            "client": row.client,
            "envelope_recipient": row.envelope_recipient,
            "trust": row.trust,
            "state": row.state,
            "why": row.why,
            "detail": row.detail,
            "kind": row.kind,
            "author": row.author,
            "origin_source": row.origin_source,
            "reference": row.reference,
            "recipients": recipients.get(row.report, []),
        }
        for row in rows
    ]


def list_cases(
    connection: Connection,
    *,
    author: str | None = None,
    subject: str | None = None,
    state: str | None = None,
    case: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return cases, the one with the latest strike first."""
    query = select(cases).order_by(cases.c.last_strike_at.desc().nulls_last(), cases.c.case)
    for column, value in (
        (cases.c.author, author),
        (cases.c.subject, subject),
        (cases.c.state, state),
        (cases.c.case, case),
    ):
        if value is not None:
            query = query.where(column == value)
    keys = (
        "case",
        "author",
        "subject",
        "category",
        "reason",
        "round",
        "state",
        "strikes",
        "notices",
        "first_strike_at",
        "last_strike_at",
        "due_at",
        "suggestion",
        "closed_at",
        "closed_why",
        "corrected_to",
    )
    return [_pick(row, keys) for row in connection.execute(query.limit(limit))]


def list_strikes(connection: Connection, case: str) -> list[dict[str, Any]]:
    """Return a case's strikes, newest first."""
    query = (
        select(strikes)
        .where(strikes.c.case == case)
        .order_by(strikes.c.failed_at.desc(), strikes.c.send_key)
    )
    keys = (
        "report",
        "recipient",
        "send_key",
        "round",
        "category",
        "reason",
        "failed_at",
        "counted_at",
        "notice",
        "withdrawn",
    )
    return [_pick(row, keys) for row in connection.execute(query)]


def list_notices(
    connection: Connection,
    *,
    author: str | None = None,
    state: str | None = None,
    notice: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return notices, newest first, each with the slots that it spends."""
    query = select(notices).order_by(notices.c.created_at.desc(), notices.c.notice)
    for column, value in (
        (notices.c.author, author),
        (notices.c.state, state),
        (notices.c.notice, notice),
    ):
        if value is not None:
            query = query.where(column == value)
    rows = connection.execute(query.limit(limit)).all()
    taken: dict[str, list[dict[str, Any]]] = {}
    ids = [row.notice for row in rows]
    for start in range(0, len(ids), _CHUNK):
        of_notices = (
            select(slots)
            .where(slots.c.notice.in_(ids[start : start + _CHUNK]))
            .order_by(slots.c.category, slots.c.subject)
        )
        for slot in connection.execute(of_notices):
            taken.setdefault(slot.notice, []).append(_pick(slot, ("case", "subject", "number")))
    keys = ("notice", "author", "state", "why", "due_at", "attempted_at", "settled_at",
            "message_id", "attempts", "detail")  # fmt: skip
    return [
        _pick(row, keys)
        | {"next_attempt_at": _find_next_attempt(row), "slots": taken.get(row.notice, [])}
        for row in rows
    ]


def _find_next_attempt(row: Row[Any]) -> datetime | None:
    """Return when a notice that was put off is tried again."""
    put_off = row.state == NoticeState.CLAIMED.value and row.detail is not None
    return row.claimed_until if put_off else None


def count_by_state(connection: Connection) -> dict[str, dict[str, int]]:
    """Return how many reports, cases and notices are in each state, by table; none is left out."""
    counts = {}
    for table, states in ((reports, ReportState), (cases, CaseState), (notices, NoticeState)):
        rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
        found = {row[0]: row[1] for row in rows}
        counts[table.name] = {state.value: found.get(state.value, 0) for state in states}
    return counts


def count_waiting(connection: Connection, now: datetime) -> dict[str, int]:
    """Return how many notices wait: due ones under `due`, held ones under why they are held."""
    held = notices.c.state == NoticeState.HELD.value
    rows = connection.execute(
        select(notices.c.state, notices.c.why, func.count())
        .where(is_waiting, or_(held, notices.c.due_at <= now))
        .group_by(notices.c.state, notices.c.why)
    )
    counts = dict.fromkeys(("due", *HeldWhy), 0)
    for state, why, number in rows:
        is_held = state == NoticeState.HELD.value
        counts[why if is_held else "due"] += number
    return counts


def count_states(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return how many of these reports are in each state."""
    counts: Counter[str] = Counter()
    for start in range(0, len(ids), _CHUNK):
        chosen = reports.c.report.in_(ids[start : start + _CHUNK])
        counts.update(connection.execute(select(reports.c.state).where(chosen)).scalars())
    return dict(counts)


def count_outcomes(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return, in words, what became of reports in quarantine, and of the others' recipients."""
    counts: Counter[str] = Counter()
    for start in range(0, len(ids), _CHUNK):
        chosen = reports.c.report.in_(ids[start : start + _CHUNK])
        held = reports.c.state == ReportState.QUARANTINED.value
        for why in connection.execute(select(reports.c.why).where(chosen, held)).scalars():
            counts[f"in quarantine, {why}"] += 1
        found = (
            select(failures.c.ignored)
            .join(reports, reports.c.report == failures.c.report)
            .where(chosen, reports.c.state == ReportState.PROCESSED.value)
        )
        for ignored in connection.execute(found).scalars():
            counts[f"recipients not counted, {ignored}" if ignored else "recipients counted"] += 1
    return dict(counts)


def _read_recipients(
    connection: Connection, ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for start in range(0, len(ids), _CHUNK):
        query = (
            select(failures)
            .where(failures.c.report.in_(ids[start : start + _CHUNK]))
            .order_by(failures.c.report, failures.c.position)
        )
        for row in connection.execute(query):
            line = _pick(row, _RECIPIENT_KEYS) | {"ignored": row.ignored}
            found.setdefault(row.report, []).append(line)
    return found


def _pick(row: Row[Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: getattr(row, key) for key in keys}
