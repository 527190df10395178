"""Which bounces a mail system made itself, and which a robot or a person may have passed on."""

import inspect

import pytest

from bounced.model import Kind, Report
from bounced.parser.report import read_report
from tests.parser.compose import message, multipart, part, report
from tests.parser.forms import as_seen, run_here
from tests.parser.forms.refusal import Form, Refusal

REFUSED = Refusal("max@firma.de", ("no such user",), 550, "5.1.1")
DAEMON = "From: Mail Delivery System <MAILER-DAEMON@relay.test>"
DESK = "From: Helpdesk <helpdesk@ours.test>"
FAILED = "Subject: Undelivered Mail Returned to Sender"
STATUS = (
    "Reporting-MTA: dns; mx.firma.de\n\nFinal-Recipient: rfc822; max@firma.de\nAction: failed\n"
    "Status: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n"
)
RETURNED = "From: us@app.test\nTo: max@firma.de\nMessage-ID: <1@app.test>\n"
WORDS = (
    "This message was created automatically by mail delivery software.\n\nA message could not be "
    f"delivered:\n\n  max@firma.de\n    550 5.1.1 no such user\n\n--- copy of the message\n\n{RETURNED}"
)
ANSWER = "Your mail was:\n\n"
SERVERS = [
    form
    for forms in (run_here, as_seen)
    for _, form in inspect.getmembers(forms, inspect.isfunction)
    if form.__module__ == forms.__name__
]


def read_bounce(raw: bytes) -> Report:
    """Return a report that says that max@firma.de failed."""
    found = read_report(raw)
    assert found.kind in {Kind.DELIVERY_STATUS, Kind.FREEFORM}
    assert [facts.recipient for facts in found.recipients] == ["max@firma.de"]
    return found


@pytest.mark.parametrize("form", SERVERS, ids=lambda form: form.__name__)
def test_a_servers_own_report_is_first_hand(form: Form) -> None:
    assert not read_bounce(form(REFUSED)).passed_on


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(report("It failed.", STATUS, header=(DESK, FAILED)), id="RFC 6522"),
        pytest.param(
            multipart(
                part("text/plain", "It failed."),
                part("message/delivery-status", STATUS),
                header=(DAEMON, FAILED),
            ),
            id="OpenSMTPD",
        ),
        *(
            pytest.param(message(f"From: {sender}", FAILED, body=WORDS), id=sender)
            for sender in (
                "MAILER-DAEMON@relay.test",
                "MAILER-DAEMON",
                "MAILER-DAEMON <>",
                "MAILER-DAEMON@relay.test (Mail Delivery System)",
                "Mail Delivery System <Mailer-Daemon@relay.test>",
                "Mail Delivery Subsystem <MAILER-DAEMON>",
                "postmaster@relay.test",
            )
        ),
    ],
)
def test_what_a_mail_system_writes_is_first_hand(raw: bytes) -> None:
    assert not read_bounce(raw).passed_on


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            message(DESK, "Subject: [#17] ticket", body=f"{ANSWER}{STATUS}\n{RETURNED}"),
            id="fields in a ticket's answer",
        ),
        pytest.param(
            message(
                "Return-Path: <>",
                DESK,
                "Subject: Out of office",
                "Auto-Submitted: auto-replied",
                body=f"{ANSWER}{STATUS}\n{RETURNED}",
            ),
            id="fields in a vacation's answer",
        ),
        pytest.param(
            message(DAEMON, FAILED, body=f"{ANSWER}{STATUS}\n{RETURNED}"),
            id="fields in a text, whoever wrote it",
        ),
        pytest.param(
            multipart(
                part("text/plain", ANSWER),
                part("message/delivery-status", STATUS),
                header=(DESK, "Subject: [#17] ticket"),
            ),
            id="a part attached to a ticket",
        ),
        pytest.param(
            multipart(
                part("text/plain", ANSWER),
                part("message/delivery-status", STATUS),
                header=("From: postmaster@ours.test", "In-Reply-To: <1@stranger.test>"),
            ),
            id="a part attached to the answer of the postmaster's desk",
        ),
        pytest.param(
            report("It failed.", STATUS, header=(DESK, "List-Id: <all.ours.test>")),
            id="handed out by an anonymous list",
        ),
        *(
            pytest.param(
                message("Return-Path: <>", f"From: {sender}", FAILED, body=WORDS), id=sender
            )
            for sender in (
                "Helpdesk <helpdesk@ours.test>",
                '"MAILER-DAEMON via RT" <rt@ours.test>',
                "MAILER-DAEMON@stranger.test via RT <rt@ours.test>",
                "MAILER-DAEMON@stranger.test, x <rt@ours.test>",
                "rt@ours.test (MAILER-DAEMON)",
                '"<MAILER-DAEMON>" <rt@ours.test>',
            )
        ),
        pytest.param(
            message(DAEMON, "Subject: Re: Undelivered Mail", body=WORDS), id="a daemon's answer"
        ),
        pytest.param(
            message(
                "From: no-reply@sns.test",
                body='{"notificationType": "Bounce", "bounce": {"bouncedRecipients":'
                ' [{"emailAddress": "max@firma.de", "action": "failed"}]}}',
            ),
            id="a notification as text",
        ),
    ],
)
def test_what_a_robot_may_have_quoted_is_passed_on(raw: bytes) -> None:
    assert read_bounce(raw).passed_on


def test_what_is_no_bounce_needs_nobody_to_vouch_for_it() -> None:
    found = read_report(message(DESK, "Auto-Submitted: auto-replied", body=WORDS))
    assert (found.kind, found.passed_on) == (Kind.AUTO_REPLY, False)
