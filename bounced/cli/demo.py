"""`bounced demo`: the whole story in one minute, over real SMTP, on the embedded database."""

from __future__ import annotations

import asyncio
import email
import email.policy
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiosmtplib
from aiosmtpd.smtp import SMTP, Envelope, Session
from rich.markup import escape
from rich.panel import Panel
from sqlalchemy import Connection

from bounced import logs
from bounced.cli.output import make_console, print_table, say
from bounced.cli.story import (
    ANNA,
    BOUNCES,
    Bounce,
    build_forgery,
    build_report,
    build_vacation,
)
from bounced.config import LogSettings
from bounced.configfile import load_settings
from bounced.daemon import Daemon, make_id
from bounced.ledger import queries, sends
from bounced.model import Send, TokenType
from bounced.origin.admission import build_return_path
from bounced.origin.token import find_day, seal

_FIRST_DAY = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
_DAYS = 4
_WINDOW = timedelta(minutes=16)
_PLAIN = "bounces@bounce.example.com"
_CONFIG = """\
# The demo's site: an application at protokolle.example whose bounces come to bounce.example.com.
[smtp]
listen = ["127.0.0.1:0"]

[http]
listen = ""

[return_path]
domains = ["bounce.example.com"]

[database]
url = "sqlite:///{folder}/bounced.db"

[notices]
sender = "hilfe@protokolle.example"
application_name = "Protokolldienst"
application_url = "https://protokolle.example"

[relay]
host = "127.0.0.1"
port = {port}
security = "none"
"""


def demo() -> None:
    """Tell the whole story in a minute.

    Bounces come in over SMTP, are sorted and counted, and their authors are told.
    """
    folder = Path(tempfile.mkdtemp(prefix="bounced-demo-"))
    logs.configure(LogSettings(level="error"))
    asyncio.run(_Demo(folder).run())


class _Clock:
    """A clock that the demo moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class _Sink:
    """The authors' mailboxes: keeps every notice that the daemon delivers."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return "250 2.0.0 kept"


class _Demo:
    """One run of the story."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = _Clock(_FIRST_DAY)
        self._sink = _Sink()
        self._console = make_console()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        sink = await loop.create_server(
            lambda: SMTP(self._sink, hostname="sink.example", loop=loop), "127.0.0.1", 0
        )
        config = self._folder / "config.toml"
        port = sink.sockets[0].getsockname()[1]
        config.write_text(_CONFIG.format(folder=self._folder, port=port), encoding="utf-8")
        settings = load_settings(config, {})
        self._daemon = Daemon(settings, clock=self._clock)
        await self._daemon.start(beat=False)
        try:
            for day in range(1, _DAYS + 1):
                await self._live(day)
            self._show()
        finally:
            await self._daemon.stop()
            sink.close()
        self._say_goodbye(config)

    async def _live(self, day: int) -> None:
        """One day: its bounces come in, are processed, and what is due goes out."""
        self._clock.now = _FIRST_DAY + timedelta(days=day - 1, minutes=day)
        self._heading(f"Day {day}, {self._clock.now:%A %d %B %Y}")
        for bounce in BOUNCES:
            if bounce.day == day:
                await self._bounce(bounce)
        if day == 1:
            await self._trouble()
        await self._daemon.processor.process_waiting()
        self._clock.now += _WINDOW
        before = len(self._sink.mails)
        await self._daemon.dispatcher.send_due(self._clock.now)
        mails = [_parse(raw) for raw in self._sink.mails[before:]]
        for mail in mails:
            say(f"  → notice to {mail['To']}: {mail['Subject']}")
        if not mails:
            say("  → no notice today")

    async def _bounce(self, bounce: Bounce) -> None:
        sent_at = self._clock.now - timedelta(minutes=2)
        return_path = await self._register(bounce, sent_at) if bounce.signed else _PLAIN
        raw = build_report(bounce, return_path, sent_at, self._clock.now)
        reply = await self._deliver("", return_path, raw)
        say(f"  {bounce.recipient}: {bounce.told}  [{reply}]")

    async def _trouble(self) -> None:
        """Send what a return-path mailbox gets besides bounces."""
        now = self._clock.now
        reply = await self._deliver("", _PLAIN, build_forgery(now))
        say(f"  a forged bounce, relayed from outside: stored, never counted  [{reply}]")
        wrong = "s" + "a" * 30 + "@bounce.example.com"
        reply = await self._deliver("", wrong, build_forgery(now))
        say(f"  a bounce to a made-up return path from an own relay: stored, too  [{reply}]")
        vacation = build_vacation(ANNA, _PLAIN, now)
        reply = await self._deliver("", _PLAIN, vacation)
        say(f"  an out-of-office reply: no failure at all  [{reply}]")
        reply = await self._deliver("spam@shop.example", "nobody@other.example", b"Subject: x\r\n")
        say(f"  spam for a domain that is not ours: refused at the door  [{reply}]")

    async def _register(self, bounce: Bounce, sent_at: datetime) -> str:
        """Register a send, as the application does, and return its signed return path."""
        send = Send(
            send=make_id(),
            author=bounce.author.address,
            recipients=(bounce.recipient,),
            registered_at=sent_at,
            title=bounce.protocol,
            language=bounce.author.language,
        )
        await self._daemon.writer.run(lambda connection: sends.register(connection, send))
        admission, ring = self._daemon.admission
        day = find_day(sent_at)
        token = seal(TokenType.SEND, bytes.fromhex(send.send), day, ring.signing)
        return build_return_path(token, admission)

    async def _deliver(self, mail_from: str, rcpt: str, raw: bytes) -> str:
        """Hand a mail to the daemon by SMTP; return its reply."""
        host, _, port = self._daemon.listener.smtp[0].rpartition(":")
        client = aiosmtplib.SMTP(hostname=host, port=int(port), use_tls=False, start_tls=False)
        await client.connect()
        try:
            await client.ehlo()
            await client.mail(mail_from)
            await client.rcpt(rcpt)
            reply = await client.data(raw)
        except aiosmtplib.SMTPResponseException as error:
            return f"{error.code} {error.message}"
        finally:
            client.close()
        return f"{reply.code} {reply.message}"

    def _show(self) -> None:
        self._heading("What the daemon made of it")
        rows = sorted(self._read(queries.list_reports), key=_tell_order)
        lines = [_describe(row, who) for row in rows for who in row["recipients"] or [{}]]
        columns = ("recipient", "verdict", "decided by", "counted")
        print_table("Verdicts", columns, lines, fold=("recipient", "decided by", "counted"))
        cases = sorted(self._read(queries.list_cases), key=_tell_case_order)
        names = ("subject, author", "verdict", "state", "strikes, notices")
        print_table("Cases", names, map(_describe_case, cases), fold=names)
        self._heading("What the authors read")
        for number, raw in enumerate(self._sink.mails, 1):
            (self._folder / f"notice-{number}.eml").write_bytes(raw)
            self._show_mail(raw)

    def _show_mail(self, raw: bytes) -> None:
        mail = _parse(raw)
        body = mail.get_body(("plain",))
        assert body is not None
        head = f"From: {mail['From']}\nTo: {mail['To']}\nSubject: {mail['Subject']}\n\n"
        self._console.print(Panel(escape(head + body.get_content().strip()), width=100))

    def _read(self, work: Callable[[Connection], Any]) -> Any:
        return self._daemon.ledger.read(work)

    def _heading(self, text: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{escape(text)}", align="left")

    def _say_goodbye(self, config: Path) -> None:
        self._heading("Where to go next")
        say(f"The database, the notices and the configuration are in {self._folder}:")
        say(f"  bounced cases list --config {config}")
        say(f"  bounced quarantine list --config {config}")
        say(f"  bounced reports list --config {config}")
        say("Your own bounces: bounced classify PATH...")
        say("The daemon: make run, or docs/integrate.md for your application")


def _tell_order(row: dict[str, Any]) -> tuple[datetime, int, str]:
    """Return where a report stands in the story: its day's bounces, then its day's trouble."""
    named = {line["recipient"] for line in row["recipients"]}
    places = (at for at, bounce in enumerate(BOUNCES) if bounce.recipient in named)
    return row["received_at"], next(places, len(BOUNCES)), row["why"] or ""


def _tell_case_order(row: dict[str, Any]) -> tuple[datetime, int]:
    places = (at for at, bounce in enumerate(BOUNCES) if bounce.recipient == row["subject"])
    return row["first_strike_at"], next(places, len(BOUNCES))


def _describe(row: dict[str, Any], recipient: dict[str, Any]) -> tuple[object, ...]:
    counted = row["why"] or recipient.get("ignored") or ("yes" if recipient else "")
    return (
        recipient.get("recipient"),
        [recipient.get("category") or recipient.get("action") or row["kind"],
         recipient.get("reason")],
        recipient.get("evidence"),
        counted.replace("-", " "),  # folded by word
    )  # fmt: skip


def _describe_case(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        [row["subject"], row["author"]],
        [row["category"], row["reason"]],
        row["state"],
        [row["strikes"], row["notices"]],
    )


def _parse(raw: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)
