"""How many files the daemon may open, connections among them, and how many it needs."""

from __future__ import annotations

import resource

from bounced.config import Settings
from bounced.listener.server import BACKLOG
from bounced.web.server import MAX_CONNECTIONS

_OTHERS = 100
"""Database, parsers, notices, sockets that are listened on."""


def raise_file_limit(settings: Settings) -> str | None:
    """Raise this process's limit as far as it needs and may; returns what is wrong, or None.

    Where no file can be opened, nobody's connection is accepted.
    """
    # Connections that are to be refused, or that make room, are open at the same time.
    needed = settings.smtp.max_connections + BACKLOG + MAX_CONNECTIONS + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return None
    may = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (may, hard))
    if may == needed:
        return None
    return (
        f"smtp.max_connections: {settings.smtp.max_connections} take a limit of {needed} open "
        f"files, this process may have {hard}: raise it (systemd: LimitNOFILE; ulimit -n)"
    )
