"""The tables: every promise of DESIGN §5 that a constraint can hold is held here."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    false,
    text,
)

from bounced.ledger.columns import COUNT, ID, CleanText, UtcTime, one_of, partial_index
from bounced.ledger.records import CaseState, NoticeState, ReportState, WebhookState
from bounced.model import Category

MAX_NOTICES = 3
"""What the database refuses to exceed, whatever the configuration says."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

sends = Table(
    "sends",
    metadata,
    Column("send", ID, primary_key=True),
    Column("registered_at", UtcTime, nullable=False),
    Column("author", CleanText, nullable=False),
    Column("reference", CleanText),
    Column("title", CleanText),
    Column("url", CleanText),
    Column("language", CleanText),
    # Of a send that was registered over HTTP: the application's own id, the SHA-256 of what it
    # said of the send, and the answer; the same request once more has the same answer.
    Column("key", CleanText),
    Column("digest", CleanText),
    Column("return_path", CleanText),
    # Whether it is known whom it reached (`reached`).
    Column("learned", Boolean, nullable=False, server_default=false()),
)
Index("uq_sends_key", sends.c.key, unique=True)
is_unlearned = text("learned IS FALSE")
"""Condition of the partial index, as of those below."""
partial_index("ix_sends_unlearned", sends.c.registered_at, where=is_unlearned)

send_recipients = Table(
    "send_recipients",
    metadata,
    Column("send", ID, ForeignKey("sends.send", ondelete="CASCADE"), primary_key=True),
    Column("recipient_key", CleanText, primary_key=True),
    Column("recipient", CleanText, nullable=False),
    Column("position", Integer, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("report", ID, primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    # As the door saw it.
    Column("client", CleanText),
    Column("mail_from", CleanText),
    Column("envelope_recipient", CleanText, nullable=False),
    Column("door", CleanText, nullable=False),
    Column("token_type", String(1)),
    Column("token_id", ID),
    Column("token_day", Integer),
    Column("vouched", Boolean, nullable=False, server_default=false()),
    Column("size", Integer, nullable=False),
    # How far it has come.
    Column("state", CleanText, nullable=False, server_default=ReportState.STORED.value),
    Column("claimed_until", UtcTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # What the processor found.
    Column("processed_at", UtcTime),
    Column("kind", CleanText),
    Column("trust", CleanText),
    Column("why", CleanText),
    Column("detail", CleanText),
    Column("author", CleanText),
    Column("origin_source", CleanText),
    Column("reference", CleanText),
    Column("reporting_mta", CleanText),
    Column("message_id", CleanText),
    Column("protocol_subject", CleanText),
    Column("protocol_sent_at", UtcTime),
    Column("protocol_language", CleanText),
    # By what the mail that bounced was to be authenticated: the domain of its MAIL FROM, and its
    # DKIM signatures, `selector._domainkey.domain`, one a line.
    Column("mail_from_domain", CleanText),
    Column("signatures", CleanText),
    one_of("state", ReportState, "state"),
)
partial_index("ix_reports_waiting", reports.c.received_at, where=text("state = 'stored'"))
Index("ix_reports_received_at", reports.c.received_at)
Index("ix_reports_state_received_at", reports.c.state, reports.c.received_at)
partial_index("ix_reports_token_id", reports.c.token_id, where=text("token_id IS NOT NULL"))

report_contents = Table(
    "report_contents",
    metadata,
    # Apart from `reports`, whose rows are rewritten when their state changes.
    Column("report", ID, ForeignKey("reports.report", ondelete="CASCADE"), primary_key=True),
    Column("raw", LargeBinary, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("report", ID, ForeignKey("reports.report", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("recipient", CleanText),
    Column("original_recipient", CleanText),
    Column("final_recipient", CleanText),
    Column("action", CleanText),
    Column("status", CleanText),
    Column("smtp_code", Integer),
    Column("remote_mta", CleanText),
    Column("diagnostic_code", CleanText),
    Column("reply", CleanText),
    Column("category", CleanText),
    Column("reason", CleanText),
    Column("rule", CleanText),
    Column("evidence", CleanText),
    Column("evidence_where", CleanText),
    Column("ignored", CleanText),
    # What it counts for, where it counts; what its text is one of, where no rule speaks.
    Column("strike", ID),
    Column("subject", CleanText),
    Column("cluster", ID),
)
partial_index("ix_failures_strike", failures.c.strike, where=text("strike IS NOT NULL"))
partial_index("ix_failures_cluster", failures.c.cluster, where=text("cluster IS NOT NULL"))

text_clusters = Table(
    "text_clusters",
    metadata,
    # The key lets each be found once only, whoever reads its first text.
    Column("cluster", ID, primary_key=True),
    Column("text", CleanText, nullable=False),
    Column("found_at", UtcTime, nullable=False),
)

cases = Table(
    "cases",
    metadata,
    Column("case", ID, primary_key=True),
    Column("author", CleanText, nullable=False),
    Column("subject", CleanText, nullable=False),
    Column("category", CleanText, nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("state", CleanText, nullable=False, server_default=CaseState.OPEN.value),
    Column("round", Integer, nullable=False),
    Column("strikes", Integer, nullable=False, server_default="0"),
    Column("notices", Integer, nullable=False, server_default="0"),
    Column("first_strike_at", UtcTime),
    Column("last_strike_at", UtcTime),
    Column("last_notice_at", UtcTime),
    Column("closed_at", UtcTime),
    # The last proof, or an operator's word, that mail arrives again.
    Column("reset_at", UtcTime),
    Column("due_at", UtcTime),
    Column("unsettled_notice", ID),
    # The address that may be meant, and when that was last looked into.
    Column("suggestion", CleanText),
    Column("advised_at", UtcTime),
    # What DNS said of the sender domain when it was looked at last (JSON).
    Column("diagnosis", CleanText),
    Column("checked_at", UtcTime),
    # How a closed case was closed; the new address, where somebody named it.
    Column("closed_why", CleanText),
    Column("corrected_to", CleanText),
    one_of("state", CaseState, "state"),
    one_of("category", Category, "category"),
    CheckConstraint(f"notices BETWEEN 0 AND {MAX_NOTICES}", name="at_most_three"),
    CheckConstraint("round >= 0", name="round"),
)
Index("uq_cases_author_subject", cases.c.author, cases.c.subject, unique=True)
Index("ix_cases_subject", cases.c.subject)
Index("ix_cases_last_strike_at", cases.c.last_strike_at)
is_unadvised = text(
    "due_at IS NOT NULL AND category = 'bad-address' "
    "AND (advised_at IS NULL OR advised_at < last_strike_at)"
)
"""Condition of the partial index, as of those below."""
partial_index("ix_cases_unadvised", cases.c.due_at, where=is_unadvised)
is_undiagnosed = text(
    "state <> 'closed' AND strikes > 0 AND category = 'auth-failure' "
    "AND (advised_at IS NULL OR advised_at < last_strike_at)"
)
partial_index("ix_cases_undiagnosed", cases.c.due_at, where=is_undiagnosed)
is_refused = text("state <> 'closed' AND category = 'auth-failure' AND diagnosis IS NOT NULL")
partial_index("ix_cases_refused", cases.c.checked_at, where=is_refused)

strikes = Table(
    "strikes",
    metadata,
    # No category in the key: replay changes a strike instead of adding one.
    Column("author", CleanText, primary_key=True),
    Column("recipient_key", CleanText, primary_key=True),
    Column("send_key", CleanText, primary_key=True),
    Column("case", ID, ForeignKey("cases.case", ondelete="CASCADE"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("report", ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("recipient", CleanText, nullable=False),
    Column("category", CleanText, nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("failed_at", UtcTime, nullable=False),
    Column("counted_at", UtcTime, nullable=False),
    Column("send", ID),
    Column("notice", ID),
    # Set by replay alone: causes no mail, is told along with others.
    Column("quiet", Boolean, nullable=False, server_default=false()),
    # Set by replay alone: counts no longer, or was told of in another case.
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
    Column("told_case", ID),
)
Index("ix_strikes_case_round", strikes.c.case, strikes.c.round, strikes.c.failed_at)
Index("ix_strikes_report", strikes.c.report)
partial_index("ix_strikes_notice", strikes.c.notice, where=text("notice IS NOT NULL"))

notices = Table(
    "notices",
    metadata,
    Column("notice", ID, primary_key=True),
    Column("author", CleanText, nullable=False),
    Column("state", CleanText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime),
    Column("released", Boolean, nullable=False, server_default=false()),
    Column("message_id", CleanText),
    Column("language", CleanText),
    Column("claim", CleanText),
    Column("claimed_at", UtcTime),
    Column("claimed_until", UtcTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("attempted_at", UtcTime),
    Column("settled_at", UtcTime),
    Column("detail", CleanText),
    # Why it is held.
    Column("why", CleanText),
    one_of("state", NoticeState, "state"),
)
is_waiting = text("state IN ('open', 'held')")
is_under_way = text("state IN ('claimed', 'data_started')")
"""Conditions of the partial indexes; SQLite uses one only where a query says the same words."""
partial_index("uq_notices_open", notices.c.author, unique=True, where=is_waiting)
Index("ix_notices_author_settled_at", notices.c.author, notices.c.settled_at)
partial_index("ix_notices_waiting", notices.c.due_at, where=is_waiting)
partial_index("ix_notices_unsettled", notices.c.claimed_until, where=is_under_way)

slots = Table(
    "slots",
    metadata,
    Column("author", CleanText, primary_key=True),
    Column("subject", CleanText, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("case", ID, ForeignKey("cases.case", ondelete="CASCADE"), nullable=False),
    Column("notice", ID, ForeignKey("notices.notice"), nullable=False),
    Column("category", CleanText, nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("max_notices", Integer, nullable=False),
    Column("strikes", Integer, nullable=False),
    Column("suggestion", CleanText),
    Column("diagnosis", CleanText),
    CheckConstraint(f"number BETWEEN 1 AND {MAX_NOTICES}", name="at_most_three"),
)
Index("uq_slots_notice_case", slots.c.notice, slots.c.case, unique=True)

authors = Table(
    "authors",
    metadata,
    # Only those of whom there is something to know.
    Column("author", CleanText, primary_key=True),
    Column("unreachable_at", UtcTime),
    # The notice that bounced.
    Column("unreachable_notice", ID),
    Column("declined_at", UtcTime),
)

reached = Table(
    "reached",
    metadata,
    # Addresses that an author's registered sends arrived at, as far as anybody told.
    Column("author", CleanText, primary_key=True),
    Column("recipient_key", CleanText, primary_key=True),
    Column("domain", CleanText, nullable=False),
    Column("reached_at", UtcTime, nullable=False),
)
Index("ix_reached_domain", reached.c.domain)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook", ID, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("event", CleanText, nullable=False),
    # A JSON object: the request's body, the same bytes at every attempt.
    Column("body", CleanText, nullable=False),
    Column("state", CleanText, nullable=False, server_default=WebhookState.WAITING.value),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", UtcTime),
    Column("settled_at", UtcTime),
    Column("detail", CleanText),
    one_of("state", WebhookState, "state"),
)
is_unsent = text("state = 'waiting'")
"""Condition of the partial index, as of those above."""
partial_index("ix_webhooks_unsent", webhooks.c.next_at, where=is_unsent)
Index("ix_webhooks_created_at", webhooks.c.created_at)

replays = Table(
    "replays",
    metadata,
    # A replay that is under way or was interrupted, by what it judges with.
    Column("fingerprint", ID, primary_key=True),
    Column("since_at", UtcTime),
    Column("started_at", UtcTime, nullable=False),
    # The last report that is done.
    Column("received_at", UtcTime),
    Column("report", ID),
)

events = Table(
    "events",
    metadata,
    Column("id", COUNT, primary_key=True),
    # Where readers find it; given after the commit, in the order in which commits are seen.
    Column("position", BigInteger),
    Column("at", UtcTime, nullable=False),
    Column("event", CleanText, nullable=False),
    # A JSON object.
    Column("body", CleanText, nullable=False),
)
is_unnumbered = text("position IS NULL")
"""Condition of the partial index, as of those above."""
Index("uq_events_position", events.c.position, unique=True)
partial_index("ix_events_unnumbered", events.c.id, where=is_unnumbered)
Index("ix_events_at", events.c.at)

event_counter = Table(
    "event_counter",
    metadata,
    # One row, so that positions go on where they stood after the last event is deleted.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_position", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
