"""Failures: one row for each recipient of a report, and which strike it counts for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from bounced.ledger.policy import Ignored, Strike
from bounced.ledger.records import ReportState
from bounced.ledger.reports import Finding
from bounced.ledger.schema import failures, reports
from bounced.model import RecipientFacts, Verdict

Decision = Strike | Ignored

# Built once: they run for every report.
_DELETE = delete(failures).where(failures.c.report == bindparam("of"))
_INSERT = insert(failures)


def describe_failures(finding: Finding, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return the rows of a report's failures; `decisions` has one for each recipient."""
    clusters = finding.clusters or (None,) * len(decisions)
    return [
        {
            "report": finding.arrival.report,
            "position": position,
            **describe_recipient(facts, verdict),
            "reply": facts.replies[0].text if facts.replies else None,
            "evidence_where": verdict.where if verdict else None,
            "ignored": decision.value if isinstance(decision, Ignored) else None,
            "strike": decision.strike if isinstance(decision, Strike) else None,
            "subject": decision.subject if isinstance(decision, Strike) else None,
            "cluster": cluster.cluster if cluster and not finding.quarantined else None,
        }
        for position, (facts, verdict, decision, cluster) in enumerate(
            zip(finding.report.recipients, finding.verdicts, decisions, clusters, strict=True)
        )
    ]


def write_failures(
    connection: Connection, finding: Finding, decisions: Sequence[Decision]
) -> None:
    """Write a report's failures over those of an earlier processing."""
    connection.execute(_DELETE, {"of": finding.arrival.report})
    rows = describe_failures(finding, decisions)
    if rows:
        connection.execute(_INSERT, rows)


def find_latest(connection: Connection, strike: str) -> Row[Any] | None:
    """Return the failure that speaks last of those that count for a strike, by its id."""
    return connection.execute(
        select(failures, reports.c.received_at)
        .join(reports, reports.c.report == failures.c.report)
        .where(failures.c.strike == strike)
        .order_by(
            reports.c.received_at.desc(), failures.c.report.desc(), failures.c.position.desc()
        )
        .limit(1)
    ).one_or_none()


def find_unnamed(connection: Connection, before_at: datetime) -> str | None:
    """Return a report received before then of which nobody knows what strike it counts for.

    Schema 0001 did not keep it, and not everything could be found when that was upgraded.
    """
    return connection.execute(
        select(failures.c.report)
        .join(reports, reports.c.report == failures.c.report)
        .where(failures.c.ignored.is_(None))
        .where(failures.c.strike.is_(None))
        .where(reports.c.state == ReportState.PROCESSED.value)
        .where(reports.c.received_at < before_at)
        .order_by(reports.c.received_at, reports.c.report)
        .limit(1)
    ).scalar()


def describe_recipient(facts: RecipientFacts, verdict: Verdict | None) -> dict[str, Any]:
    """Return what a report says of one recipient, and why he failed, by the names of DESIGN §8."""
    return {
        "recipient": facts.recipient,
        "original_recipient": facts.original_recipient,
        "final_recipient": facts.final_recipient,
        "action": facts.action.value if facts.action else None,
        "status": facts.status,
        "smtp_code": facts.smtp_code,
        "remote_mta": facts.remote_mta,
        "diagnostic_code": facts.diagnostic_code,
        "category": verdict.category.value if verdict else None,
        "reason": verdict.reason.value if verdict else None,
        "rule": verdict.rule if verdict else None,
        "evidence": verdict.evidence if verdict else None,
    }
