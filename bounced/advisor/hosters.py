"""Who runs the zone that a domain's records stand in."""

from __future__ import annotations

from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS

from bounced.advisor.dns import Outcome, Resolver
from bounced.model import domain_key
from bounced.suffixes import find_organizational_domain
from bounced.words.hosters import find_hoster_key

MOST_ASKED = 4
"""Names from the domain upwards; few zones are cut that deep."""


async def find_hoster(resolver: Resolver, domain: str) -> str | None:
    """Return the key of `hosters.toml` for whoever runs the zone of a domain; total.

    None: nobody that we know, or DNS could not be asked.
    """
    name, top = domain_key(domain), find_organizational_domain(domain)
    for _ in range(MOST_ASKED):
        answer = await resolver.lookup(name, RdataType.NS)
        servers = [each.target.to_text() for each in answer.records if isinstance(each, NS)]
        if servers:
            return find_hoster_key(servers)
        if answer.outcome is Outcome.FAILED or name == top:
            return None
        _, _, name = name.partition(".")
    return None
