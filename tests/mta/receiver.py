"""A receiving mail server that refuses whom it is told to refuse, and keeps what it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.mta.network import LOOPBACK, free_port


@dataclass(frozen=True)
class Delivered:
    """One message that a receiving server took."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, EmailMessage, policy=policy.default)


@dataclass
class Receiver:
    """An SMTP server that refuses the recipients it is told to, and keeps what it takes.

    `at_rcpt` and `at_data` map a recipient to the reply that refuses it, after RCPT or after the
    content; every other recipient gets the reply `at_rcpt_else`, or is accepted.
    """

    at_rcpt: Mapping[str, str] = field(default_factory=dict)
    at_data: Mapping[str, str] = field(default_factory=dict)
    at_rcpt_else: str = ""
    delivered: list[Delivered] = field(default_factory=list)
    port: int = 0

    @contextlib.contextmanager
    def run(self) -> Iterator[Receiver]:
        """Serve in a thread on a free port of 127.0.0.1."""
        self.port = free_port()
        controller = Controller(self, hostname=LOOPBACK, port=self.port)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()

    def find(self, recipient: str) -> Delivered | None:
        """Return the first message that came for the recipient."""
        return next((taken for taken in self.delivered if recipient in taken.recipients), None)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if refusal := self.at_rcpt.get(address, self.at_rcpt_else):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        for recipient in envelope.rcpt_tos:
            if refusal := self.at_data.get(recipient):
                return refusal
        assert isinstance(envelope.content, bytes)
        recipients = tuple(envelope.rcpt_tos)
        self.delivered.append(Delivered(envelope.mail_from or "", recipients, envelope.content))
        return "250 2.0.0 Ok"
