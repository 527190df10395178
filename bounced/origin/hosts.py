"""IP addresses of hosts: how they are read, whose they are, and which of them count as one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

LOCAL_CLIENT = "local"
"""The client of a local socket: whom its file's permissions let in speaks for our own host."""
_SITE_BITS = 64
"""Of an IPv6 address: what a single site is given at the least (RFC 6177 §2)."""


def parse_address(text: str) -> IPAddress | None:
    """Parse an IP address, also behind `IPv6:`; IPv4 mapped into IPv6 comes out as IPv4."""
    bare = text[5:] if text[:5].lower() == "ipv6:" else text
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_in(address: IPAddress | None, networks: Iterable[IPNetwork]) -> bool:
    """Tell whether an address lies in one of the networks; no address lies in none."""
    return address is not None and any(address in network for network in networks)


def name_host(address: IPAddress) -> str:
    """Return the name of what counts as one host: an IPv4 address, an IPv6 /64."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SITE_BITS), strict=False))
    return str(address)
