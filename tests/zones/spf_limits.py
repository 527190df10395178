"""SPF records that are harder to mend: by macros and services, with ours in vain, near the limits.

RFC 7208: §4.6.2 (the first match decides), §4.6.4 (limits), §7 (macros).
"""

from __future__ import annotations

from tests.zones.case import BY_ADDRESS, INCLUDE, STUCK, spf
from tests.zones.spf_cases import ADDRESS, ASK, MAIL, MERGE, OTHERWISE

_TEN = " ".join(f"ip4:203.0.113.{n}" for n in range(90, 100))
_BRIM = f"exp={'x' * 31}.{'x' * 32}.test {_TEN}"
"""With version and `-all` 255 octets."""
_BELOW_BRIM = f"exp={'x' * 40}.test {_TEN}"
"""With ours 255 octets."""

WRITTEN_BY_SERVICES = (
    # Who is asked depends on the address: of ours nothing is known, which is an error (RFC 7208
    # §5.2), so that ours must be decided before.
    spf(
        "include-by-address",
        "v=spf1 include:%{ir}.%{v}._spf.include-by-address.test -all",
        MERGE,
        "broken",
        f"v=spf1 {INCLUDE} include:%{{ir}}.%{{v}}._spf.include-by-address.test -all",
        stranger=STUCK,
        before=1,
        after=2,
        lines=[f'7.100.51.198.in-addr._spf TXT "v=spf1 ip4:{ADDRESS} -all"'],
        passing=[ADDRESS],
    ),
    # The same with an answer for everybody.
    spf(
        "include-by-anybody",
        "v=spf1 include:%{ir}.%{v}._spf.include-by-anybody.test -all",
        MERGE,
        "fail",
        f"v=spf1 include:%{{ir}}.%{{v}}._spf.include-by-anybody.test {INCLUDE} -all",
        before=1,
        after=2,
        lines=[
            f'7.100.51.198.in-addr._spf TXT "v=spf1 ip4:{ADDRESS} -all"',
            '*.in-addr._spf TXT "v=spf1 -all"',
            '*.ip6._spf TXT "v=spf1 -all"',
        ],
        passing=[ADDRESS],
    ),
    spf(
        "host-by-alias",
        "v=spf1 a:relay.host-by-alias.test mx -all",
        MERGE,
        "fail",
        f"v=spf1 a:relay.host-by-alias.test mx {INCLUDE} -all",
        before=2,
        after=3,
        lines=[*MAIL, "relay CNAME relay2", "relay2 CNAME h1.hoster.test."],
        passing=[ADDRESS, "203.0.113.1"],
    ),
    # RFC 7505: a null MX permits nobody, and costs a look-up.
    spf(
        "null-mx-named",
        "v=spf1 mx -all",
        MERGE,
        "fail",
        f"v=spf1 mx {INCLUDE} -all",
        before=1,
        after=2,
        lines=["@ MX 0 ."],
    ),
    spf("final-dot", f"v=spf1 {INCLUDE}. -all", ASK, "pass", before=1, after=1),
    spf("blanks", f"v=spf1  {INCLUDE}   -all ", ASK, "pass", before=1, after=1),
    # 255 octets before, more after.
    spf(
        "brim",
        f"v=spf1 {_BRIM} -all",
        MERGE,
        "fail",
        f'"v=spf1 {_BRIM} " "{INCLUDE} -all"',
        before=0,
        after=1,
        passing=["203.0.113.99"],
    ),
    # As long as one string may be.
    spf(
        "up-to-the-brim",
        f"v=spf1 {_BELOW_BRIM} -all",
        MERGE,
        "fail",
        f"v=spf1 {_BELOW_BRIM} {INCLUDE} -all",
        before=0,
        after=1,
        passing=["203.0.113.99"],
    ),
)

OURS_IN_VAIN = (
    # Ours is there already, and does not help.
    spf(
        "behind-all",
        f"v=spf1 mx -all {INCLUDE}",
        MERGE,
        "fail",
        f"v=spf1 mx {INCLUDE} -all",
        before=1,
        after=2,
        lines=MAIL,
        passing=[ADDRESS],
    ),
    spf(
        "neutral-include",
        f"v=spf1 ip4:{ADDRESS} ?{INCLUDE} -all",
        MERGE,
        "fail",
        f"v=spf1 ip4:{ADDRESS} {INCLUDE} -all",
        before=1,
        after=1,
        passing=[ADDRESS],
    ),
    spf(
        "failing-include",
        f"v=spf1 -{INCLUDE} mx -all",
        MERGE,
        "fail",
        f"v=spf1 {INCLUDE} mx -all",
        before=2,
        after=2,
        lines=MAIL,
        passing=[ADDRESS],
    ),
    # What stands before it catches our address (RFC 7208 §4.6.2: the first match decides).
    spf(
        "excluded",
        "v=spf1 -ip4:192.0.2.0/24 mx ~all",
        MERGE,
        "fail",
        f"v=spf1 {INCLUDE} -ip4:192.0.2.0/24 mx ~all",
        before=1,
        after=2,
        lines=MAIL,
        passing=[ADDRESS],
    ),
    spf(
        "neutral-everything",
        "v=spf1 mx ?exists:always.%{d} -all",
        MERGE,
        "fail",
        f"v=spf1 {INCLUDE} mx ?exists:always.%{{d}} -all",
        before=2,
        after=3,
        lines=[*MAIL, "always A 127.0.0.2"],
        passing=[ADDRESS],
    ),
)

COUNTED = (
    spf(
        "nine-lookups",
        "v=spf1 include:nine.hoster.test -all",
        MERGE,
        "fail",
        f"v=spf1 include:nine.hoster.test {INCLUDE} -all",
        before=9,
        after=10,
        passing=["203.0.113.1", "203.0.113.8"],
    ),
    # RFC 7208 §4.6.4: an eleventh would be an error, addresses cost nothing.
    spf(
        "ten-lookups",
        "v=spf1 include:ten.hoster.test -all",
        MERGE,
        "fail",
        f"v=spf1 include:ten.hoster.test {BY_ADDRESS} -all",
        before=10,
        after=10,
        passing=["203.0.113.1", "203.0.113.9"],
    ),
    spf(
        "ten-redirected",
        "v=spf1 redirect=ten.hoster.test",
        MERGE,
        "fail",
        f"v=spf1 {BY_ADDRESS} redirect=ten.hoster.test",
        before=10,
        after=10,
        passing=["203.0.113.1", "203.0.113.9"],
    ),
    # RFC 7208 §4.6.4: of these hosts our IPv6 address finds nothing, three times; so ours goes first.
    spf(
        "void-for-six",
        "v=spf1 a:four1.hoster.test a:four2.hoster.test a:four3.hoster.test -all",
        MERGE,
        "broken",
        f"v=spf1 {INCLUDE} a:four1.hoster.test a:four2.hoster.test a:four3.hoster.test -all",
        before=3,
        after=4,
        passing=["203.0.113.1", "203.0.113.3"],
    ),
    # None of the hosts has an IPv6 address, which our IPv6 address asks for. Whether that is three
    # look-ups in vain, or one of a term, evaluators see differently; ours first suits all.
    spf(
        "three-exchangers",
        "v=spf1 mx -all",
        MERGE,
        "broken",
        f"v=spf1 {INCLUDE} mx -all",
        before=1,
        after=2,
        lines=[f"@ MX 10 four{n}.hoster.test." for n in range(1, 4)],
        passing=["203.0.113.1", "203.0.113.3"],
    ),
    # As many hosters write it for every domain, whatever is there: of an address without a name in
    # reverse, `ptr` is the third look-up in vain.
    spf(
        "nothing-behind",
        "v=spf1 a mx ptr ~all",
        MERGE,
        "broken",
        f"v=spf1 {INCLUDE} a mx ptr ~all",
        stranger=STUCK,
        before=3,
        after=4,
    ),
    # A double costs, and says nothing new.
    spf(
        "doubles",
        "v=spf1 include:nine.hoster.test mx include:nine.hoster.test ~all",
        MERGE,
        "broken",
        f"v=spf1 include:nine.hoster.test mx {BY_ADDRESS} ~all",
        before=19,
        after=10,
        lines=MAIL,
        passing=["203.0.113.1", ADDRESS],
    ),
    spf(
        "eleven-lookups",
        "v=spf1 include:ten.hoster.test mx -all",
        OTHERWISE,
        "broken",
        before=11,
        after=12,
        lines=MAIL,
        passing=["203.0.113.1"],
    ),
    spf(
        "thirty-lookups",
        "v=spf1 include:thirty.hoster.test -all",
        OTHERWISE,
        "broken",
        before=30,
        after=31,
    ),
    # RFC 7208 §4.6.4: two look-ups in vain are borne, a third is an error.
    spf(
        "two-void",
        f"v=spf1 a:gone.two-void.test mx:gone.two-void.test ip4:{ADDRESS} -all",
        MERGE,
        "fail",
        f"v=spf1 a:gone.two-void.test mx:gone.two-void.test ip4:{ADDRESS} {INCLUDE} -all",
        before=2,
        after=3,
        passing=[ADDRESS],
    ),
)

CASES = (*WRITTEN_BY_SERVICES, *OURS_IN_VAIN, *COUNTED)
