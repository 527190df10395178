"""What other real mail servers write of a refusal is read as it was said."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import bounced.parser
from bounced.model import Action, Category, Reason, RecipientFacts, Verdict
from bounced.parser.classify import classify
from bounced.parser.evidence import join_reply
from bounced.parser.report import read_report
from bounced.parser.ruleset import parse_rules
from tests.mta.conditions import need_unpacked
from tests.mta.network import LOOPBACK, wait_for
from tests.mta.receiver import Receiver
from tests.mta.refusals import ALL, DOMAIN, Refusal
from tests.mta.unpacked import DMA, NULLMAILER, OPENSMTPD, SENDMAIL, RunningUnpacked, Unpacked

pytestmark = [pytest.mark.mta, pytest.mark.slow]

SENDER = "bounces@sender.example.test"
FULL_FOR_LONG = Refusal(
    "full-for-long",
    f"olga.dauervoll@{DOMAIN}",
    Category.MAILBOX_FULL,
    Reason.MAILBOX_FULL,
    "452 4.2.2 The mailbox is over quota",
)
REFUSED = tuple(each for each in ALL if each.reply)
GIVES_UP = (SENDMAIL, OPENSMTPD)
NAMES_COMMAND = (SENDMAIL, DMA)

RULES = parse_rules(
    {
        path.name: path.read_text("utf-8")
        for path in (Path(bounced.parser.__file__).parent / "rules").glob("*.toml")
    }
)

Told = Mapping[str, tuple[RecipientFacts, Verdict]]
"""By recipient: what the bounce of a server told of his failure."""


@pytest.fixture(
    scope="module", params=[SENDMAIL, OPENSMTPD, DMA, NULLMAILER], ids=lambda s: s.name
)
def server(request: pytest.FixtureRequest) -> Unpacked:
    chosen: Unpacked = request.param
    need_unpacked(chosen)
    return chosen


@pytest.fixture(scope="module")
def told(server: Unpacked) -> Iterator[Told]:
    receiver = Receiver(
        at_rcpt={
            each.recipient: each.reply for each in (*REFUSED, FULL_FOR_LONG) if not each.at_data
        },
        at_data={each.recipient: each.reply for each in REFUSED if each.at_data},
    )
    refused = [*REFUSED, *([FULL_FOR_LONG] if server in GIVES_UP else [])]
    with receiver.run(), server.run(receiver.port) as running:
        for each in refused:
            _submit(running, each.recipient)

        def find_all() -> Told | None:
            found = _read(receiver)
            return found if len(found) == len(refused) else None

        yield wait_for(f"the bounces of {server.name}", find_all)


def _submit(running: RunningUnpacked, recipient: str) -> None:
    content = f"From: author@example.test\nTo: {recipient}\nSubject: Protokoll\n\nGuten Tag\n"
    if running.port is None:
        waiting = running.folder / "outbox" / "next"
        waiting.write_text(content)
        waiting.rename(running.folder / "outbox" / recipient)
        return
    with smtplib.SMTP(LOOPBACK, running.port, local_hostname="app.example.test") as client:
        client.sendmail(SENDER, [recipient], content.replace("\n", "\r\n").encode())


def _read(receiver: Receiver) -> Told:
    reports = [read_report(each.content) for each in list(receiver.delivered)]
    return {
        facts.recipient or "": (facts, classify(facts, RULES, reporting_mta=report.reporting_mta))
        for report in reports
        for facts in report.recipients
        if facts.action is Action.FAILED
    }


@pytest.mark.parametrize("refusal", REFUSED, ids=lambda refusal: refusal.name)
def test_the_whole_reply_is_read_and_judged(
    told: Told, server: Unpacked, refusal: Refusal
) -> None:
    facts, verdict = told[refusal.recipient]
    reply = facts.replies[0]
    command = "DATA" if refusal.at_data else "RCPT TO"

    assert reply.text == join_reply(refusal.reply)
    assert (verdict.category, verdict.reason) == (refusal.category, refusal.reason)
    assert reply.command == (command if server in NAMES_COMMAND else None)


@pytest.mark.parametrize("server", GIVES_UP, ids=lambda server: server.name, indirect=True)
def test_what_waited_too_long_has_failed(told: Told) -> None:
    facts, verdict = told[FULL_FOR_LONG.recipient]

    assert facts.action is Action.FAILED
    assert verdict.category in {Category.SYSTEM, FULL_FOR_LONG.category}
