"""What reading and classifying a message costs, beside the standard library's parser in one run."""

from __future__ import annotations

import email
import email.policy
import statistics
import time
from collections.abc import Callable, Sequence

from bounced.parser.report import HeaderNames, read_report
from bounced.parser.ruleset import parse_rules
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Parser
from tests.parser.compose import part, report
from tests.parser.hostile import HOSTILE

ROUNDS = 300
PER_BYTES = 100_000
ORDINARY = report(
    "<max@firma.de>: host mx.firma.de[192.0.2.1] said: 550 5.1.1 <max@firma.de>: Recipient\n"
    "    address rejected: User unknown (in reply to RCPT TO command)\n",
    "Reporting-MTA: dns; relay.test\n\nFinal-Recipient: rfc822; max@firma.de\n"
    "Original-Recipient: rfc822;max@firma.de\nAction: failed\nStatus: 5.1.1\n"
    "Diagnostic-Code: smtp; 550 5.1.1 <max@firma.de>: Recipient address rejected: User unknown\n",
    part("message/rfc822", "From: a@b.de\nTo: max@firma.de\nSubject: x\n\n" + "body\n" * 600),
    header=("From: MAILER-DAEMON@relay.test", "Date: Sat, 21 Nov 2026 20:41:04 GMT"),
)


def run() -> Sequence[tuple[str, float]]:
    """Measure; returns figures with their names."""
    parser = Parser(parse_rules(read_rule_files([])), HeaderNames())
    ours = _measure_us(lambda: parser.parse(ORDINARY))
    library = _measure_us(lambda: email.message_from_bytes(ORDINARY, policy=email.policy.compat32))
    hostile = {name: _measure_ms_per_size(raw) for name, raw in HOSTILE.items()}
    worst = max(hostile, key=lambda name: hostile[name])
    return [
        ("parser, an ordinary report, microseconds of CPU", ours),
        ("parser to the standard library's compat32 parser, an ordinary report", ours / library),
        (f"parser, milliseconds of CPU per 100 KB at the worst ({worst})", hostile[worst]),
    ]


def _measure_us(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(ROUNDS):
        begun = time.process_time_ns()
        work()
        spent.append((time.process_time_ns() - begun) / 1_000)
    return statistics.median(spent)


def _measure_ms_per_size(raw: bytes) -> float:
    begun = time.process_time_ns()
    read_report(raw)
    spent_ms = (time.process_time_ns() - begun) / 1_000_000
    return spent_ms / max(1.0, len(raw) / PER_BYTES)
