"""Ports of 127.0.0.1, and patience."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

LOOPBACK = "127.0.0.1"

T = TypeVar("T")


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def can_connect(port: int) -> bool:
    """Tell whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def wait_for(what: str, look: Callable[[], T | None], timeout_s: float = 20) -> T:
    """Return the first truthy answer of `look`; raises AssertionError when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
