"""Tests of the signs by which a bounce in no RFC's form differs from ordinary mail."""

import pytest

from bounced.model import Kind
from bounced.parser.report import read_report
from tests.parser.compose import message

DAEMON = "From: Mail Delivery System <MAILER-DAEMON@relay.test>"
TO = "To: us@app.test"
NULL = "Return-Path: <>"
PERSON = "From: Max <max@firma.de>"
SAYS = "could not be delivered to\n\n  a@b.de\n"


@pytest.mark.parametrize(
    ("header", "body"),
    [
        pytest.param((PERSON, "Subject: Protokoll"), "anbei das Protokoll an a@b.de", id="plain"),
        pytest.param((PERSON, "Subject: Protokoll"), SAYS, id="a sentence alone"),
        pytest.param((PERSON, "Subject: Delivery failure"), "Was ist das?", id="a title alone"),
        pytest.param((PERSON, "Subject: Delivery failure"), SAYS, id="nothing returned"),
        pytest.param(
            ("From: Filter <filter@x.test>", "Return-Path: <>", "Subject: Quarantine digest"),
            SAYS,
            id="what a filter kept from us",
        ),
        pytest.param((PERSON, "Subject: AW: Undelivered Mail"), SAYS, id="an answer"),
        pytest.param((PERSON, "Subject: Fwd: Returned mail"), SAYS, id="a forward"),
        pytest.param(
            (PERSON, "Subject: Returned mail", "In-Reply-To: <1@x>"), SAYS, id="in reply to"
        ),
        pytest.param(
            (PERSON, "Subject: Returned mail", "User-Agent: Mutt"), SAYS, id="a mail program"
        ),
        pytest.param(
            (DAEMON, "Subject: Hello"), "Good morning", id="a daemon says something else"
        ),
        pytest.param(
            (DAEMON, "Subject: Report Domain: x Submitter: y Report-ID: 1"), SAYS, id="DMARC"
        ),
        pytest.param((), "", id="nothing"),
    ],
)
def test_ordinary_mail_is_unrecognized(header: tuple[str, ...], body: str) -> None:
    found = read_report(message(*header, body=body))
    assert (found.kind, found.recipients) == (Kind.UNRECOGNIZED, ())


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(("From: no-reply@x.test", "Return-Path: <>"), id="null path and words"),
        pytest.param(("From: x@y.test", "Return-Path: <MAILER-DAEMON>"), id="daemon's path"),
        pytest.param(("From: Mail <>",), id="empty From"),
        pytest.param(
            ("From: x@y.test", "Subject: Delivery failure", "Auto-Submitted: auto-generated"),
            id="title, words and a machine",
        ),
        pytest.param(
            (DAEMON, "Subject: Undeliverable", "Auto-Submitted: auto-replied"),
            id="a daemon's automatic reply",
        ),
    ],
)
def test_two_signs_make_a_bounce(header: tuple[str, ...]) -> None:
    found = read_report(message(*header, body=SAYS))
    assert (found.kind, [r.recipient for r in found.recipients]) == (Kind.FREEFORM, ["a@b.de"])


IMITATIONS = {
    "newsletter": (
        (
            "From: News <news@shop.test>",
            "Subject: Zustellung bis Sonntag: nichts bleibt unzustellbar",
        ),
        "Zustellung fehlgeschlagen war gestern. Kontakt: service@shop.test",
    ),
    "newsletter that names an address": (
        (
            "From: News <news@shop.test>",
            "Subject: Delivery failed? Never again",
            "List-Unsubscribe: <https://shop.test/u>",
        ),
        "Parcels that could not be delivered:\n\nservice@shop.test\n",
    ),
    "mailbox full": (
        (
            "From: Mail Administrator <support@quota.test>",
            "Subject: 5 messages undelivered: mailbox full",
        ),
        "Dear us@app.test,\n\nyour mailbox is full. 5 messages are undelivered. Release them: http://x.test",
    ),
    "our address on a line of its own": (
        ("From: Webmail <help@quota.test>", "Subject: Delivery failure"),
        "Messages could not be delivered to your mailbox:\n\nus@app.test\n\nVerify it now.",
    ),
    "parcel": (
        ("From: Parcels <noreply@parcel.test>", "Subject: Delivery failed"),
        "Your parcel for max@firma.test could not be delivered.",
    ),
    "payment": (
        ("From: Pay <noreply@pay.test>", "Subject: Payment failed"),
        "We could not process the payment of the account max@firma.test.",
    ),
    "from a postmaster": (
        ("From: Postmaster <postmaster@quota.test>", "Subject: Mail delivery failed"),
        "Your incoming mail was rejected, the quota is exceeded. Log in to keep your account.",
    ),
}


@pytest.mark.parametrize(("header", "text"), IMITATIONS.values(), ids=IMITATIONS)
def test_what_imitates_a_bounce_is_unrecognized(header: tuple[str, ...], text: str) -> None:
    found = read_report(message("Return-Path: <www@vps.test>", *header, TO, body=text))
    assert (found.kind, found.recipients) == (Kind.UNRECOGNIZED, ())


def test_a_mail_about_its_own_sender_alone_is_an_automatic_reply() -> None:
    raw = message(
        NULL,
        "From: Max <max@firma.test>",
        "Subject: Please confirm your message",
        body="It has not been delivered to max@firma.test yet. Confirm it.",
    )
    found = read_report(raw)
    assert (found.kind, [(each.recipient, each.action) for each in found.recipients]) == (
        Kind.AUTO_REPLY,
        [("max@firma.test", None)],
    )


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Re: Protokoll", "This mailbox is no longer monitored, nothing was delivered:"),
        ("AW: Protokoll", "Die Adresse ist ungültig, Ihre Mail wurde nicht zugestellt:"),
    ],
)
def test_an_answer_from_the_null_path_is_an_automatic_reply(subject: str, text: str) -> None:
    raw = message(
        NULL,
        "From: Max <max@firma.test>",
        f"Subject: {subject}",
        body=f"{text}\n\neva@firma.test\n",
    )
    found = read_report(raw)
    assert (found.kind, [(each.recipient, each.action) for each in found.recipients]) == (
        Kind.AUTO_REPLY,
        [("max@firma.test", None)],
    )
