"""Tests of reading feedback reports."""

import pytest

from bounced.model import Kind, RecipientFacts
from bounced.parser.report import read_report
from tests.parser.compose import multipart, part

RETURNED = part("message/rfc822", "From: us@app.test\nTo: Max <max@firma.de>\nSubject: x\n")


def complaint(fields: str, returned: str = RETURNED) -> bytes:
    return multipart(
        part("text/plain", "This is an email abuse report"),
        part("message/feedback-report", f"Feedback-Type: abuse\n{fields}"),
        returned,
        kind="report; report-type=feedback-report",
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            complaint("Original-Rcpt-To: <a@b.de>\nOriginal-Rcpt-To: c@d.de\n"),
            ["a@b.de", "c@d.de"],
            id="original recipients",
        ),
        pytest.param(complaint("Removal-Recipient: a@b.de\n"), ["a@b.de"], id="removal"),
        pytest.param(
            complaint("Original-Rcpt-To: 5e1a@redacted.invalid\nRemoval-Recipient: a@b.de\n"),
            ["a@b.de"],
            id="redacted",
        ),
        pytest.param(
            complaint("Redacted-Address: redacted\n"), ["max@firma.de"], id="returned To"
        ),
        pytest.param(
            complaint("", part("message/rfc822", "From: us@app.test\nX-RCPT-TO: <a@b.de>\n")),
            ["a@b.de"],
            id="returned X-RCPT-TO",
        ),
        pytest.param(complaint("", part("message/rfc822", "REDACTED")), [], id="nothing returned"),
        pytest.param(
            multipart(RETURNED, kind='report; report-type="feedback-report"'),
            ["max@firma.de"],
            id="no feedback part",
        ),
        pytest.param(
            multipart(
                part("message/rfc822", "X-HmXmrOriginalRecipient: a@b.de\nTo: x@y.de\n"),
                header=("Subject:  complaint about message from 192.0.2.1",),
            ),
            ["a@b.de"],
            id="Hotmail",
        ),
    ],
)
def test_a_complaint_names_who_complained(raw: bytes, expected: list[str]) -> None:
    found = read_report(raw)
    assert found.kind == Kind.FEEDBACK
    assert found.recipients == tuple(RecipientFacts(final_recipient=each) for each in expected)


def test_a_forwarded_complaint_of_hotmail_is_none() -> None:
    raw = multipart(
        part("message/rfc822", "X-HmXmrOriginalRecipient: a@b.de\nTo: x@y.de\n"),
        header=("Subject: Fwd: see this",),
    )
    assert read_report(raw).kind == Kind.UNRECOGNIZED
