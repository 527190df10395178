"""What a stranger writes who wants to be believed, and how he hands it in."""

from __future__ import annotations

import smtplib

from tests.mta.daemon import AUTHOR_DOMAIN
from tests.mta.network import LOOPBACK, LOOPBACK6, OUTSIDE

CLIENT_NAME = "client.example.net"

_REPORT = """\
From: MAILER-DAEMON@mx.example.net
To: bounces@bounce.example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

<{recipient}>: 550 5.1.1 User unknown
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown
--b
Content-Type: message/rfc822

From: {author}
To: {recipient}
Subject: Protocol
X-Protocol-Author: {author}

text
--b--
"""


def find_author(recipient: str) -> str:
    """Return the author that a mail or a forged report to the recipient speaks to."""
    return f"{recipient.partition('@')[0]}@{AUTHOR_DOMAIN}"


def forge_report(recipient: str, *, above: str = "", below: str = "") -> str:
    """Return a report that no server made; `above` and `below` are header lines of his own."""
    report = _REPORT.format(recipient=recipient, author=find_author(recipient))
    header, _, body = report.partition("\n\n")
    return f"{above}{header}\n{below}\n{body}"


def write_mail(recipient: str) -> str:
    """Return a protocol mail as the application writes it; a stranger can write the same."""
    author = find_author(recipient)
    return (
        f"From: {author}\nTo: {recipient}\nSubject: Protocol of the site visit\n"
        f"X-Protocol-Author: {author}\n\nThe protocol: https://app.example.test/protocols/4711\n"
    )


def hand_in(
    port: int,
    sender: str,
    recipient: str,
    content: str,
    *,
    client: str = OUTSIDE,
    helo: str = CLIENT_NAME,
    options: tuple[str, ...] = (),
) -> None:
    """Deliver a message by SMTP as `client`; an IPv6 client comes to the server's IPv6 port."""
    host = LOOPBACK6 if ":" in client else LOOPBACK
    with smtplib.SMTP(host, port, helo, source_address=(client, 0)) as session:
        session.sendmail(sender, [recipient], content, options)


def ask(port: int, client: str, sender: str, recipient: str) -> str:
    """Return the reply to RCPT, `250` or code and enhanced code; nothing is delivered."""
    with smtplib.SMTP(LOOPBACK, port, CLIENT_NAME, source_address=(client, 0)) as session:
        session.ehlo()
        session.mail(sender)
        code, text = session.rcpt(recipient)
        return " ".join((str(code), *text.decode().split()[:1])) if code >= 400 else str(code)
