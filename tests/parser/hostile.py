"""Messages made to cost much: what they cost is measured in tests/bench, never in a test."""

from __future__ import annotations

from tests.parser.compose import report


def fill(piece: bytes, size: int = 100_000) -> bytes:
    return (piece * (size // len(piece) + 1))[:size]


DAEMON = b"From: MAILER-DAEMON@x.test\nSubject: failure notice\n\n"
HTML = b"From: MAILER-DAEMON@x.test\nContent-Type: text/html\n\n"
MIXED = b"Content-Type: multipart/mixed; boundary=x\n\n"


HOSTILE = {
    "header lines of two bytes": fill(b"a:\n"),
    "text lines of two bytes": DAEMON + fill(b"a\n"),
    "at signs": DAEMON + fill(b"@"),
    "addresses": DAEMON + fill(b"a@b.cc\n"),
    "deep domains": DAEMON + fill(b"x@a.b.c.d.e.f.g.h "),
    "labelled addresses in a line": DAEMON
    + b" ".join(b"user: x%d@a.b.cc" % n for n in range(5_000)),
    "failed addresses in lines": DAEMON
    + b"\n".join(b"failed x%d@a.b.cc" % n for n in range(5_000)),
    "words of failure": DAEMON + fill(b"user konnte nicht "),
    "open brackets": DAEMON + fill(b"(generated from "),
    "spaces": DAEMON + b" " * 100_000,
    "spaces before a fold": b"Subject: a" + b" " * 100_000 + b"\n b",
    "quotes": b"To: " + fill(b'"'),
    "open words": b"Subject: " + fill(b"=?a?q?"),
    "open style": HTML + fill(b"<style>"),
    "open tags": HTML + fill(b"<a "),
    "a line of boundaries": MIXED + fill(b"--x"),
    "lines of boundaries": MIXED + fill(b"--x\n"),
    "open parameters": b'Content-Type: a/b"' + fill(b';a="\\"'),
    "same": report("", fill(b"Final-Recipient: rfc822; a@b.cc\n\n").decode()),
    "recipients": report(
        "\n\n".join(f"<a{n}@b.cc>: 550 no no no no" for n in range(1_000)),
        "\n\n".join(
            f"Final-Recipient: rfc822; a{n}@b.cc\nDiagnostic-Code: smtp; 550 no"
            for n in range(1_200)
        ),
    ),
    "recipients and a transcript": report(
        "... while talking to mx.b.cc.:\n"
        + "".join(f">>> DATA\n<<< 550 no {'a ' * 900}{n}\n" for n in range(30)),
        "\n\n".join(
            f"Final-Recipient: rfc822; a{n}@b.cc\nRemote-MTA: dns; mx.b.cc" for n in range(900)
        ),
    ),
    "recipients with the first line of an answer": report(
        "".join(
            f"... while talking to mx{n}.b.cc.:\n<<< 550 no {'a ' * 200}\n" for n in range(90)
        ),
        "\n\n".join(
            f"Final-Recipient: rfc822; a{n}@b.cc\nDiagnostic-Code: smtp; 550 no"
            for n in range(900)
        ),
    ),
    "addresses in long lines": DAEMON + fill(b"recipient " * 45 + b"a@b.cc\n"),
    "a long Received": report("", "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b.cc\n")
    + b"--=b\nContent-Type: message/rfc822\n\nReceived: "
    + fill(b"by a by "),
}
