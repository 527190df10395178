"""Tests of what single mail servers do to the fields of a delivery status, as seen when run."""

import pytest

from bounced.model import Action, Kind, RecipientFacts, Reply
from bounced.parser.report import read_report
from tests.parser.compose import message, report


def facts(raw: bytes) -> tuple[RecipientFacts, ...]:
    return read_report(raw).recipients


def test_nullmailers_further_lines_are_not_indented() -> None:
    status = (
        "Final-Recipient: rfc822; max@firma.de\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: SMTP; 550-5.1.1 The account does\n550-5.1.1 not exist: see\n"
        "550 5.1.1 https://help.test\nX-More: 1\n"
    )
    (found,) = facts(report("It failed.", status))
    assert found.replies == (
        Reply(
            "550 5.1.1 The account does not exist: see https://help.test",
            "part 2, Diagnostic-Code",
            smtp_code=550,
            status="5.1.1",
        ),
    )


OPENSMTPD_TEXT = """
    Hi!

    This is the MAILER-DAEMON, please DO NOT REPLY to this email.

    An error has occurred while attempting to deliver a message for
    the following list of recipients:

max@firma.de: {said}

    Below is a copy of the original message:
"""
OPENSMTPD_STATUS = "Final-Recipient: rfc822; max@firma.de\nAction: {}\nStatus: {}\n"


def test_opensmtpds_joined_lines_are_also_read_apart() -> None:
    text = OPENSMTPD_TEXT.format(said="550-Sender verify failedSee https://x.test/?p=NoSuchUser")
    (found,) = facts(report(text, OPENSMTPD_STATUS.format("failed", "5.0.0")))
    assert [reply.text for reply in found.replies] == [
        "550 Sender verify failedSee https://x.test/?p=NoSuchUser",
        "550 Sender verify failed See https://x.test/?p=NoSuchUser",
    ]


@pytest.mark.parametrize(
    ("said", "action"),
    [("Envelope expired", Action.FAILED), ("No MX found for domain", Action.DELAYED)],
)
def test_opensmtpds_expired_mail_has_failed(said: str, action: Action) -> None:
    text = OPENSMTPD_TEXT.format(said=said)
    (found,) = facts(report(text, OPENSMTPD_STATUS.format("delayed", "4.4.7")))
    assert found.action is action


def _two(
    reply: str, text: str = "", fields: str = "Diagnostic-Code: smtp; {}\n"
) -> list[tuple[str | None, list[str]]]:
    status = "\n".join(
        f"Final-Recipient: rfc822; {name}\nAction: failed\nStatus: 5.1.1\n{fields.format(reply)}"
        for name in ("a@eins.de", "b@eins.de")
    )
    return [
        (each.recipient, [said.text for said in each.replies])
        for each in facts(report(text, status))
    ]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("550 5.1.1 <a@eins.de>, <b@eins.de>: user unknown", id="one reply to both"),
        pytest.param("552 5.2.2 <b@eins.de> quota exceeded", id="the mailbox of an alias"),
        pytest.param("554 5.7.1 message from <b@eins.de> is spam", id="the sender in Cc"),
    ],
)
@pytest.mark.parametrize("label", ["Diagnostic-Code", "X-Supplementary-Info"])
def test_what_his_own_fields_tell_is_his_whomever_it_names(said: str, label: str) -> None:
    found = _two(said, fields=f"{label}: smtp; {{}}\n")
    assert found == [("a@eins.de", [said]), ("b@eins.de", [said])]


def test_a_transcripts_reply_about_another_recipient_is_not_his() -> None:
    said = "550 5.7.1 <a@eins.de> is not wanted"
    text = f"... while talking to mx.eins.de.:\n>>> DATA\n<<< {said}\n"
    assert _two("", text, "Remote-MTA: dns; mx.eins.de\n") == [
        ("a@eins.de", [said]),
        ("b@eins.de", []),
    ]


def test_a_reply_that_names_nobody_is_everybodys() -> None:
    said = "554 spam"
    assert _two(said) == [("a@eins.de", [said]), ("b@eins.de", [said])]


def _refused_at_the_door(*banners: str) -> list[list[str]]:
    transcript = "\n".join(
        f"... while talking to mx{n}.test.:\n{b}" for n, b in enumerate(banners)
    )
    text = f"   ----- Transcript of session follows -----\n{transcript}\n554 5.0.0 Unavailable"
    return [said for _, said in _two("554-No service", text)]


def test_sendmails_first_line_of_a_banner_is_completed() -> None:
    whole = "554 No service Your address is on a list"
    assert _refused_at_the_door("<<< 554-No service\n<<< 554 Your address is on a list") == [
        [whole],
        [whole],
    ]


def test_a_line_that_begins_two_banners_stays_as_it_is() -> None:
    banners = ("<<< 554-No service\n<<< 554 You are listed", "<<< 554-No service\n<<< 554 Bye now")
    assert _refused_at_the_door(*banners) == [["554 No service"], ["554 No service"]]


def test_nullmailers_first_refusal_is_nobodys() -> None:
    found = _two("550 User unknown", "This is the nullmailer delivery system.  It failed.")
    assert found == [("a@eins.de", []), ("b@eins.de", [])]


def test_nullmailers_first_refusal_is_his_whom_it_names() -> None:
    said = "550 <a@eins.de>: User unknown"
    assert _two(said, "This is the nullmailer delivery system.  It failed.") == [
        ("a@eins.de", [said]),
        ("b@eins.de", []),
    ]


def test_exim_tells_of_the_address_that_it_made_of_the_recipients() -> None:
    text = "  box@eins.de\n    (generated from a@eins.de)\n    mailbox is full\n"
    found = facts(report(text, "Final-Recipient: rfc822; a@eins.de\nStatus: 5.0.0\n"))
    assert [
        (each.final_recipient, each.original_recipient, [said.text for said in each.replies])
        for each in found
    ] == [("a@eins.de", None, ["mailbox is full"])]


FIELDS = "Final-Recipient: rfc822; a@eins.de\nAction: failed\nStatus: 5.1.1\n"


@pytest.mark.parametrize(
    ("sender", "kind"),
    [
        ("news@shop.test", Kind.UNRECOGNIZED),
        ("MAILER-DAEMON@list.test", Kind.DELIVERY_STATUS),
    ],
)
def test_a_newsletter_shows_fields_and_a_daemon_means_them(sender: str, kind: Kind) -> None:
    marks = ("List-Unsubscribe: <mailto:x@shop.test>", "Subject: Mail delivery failed")
    assert read_report(message(f"From: {sender}", *marks, body=f"So:\n\n{FIELDS}")).kind is kind


def test_what_stands_beside_another_recipient_is_not_said_of_him() -> None:
    raw = message(
        "From: Mail Delivery System <Mailer-Daemon@relay.test>",
        "X-Failed-Recipients: a@firma.test, b@firma.test",
        "Subject: Mail delivery failed",
        body="It failed:\n\n  box@firma.test\n    (generated from a@firma.test)\n"
        "    552 5.2.2 Mailbox is full\n  pipe to |/usr/bin/x\n    generated by b@firma.test\n"
        "    Child process returned 127\n",
    )
    assert [
        (each.recipient, each.smtp_code, [reply.text for reply in each.replies])
        for each in read_report(raw).recipients
    ] == [
        ("a@firma.test", 552, ["552 5.2.2 Mailbox is full"]),
        ("b@firma.test", None, ["It failed:"]),
    ]


@pytest.mark.parametrize(
    ("said", "forwarded"),
    [
        ("550 5.7.23 <max@firma.de>: Recipient address rejected: SPF fail", False),
        ("550 5.7.23 <MAX@Firma.DE>: Recipient address rejected: SPF fail", False),
        ("550 5.7.23 <m.huber@privat.example>: Recipient address rejected: SPF fail", True),
        ("550 host mx.privat.example[192.0.2.9] said: 550 5.7.23 SPF fail", True),
        (
            (
                "550 5.1.7 <info@app.de>: Sender address rejected: undeliverable address: "
                "host mx.app.de[192.0.2.9] said: 550 User unknown"
            ),
            False,
        ),
        ("550 5.7.23 SPF fail for info@app.de", False),
    ],
)
def test_the_reply_may_tell_of_a_forwarder(said: str, *, forwarded: bool) -> None:
    status = (
        f"Final-Recipient: rfc822; max@firma.de\nAction: failed\nDiagnostic-Code: smtp; {said}"
    )
    (found,) = facts(report("", status))
    assert found.forwarded is forwarded


def test_a_nameless_recipient_is_forwarded_nowhere() -> None:
    said = "550 <max@firma.de>: Recipient address rejected: SPF fail"
    (found,) = facts(report("", f"Action: failed\nDiagnostic-Code: smtp; {said}"))
    assert (found.recipient, found.forwarded) == (None, False)
