"""Ports of 127.0.0.1, and patience."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

LOOPBACK = "127.0.0.1"
LOOPBACK6 = "::1"
SECOND_HOST = "127.0.0.5"
"""Plays another host of ours: the daemon has it in own_relays."""
OUTSIDE = "127.0.0.9"
"""Plays a stranger's host: in nobody's mynetworks, unless a test opens a relay to him."""

T = TypeVar("T")


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def has_ipv6() -> bool:
    """Tell whether this machine has an IPv6 loopback."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind((LOOPBACK6, 0))
        except OSError:
            return False
        return True


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
