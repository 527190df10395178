from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.listener import replies
from bounced.listener.syntax import Refused, read_recipient, read_sender

MAX = 1000
FREE = 900


@pytest.mark.parametrize(
    ("argument", "sender"),
    [
        ("FROM:<>", ""),
        ("from:  <a@example.org>", "a@example.org"),
        ("FROM:<@relay.example,@other.example:a@example.org>", "a@example.org"),
        ('FROM:<"a> b\\""@example.org>', '"a> b\\""@example.org'),
        ("FROM:<jörg@müller.example> SMTPUTF8", "jörg@müller.example"),
        ("FROM:<a@[192.0.2.1]>  SIZE=900  BODY=8bitmime ", "a@[192.0.2.1]"),
        (
            "FROM:<SRS0=HHH=TT=example.org=a@relay.example>",
            "SRS0=HHH=TT=example.org=a@relay.example",
        ),
    ],
)
def test_a_sender_is_read(argument: str, sender: str) -> None:
    assert read_sender(argument, MAX, FREE) == sender


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (None, replies.MAIL_SYNTAX),
        ("TO:<a@example.org>", replies.MAIL_SYNTAX),
        ("FROM:<a@example.org>SIZE=1", replies.MAIL_SYNTAX),
        ("FROM:<a\x00@example.org>", replies.BAD_SENDER),
        ("FROM:<a\x7f@example.org>", replies.BAD_SENDER),
        ('FROM:<"a\rb"@example.org>', replies.BAD_SENDER),
        ("FROM:<a\udcff@example.org>", replies.BAD_SENDER),
        ("FROM:<a\x0b@example.org>", replies.MAIL_SYNTAX),
        ("FROM:<> SIZE=²", replies.BAD_PARAMETER),
        ("FROM:<> SIZE", replies.BAD_PARAMETER),
        ("FROM:<> SIZE=" + "1" * 21, replies.BAD_PARAMETER),
        ("FROM:<> SIZE=1001", replies.TOO_LARGE),
        ("FROM:<> SIZE=901", replies.NO_MEMORY),
        ("FROM:<> ===", replies.BAD_PARAMETER),
        ("FROM:<> ENVID=x", replies.UNKNOWN_PARAMETER),
    ],
)
def test_a_sender_is_refused(argument: str | None, reply: str) -> None:
    refused = read_sender(argument, MAX, FREE)
    assert isinstance(refused, Refused)
    assert refused.reply == reply


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_recipient(f"TO:<{text}>"), read_sender(f"FROM:<{text}>", MAX, FREE)):
        assert isinstance(read, Refused) or (
            read in text and read.isprintable() | (not read.isascii())
        )


@pytest.mark.parametrize("text", ['"' * 4000, '"\\' * 2000, "@" * 4000, "@a:" * 1300, "<" * 4000])
def test_hostile_text_takes_no_time(text: str) -> None:
    assert isinstance(read_recipient(f"TO:<{text}"), Refused)
