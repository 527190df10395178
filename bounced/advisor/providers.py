"""Which mail domains are large, which are other people's, and which endings a domain can have."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from bounced.model import domain_key


@dataclass(frozen=True, slots=True)
class Providers:
    """What domains.toml holds; domains in their comparison form."""

    asked: frozenset[str]
    """May be suggested to anyone."""
    services: frozenset[str]
    """Large mail services, those in `asked` among them."""
    taken: frozenset[str]
    """Other people's domains, or ones that may well be, one slip away from a service."""
    endings: frozenset[str]
    """Top-level domains that exist."""
    slips: Mapping[str, str]
    """Ending that does not exist to the one that is meant."""
    exchanges: frozenset[str] = frozenset()
    """Hosts that take mail of services alone; `*.` stands for any host below a domain."""
    tenancies: frozenset[str] = frozenset()
    """Domains of providers, below which a customer has a name and does not run its zone."""

    def is_right(self, domain: str) -> bool:
        """Tell whether the domain (comparison form) is right as it stands."""
        return domain in self.services or domain in self.taken

    def is_service_exchange(self, host: str) -> bool:
        """Tell whether a host (comparison form) takes mail of a service, not of any domain."""
        _, _, above = host.partition(".")
        return host in self.exchanges or f"*.{above}" in self.exchanges

    def can_exist(self, domain: str) -> bool:
        """Tell whether the domain has an ending that exists, or one in another script; total."""
        _, dot, ending = domain_key(domain).rpartition(".")
        return bool(dot) and (ending in self.endings or ending.startswith("xn--"))


def read_providers() -> Providers:
    """Read the table that comes with the package."""
    table = tomllib.loads(resources.files("bounced.advisor").joinpath("domains.toml").read_text())
    asked = frozenset(table["asked"].split())
    return Providers(
        asked=asked,
        services=asked.union(table["providers"].split()),
        taken=frozenset(table["taken"].split()),
        endings=frozenset(table["endings"].split()),
        exchanges=frozenset(table["exchanges"].split()),
        tenancies=frozenset(table["tenancies"].split()),
        slips={slip: right for right, all_ in table["slips"].items() for slip in all_.split()},
    )
