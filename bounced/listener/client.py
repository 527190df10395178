"""Who is at the other end of a connection, and which clients are counted as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bounced.origin.hosts import (
    LOCAL_CLIENT,
    IPAddress,
    IPNetwork,
    is_in,
    name_host,
    parse_address,
)


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
            return LOCAL_CLIENT
        return str(self.address or "unknown")

    @property
    def is_known(self) -> bool:
        """Tell whether it can be said who this is."""
        return self.local or self.address is not None

    @property
    def group(self) -> str:
        """Return the name under which this client is counted together with its neighbours."""
        return name_host(self.address) if self.address else str(self)


UNKNOWN = Client(None, own_relay=False)
LOCAL = Client(None, own_relay=True, local=True)
"""A process of this host: the permissions of the socket's file say who may connect."""


def find_client(peername: object, own_relays: Iterable[IPNetwork]) -> Client:
    """Read the address of a socket's peer, as asyncio's `peername` gives it; total."""
    host = peername[0] if isinstance(peername, tuple) and peername else ""
    address = parse_address(str(host).partition("%")[0])
    if address is None:
        return UNKNOWN
    return Client(address, own_relay=is_in(address, own_relays))
