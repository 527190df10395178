"""Refusals as receivers speak them, and the verdict that each must become.

Sources of the texts: Gmail, "Gmail SMTP errors and codes" (5.1.1, 5.2.2, 5.7.26); RFC 3463 §3.8
(5.7.1). The domain of Recipient.NOWHERE exists nowhere; there the sending server itself refuses.
"""

from __future__ import annotations

from dataclasses import dataclass

from bounced.model import Category, Reason

DOMAIN = "customer.example.test"


@dataclass(frozen=True)
class Refusal:
    """One recipient, how his server refuses him, and what it means."""

    name: str
    recipient: str
    category: Category
    reason: Reason
    reply: str = ""
    at_data: bool = False
    """The refusal comes after the content, not after RCPT."""


UNKNOWN_USER = Refusal(
    "unknown-user",
    f"max.muster@{DOMAIN}",
    Category.BAD_ADDRESS,
    Reason.USER_UNKNOWN,
    "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
    "550-5.1.1 double-checking the recipient's email address for typos or\r\n"
    "550 5.1.1 unnecessary spaces.",
)
MAILBOX_FULL = Refusal(
    "mailbox-full",
    f"eva.voll@{DOMAIN}",
    Category.MAILBOX_FULL,
    Reason.MAILBOX_FULL,
    "552-5.2.2 The email account that you tried to reach is over quota. Please direct\r\n"
    "552 5.2.2 the recipient to clear space.",
)
UNAUTHENTICATED = Refusal(
    "unauthenticated",
    f"gerd.streng@{DOMAIN}",
    Category.AUTH_FAILURE,
    Reason.UNAUTHENTICATED,
    "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\r\n"
    "550-5.7.26 The sender must authenticate with either SPF or DKIM.\r\n"
    "550 5.7.26 Authentication results: DKIM = did not pass, SPF = did not pass.",
    at_data=True,
)
SPAM = Refusal(
    "spam",
    f"ida.filter@{DOMAIN}",
    Category.SPAM_REJECTION,
    Reason.CONTENT,
    "550 5.7.1 Message rejected as spam by content filter",
    at_data=True,
)
UNKNOWN_DOMAIN = Refusal(
    "unknown-domain",
    "anna@no-such-domain.example.test",
    Category.BAD_ADDRESS,
    Reason.DOMAIN_UNKNOWN,
)

ALL = (UNKNOWN_USER, MAILBOX_FULL, UNAUTHENTICATED, SPAM, UNKNOWN_DOMAIN)
