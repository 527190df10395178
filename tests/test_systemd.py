"""What is told to systemd, and how often it wants to hear."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from bounced import systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_reaches_the_service_manager(tmp_path: Path, abstract: bool) -> None:
    name = f"bounced-{tmp_path.name}-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if abstract else name)
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": f"@{name}" if abstract else name}
        assert systemd.notify("READY=1", environ)
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/absent/x"}])
def test_without_a_service_manager_nothing_is_told(environ: dict[str, str]) -> None:
    assert not systemd.notify("READY=1", environ)


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_limit(
    environ: dict[str, str], interval: timedelta | None
) -> None:
    assert systemd.find_watchdog_interval(environ) == interval


def test_a_reload_begins_with_the_clocks_reading() -> None:
    first, second = systemd.describe_reload().splitlines()
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
