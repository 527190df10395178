"""A content filter that takes mail from Postfix by SMTP and hands it back, stamped as by amavis."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.mta.network import LOOPBACK, free_port

_STAMP = (
    "Received: from relay.example.test ([127.0.0.1])\r\n"
    " by localhost (relay.example.test [127.0.0.1]) (amavisd-new, port 10024)\r\n"
    " with ESMTP id aB3dE5gH7jKl for <{recipient}>;\r\n"
    " Sun, 22 Nov 2026 03:41:29 +0000 (UTC)\r\n"
)


@dataclass(frozen=True)
class ContentFilter:
    """Finds nothing wrong with any mail and hands it to `next_port`."""

    next_port: int

    @contextlib.contextmanager
    def run(self) -> Iterator[int]:
        """Serve in a thread on a free port of 127.0.0.1; yields the port."""
        port = free_port()
        controller = Controller(self, hostname=LOOPBACK, port=port)
        controller.start()
        try:
            yield port
        finally:
            controller.stop()

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        await asyncio.to_thread(self._hand_on, envelope)
        return "250 2.0.0 Ok"

    def _hand_on(self, envelope: Envelope) -> None:
        assert isinstance(envelope.content, bytes)
        stamp = _STAMP.format(recipient=envelope.rcpt_tos[0]).encode()
        with smtplib.SMTP(LOOPBACK, self.next_port, "localhost") as session:
            session.sendmail(envelope.mail_from or "", envelope.rcpt_tos, stamp + envelope.content)
