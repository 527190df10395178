"""A daemon in the test's own process, its clock moved by hand, spoken to from several hosts."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib

from bounced.configfile import load_settings
from bounced.daemon import Daemon

PLAIN = "bounces@bounce.example.com"
RELAY, STRANGER, THIRD = "127.0.0.2", "127.0.0.1", "127.0.0.3"
"""Addresses of loopback; only the first is an own relay."""
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
hostname = "bounce.example.com"
own_relays = ["127.0.0.2/32"]
[http]
listen = ""
[database]
url = "sqlite:///{folder}/bounced.db"
[relay]
maildir = "{folder}/notices"
[notices]
sender = "post@app.example"
"""


class Site:
    """A configuration file, its daemon and the mails to the authors."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.config.write_text(CONFIG.format(folder=folder) + more)
        self.settings = load_settings(self.config, {})
        self.now = NOW

    @asynccontextmanager
    async def run(self, *, beat: bool = False) -> AsyncIterator[Daemon]:
        """Run the daemon; without `beat` its jobs are called by hand."""
        daemon = Daemon(self.settings, clock=lambda: self.now, config_path=self.config)
        await daemon.start(beat=beat)
        try:
            yield daemon
        finally:
            await daemon.stop()

    async def tell(self, daemon: Daemon) -> int:
        """Process what waits, let the window pass, send what is due."""
        await daemon.processor.process_waiting()
        self.now += timedelta(minutes=16)
        return await daemon.dispatcher.send_due(self.now)

    def read_mails(self) -> list[EmailMessage]:
        """Return the notices, oldest first."""
        return [
            email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            for file in sorted((self.folder / "notices" / "new").iterdir())
        ]


def find_smtp(daemon: Daemon) -> tuple[str, int]:
    """Return where it listens."""
    host, _, port = daemon.listener.smtp[0].rpartition(":")
    return host, int(port)


async def deliver(
    smtp: tuple[str, int], client: str, mails: Iterable[bytes], rcpt: str = PLAIN
) -> list[int]:
    """Hand over bounces from a host on one connection; return the codes of the last replies."""
    host, port = smtp
    session = aiosmtplib.SMTP(
        hostname=host, port=port, start_tls=False, source_address=(client, 0)
    )
    async with session:
        codes = []
        for raw in mails:
            await session.mail("")
            await session.rcpt(rcpt)
            codes.append((await session.data(raw)).code)
    return codes
