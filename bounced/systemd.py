"""Tells systemd how the daemon is: ready, reloading, stopping, alive (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send one state, such as `READY=1`; False where no service manager listens."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # Linux' abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect(address)
            sender.send(state.encode())
        except OSError:
            return False
    return True


def describe_reload() -> str:
    """Return the state that begins a reload (`Type=notify-reload` wants the clock's reading)."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def find_watchdog_interval(environ: Mapping[str, str] = os.environ) -> timedelta | None:
    """Return how often systemd wants to hear WATCHDOG=1: half of its limit; None: never."""
    limit, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    meant_for_us = pid is None or pid == str(os.getpid())
    if not limit.isdigit() or not int(limit) or not meant_for_us:
        return None
    return timedelta(microseconds=int(limit) // 2)
