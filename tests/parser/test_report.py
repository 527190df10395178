"""Tests of a report as a whole."""

from datetime import UTC, datetime

import pytest

from bounced.model import Action, Kind, RecipientFacts, Reply, Report, ReturnedMessage
from bounced.parser.report import read_report
from tests.parser.compose import message, multipart, part, report


def test_a_postfix_report_is_read_whole() -> None:
    raw = report(
        "<max@firma.de>: host mx.firma.de[192.0.2.1] said: 550 5.1.1 no such user (in reply to\n"
        "    RCPT TO command)",
        "Reporting-MTA: dns; relay.test\nX-Postfix-Queue-ID: 3698E2\n"
        "Arrival-Date: Sat, 21 Nov 2026 20:41:04 +0000 (UTC)\n\n"
        "Final-Recipient: rfc822; max@firma.de\nAction: failed\nStatus: 5.1.1\n"
        "Remote-MTA: dns; mx.firma.de\nDiagnostic-Code: smtp; 550 5.1.1 no such user",
        part("text/rfc822-headers", "From: us@app.test\nTo: max@firma.de\nMessage-ID: <1@app>\n"),
        header=(
            "Received: by relay.test (Postfix)\r\n\tid A9B6; Sat, 21 Nov 2026 20:41:14 +0000",
            "From: MAILER-DAEMON@relay.test",
            "Subject: =?utf-8?q?Nicht_zustellbar=3A_gr=C3=BCn?=",
            "Date: Sat, 21 Nov 2026 20:41:14 +0000",
            "Message-Id: <20261121.A9B6@relay.test>",
            "Auto-Submitted: auto-replied",
        ),
    )
    assert read_report(raw) == Report(
        kind=Kind.DELIVERY_STATUS,
        recipients=(
            RecipientFacts(
                final_recipient="max@firma.de",
                action=Action.FAILED,
                status="5.1.1",
                smtp_code=550,
                remote_mta="mx.firma.de",
                diagnostic_code="smtp; 550 5.1.1 no such user",
                replies=(
                    Reply(
                        "550 5.1.1 no such user",
                        "part 2, Diagnostic-Code",
                        smtp_code=550,
                        status="5.1.1",
                        host="mx.firma.de",
                        command="RCPT TO",
                    ),
                ),
            ),
        ),
        reporting_mta="relay.test",
        queue_id="3698E2",
        arrived_at=datetime(2026, 11, 21, 20, 41, 4, tzinfo=UTC),
        message_id="20261121.A9B6@relay.test",
        subject="Nicht zustellbar: grün",
        dated_at=datetime(2026, 11, 21, 20, 41, 14, tzinfo=UTC),
        received=("by relay.test (Postfix) id A9B6; Sat, 21 Nov 2026 20:41:14 +0000",),
        returned=ReturnedMessage(
            from_address="us@app.test", to_addresses=("max@firma.de",), message_id="1@app"
        ),
    )


def test_an_empty_message_is_an_empty_report() -> None:
    assert read_report(b"") == Report(Kind.UNRECOGNIZED)


RECIPIENT = "Final-Recipient: rfc822; a@b.de\nAction: failed\nStatus: 5.0.0\n"


@pytest.mark.parametrize(
    ("about", "received", "expected"),
    [
        ("X-Postfix-Queue-ID: 3698E2", "by relay.test id 9", "3698E2"),
        ("X-Queue-ID: ", "", None),
        ("", "from x by Relay.test with esmtp (Exim 4.96) id 1xU-0ml-2z; today", "1xU-0ml-2z"),
        ("", "from x by other.test with ESMTP id 9; today", None),
        ("", "by relay.test; today", None),
        ("", "", None),
    ],
)
def test_the_queue_id_is_told_or_stamped(about: str, received: str, expected: str | None) -> None:
    returned = part("message/rfc822", f"Received: {received}\nFrom: x@y.de\n")
    raw = report("", f"Reporting-MTA: dns; relay.test\n{about}\n\n{RECIPIENT}", returned)
    assert read_report(raw).queue_id == expected


def test_without_a_reporting_mta_no_stamp_is_its_own() -> None:
    returned = part("message/rfc822", "Received: by relay.test id 9; today\n")
    assert read_report(report("", RECIPIENT, returned)).queue_id is None


def test_a_report_that_calls_itself_automatic_stays_a_delivery_status() -> None:
    raw = report("", RECIPIENT, header=("Auto-Submitted: auto-replied", "X-Autoreply: yes"))
    assert read_report(raw).kind == Kind.DELIVERY_STATUS


def test_a_status_within_a_feedback_report_wins() -> None:
    raw = multipart(part("message/delivery-status", RECIPIENT), kind="report")
    assert read_report(raw).kind == Kind.DELIVERY_STATUS


def test_an_empty_envelope_id_is_absent() -> None:
    raw = report("", f"Original-Envelope-Id: \nReporting-MTA: dns; x\n\n{RECIPIENT}")
    assert read_report(raw).envelope_id is None


def test_a_json_notification_is_a_delivery_status() -> None:
    text = (
        '{"notificationType":"Delivery","delivery":{"recipients":["a@b.de"],"reportingMTA":"m"}}'
    )
    found = read_report(message("From: no-reply@sns.test", body=text))
    assert (found.kind, found.reporting_mta, [r.recipient for r in found.recipients]) == (
        Kind.DELIVERY_STATUS,
        "m",
        ["a@b.de"],
    )
