"""How the delivery tests send one mail, and what it is made of."""

import ssl
from email.message import EmailMessage
from pathlib import Path

from bounced.config import RelaySettings
from bounced.notifier.delivery import Outcome, SmtpDelivery
from bounced.notifier.pool import IDLE_S
from tests.notifier.relay import HOST, USERNAME

RETURN_PATH = "nabcdefgh@bounce.baudoku.example"
AUTHOR = "anna.berger@bergerbau.example"
NO_FILE = Path("unread")


class Gate:
    """A `before_data` that counts."""

    def __init__(self, *, answer: bool = True) -> None:
        self.answer = answer
        self.calls = 0

    async def __call__(self) -> bool:
        self.calls += 1
        return self.answer


def make_mail(author: str = AUTHOR) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Baudoku <protokolle@baudoku.example>"
    mail["To"] = author
    mail["Subject"] = "Ihre Baubesprechung erreichte zwei Empfänger nicht"
    mail["Message-ID"] = "<0123456789abcdef.k2x7@bounce.baudoku.example>"
    mail.set_content("Die Domain gmial.com gibt es nicht, prüfen Sie die Adresse.\n")
    return mail


def make_settings(port: int, **changes: object) -> RelaySettings:
    defaults = {"host": HOST, "port": port, "security": "none"}
    return RelaySettings.model_validate({**defaults, **changes})


def make_delivery(
    port: int,
    security: str = "none",
    *,
    context: ssl.SSLContext | None = None,
    password: str | None = None,
    timeout_s: float = 5.0,
    final_timeout_s: float = 5.0,
    idle_s: float = IDLE_S,
    **changes: object,
) -> SmtpDelivery:
    login = {"username": USERNAME, "password_file": NO_FILE} if password else {}
    return SmtpDelivery(
        make_settings(port, **{"security": security, **login, **changes}),
        password=password,
        hostname="bounced.test",
        tls_context=context,
        timeout_s=timeout_s,
        final_timeout_s=final_timeout_s,
        idle_s=idle_s,
    )


async def deliver(delivery: SmtpDelivery, gate: Gate, rcpt: str = AUTHOR) -> Outcome:
    """Send one mail; the session stays with the delivery."""
    return await delivery.deliver(
        make_mail(rcpt if rcpt.isascii() else AUTHOR),
        mail_from=RETURN_PATH,
        rcpt=rcpt,
        before_data=gate,
    )


async def deliver_once(delivery: SmtpDelivery, gate: Gate, rcpt: str = AUTHOR) -> Outcome:
    """Send one mail and leave."""
    try:
        return await deliver(delivery, gate, rcpt)
    finally:
        await delivery.close()
