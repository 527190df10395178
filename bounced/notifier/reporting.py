"""What the log says of notices as they are held, put off and settled."""

from __future__ import annotations

from datetime import datetime

from bounced.ledger.notices import Held
from bounced.ledger.records import ClaimedNotice, NoticeState
from bounced.ledger.settling import SETTLED_EVENTS, Settled
from bounced.logs import Event, emit


def log_held(held: Held) -> None:
    """Tell of a digest that is kept back."""
    emit(Event.NOTICE_HELD, notice=held.notice, author=held.author, why=held.why.value)


def log_deferred(claimed: ClaimedNotice, next_at: datetime, detail: str) -> None:
    """Tell of a notice that was tried and is to be tried again."""
    emit(
        Event.NOTICE_DEFERRED,
        notice=claimed.notice,
        author=claimed.author,
        slots=[_show_slot(entry.case, entry.number) for entry in claimed.entries],
        detail=detail,
        next_at=next_at.isoformat(),
        attempts=claimed.attempts,
    )


def log_settled(settled: Settled) -> None:
    """Tell of a notice that is over, of the cases that it used up and of what comes next."""
    fields: dict[str, object] = {"detail": settled.detail}
    if settled.state is NoticeState.SENT:
        fields = {"reply": settled.detail, "message_id": settled.message_id}
    emit(
        SETTLED_EVENTS[settled.state],
        notice=settled.notice,
        author=settled.author,
        slots=[_show_slot(slot.case, slot.number) for slot in settled.slots],
        **fields,
    )
    for slot in settled.exhausted:
        emit(
            Event.CASE_EXHAUSTED,
            case=slot.case,
            author=settled.author,
            subject=slot.subject,
            notices=slot.number,
        )
    for digest in settled.opened:
        emit(
            Event.NOTICE_QUEUED,
            notice=digest.notice,
            author=digest.author,
            due_at=digest.due_at.isoformat(),
        )


def _show_slot(case: str, number: int) -> dict[str, object]:
    return {"case": case, "number": number}
