"""The log lines of processing: one function for each thing that can happen to a report."""

from __future__ import annotations

from collections.abc import Sequence

from bounced.ledger.policy import Ignored
from bounced.ledger.records import NewReport
from bounced.ledger.reports import Finding
from bounced.ledger.strikes import Counted, Opened, Outcome
from bounced.logs import Event, emit
from bounced.model import Action, Kind, RecipientFacts, TokenType, Verdict
from bounced.processor.worker import Unreadable


def log_recorded(outcomes: Sequence[Outcome], opened: Sequence[Opened]) -> None:
    """Log what a transaction of findings did, after it is committed."""
    for outcome in outcomes:
        _log_outcome(outcome)
    for digest in opened:
        emit(
            Event.NOTICE_QUEUED,
            notice=digest.notice,
            author=digest.author,
            due_at=digest.due_at.isoformat(),
        )


def log_unreadable(arrival: NewReport, why: str, detail: str | None) -> None:
    """Log a message that could not be read and lies in quarantine."""
    if why == Unreadable.WORKER_KILLED:
        emit(Event.WORKER_KILLED, report=arrival.report, why="died twice on this message")
    emit(
        Event.REPORT_QUARANTINED,
        report=arrival.report,
        why=why,
        detail=detail,
        client=arrival.client,
    )


def _log_outcome(outcome: Outcome) -> None:
    finding = outcome.finding
    report, name = finding.report, finding.arrival.report
    emit(
        Event.REPORT_UNRECOGNIZED
        if report.kind is Kind.UNRECOGNIZED and not finding.quarantined
        else Event.REPORT_PARSED,
        report=name,
        kind=report.kind.value,
        **({} if report.kind is Kind.UNRECOGNIZED and not finding.quarantined
           else {"recipients": len(report.recipients), "reporting_mta": report.reporting_mta,
                 "notes": list(report.notes) or None}),
    )  # fmt: skip
    _log_origin(finding)
    for facts, verdict, counted in zip(
        report.recipients, finding.verdicts, outcome.recipients, strict=True
    ):
        if facts.action is Action.FAILED and verdict is not None:
            _log_verdict(name, facts, verdict)
            _log_strike(finding, facts, verdict, counted)


def _log_origin(finding: Finding) -> None:
    name = finding.arrival.report
    if finding.quarantined:
        emit(
            Event.REPORT_QUARANTINED,
            report=name,
            why=finding.why,
            detail=finding.detail,
            client=finding.arrival.client,
        )
    elif finding.author is not None and finding.source is not None:
        emit(
            Event.ORIGIN_RESOLVED,
            report=name,
            author=finding.author,
            source=finding.source.value,
            reference=finding.reference,
            trust=finding.trust.value,
            send=finding.send.send if finding.send else None,
        )
    elif finding.arrival.token_type not in {TokenType.NOTICE, TokenType.PROBE}:
        emit(Event.ORIGIN_UNRESOLVED, report=name, why=finding.why, detail=finding.detail)


def _log_verdict(report: str, facts: RecipientFacts, verdict: Verdict) -> None:
    if verdict.rule is None:
        emit(
            Event.FAILURE_UNCLASSIFIED,
            report=report,
            recipient=facts.recipient or "",
            status=facts.status,
            smtp_code=facts.smtp_code,
        )
        return
    emit(
        Event.FAILURE_CLASSIFIED,
        report=report,
        recipient=facts.recipient or "",
        category=verdict.category.value,
        reason=verdict.reason.value,
        rule=verdict.rule,
        status=facts.status,
        smtp_code=facts.smtp_code,
    )


def _log_strike(
    finding: Finding, facts: RecipientFacts, verdict: Verdict, counted: Counted | Ignored
) -> None:
    name = finding.arrival.report
    if counted is Ignored.NOTICE:
        emit(
            Event.NOTICE_BOUNCED,
            report=name,
            notice=finding.arrival.token_id,
            author=facts.recipient or "",
            category=verdict.category.value,
            reason=verdict.reason.value,
        )
    elif isinstance(counted, Ignored):
        emit(
            Event.STRIKE_IGNORED,
            report=name,
            why=counted.value,
            recipient=facts.recipient,
            category=verdict.category.value,
            reason=verdict.reason.value,
        )
    elif counted.is_new:
        emit(
            Event.STRIKE_COUNTED,
            report=name,
            case=counted.case,
            author=counted.strike.author,
            subject=counted.strike.subject,
            strikes=counted.strikes,
            category=verdict.category.value,
            reason=verdict.reason.value,
        )
    else:
        emit(
            Event.REPORT_DUPLICATE,
            report=name,
            case=counted.case,
            recipient=counted.strike.recipient,
        )
