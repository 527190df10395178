"""Whose mail it was and whether it may count: one finding from arrival, report and send."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import replace
from typing import Any

import pytest

from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import NewReport
from bounced.ledger.reports import Finding, StoredReport
from bounced.model import OriginSource, Send, TokenType, Trust
from bounced.origin.resolve import OriginSettings
from bounced.parser.report import HeaderNames
from bounced.parser.ruleset import parse_rules
from bounced.processor.processor import ProcessorSettings, judge
from bounced.processor.worker import Parser
from tests.processor.mails import AUTHOR, NOW, RECIPIENT, make_bounce, make_forgery

SETTINGS = ProcessorSettings(
    OriginSettings(own_relays=(ipaddress.ip_network("127.0.0.0/8"),)), PolicySettings()
)
PARSER = Parser(parse_rules({}), HeaderNames())
MAILBOX = NewReport(
    "r1", NOW, make_bounce(), "bounces@bounce.example.com", "mailbox", client="127.0.0.1"
)
TOKEN = replace(MAILBOX, door="token", token_type=TokenType.SEND, token_id="0123456789abcdef")
ONE = Send("0123456789abcdef", "other@bau.example", (RECIPIENT,), NOW, reference="7")
TWO = replace(ONE, recipients=("first@kunde.example", RECIPIENT))


def conclude(arrival: NewReport, send: Send | None = None) -> Finding:
    return judge(StoredReport(arrival, 1), PARSER.parse(arrival.raw), send, SETTINGS)


@pytest.mark.parametrize(
    ("arrival", "send", "expected"),
    [
        pytest.param(
            MAILBOX,
            None,
            {"trust": Trust.RELAY, "author": AUTHOR, "source": OriginSource.AUTHOR_HEADER},
            id="made-by-an-own-relay",
        ),
        pytest.param(
            replace(MAILBOX, raw=make_forgery()),
            None,
            {"trust": Trust.NONE, "author": None, "quarantined": True},
            id="from-outside",
        ),
        pytest.param(
            replace(MAILBOX, raw=make_forgery(), vouched=True),
            None,
            {"trust": Trust.RELAY, "author": AUTHOR, "quarantined": False},
            id="vouched-for",
        ),
        pytest.param(
            TOKEN,
            ONE,
            {
                "trust": Trust.SIGNED,
                "author": "other@bau.example",
                "reference": "7",
                "addressed": (RECIPIENT,),
            },
            id="registered-send",
        ),
        pytest.param(TOKEN, TWO, {"addressed": (RECIPIENT,)}, id="one-of-two-recipients"),
        pytest.param(
            replace(TOKEN, raw=make_bounce(recipient="stranger@isp.example")),
            TWO,
            {"addressed": (None,)},
            id="none-of-two-recipients",
        ),
        pytest.param(
            TOKEN,
            None,
            {"trust": Trust.SIGNED, "author": AUTHOR, "addressed": ()},
            id="token-of-no-registered-send",
        ),
        pytest.param(
            replace(TOKEN, token_type=TokenType.NOTICE),
            None,
            {"trust": Trust.SIGNED, "author": None, "why": "notice-bounced"},
            id="own-notice",
        ),
    ],
)
def test_a_finding_tells_trust_author_and_whom_the_failure_speaks_of(
    arrival: NewReport, send: Send | None, expected: dict[str, Any]
) -> None:
    finding = conclude(arrival, send)
    assert {name: getattr(finding, name) for name in expected} == expected


def test_a_finding_holds_the_messages_digest_and_not_its_bytes() -> None:
    finding = conclude(MAILBOX)
    assert finding.digest == hashlib.sha256(MAILBOX.raw).hexdigest()
    assert finding.arrival == replace(MAILBOX, raw=b"")
