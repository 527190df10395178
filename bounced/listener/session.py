"""What is said in an SMTP session: each command, its order, and its reply (RFC 5321).

SIZE by RFC 1870, PIPELINING by RFC 2920, 8BITMIME by RFC 6152, SMTPUTF8 by RFC 6531, enhanced
codes by RFC 2034.
"""

# ruff: noqa: N802 - aiosmtpd finds the commands by these names

from __future__ import annotations

from aiosmtpd.smtp import Envelope, TLSSetupException

from bounced.listener import replies
from bounced.listener.connection import Connection, Phase
from bounced.listener.data import Fault, read_message
from bounced.listener.intake import Recipient
from bounced.listener.syntax import Refused, read_recipient, read_sender
from bounced.origin.admission import Refusal

MAX_RECIPIENTS = 100
"""Accepted recipients a transaction (RFC 5321 §4.5.3.1.8)."""
MAX_COPIES = 4
"""Different ones of a stranger's: each is another copy to store, and a bounce names one."""

_FAULTS = {
    Fault.TOO_LARGE: replies.TOO_LARGE,
    Fault.NO_MEMORY: replies.NO_MEMORY,
    Fault.BARE_LINE_END: replies.BARE_IN_MESSAGE,
}


class Transaction(Envelope):
    """What MAIL and RCPT have said since the last reset."""

    def __init__(self) -> None:
        super().__init__()
        self.sender: str | None = None
        """"" is the null sender, None: no MAIL yet."""
        self.recipients: dict[tuple[str, str], Recipient] = {}
        """Each once, in whatever way it has been written."""
        self.accepted = 0
        """RCPT commands; LMTP replies to each."""


class SmtpSession(Connection):
    """One SMTP conversation."""

    async def smtp_HELO(self, arg: str | None) -> None:
        """Greet without extensions."""
        if self._is_greeted(arg):
            await self.push(f"250 {self.hostname}")
        else:
            await self.push(replies.NEEDS_NAME)

    async def smtp_EHLO(self, arg: str | None) -> None:
        """Greet and list the extensions."""
        if self._is_greeted(arg, extended=True):
            await self.push(self._list_extensions())
        else:
            await self.push(replies.NEEDS_NAME)

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """Start TLS once."""
        if arg:
            await self.push(replies.NO_ARGUMENT)
        elif self.tls_context is None:
            await self.push(replies.NOT_OFFERED)
        elif self._tls_protocol is not None:
            await self.push(replies.TLS_ALREADY)
        else:
            await super().smtp_STARTTLS(arg)
            if self.session is None or self.session.ssl is None:
                # Actually, asyncio ends the wait for a handshake that was cut off like any other.
                raise TLSSetupException

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Open a transaction."""
        await self.push(self._open_transaction(arg))

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Judge one recipient."""
        await self.push(self._add_recipient(arg))

    async def smtp_DATA(self, arg: str | None) -> None:
        """Read a message and store it; the reply comes after the commit."""
        transaction = self._transaction
        refusal = replies.NO_ARGUMENT if arg else None
        if not transaction.recipients:
            refusal = replies.RCPT_FIRST
        if refusal is not None:
            await self.push(refusal)
            return
        await self.push(replies.START_DATA)
        reply = await self._receive(transaction)
        self.envelope = Transaction()
        self._reset_timeout()
        await self.push(self.multiply_reply(reply, transaction.accepted))
        self.leave_if_asked()

    async def smtp_RSET(self, arg: str | None) -> None:
        """Forget the transaction."""
        if arg:
            await self.push(replies.NO_ARGUMENT)
            return
        self.envelope = Transaction()
        await self.push(replies.OK)

    async def smtp_NOOP(self, _arg: str | None) -> None:
        """Do nothing."""
        await self.push(replies.OK)

    async def smtp_QUIT(self, arg: str | None) -> None:
        """Say goodbye."""
        if arg:
            await self.push(replies.NO_ARGUMENT)
            return
        await self.push(replies.BYE)
        self.hang_up()

    async def smtp_HELP(self, _arg: str | None) -> None:
        """Say what this host is for."""
        await self.push(replies.HELP)

    async def smtp_VRFY(self, _arg: str | None) -> None:
        """Verify nothing (RFC 5321 §7.3)."""
        await self.push(replies.VRFY)

    async def smtp_EXPN(self, _arg: str | None) -> None:
        """Expand nothing."""
        await self.push(replies.NOT_OFFERED)

    async def smtp_AUTH(self, _arg: str | None) -> None:
        """Authenticate nobody: there is nothing here that needs it."""
        await self.push(replies.NOT_OFFERED)

    def multiply_reply(self, reply: str, recipients: int) -> str:  # noqa: ARG002 - LMTP counts them
        """Return what is said after a message for `recipients` accepted recipients."""
        return reply

    @property
    def has_recipient(self) -> bool:
        """Tell whether a recipient has been accepted, so that a message may be on its way."""
        return bool(self._transaction.recipients)

    @property
    def _transaction(self) -> Transaction:
        assert isinstance(self.envelope, Transaction)
        return self.envelope

    def _create_envelope(self) -> Transaction:
        return Transaction()

    def _is_greeted(self, name: str | None, *, extended: bool = False) -> bool:
        if not name:
            return False
        assert self.session is not None
        self.envelope = Transaction()
        self.session.extended_smtp = extended
        self.session.host_name = name
        return True

    def _list_extensions(self) -> str:
        extensions = ["PIPELINING", f"SIZE {self.data_size_limit}", "8BITMIME", "SMTPUTF8"]
        if self.tls_context is not None and self._tls_protocol is None:
            extensions.append("STARTTLS")
        lines = [self.hostname, *extensions]
        return "".join(f"250-{line}\r\n" for line in lines) + "250 ENHANCEDSTATUSCODES"

    def _open_transaction(self, arg: str | None) -> str:
        assert self.session is not None
        if not self.session.host_name:
            return replies.GREET_FIRST
        if self._transaction.sender is not None:
            return replies.NO_NESTED_MAIL
        settings = self.house.settings
        free = self.house.intake.memory.count_free(self.client, settings)
        sender = read_sender(arg, settings.max_message, free)
        if isinstance(sender, Refused):
            self.log_refusal(sender.why, sender.reply)
            return sender.reply
        self._transaction.sender = sender
        return replies.SENDER_OK

    def _add_recipient(self, arg: str | None) -> str:
        transaction = self._transaction
        if transaction.sender is None:
            return replies.MAIL_FIRST
        address = read_recipient(arg)
        if isinstance(address, Refused):
            self.log_refusal(address.why, address.reply, transaction.sender)
            return address.reply
        if transaction.accepted >= MAX_RECIPIENTS:
            return self._refuse_recipient(transaction.sender)
        judgement = self.house.intake.judge(address, transaction.sender, self.client)
        if isinstance(judgement, Refusal):
            return judgement.reply
        recipient = Recipient(address, judgement)
        if recipient.key not in transaction.recipients:
            if len(transaction.recipients) >= MAX_COPIES and not self.client.own_relay:
                return self._refuse_recipient(transaction.sender)
            transaction.recipients[recipient.key] = recipient
        transaction.accepted += 1
        return replies.RECIPIENT_OK

    def _refuse_recipient(self, sender: str) -> str:
        self.log_refusal("too-many-recipients", replies.TOO_MANY_RECIPIENTS, sender)
        return replies.TOO_MANY_RECIPIENTS

    async def _receive(self, transaction: Transaction) -> str:
        assert transaction.sender is not None
        settings, intake = self.house.settings, self.house.intake
        share = intake.memory.open_share(self.client, settings)
        self.reach(Phase.READING)
        try:
            raw = await read_message(
                self._reader,
                max_bytes=settings.max_message,
                share=share,
                bare_line_ends=self.client.own_relay,
                on_progress=self._note_progress,
            )
            if isinstance(raw, Fault):
                self.log_refusal(raw.value, _FAULTS[raw], transaction.sender)
                return _FAULTS[raw]
            self.reach(Phase.STORING)
            recipients = tuple(transaction.recipients.values())
            reply = await intake.keep(raw, transaction.sender, recipients, self.client, share)
            if reply == replies.STORED:
                self.note_stored()
            return reply
        finally:
            if self.phase is Phase.READING:  # else it is held until the commit is over
                share.release()
            self.reach(Phase.TALKING)

    def _note_progress(self) -> None:
        self._reset_timeout()
        self.house.gate.note(self)
