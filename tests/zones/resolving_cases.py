"""Domains that DNS leads to by odd ways, and domains that nobody can be asked about.

RFC 1034 §3.6.2 (CNAME), §4.2 (delegation), RFC 2308 (nothing there), RFC 4592 (wildcards).
"""

from __future__ import annotations

from dataclasses import replace

from tests.zones.authority import NOBODY, SILENCE, STRANGER, Zone
from tests.zones.case import INCLUDE, Case, spf
from tests.zones.spf_cases import ADDRESS, ASK, HOSTER_ADDRESS, MERGE, OTHERWISE, PUBLISH

_NOT_CHECKED = "not-checked"
_NEW = f"v=spf1 {INCLUDE} ?all"


def _unreachable(name: str, address: str, *, is_dead: bool) -> Case:
    """Return a case of a delegation to a server that does not answer for the zone."""
    domain = f"{name}.test"
    return Case(
        name,
        (Zone(domain, address=address, absent=True),),
        domain,
        domain,
        _NOT_CHECKED,
        spf=_NOT_CHECKED,
        dkim=_NOT_CHECKED,
        dmarc=_NOT_CHECKED,
        is_dead=is_dead,
    )


def _provided(name: str, *exchangers: str, freemail: bool) -> Case:
    """Return a case of a domain whose mail these hosts take."""
    domain = f"{name}.test"
    zone = Zone(domain, tuple(f"@ MX 10 {host}." for host in exchangers))
    if freemail:
        return Case(name, (zone,), domain, domain, OTHERWISE, dkim=None, dmarc=None, freemail=True)
    case = spf(name, [], PUBLISH, "missing", _NEW, after=1)
    return replace(case, zones=(zone,))


def _absent(name: str, domain: str) -> Case:
    """Return a case of a domain that is not there at all, so that nobody can publish anything."""
    return Case(name, (), domain, domain, OTHERWISE, dkim=None, dmarc=None)


OURS = (
    # MAIL FROM is ours, and we have forgotten its record: nobody else can mend it.
    Case(
        "ours-forgotten",
        (Zone("ours-forgotten.test"),),
        "ours-forgotten.test",
        "forgotten.sender.test",
        "ours",
        spf="missing",
    ),
    # From is ours (RFC 7208 §3.1).
    Case(
        "ours-from",
        (),
        "sender.test",
        "bounces.sender.test",
        "ours",
        spf="pass",
        lookups=(1, 1),
    ),
)

ASKED = (
    # Nobody was refused, somebody asks: a policy is all that lacks.
    replace(
        spf("asked-passing", f"v=spf1 {INCLUDE} -all", "publish-dmarc", "pass", before=1, after=1),
        records=(("_dmarc.asked-passing.test", "TXT", "v=DMARC1; p=none", None),),
        reason=None,
    ),
    replace(
        spf(
            "asked-in-order",
            f"v=spf1 {INCLUDE} -all",
            "none",
            "pass",
            before=1,
            after=1,
            lines=['_dmarc TXT "v=DMARC1; p=none"'],
        ),
        dmarc="pass",
        reason=None,
    ),
    # The receiver wants any proof: the record of SPF, and a policy while he is at it.
    replace(
        spf("unauthenticated", [], PUBLISH, "missing", _NEW, after=1),
        records=(
            ("unauthenticated.test", "TXT", _NEW, None),
            ("_dmarc.unauthenticated.test", "TXT", "v=DMARC1; p=none", None),
        ),
        reason="unauthenticated",
    ),
    # Eleven look-ups cannot be mended; a signature does as well (RFC 9989 §4.4.1).
    replace(
        spf(
            "too-many-but-keys",
            "v=spf1 include:ten.hoster.test mx -all",
            "publish-dkim",
            "broken",
            before=11,
            after=11,
            lines=["@ MX 10 mail", f"mail A {ADDRESS}", '_dmarc TXT "v=DMARC1; p=reject"'],
        ),
        dmarc="pass",
        records=(
            ("s1._domainkey.too-many-but-keys.test", "CNAME", "s1.dkim.sender.test", None),
            ("s2._domainkey.too-many-but-keys.test", "CNAME", "s2.dkim.sender.test", None),
        ),
        reason="dmarc",
    ),
)

UNREACHABLE = (
    _unreachable("lame", STRANGER, is_dead=False),
    _unreachable("dead", NOBODY, is_dead=True),
    _unreachable("silent", SILENCE, is_dead=True),
    # The record is there; what it includes cannot be asked for (RFC 7208 §4.4, temperror).
    replace(
        spf("include-of-lame", "v=spf1 include:_spf.lame.test -all", _NOT_CHECKED, _NOT_CHECKED),
        dmarc="missing",
    ),
    replace(
        spf("alias-loop", [], _NOT_CHECKED, _NOT_CHECKED),
        zones=(Zone("alias-loop.test", ("www CNAME www2", "www2 CNAME www")),),
        domain="www.alias-loop.test",
        mail_from="www.alias-loop.test",
    ),
)

LED = (
    # Name servers below another top-level domain, whose addresses must be asked for first.
    replace(
        spf(
            "glueless",
            "v=spf1 mx -all",
            MERGE,
            "fail",
            f"v=spf1 mx {INCLUDE} -all",
            before=1,
            after=2,
            passing=[ADDRESS],
        ),
        zones=(
            Zone(
                "glueless.test",
                ('@ TXT "v=spf1 mx -all"', "@ MX 10 mail", f"mail A {ADDRESS}"),
                nameservers=("ns1034.ui-dns.de.", "ns1034.ui-dns.biz."),
            ),
            Zone("ui-dns.de", ("ns1034 A 127.0.0.2",)),
            Zone("ui-dns.biz", ("ns1034 A 127.0.0.2",)),
        ),
        hoster="ionos",
    ),
    # A zone of its own below the author's, as mail services have it for MAIL FROM.
    Case(
        "delegated-below",
        (
            Zone("delegated-below.test", ('@ TXT "v=spf1 -all"',)),
            Zone("bounce.delegated-below.test", (f'@ TXT "v=spf1 ip4:{ADDRESS} ~all"',)),
        ),
        "delegated-below.test",
        "bounce.delegated-below.test",
        MERGE,
        spf="fail",
        records=(
            (
                "bounce.delegated-below.test",
                "TXT",
                f"v=spf1 ip4:{ADDRESS} {INCLUDE} ~all",
                f"v=spf1 ip4:{ADDRESS} ~all",
            ),
        ),
        lookups=(0, 1),
        passing=(ADDRESS,),
    ),
    # RFC 1034 §3.6.2: nothing can stand beside a CNAME, and whose its target is we cannot tell.
    Case(
        "alias",
        (
            Zone(
                "alias.test",
                (
                    "post CNAME post2",
                    "post2 CNAME post3",
                    f'post3 TXT "v=spf1 ip4:{ADDRESS} -all"',
                ),
            ),
        ),
        "post.alias.test",
        "post.alias.test",
        OTHERWISE,
        spf="fail",
        lookups=(0, 0),
        passing=(ADDRESS,),
    ),
    spf(
        "include-of-alias",
        "v=spf1 include:_spf.include-of-alias.test -all",
        MERGE,
        "fail",
        f"v=spf1 include:_spf.include-of-alias.test {INCLUDE} -all",
        before=1,
        after=2,
        lines=["_spf CNAME _spf2", "_spf2 CNAME _spf.hoster.test."],
        passing=[HOSTER_ADDRESS],
    ),
    # RFC 4592: the wildcard's record is that of the name, which gets one of its own.
    Case(
        "wildcard",
        (Zone("wildcard.test", (f'* TXT "v=spf1 ip4:{ADDRESS} -all"',)),),
        "office.wildcard.test",
        "office.wildcard.test",
        MERGE,
        spf="fail",
        records=(
            (
                "office.wildcard.test",
                "TXT",
                f"v=spf1 ip4:{ADDRESS} {INCLUDE} -all",
                None,  # RFC 4592 §2.2.1: what a wildcard gives is not to be replaced
            ),
        ),
        lookups=(0, 1),
        passing=(ADDRESS,),
    ),
    # MAIL FROM is his by name, and a CNAME to ours: our record decides, and it passes.
    Case(
        "return-path",
        (Zone("return-path.test", ("bounces CNAME bounces.sender.test.",)),),
        "return-path.test",
        "bounces.return-path.test",
        ASK,
        spf="pass",
        lookups=(1, 1),
    ),
)

PROVIDED = (
    _provided(
        "freemail-gmail",
        "gmail-smtp-in.l.google.com",
        "alt1.gmail-smtp-in.l.google.com",
        freemail=True,
    ),
    _provided("freemail-gmx", "mx00.emig.gmx.net", "mx01.emig.gmx.net", freemail=True),
    _provided("freemail-outlook", "outlook-com.olc.protection.outlook.com", freemail=True),
    # Hosters of their customers' own domains.
    _provided("workspace", "aspmx.l.google.com", "alt1.aspmx.l.google.com", freemail=False),
    _provided("microsoft", "microsoft.mail.protection.outlook.com", freemail=False),
    _provided("ionos", "mx00.kundenserver.de", "mx01.kundenserver.de", freemail=False),
    # Known without asking DNS. Below Microsoft's domain a customer has a name, and no zone.
    Case(
        "tenant",
        (),
        "firma.onmicrosoft.com",
        "bounces.sender.test",
        OTHERWISE,
        dkim=None,
        dmarc=None,
        freemail=True,
    ),
    # RFC 8020: there is no such name, so nothing below it either.
    _absent("gone", "info.no-such-firm.test"),
    Case(
        "freemail-known", (), "gmx.de", "gmx.de", OTHERWISE, dkim=None, dmarc=None, freemail=True
    ),
)

MISTYPED = (
    _absent("typo", "gmial.test"),
    replace(
        spf("typo-address", [], PUBLISH, "missing", _NEW, after=1),
        zones=(Zone("typo-address.test", (f"@ A {ADDRESS}",)),),
    ),
    replace(
        spf("typo-null", [], PUBLISH, "missing", _NEW, after=1),
        zones=(Zone("typo-null.test", ("@ MX 0 .", '@ TXT "parked"')),),
    ),
)

CASES = (*OURS, *ASKED, *UNREACHABLE, *LED, *PROVIDED, *MISTYPED)
