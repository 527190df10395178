"""Stored reports: intake, claims, what the processor found; each in its caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from bounced.ledger.records import NewReport, ReportState
from bounced.ledger.schema import report_contents, reports
from bounced.model import (
    Kind,
    OriginSource,
    Report,
    ReturnedMessage,
    Send,
    Signature,
    TokenType,
    Trust,
    Verdict,
    domain_key,
    split_address,
)
from bounced.parser.cluster import Cluster

_INTAKE_COLUMNS = (
    "report",
    "received_at",
    "client",
    "mail_from",
    "envelope_recipient",
    "door",
    "token_type",
    "token_id",
    "token_day",
    "vouched",
    "size",
)

_KEY = "._domainkey."
"""What stands between selector and domain in the name of a DKIM key (RFC 6376 §3.6.2.1)."""

_REWRITTEN = re.compile("srs[01][=+-]", re.IGNORECASE)
"""How the local part of a return path begins that a forwarder made (SRS)."""

_WRITE_FINDING = update(reports).where(reports.c.report == bindparam("of"))
"""Built once: building takes as long as running."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as it lies in the ledger, claimed for processing."""

    arrival: NewReport
    attempts: int
    """How often it was claimed, this claim included."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the processor found in one stored report."""

    arrival: NewReport
    report: Report
    verdicts: tuple[Verdict | None, ...]
    """One for each of the report's recipients; None unless that recipient failed."""
    trust: Trust
    author: str | None = None
    source: OriginSource | None = None
    reference: str | None = None
    why: str | None = None
    """Why it may not count, or why nobody is told; None where all is well."""
    detail: str | None = None
    quarantined: bool = False
    send: Send | None = None
    addressed: tuple[str | None, ...] = ()
    """For a registered send: per recipient, whom of the send the failure speaks of."""
    digest: str = ""
    """SHA-256 of the raw message, hex."""
    clusters: tuple[Cluster | None, ...] = ()
    """Where anything is unknown: per recipient, what its text is one of; None elsewhere."""


def append(connection: Connection, arrivals: Sequence[NewReport]) -> None:
    """Store received messages; looks nothing up (DESIGN §5.2)."""
    connection.execute(
        insert(reports),
        [
            {
                name: len(arrival.raw) if name == "size" else getattr(arrival, name)
                for name in _INTAKE_COLUMNS
            }
            for arrival in arrivals
        ],
    )
    connection.execute(
        insert(report_contents),
        [{"report": arrival.report, "raw": arrival.raw} for arrival in arrivals],
    )


def claim(
    connection: Connection, now: datetime, lease: timedelta, limit: int, max_bytes: int
) -> list[StoredReport]:
    """Take up to `limit` waiting reports, oldest first, for `lease`; at least one, if one waits.

    Stops before their bytes together exceed `max_bytes`.
    """
    waiting = connection.execute(
        select(reports.c.report, reports.c.size)
        .where(reports.c.state == ReportState.STORED.value)
        .where((reports.c.claimed_until.is_(None)) | (reports.c.claimed_until <= now))
        .order_by(reports.c.received_at, reports.c.report)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    taken = [row.report for row in cut_by_size(waiting, max_bytes)]
    if not taken:
        return []
    connection.execute(
        update(reports)
        .where(reports.c.report.in_(taken))
        .values(claimed_until=now + lease, attempts=reports.c.attempts + 1)
    )
    return read_stored(connection, taken)


def cut_by_size(
    rows: Sequence[Row[*tuple[Any, ...]]], max_bytes: int
) -> list[Row[*tuple[Any, ...]]]:
    """Return the first rows whose `size` together stays within `max_bytes`; at least one."""
    totals = accumulate(row.size for row in rows)
    return [
        row
        for i, (row, total) in enumerate(zip(rows, totals, strict=True))
        if i == 0 or total <= max_bytes
    ]


def release_claims(connection: Connection) -> int:
    """Give back every claim of a daemon that is gone; for a database with one daemon only."""
    return connection.execute(
        update(reports)
        .where(reports.c.state == ReportState.STORED.value)
        .where(reports.c.claimed_until.is_not(None))
        .values(claimed_until=None)
    ).rowcount


def postpone(connection: Connection, ids: Iterable[str], until: datetime) -> None:
    """Let nobody claim the reports before then, as far as they are not processed yet."""
    connection.execute(
        update(reports)
        .where(reports.c.report.in_(list(ids)))
        .where(reports.c.state == ReportState.STORED.value)
        .values(claimed_until=until)
    )


def read_stored(connection: Connection, ids: Sequence[str]) -> list[StoredReport]:
    """Return stored reports with their bytes, oldest first."""
    rows = connection.execute(
        select(reports, report_contents.c.raw)
        .join(report_contents, report_contents.c.report == reports.c.report)
        .where(reports.c.report.in_(ids))
        .order_by(reports.c.received_at, reports.c.report)
    )
    return [
        StoredReport(
            arrival=NewReport(
                report=row.report,
                received_at=row.received_at,
                raw=row.raw,
                envelope_recipient=row.envelope_recipient,
                door=row.door,
                client=row.client,
                mail_from=row.mail_from,
                token_type=TokenType(row.token_type) if row.token_type else None,
                token_id=row.token_id,
                token_day=row.token_day,
                vouched=row.vouched,
            ),
            attempts=row.attempts,
        )
        for row in rows
    ]


def find_new(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of these reports nobody has processed yet; nobody else does until we end."""
    chosen = reports.c.report.in_(ids), reports.c.state == ReportState.STORED.value
    query = select(reports.c.report).where(*chosen).order_by(reports.c.report).with_for_update()
    return set(connection.execute(query).scalars())


def quarantine(
    connection: Connection, report: str, why: str, detail: str | None, now: datetime
) -> bool:
    """Put away a report that could not be read; it stays visible and replayable.

    False: somebody else has processed it meanwhile, and what he found stands.
    """
    found = connection.execute(
        update(reports)
        .where(reports.c.report == report)
        .where(reports.c.state == ReportState.STORED.value)
        .values(
            state=ReportState.QUARANTINED.value,
            trust=Trust.NONE.value,
            kind=Kind.UNRECOGNIZED.value,
            why=why,
            detail=detail,
            claimed_until=None,
            processed_at=now,
        )
    )
    return found.rowcount == 1


def write_finding(connection: Connection, finding: Finding, processed_at: datetime | None) -> bool:
    """Write what was found over what an earlier processing found; False: it was dropped.

    None leaves the time of processing as it is.
    """
    report, returned = finding.report, finding.report.returned
    state = ReportState.QUARANTINED if finding.quarantined else ReportState.PROCESSED
    values = {
        "state": state.value,
        "claimed_until": None,
        "kind": report.kind.value,
        "trust": finding.trust.value,
        "why": finding.why,
        "detail": finding.detail,
        "author": finding.author,
        "origin_source": finding.source.value if finding.source else None,
        "reference": finding.reference,
        "reporting_mta": report.reporting_mta,
        "message_id": report.message_id,
        "protocol_subject": returned.subject if returned else None,
        "protocol_sent_at": returned.sent_at if returned else None,
        "protocol_language": returned.language if returned else None,
        "mail_from_domain": _find_mail_from_domain(finding.arrival, returned),
        "signatures": _write_signatures(returned.signatures) if returned else None,
    }
    at = {"processed_at": processed_at} if processed_at else {}
    named = {"of": finding.arrival.report}
    return connection.execute(_WRITE_FINDING, values | at | named).rowcount == 1


def read_signatures(kept: str | None) -> tuple[Signature, ...]:
    """Return what `reports.signatures` holds."""
    names = (line.rpartition(_KEY) for line in (kept or "").split("\n") if line)
    return tuple(Signature(domain, selector) for selector, _, domain in names)


def _write_signatures(signatures: Sequence[Signature]) -> str | None:
    names = (f"{signature.selector}{_KEY}{signature.domain}" for signature in signatures)
    return "\n".join(names) or None


def _find_mail_from_domain(arrival: NewReport, returned: ReturnedMessage | None) -> str | None:
    """Return the domain of the returned message's MAIL FROM.

    Where the message does not tell, or tells a forwarder's, which is nobody's to mend: a report
    goes to the MAIL FROM of what it reports (RFC 5321 §4.5.5), so the domain is that of our
    mailbox. With our token in it that is sure, whatever the report says: whoever once got a mail
    could otherwise choose what its author is advised to do.
    """
    written = returned.return_path if returned else None
    if arrival.token_type is not None or (written and _REWRITTEN.match(written)):
        written = None
    paths = (written, arrival.envelope_recipient)
    domains = (domain_key(split_address(path)[1]) for path in paths if path)
    return next((domain for domain in domains if domain), None)
