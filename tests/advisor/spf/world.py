"""Zones of authors, providers and ours, for the tests of SPF."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import dns.rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from bounced.advisor.dns import Answer, Outcome, Resolver
from bounced.advisor.spf.examine import SpfOffer
from bounced.config import DnsSettings

HIS = "his.test"
OURS = ip_address("192.0.2.1")
OFFER = SpfOffer("ours.test", (OURS,))

Records = dict[tuple[str, str], list[str]]


class Zones(Resolver):
    """Answers from memory; a packet each would be too slow here."""

    def __init__(self, records: Records) -> None:
        super().__init__(DnsSettings(resolvers=("127.0.0.1",)), clock=lambda: datetime.now(UTC))
        self._records = records

    async def lookup(self, name: str, rdtype: RdataType) -> Answer:
        texts = self._records.get((name.lower(), rdtype.name), [])
        values = tuple(dns.rdata.from_text(RdataClass.IN, rdtype, text) for text in texts)
        return Answer(Outcome.FOUND, values) if values else Answer(Outcome.NXDOMAIN)


def write_txt(text: str) -> str:
    """Return a TXT record as strings of a length that DNS takes."""
    parts = [text[at : at + 200] for at in range(0, len(text), 200)]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def make_world(*texts: str) -> Records:
    """Return all zones, with these TXT records at the author's domain."""
    records: Records = {
        (HIS, "A"): ["203.0.113.9"],
        (HIS, "MX"): ["10 mx.his.test."],
        ("mx.his.test", "A"): ["203.0.113.5"],
        ("many.test", "MX"): [f"10 h{i}.test." for i in range(11)],
        ("mail.p2.test", "A"): ["198.51.100.200"],
        ("v6.test", "AAAA"): ["2001:db8:1::25"],
    }
    records |= {(f"h{i}.test", "A"): [f"198.51.100.{i + 1}"] for i in range(30)}
    for name, record in SHARED.items():
        records[name, "TXT"] = [write_txt(record)]
    records["two.test", "TXT"] = ['"v=spf1 -all"', '"v=spf1 a -all"']
    if texts:
        records[HIS, "TXT"] = [write_txt(text) for text in texts]
    return records


SHARED = {
    "ours.test": "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/64 -all",
    "p1.test": "v=spf1 ip4:198.51.100.0/24 -all",
    "p2.test": "v=spf1 include:p1.test a:mail.p2.test ~all",
    "carrier.test": "v=spf1 include:ours.test ?all",
    "l9.test": "v=spf1 " + " ".join(f"a:h{i}.test" for i in range(9)) + " -all",
    "l8.test": "v=spf1 " + " ".join(f"a:h{i}.test" for i in range(8)) + " -all",
    "l30.test": "v=spf1 " + " ".join(f"a:h{i}.test" for i in range(30)) + " -all",
    "loop-a.test": "v=spf1 include:loop-b.test -all",
    "loop-b.test": "v=spf1 include:loop-a.test -all",
    "back.test": "v=spf1 ip4:198.51.100.7 include:his.test -all",
    "nested.test": "v=spf1 ip4:198.51.100.1 include:dead.test -all",
    "slip.test": "v=spf1 ip4:198.51.100.1 foo:bar -all",
    "text.test": "something else",
    "everybody.test": "v=spf1 +all",
    "his.test._spf.test": "v=spf1 ip4:198.51.100.0/28 -all",
    "xn--mller-kva.test": "v=spf1 ip4:198.51.100.9 -all",
}
