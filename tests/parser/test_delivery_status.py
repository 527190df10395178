"""Tests of reading delivery-status fields, alone and beside the human-readable part."""

import pytest

from bounced.model import Action, RecipientFacts, Reply
from bounced.parser.report import read_report
from tests.parser.compose import multipart, part, report


def facts(raw: bytes) -> tuple[RecipientFacts, ...]:
    return read_report(raw).recipients


def addresses(raw: bytes) -> list[tuple[str | None, str | None]]:
    return [(each.final_recipient, each.original_recipient) for each in facts(raw)]


def test_postfix_tells_all_in_its_fields_and_the_stage_in_its_text() -> None:
    raw = report(
        "<max@firma.de>: host mx.firma.de[192.0.2.1] said: 550-5.7.26 not\n"
        "    550 5.7.26 yours (in reply to end of DATA command)\n",
        "Reporting-MTA: dns; relay.test\nX-Postfix-Queue-ID: 3698E2\n\n"
        "Final-Recipient: rfc822; max@firma.de\nOriginal-Recipient: rfc822;max@alt.de\n"
        "Action: failed\nStatus: 5.7.26\nRemote-MTA: dns; mx.firma.de\n"
        "Diagnostic-Code: smtp; 550-5.7.26 not 550 5.7.26 yours\n",
    )
    assert facts(raw) == (
        RecipientFacts(
            final_recipient="max@firma.de",
            original_recipient="max@alt.de",
            action=Action.FAILED,
            status="5.7.26",
            smtp_code=550,
            remote_mta="mx.firma.de",
            diagnostic_code="smtp; 550-5.7.26 not 550 5.7.26 yours",
            replies=(
                Reply(
                    "550 5.7.26 not yours",
                    "part 2, Diagnostic-Code",
                    smtp_code=550,
                    status="5.7.26",
                    host="mx.firma.de",
                    command="DATA",
                ),
            ),
        ),
    )


def test_exim_lists_in_reverse_and_tells_the_origin_in_its_text() -> None:
    raw = report(
        "failed:\n\n  a@eins.de\n    (generated from alle@firma.de)\n"
        "    host mx.eins.de [192.0.2.1]\n"
        "    SMTP error from remote mail server after RCPT TO:<a@eins.de>:\n    550 no such user\n"
        "  b@zwei.de\n    retry timeout exceeded\n",
        "Reporting-MTA: dns; relay.test\n\n"
        "Action: failed\nFinal-Recipient: rfc822;b@zwei.de\nStatus: 5.0.0\n\n"
        "Action: failed\nFinal-Recipient: rfc822;a@eins.de\nStatus: 5.0.0\n"
        "Remote-MTA: dns; mx.eins.de\nDiagnostic-Code: smtp; 550 no such user\n",
    )
    assert facts(raw) == (
        RecipientFacts(
            final_recipient="b@zwei.de",
            action=Action.FAILED,
            status="5.0.0",
            replies=(Reply("retry timeout exceeded", "part 1, line 8"),),
        ),
        RecipientFacts(
            final_recipient="a@eins.de",
            original_recipient="alle@firma.de",
            action=Action.FAILED,
            status="5.0.0",
            smtp_code=550,
            remote_mta="mx.eins.de",
            diagnostic_code="smtp; 550 no such user",
            replies=(
                Reply(
                    "550 no such user",
                    "part 2, Diagnostic-Code",
                    smtp_code=550,
                    host="mx.eins.de",
                    command="RCPT TO",
                ),
            ),
        ),
    )


SENDMAIL_TEXT = """
   ----- The following addresses had permanent fatal errors -----
<max@firma.de>
    (reason: 550-5.7.1 Our system has detected)

   ----- Transcript of session follows -----
... while talking to mx.firma.de.:
>>> DATA
<<< 550-5.7.1 Our system has detected
<<< 550 5.7.1 that this message is spam
550 5.1.1 <max@firma.de>... User unknown
"""


@pytest.mark.parametrize(
    "diagnostic",
    [
        pytest.param("SMTP; 550-5.7.1 Our system has detected", id="its first line only"),
        pytest.param("SMTP; ", id="empty"),
        pytest.param("SMTP; 550 5.7.1", id="codes only"),
    ],
)
def test_sendmails_transcript_completes_the_diagnostic_code(diagnostic: str) -> None:
    status = (
        "Reporting-MTA: dns; relay.test\n\nFinal-Recipient: RFC822; max@firma.de\n"
        f"Action: failed\nStatus: 5.7.1\nRemote-MTA: DNS; mx.firma.de\nDiagnostic-Code: {diagnostic}\n"
    )
    assert facts(report(SENDMAIL_TEXT, status))[0].replies[0] == Reply(
        "550 5.7.1 Our system has detected that this message is spam",
        "part 1, line 9",
        smtp_code=550,
        status="5.7.1",
        host="mx.firma.de",
        command="RCPT TO",
    )


def test_another_hosts_answer_is_not_his() -> None:
    text = (
        "... while talking to mx.other.de.:\n>>> DATA\n<<< 554 spam from you\n"
        "... while talking to mx.firma.de:\n>>> DATA\n<<< 552 mailbox full\n"
    )
    status = "Final-Recipient: rfc822; max@firma.de\nStatus: 5.2.2\nRemote-MTA: dns; MX.firma.de\n"
    assert [reply.text for reply in facts(report(text, status))[0].replies] == ["552 mailbox full"]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        pytest.param(
            "Final-Recipient: rfc822; a@b.de\nX-Actual-Recipient: rfc822; c@d.de",
            [("c@d.de", "a@b.de")],
            id="actual recipient differs",
        ),
        pytest.param(
            "Final-Recipient: rfc822; a@b.de\nX-Actual-Recipient: rfc822; a@b.de",
            [("a@b.de", None)],
            id="actual recipient is the same",
        ),
        pytest.param(
            "Final-Recipient: rfc822; a@b.de\nOriginal-Recipient: rfc822; o@p.de\n"
            "X-Actual-Recipient: rfc822; c@d.de",
            [("c@d.de", "o@p.de")],
            id="all three",
        ),
        pytest.param(
            "Final-Recipient: rfc822; unknown\nOriginal-Recipient: rfc822; a@b.de",
            [(None, "a@b.de")],
            id="unknown is no address",
        ),
        pytest.param(
            "Final-Recipient: local; max\nOriginal-Recipient: rfc822; a@b.de",
            [(None, "a@b.de")],
            id="a local name gives way",
        ),
        pytest.param("Final-Recipient: rfc822; max", [("max", None)], id="a local name alone"),
        pytest.param(
            "Final-Recipient: utf-8; j\\x{F6}rg@b.de", [("jörg@b.de", None)], id="RFC 6533"
        ),
        pytest.param("Original-Recipient: rfc822; a@b.de", [(None, "a@b.de")], id="no final"),
    ],
)
def test_final_and_original_recipient_are_told_apart(
    group: str, expected: list[tuple[str | None, str | None]]
) -> None:
    assert addresses(report("", f"{group}\nAction: failed\n")) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Action: Failed (bounced)\nStatus: 5.1.1", (Action.FAILED, "5.1.1")),
        ("Action: failure\nStatus: 4.4.7", (Action.FAILED, "4.4.7")),
        ("Action: delayed\nStatus: 4.4.1", (Action.DELAYED, "4.4.1")),
        ("Action: deliverable\nStatus: 2.1.5", (Action.DELIVERED, "2.1.5")),
        ("Action: relayed\nStatus: 2.0.0", (Action.RELAYED, "2.0.0")),
        ("Action: expanded\nStatus: 2.0.0", (Action.EXPANDED, "2.0.0")),
        ("Status: 5.1.1 (x)", (Action.FAILED, "5.1.1")),
        ("Status: 4.2.2", (Action.DELAYED, "4.2.2")),
        ("Status: 2.0.0", (Action.DELIVERED, "2.0.0")),
        ("Status: 550", (Action.FAILED, None)),
        ("Action: other\nStatus: 5.0.0", (Action.FAILED, "5.0.0")),
        ("Diagnostic-Code: smtp; 550 no", (Action.FAILED, None)),
    ],
)
def test_the_action_is_read_or_follows_from_the_status(
    fields: str, expected: tuple[Action, str | None]
) -> None:
    (recipient,) = facts(report("", f"Final-Recipient: rfc822; a@b.de\n{fields}\n"))
    assert (recipient.action, recipient.status) == expected


FIELDS = "Final-Recipient: rfc822; a@b.de\nAction: failed\nStatus: 5.1.1\n"


@pytest.mark.parametrize(
    "status_part",
    [
        pytest.param(part("text/plain", FIELDS), id="text/plain"),
        pytest.param(part("application/octet-stream", FIELDS), id="octet-stream"),
        pytest.param(part("message/global-delivery-status", FIELDS), id="RFC 6533"),
        pytest.param(
            part(
                "message/delivery-status",
                "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGFAYi5kZQpBY3Rpb246IGZhaWxlZApTdGF0dXM6IDUuMS4x",
                "Content-Transfer-Encoding: base64",
            ),
            id="base64",
        ),
        pytest.param(
            part(
                "message/delivery-status",
                "Final-Recipient=3A rfc822; a@=\nb.de\nAction: failed\nStatus: 5.1.1",
                "Content-Transfer-Encoding: quoted-printable",
            ),
            id="quoted-printable",
        ),
        pytest.param(
            part("text/plain", f"Technical report:\n\nReporting-MTA: dns; x\n\n{FIELDS}"),
            id="inside a text",
        ),
        pytest.param(
            part("text/plain", "Action: failed\nFinal-Recipient: rfc822; a@b.de\nStatus: 5.1.1"),
            id="text/plain, action first",
        ),
    ],
)
def test_mistyped_and_encoded_fields_are_read(status_part: str) -> None:
    report_ = read_report(multipart(part("text/plain", "Hallo"), status_part))
    assert [(r.recipient, r.action, r.status) for r in report_.recipients] == [
        ("a@b.de", Action.FAILED, "5.1.1")
    ]


def test_fields_quoted_in_a_returned_message_are_not_the_reports() -> None:
    text = f"no route to <c@d.de>\n\n--- Original message ---\n\n{FIELDS}"
    report_ = read_report(multipart(part("text/plain", text)))
    assert report_.recipients == ()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(
            "Reporting-MTA: dns; x\n\n\n \nFinal-Recipient: rfc822; a@b.de\n\nAction: failed\n"
            "Status: 5.1.1\n\nFinal-Recipient: rfc822; c@d.de\n\nAction: failed\nStatus: 5.2.2\n",
            [("a@b.de", "5.1.1"), ("c@d.de", "5.2.2")],
            id="empty lines inside a recipient",
        ),
        pytest.param(
            "Action: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; a@b.de\n",
            [("a@b.de", "5.1.1")],
            id="outcome before the name",
        ),
        pytest.param(
            "Final-Recipient: rfc822; a@b.de\nStatus: 5.1.1\n\nRemote-MTA: dns; mx\n",
            [("a@b.de", "5.1.1")],
            id="rest of a recipient",
        ),
        pytest.param(
            "Final-Recipient: rfc822; a@b.de\nStatus: 5.1.1\n"
            "Final-Recipient: rfc822; c@d.de\nStatus: 5.2.2\n",
            [("a@b.de", "5.1.1"), ("c@d.de", "5.2.2")],
            id="no empty line between recipients",
        ),
        pytest.param(
            "Final-Recipient: rfc822; a@b.de\nStatus: 5.1.1\n\nno field\n\n"
            "Final-Recipient: rfc822; a@b.de\nStatus: 5.1.1\n",
            [("a@b.de", "5.1.1")],
            id="told twice",
        ),
        pytest.param(
            "Reporting-MTA: dns; x\nFinal-Recipient: rfc822; a@b.de\nStatus: 5.1.1\n",
            [("a@b.de", "5.1.1")],
            id="no per-message group",
        ),
    ],
)
def test_groups_are_found_however_they_are_spaced(
    status: str, expected: list[tuple[str, str]]
) -> None:
    assert [(r.recipient, r.status) for r in facts(report("", status))] == expected


def test_per_message_fields_are_kept() -> None:
    found = read_report(
        report(
            "",
            "Original-Envelope-Id: prot-1\nReporting-MTA: dns; mta.test\n"
            "Arrival-Date: Sat, 21 Nov 2026 20:41:04 GMT\n\n" + FIELDS,
        )
    )
    assert (found.reporting_mta, found.envelope_id, str(found.arrived_at)) == (
        "mta.test",
        "prot-1",
        "2026-11-21 20:41:04+00:00",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a@b.de: Envelope expired", ["Envelope expired"], id="OpenSMTPD"),
        pytest.param(
            "We are sorry.\n\n550 5.1.1 gone",
            ["550 5.1.1 gone", "We are sorry. 550 5.1.1 gone"],
            id="whole text, the server's words first",
        ),
        pytest.param("", [], id="nothing said"),
    ],
)
def test_without_diagnostic_code_the_text_speaks(text: str, expected: list[str]) -> None:
    (recipient,) = facts(report(text, FIELDS))
    assert [reply.text for reply in recipient.replies] == expected


def test_a_mute_diagnostic_code_stands_behind_the_text() -> None:
    status = FIELDS + "Diagnostic-Code: smtp; 550 5.0.0\nX-Supplementary-Info: <mx #5.1.1 gone>\n"
    (recipient,) = facts(report("a@b.de: no such user", status))
    assert [reply.text for reply in recipient.replies] == [
        "<mx #5.1.1 gone>",
        "no such user",
    ]
    status = FIELDS + "Diagnostic-Code: smtp; 550 5.0.0\n"
    (recipient,) = facts(report("a@b.de: no such user", status))
    assert [reply.text for reply in recipient.replies] == ["no such user", "550 5.0.0"]


@pytest.mark.parametrize(
    ("text", "header", "expected"),
    [
        pytest.param(
            "could not be delivered to:\n\n  <a@b.de>\n",
            (),
            [("a@b.de", Action.FAILED)],
            id="text",
        ),
        pytest.param(
            "", ("X-Failed-Recipients: a@b.de",), [("a@b.de", Action.FAILED)], id="header"
        ),
        pytest.param("no words", (), [], id="nowhere"),
    ],
)
def test_a_report_without_recipient_looks_elsewhere(
    text: str, header: tuple[str, ...], expected: list[tuple[str, Action]]
) -> None:
    found = read_report(report(text, "Reporting-MTA: dns; x\n", header=header))
    assert found.kind == "delivery-status"
    assert [(r.recipient, r.action) for r in found.recipients] == expected
    assert found.notes == (() if expected else ("the delivery status names no recipient",))


def test_an_outcome_without_a_recipient_is_told_all_the_same() -> None:
    fields = "Reporting-MTA: dns; x\n\nAction: failed\nStatus: 5.1.1\n"
    (found,) = read_report(report("no words", fields)).recipients
    assert (found.recipient, found.action, found.status) == (None, Action.FAILED, "5.1.1")
