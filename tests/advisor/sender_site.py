"""A site that sends for firma.example, what it has to offer, and the records of both."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bounced.advisor.diagnose import Means, Question, diagnose
from bounced.advisor.dns import Resolver
from bounced.config import AdviceSettings, DnsSettings
from bounced.diagnosis import (
    Check,
    Diagnosis,
    DnsRecord,
    State,
)
from bounced.model import Reason, Signature
from tests.advisor.nameserver import Behaviour, NameServer

Zone = dict[tuple[str, str], list[str]]
Offers = dict[str, object]

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
WHOLE = NOW.replace(microsecond=0)
HIS = "firma.example"
OURS = "bounce.app.example"
_PUBLIC = Ed25519PrivateKey.from_private_bytes(b"k" * 32).public_key().public_bytes_raw()
KEY = f'"v=DKIM1; k=ed25519; p={base64.b64encode(_PUBLIC).decode()}"'
REVOKED = '"v=DKIM1; p="'
INCLUDE = "_spf.app.example"
WITH_INCLUDE: Offers = {"spf_include": INCLUDE, "sending_addresses": ("192.0.2.25",)}
WITH_KEYS: Offers = {"dkim_cnames": ("s1=s1.dkim.app.example", "s2=s2.dkim.app.example")}
WITH_PATH: Offers = {"return_path_target": OURS, "sending_addresses": ("192.0.2.25",)}
WITH_ALL: Offers = WITH_INCLUDE | WITH_KEYS | WITH_PATH

SITE = {
    (INCLUDE, "TXT"): ['"v=spf1 ip4:192.0.2.25 -all"'],
    (OURS, "TXT"): ['"v=spf1 include:_spf.app.example -all"'],
    (OURS, "MX"): ["10 mx.app.example."],
    ("s1.dkim.app.example", "TXT"): [KEY],
    ("s2.dkim.app.example", "TXT"): [KEY],
    (HIS, "MX"): ["10 mail.firma.example."],
    (HIS, "NS"): ["ns.firma.example."],
    ("mail.firma.example", "A"): ["198.51.100.1"],
}
SPF = {(HIS, "TXT"): ['"v=spf1 mx -all"']}
SPF_WITH_US = {(HIS, "TXT"): ['"v=spf1 mx include:_spf.app.example -all"']}
POLICY = {("_dmarc.firma.example", "TXT"): ['"v=DMARC1; p=reject"']}
STRICT = {("_dmarc.firma.example", "TXT"): ['"v=DMARC1; p=reject; adkim=s; aspf=s"']}
CNAMES = {
    (f"{selector}._domainkey.firma.example", "CNAME"): [f"{selector}.dkim.app.example."]
    for selector in ("s1", "s2")
}
PATH = {("bounces.firma.example", "CNAME"): ["bounce.app.example."]}

SIGNED_BY_US = ("app.example",)
SIGNED_BY_HIM = (HIS,)

TO_MERGE = DnsRecord(
    HIS, "TXT", "v=spf1 mx include:_spf.app.example -all", replaces="v=spf1 mx -all"
)
TO_SIGN = tuple(
    DnsRecord(f"{selector}._domainkey.firma.example", "CNAME", f"{selector}.dkim.app.example")
    for selector in ("s1", "s2")
)
TO_LEAD = DnsRecord("bounces.firma.example", "CNAME", OURS)
TO_ASK = DnsRecord("_dmarc.firma.example", "TXT", "v=DMARC1; p=none")


async def ask(
    question: Question,
    zone: Zone,
    offers: Offers,
    *,
    odd: dict[str, Behaviour] | None = None,
    within: str = "10s",
) -> Diagnosis:
    async with NameServer({**SITE, **zone}, odd=odd or {}).run() as server:
        dns_settings = DnsSettings.model_validate(
            {"resolvers": (server.address,), "timeout": within}
        )
        resolver = Resolver(dns_settings, clock=lambda: NOW)
        return await diagnose(question, make_test_means(offers), resolver, NOW)


def make_test_means(offers: Offers) -> Means:
    return Means(
        AdviceSettings.model_validate(offers),
        own_domains=frozenset({"app.example"}),
        return_domains=frozenset({OURS}),
    )


def refused(
    reason: Reason,
    mail_from: str | None = OURS,
    signers: Sequence[str] = (),
    reply: str | None = None,
) -> Question:
    signatures = tuple(Signature(signer, "s1") for signer in signers)
    return Question(HIS, mail_from, reason, reply, signatures)


def list_states(diagnosis: Diagnosis) -> list[tuple[Check, State]]:
    return [(finding.check, finding.state) for finding in diagnosis.findings]
