"""What strangers have in quarantine; the values that the tests of it share."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection

from bounced.ledger import quarantine, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.quarantine import ROW_BYTES, Chosen
from bounced.ledger.records import NewReport
from bounced.model import TokenType
from tests.ledger.office import MINUTE, START

FLOOD, HONEST, THIRD = "192.0.2.66", "198.51.100.7", "2001:db8:1:1::1"
SIZE = 1000
WEIGHT = SIZE + ROW_BYTES


def put(
    ledger: Ledger,
    client: str | None,
    count: int = 1,
    *,
    at: datetime = START,
    why: str = "client-not-own-relay",
    size: int = SIZE,
    token_type: TokenType | None = None,
) -> list[str]:
    """Put reports of a client away, one a second from `at` on; return their ids."""
    prefix = hashlib.sha256(f"{client} {at}".encode()).hexdigest()[:8]
    ids = [f"{prefix}{number:08x}" for number in range(count)]
    arrivals = [
        NewReport(
            report=report,
            received_at=at + number * MINUTE / 60,
            raw=b"x" * size,
            envelope_recipient="bounces@bounce.example.com",
            door="mailbox",
            client=client,
            mail_from="",
            token_type=token_type,
        )
        for number, report in enumerate(ids)
    ]

    def work(connection: Connection) -> None:
        reports.append(connection, arrivals)
        for report in ids:
            reports.quarantine(connection, report, why, None, at)

    ledger.write(work)
    return ids


def list_held(ledger: Ledger, chosen: Chosen | None = None, limit: int | None = None) -> list[str]:
    """Return what is in quarantine, newest first."""
    return ledger.read(lambda c: quarantine.find(c, chosen or Chosen(), limit))
