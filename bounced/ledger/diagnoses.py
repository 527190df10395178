"""Which sender domains DNS is to be asked about, for what, and what it said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, TextClause, and_, or_, select, update
from sqlalchemy import case as case_

from bounced.diagnosis import Diagnosis, read_diagnosis, write_diagnosis
from bounced.ledger.entries import is_forwarded
from bounced.ledger.reports import read_signatures
from bounced.ledger.schema import (
    cases,
    failures,
    is_refused,
    is_undiagnosed,
    reports,
    slots,
    strikes,
)
from bounced.model import Category, Reason, Signature, domain_key, split_address


@dataclass(frozen=True, slots=True)
class RefusedDomain:
    """A case of auth-failure, with what its latest strike tells of the mail that was refused."""

    case: str
    author: str
    domain: str
    """The subject of the case: the From domain."""
    reason: Reason
    last_strike_at: datetime
    mail_from_domain: str | None
    recipient_domain: str | None
    signatures: tuple[Signature, ...]
    reply: str | None
    forwarded: bool
    diagnosis: Diagnosis | None
    """What DNS said when it was asked last."""
    told: tuple[Diagnosis, ...] = ()
    """What its author was told so far, the last first."""


def find_undiagnosed(
    connection: Connection,
    limit: int,
    *,
    asked_before: datetime,
    without: Collection[str] = (),
) -> list[RefusedDomain]:
    """Return what nobody has looked into since its last strike; what is due first in front.

    Also where its author has been told: a page shows what DNS says later than the notice. What
    DNS could not be asked about comes again when it was asked so long ago, after the others.
    """
    failed_at = case_((cases.c.checked_at >= cases.c.last_strike_at, cases.c.checked_at))
    query = (
        select(cases)
        .where(is_undiagnosed)
        .where(or_(failed_at.is_(None), failed_at <= asked_before))
        .where(cases.c.case.not_in(list(without)))
        .order_by(failed_at.asc().nulls_first(), cases.c.due_at.asc().nulls_last(), cases.c.case)
    )
    return _read(connection, query, limit)


def find_to_check(
    connection: Connection,
    limit: int,
    *,
    checked_before: datetime,
    refused_since: datetime,
) -> list[RefusedDomain]:
    """Return what is refused and was not looked at for so long; the longest first.

    Not what nobody has refused for so long that it counts as quiet, nor what is still to be
    looked into for its last strike: nothing is looked at twice at once.
    """
    query = (
        select(cases)
        .where(is_refused)
        .where(cases.c.advised_at >= cases.c.last_strike_at)
        .where(cases.c.checked_at < checked_before)
        .where(cases.c.last_strike_at > refused_since)
        .order_by(cases.c.checked_at, cases.c.case)
    )
    return _read(connection, query, limit)


def store(
    connection: Connection,
    looked_at: RefusedDomain,
    diagnosis: Diagnosis,
    now: datetime,
    *,
    is_final: bool,
) -> bool:
    """Write down what DNS said of a domain; False: the case has changed meanwhile.

    Then it is still, or no longer, to be looked into. Not final: it is looked into once more
    before its author is told, if there is time.
    """
    # The strike may have its time from a node whose clock is ahead.
    now = max(now, looked_at.last_strike_at)
    values = {"diagnosis": write_diagnosis(diagnosis), "checked_at": now}
    return _write(
        connection, looked_at, is_undiagnosed, values | ({"advised_at": now} if is_final else {})
    )


def store_check(
    connection: Connection, looked_at: RefusedDomain, diagnosis: Diagnosis | None, now: datetime
) -> bool:
    """Write down that a domain was looked at again; None: what it said last stands.

    False: the case has changed meanwhile.
    """
    said = {"diagnosis": write_diagnosis(diagnosis)} if diagnosis is not None else {}
    return _write(connection, looked_at, is_refused, said | {"checked_at": now})


def find_diagnosis(connection: Connection, case: str) -> Diagnosis | None:
    """Return what DNS said last of a case's domain; None: nobody has asked, or no such case."""
    kept = connection.execute(
        select(cases.c.diagnosis)
        .where(cases.c.case == case)
        .where(cases.c.category == Category.AUTH_FAILURE.value)
    ).scalar()
    return read_diagnosis(kept) if kept else None


def _read(connection: Connection, query: Select[Any], limit: int) -> list[RefusedDomain]:
    found = connection.execute(query.limit(limit)).all()
    if not found:
        return []
    told = _find_told(connection, [row.case for row in found])
    return [_read_one(connection, row, told[row.case]) for row in found]


def _find_told(connection: Connection, found: Sequence[str]) -> Mapping[str, list[Diagnosis]]:
    """Return, by case, what its author was told so far, the last first."""
    query = (
        select(cases.c.case, slots.c.diagnosis)
        # The primary key of the slots begins with these.
        .join(slots, and_(slots.c.author == cases.c.author, slots.c.subject == cases.c.subject))
        .where(cases.c.case.in_(found))
        .where(slots.c.diagnosis.is_not(None))
        .order_by(slots.c.round.desc(), slots.c.number.desc())
    )
    told = defaultdict[str, list[Diagnosis]](list)
    for case, text in connection.execute(query):
        if (said := read_diagnosis(text)) is not None:
            told[case].append(said)
    return told


def _read_one(connection: Connection, row: Row[Any], told: Sequence[Diagnosis]) -> RefusedDomain:
    refused = connection.execute(_choose_latest(row.case)).one_or_none()
    recipient = refused.recipient if refused else ""
    return RefusedDomain(
        case=row.case,
        author=row.author,
        domain=row.subject,
        reason=Reason(row.reason),
        last_strike_at=row.last_strike_at,
        mail_from_domain=refused.mail_from_domain if refused else None,
        recipient_domain=domain_key(split_address(recipient)[1]) or None,
        signatures=read_signatures(refused.signatures) if refused else (),
        reply=(refused.reply or refused.diagnostic_code) if refused else None,
        forwarded=is_forwarded(refused) if refused else False,
        diagnosis=read_diagnosis(row.diagnosis) if row.diagnosis else None,
        told=tuple(told),
    )


def _choose_latest(case: str) -> Select[Any]:
    """Return what finds the strike that speaks for a case (`tally.recount`), with its report."""
    return (
        select(
            reports.c.mail_from_domain,
            reports.c.signatures,
            failures.c.reply,
            failures.c.diagnostic_code,
            failures.c.original_recipient,
            failures.c.final_recipient,
            strikes.c.recipient,
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
        .where(strikes.c.case == case)
        .where(strikes.c.withdrawn.is_(False))
        .order_by(
            strikes.c.round.desc(),
            strikes.c.failed_at.desc(),
            strikes.c.report.desc(),
            strikes.c.position.desc(),
        )
        .limit(1)
    )


def _write(
    connection: Connection, looked_at: RefusedDomain, still: TextClause, values: dict[str, Any]
) -> bool:
    return bool(
        connection.execute(
            update(cases)
            .where(cases.c.case == looked_at.case)
            .where(still)
            .where(cases.c.last_strike_at == looked_at.last_strike_at)
            .values(values)
        ).rowcount
    )
