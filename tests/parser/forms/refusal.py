"""What was refused, and the frame that the forms of many servers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.parser.compose import message, multipart, part, report

RELAY = "relay.sender.test"
IP = "192.0.2.25"
RETURNED = "From: author@sender.test\nTo: {0}\nSubject: Protokoll\nMessage-ID: <1@sender.test>\n"
_STAGES = {
    "CONNECT": "initial connection",
    "EHLO": "EHLO relay.sender.test",
    "MAIL FROM": "MAIL FROM:<bounces@sender.test>",
    "DATA": "end of data",
}


@dataclass(frozen=True)
class Refusal:
    """What one server said of one recipient; without a code, what the relay itself found out."""

    recipient: str
    lines: tuple[str, ...]
    code: int | None = None
    status: str | None = None
    told_status: str | None = None
    """What a relay that reads the words writes into the Status field."""
    host: str = "mx.receiver.test"
    command: str = "RCPT TO"

    @property
    def sent(self) -> tuple[str, ...]:
        """The reply's lines as they came over the wire (RFC 5321 §4.2.1)."""
        if self.code is None:
            return self.lines
        status = f"{self.status} " if self.status else ""
        marks = ["-"] * (len(self.lines) - 1) + [" "]
        pairs = zip(marks, self.lines, strict=True)
        return tuple(f"{self.code}{mark}{status}{line}".rstrip() for mark, line in pairs)

    @property
    def whole(self) -> str:
        """The reply on one line, code and status once."""
        head = (str(self.code or ""), self.status or "", *self.lines)
        return " ".join(word for word in head if word)

    @property
    def field(self) -> str:
        """The Status field's code."""
        return self.told_status or self.status or ("4" if self.temporary else "5") + ".0.0"

    @property
    def temporary(self) -> bool:
        return str(self.code or "").startswith("4")

    @property
    def stage(self) -> str:
        """The command with its argument, as Exim names it."""
        return _STAGES.get(self.command, f"RCPT TO:<{self.recipient}>")


Form = Callable[[Refusal], bytes]


def fold(text: str) -> str:
    """Fold at spaces as Postfix and Gmail do, near the 70th column."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > 65:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n    ".join(line.rstrip() for line in lines)


def make_report(
    said: Refusal,
    text: str,
    status: str,
    *header: str,
    sender: str,
    subject: str = "Undelivered Mail Returned to Sender",
    kind: str = "message/delivery-status",
) -> bytes:
    returned = part("text/rfc822-headers", RETURNED.format(said.recipient))
    names = (f"From: {sender}", f"Subject: {subject}", *header)
    if kind == "message/delivery-status":
        return report(text, status, returned, header=names)
    parts = (part("text/plain; charset=utf-8", text), part(kind, status), returned)
    return multipart(*parts, header=names, kind="report; report-type=delivery-status")


def make_plain(body: str, sender: str, subject: str) -> bytes:
    names = (f"From: {sender}", f"Subject: {subject}", "Content-Type: text/plain; charset=utf-8")
    return message(*names, body=body)
