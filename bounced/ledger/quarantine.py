"""What lies in quarantine: how much it is, whose, what leaves it and what goes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, tuple_, update

from bounced.ledger.records import ReportState
from bounced.ledger.reports import cut_by_size
from bounced.ledger.schema import reports
from bounced.model import TokenType
from bounced.origin.admission import Door
from bounced.origin.hosts import IPNetwork, is_in, name_host, parse_address
from bounced.origin.token import Token

ROW_BYTES = 1024
"""About what a report takes beside its message: its rows and their indexes."""
STEP = 200
"""Reports looked at in one transaction of a purge, and changed in one of an operator."""
STEP_BYTES = 16 * 2**20
"""What one transaction deletes at most, but for its first report: intake waits meanwhile."""
_PURGE_LOCK = 0x626F756E63656471
"""Advisory lock of PostgreSQL that lets one node purge; the letters `bouncedq`."""

Place = tuple[bool, datetime, str]
"""How far a purge by shares has come: whether at the signed ones, time of receipt, report."""
_BEGINNING: Place = (False, datetime(1970, 1, 1, tzinfo=UTC), "")

_is_signed = reports.c.token_type.is_not(None)
_is_held = reports.c.state == ReportState.QUARANTINED.value
_weight = reports.c.size + ROW_BYTES
_NEWEST_FIRST = (reports.c.received_at.desc(), reports.c.report.desc())
_place = tuple_(reports.c.received_at, reports.c.report)


@dataclass(frozen=True, slots=True)
class Holding:
    """How much is in quarantine."""

    reports: int
    bytes: int
    """What they take in the database, about."""
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which reports in quarantine are meant; None: whatever it is."""

    client: IPNetwork | str | None = None
    """All of a network, or what stands for a client without an address."""
    why: str | None = None
    since: datetime | None = None

    def fits(self, client: str | None) -> bool:
        """Tell whether reports of this client are meant."""
        if self.client is None:
            return True
        if isinstance(self.client, str):
            return client == self.client
        address = parse_address(client or "")
        return address is not None and is_in(address, [self.client])


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the door saw of a report in quarantine, but for its message."""

    report: str
    received_at: datetime
    envelope_recipient: str
    mail_from: str | None
    token_type: TokenType | None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has deleted so far."""

    reports: int = 0
    bytes: int = 0

    def __add__(self, other: Purged) -> Purged:
        return Purged(self.reports + other.reports, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a purge by shares, and where the next one goes on."""

    purged: Purged
    shares: Mapping[str, int]
    """What is still to go, by network."""
    after: Place | None
    """The last report looked at; None: there is no more to do."""


def measure(connection: Connection) -> Holding:
    """Return how much is in quarantine."""
    row = connection.execute(
        select(
            func.count(), func.coalesce(func.sum(_weight), 0), func.min(reports.c.received_at)
        ).where(_is_held)
    ).one()
    return Holding(row[0], int(row[1]), row[2])


def count_received(connection: Connection, since: datetime) -> int:
    """Return how many of those in quarantine came since."""
    chosen = _is_held, reports.c.received_at >= since
    return connection.execute(select(func.count()).where(*chosen)).scalar_one()


def count_whys(connection: Connection) -> dict[str, int]:
    """Return how many are there for what reason, the commonest first."""
    count = func.count()
    rows = connection.execute(
        select(reports.c.why, count)
        .where(_is_held)
        .group_by(reports.c.why)
        .order_by(count.desc(), reports.c.why)
    )
    return {row[0]: row[1] for row in rows}


def find(connection: Connection, chosen: Chosen, limit: int | None = None) -> list[str]:
    """Return the reports that are meant, newest first."""
    query = select(reports.c.report, reports.c.client).where(_is_held)
    if chosen.why is not None:
        query = query.where(reports.c.why == chosen.why)
    if chosen.since is not None:
        query = query.where(reports.c.received_at >= chosen.since)
    found: list[str] = []
    for report, client in connection.execute(query.order_by(*_NEWEST_FIRST)):
        if chosen.fits(client):
            found.append(report)
            if len(found) == limit:
                break
    return found


def read_envelopes(connection: Connection, ids: Sequence[str]) -> list[Envelope]:
    """Return what the door saw of those of these reports that are in quarantine, newest first."""
    c = reports.c
    columns = c.report, c.received_at, c.envelope_recipient, c.mail_from, c.token_type
    rows = connection.execute(
        select(*columns).where(_is_held, c.report.in_(ids)).order_by(*_NEWEST_FIRST)
    )
    return [
        Envelope(
            report=row.report,
            received_at=row.received_at,
            envelope_recipient=row.envelope_recipient,
            mail_from=row.mail_from,
            token_type=TokenType(row.token_type) if row.token_type else None,
        )
        for row in rows
    ]


def release(connection: Connection, report: str, token: Token | None = None) -> bool:
    """Let an operator vouch for a report: it is processed again; False: it is not in quarantine.

    `token` was not valid when the report came, and is now: the report is its send's alone.
    """
    proven = {} if token is None else {
        "door": Door.TOKEN.value,
        "token_type": token.type.value,
        "token_id": token.hex_id,
        "token_day": token.day,
    }  # fmt: skip
    return (
        connection.execute(
            update(reports)
            .where(reports.c.report == report, _is_held)
            .values(
                state=ReportState.STORED.value,
                vouched=True,
                claimed_until=None,
                attempts=0,
                **proven,
            )
        ).rowcount
        == 1
    )


def drop(connection: Connection, report: str) -> bool:
    """Delete a report for good; False: it is not in quarantine."""
    found = connection.execute(delete(reports).where(reports.c.report == report, _is_held))
    return found.rowcount == 1


def purge_older(connection: Connection, before: datetime) -> Purged:
    """Delete some of what came before then, the oldest first; nothing once none is left."""
    if not _may_purge(connection):
        return Purged()
    rows = _look(connection, reports.c.received_at < before)
    return _delete(connection, [row.report for row in rows])


def weigh_networks(connection: Connection) -> dict[str, int]:
    """Return how many bytes each network has in quarantine, by the name of `find_network`."""
    found = select(reports.c.client, func.sum(_weight)).where(_is_held).group_by(reports.c.client)
    weights: dict[str, int] = {}
    for client, weight in connection.execute(found):
        network = find_network(client)
        weights[network] = weights.get(network, 0) + int(weight)
    return weights


def find_network(client: str | None) -> str:
    """Return what counts as one host: that of an address, else the client's word; total."""
    address = parse_address(client or "")
    return name_host(address) if address else client or ""


def share_out(weights: Mapping[str, int], excess: int) -> dict[str, int]:
    """Return what each network loses, so that `excess` goes: the heaviest always loses first.

    So all that lose anything end at one level, and a flood from one network takes nothing from
    those below it.
    """
    order = [*sorted(weights.values(), reverse=True), 0]
    for number, (total, lower) in enumerate(zip(accumulate(order), order[1:], strict=False), 1):
        if total - number * lower >= excess:
            level = (total - excess) // number
            return {name: weight - level for name, weight in weights.items() if weight > level}
    return dict(weights)


def purge_shares(
    connection: Connection, shares: Mapping[str, int], after: Place | None = None
) -> Step:
    """Delete what the shares ask for among the next reports behind `after`, the oldest first.

    What came to a signed return path goes last: it is the bounce of a mail of ours, whatever kept
    it from being read, and who floods us has none.
    """
    if not shares or not _may_purge(connection):
        return Step(Purged(), {}, None)
    signed, *last = after or _BEGINNING
    rows = _look(connection, _is_signed if signed else ~_is_signed, _place > tuple(last))
    left, going = dict(shares), list[str]()
    for row in rows:
        network = find_network(row.client)
        if left.get(network, 0) > 0:
            left[network] -= row.size
            going.append(row.report)
    wanted = {network: share for network, share in left.items() if share > 0}
    seen = (signed, rows[-1].received_at, rows[-1].report) if rows else None
    if not rows and not signed:
        seen = (True, *_BEGINNING[1:])
    return Step(_delete(connection, going), wanted, seen if wanted else None)


def count_free_bytes(connection: Connection) -> int:
    """Return what a SQLite file holds of free pages: they are written before the file grows."""
    pages = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    return int(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())


def _may_purge(connection: Connection) -> bool:
    """Tell whether no other node is purging just now, and let none until the commit."""
    if connection.dialect.name != "postgresql":
        return True
    found = connection.execute(select(func.pg_try_advisory_xact_lock(_PURGE_LOCK)))
    return bool(found.scalar_one())


def _look(connection: Connection, *where: ColumnElement[bool]) -> list[Row[Any]]:
    """Return the oldest reports, as many as one transaction may delete."""
    rows = connection.execute(
        select(reports.c.report, reports.c.client, reports.c.received_at, _weight.label("size"))
        .where(_is_held, *where)
        .order_by(reports.c.received_at, reports.c.report)
        .limit(STEP)
    ).all()
    return cut_by_size(rows, STEP_BYTES)


def _delete(connection: Connection, ids: Sequence[str]) -> Purged:
    """Delete what is still in quarantine: an operator may have released it meanwhile."""
    if not ids:
        return Purged()
    gone = delete(reports).where(_is_held, reports.c.report.in_(ids)).returning(_weight)
    weights = connection.execute(gone).scalars().all()
    return Purged(len(weights), sum(weights))
