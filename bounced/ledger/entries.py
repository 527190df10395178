"""What a claimed notice tells: its slots, and the failures that they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from bounced.ledger.records import ClaimedNotice, Entry, EntryStrike
from bounced.ledger.schema import failures, notices, reports, sends, slots, strikes
from bounced.model import Category, Reason, RecipientFacts


def read_claimed(connection: Connection, row: Row[Any]) -> ClaimedNotice:
    """Return what the notice in `row` tells its author; the same at every attempt."""
    taken = connection.execute(
        select(slots)
        .where(slots.c.notice == row.notice)
        .order_by(slots.c.category, slots.c.subject)
    ).all()
    told_case = func.coalesce(strikes.c.told_case, strikes.c.case)
    told = connection.execute(
        select(
            told_case.label("case"),
            strikes.c.recipient,
            strikes.c.failed_at,
            func.coalesce(sends.c.title, reports.c.protocol_subject).label("title"),
            func.coalesce(reports.c.protocol_sent_at, sends.c.registered_at).label("sent_at"),
            func.coalesce(sends.c.reference, reports.c.reference).label("reference"),
            func.coalesce(sends.c.language, reports.c.protocol_language).label("language"),
            sends.c.url,
            failures.c.reply,
            failures.c.diagnostic_code,
            failures.c.remote_mta,
            failures.c.original_recipient,
            failures.c.final_recipient,
        )
        .outerjoin(reports, reports.c.report == strikes.c.report)
        .outerjoin(
            failures,
            and_(
                failures.c.report == strikes.c.report,
                failures.c.position == strikes.c.position,
            ),
        )
        .outerjoin(sends, sends.c.send == strikes.c.send)
        .where(strikes.c.notice == row.notice)
        .order_by(strikes.c.failed_at.desc(), strikes.c.recipient_key, strikes.c.send_key)
    ).all()
    return ClaimedNotice(
        notice=row.notice,
        claim=row.claim,
        author=row.author,
        message_id=row.message_id,
        claimed_at=row.claimed_at,
        attempts=row.attempts,
        language=next((strike.language for strike in told if strike.language), None),
        entries=tuple(_read_entry(slot, told) for slot in taken),
    )


def read_notice(connection: Connection, notice: str) -> ClaimedNotice | None:
    """Return what a notice tells, or told; None: no such notice, or no slots taken yet."""
    row = connection.execute(
        select(notices).where(notices.c.notice == notice).where(notices.c.claim.is_not(None))
    ).one_or_none()
    return read_claimed(connection, row) if row is not None else None


def _read_entry(slot: Row[Any], told: Iterable[Any]) -> Entry:
    return Entry(
        case=slot.case,
        subject=slot.subject,
        category=Category(slot.category),
        reason=Reason(slot.reason),
        number=slot.number,
        max_notices=slot.max_notices,
        strikes=tuple(_read_strike(row) for row in told if row.case == slot.case),
        strikes_total=slot.strikes,
    )


def _read_strike(row: Row[Any]) -> EntryStrike:
    facts = RecipientFacts(
        original_recipient=row.original_recipient, final_recipient=row.final_recipient
    )
    return EntryStrike(
        recipient=row.recipient,
        failed_at=row.failed_at,
        title=row.title,
        sent_at=row.sent_at,
        reference=row.reference,
        url=row.url,
        reply=row.reply or row.diagnostic_code,
        remote_mta=row.remote_mta,
        forwarded=facts.forwarded,
    )
