"""One protocol mail per refusal through a real mail server, and what came of each."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from tests.mta.daemon import AUTHOR_DOMAIN, BOUNCE_DOMAIN, MAILBOX, Daemon
from tests.mta.network import LOOPBACK, wait_for
from tests.mta.receiver import Delivered, Receiver
from tests.mta.refusals import Refusal

_NOTICE_TIMEOUT_S = 30


@dataclass(frozen=True)
class Mail:
    """One protocol mail: its author, whom it went to, and the return path that it carried."""

    author: str
    recipients: tuple[str, ...]
    return_path: str


@dataclass(frozen=True)
class Outcome:
    """All that the daemon's lists and the relay tell about the mails of one author."""

    reports: tuple[dict[str, Any], ...]
    cases: tuple[dict[str, Any], ...]
    notices: tuple[EmailMessage, ...]

    @property
    def verdicts(self) -> dict[str, tuple[str, str]]:
        """Return recipient → (category, reason) over all reports."""
        return {
            entry["recipient"]: (entry["category"], entry["reason"])
            for report in self.reports
            for entry in report["recipients"]
        }


def author_of(server: str, name: str) -> str:
    """Return an author whom no other mail of the test run has."""
    return f"{server}.{name}@{AUTHOR_DOMAIN}"


def sign_mail(daemon: Daemon, author: str, refusals: Sequence[Refusal]) -> Mail:
    """Register a send to the recipients of all refusals at once."""
    recipients = tuple(refusal.recipient for refusal in refusals)
    return Mail(author, recipients, daemon.sign(author, *recipients))


def plain_mail(author: str, *refusals: Refusal, domain: str = BOUNCE_DOMAIN) -> Mail:
    """Return a mail that nobody registered, with the plain mailbox as its return path."""
    recipients = tuple(refusal.recipient for refusal in refusals)
    return Mail(author, recipients, f"{MAILBOX}@{domain}")


def submit(port: int, mail: Mail) -> None:
    """Hand a protocol mail to the server under test, as the application does."""
    message = EmailMessage()
    message["From"] = mail.author
    message["To"] = ", ".join(mail.recipients)
    message["Subject"] = "Protocol of the site visit"
    message["X-Protocol-Author"] = mail.author
    message.set_content("The protocol: https://app.example.test/protocols/4711\n")
    with smtplib.SMTP(LOOPBACK, port, "app.example.test") as client:
        client.send_message(message, mail.return_path, mail.recipients)


def collect(daemon: Daemon, relay: Receiver, authors: Sequence[str]) -> dict[str, Outcome]:
    """Wait until every author has a notice; returns the outcome of each."""
    wait_for(
        f"a notice to each of {', '.join(authors)}",
        lambda: all(relay.find(author) for author in authors),
        _NOTICE_TIMEOUT_S,
    )
    reports, cases = daemon.list("reports"), daemon.list("cases")
    return {
        author: Outcome(
            tuple(report for report in reports if report["author"] == author),
            tuple(case for case in cases if case["author"] == author),
            tuple(_messages_to(author, relay.delivered)),
        )
        for author in authors
    }


def _messages_to(author: str, delivered: Sequence[Delivered]) -> list[EmailMessage]:
    return [taken.message for taken in delivered if author in taken.recipients]
