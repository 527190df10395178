"""Clusters of the texts that no rule knows: each found once, then counted and shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from bounced.ledger.reports import Finding
from bounced.ledger.schema import failures, reports, text_clusters
from bounced.ledger.tally import upsert


def note(
    connection: Connection, findings: Iterable[Finding], now: datetime
) -> dict[str, list[str]]:
    """Write down what clusters there are; return by report the ones that are new.

    A report in quarantine finds none: a stranger's words are no news.
    """
    met = {
        cluster.cluster: (cluster.text, finding.arrival.report)
        for finding in reversed(list(findings))
        if not finding.quarantined
        for cluster in finding.clusters
        if cluster is not None
    }
    found: dict[str, list[str]] = {}
    for cluster, (text, report) in sorted(met.items()):  # one order for all nodes: no deadlock
        is_new = connection.execute(
            upsert(connection, text_clusters)
            .values(cluster=cluster, text=text, found_at=now)
            .on_conflict_do_nothing()
            .returning(text_clusters.c.cluster)
        ).scalar()
        if is_new is not None:
            found.setdefault(report, []).append(cluster)
    return found


def list_clusters(
    connection: Connection,
    *,
    since: datetime | None = None,
    cluster: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return clusters that have failures, most frequent first, each with its latest report."""
    latest = func.max(reports.c.report)
    query = (
        select(
            text_clusters.c.cluster,
            text_clusters.c.text,
            func.count().label("count"),
            func.min(reports.c.received_at).label("first_seen_at"),
            func.max(reports.c.received_at).label("last_seen_at"),
            latest.label("report"),
        )
        .join(failures, failures.c.cluster == text_clusters.c.cluster)
        .join(reports, reports.c.report == failures.c.report)
        .group_by(text_clusters.c.cluster, text_clusters.c.text)
        .order_by(func.count().desc(), latest.desc(), text_clusters.c.cluster)
        .limit(limit)
    )
    if since is not None:
        query = query.where(reports.c.received_at >= since)
    if cluster is not None:
        query = query.where(text_clusters.c.cluster == cluster)
    rows = [row._asdict() for row in connection.execute(query)]
    samples = _read_samples(connection, [row["report"] for row in rows])
    return [row | {"sample": samples.get((row["report"], row["cluster"]))} for row in rows]


def list_samples(
    connection: Connection, cluster: str, *, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return a cluster's failures with what was said, the latest first."""
    query = (
        _select_failures()
        .where(failures.c.cluster == cluster)
        .order_by(reports.c.received_at.desc(), reports.c.report.desc(), failures.c.position)
        .limit(limit)
    )
    return [row._asdict() for row in connection.execute(query)]


_CHUNK = 500
"""Values in one IN list: every database takes so many."""


def _read_samples(connection: Connection, ids: Sequence[str]) -> dict[tuple[str, str], str | None]:
    """Return what was said, by report and cluster."""
    samples: dict[tuple[str, str], str | None] = {}
    for start in range(0, len(ids), _CHUNK):
        chosen = failures.c.report.in_(ids[start : start + _CHUNK])
        query = select(failures.c.report, failures.c.cluster, failures.c.reply).where(chosen)
        for row in connection.execute(query.where(failures.c.cluster.is_not(None))):
            samples.setdefault((row.report, row.cluster), row.reply)
    return samples


def _select_failures() -> Select[Any]:
    return select(
        reports.c.report,
        reports.c.received_at,
        failures.c.recipient,
        failures.c.remote_mta,
        failures.c.status,
        failures.c.smtp_code,
        failures.c.reply.label("text"),
    ).join(failures, failures.c.report == reports.c.report)
