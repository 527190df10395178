"""Mails as a return-path mailbox gets them, besides the plain bounce."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.e2e.process import build_dsn

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AUTHOR = "anna@bau.example"
RECIPIENT = "max@kunde.example"


def make_bounce(
    number: int = 1, recipient: str = RECIPIENT, *, reply: str = "550 5.1.1 User unknown"
) -> bytes:
    """Return the report that an own relay makes of the send `number`."""
    return build_dsn(recipient, f"m{number}@app", author=AUTHOR, now=NOW, reply=reply)


def make_delay() -> bytes:
    return make_bounce().replace(b"Action: failed", b"Action: delayed")


def make_nameless() -> bytes:
    """Return a report that names nobody."""
    return make_bounce().replace(RECIPIENT.encode(), b"")


def make_forgery() -> bytes:
    """Return a report that an own relay had from outside."""
    stamp = (
        b"Received: from evil.example (evil.example [203.0.113.66]) by relay.app.example\r\n"
        b"\twith ESMTP id 4Evil; Sat, 21 Nov 2026 12:00:00 +0000\r\n"
    )
    return stamp + make_bounce()


VACATION = (
    b"From: Paula <paula@kunde.example>\r\nTo: bounces@bounce.example.com\r\n"
    b"Subject: Abwesenheitsnotiz\r\nAuto-Submitted: auto-replied\r\n\r\nBis Montag.\r\n"
)
NAMES_NOBODY = (
    b"From: MAILER-DAEMON@relay.app.example\r\nTo: bounces@bounce.example.com\r\n"
    b"Subject: Undelivered Mail Returned to Sender\r\n\r\n"
    b"Your message could not be delivered.\r\n"
)
SPAM = b"From: win@spam.example\r\nSubject: You have won\r\n\r\nClick here.\r\n"


def _make_receipt(disposition: bytes, subject: bytes) -> bytes:
    """Return a disposition notification (RFC 8098)."""
    return (
        b"From: Anna <anna@bau.example>\r\nTo: bounces@bounce.example.com\r\nSubject: " + subject
        + b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b;"
        b" report-type=disposition-notification\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nDies ist eine Bestaetigung.\r\n"
        b"--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        b"Reporting-UA: pc.bau.example; Mail\r\nFinal-Recipient: rfc822; anna@bau.example\r\n"
        b"Original-Message-ID: <n@bounce.example.com>\r\nDisposition: " + disposition
        + b"\r\n--b--\r\n"
    )  # fmt: skip


DISPLAYED = _make_receipt(b"manual-action/MDN-sent-manually; displayed", b"Gelesen: Protokolle")
NOT_READ = _make_receipt(
    b"automatic-action/MDN-sent-automatically; deleted", b"Nicht gelesen: Protokolle"
)
