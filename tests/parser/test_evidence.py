"""Tests of making one whole reply of what a server said."""

import pytest

from bounced.model import Reply
from bounced.parser.evidence import (
    choose_fuller,
    drop_advice,
    find_server_words,
    join_reply,
    make_reply,
    read_passage,
    says_something,
    without_repeats,
)
from bounced.parser.wrapping import name_command


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("550 5.1.1 no", "550 5.1.1 no", id="one line"),
        pytest.param(
            "550-5.7.26 not\n550-5.7.26 yours\n550 5.7.26 - gsmtp",
            "550 5.7.26 not yours - gsmtp",
            id="every line with its status",
        ),
        pytest.param(
            "550-5.7.26 not 550-5.7.26 yours 550 5.7.26 - gsmtp",
            "550 5.7.26 not yours - gsmtp",
            id="lines joined by Postfix",
        ),
        pytest.param("554-no\n554 entry", "554 no entry", id="lines without status"),
        pytest.param("554-no 554- 554 entry", "554 no entry", id="an empty line between"),
        pytest.param("550-5.1.1 a\n550 b", "550 5.1.1 a b", id="status in the first line only"),
        pytest.param("550: 5.1.1 no", "550 5.1.1 no", id="Yahoo's colon"),
        pytest.param("554 554 5.7.0 no", "554 5.7.0 no", id="Google's repeated code"),
        pytest.param("550 5.1.1 a 550 5.1.1 b", "550 5.1.1 a b", id="folded without hyphens"),
        pytest.param("mailbox 550 is full", "mailbox 550 is full", id="a number inside stays"),
        pytest.param("550-port 550-1 in use", "550 port 1 in use", id="what looks like a line"),
        pytest.param("550-----\n550-full\n550 ----", "550 full", id="rulers with codes"),
        pytest.param(
            "550 5.7.26 due to5.7.26 DMARC.5.7.26 See",
            "550 5.7.26 due to DMARC. See",
            id="OpenSMTPD",
        ),
        pytest.param("======\nno route\n======", "no route", id="rulers"),
        pytest.param(" \n ", "", id="nothing"),
    ],
)
def test_the_lines_of_a_reply_are_joined(text: str, expected: str) -> None:
    assert join_reply(text) == expected


def test_a_reply_tells_code_and_status() -> None:
    assert make_reply("550 5.1.1 no", "here", host="mx", command="RCPT TO") == Reply(
        "550 5.1.1 no", "here", smtp_code=550, status="5.1.1", host="mx", command="RCPT TO"
    )


def test_a_code_inside_the_words_counts() -> None:
    assert make_reply("failed with: 552 full", "here") == Reply(
        "failed with: 552 full", "here", smtp_code=552
    )


def test_no_words_make_no_reply() -> None:
    assert make_reply(" \n", "here") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp; 550 5.0.0", False),
        ("550 5.1.1 ok", False),
        ("smtp; 550 no mailbox", True),
        ("", False),
        (None, False),
    ],
)
def test_codes_alone_say_nothing(text: str | None, *, expected: bool) -> None:
    assert says_something(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "host mx.firma.de[192.0.2.1] said: 550-5.1.1 no\n    550 5.1.1 one (in reply to RCPT TO\n    command)",
            Reply("550 5.1.1 no one", "x", 550, "5.1.1", "mx.firma.de", "RCPT TO"),
            id="Postfix",
        ),
        pytest.param(
            "host mx.firma.de[192.0.2.1] refused to talk to me: 554 go away",
            Reply("554 go away", "x", 554, None, "mx.firma.de", "CONNECT"),
            id="Postfix banner",
        ),
        pytest.param(
            "connect to mx.firma.de[192.0.2.1]: server refused to talk to me: 421 busy",
            Reply("421 busy", "x", 421, None, "mx.firma.de", "CONNECT"),
            id="older Postfix banner",
        ),
        pytest.param(
            "connect to mx.firma.de[192.0.2.1]:25: Connection refused",
            Reply("connect to mx.firma.de[192.0.2.1]:25: Connection refused", "x"),
            id="Postfix itself",
        ),
        pytest.param(
            "    host mx.firma.de [192.0.2.1]\n    SMTP error from remote mail server after end of data:\n    550 5.7.1 spam",
            Reply("550 5.7.1 spam", "x", 550, "5.7.1", "mx.firma.de", "DATA"),
            id="Exim",
        ),
        pytest.param(
            "SMTP error from remote mail server after MAIL FROM:<a@b.de> SIZE=9:\n    host mx.firma.de [192.0.2.1]: 501 no",
            Reply("501 no", "x", 501, None, "mx.firma.de", "MAIL FROM"),
            id="older Exim",
        ),
        pytest.param(
            "SMTP error from remote server for TEXT command, host: mx.firma.de (192.0.2.1) reason: 550 5.2.0 no",
            Reply("550 5.2.0 no", "x", 550, "5.2.0", "mx.firma.de", "DATA"),
            id="IONOS",
        ),
        pytest.param(
            "SMTP error from remote mail server after RCPT TO:<a@b.de>: gone",
            Reply(
                "SMTP error from remote mail server after RCPT TO:<a@b.de>: gone",
                "x",
                command="RCPT TO",
            ),
            id="Exim without a code",
        ),
        pytest.param(
            "192.0.2.1 does not like recipient.\nRemote host said: 550 no\nGiving up on 192.0.2.1.",
            Reply("550 no", "x", 550, None, "192.0.2.1", "RCPT TO"),
            id="qmail",
        ),
        pytest.param(
            "550 5.1.7 <us@app.test>: Sender address rejected: host mx.app.test[192.0.2.9] said: 550 5.1.1 unknown",
            Reply(
                "550 5.1.7 <us@app.test>: Sender address rejected: host mx.app.test[192.0.2.9] said: 550 5.1.1 unknown",
                "x",
                550,
                "5.1.7",
            ),
            id="a reply that quotes another server",
        ),
        pytest.param(
            "SMTP error from remote mail server after RCPT TO:<a@b.de>: 550 callout: host mx.app.test[192.0.2.9] said: 550 5.1.1 unknown",
            Reply(
                "550 callout: host mx.app.test[192.0.2.9] said: 550 5.1.1 unknown",
                "x",
                550,
                "5.1.1",
                command="RCPT TO",
            ),
            id="Exim around a reply that quotes another server",
        ),
        pytest.param(
            "(host 'mx.firma.de' rejected command 'RCPT TO:<a@b.de>' with code 550 (5.1.1) 'no such user')",
            Reply("550 5.1.1 no such user", "x", 550, "5.1.1", "mx.firma.de", "RCPT TO"),
            id="Stalwart",
        ),
        pytest.param(
            "Error transferring to mx.firma.de; SMTP Protocol Returned a Permanent Error 550 no",
            Reply("550 no", "x", 550, host="mx.firma.de"),
            id="Domino",
        ),
        pytest.param(
            "Connected to 192.0.2.1 but my name was rejected.\nRemote host said: 501 no\n"
            "I'm not going to try again; this message has been in the queue too long.",
            Reply("501 no", "x", 501, None, "192.0.2.1", "EHLO"),
            id="qmail at the end of its patience",
        ),
        pytest.param(
            "mx.firma.de [192.0.2.1] did not like our final DATA:\n550-5.7.1 spam\n550 5.7.1 no",
            Reply("550 5.7.1 spam no", "x", 550, "5.7.1", "mx.firma.de", "DATA"),
            id="DragonFly Mail Agent",
        ),
        pytest.param(
            "mx.firma.de [192.0.2.1] did not like our connect:\n554 no",
            Reply("554 no", "x", 554, None, "mx.firma.de", "CONNECT"),
            id="DragonFly Mail Agent, banner",
        ),
        pytest.param(
            "(EMAIL) failed permanently with error:\n    MAIL+RCPT 550 5.1.1 no such\n    5.1.1 user",
            Reply("550 5.1.1 no such user", "x", 550, "5.1.1"),
            id="chasquid",
        ),
        pytest.param(
            "DATA closing 554 spam",
            Reply("554 spam", "x", 554, command="DATA"),
            id="chasquid, DATA",
        ),
        pytest.param(
            "192.0.2.1 failed after I sent the message.\nRemote host said: 554 spam",
            Reply("554 spam", "x", 554, None, "192.0.2.1", "DATA"),
            id="qmail after DATA",
        ),
        pytest.param("(reason: 550 no)", Reply("550 no", "x", 550), id="Sendmail"),
        pytest.param(
            "mx.firma.de\nRemote Server returned '550 5.1.10 not found'",
            Reply("550 5.1.10 not found", "x", 550, "5.1.10"),
            id="Exchange",
        ),
        pytest.param(
            "#550 5.7.1 no ##rfc822;max@firma.de",
            Reply("#550 5.7.1 no", "x", 550, "5.7.1"),
            id="Exchange 2007",
        ),
    ],
)
def test_a_paragraph_gives_the_servers_words(text: str, expected: Reply) -> None:
    assert read_passage(text, "x") == expected


def test_the_head_of_couriers_dialogue_says_nothing() -> None:
    assert read_passage("mx.firma.de [192.0.2.1]:", "x") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Postfach voll. Versuchen Sie es später erneut. Ende.", "Postfach voll. Ende."),
        ("It is full. Please try to send it again later, or ask him.", "It is full."),
        ("Buzón lleno. Por favor, inténtelo más tarde.", "Buzón lleno."),
        ("Boîte pleine. Veuillez réessayer plus tard.", "Boîte pleine."),
        ("Full. Please try later <mx.firma.de #5.2.2>", "Full. <mx.firma.de #5.2.2>"),
        ("Please try again later.", "Please try again later."),
        ("Busy, try again later.", "Busy, try again later."),
        ("450 It is full. Try again later.", "450 It is full. Try again later."),
    ],
)
def test_advice_is_no_reason(text: str, expected: str) -> None:
    reply = drop_advice(read_passage(text, "x"))
    assert reply is not None
    assert reply.text == expected


def test_without_a_reply_there_is_no_advice() -> None:
    assert drop_advice(None) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It said:\n550 5.1.1 no\nmore\n\nend", (9, "550 5.1.1 no\nmore")),
        ("Diagnostic code: smtp;550 no", (22, "550 no")),
        ("the error was: 554 554 5.7.0 no", (15, "554 554 5.7.0 no")),
        ("after 500 attempts", None),
        ("nothing", None),
    ],
)
def test_the_servers_words_are_found_in_a_text(
    text: str, expected: tuple[int, str] | None
) -> None:
    assert find_server_words(text) == expected


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("RCPT TO command", "RCPT TO"),
        ("end of DATA command", "DATA"),
        ("MAIL FROM:<a@b.de>", "MAIL FROM"),
        ("sending EHLO", "EHLO"),
        ("initial connection", "CONNECT"),
        ("STARTTLS", "STARTTLS"),
        ("quit", None),
    ],
)
def test_stages_are_named(stage: str, expected: str | None) -> None:
    assert name_command(stage) == expected


def test_the_fuller_text_replaces_a_cut_one() -> None:
    cut = Reply("550 5.7.1 not accepted because", "field", 550, "5.7.1", "mx")
    whole = Reply(
        "550 5.7.1 not accepted because of its domain", "text", 550, "5.7.1", None, "DATA"
    )
    assert choose_fuller(cut, [whole]) == Reply(whole.text, "text", 550, "5.7.1", "mx", "DATA")


def test_the_same_text_only_adds_what_it_knows() -> None:
    field = Reply("550 no", "field", 550)
    passage = Reply("550 no", "text", 550, None, "mx", "RCPT TO")
    assert choose_fuller(field, [passage]) == Reply("550 no", "field", 550, None, "mx", "RCPT TO")


def test_another_text_changes_nothing() -> None:
    field = Reply("550 no", "field", 550)
    assert choose_fuller(field, [Reply("421 later", "text", 421, host="mx")]) == field


def test_repeats_are_dropped() -> None:
    first, second = Reply("550 no such user here", "a"), Reply("No such user", "b")
    third = Reply("Mailbox full", "c")
    assert without_repeats([first, second, third]) == (first, third)
