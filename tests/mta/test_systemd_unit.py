"""The systemd units: what systemd thinks of them, and that the daemon keeps its side of it."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bounced import systemd
from tests.e2e.process import ServeProcess
from tests.mta.conditions import need_systemd

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICE = "bounced.service"
UNITS = (SERVICE, "bounced.socket", "bounced-lmtp.socket")
EXPOSURE_TENTHS = 15
"""How exposed systemd may find the unit, of 100; a unit without hardening has 96."""
WATCHDOG_S = 2
PATIENCE_S = 20


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder of the units, with a program that is there, since systemd looks."""
    program = tmp_path / "bounced"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in UNITS:
        text = (DEPLOY / name).read_text().replace("/opt/bounced/bin/bounced", str(program))
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a service manager that wants to hear from the daemon (sd_notify(3))."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", str(WATCHDOG_S * 1_000_000))
        yield listener


def _wait_for_state(manager: socket.socket, state: str) -> None:
    """Take states until `state` comes; raises TimeoutError when it does not."""
    seen: list[str] = []
    deadline = time.monotonic() + PATIENCE_S
    while state not in seen:
        manager.settimeout(max(0.001, deadline - time.monotonic()))
        seen = manager.recv(4096).decode().splitlines()


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit(units: Path, name: str) -> None:
    analyze = need_systemd("systemd-analyze")
    done = subprocess.run(
        (analyze, "verify", "--man=no", units / name), check=False, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_the_unit_hardened(units: Path) -> None:
    analyze = need_systemd("systemd-analyze")
    options = ("--offline=true", f"--threshold={EXPOSURE_TENTHS}")
    done = subprocess.run(
        (analyze, "security", *options, units / SERVICE),
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", UNITS[1:])
def test_a_socket_unit_says_what_is_spoken_on_it(name: str) -> None:
    (said,) = re.findall(r"^FileDescriptorName=(.*)$", (DEPLOY / name).read_text(), re.MULTILINE)

    assert said in systemd.SOCKET_NAMES


def test_the_daemon_tells_the_service_manager_how_it_is(
    tmp_path: Path, manager: socket.socket
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        smtp.listen = ["127.0.0.1:0"]
        http.listen = "127.0.0.1:0"
        database.url = "sqlite:///{tmp_path}/bounced.db"
        relay.maildir = "{tmp_path}/notices"
        """
    )
    with ServeProcess(config) as process:
        _wait_for_state(manager, "READY=1")
        _wait_for_state(manager, "WATCHDOG=1")
        assert process.stop() == 0
        _wait_for_state(manager, "STOPPING=1")
