"""Failures: one row for each recipient of a report, and which strike it counts for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from bounced.ledger.policy import Ignored, Strike
from bounced.ledger.reports import Finding
from bounced.ledger.schema import failures, reports
from bounced.model import RecipientFacts, Verdict

Decision = Strike | Ignored


def describe_failures(finding: Finding, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return the rows of a report's failures; `decisions` has one for each recipient."""
    clusters = finding.clusters or (None,) * len(decisions)
    return [
        {
            "report": finding.arrival.report,
            "position": position,
            **_describe_facts(facts),
            **_describe_verdict(verdict),
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
    connection.execute(delete(failures).where(failures.c.report == finding.arrival.report))
    rows = describe_failures(finding, decisions)
    if rows:
        connection.execute(insert(failures), rows)


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


def _describe_facts(facts: RecipientFacts) -> dict[str, Any]:
    return {
        "recipient": facts.recipient,
        "original_recipient": facts.original_recipient,
        "final_recipient": facts.final_recipient,
        "action": facts.action.value if facts.action else None,
        "status": facts.status,
        "smtp_code": facts.smtp_code,
        "remote_mta": facts.remote_mta,
        "diagnostic_code": facts.diagnostic_code,
        "reply": facts.replies[0].text if facts.replies else None,
    }


def _describe_verdict(verdict: Verdict | None) -> dict[str, Any]:
    return {
        "category": verdict.category.value if verdict else None,
        "reason": verdict.reason.value if verdict else None,
        "rule": verdict.rule if verdict else None,
        "evidence": verdict.evidence if verdict else None,
        "evidence_where": verdict.where if verdict else None,
    }
