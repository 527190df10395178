"""What the sending application hears of processed reports: strikes, rounds, bounced notices.

A replay is not heard of: what it corrects, the application reads when it looks an address up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bounced.ledger import reports, sends
from bounced.ledger.counting import Counted
from bounced.ledger.outbox import NewEvent, publish
from bounced.ledger.policy import Ignored
from bounced.ledger.records import HeldWhy
from bounced.ledger.reports import Finding
from bounced.ledger.silence import BouncedNotice
from bounced.logs import Event
from bounced.model import TokenType

Recorded = tuple[Finding, Sequence[Counted | Ignored]]
"""A finding with what became of each of its recipients."""


def find_new_of_notices(connection: Connection, findings: Iterable[Finding]) -> set[str]:
    """Return the reports on our own notices that nobody has processed yet.

    Such a report leaves no strike by which it would be known again.
    """
    of_notices = [
        finding.arrival.report
        for finding in findings
        if finding.arrival.token_type is TokenType.NOTICE
    ]
    return reports.find_new(connection, of_notices) if of_notices else set()


def announce(
    connection: Connection,
    recorded: Sequence[Recorded],
    bounced: Mapping[str, BouncedNotice],
    new: Collection[str],
    now: datetime,
) -> None:
    """Publish what reports counted for; of bounced notices, those that `new` reports tell of.

    `bounced` are the notices that failed, by report.
    """
    keys = sends.find_keys(
        connection, {finding.send.send for finding, _ in recorded if finding.send}
    )
    told: list[NewEvent] = []
    for finding, counted in recorded:
        told.extend(_tell_counted(finding, counted, keys))
        if finding.arrival.report in new and finding.arrival.report in bounced:
            told.extend(_tell_bounced(finding, counted, bounced[finding.arrival.report]))
    publish(connection, told, now)


def _tell_counted(
    finding: Finding, recipients: Sequence[Counted | Ignored], keys: dict[str, str]
) -> Iterator[NewEvent]:
    for counted in recipients:
        if isinstance(counted, Ignored) or not (counted.is_new or counted.was_case):
            continue
        strike = counted.strike
        ids = {"case": counted.case, "author": strike.author, "subject": strike.subject}
        if counted.new_round is not None:
            yield NewEvent(Event.CASE_RESET, ids | {"round": counted.new_round, "why": "quiet"})
        words = {
            "report": finding.arrival.report,
            "recipient": strike.recipient,
            "category": strike.category.value,
            "reason": strike.reason.value,
            "strikes": counted.strikes,
            "was_case": counted.was_case,
        }
        yield NewEvent(Event.STRIKE_COUNTED, ids | words | _name_mail(finding, keys))


def _name_mail(finding: Finding, keys: dict[str, str]) -> dict[str, Any]:
    """Return what the application may know the mail by that failed."""
    returned, send = finding.report.returned, finding.send.send if finding.send else None
    return {
        "send": send,
        "key": keys.get(send) if send else None,
        "reference": finding.reference,
        "message_id": returned.message_id if returned else None,
    }


def _tell_bounced(
    finding: Finding, recipients: Sequence[Counted | Ignored], bounced: BouncedNotice
) -> Iterator[NewEvent]:
    ids = {"notice": bounced.notice, "author": bounced.author}
    for facts, verdict, counted in zip(
        finding.report.recipients, finding.verdicts, recipients, strict=True
    ):
        if counted is Ignored.NOTICE and verdict is not None:
            words = {
                "report": finding.arrival.report,
                "recipient": facts.recipient,
                "category": verdict.category.value,
                "reason": verdict.reason.value,
            }
            yield NewEvent(Event.NOTICE_BOUNCED, ids | words)
    if bounced.silenced:
        yield NewEvent(Event.AUTHOR_SILENCED, ids | {"why": HeldWhy.UNREACHABLE.value})
