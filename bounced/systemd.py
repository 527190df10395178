"""What passes between systemd and the daemon: how it is, and the sockets it is given.

sd_notify(3) for the one, sd_listen_fds(3) for the other.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from datetime import timedelta

from bounced.model import ConfigError

FIRST_SOCKET = 3
"""The number of the first socket that is handed over; the others follow."""
SOCKET_NAMES = ("smtp", "lmtp", "http")
"""What FileDescriptorName= may say, and so what is spoken on a socket."""


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


def take_sockets(
    environ: MutableMapping[str, str] = os.environ, *, first: int = FIRST_SOCKET
) -> dict[str, list[socket.socket]]:
    """Return the sockets that systemd listens on for us, by name (sd_listen_fds(3)).

    They are taken once: children get neither them nor the variables. Raises ConfigError for a
    name that is none of SOCKET_NAMES, and for what is no listening stream socket.
    """
    pid, count, names = (
        environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    )
    if pid != str(os.getpid()) or not count.isdigit():
        return {}
    taken: dict[str, list[socket.socket]] = {}
    for number, name in zip(range(first, first + int(count)), names.split(":"), strict=False):
        if name not in SOCKET_NAMES:
            raise ConfigError(
                f"systemd: {name!r} is no name of a socket: write FileDescriptorName=smtp, "
                "lmtp or http in its socket unit"
            )
        taken.setdefault(name, []).append(_take_socket(number, name))
    return taken


def _take_socket(number: int, name: str) -> socket.socket:
    with contextlib.suppress(OSError):  # no socket at all
        sock = socket.socket(fileno=number)
        sock.set_inheritable(False)
        stream = sock.type == socket.SOCK_STREAM
        if stream and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return sock
        sock.close()
    raise ConfigError(
        f"systemd: socket {name!r} does not listen: write ListenStream= and Accept=no in its "
        "socket unit"
    )
