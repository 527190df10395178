"""The sound and the hostile messages that mutations begin with."""

from __future__ import annotations

from bounced.parser.rule import RuleSet
from tests.corpus.labelled import CORPUS, read_cases
from tests.parser.compose import message, multipart, part, report
from tests.parser.hostile import HOSTILE

_HOSTILE_BYTES = 30_000
"""As much of each hostile message: whole ones would take all the time."""


def make_seeds(rules: RuleSet) -> list[bytes]:
    """Return messages that hold each rule's first example, and those that are made to cost."""
    seeds = [HOSTILE[name][:_HOSTILE_BYTES] for name in sorted(HOSTILE)]
    for number, rule in enumerate(rules.rules):
        seeds.append(_FORMS[number % len(_FORMS)](rule.examples[0].text))
    return seeds


def read_corpus() -> list[bytes]:
    """Return the corpus' messages, none where it is not beside the checkout."""
    return [case.raw for case in read_cases()] if CORPUS.is_dir() else []


def _make_report(text: str) -> bytes:
    return report(
        f"<max@firma.de>: host mx.firma.de[192.0.2.1] said: {text} (in reply to RCPT TO command)\n",
        "Reporting-MTA: dns; relay.test\nX-Postfix-Queue-ID: ABC\n\n"
        "Final-Recipient: rfc822; max@firma.de\nOriginal-Recipient: rfc822;max@firma.de\n"
        f"Action: failed\nStatus: 5.0.0\nRemote-MTA: dns; mx.firma.de\nDiagnostic-Code: smtp; {text}\n",
        part("message/rfc822", "Received: by relay.test\nFrom: a@b.de\nTo: max@firma.de\n\nbody"),
        header=("From: MAILER-DAEMON@relay.test", "Date: Sat, 21 Nov 2026 20:41:04 GMT"),
    )


def _make_freeform(text: str) -> bytes:
    return message(
        "From: MAILER-DAEMON@relay.test",
        "Subject: failure notice",
        body=f"Hi. This is the program.\n\n<max@firma.de>:\nRemote host said: {text}\n\n"
        "--- Below this line is a copy of the message.\n\nReceived: x\nSubject: y\n",
    )


def _make_page(text: str) -> bytes:
    page = f"<html><style>p {{}}</style><p>max@firma.de &lt;failed&gt;<br>{text}</html>"
    return multipart(
        part("text/html; charset=utf-8", page, "Content-Transfer-Encoding: 8bit"),
        part("message/rfc822", "Subject: =?utf-8?q?=C3=A4?=\nTo: max@firma.de\n\nbody"),
        header=("From: postmaster@firma.de", "Subject: Undeliverable: x"),
    )


def _make_transcript(text: str) -> bytes:
    return message(
        "From: MAILER-DAEMON@relay.test",
        "Subject: Returned mail: see transcript for details",
        body="   ----- The following addresses had permanent fatal errors -----\n<max@firma.de>\n\n"
        "   ----- Transcript of session follows -----\n... while talking to mx.firma.de.:\n"
        f">>> RCPT To:<max@firma.de>\n<<< {text}\n550 5.1.1 <max@firma.de>... User unknown\n",
    )


_FORMS = (_make_report, _make_freeform, _make_page, _make_transcript)
