"""SPF records that receivers cannot read or cannot finish, and zones that have none.

RFC 7208: §3.1 and §3.2 (which records count), §4.6 (errors), §4.6.4 (limits), §5.2 (include).
"""

from __future__ import annotations

from dataclasses import replace

from tests.zones.authority import Zone
from tests.zones.case import BY_ADDRESS, INCLUDE, Case, spf
from tests.zones.spf_cases import ADDRESS, HOSTER_ADDRESS, MAIL, MERGE, OTHERWISE, PUBLISH

_NEW = f"v=spf1 {INCLUDE} ?all"
"""RFC 7208 §8.2: neutral is treated as no record, so that his other mail fares as before."""


def _slip(name: str, present: str, value: str, *, after: int = 1) -> Case:
    """Return a case of a record with a slip of the hand; what cannot be read is not counted."""
    return spf(name, present, MERGE, "broken", value, after=after, lines=MAIL)


WITHOUT = (
    spf("none", "site-verification=0123456789", PUBLISH, "missing", _NEW, after=1, is_spf=False),
    spf("no-text", [], PUBLISH, "missing", _NEW, after=1, lines=MAIL),
    # RFC 7208 §3.1: type 99 counts no longer.
    spf("type-99", [], PUBLISH, "missing", _NEW, after=1, lines=['@ SPF "v=spf1 -all"']),
    # RFC 7208 §4.5: a version is followed by a blank or nothing.
    spf("version-ten", "v=spf10 -all", PUBLISH, "missing", _NEW, after=1, is_spf=False),
    spf("sender-id", "spf2.0/pra -all", PUBLISH, "missing", _NEW, after=1, is_spf=False),
    # RFC 4592 §2.2.1: a wildcard says nothing of a name that exists.
    spf(
        "wildcard-beside",
        [],
        PUBLISH,
        "missing",
        _NEW,
        after=1,
        lines=[f'* TXT "v=spf1 ip4:{ADDRESS} -all"'],
    ),
    # RFC 7505: it takes no mail, and may send some.
    spf("null-mx", [], PUBLISH, "missing", _NEW, after=1, lines=["@ MX 0 ."]),
)

UNREADABLE = (
    # RFC 7208 §3.2, §4.5: more than one record is an error, for whomever. DNS knows no order of
    # records, so ours is that of the alphabet.
    spf(
        "several",
        ["v=spf1 include:_spf.hoster.test ~all", "v=spf1 mx -all"],
        MERGE,
        "broken",
        f"v=spf1 include:_spf.hoster.test mx {INCLUDE} ~all",
        after=3,
        lines=MAIL,
    ),
    spf(
        "several-same",
        ["v=spf1 mx -all", "v=spf1 mx include:spf.sender.test -all"],
        MERGE,
        "broken",
        f"v=spf1 mx {INCLUDE} -all",
        after=2,
        lines=MAIL,
    ),
    _slip("ipv4", f"v=spf1 ipv4:{ADDRESS} -all", f"v=spf1 ip4:{ADDRESS} {INCLUDE} -all"),
    _slip("blank", f"v=spf1 ip4: {ADDRESS} -all", f"v=spf1 ip4:{ADDRESS} {INCLUDE} -all"),
    _slip(
        "commas",
        f"v=spf1 ip4:{ADDRESS}, mx, -all",
        f"v=spf1 ip4:{ADDRESS} mx {INCLUDE} -all",
        after=2,
    ),
    _slip(
        "six-as-four",
        "v=spf1 ip4:2001:db8:1::5 -all",
        f"v=spf1 ip6:2001:db8:1::5 {INCLUDE} -all",
    ),
    _slip("en-dash", "v=spf1 mx –all", f"v=spf1 mx {INCLUDE} -all", after=2),
    # Two strings of a TXT, joined without a blank (RFC 7208 §3.3).
    _slip(
        "torn-strings",
        f"v=spf1 ip4:{ADDRESS}include:_spf.hoster.test -all",
        f"v=spf1 ip4:{ADDRESS} include:_spf.hoster.test {INCLUDE} -all",
        after=2,
    ),
    # The dash of Windows-1252, which is no UTF-8.
    replace(
        _slip("windows-dash", "v=spf1 mx –all", f"v=spf1 mx {INCLUDE} -all", after=2),
        zones=(Zone("windows-dash.test", ('@ TXT "v=spf1 mx \\150all"', *MAIL)),),
    ),
    # RFC 7208 §6: a second version reads as a modifier that nobody knows.
    spf(
        "twice-in-one",
        "v=spf1 mx v=spf1 include:_spf.hoster.test ~all",
        MERGE,
        "fail",
        f"v=spf1 mx include:_spf.hoster.test {INCLUDE} ~all",
        before=2,
        after=3,
        lines=MAIL,
        passing=[ADDRESS, HOSTER_ADDRESS],
    ),
    _slip("quoted", '"v=spf1 mx -all"', f"v=spf1 mx {INCLUDE} -all", after=2),
    # RFC 7208 §6: redirect= may stand there once.
    _slip(
        "two-redirects",
        "v=spf1 redirect=_spf.hoster.test redirect=_spf2.hoster.test",
        f"v=spf1 {INCLUDE} redirect=_spf.hoster.test",
        after=2,
    ),
)

LEFT_OUT = (
    # What means nothing is left out. His own server may have been meant: `-all` would now refuse
    # what was not refused for certain before, so it becomes `~all` (RFC 7208 §8.4, §8.5).
    _slip(
        "bad-prefix", "v=spf1 ip4:198.51.100.0/33 mx -all", f"v=spf1 mx {INCLUDE} ~all", after=2
    ),
    _slip(
        "open-macro", "v=spf1 exists:%{i.list.test mx -all", f"v=spf1 mx {INCLUDE} ~all", after=2
    ),
    _slip(
        "placeholder", "v=spf1 mx include:<your-domain> -all", f"v=spf1 mx {INCLUDE} ~all", after=2
    ),
)

HOSTILE = (
    # An SPF record of 60 KB; RFC 7208 §3.4 wants an answer of 512 octets.
    spf("enormous", f"v=spf1 {' '.join(['ip4:198.51.100.7'] * 3400)} -all", OTHERWISE, "broken"),
    # A word that fits into no string goes on in the next one (RFC 7208 §3.3).
    spf(
        "long-word",
        f"v=spf1 exists:{'%{i}.' * 60}test -all",
        MERGE,
        "fail",
        f'"v=spf1 " "exists:{"%{i}." * 49}%{{i" "}}.{"%{i}." * 10}test {INCLUDE} -all"',
        before=1,
        after=2,
    ),
    spf("many", [f"v=spf1 ip4:198.51.100.{n} -all" for n in range(1, 255)], OTHERWISE, "broken"),
)

UNFINISHED = (
    # RFC 7208 §5.2: an include of a domain without record is an error.
    spf(
        "include-of-nothing",
        f"v=spf1 include:gone.hoster.test ip4:{ADDRESS} -all",
        MERGE,
        "broken",
        f"v=spf1 ip4:{ADDRESS} {INCLUDE} ~all",
        before=1,
        after=1,
    ),
    # RFC 7208 §6.1: likewise of a redirect=.
    spf(
        "redirect-to-nothing",
        f"v=spf1 ip4:{ADDRESS} redirect=gone.hoster.test",
        MERGE,
        "broken",
        f"v=spf1 ip4:{ADDRESS} {INCLUDE}",
        before=1,
        after=1,
        passing=[ADDRESS],
    ),
    spf(
        "include-of-sick",
        "v=spf1 include:_sick.include-of-sick.test mx -all",
        MERGE,
        "broken",
        f"v=spf1 mx {INCLUDE} ~all",
        before=2,
        after=2,
        lines=[*MAIL, '_sick TXT "v=spf1 ipv4:203.0.113.9 -all"'],
    ),
    spf(
        "include-itself",
        "v=spf1 include:include-itself.test mx -all",
        MERGE,
        "broken",
        f"v=spf1 mx {INCLUDE} ~all",
        before=2,
        after=2,
        lines=MAIL,
    ),
    # Whose fault the loop is nobody can say from outside.
    spf(
        "include-loop",
        "v=spf1 mx include:_spf.include-loop.test -all",
        OTHERWISE,
        "broken",
        before=3,
        after=3,
        lines=[*MAIL, '_spf TXT "v=spf1 include:include-loop.test ~all"'],
        passing=[ADDRESS],
    ),
    spf(
        "redirect-itself",
        "v=spf1 redirect=redirect-itself.test",
        MERGE,
        "broken",
        f"v=spf1 {INCLUDE}",
        before=1,
        after=1,
    ),
    # RFC 7208 §4.6.4: a third look-up in vain is an error; what finds nothing can go.
    spf(
        "three-void",
        "v=spf1 a:gone1.three-void.test a:gone2.three-void.test a:gone3.three-void.test "
        f"ip4:{ADDRESS} -all",
        MERGE,
        "broken",
        f"v=spf1 ip4:{ADDRESS} {INCLUDE} ~all",
        before=3,
        after=1,
    ),
    # RFC 7208 §4.6.4: an `mx` with more than ten hosts is an error, unless ours decides before it.
    # Mail::SPF takes the first ten.
    spf(
        "eleven-hosts",
        f"v=spf1 ip4:{ADDRESS} mx -all",
        MERGE,
        "broken",
        f"v=spf1 {INCLUDE} ip4:{ADDRESS} mx -all",
        before=1,
        after=2,
        lines=[f"@ MX 10 h{n}.hoster.test." for n in range(1, 12)],
        passing=[ADDRESS],
    ),
    # Ten names in all, the last of which says nothing of us.
    spf(
        "deep",
        "v=spf1 include:_1.deep.test -all",
        MERGE,
        "fail",
        f"v=spf1 include:_1.deep.test {BY_ADDRESS} -all",
        before=10,
        after=10,
        lines=[
            *(f'_{n} TXT "v=spf1 include:_{n + 1}.deep.test -all"' for n in range(1, 10)),
            f'_10 TXT "v=spf1 ip4:{HOSTER_ADDRESS} -all"',
        ],
        passing=[HOSTER_ADDRESS],
    ),
)

CASES = (*WITHOUT, *UNREADABLE, *LEFT_OUT, *HOSTILE, *UNFINISHED)
