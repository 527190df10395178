"""`bounced serve` as a process of its own, and the mails that the tests hand to it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Self

START_S = 20.0


class ServeProcess:
    """A running daemon; `events` collects its log as it comes."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.events: list[dict[str, Any]] = []
        self.strays: list[str] = []
        """Lines on stderr that are no JSON: there must be none."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    @property
    def smtp(self) -> tuple[str, int]:
        """Return where the daemon listens."""
        host, _, port = str(self.wait_for("started")["smtp"][0]).rpartition(":")
        return host, int(port)

    def start(self) -> Self:
        """Start the daemon and wait until it listens."""
        self.events, self.strays = [], []
        self.process = subprocess.Popen(
            (sys.executable, "-m", "bounced", "serve", "--config", str(self.config)),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for("started")
        return self

    def wait_for(self, event: str, timeout_s: float = START_S) -> dict[str, Any]:
        """Return the first line of `event`, when it has come; fails when it does not come."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = next((line for line in list(self.events) if line["event"] == event), None)
            if found is not None:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {event}; strays {self.strays}, last {self.events[-3:]}")

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self, timeout_s: float = 10.0) -> int:
        """Ask it to stop; returns its exit code, fails when it takes longer than it may."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout_s)
        self._end()
        return code

    def _end(self) -> None:
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.events.append(json.loads(line))
            except json.JSONDecodeError:
                self.strays.append(line)


def build_dsn(
    recipient: str,
    message_id: str,
    *,
    author: str,
    now: datetime,
    reply: str = "550 5.1.1 User unknown",
    subject: str = "Protokoll 7",
) -> bytes:
    """Return a report as an own relay makes it (RFC 3464), for one recipient."""
    status = reply.split()[1]
    date = format_datetime(now)
    return "\r\n".join(
        (
            "Received: by relay.app.example (Postfix)",
            f"\tid 4Test; {date}",
            "From: MAILER-DAEMON@relay.app.example",
            "To: bounces@bounce.example.com",
            "Subject: Undelivered Mail Returned to Sender",
            f"Date: {date}",
            "MIME-Version: 1.0",
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
            "",
            "--b",
            "Content-Type: message/delivery-status",
            "",
            "Reporting-MTA: dns; relay.app.example",
            "",
            f"Final-Recipient: rfc822; {recipient}",
            "Action: failed",
            f"Status: {status}",
            f"Diagnostic-Code: smtp; {reply}",
            "",
            "--b",
            "Content-Type: text/rfc822-headers",
            "",
            f"From: {author}",
            f"X-Protocol-Author: {author}",
            f"To: {recipient}",
            f"Subject: {subject}",
            f"Date: {date}",
            f"Message-ID: <{message_id}>",
            "",
            "--b--",
            "",
        )
    ).encode()


class Mailbox:
    """An SMTP server of ten lines that keeps what it is given: the authors' mailboxes."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.mails: list[bytes] = []
        self._delay_s = delay_s
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on a free port of loopback; returns it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Take no more connections."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mailbox ready\r\n")
        try:
            while line := await reader.readline():
                verb = line.split(b" ")[0].strip().upper()
                if verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                    await asyncio.sleep(self._delay_s)
                writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
                await writer.drain()
                if verb == b"QUIT":
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def deliver(address: tuple[str, int], raw: bytes, rcpt: str, mail_from: str = "") -> str:
    """Hand one mail to the daemon; returns its last reply. Raises OSError when it is gone."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        await _reply(reader)
        for command in (
            b"EHLO test",
            f"MAIL FROM:<{mail_from}>".encode(),
            f"RCPT TO:<{rcpt}>".encode(),
            b"DATA",
        ):
            writer.write(command + b"\r\n")
            reply = await _reply(reader)
            if not reply.startswith((b"2", b"3")):
                return reply.decode()
        writer.write(raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        return (await _reply(reader)).decode()
    finally:
        writer.close()


async def deliver_all(address: tuple[str, int], mails: Iterable[bytes], rcpt: str) -> list[str]:
    """Hand over mails one after the other; returns the replies."""
    return [await deliver(address, raw, rcpt) for raw in mails]


async def _reply(reader: asyncio.StreamReader) -> bytes:
    while line := await reader.readline():
        if line[3:4] != b"-":
            return line.strip()
    raise ConnectionResetError("the daemon hung up")
