"""What a claimed notice tells: its slots, and the failures that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, exists, func, select

from bounced.diagnosis import read_diagnosis
from bounced.ledger.records import (
    DNS_PASSED,
    ClaimedNotice,
    Entry,
    EntryStrike,
    MendedDomain,
    NoticeState,
)
from bounced.ledger.schema import cases, failures, notices, reports, sends, slots, strikes
from bounced.model import Category, Reason, recipient_key, split_address

_TOLD: Select[Any] = (
    select(
        strikes.c.notice,
        func.coalesce(strikes.c.told_case, strikes.c.case).label("case"),
        strikes.c.recipient,
        strikes.c.failed_at,
        sends.c.title,
        reports.c.protocol_subject,
        func.coalesce(reports.c.protocol_sent_at, sends.c.registered_at).label("sent_at"),
        func.coalesce(sends.c.reference, reports.c.reference).label("reference"),
        sends.c.language,
        reports.c.protocol_language,
        sends.c.url,
        failures.c.reply,
        failures.c.diagnostic_code,
        failures.c.remote_mta,
        failures.c.original_recipient,
        failures.c.final_recipient,
    )
    .select_from(strikes)
    .outerjoin(reports, reports.c.report == strikes.c.report)
    .outerjoin(
        failures,
        and_(
            failures.c.report == strikes.c.report,
            failures.c.position == strikes.c.position,
        ),
    )
    .outerjoin(sends, sends.c.send == strikes.c.send)
)
_ARRIVED = (NoticeState.SENT.value, NoticeState.OUTCOME_UNKNOWN.value)
_NEWEST_FIRST = (strikes.c.failed_at.desc(), strikes.c.recipient_key, strikes.c.send_key)


def read_claimed(connection: Connection, rows: Sequence[Row[Any]]) -> list[ClaimedNotice]:
    """Return what the notices in `rows` tell their authors; the same at every attempt."""
    ids = [row.notice for row in rows]
    taken = connection.execute(
        select(slots).where(slots.c.notice.in_(ids)).order_by(slots.c.category, slots.c.subject)
    ).all()
    told = connection.execute(
        _TOLD.where(strikes.c.notice.in_(ids)).order_by(*_NEWEST_FIRST)
    ).all()
    slots_of, strikes_of = _group(taken), _group(told)
    mended = _find_mended(connection, ids)
    return [
        _read_one(
            row,
            slots_of.get(row.notice, ()),
            strikes_of.get(row.notice, ()),
            mended.get(row.notice, ()),
        )
        for row in rows
    ]


def read_notice(connection: Connection, notice: str) -> ClaimedNotice | None:
    """Return what a notice tells, or told; None: no such notice, or no slots taken yet."""
    row = connection.execute(
        select(notices).where(notices.c.notice == notice).where(notices.c.claim.is_not(None))
    ).one_or_none()
    return read_claimed(connection, [row])[0] if row is not None else None


def read_entry(connection: Connection, notice: str, case: str) -> Entry | None:
    """Return what a notice tells of one case; None: nothing. Others in it cost nothing."""
    slot = connection.execute(
        select(slots).where(slots.c.notice == notice).where(slots.c.case == case)
    ).one_or_none()
    if slot is None:
        return None
    told_case = _TOLD.selected_columns["case"]
    told = connection.execute(
        _TOLD.where(strikes.c.notice == notice).where(told_case == case).order_by(*_NEWEST_FIRST)
    ).all()
    return _read_entry(slot, told)


def find_language(connection: Connection, notice: str) -> str | None:
    """Return the language of a notice, as `ClaimedNotice` has it, without reading its entries."""
    for language in (sends.c.language, reports.c.protocol_language):
        found: str | None = connection.execute(
            _TOLD.with_only_columns(language)
            .where(strikes.c.notice == notice)
            .where(language != "")
            .order_by(*_NEWEST_FIRST)
            .limit(1)
        ).scalar_one_or_none()
        if found is not None:
            return found
    return None


def _find_mended(connection: Connection, ids: Sequence[str]) -> dict[str, list[MendedDomain]]:
    """Return, by notice, the sender domains that DNS has shown to be in order.

    Only those whose refusal the author knows of. Not those that an earlier notice told of, or
    that had failed again when this one was claimed; as of that time, so that it is the same at
    every attempt, unless somebody resets the case.
    """
    earlier, first = notices.alias(), notices.alias()
    told = exists().where(
        earlier.c.author == notices.c.author,
        earlier.c.notice != notices.c.notice,
        earlier.c.state.in_(_ARRIVED),
        earlier.c.claimed_at >= cases.c.closed_at,
        earlier.c.claimed_at <= notices.c.claimed_at,
    )
    known = exists().where(
        slots.c.author == cases.c.author,
        slots.c.subject == cases.c.subject,
        first.c.notice == slots.c.notice,
        first.c.state.in_(_ARRIVED),
        first.c.claimed_at <= cases.c.closed_at,
    )
    failed_again = exists().where(
        strikes.c.case == cases.c.case,
        strikes.c.withdrawn.is_(False),
        strikes.c.quiet.is_(False),
        strikes.c.counted_at > cases.c.closed_at,
        strikes.c.counted_at <= notices.c.claimed_at,
    )
    rows = connection.execute(
        select(notices.c.notice, cases.c.subject, cases.c.closed_at)
        .join(cases, cases.c.author == notices.c.author)
        .where(notices.c.notice.in_(ids))
        .where(cases.c.closed_why == DNS_PASSED)
        .where(cases.c.closed_at <= notices.c.claimed_at)
        .where(known, ~told, ~failed_again)
        .order_by(cases.c.subject)
    )
    mended: dict[str, list[MendedDomain]] = {}
    for notice, domain, closed_at in rows:
        mended.setdefault(notice, []).append(MendedDomain(domain, closed_at))
    return mended


def _group(rows: Iterable[Any]) -> dict[str, list[Row[Any]]]:
    """Return the rows of each notice, in their order."""
    grouped: dict[str, list[Row[Any]]] = {}
    for row in rows:
        grouped.setdefault(row.notice, []).append(row)
    return grouped


def _read_one(
    row: Row[Any],
    taken: Sequence[Row[Any]],
    told: Sequence[Row[Any]],
    mended: Iterable[MendedDomain],
) -> ClaimedNotice:
    by_case: dict[str, list[Row[Any]]] = {}
    for strike in told:
        by_case.setdefault(strike.case, []).append(strike)
    return ClaimedNotice(
        notice=row.notice,
        claim=row.claim,
        author=row.author,
        message_id=row.message_id,
        claimed_at=row.claimed_at,
        attempts=row.attempts,
        language=_find_language(told),
        entries=tuple(_read_entry(slot, by_case.get(slot.case, ())) for slot in taken),
        mended=tuple(mended),
    )


def _find_language(told: Sequence[Row[Any]]) -> str | None:
    """Return what the newest registered send asked for, else the newest returned message."""
    registered = (strike.language for strike in told)
    returned = (strike.protocol_language for strike in told)
    return next((language for language in chain(registered, returned) if language), None)


def _read_entry(slot: Row[Any], told: Sequence[Row[Any]]) -> Entry:
    return Entry(
        case=slot.case,
        subject=slot.subject,
        category=Category(slot.category),
        reason=Reason(slot.reason),
        number=slot.number,
        max_notices=slot.max_notices,
        strikes=tuple(_read_strike(row) for row in told),
        strikes_total=slot.strikes,
        suggestion=slot.suggestion,
        diagnosis=read_diagnosis(slot.diagnosis) if slot.diagnosis else None,
    )


def _read_strike(row: Row[Any]) -> EntryStrike:
    return EntryStrike(
        recipient=row.recipient,
        failed_at=row.failed_at,
        title=row.title or row.protocol_subject,
        sent_at=row.sent_at,
        reference=row.reference,
        url=row.url,
        reply=row.reply or row.diagnostic_code,
        remote_mta=row.remote_mta,
        forwarded=is_forwarded(row),
        title_from_subject=not row.title,
    )


def is_forwarded(row: Row[Any]) -> bool:
    """Tell whether another address refused than the one that was written to.

    `row` has the recipients of strike and failure. Some reports name only the last one
    (RFC 3464 §2.3.1 lets them), and we know the first.
    """
    if row.final_recipient is None:
        return False
    final = recipient_key(row.final_recipient)
    first = (row.original_recipient or row.recipient, row.recipient)
    # A mail server may name its own mailbox without the domain.
    return any(final not in {key, split_address(key)[0]} for key in map(recipient_key, first))
