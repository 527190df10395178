"""Who is at the other end of a connection, and which clients are counted as one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

IPV6_PREFIX = 64
"""Bits of an IPv6 address that make one client: what a single site is given."""


@dataclass(frozen=True, slots=True)
class Client:
    """The host at the other end of a connection."""

    address: IPAddress | None
    """None where there is none, or none is known."""
    own_relay: bool
    local: bool = False
    """Connected over a local socket of this host."""

    def __str__(self) -> str:
        if self.local:
            return "local"
        return str(self.address or "unknown")

    @property
    def is_known(self) -> bool:
        """Tell whether it can be said who this is."""
        return self.local or self.address is not None

    @property
    def group(self) -> str:
        """Return the name under which this client is counted together with its neighbours."""
        if isinstance(self.address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((self.address, IPV6_PREFIX), strict=False))
        return str(self)


UNKNOWN = Client(None, own_relay=False)
LOCAL = Client(None, own_relay=True, local=True)
"""A process of this host: the permissions of the socket's file say who may connect."""


def find_client(peername: object, own_relays: Iterable[IPNetwork]) -> Client:
    """Read the address of a socket's peer, as asyncio's `peername` gives it; total."""
    host = peername[0] if isinstance(peername, tuple) and peername else ""
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return Client(address, own_relay=is_in(address, own_relays))


def is_in(address: IPAddress | None, networks: Iterable[IPNetwork]) -> bool:
    """Tell whether an address lies in one of the networks."""
    return address is not None and any(address in network for network in networks)
