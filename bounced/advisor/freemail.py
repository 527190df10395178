"""Whether a domain is a mail service's, for which its users cannot publish anything."""

from __future__ import annotations

from functools import cache

from dns.rdatatype import RdataType
from dns.rdtypes.ANY.MX import MX

from bounced.advisor.dns import Outcome, Resolver
from bounced.advisor.providers import Providers, read_providers
from bounced.model import domain_key


async def find_freemail(resolver: Resolver | None, domain: str) -> bool | None:
    """Tell whether a domain is known as a mail service's, or its mail goes to one's own hosts.

    What lies below a service's domain is the service's too. None: our table does not know it, and
    DNS could not be asked. Total.
    """
    key, providers = domain_key(domain), _read_providers()
    if _is_known(key, providers):
        return True
    if resolver is None:
        return None
    answer = await resolver.lookup(key, RdataType.MX)
    if answer.outcome is Outcome.FAILED:
        return None
    hosts = [each.exchange.to_text() for each in answer.records if isinstance(each, MX)]
    # A domain with a host of its own beside them is run by somebody who can publish records.
    return bool(hosts) and all(providers.is_service_exchange(domain_key(host)) for host in hosts)


@cache  # the table comes with the package
def _read_providers() -> Providers:
    return read_providers()


def _is_known(domain: str, providers: Providers) -> bool:
    labels = domain.split(".")
    return any(".".join(labels[start:]) in providers.services for start in range(len(labels)))
