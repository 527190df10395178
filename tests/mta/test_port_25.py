"""Port 25 without root: systemd's own launcher opens it, the daemon takes it over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import build_dsn, deliver
from tests.mta.conditions import need_root, need_systemd
from tests.mta.namespace import running, server_folder
from tests.mta.network import wait_for

pytestmark = pytest.mark.mta

NOBODY = 65534
CAP_NET_BIND_SERVICE = 1 << 10
STORED = "250 2.0.0 Stored safely"
_CONFIGURATION = """\
[smtp]
listen = ["127.0.0.1:0", "[::1]:0"]
[database]
url = "sqlite:///{folder}/bounced.db"
[relay]
maildir = "{folder}/notices"
[http]
listen = ""
[log]
format = "json"
"""


@dataclass(frozen=True)
class Activated:
    """A launcher that becomes the daemon at the first connection; one process, one pid."""

    address: str
    file: Path
    process: subprocess.Popen[bytes]
    log: Path

    def deliver(self, recipient: str) -> str:
        """Hand over one bounce; returns the last reply."""
        report = build_dsn(
            recipient, f"{recipient}.1", author="a@authors.example", now=datetime.now(UTC)
        )
        return asyncio.run(deliver((self.address, 25), report, "bounces@bounce.example.com"))

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the daemon's lines of one event; the launcher's own are no JSON."""
        lines = self.log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == name]

    def read_status(self, key: str) -> list[str]:
        """Return what proc(5) says of the process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(line.split()[1:] for line in lines if line.startswith(f"{key}:"))


@contextlib.contextmanager
def activate(*names: str) -> Iterator[Activated]:
    """Hand port 25 and a local socket over under `names`.

    The daemon's user is not root and may open no port below 1024.
    """
    need_root()
    launcher, drop = need_systemd("systemd-socket-activate"), need_systemd("setpriv")
    # An address of loopback that nobody else has taken port 25 of.
    address = f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(254) + 1}.1"
    with server_folder("activation") as folder:
        shutil.chown(folder, NOBODY, NOBODY)
        config = folder / "config.toml"
        config.write_text(_CONFIGURATION.format(folder=folder))
        command = [
            *(launcher, f"--listen={address}:25", f"--listen={folder}/lmtp"),
            *(f"--fdname={name}" for name in [":".join(names)] if name),
            # The checkout may be root's own: it may read everything, and no more than that.
            *(drop, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
            *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
            *("--bounding-set=-all,+dac_read_search", "--no-new-privs"),
            *(sys.executable, "-m", "bounced", "serve", "--config", str(config)),
        ]
        log = folder / "log"
        with running(command, log) as process:
            wait_for("the launcher to listen", lambda: str(folder / "lmtp") in log.read_text())
            yield Activated(address, folder / "lmtp", process, log)


@pytest.fixture
def activated() -> Iterator[Activated]:
    with activate("smtp", "lmtp") as activated:
        yield activated
        activated.process.terminate()
        assert activated.process.wait(timeout=15) == 0


def test_a_bounce_comes_in_on_port_25_without_root(activated: Activated) -> None:
    assert activated.deliver("one@customer.example") == STORED
    (started,) = activated.events("started")
    assert (started["smtp"], started["lmtp"], started["pid"]) == (
        [f"{activated.address}:25"],
        [f"unix:{activated.file}"],
        activated.process.pid,
    )
    assert activated.read_status("Uid") == [str(NOBODY)] * 4
    (capabilities,) = activated.read_status("CapEff")
    assert not int(capabilities, 16) & CAP_NET_BIND_SERVICE


def test_a_reload_keeps_the_port(activated: Activated) -> None:
    assert activated.deliver("one@customer.example") == STORED
    activated.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: len(activated.events("config_loaded")) > 1)
    assert activated.deliver("two@customer.example") == STORED
    received = [line["client"] for line in activated.events("report_received")]
    assert received == ["127.0.0.1"] * 2


def test_a_socket_without_a_name_ends_the_start_with_the_mend() -> None:
    with activate() as activated:
        with socket.create_connection((activated.address, 25)):
            assert activated.process.wait(timeout=15) == 78
        assert "write FileDescriptorName=smtp, lmtp or http" in activated.log.read_text()
