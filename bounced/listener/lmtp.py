"""What LMTP says differently (RFC 2033): another greeting, and one reply for each recipient."""

# ruff: noqa: N802 - aiosmtpd finds the commands by these names

from __future__ import annotations

from bounced.listener import replies
from bounced.listener.session import SmtpSession


class LmtpSession(SmtpSession):
    """One LMTP conversation, with a mail server of our own; TLS is offered, never required."""

    protocol = "LMTP"
    tls_may_be_required = False

    async def smtp_LHLO(self, arg: str | None) -> None:
        """Greet and list the extensions (RFC 2033 §4.1)."""
        await super().smtp_EHLO(arg)

    async def smtp_HELO(self, _arg: str | None) -> None:
        """Refuse SMTP's greeting, as RFC 2033 §4.1 demands."""
        await self.push(replies.UNKNOWN_COMMAND)

    async def smtp_EHLO(self, _arg: str | None) -> None:
        """Refuse SMTP's greeting, as RFC 2033 §4.1 demands."""
        await self.push(replies.UNKNOWN_COMMAND)

    def multiply_reply(self, reply: str, recipients: int) -> str:
        """Return the reply once for each accepted recipient, in order (RFC 2033 §4.2)."""
        return "\r\n".join([reply] * recipients)
