"""The mails of the demo: who wrote to whom, and what became of it, day by day.

Every reply is worded after the real receiver's; people and addresses are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

RELAY = "relay.protokolle.example"
_SERVICE = "protokolle.example"


@dataclass(frozen=True, slots=True)
class Author:
    """Someone who writes protocols."""

    name: str
    address: str
    language: str


ANNA = Author("Anna Berger", "anna.berger@architekten-berger.example", "de")
BEN = Author("Ben Carter", "ben.carter@carter-planning.example", "en")
CLARA = Author("Clara Duval", "clara.duval@verein-altstadt.example", "de")


@dataclass(frozen=True, slots=True)
class Bounce:
    """One mail that comes back."""

    day: int
    author: Author
    protocol: str
    recipient: str
    status: str
    reply: str
    """What the receiving server said, code first."""
    told: str
    """What the demo says of it while it happens."""
    remote_mta: str = "mx.example.net"
    action: str = "failed"
    signed: bool = True
    """By a registered send; else through the plain mailbox, as an own relay's report."""


BOUNCES = (
    Bounce(
        1, ANNA, "Protokoll Baubesprechung 14", "max.huber@gmial.com", "5.1.2",
        "550 5.1.2 Host or domain name not found. Name service error for name=gmial.com",
        "a typo in the domain", RELAY,
    ),
    Bounce(
        1, ANNA, "Protokoll Baubesprechung 14", "s.vogel@holzbau-vogel.example", "5.2.2",
        "552 5.2.2 <s.vogel@holzbau-vogel.example>: Quota exceeded (mailbox for user is full)",
        "a full mailbox",
    ),
    Bounce(
        1, ANNA, "Protokoll Baubesprechung 14", "statik@gmail.com", "5.7.26",
        "550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail "
        "requires all senders to authenticate with either SPF or DKIM. Authentication results: "
        "DKIM = did not pass SPF [architekten-berger.example] with ip: [192.0.2.7] = did not pass",
        "no SPF at the author's domain", "gmail-smtp-in.l.google.com",
    ),
    Bounce(
        1, BEN, "Site visit 3 June", "permits@council.example", "5.7.1",
        "550 5.7.1 Message rejected as spam by Content Filtering.",
        "refused as spam", "council-example.mail.protection.outlook.com",
    ),
    Bounce(
        1, BEN, "Site visit 3 June", "j.smith@builders.example", "5.1.1",
        "550 5.1.1 <j.smith@builders.example>: Recipient address rejected: User unknown in "
        "virtual mailbox table", "nobody of that name",
    ),
    Bounce(
        1, BEN, "Site visit 3 June", "archive@slow.example", "4.4.1",
        "connect to mx.slow.example[192.0.2.99]:25: Connection timed out",
        "a delay, which is no failure yet", action="delayed",
    ),
    Bounce(
        2, ANNA, "Protokoll Baubesprechung 15", "max.huber@gmial.com", "5.1.2",
        "550 5.1.2 Host or domain name not found. Name service error for name=gmial.com",
        "the same typo again", RELAY,
    ),
    Bounce(
        2, CLARA, "Vereinssitzung Mai", "kasse@t-online.de", "5.7.1",
        "554 IP=192.0.2.7 - A problem occurred. (Ask your postmaster for help or to contact "
        "tosa@rx.t-online.de to clarify.) (BL)", "our server on a block list",
        "mx00.t-online.de", signed=False,
    ),
    Bounce(
        3, ANNA, "Protokoll Baubesprechung 16", "max.huber@gmial.com", "5.1.2",
        "550 5.1.2 Host or domain name not found. Name service error for name=gmial.com",
        "and again", RELAY,
    ),
    Bounce(
        3, CLARA, "Vereinssitzung Juni", "vorstand@verein-altstadt.example", "5.1.1",
        "550 5.1.1 <vorstand@verein-altstadt.example>: Benutzer unbekannt",
        "unknown, said in German", signed=False,
    ),
    Bounce(
        4, ANNA, "Protokoll Baubesprechung 17", "max.huber@gmial.com", "5.1.2",
        "550 5.1.2 Host or domain name not found. Name service error for name=gmial.com",
        "a fourth time: nobody is mailed any more", RELAY,
    ),
)  # fmt: skip


def build_report(bounce: Bounce, return_path: str, sent_at: datetime, now: datetime) -> bytes:
    """Return the delivery report (RFC 3464) that the application's relay makes."""
    message_id = f"{bounce.protocol.lower().replace(' ', '-')}@{_SERVICE}"
    boundary = f"report-{bounce.day}"
    verb = "is delayed" if bounce.action == "delayed" else "could not be delivered"
    lines = (
        f"Received: by {RELAY} (Postfix)",
        f"\tid 4Demo{bounce.day}; {format_datetime(now)}",
        f"From: MAILER-DAEMON@{RELAY} (Mail Delivery System)",
        f"To: {return_path}",
        "Subject: Undelivered Mail Returned to Sender",
        f"Date: {format_datetime(now)}",
        f"Message-ID: <{bounce.day}.{abs(hash(bounce.recipient)) % 9999}@{RELAY}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is the mail system at host {RELAY}. Your message {verb}.",
        "",
        f"<{bounce.recipient}>: host {bounce.remote_mta} said: {bounce.reply}",
        "",
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns; {RELAY}",
        f"Arrival-Date: {format_datetime(sent_at)}",
        "",
        f"Final-Recipient: rfc822; {bounce.recipient}",
        f"Action: {bounce.action}",
        f"Status: {bounce.status}",
        f"Remote-MTA: dns; {bounce.remote_mta}",
        f"Diagnostic-Code: smtp; {bounce.reply}",
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
        f"From: {bounce.author.name} <{bounce.author.address}>",
        f"To: {bounce.recipient}",
        f"Subject: {bounce.protocol}",
        f"Date: {format_datetime(sent_at)}",
        f"Message-ID: <{message_id}>",
        f"X-Protocol-Author: {bounce.author.address}",
        f"Content-Language: {bounce.author.language}",
        "",
        f"--{boundary}--",
        "",
    )
    return "\r\n".join(lines).encode()


def build_forgery(now: datetime) -> bytes:
    """Return a report that a stranger wrote to have an author mailed and a recipient blamed."""
    forged = Bounce(
        1, ANNA, "Protokoll Baubesprechung 14", "bauherr@bauherr.example", "5.1.1",
        "550 5.1.1 User unknown", "forged",
    )  # fmt: skip
    stamp = (
        f"Received: from evil.example (evil.example [203.0.113.66]) by {RELAY} (Postfix)\r\n"
        f"\twith ESMTP id 4Evil; {format_datetime(now)}\r\n"
    )
    return stamp.encode() + build_report(forged, "bounces@bounce.example.com", now, now)


def build_vacation(author: Author, return_path: str, now: datetime) -> bytes:
    """Return an out-of-office reply (RFC 3834): no failure at all."""
    message = EmailMessage()
    message["From"] = "Paula Kern <p.kern@kern-partner.example>"
    message["To"] = return_path
    message["Subject"] = "Abwesenheitsnotiz: Protokoll Baubesprechung 14"
    message["Date"] = now
    message["Message-ID"] = "<vacation-1@kern-partner.example>"
    message["Auto-Submitted"] = "auto-replied (vacation)"
    message.set_content(f"Guten Tag {author.name}, ich bin bis Montag nicht im Büro.\n")
    return message.as_bytes()
