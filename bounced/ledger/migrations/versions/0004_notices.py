"""What notices need: suggested addresses, silent authors, reached addresses, webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "sends",
        sa.Column("learned", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index(
        "ix_sends_unlearned",
        "sends",
        ["registered_at"],
        unique=False,
        sqlite_where=sa.text("learned IS FALSE"),
        postgresql_where=sa.text("learned IS FALSE"),
    )
    for name in ("suggestion", "closed_why", "corrected_to"):
        op.add_column("cases", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("advised_at", sa.DateTime(timezone=True), nullable=True))
    is_unadvised = sa.text(
        "due_at IS NOT NULL AND category = 'bad-address' "
        "AND (advised_at IS NULL OR advised_at < last_strike_at)"
    )
    op.create_index(
        "ix_cases_unadvised",
        "cases",
        ["due_at"],
        unique=False,
        sqlite_where=is_unadvised,
        postgresql_where=is_unadvised,
    )
    op.create_index(
        "ix_reports_token_id",
        "reports",
        ["token_id"],
        unique=False,
        sqlite_where=sa.text("token_id IS NOT NULL"),
        postgresql_where=sa.text("token_id IS NOT NULL"),
    )
    op.add_column("notices", sa.Column("why", sa.Text(), nullable=True))
    op.execute("UPDATE notices SET why = 'mode' WHERE state = 'held'")
    op.create_index(
        "ix_notices_author_settled_at", "notices", ["author", "settled_at"], unique=False
    )
    op.add_column("slots", sa.Column("suggestion", sa.Text(), nullable=True))
    op.create_table(
        "authors",
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("unreachable_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unreachable_notice", sa.String(length=16), nullable=True),
        sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("author", name=op.f("pk_authors")),
    )
    op.create_table(
        "reached",
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("recipient_key", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("author", "recipient_key", name=op.f("pk_reached")),
    )
    op.create_index("ix_reached_domain", "reached", ["domain"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("webhook", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'failed')", name=op.f("ck_webhooks_state")
        ),
        sa.PrimaryKeyConstraint("webhook", name=op.f("pk_webhooks")),
    )
    op.create_index(
        "ix_webhooks_unsent",
        "webhooks",
        ["next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_webhooks_created_at", "webhooks", ["created_at"], unique=False)
