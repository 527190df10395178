"""How a socket in the file system comes and goes: who may connect, and what a crash leaves."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

MODE = 0o660
"""Owner and group may connect; a folder with the setgid bit decides which group that is."""


@dataclass(frozen=True, slots=True)
class LocalSocket:
    """A socket of ours, bound to a file."""

    sock: socket.socket
    file: Path

    def remove(self) -> None:
        """Remove the file; call it while the socket is open, or it may be a successor's."""
        self.file.unlink(missing_ok=True)


def open_local_socket(file: Path) -> LocalSocket:
    """Bind to `file`, which nobody else listens on; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(file)
        sock.bind(str(file))
        file.chmod(MODE)  # before anybody can connect: it does not listen yet
    except OSError:
        sock.close()
        raise
    return LocalSocket(sock, file)


def _remove_stale(file: Path) -> None:
    """Remove what a dead daemon left; raises OSError when somebody listens there."""
    try:
        if not stat.S_ISSOCK(file.stat().st_mode):
            return  # binding fails, and nobody's file is lost
    except FileNotFoundError:
        return
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)  # or a listener whose backlog is full would keep us here
        try:
            probe.connect(str(file))
        except ConnectionRefusedError:
            file.unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
