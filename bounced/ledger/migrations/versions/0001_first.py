"""The first schema: reports, failures, sends, cases, strikes, notices and slots."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("case", sa.String(length=16), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("notices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_strike_at", _TIME, nullable=True),
        sa.Column("last_strike_at", _TIME, nullable=True),
        sa.Column("last_notice_at", _TIME, nullable=True),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("unsettled_notice", sa.String(length=16), nullable=True),
        sa.CheckConstraint(
            "category IN ('bad-address', 'spam-rejection', 'auth-failure', 'mailbox-full', 'policy', 'system', 'unknown')",
            name=op.f("ck_cases_category"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'exhausted', 'closed')", name=op.f("ck_cases_state")
        ),
        sa.CheckConstraint("notices BETWEEN 0 AND 3", name=op.f("ck_cases_at_most_three")),
        sa.CheckConstraint("round >= 0", name=op.f("ck_cases_round")),
        sa.PrimaryKeyConstraint("case", name=op.f("pk_cases")),
    )
    op.create_index("ix_cases_last_strike_at", "cases", ["last_strike_at"], unique=False)
    op.create_index("uq_cases_author_subject", "cases", ["author", "subject"], unique=True)
    op.create_table(
        "notices",
        sa.Column("notice", sa.String(length=16), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("released", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("claimed_at", _TIME, nullable=True),
        sa.Column("claimed_until", _TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempted_at", _TIME, nullable=True),
        sa.Column("settled_at", _TIME, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'held', 'claimed', 'data_started', 'sent', 'failed', 'outcome_unknown')",
            name=op.f("ck_notices_state"),
        ),
        sa.PrimaryKeyConstraint("notice", name=op.f("pk_notices")),
    )
    op.create_index(
        "ix_notices_unsettled",
        "notices",
        ["claimed_until"],
        unique=False,
        sqlite_where=sa.text("state IN ('claimed', 'data_started')"),
        postgresql_where=sa.text("state IN ('claimed', 'data_started')"),
    )
    op.create_index(
        "ix_notices_waiting",
        "notices",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('open', 'held')"),
        postgresql_where=sa.text("state IN ('open', 'held')"),
    )
    op.create_index(
        "uq_notices_open",
        "notices",
        ["author"],
        unique=True,
        sqlite_where=sa.text("state IN ('open', 'held')"),
        postgresql_where=sa.text("state IN ('open', 'held')"),
    )
    op.create_table(
        "reports",
        sa.Column("report", sa.String(length=16), nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("mail_from", sa.Text(), nullable=True),
        sa.Column("envelope_recipient", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("token_type", sa.String(length=1), nullable=True),
        sa.Column("token_id", sa.String(length=16), nullable=True),
        sa.Column("token_day", sa.Integer(), nullable=True),
        sa.Column("vouched", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="stored", nullable=False),
        sa.Column("claimed_until", _TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("processed_at", _TIME, nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("trust", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("origin_source", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("reporting_mta", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("protocol_subject", sa.Text(), nullable=True),
        sa.Column("protocol_sent_at", _TIME, nullable=True),
        sa.Column("protocol_language", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('stored', 'processed', 'quarantined')", name=op.f("ck_reports_state")
        ),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_reports")),
    )
    op.create_index("ix_reports_received_at", "reports", ["received_at"], unique=False)
    op.create_index(
        "ix_reports_state_received_at", "reports", ["state", "received_at"], unique=False
    )
    op.create_index(
        "ix_reports_waiting",
        "reports",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("state = 'stored'"),
        postgresql_where=sa.text("state = 'stored'"),
    )
    op.create_table(
        "sends",
        sa.Column("send", sa.String(length=16), nullable=False),
        sa.Column("registered_at", _TIME, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("send", name=op.f("pk_sends")),
    )
    op.create_table(
        "failures",
        sa.Column("report", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("original_recipient", sa.Text(), nullable=True),
        sa.Column("final_recipient", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("smtp_code", sa.Integer(), nullable=True),
        sa.Column("remote_mta", sa.Text(), nullable=True),
        sa.Column("diagnostic_code", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("evidence_where", sa.Text(), nullable=True),
        sa.Column("ignored", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["report"], ["reports.report"], name=op.f("fk_failures_report"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("report", "position", name=op.f("pk_failures")),
    )
    op.create_table(
        "report_contents",
        sa.Column("report", sa.String(length=16), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report"],
            ["reports.report"],
            name=op.f("fk_report_contents_report"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_report_contents")),
    )
    op.create_table(
        "send_recipients",
        sa.Column("send", sa.String(length=16), nullable=False),
        sa.Column("recipient_key", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["send"], ["sends.send"], name=op.f("fk_send_recipients_send"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("send", "recipient_key", name=op.f("pk_send_recipients")),
    )
    op.create_table(
        "slots",
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("case", sa.String(length=16), nullable=False),
        sa.Column("notice", sa.String(length=16), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("max_notices", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.CheckConstraint("number BETWEEN 1 AND 3", name=op.f("ck_slots_at_most_three")),
        sa.ForeignKeyConstraint(
            ["case"], ["cases.case"], name=op.f("fk_slots_case"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["notice"], ["notices.notice"], name=op.f("fk_slots_notice")),
        sa.PrimaryKeyConstraint("author", "subject", "round", "number", name=op.f("pk_slots")),
    )
    op.create_index("uq_slots_notice_case", "slots", ["notice", "case"], unique=True)
    op.create_table(
        "strikes",
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("recipient_key", sa.Text(), nullable=False),
        sa.Column("send_key", sa.Text(), nullable=False),
        sa.Column("case", sa.String(length=16), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("report", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failed_at", _TIME, nullable=False),
        sa.Column("counted_at", _TIME, nullable=False),
        sa.Column("send", sa.String(length=16), nullable=True),
        sa.Column("notice", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(
            ["case"], ["cases.case"], name=op.f("fk_strikes_case"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("author", "recipient_key", "send_key", name=op.f("pk_strikes")),
    )
    op.create_index(
        "ix_strikes_case_round", "strikes", ["case", "round", "failed_at"], unique=False
    )
    op.create_index("ix_strikes_report", "strikes", ["report"], unique=False)
