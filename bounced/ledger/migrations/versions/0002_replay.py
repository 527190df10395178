"""Clusters of unknown texts, and what a replay needs to take back what counts no longer."""

import hashlib
from typing import Any

import sqlalchemy as sa
from alembic import op

from bounced.model import TokenType, recipient_key

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_ROWS = 1000
"""So many failures are looked at in one go."""
_COUNTED = """
SELECT f.report, f.position, f.recipient, r.author AS reported, r.token_type, r.token_id,
       s.author, s.recipient_key, s.send_key, c.subject
FROM failures f
JOIN reports r ON r.report = f.report
LEFT JOIN strikes s ON s.report = f.report AND s.position = f.position
LEFT JOIN cases c ON c."case" = s."case"
WHERE f.ignored IS NULL AND (f.report > :report OR f.report = :report AND f.position > :position)
ORDER BY f.report, f.position LIMIT :rows
"""
_OF_SEND = """
SELECT s.author, s.recipient_key, s.send_key, c.subject
FROM strikes s JOIN cases c ON c."case" = s."case" WHERE s.author = :author AND s.send_key = :key
"""
_OF_RECIPIENT = """
SELECT s.author, s.recipient_key, s.send_key, c.subject
FROM strikes s JOIN cases c ON c."case" = s."case"
WHERE s.author = :author AND s.recipient_key = :key
"""
_NAME = """
UPDATE failures SET strike = :strike, subject = :subject
WHERE report = :report AND position = :position
"""


def upgrade() -> None:
    op.add_column("failures", sa.Column("strike", sa.String(length=16), nullable=True))
    op.add_column("failures", sa.Column("subject", sa.Text(), nullable=True))
    op.add_column("failures", sa.Column("cluster", sa.String(length=16), nullable=True))
    op.create_index(
        "ix_failures_strike",
        "failures",
        ["strike"],
        unique=False,
        sqlite_where=sa.text("strike IS NOT NULL"),
        postgresql_where=sa.text("strike IS NOT NULL"),
    )
    op.create_index(
        "ix_failures_cluster",
        "failures",
        ["cluster"],
        unique=False,
        sqlite_where=sa.text("cluster IS NOT NULL"),
        postgresql_where=sa.text("cluster IS NOT NULL"),
    )
    for name in ("quiet", "withdrawn"):
        flag: sa.Column[bool] = sa.Column(
            name, sa.Boolean(), server_default=sa.false(), nullable=False
        )
        op.add_column("strikes", flag)
    op.add_column("strikes", sa.Column("told_case", sa.String(length=16), nullable=True))
    op.create_index(
        "ix_strikes_notice",
        "strikes",
        ["notice"],
        unique=False,
        sqlite_where=sa.text("notice IS NOT NULL"),
        postgresql_where=sa.text("notice IS NOT NULL"),
    )
    op.create_table(
        "text_clusters",
        sa.Column("cluster", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("found_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("cluster", name=op.f("pk_text_clusters")),
    )
    op.create_table(
        "replays",
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("since_at", _TIME, nullable=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("received_at", _TIME, nullable=True),
        sa.Column("report", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_replays")),
    )
    _name_strikes(op.get_bind())


def _name_strikes(connection: sa.Connection) -> None:
    """Write down what each failure counts for, where the tables leave no doubt of it.

    The others stay empty until a replay reads their reports.
    """
    place = {"report": "", "position": 0}
    while rows := connection.execute(sa.text(_COUNTED), place | {"rows": _ROWS}).all():
        named = []
        for row in rows:
            strike = row if row.author is not None else _find_strike(connection, row)
            if strike is not None:
                named.append(
                    {
                        "report": row.report,
                        "position": row.position,
                        "strike": _find_id(strike),
                        "subject": strike.subject,
                    }
                )
        if named:
            connection.execute(sa.text(_NAME), named)
        place = {"report": rows[-1].report, "position": rows[-1].position}


def _find_strike(connection: sa.Connection, row: sa.Row[Any]) -> sa.Row[Any] | None:
    """Return the strike that a double counts for; None where there are several to choose from."""
    author, recipient = recipient_key(row.reported or ""), recipient_key(row.recipient or "")
    if row.token_type == TokenType.SEND.value:
        query, key = _OF_SEND, f"send:{row.token_id}"
    else:
        query, key = _OF_RECIPIENT, recipient
    found = connection.execute(sa.text(query), {"author": author, "key": key}).all()
    chosen = [strike for strike in found if strike.recipient_key == recipient] or found
    return chosen[0] if len(chosen) == 1 else None


def _find_id(strike: sa.Row[Any]) -> str:
    key = f"{strike.author}\0{strike.recipient_key}\0{strike.send_key}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]
