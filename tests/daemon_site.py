"""A site whose daemon runs in this process, its clock moved by hand."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib

from bounced.config import Settings
from bounced.configfile import load_settings
from bounced.daemon import Daemon
from bounced.ledger import queries
from tests.processor.mails import NOW

PLAIN = "bounces@bounce.example.com"
WINDOW = timedelta(minutes=16)


class Site:
    """A configuration file and the daemon that works by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.now = NOW
        self.configure()

    def configure(
        self, *, smtp: str = "", relay: str = "", notices: str = "", more: str = ""
    ) -> None:
        """Write the configuration file anew."""
        self.config.write_text(
            f'[smtp]\nlisten = ["127.0.0.1:0"]\nhostname = "bounce.example.com"\n{smtp}\n'
            f'[database]\nurl = "sqlite:///{self.folder}/bounced.db"\n'
            f'[relay]\nmaildir = "{self.folder}/notices"\n{relay}\n'
            f'[notices]\nsender = "post@app.example"\n{notices}\n'
            f'[http]\nlisten = "127.0.0.1:0"\n{more}\n'
        )

    def configure_relay(self, port: int, **more: str) -> None:
        relay = f'host = "127.0.0.1"\nport = {port}\nsecurity = "none"'
        self.configure(relay=relay, **more)

    def load(self) -> Settings:
        return load_settings(self.config, {})

    def make(self) -> Daemon:
        return Daemon(self.load(), clock=lambda: self.now, config_path=self.config)

    @asynccontextmanager
    async def run(self, *, beat: bool = False) -> AsyncIterator[Daemon]:
        daemon = self.make()
        await daemon.start(beat=beat)
        try:
            yield daemon
        finally:
            await daemon.stop()

    async def tell(self, daemon: Daemon) -> int:
        """Process what waits, let the window pass, send what is due."""
        await daemon.processor.process_waiting()
        self.now += WINDOW
        return await daemon.dispatcher.send_due(self.now)


async def deliver(daemon: Daemon, raw: bytes, rcpt: str = PLAIN) -> str:
    """Hand a bounce to the daemon; returns its last reply."""
    host, _, port = daemon.listener.smtp[0].rpartition(":")
    client = aiosmtplib.SMTP(hostname=host, port=int(port), start_tls=False)
    async with client:
        try:
            await client.mail("")
            await client.rcpt(rcpt)
            reply = await client.data(raw)
        except aiosmtplib.SMTPResponseException as refusal:
            return f"{refusal.code} {refusal.message}"
    return f"{reply.code} {reply.message}"


def list_cases(daemon: Daemon) -> list[dict[str, Any]]:
    return daemon.ledger.read(queries.list_cases)


def list_notices(daemon: Daemon) -> list[dict[str, Any]]:
    return daemon.ledger.read(queries.list_notices)


def read_mails(folder: Path) -> list[EmailMessage]:
    files = sorted((folder / "new").iterdir())
    return [parse(file.read_bytes()) for file in files]


def parse(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def break_certificate(site: Site) -> None:
    """Name a file as certificate that is none."""
    path = site.config
    site.configure(smtp=f'tls_certificate_file = "{path}"\ntls_key_file = "{path}"')
