"""How an address of the settings becomes sockets, and how a socket is named."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from bounced.values import parse_address


async def bind(address: str) -> list[socket.socket]:
    """Bind every address that `host:port` stands for, or none; raises OSError."""
    host, port = parse_address(address)
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, place in dict.fromkeys(found):
            bound.append(_bind_one(family, place))
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def name_address(sock: socket.socket) -> str:
    """Return where a socket listens, as settings write it: `host:port` or `unix:/path`."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}".replace("\0", "@")  # Linux' abstract namespace
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind_one(family: int, place: Any) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer, which is
    # two writes, waits 40 ms for the client's delayed acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place)
    except OSError:
        sock.close()
        raise
    return sock
