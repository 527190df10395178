"""Own notices that came back: whom they were for, and who is unreachable since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, or_, select

from bounced.ledger.counting import Counted
from bounced.ledger.policy import Ignored
from bounced.ledger.reports import Finding
from bounced.ledger.schema import authors, notices
from bounced.ledger.tally import upsert
from bounced.model import TokenType


@dataclass(frozen=True, slots=True)
class BouncedNotice:
    """A notice that failed for good, by the word of one report."""

    notice: str
    author: str | None
    """Whom it was for, whichever address the report names; None: no notice of ours."""
    silenced: bool
    """Whether this report made its author unreachable."""


def find_authors(connection: Connection, findings: Iterable[Finding]) -> dict[str, str]:
    """Return whom the notices were for that reports came back on, by the notice's id."""
    ids = {
        finding.arrival.token_id
        for finding in findings
        if finding.arrival.token_type is TokenType.NOTICE and finding.arrival.token_id
    }
    if not ids:
        return {}
    query = select(notices.c.notice, notices.c.author).where(notices.c.notice.in_(ids))
    return {row.notice: row.author for row in connection.execute(query)}


def note_bounced(
    connection: Connection,
    recorded: Sequence[tuple[Finding, Sequence[Counted | Ignored]]],
    for_whom: Mapping[str, str],
    new: Collection[str],
    now: datetime,
) -> dict[str, BouncedNotice]:
    """Mark the authors whose notices failed for good, as `new` reports say; they are locked.

    Returns the notices that failed, by report; what an earlier processing has marked, too.
    """
    bounced = {}
    for finding, counted in recorded:
        report, notice = finding.arrival.report, finding.arrival.token_id
        if notice is None or Ignored.NOTICE not in counted:
            continue
        author = for_whom.get(notice)
        silenced = (
            author is not None
            and report in new
            and silence_unreachable(connection, author, notice, now)
        )
        bounced[report] = BouncedNotice(notice, author, silenced)
    return bounced


def silence_unreachable(connection: Connection, author: str, notice: str, now: datetime) -> bool:
    """Send a locked author no more notices; False: he is silent already.

    A second bounce of the notice that an operator has forgiven him for changes nothing.
    """
    forgiven = and_(
        authors.c.unreachable_at.is_(None),
        or_(authors.c.unreachable_notice.is_(None), authors.c.unreachable_notice != notice),
    )
    mark = {"unreachable_at": now, "unreachable_notice": notice}
    marked = connection.execute(
        upsert(connection, authors)
        .values(author=author, **mark)
        .on_conflict_do_update(index_elements=[authors.c.author], set_=mark, where=forgiven)
        .returning(authors.c.author)
    ).all()
    return bool(marked)
