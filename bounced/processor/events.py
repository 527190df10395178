"""The log lines of processing: one function for each thing that can happen to a report."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from bounced.ledger.counting import Counted
from bounced.ledger.health import describe_error
from bounced.ledger.policy import Ignored
from bounced.ledger.records import HeldWhy, NewReport
from bounced.ledger.reports import Finding
from bounced.ledger.strikes import Opened, Outcome
from bounced.logs import Event, emit
from bounced.model import Action, Kind, RecipientFacts, Report, TokenType, Verdict
from bounced.processor.worker import Unread, Unreadable

_BOUNCES = frozenset({Kind.DELIVERY_STATUS, Kind.FREEFORM})
_OWN_MAIL = frozenset({TokenType.NOTICE, TokenType.PROBE})


def log_recorded(outcomes: Sequence[Outcome], opened: Sequence[Opened]) -> None:
    """Log what a transaction of findings did, after it is committed."""
    for outcome in outcomes:
        _log_outcome(outcome)
    log_opened(opened)


def log_unreadable(arrival: NewReport, unread: Unread) -> None:
    """Log a message that could not be read and lies in quarantine."""
    log_unread(arrival, unread)
    _log_quarantine(arrival, unread.why, unread.detail)


def log_unread(arrival: NewReport, unread: Unread) -> None:
    """Log what is our own fault in a message that could not be read."""
    if unread.why is Unreadable.WORKER_KILLED:
        emit(Event.WORKER_KILLED, report=arrival.report, why="died twice on this message")
    if unread.why is Unreadable.PARSER_FAILED:
        emit(Event.JOB_FAILED, report=arrival.report, job="parse report", error=unread.detail)


def log_refused(arrival: NewReport, why: str, detail: str, error: Exception) -> None:
    """Log a report that could not be judged or recorded and lies in quarantine."""
    if not isinstance(error, DBAPIError):
        _log_failed(arrival, "record report", error)
    _log_quarantine(arrival, why, detail)


def log_left_alone(arrival: NewReport, error: Exception) -> None:
    """Log a report that a replay could not judge or record and leaves as it is."""
    _log_failed(arrival, "replay report", error)


def describe_refusal(error: Exception) -> str:
    """Return in one line what the database said, else which error it was; no row's content."""
    if isinstance(error, DBAPIError):
        return describe_error(error)
    return type(error).__name__


def _log_failed(arrival: NewReport, job: str, error: Exception) -> None:
    """Log an error with its traceback, but for a database's, which shows what is in the row."""
    lines = [] if isinstance(error, DBAPIError) else traceback.format_exception(error)
    emit(
        Event.JOB_FAILED,
        report=arrival.report,
        job=job,
        error=describe_refusal(error),
        exception="".join(lines) or None,
    )


def _log_quarantine(arrival: NewReport, why: str | None, detail: str | None) -> None:
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
    _log_report(name, report)
    _log_origin(finding)
    for facts, verdict, counted in zip(
        report.recipients, finding.verdicts, outcome.recipients, strict=True
    ):
        if facts.action is Action.FAILED and verdict is not None:
            _log_verdict(name, facts, verdict)
            if counted is Ignored.NOTICE:
                _log_bounced(outcome, facts, verdict)
            else:
                _log_strike(finding, facts, verdict, counted)
    if outcome.bounced is not None and outcome.bounced.silenced:
        emit(
            Event.AUTHOR_SILENCED,
            author=outcome.bounced.author,
            why=HeldWhy.UNREACHABLE.value,
            notice=outcome.bounced.notice,
        )
    log_clusters(outcome)


def log_clusters(outcome: Outcome) -> None:
    """Log the clusters of unknown texts that a report is the first of."""
    for cluster in outcome.clusters:
        emit(Event.TEXT_CLUSTER_FOUND, report=outcome.finding.arrival.report, cluster=cluster)


def log_opened(opened: Sequence[Opened]) -> None:
    """Log the digests that were not there before."""
    for digest in opened:
        emit(
            Event.NOTICE_QUEUED,
            notice=digest.notice,
            author=digest.author,
            due_at=digest.due_at.isoformat(),
        )


def _log_report(name: str, report: Report) -> None:
    if report.kind is Kind.UNRECOGNIZED:
        emit(Event.REPORT_UNRECOGNIZED, report=name, kind=report.kind.value)
        return
    emit(
        Event.REPORT_PARSED,
        report=name,
        kind=report.kind.value,
        recipients=len(report.recipients),
        reporting_mta=report.reporting_mta,
        notes=list(report.notes) or None,
    )


def _log_origin(finding: Finding) -> None:
    name = finding.arrival.report
    if finding.quarantined:
        _log_quarantine(finding.arrival, finding.why, finding.detail)
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
    elif finding.report.kind in _BOUNCES and finding.arrival.token_type not in _OWN_MAIL:
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


def _log_bounced(outcome: Outcome, facts: RecipientFacts, verdict: Verdict) -> None:
    """Log that a notice failed; the author is he whom it was for, or unknown."""
    emit(
        Event.NOTICE_BOUNCED,
        report=outcome.finding.arrival.report,
        notice=outcome.finding.arrival.token_id,
        author=outcome.bounced.author if outcome.bounced else None,
        recipient=facts.recipient,
        category=verdict.category.value,
        reason=verdict.reason.value,
    )


def _log_strike(
    finding: Finding, facts: RecipientFacts, verdict: Verdict, counted: Counted | Ignored
) -> None:
    name = finding.arrival.report
    if isinstance(counted, Ignored):
        emit(
            Event.STRIKE_IGNORED,
            report=name,
            why=counted.value,
            recipient=facts.recipient,
            category=verdict.category.value,
            reason=verdict.reason.value,
        )
    elif counted.is_new:
        if counted.new_round is not None:
            emit(
                Event.CASE_RESET,
                case=counted.case,
                author=counted.strike.author,
                subject=counted.strike.subject,
                round=counted.new_round,
                why="quiet",
            )
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
