"""A ledger with a clock to move: what the daemon does, one call a step."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, text

from bounced.ledger import notices, queries, reports, rounds, schema, settling, strikes
from bounced.ledger.counting import Counted
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import ClaimedNotice, NewReport, NoticeState
from bounced.ledger.reports import Finding
from bounced.ledger.settling import Ending, Settled
from bounced.ledger.strikes import Outcome
from bounced.model import (
    Action,
    Category,
    Kind,
    Reason,
    RecipientFacts,
    Report,
    ReturnedMessage,
    Send,
    TokenType,
    Trust,
    Verdict,
)

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
AUTHOR = "anna.berger@bau.example"
RECIPIENT = "max@kunde.example"
DOMAIN = "bounce.example.com"

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

USER_UNKNOWN = Verdict(Category.BAD_ADDRESS, Reason.USER_UNKNOWN)
MAILBOX_FULL = Verdict(Category.MAILBOX_FULL, Reason.MAILBOX_FULL)
EXPIRED = Verdict(Category.SYSTEM, Reason.EXPIRED)
SPF = Verdict(Category.AUTH_FAILURE, Reason.SPF)
CONTENT = Verdict(Category.SPAM_REJECTION, Reason.CONTENT)

LEASE = 10 * MINUTE


def bounce(
    send: str,
    recipient: str = RECIPIENT,
    *,
    author: str = AUTHOR,
    verdict: Verdict = USER_UNKNOWN,
    at: datetime = START,
    report: str | None = None,
    registered: Send | None = None,
) -> Finding:
    """Return what the processor finds in a bounce of `send`, received at `at`.

    The report's id follows from what it says, unless `report` names it.
    """
    text = f"{send} {recipient} {author} {verdict.reason} {at}"
    return Finding(
        arrival=NewReport(
            report=report or hashlib.sha256(text.encode()).hexdigest()[:16],
            received_at=at,
            raw=text.encode("utf-8", "replace"),
            envelope_recipient=f"bounces@{DOMAIN}",
            door="mailbox",
            client="127.0.0.1",
            mail_from="",
            token_type=TokenType.SEND if registered else None,
            token_id=registered.send if registered else None,
        ),
        report=Report(
            kind=Kind.DELIVERY_STATUS,
            recipients=(
                RecipientFacts(
                    final_recipient=recipient,
                    action=Action.FAILED,
                    status="5.1.1",
                    smtp_code=550,
                    remote_mta="mx.kunde.example",
                    diagnostic_code="smtp; 550 5.1.1 no such user",
                ),
            ),
            reporting_mta="relay.example.com",
            arrived_at=at - MINUTE,
            message_id=f"report-of-{send}@relay.example.com",
            returned=ReturnedMessage(
                from_address=author,
                message_id=f"{send}@app.example",
                subject=f"Protokoll {send}",
                sent_at=at - MINUTE,
                language="de",
            ),
        ),
        verdicts=(verdict,),
        trust=Trust.SIGNED if registered else Trust.RELAY,
        author=author,
        reference=f"reference of {send}",
        send=registered,
        addressed=(recipient,) if registered else (),
    )


@dataclass
class Office:
    """Counts, tells and looks up at the time that its clock shows."""

    ledger: Ledger
    settings: PolicySettings = field(default_factory=PolicySettings)
    now: datetime = START
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self) -> str:
        return f"{next(self.ids):016x}"

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by

    def configure(self, **settings: Any) -> None:
        """Change settings, as a reload does."""
        self.settings = replace(self.settings, **settings)

    def receive(self, *findings: Finding) -> list[Outcome]:
        """Store the reports that are not stored yet, then record what was found in them."""

        def work(connection: Any) -> list[Outcome]:
            known = {row[0] for row in connection.execute(select(schema.reports.c.report))}
            new = {finding.arrival.report: finding.arrival for finding in findings}
            arrivals = [arrival for report, arrival in new.items() if report not in known]
            if arrivals:
                reports.append(connection, arrivals)
            return strikes.record(connection, findings, self.settings, self.now, self.new_id)[0]

        return self.ledger.write(work)

    def fail(self, send: str, recipient: str = RECIPIENT, **how: Any) -> Counted:
        """Let one send bounce now; return the strike."""
        (outcome,) = self.receive(bounce(send, recipient, **{"at": self.now, **how}))
        (counted,) = outcome.recipients
        assert isinstance(counted, Counted), counted
        return counted

    def claim(self, *, released_only: bool = False) -> ClaimedNotice | None:
        return next(iter(self.claim_some(1, released_only=released_only)), None)

    def claim_some(self, limit: int, *, released_only: bool = False) -> list[ClaimedNotice]:
        return self.ledger.write(
            lambda c: notices.claim(
                c,
                self.now,
                LEASE,
                limit,
                settings=self.settings,
                released_only=released_only,
                domain=DOMAIN,
                new_id=self.new_id,
            )
        )

    def start_data(self, claimed: ClaimedNotice) -> bool:
        (started,) = self.ledger.write(
            lambda c: notices.start_data(c, [(claimed.notice, claimed.claim)])
        )
        return started

    def defer(self, claimed: ClaimedNotice, next_at: datetime) -> bool:
        return self.ledger.write(
            lambda c: notices.defer(c, claimed.notice, claimed.claim, next_at, "451 later")
        )

    def settle(
        self, claimed: ClaimedNotice, state: NoticeState = NoticeState.SENT
    ) -> Settled | None:
        ending = Ending(claimed.notice, claimed.claim, state, "250 ok", self.now)
        (settled,) = self.ledger.write(
            lambda c: settling.settle(c, [ending], settings=self.settings, new_id=self.new_id)
        )
        return settled

    def settle_lost(self) -> list[Settled]:
        return self.ledger.write(
            lambda c: settling.settle_lost(c, self.now, settings=self.settings, new_id=self.new_id)
        )

    def send_due(self) -> list[ClaimedNotice]:
        """Send everything that is due; return it."""
        sent = []
        while (claimed := self.claim()) is not None:
            assert self.start_data(claimed)
            assert self.settle(claimed) is not None
            sent.append(claimed)
        return sent

    def settle_silent(self) -> list[Settled]:
        return self.ledger.write(
            lambda c: settling.settle_silent(
                c, self.now, settings=self.settings, new_id=self.new_id
            )
        )

    def hold_due(self, *, everyone: bool = True) -> list[tuple[str, str]]:
        """Hold what is due; return (notice, author)."""
        held = self.ledger.write(lambda c: notices.hold_due(c, self.now, everyone=everyone))
        return [(each.notice, each.author) for each in held]

    def release_held(self, notice: str | None = None) -> list[str]:
        return self.ledger.write(lambda c: notices.release_held(c, notice, self.now))

    def reset(self, case: str) -> Any:
        return self.ledger.write(
            lambda c: rounds.reset(
                c, case, self.now, why="operator", settings=self.settings, new_id=self.new_id
            )
        )

    def close(self, case: str) -> Any:
        return self.ledger.write(
            lambda c: rounds.close(c, case, self.now, why="operator", new_id=self.new_id)
        )

    def leave_rehearsal(self) -> int:
        return self.ledger.write(
            lambda c: rounds.leave_rehearsal(
                c, self.now, settings=self.settings, new_id=self.new_id
            )
        )

    def list_cases(self, **filters: Any) -> list[dict[str, Any]]:
        return self.ledger.read(lambda c: queries.list_cases(c, **filters))

    def find_case(self, subject: str = RECIPIENT) -> dict[str, Any]:
        (case,) = self.list_cases(subject=subject)
        return case

    def find_last_notice_at(self) -> datetime | None:
        """Return when the last notice of the only case was settled."""
        query = select(schema.cases.c.last_notice_at)
        found: datetime | None = self.ledger.read(lambda c: c.execute(query).scalar_one())
        return found

    def list_notices(self, **filters: Any) -> list[dict[str, Any]]:
        return self.ledger.read(lambda c: queries.list_notices(c, **filters))

    def dump(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return whole tables, rows in an order of their own."""

        def work(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
            return {
                name: sorted(
                    map(tuple, connection.execute(select(schema.metadata.tables[name]))), key=repr
                )
                for name in tables
            }

        return self.ledger.read(work)


def list_subjects(sent: Sequence[ClaimedNotice]) -> list[list[tuple[str, int]]]:
    """Return what notices told: per notice, each subject with its number."""
    return [[(entry.subject, entry.number) for entry in notice.entries] for notice in sent]


def wait_until_blocked(connection: Connection) -> None:
    """Wait until somebody waits for what our transaction holds."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    give_up_at = time.monotonic() + 10
    while not connection.execute(waiting).scalar():
        assert time.monotonic() < give_up_at, "nobody waits"
        time.sleep(0.01)
