"""Tests of bounces in no RFC's form, and of ordinary mail that only looks like one.

Each text is written for these tests in the layout of the system that names it.
"""

import pytest

from bounced.model import Action, Kind, RecipientFacts, Reply
from bounced.parser import freeform
from bounced.parser.report import read_report
from tests.parser.compose import message, multipart, part

DAEMON = "From: Mail Delivery System <MAILER-DAEMON@relay.test>"
TO = "To: us@app.test"

LAYOUTS = [
    pytest.param(
        "Subject: failure notice",
        "Hi. I could not deliver it.\n\n<max@firma.de>:\n192.0.2.1 does not like recipient.\n"
        "Remote host said: 550 5.1.1 gone\n\n--- Below this line is a copy of the message.\n\n"
        "To: other@firma.de\nFrom: us@app.test\n",
        [("max@firma.de", None, "550 5.1.1 gone")],
        id="qmail",
    ),
    pytest.param(
        "Subject: Mail delivery failed: returning message to sender",
        "The following address(es) failed:\n\n  a@eins.de\n    (generated from alle@firma.de)\n"
        "    host mx.eins.de [192.0.2.1]\n    SMTP error from remote mail server after RCPT "
        "TO:<a@eins.de>:\n    550 no such user\n  b@zwei.de\n    Unrouteable address\n",
        [
            ("a@eins.de", "alle@firma.de", "550 no such user"),
            ("b@zwei.de", None, "Unrouteable address"),
        ],
        id="Exim",
    ),
    pytest.param(
        "Subject: Mail delivery failed: returning message to sender",
        "The following address(es) failed:\n\n  an undisclosed address\n"
        "    (generated from alle@firma.de)\n    mailbox is full: retry timeout exceeded\n",
        [
            (
                None,
                "alle@firma.de",
                (
                    "The following address(es) failed: an undisclosed address (generated from"
                    " alle@firma.de) mailbox is full: retry timeout exceeded"
                ),
            )
        ],
        id="Exim, address hidden",
    ),
    pytest.param(
        "Subject: Returned mail: User unknown",
        "   ----- Transcript of session follows -----\n... while talking to mx.firma.de:\n"
        ">>> RCPT To:<max@firma.de>\n<<< 550 5.1.1 User unknown\n"
        "550 <max@firma.de>... User unknown\n\n   ----- Unsent message follows -----\nX: y\n",
        [("max@firma.de", None, "550 5.1.1 User unknown")],
        id="old Sendmail",
    ),
    pytest.param(
        "Subject: Returned mail: too many hops",
        "   ----- The following addresses had permanent fatal errors -----\nmax@firma.de\n"
        "    (expanded from: alle@firma.de)\n\n   ----- Transcript of session follows -----\n"
        "554 Too many hops 26 (25 max)\n",
        [("max@firma.de", "alle@firma.de", "554 Too many hops 26 (25 max)")],
        id="Sendmail, expanded",
    ),
    pytest.param(
        "Subject: NOTICE: mail delivery status.",
        "UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n"
        "<max@firma.de>:\n    mx.firma.de [192.0.2.5]:\n>>> RCPT TO:<max@firma.de>\n"
        "<<< 550 5.1.1 <max@firma.de>: no such user\n",
        [("max@firma.de", None, "550 5.1.1 <max@firma.de>: no such user")],
        id="Courier",
    ),
    pytest.param(
        "Subject: Undelivered Mail Returned to Sender",
        "I'm sorry to have to inform you that your message could not be delivered.\n\n"
        "If you do so, please include this problem report. You can\n"
        "delete your own text from the attached returned message.\n\n"
        "<max@firma.de>: host mx.firma.de[192.0.2.5] said: 550 5.1.1 no such user (in reply to\n"
        "    RCPT TO command)\n",
        [("max@firma.de", None, "550 5.1.1 no such user")],
        id="Postfix, its report's other parts lost",
    ),
    pytest.param(
        "Subject: Mail delivery failed",
        "There was an error delivering your mail to <max@firma.de>.\n\nmx.firma.de did not like "
        "our RCPT TO:\n552 5.2.2 <max@firma.de>: mailbox full\n\nMessage headers follow.\n\nX: y\n",
        [("max@firma.de", None, "552 5.2.2 <max@firma.de>: mailbox full")],
        id="dma",
    ),
    pytest.param(
        "Subject: Mail delivery failed: returning message to sender",
        'A message could not be delivered. The following address\nfailed:\n\n"max@firma.de":\n'
        "SMTP error from remote server for RCPT TO command, host: mx.firma.de (192.0.2.1) "
        "reason: 550 gone\n",
        [("max@firma.de", None, "550 gone")],
        id="GMX and IONOS",
    ),
    pytest.param(
        "Subject: Undeliverable: Protokoll",
        "did not reach the following recipient(s):\n\nc=DE;o=X;dda:SMTP=max@firma.de; on Fri\n"
        "    The recipient name is not recognized\n",
        [
            (
                "max@firma.de",
                None,
                (
                    "did not reach the following recipient(s):"
                    " c=DE;o=X;dda:SMTP=max@firma.de; on Fri The recipient name is not recognized"
                ),
            )
        ],
        id="Exchange 5.5",
    ),
    pytest.param(
        "Subject: Unzustellbar: Protokoll",
        "Folgende Empfänger konnten nicht erreicht werden:\n\n      max@firma.de\n"
        "            Das E-Mail-Konto ist nicht vorhanden.\n            <mx.firma.de #5.1.1>\n",
        [("max@firma.de", None, "Das E-Mail-Konto ist nicht vorhanden. <mx.firma.de #5.1.1>")],
        id="Exchange, German",
    ),
    pytest.param(
        "Subject: Delivery Notification: Delivery has failed",
        "This report relates to:\n\n  From: us@app.test\n  To: liste@firma.de\n\nYour message "
        "cannot be delivered to the following recipients:\n\n  Recipient address: max@firma.de\n"
        "  Diagnostic code: smtp;550 5.1.1 gone\n",
        [("max@firma.de", None, "550 5.1.1 gone")],
        id="Sun Messaging Server",
    ),
    pytest.param(
        'Subject: Undeliverable Mail: "Protokoll"',
        "Could not be delivered because of\n\n550 5.1.1 User unknown\n\n"
        "The following recipients were affected:\n    max@firma.de\n\nMore on our page\n",
        [("max@firma.de", None, "550 5.1.1 User unknown")],
        id="MailMarshal: the reason stands before",
    ),
    pytest.param(
        "Subject: Permanent Delivery Failure",
        "The attached message had PERMANENT fatal delivery errors!\n\nFailed address: "
        "max@firma.de\n\n10:00: --> RCPT To:<max@firma.de>\n10:00: <-- 550 5.1.1 gone\n"
        "10:00: --> QUIT\n",
        [("max@firma.de", None, "550 5.1.1 gone")],
        id="MDaemon",
    ),
    pytest.param(
        "Subject: Delivery Failure",
        "Could not deliver message to the following recipient(s):\n\nFailed Recipient: a@firma.de\n"
        "Reason: No MX records\nFailed Recipient: b@firma.de\nReason: The user is over the limit\n",
        [
            ("a@firma.de", None, "Reason: No MX records"),
            ("b@firma.de", None, "Reason: The user is over the limit"),
        ],
        id="SmarterMail",
    ),
    pytest.param(
        "Subject: Message Delivery Failure",
        "The following recipient(s) could not be reached:\n\n\tRecipient: [SMTP:max@firma.de]\n"
        "\tReason: Remote SMTP Server Returned: 550 5.1.1 gone\n",
        [("max@firma.de", None, "Reason: Remote SMTP Server Returned: 550 5.1.1 gone")],
        id="MailEnable",
    ),
    pytest.param(
        "Subject: Undeliverable Mail",
        "User mailbox exceeds allowed size: max@firma.de\n\n\nOriginal message follows.\n\nX: y\n",
        [("max@firma.de", None, "User mailbox exceeds allowed size: max@firma.de")],
        id="IMail",
    ),
    pytest.param(
        "Subject: Delivery Status Notification (Failure)",
        "Delivery to the following recipient failed permanently:\n\n     max@firma.de\n\n"
        "Technical details of permanent failure:\nThe error that the other server returned was:\n"
        "550-5.1.1 no such\n550 5.1.1 account\n\n\n----- Original message -----\n\nX: y\n",
        [("max@firma.de", None, "550 5.1.1 no such account")],
        id="Google",
    ),
    pytest.param(
        "Subject: Mail System Error - Returned Mail",
        "Host firma.de is not responding.\n\nThe following recipients did not receive your "
        "message:\n\n     <a@firma.de>\n     <b@firma.de>\n",
        [
            (
                "a@firma.de",
                None,
                (
                    "Host firma.de is not responding. The following recipients did"
                    " not receive your message:"
                ),
            ),
            (
                "b@firma.de",
                None,
                (
                    "Host firma.de is not responding. The following recipients did"
                    " not receive your message:"
                ),
            ),
        ],
        id="Netscape: two names, one reason before",
    ),
    pytest.param(
        "Subject: Correo no entregado",
        "Su mensaje no pudo ser entregado a:\n\n  max@firma.es: 550 usuario desconocido\n",
        [("max@firma.es", None, "550 usuario desconocido")],
        id="Spanish",
    ),
    pytest.param(
        "Subject: Undelivered Mail Returned to Sender",
        "For assistance, contact\n\n<postmaster@relay.test>\n\nFor help contact:\n\n"
        "support@relay.test\n\n<info@firma.de>: host mx[192.0.2.4] said: 550 gone\n",
        [("info@firma.de", None, "550 gone")],
        id="helpers are no recipients",
    ),
    pytest.param(
        "Subject: failed",
        "We could not send your mail to max@firma.de today. Contact help@firma.de for more.\n",
        [
            (
                "max@firma.de",
                None,
                (
                    "We could not send your mail to max@firma.de today."
                    " Contact help@firma.de for more."
                ),
            )
        ],
        id="a sentence",
    ),
]


@pytest.mark.parametrize(("subject", "text", "expected"), LAYOUTS)
def test_each_layout_names_recipient_and_reason(
    subject: str, text: str, expected: list[tuple[str | None, str | None, str]]
) -> None:
    found = read_report(message(DAEMON, TO, subject, body=text))
    assert found.kind == Kind.FREEFORM
    assert [
        (each.final_recipient, each.original_recipient, each.replies[0].text)
        for each in found.recipients
    ] == expected
    assert {each.action for each in found.recipients} == {Action.FAILED}


def test_a_freeform_recipient_holds_all_facts() -> None:
    text = (
        "x\n\n<max@firma.de>: host mx.firma.de[192.0.2.4] said: 550 5.1.1 gone (in reply to RCPT)"
    )
    raw = message(DAEMON, "Subject: Undelivered Mail", body=text)
    assert read_report(raw).recipients == (
        RecipientFacts(
            final_recipient="max@firma.de",
            action=Action.FAILED,
            smtp_code=550,
            replies=(
                Reply("550 5.1.1 gone", "part 1, line 3", 550, "5.1.1", "mx.firma.de", "RCPT TO"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("subject", "text", "expected"),
    [
        ("Warning: message delayed 24 hours", "not yet delivered:\n\n  a@b.de\n", Action.DELAYED),
        ("Delivery Status Notification (Delay)", "a@b.de\n\nwill be retried", Action.DELAYED),
        ("Zustellung verzögert", "noch nicht zugestellt:\n\n a@b.de", Action.DELAYED),
        ("Your mail", "has not yet been delivered:\n\n a@b.de", Action.DELAYED),
        ("Mail failure", "not yet delivered, giving up:\n\n a@b.de", Action.FAILED),
        ("Delayed mail: giving up", "failed:\n\n a@b.de", Action.FAILED),
        ("Mail failure", "could not be delivered:\n\n a@b.de", Action.FAILED),
        ("Return receipt", "had successful delivery notifications:\n\n a@b.de", Action.DELIVERED),
        (
            "Successful Mail Delivery Report",
            "was successfully delivered; mail delivery errors may follow:\n\n a@b.de",
            Action.DELIVERED,
        ),
        ("Returned mail", "was successfully delivered, not to:\n\n a@b.de", Action.FAILED),
    ],
)
def test_a_warning_and_a_success_are_told_from_a_failure(
    subject: str, text: str, expected: Action
) -> None:
    (recipient,) = read_report(message(DAEMON, f"Subject: {subject}", body=text)).recipients
    assert recipient.action == expected


RETURNED = part("message/rfc822", "From: us@app.test\nTo: max@firma.de\nSubject: x\n")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            message(DAEMON, "X-Failed-Recipients: a@b.de,\r\n c@d.de", body="failed"),
            [("a@b.de", None), ("c@d.de", None)],
            id="X-Failed-Recipients",
        ),
        pytest.param(
            message(DAEMON, "X-Failed-Recipients: alle@b.de", body="failed:\n\n  a@b.de\n    x y"),
            [("a@b.de", "alle@b.de")],
            id="one other address in the text",
        ),
        pytest.param(
            multipart(
                part("text/plain", "Error for max@firma.de (and us@app.test)."),
                RETURNED,
                header=(DAEMON, TO, "Subject: failure"),
            ),
            [("max@firma.de", None)],
            id="the returned mail's To stands in the text",
        ),
        pytest.param(
            multipart(
                part("text/plain", "It failed."), RETURNED, header=(DAEMON, "Subject: failure")
            ),
            [("max@firma.de", None)],
            id="the only To of the returned mail",
        ),
        pytest.param(
            multipart(
                part("text/plain", "It failed."),
                part("message/rfc822", "From: us@app.test\nTo: a@b.de, c@d.de\n"),
                header=(DAEMON, "Subject: failure"),
            ),
            [],
            id="two in To: which one is unknown",
        ),
        pytest.param(
            message(DAEMON, "Subject: Undeliverable", body="> userid max@firma.de\n"),
            [],
            id="an address without any sign",
        ),
        pytest.param(
            multipart(
                part("text/html", "<p>Failed:</p><p>max@firma.de</p>No such user"),
                header=(DAEMON, "Subject: failure"),
            ),
            [("max@firma.de", None)],
            id="HTML only",
        ),
    ],
)
def test_a_recipient_comes_from_the_best_source(
    raw: bytes, expected: list[tuple[str | None, str | None]]
) -> None:
    found = read_report(raw)
    assert found.kind == Kind.FREEFORM
    assert [(r.final_recipient, r.original_recipient) for r in found.recipients] == (
        expected or [(None, None)]
    )


def test_the_witness_speaks_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeform, "ask_witness", lambda *_: (("max@firma.de",), "a note"))
    found = read_report(message(DAEMON, "Subject: failure", body="x\n"))
    assert [each.recipient for each in found.recipients] == ["max@firma.de"]
    assert found.notes == ("a note",)


def test_a_bounce_that_names_nobody_tells_what_failed_all_the_same() -> None:
    found = read_report(message(DAEMON, "Subject: failure notice", body="It failed."))
    nameless = RecipientFacts(
        action=Action.FAILED, replies=(Reply("It failed.", "part 1, line 1"),)
    )
    assert (found.kind, found.recipients, found.notes) == (
        Kind.FREEFORM,
        (nameless,),
        ("it reads like a bounce that names no recipient",),
    )


def test_a_daemons_automatic_reply_that_names_nobody_is_an_automatic_reply() -> None:
    raw = message(DAEMON, "Auto-Submitted: auto-replied", "Subject: failure", body="no words")
    assert read_report(raw).kind == Kind.AUTO_REPLY


def test_a_reply_that_names_another_address_names_no_recipient() -> None:
    body = (
        "This is the DragonFly Mail Agent v0.13 at relay.test.\n\n"
        "There was an error delivering your mail to <max@firma.de>.\n\n"
        "mx.firma.de [192.0.2.1] did not like our RCPT TO:\n"
        "550-eva@app.test is an unknown sender address\n550 5.1.8 <eva@app.test>: rejected\n\n"
        "Message headers follow.\n\nFrom: us@app.test\n"
    )
    found = read_report(
        message("From: MAILER-DAEMON <>", "Subject: Mail delivery failed", body=body)
    )
    assert [(facts.recipient, facts.smtp_code) for facts in found.recipients] == [
        ("max@firma.de", 550)
    ]


def test_the_reason_may_stand_before_a_recipient_with_words_behind_him() -> None:
    raw = message(
        "Return-Path: <>",
        "From: postmaster@gate.test",
        TO,
        "Subject: mail rejected",
        body="A worm was found in a mail from you to:\n\n<max@firma.test>\n\nDelivery was stopped!\n",
    )
    (facts,) = read_report(raw).recipients
    assert [reply.text for reply in facts.replies] == [
        "Delivery was stopped!",
        "A worm was found in a mail from you to:",
    ]
