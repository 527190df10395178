"""SPF records as they are found in the wild, in order or plain, and the record that mends each.

RFC 7208: §3 (the record), §4.6 (evaluation), §5 (mechanisms), §6 (modifiers).
"""

from __future__ import annotations

from tests.zones.authority import Zone
from tests.zones.case import BY_ADDRESS, INCLUDE, quote, spf

MERGE, ASK, PUBLISH = "merge-spf", "ask-receiver", "publish-spf"
OTHERWISE = "use-our-address"
"""Where no record can be proposed."""

ADDRESS = "198.51.100.7"
"""Of the author's own server."""
HOSTER_ADDRESS = "203.0.113.7"

HOSTER = Zone(
    "hoster.test",
    (
        f'_spf TXT "v=spf1 ip4:{HOSTER_ADDRESS} -all"',
        f'_spf2 TXT "v=spf1 ip4:{ADDRESS} ?all"',
        (
            'ten TXT "v=spf1 a:h1.hoster.test a:h2.hoster.test a:h3.hoster.test a:h4.hoster.test '
            'a:h5.hoster.test a:h6.hoster.test a:h7.hoster.test a:h8.hoster.test a:h9.hoster.test ~all"'
        ),
        (
            'nine TXT "v=spf1 a:h1.hoster.test a:h2.hoster.test a:h3.hoster.test a:h4.hoster.test '
            'a:h5.hoster.test a:h6.hoster.test a:h7.hoster.test a:h8.hoster.test ~all"'
        ),
        'thirty TXT "v=spf1 include:ten.hoster.test include:nine.hoster.test include:ten.hoster.test ~all"',
        *(f"h{n} A 203.0.113.{n}" for n in range(1, 13)),
        *(f"h{n} AAAA 2001:db8:1::{n}" for n in range(1, 13)),
        *(f"four{n} A 203.0.113.{n}" for n in range(1, 4)),
    ),
)
"""Whom authors include; `ten` costs ten look-ups with its own include, `nine` nine, `thirty` thirty."""

SENDER = Zone(
    "sender.test",
    (
        f'@ TXT "v=spf1 {INCLUDE} -all"',
        f'bounces TXT "v=spf1 {INCLUDE} -all"',
        'spf TXT "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/48 -all"',
        "out1 A 192.0.2.10",
        "out1 AAAA 2001:db8::10",
    ),
)

_LONG = " ".join(f"ip4:198.51.100.{n}" for n in range(7, 27))
MAIL = ("@ MX 10 mail", f"mail A {ADDRESS}")

IN_ORDER = (
    # Nothing to mend: his record permits us, so the receiver's rule decided (RFC 7208 §8.3).
    spf("passes", f"v=spf1 {INCLUDE} -all", ASK, "pass", before=1, after=1),
    spf("passes-plus", f"v=spf1 +{INCLUDE} ~all", ASK, "pass", before=1, after=1),
    spf("passes-upper", "v=spf1 INCLUDE:SPF.Sender.TEST -ALL", ASK, "pass", before=1, after=1),
    spf("passes-address", f"v=spf1 {BY_ADDRESS} -all", ASK, "pass", before=0, after=0),
    spf("passes-a", "v=spf1 a:out1.sender.test -all", ASK, "pass", before=1, after=1),
    spf("passes-soft", f"v=spf1 {INCLUDE} ?all", ASK, "pass", before=1, after=1),
    # Two look-ups: the reseller's include, and ours in it.
    spf(
        "passes-nested",
        "v=spf1 include:_spf.passes-nested.test -all",
        ASK,
        "pass",
        before=2,
        after=2,
        lines=[f'_spf TXT "v=spf1 {INCLUDE} ?all"'],
    ),
    spf(
        "passes-redirect",
        "v=spf1 redirect=_spf.passes-redirect.test",
        ASK,
        "pass",
        before=2,
        after=2,
        lines=[f'_spf TXT "v=spf1 {INCLUDE} -all"'],
    ),
    spf(
        "passes-macro",
        "v=spf1 exists:%{ir}.%{v}.list.passes-macro.test -all",
        ASK,
        "pass",
        before=1,
        after=1,
        lines=[
            "10.2.0.192.in-addr.list A 127.0.0.2",
            "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.list A 127.0.0.2",
        ],
    ),
    # In order, and careless (RFC 7208 §5.5, §8.2, App. A.4 on `+all`).
    spf("all", "v=spf1 +all", ASK, "warning", before=0, after=0, passing=[ADDRESS]),
    spf("bare-all", "v=spf1 mx all", ASK, "warning", before=1, after=1, lines=MAIL),
    spf(
        "passes-ptr",
        f"v=spf1 {INCLUDE} ptr:passes-ptr.test -all",
        ASK,
        "warning",
        before=2,
        after=2,
    ),
)

CARELESS = (
    # Ours passes before the limit is reached; others do not (RFC 7208 §4.6.4).
    spf(
        "passes-before-limit",
        f"v=spf1 {INCLUDE} include:ten.hoster.test -all",
        ASK,
        "warning",
        before=11,
        after=11,
        passing=["203.0.113.1"],
    ),
    # Likewise before an include of nothing (RFC 7208 §5.2).
    spf(
        "passes-before-nothing",
        f"v=spf1 mx {INCLUDE} include:gone.hoster.test -all",
        ASK,
        "warning",
        before=3,
        after=3,
        lines=MAIL,
        passing=[ADDRESS],
    ),
)

PLAIN = (
    spf(
        "fail-all",
        f"v=spf1 ip4:{ADDRESS} -all",
        MERGE,
        "fail",
        f"v=spf1 ip4:{ADDRESS} {INCLUDE} -all",
        before=0,
        after=1,
        passing=[ADDRESS],
    ),
    spf("only-all", "v=spf1 -all", MERGE, "fail", f"v=spf1 {INCLUDE} -all", before=0, after=1),
    spf("soft-all", "v=spf1 ~all", MERGE, "fail", f"v=spf1 {INCLUDE} ~all", before=0, after=1),
    spf("neutral-all", "v=spf1 ?all", MERGE, "fail", f"v=spf1 {INCLUDE} ?all", before=0, after=1),
    spf("version-only", "v=spf1", MERGE, "fail", f"v=spf1 {INCLUDE}", before=0, after=1),
    spf(
        "no-all",
        "v=spf1 mx",
        MERGE,
        "fail",
        f"v=spf1 mx {INCLUDE}",
        before=1,
        after=2,
        lines=MAIL,
        passing=[ADDRESS],
    ),
    spf(
        "redirect",
        "v=spf1 redirect=_spf.hoster.test",
        MERGE,
        "fail",
        f"v=spf1 {INCLUDE} redirect=_spf.hoster.test",
        before=1,
        after=2,
        passing=[HOSTER_ADDRESS],
    ),
    # RFC 7208 §6.1: beside `all`, redirect= is ignored, and costs nothing.
    spf(
        "redirect-all",
        "v=spf1 a redirect=_spf.hoster.test -all",
        MERGE,
        "fail",
        f"v=spf1 a redirect=_spf.hoster.test {INCLUDE} -all",
        before=1,
        after=2,
        lines=[f"@ A {ADDRESS}"],
        passing=[ADDRESS],
    ),
    spf(
        "upper",
        f"V=SPF1 IP4:{ADDRESS} MX -ALL",
        MERGE,
        "fail",
        f"v=spf1 IP4:{ADDRESS} MX {INCLUDE} -ALL",
        before=1,
        after=2,
        lines=MAIL,
        passing=[ADDRESS],
    ),
    spf(
        "typical",
        "v=spf1 a mx include:_spf.hoster.test ~all",
        MERGE,
        "fail",
        f"v=spf1 a mx include:_spf.hoster.test {INCLUDE} ~all",
        before=3,
        after=4,
        lines=[*MAIL, "@ A 198.51.100.8"],
        passing=[ADDRESS, "198.51.100.8", HOSTER_ADDRESS],
    ),
    spf(
        "cidr",
        "v=spf1 a/28 mx/29//64 -all",
        MERGE,
        "fail",
        f"v=spf1 a/28 mx/29//64 {INCLUDE} -all",
        before=2,
        after=3,
        lines=[*MAIL, "@ A 203.0.113.17"],
        passing=[ADDRESS, "198.51.100.1", "203.0.113.30"],
    ),
    # Only IPv4 of ours passes so far (RFC 7208 §5.5).
    spf(
        "ptr",
        "v=spf1 ptr:sender.test -all",
        MERGE,
        "fail",
        f"v=spf1 ptr:sender.test {INCLUDE} -all",
        before=1,
        after=2,
        passing=["192.0.2.10"],
    ),
    spf(
        "half-ours",
        f"v=spf1 ip4:192.0.2.10 ip4:{ADDRESS} -all",
        MERGE,
        "fail",
        f"v=spf1 ip4:192.0.2.10 ip4:{ADDRESS} {INCLUDE} -all",
        before=0,
        after=1,
        passing=["192.0.2.10", ADDRESS],
    ),
    spf(
        "six-only",
        "v=spf1 ip6:2001:db8:1::/64 -all",
        MERGE,
        "fail",
        f"v=spf1 ip6:2001:db8:1::/64 {INCLUDE} -all",
        before=0,
        after=1,
        passing=["2001:db8:1::5"],
    ),
    spf(
        "exists",
        "v=spf1 exists:%{ir}._spf.%{d} -all",
        MERGE,
        "fail",
        f"v=spf1 exists:%{{ir}}._spf.%{{d}} {INCLUDE} -all",
        before=1,
        after=2,
        lines=["7.100.51.198._spf A 127.0.0.2"],
        passing=[ADDRESS],
    ),
    spf(
        "local-part",
        "v=spf1 exists:%{L}.%{o2r-}.users.%{d2} include:%{d}.spf.local-part.test ~all",
        MERGE,
        "fail",
        f"v=spf1 exists:%{{L}}.%{{o2r-}}.users.%{{d2}} include:%{{d}}.spf.local-part.test {INCLUDE} ~all",
        before=2,
        after=3,
        lines=[f'local-part.test.spf TXT "v=spf1 ip4:{ADDRESS} -all"'],
        passing=[ADDRESS],
    ),
    # RFC 7208 §6: a modifier may stand anywhere, and one that nobody knows is ignored.
    spf(
        "modifiers",
        f"v=spf1 foo=bar ip4:{ADDRESS} exp=why.%{{d}} -all",
        MERGE,
        "fail",
        f"v=spf1 foo=bar ip4:{ADDRESS} exp=why.%{{d}} {INCLUDE} -all",
        before=0,
        after=1,
        lines=['why TXT "%{i} is none of ours"'],
        passing=[ADDRESS],
    ),
    spf(
        "two-strings",
        f"v=spf1 ip4:{ADDRESS} include:_spf.hoster.test -all",
        MERGE,
        "fail",
        f"v=spf1 ip4:{ADDRESS} include:_spf.hoster.test {INCLUDE} -all",
        before=1,
        after=2,
        passing=[ADDRESS, HOSTER_ADDRESS],
    ),
    # RFC 7208 §3.3: above 255 octets, as strings side by side, which are joined without a blank.
    spf(
        "long",
        f"v=spf1 {_LONG} -all",
        MERGE,
        "fail",
        '"v=spf1 ip4:198.51.100.7 ip4:198.51.100.8 ip4:198.51.100.9 ip4:198.51.100.10 ip4:198.51.100.11 '
        "ip4:198.51.100.12 ip4:198.51.100.13 ip4:198.51.100.14 ip4:198.51.100.15 ip4:198.51.100.16 "
        'ip4:198.51.100.17 ip4:198.51.100.18 ip4:198.51.100.19 " '
        '"ip4:198.51.100.20 ip4:198.51.100.21 ip4:198.51.100.22 ip4:198.51.100.23 ip4:198.51.100.24 '
        f'ip4:198.51.100.25 ip4:198.51.100.26 {INCLUDE} -all"',
        before=0,
        after=1,
        passing=[ADDRESS, "198.51.100.19", "198.51.100.20", "198.51.100.26"],
    ),
    # Above 512 octets: only over TCP, where nobody speaks EDNS (RFC 1035 §4.2.1).
    spf(
        "crowded",
        f"v=spf1 ip4:{ADDRESS} -all",
        MERGE,
        "fail",
        f"v=spf1 ip4:{ADDRESS} {INCLUDE} -all",
        before=0,
        after=1,
        lines=[f"@ TXT {quote(f'site-verification={n:040}')}" for n in range(800)],
        passing=[ADDRESS],
    ),
    spf(
        "idn-m\u00fcller".encode("idna").decode(),
        f"v=spf1 ip4:{ADDRESS} -all",
        MERGE,
        "fail",
        f"v=spf1 ip4:{ADDRESS} {INCLUDE} -all",
        before=0,
        after=1,
        passing=[ADDRESS],
    ),
)

CASES = (*IN_ORDER, *CARELESS, *PLAIN)
