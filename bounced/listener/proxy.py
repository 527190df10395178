"""The PROXY header of a load balancer, which says on whose behalf it connects.

Versions 1 and 2 of the PROXY protocol (HAProxy's proxy-protocol.txt); aiosmtpd reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiosmtpd.proxy_protocol import AF, PROTO, V2_CMD, ProxyData, get_proxy

from bounced.listener.client import UNKNOWN, Client, find_client
from bounced.origin.hosts import IPNetwork


async def read_proxied_client(
    reader: asyncio.StreamReader, own_relays: Iterable[IPNetwork]
) -> Client | None:
    """Read the header and return the client that it names; None: it is none that can be believed.

    The address counts like a peer's, for `own_relays` too. Where the balancer speaks for itself
    or does not know for whom, the client is unknown: its own address would make an own relay of
    anybody behind a balancer on this host. Raises IncompleteReadError when the balancer hangs up
    at once.
    """
    header = await get_proxy(reader)
    if not header.valid:
        return None
    if header.command == V2_CMD.LOCAL or header.family == AF.UNSPEC:
        return UNKNOWN
    return _read_address(header, own_relays)


def _read_address(header: ProxyData, own_relays: Iterable[IPNetwork]) -> Client | None:
    if header.protocol != PROTO.STREAM or header.family not in {AF.INET, AF.INET6}:
        return None
    return find_client((str(header.src_addr), header.src_port), own_relays)
