"""What the HTTP API needs: keys of sends, cases by address, events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("key", "digest", "return_path"):
        op.add_column("sends", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("reset_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("uq_sends_key", "sends", ["key"], unique=True)
    op.create_index("ix_cases_subject", "cases", ["subject"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", _COUNT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("uq_events_position", "events", ["position"], unique=True)
    op.create_index(
        "ix_events_unnumbered",
        "events",
        ["id"],
        unique=False,
        sqlite_where=sa.text("position IS NULL"),
        postgresql_where=sa.text("position IS NULL"),
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_table(
        "event_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_counter_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_counter")),
    )
