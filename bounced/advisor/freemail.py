"""Who can publish something for a domain: its owner, the provider that runs it, or nobody."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache

from dns.rdatatype import RdataType
from dns.rdtypes.ANY.MX import MX

from bounced.advisor.dns import Outcome, Resolver
from bounced.advisor.providers import Providers, read_providers
from bounced.model import domain_key
from bounced.suffixes import find_organizational_domain


class Keeper(Enum):
    """Who runs a domain's DNS."""

    OWNER = auto()
    PROVIDER = auto()
    """A mail service, whose users publish nothing."""
    NOBODY = auto()
    """It does not exist, nor does the domain above it that could be registered."""


async def find_keeper(resolver: Resolver | None, domain: str) -> Keeper | None:
    """Tell whose a domain is: a service's, if our table or the hosts that take its mail say so.

    What lies below a service's domain is the service's too. None: our table does not know it, and
    DNS could not be asked. Total.
    """
    key, providers = domain_key(domain), _read_providers()
    if _is_known(key, providers):
        return Keeper.PROVIDER
    if resolver is None:
        return None
    answer = await resolver.lookup(key, RdataType.MX)
    if answer.outcome is Outcome.NXDOMAIN:
        # Below a domain that exists the owner can publish what makes the name exist.
        answer = await resolver.lookup(find_organizational_domain(key), RdataType.MX)
        if answer.outcome is Outcome.NXDOMAIN:
            return Keeper.NOBODY
        return None if answer.outcome is Outcome.FAILED else Keeper.OWNER
    if answer.outcome is Outcome.FAILED:
        return None
    hosts = [each.exchange.to_text() for each in answer.records if isinstance(each, MX)]
    # A domain with a host of its own beside them is run by somebody who can publish records.
    is_service = all(providers.is_service_exchange(domain_key(host)) for host in hosts)
    return Keeper.PROVIDER if hosts and is_service else Keeper.OWNER


@cache  # the table comes with the package
def _read_providers() -> Providers:
    return read_providers()


def _is_known(domain: str, providers: Providers) -> bool:
    labels = domain.split(".")
    above = {".".join(labels[start:]) for start in range(len(labels))}
    return not above.isdisjoint(providers.services | providers.tenancies)
