"""A certificate is renewed while the daemon runs: by itself within a minute, or by SIGHUP."""

from __future__ import annotations

import shutil
import smtplib
import ssl
from asyncio import to_thread
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from bounced.config import Settings
from bounced.daemon import Daemon

NAME = "bounce.example.com"


class Site:
    """The daemon's two files, and a client that trusts their authority."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC)
        self.authority = trustme.CA()
        self.folder = folder
        self.settings = Settings.model_validate(
            {
                "smtp": {
                    "listen": ["127.0.0.1:0"],
                    "hostname": NAME,
                    "tls_certificate_file": folder / "certificate.pem",
                    "tls_key_file": folder / "key.pem",
                },
                "database": {"url": f"sqlite:///{folder}/bounced.db"},
                "relay": {"maildir": folder / "notices"},
                "http": {"listen": ""},
            }
        )

    def issue(self, days: int) -> None:
        """Write a pair that ends in so many days."""
        issued = self.authority.issue_cert(NAME, not_after=self.now + timedelta(days=days))
        issued.cert_chain_pems[0].write_to_path(self.folder / "certificate.pem")
        issued.private_key_pem.write_to_path(self.folder / "key.pem")

    async def count_days(self, daemon: Daemon) -> int:
        """Ask the daemon for its certificate; returns in how many days it ends."""
        ends_at = await to_thread(self._read_end, int(daemon.listener.smtp[0].rpartition(":")[2]))
        return round((ends_at - self.now) / timedelta(days=1))

    def _read_end(self, port: int) -> datetime:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        with smtplib.SMTP("127.0.0.1", port) as client:
            client._host = NAME  # type: ignore[attr-defined] # the name that is checked
            client.starttls(context=context)
            assert isinstance(client.sock, ssl.SSLSocket)
            shown = client.sock.getpeercert()
        assert shown is not None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path) -> Site:
    shutil.copy(sqlite_template, tmp_path / "bounced.db")
    return Site(tmp_path)


@pytest.fixture
def daemon(site: Site) -> Daemon:
    site.issue(5)
    return Daemon(site.settings, clock=lambda: site.now)


async def test_a_renewed_certificate_is_shown_within_a_minute(site: Site, daemon: Daemon) -> None:
    await daemon.start(beat=False)
    try:
        await daemon.look_at_certificate(site.now)
        assert await site.count_days(daemon) == 5
        site.issue(90)
        await daemon.look_at_certificate(site.now + timedelta(minutes=1))
        assert await site.count_days(daemon) == 90
    finally:
        await daemon.stop()


async def test_a_reload_shows_the_renewed_certificate(site: Site, daemon: Daemon) -> None:
    await daemon.start(beat=False)
    try:
        site.issue(90)
        await daemon.reload(lambda: site.settings)
        assert await site.count_days(daemon) == 90
    finally:
        await daemon.stop()
