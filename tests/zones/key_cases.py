"""DKIM keys below an author's domain: ours by CNAME, his own, and all that goes wrong with them.

RFC 6376 §3.6.1 (the record of a key), §6.1.2 (what a verifier makes of it); RFC 8301, RFC 8463.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.zones.authority import Zone
from tests.zones.case import OFFERS, Case, Record, quote

OURS = "bounces.sender.test"
"""The MAIL FROM domain of our mail; its SPF is in order."""
_RSA = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA6TJeBQGKF+92LTq2sgR+CT051v9mf+vIWNrklu7pHA0BA+e8ELnVecK7"
    "/VIgm9vfmJ3jJ+oCuGBJQT+3CxdyfD3Mrsjkd1RYlJNUH87GZ7mY8pS9EvnGhvC9sp5bovcOSkC1TNBJFYz/PwPDTa2KVPgUvocx"
    "7oUEExLBYIAfgDqbk4ndyC5q8TYOzbvIV4y4BpA3bn2iVanAm78GhZmL67EuJ84yKO1KHkzqcY/YVePGhoVHsOFsfH5II6OusKq2"
    "kKa0QYXNgABFb9bT0siTgqMdhQe5ZM15YTSn7iP3Vlp76Jg2jwxHsqdQqZKI15gEd3feB+i1DAGEHBD1ECv3fQIDAQAB"
)
_RSA_1024 = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDuYPv8XHpGTe7tyXHVXDsQAuyjBt2OOY+7q2S3cHzWjYCOJN3ljkoZCpLGMUbc"
    "eeaYH93kHRBGtKf10oIJD8m/lBgpPV2MMf8MRUSgWnbSmyd3qWX5Vz8mEnNU/A3w4Cg/B2bB5B+ugEm+q8hV18i3kKBgu6RMbZZA"
    "5IWoNidanQIDAQAB"
)
_RSA_512 = (
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKsVQK2NEcq6ajeujcXYDdAkazmvHeyINmds2CHhjRK9tP+LtS4HcgpL4YP9WuoK1Mn5"
    "LVIT1dNZinOwrBxS90sCAwEAAQ=="
)
_ED25519 = "MRIO2T8Pt4D7lAkROuAG0svTIP2sOwFsfxb7qtr3eWY="
_OLD_ED25519 = "9TXPZ0NZApvRvLwLci3hvIjFTaRv+8ZiTDs3TV/SpP4="

OUR_KEYS = (
    f"s1.dkim TXT {quote(f'v=DKIM1; k=rsa; p={_RSA}')}",
    f'*.dkim TXT "v=DKIM1; k=ed25519; p={_ED25519}"',
    "s3.dkim A 192.0.2.80",
    f'own._domainkey TXT "v=DKIM1; k=ed25519; p={_OLD_ED25519}"',
)
"""Below sender.test: s1 and, by a wildcard, all others; s3 has no key.
`own` signs in our name."""
GOOD_KEY = f'mail._domainkey TXT "k=rsa; p={_RSA_1024}"'
"""Of the author's own selector `mail`."""
LINKED = (
    "s1._domainkey CNAME s1.dkim.sender.test.",
    "s2._domainkey CNAME s2.dkim.sender.test.",
)


def _link(domain: str, selector: str, replaces: str | None = None) -> Record:
    return f"{selector}._domainkey.{domain}", "CNAME", f"{selector}.dkim.sender.test", replaces


def _key(
    name: str,
    lines: Sequence[str],
    fix: str,
    state: str,
    links: Mapping[str, str | None] | None = None,
    *,
    selector: str | None = None,
    reason: str = "dkim",
    remains: str | None = None,
    offers: Mapping[str, Any] = OFFERS,
) -> Case:
    """Return a case of keys; `links` are the selectors of the CNAMEs to be published."""
    domain = f"{name}.test"
    return Case(
        name,
        (Zone(domain, tuple(lines)),),
        domain,
        OURS,
        fix,
        spf="pass",
        dkim=state,
        records=tuple(_link(domain, each, old) for each, old in (links or {}).items()),
        lookups=(1, 1),
        reason=reason,
        signatures=((domain, selector),) if selector else (),
        offers=offers,
        remains=remains,
    )


_BOTH = {"s1": None, "s2": None}

# Where `ours` remains, the mail was signed with a key of his that is still as bad: our keys are
# there now, and the signer, who is ours, is to take them.
CASES = (
    _key("keys-none", (), "publish-dkim", "missing", _BOTH),
    # Our keys stand in his zone, so the signer is ours.
    _key("keys-ready", LINKED, "ours", "pass"),
    # MAIL FROM is ours and passes; a signature survives what SPF does not (RFC 7208 App. D).
    _key("keys-none-spf", (), "publish-dkim", "missing", _BOTH, reason="spf"),
    _key("keys-half", LINKED[:1], "publish-dkim", "missing pass", {"s2": None}),
    _key(
        "keys-elsewhere",
        ("s1._domainkey CNAME s1.dkim.hoster.test.", LINKED[1]),
        "publish-dkim",
        "broken pass",
        {"s1": "CNAME s1.dkim.hoster.test"},
    ),
    # The key itself, copied: right until we change it.
    _key(
        "keys-copied",
        (f"s1._domainkey TXT {quote(f'v=DKIM1; k=rsa; p={_RSA}')}", LINKED[1]),
        "ours",
        "pass warning",
    ),
    _key(
        "keys-outdated",
        (LINKED[0], f's2._domainkey TXT "v=DKIM1; k=ed25519; p={_OLD_ED25519}"'),
        "publish-dkim",
        "broken pass",
        {"s2": f"TXT v=DKIM1; k=ed25519; p={_OLD_ED25519}"},
    ),
    # RFC 6376 §3.6.1: an empty p= is a revoked key.
    _key(
        "keys-revoked",
        ('s1._domainkey TXT "v=DKIM1; p="', LINKED[1]),
        "publish-dkim",
        "broken pass",
        {"s1": "TXT v=DKIM1; p="},
        selector="s1",
    ),
    _key(
        "keys-garbage",
        ('s1._domainkey TXT "v=DKIM1; k=rsa; p=please-ask-sender"', LINKED[1]),
        "publish-dkim",
        "broken pass",
        {"s1": "TXT v=DKIM1; k=rsa; p=please-ask-sender"},
    ),
    # Escaped for a zone file, and typed into a web form.
    _key(
        "keys-escaped",
        (f's1._domainkey TXT "v=DKIM1\\\\; k=rsa\\\\; p={_RSA_1024}"', LINKED[1]),
        "publish-dkim",
        "broken pass",
        {"s1": f"TXT v=DKIM1\\; k=rsa\\; p={_RSA_1024}"},
        selector="s1",
    ),
    # Many strings, blanks inside of p= (RFC 6376 §3.6.1, §3.2).
    _key(
        "keys-in-pieces",
        (
            f'mail._domainkey TXT "v=DKIM1; " "t=s; n=made 2024; k=rsa; " "p={_RSA[:200]} " "{_RSA[200:]}; "',
        ),
        "ask-receiver",
        "missing pass",
        selector="mail",
    ),
    # RFC 6376 §3.6.1: a key for something else than mail.
    _key(
        "keys-not-for-mail",
        (f'mail._domainkey TXT "v=DKIM1; s=other; p={_RSA_1024}"',),
        "publish-dkim",
        "broken missing",
        _BOTH,
        selector="mail",
        remains="ours",
    ),
    # RFC 8301 §3.2: below 1,024 bits nobody may rely on it. Our keys stand beside it, unused.
    _key(
        "keys-short",
        (f'mail._domainkey TXT "k=rsa; p={_RSA_512}"', *LINKED),
        "ours",
        "broken pass",
        selector="mail",
    ),
    # RFC 6376 §3.6.2.2: several records, and nobody knows which one counts.
    _key(
        "keys-several",
        (GOOD_KEY, f'mail._domainkey TXT "k=ed25519; p={_ED25519}"'),
        "publish-dkim",
        "broken missing",
        _BOTH,
        selector="mail",
        remains="ours",
    ),
    # The CNAME is as we said, and leads to nothing: ours to mend, whatever signed the mail.
    _key(
        "keys-gone",
        ("s3._domainkey CNAME s3.dkim.sender.test.",),
        "ours",
        "missing",
        selector="s3",
        offers={**OFFERS, "dkim_cnames": ["s3=s3.dkim.sender.test"]},
    ),
    _key(
        "keys-gone-unsigned",
        ("s3._domainkey CNAME s3.dkim.sender.test.",),
        "ours",
        "missing",
        offers={**OFFERS, "dkim_cnames": ["s3=s3.dkim.sender.test"]},
    ),
    _key(
        "keys-into-nothing",
        ("s1._domainkey CNAME gone.hoster.test.", LINKED[1]),
        "publish-dkim",
        "broken pass",
        {"s1": "CNAME gone.hoster.test"},
    ),
    # Signed with his own good key and refused: the mail was changed on its way (RFC 6376 §6.1.3).
    _key("keys-own", (GOOD_KEY,), "ask-receiver", "missing pass", selector="mail"),
    _key(
        "keys-own-missing", (), "publish-dkim", "missing", _BOTH, selector="mail", remains="ours"
    ),
    _key(
        "keys-chained",
        (
            "s1._domainkey CNAME one",
            "one CNAME two",
            "two CNAME s1.dkim.sender.test.",
            LINKED[1],
        ),
        "ours",
        "pass warning",
    ),
    _key(
        "keys-looping",
        ("s1._domainkey CNAME one", "one CNAME s1._domainkey", LINKED[1]),
        "not-checked",
        "not-checked pass",
    ),
    _key(
        "keys-by-domain",
        ("s1._domainkey CNAME keys-by-domain.test.dkim.sender.test.",),
        "ours",
        "pass",
        offers={**OFFERS, "dkim_cnames": ["s1={domain}.dkim.sender.test"]},
    ),
    # RFC 4592 §2.2.1: the wildcard answers for every name of a key, and yields to ours.
    _key(
        "keys-wildcard",
        ("* CNAME web", "web A 198.51.100.80"),
        "publish-dkim",
        "missing",
        _BOTH,
    ),
    _key(
        "keys-wildcard-text",
        ('* TXT "v=spf1 -all"',),
        "publish-dkim",
        "missing",
        _BOTH,
    ),
)
