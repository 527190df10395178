"""What forbids `bad-address`."""

import pytest

from bounced.model import Reason
from bounced.parser.folding import read_view
from bounced.parser.guard import answers_too_early, find_excuse


@pytest.mark.parametrize(
    ("text", "excuse"),
    [
        ("user unknown, SPAM", "spam"),
        ("Spamverdacht: Empfänger unbekannt", "spam"),
        ("mailbox unavailable, SPF", "spf"),
        ("mailbox unavailable: quota", "quota"),
        ("unknown size", "size"),
        ("virus found in mail for unknown user", "virus"),
        ("用户不存在 垃圾邮件", "垃圾"),
    ],
)
def test_words_about_the_sender_or_the_way_excuse_the_recipient(text: str, excuse: str) -> None:
    assert find_excuse(read_view(text).words) == excuse


@pytest.mark.parametrize(
    "text",
    [
        "<spam@quota.example>: user unknown",
        "user unknown, see http://spf.example/dmarc",
        "user unknown at spam-quota.example",
        "user unknown -- scanned by ESET antivirus",
        "user unknown, Message size (in bytes): 3021",
        "no such mailbox: sizemore",
        "550 5.1.1 User unknown",
    ],
)
def test_addresses_hosts_links_and_parts_of_other_words_excuse_nobody(text: str) -> None:
    assert find_excuse(read_view(text).words) is None


@pytest.mark.parametrize("command", ["CONNECT", "EHLO", "HELO", "STARTTLS", "AUTH", "MAIL FROM"])
def test_nobody_knows_the_recipient_before_rcpt(command: str) -> None:
    assert answers_too_early(command, Reason.USER_UNKNOWN)
    assert not answers_too_early(command, Reason.NOT_ACCEPTING)


@pytest.mark.parametrize("command", [None, "RCPT TO", "DATA"])
def test_a_reply_to_rcpt_or_later_may_speak_of_the_recipient(command: str | None) -> None:
    assert not answers_too_early(command, Reason.USER_UNKNOWN)
