"""Clusters of unknown texts, and what a replay needs to take back what counts no longer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


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
