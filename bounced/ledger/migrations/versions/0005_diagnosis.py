"""What advice on SPF, DKIM and DMARC needs: who signed, and what DNS said."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("mail_from_domain", "signatures"):
        op.add_column("reports", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("diagnosis", sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("slots", sa.Column("diagnosis", sa.Text(), nullable=True))
    is_undiagnosed = sa.text(
        "state <> 'closed' AND strikes > 0 AND category = 'auth-failure' "
        "AND (advised_at IS NULL OR advised_at < last_strike_at)"
    )
    is_refused = sa.text(
        "state <> 'closed' AND category = 'auth-failure' AND diagnosis IS NOT NULL"
    )
    for name, column, where in (
        ("ix_cases_undiagnosed", "due_at", is_undiagnosed),
        ("ix_cases_refused", "checked_at", is_refused),
    ):
        op.create_index(
            name, "cases", [column], unique=False, sqlite_where=where, postgresql_where=where
        )
