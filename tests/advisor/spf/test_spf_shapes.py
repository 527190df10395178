"""Records as they are found in the wild: what is said of each, and which record is proposed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bounced.advisor.spf.examine import examine_spf
from bounced.diagnosis import DnsRecord, State
from tests.advisor.nameserver import NameServer
from tests.advisor.spf.world import HIS, OFFER, make_world
from tests.advisor.test_dns import make_resolver

PASS, WARNING, FAIL = State.PASS, State.WARNING, State.FAIL
BROKEN, MISSING = State.BROKEN, State.MISSING


@dataclass(frozen=True)
class Shape:
    texts: tuple[str, ...]
    state: State
    before: int | None
    value: str | None = None
    """The record to publish."""
    after: int | None = None
    says: str = ""
    """Part of a finding; "" is: there are none."""


def shape(text: str, state: State, before: int | None, value: str | None = None, after: int | None = None, says: str = "") -> Shape:  # noqa: PLR0917 # fmt: skip
    return Shape((text,), state, before, value, after, says)


NOTHING = "no SPF"
SHAPES = [
    # Nothing that is an SPF record
    Shape((), MISSING, None, "v=spf1 include:ours.test ?all", 1),
    shape("google-site-verification=abc", MISSING, None, "v=spf1 include:ours.test ?all", 1),
    shape("spf2.0/pra include:ours.test -all", MISSING, None, "v=spf1 include:ours.test ?all", 1),
    shape("v=spf10 a -all", MISSING, None, "v=spf1 include:ours.test ?all", 1),
    shape("v=DMARC1; p=none", MISSING, None, "v=spf1 include:ours.test ?all", 1),
    # Passes
    shape("v=spf1 include:ours.test -all", PASS, 1),
    shape("v=spf1 include:ours.test ~all", PASS, 1),
    shape("v=spf1 a mx include:ours.test ?all", PASS, 3),
    shape("v=spf1 ip4:192.0.2.1 -all", PASS, 0),
    shape("v=spf1 ip4:192.0.2.0/24", PASS, 0),
    shape("v=spf1 +include:ours.test -all", PASS, 1),
    shape("v=spf1 INCLUDE:Ours.Test. -ALL", PASS, 1),
    shape("v=spf1 include:carrier.test -all", PASS, 2),
    shape("v=spf1 redirect=carrier.test", PASS, 2),
    shape("v=spf1 REDIRECT=ours.test", PASS, 1),
    shape("v=spf1   a   include:ours.test   -all", PASS, 2),
    shape("v=spf1 foo=a foo=100%% include:ours.test -all", PASS, 1),
    shape("v=spf1 exp=explain.his.test include:ours.test -all", PASS, 1),
    # Passes, carelessly
    shape("v=spf1 +all", WARNING, 0, says="+all permits every server in the world"),
    shape("v=spf1 all", WARNING, 0, says="+all permits every server in the world"),
    shape("v=spf1 a mx +all", WARNING, 2, says="+all permits every server in the world"),
    shape("v=spf1 include:ours.test ptr -all", WARNING, 2, says="ptr is slow"),
    shape("v=spf1 include:ours.test include:dead.test -all", WARNING, 2, says="dead.test has no SPF record"),
    shape("v=spf1 include:ours.test include:l30.test -all", WARNING, 32, says="32 look-ups are needed, 10 are allowed"),
    shape("v=spf1 include:ours.test a:x1.test a:x2.test a:x3.test -all", WARNING, 4, says="3 look-ups find nothing"),
    shape("v=spf1 include:ours.test include:two.test -all", WARNING, 2, says="two.test has 2 SPF records"),
    shape("v=spf1 include:ours.test include:slip.test -all", WARNING, 2, says="'foo:bar' cannot be read"),
    # One valid record that does not name us
    shape("v=spf1 -all", FAIL, 0, "v=spf1 include:ours.test -all", 1),
    shape("v=spf1 ~all", FAIL, 0, "v=spf1 include:ours.test ~all", 1),
    shape("v=spf1 ?all", FAIL, 0, "v=spf1 include:ours.test ?all", 1),
    shape("v=spf1", FAIL, 0, "v=spf1 include:ours.test", 1),
    shape("v=spf1 a", FAIL, 1, "v=spf1 a include:ours.test", 2),
    shape("v=spf1 a mx -all", FAIL, 2, "v=spf1 a mx include:ours.test -all", 3),
    shape("v=spf1 A MX -ALL", FAIL, 2, "v=spf1 A MX include:ours.test -ALL", 3),
    shape("V=SPF1 a ~all", FAIL, 1, "v=spf1 a include:ours.test ~all", 2),
    shape("v=spf1 +a +mx ~all", FAIL, 2, "v=spf1 +a +mx include:ours.test ~all", 3),
    shape("v=spf1  a   mx  -all ", FAIL, 2, "v=spf1 a mx include:ours.test -all", 3),
    shape("v=spf1 a/24 mx/28//64 -all", FAIL, 2, "v=spf1 a/24 mx/28//64 include:ours.test -all", 3),
    shape("v=spf1 include:p1.test -all", FAIL, 1, "v=spf1 include:p1.test include:ours.test -all", 2),
    shape("v=spf1 include:p2.test ~all", FAIL, 3, "v=spf1 include:p2.test include:ours.test ~all", 4),
    shape("v=spf1 include:p1.test include:p2.test -all", FAIL, 4, "v=spf1 include:p1.test include:p2.test include:ours.test -all", 5),
    shape("v=spf1 ip4:203.0.113.0/24 ip6:2001:db8:1::/48 -all", FAIL, 0, "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8:1::/48 include:ours.test -all", 1),
    shape("v=spf1 a:v6.test -all", FAIL, 1, "v=spf1 a:v6.test include:ours.test -all", 2),
    shape("v=spf1 ptr -all", FAIL, 1, "v=spf1 ptr include:ours.test -all", 2, says="ptr is slow"),
    shape("v=spf1 ptr:his.test ~all", FAIL, 1, "v=spf1 ptr:his.test include:ours.test ~all", 2, says="ptr is slow"),
    shape("v=spf1 exists:%{i}._spf.his.test -all", FAIL, 1, "v=spf1 exists:%{i}._spf.his.test include:ours.test -all", 2),
    shape("v=spf1 exists:%{l1r-}.a,b.%{D2} ~all", FAIL, 1, "v=spf1 exists:%{l1r-}.a,b.%{D2} include:ours.test ~all", 2),
    shape("v=spf1 include:%{d}._spf.test -all", FAIL, 1, "v=spf1 include:%{d}._spf.test include:ours.test -all", 2),
    shape("v=spf1 a:%{i}.x.test -all", FAIL, 1, "v=spf1 a:%{i}.x.test include:ours.test -all", 2),
    shape("v=spf1 include:%{i}.x.test -all", BROKEN, 1, "v=spf1 include:ours.test include:%{i}.x.test -all", 2, says="must come first"),
    shape("v=spf1 a:two..dots.test -all", FAIL, 1, "v=spf1 a:two..dots.test include:ours.test -all", 2),
    shape("v=spf1 a exp=explain.his.test -all", FAIL, 1, "v=spf1 a exp=explain.his.test include:ours.test -all", 2),
    shape("v=spf1 a ra=postmaster op=auth -all", FAIL, 1, "v=spf1 a ra=postmaster op=auth include:ours.test -all", 2),
    shape("v=spf1 redirect=p1.test", FAIL, 1, "v=spf1 include:ours.test redirect=p1.test", 2),
    shape("v=spf1 mx redirect=p2.test", FAIL, 4, "v=spf1 mx include:ours.test redirect=p2.test", 5),
    shape("v=spf1 redirect=p1.test a", FAIL, 2, "v=spf1 include:ours.test redirect=p1.test a", 3),
    shape("v=spf1 redirect=l30.test a -all", FAIL, 1, "v=spf1 redirect=l30.test a include:ours.test -all", 2),
    shape("v=spf1 a -all mx include:p1.test", FAIL, 1, "v=spf1 a include:ours.test -all mx include:p1.test", 2),
    shape("v=spf1 a ~all -all", FAIL, 1, "v=spf1 a include:ours.test ~all -all", 2),
    # Ours is there, and of no effect
    shape("v=spf1 a -all include:ours.test", FAIL, 1, "v=spf1 a include:ours.test -all", 2, says="stood behind the end"),
    shape("v=spf1 ?include:ours.test -all", FAIL, 1, "v=spf1 include:ours.test -all", 1),
    shape("v=spf1 ~include:OURS.test a -all", FAIL, 2, "v=spf1 include:ours.test a -all", 2),
    shape("v=spf1 -include:ours.test include:p1.test ~all", FAIL, 2, "v=spf1 include:ours.test include:p1.test ~all", 2),
    shape("v=spf1 -ip4:192.0.2.0/24 include:ours.test -all", FAIL, 1, "v=spf1 include:ours.test -ip4:192.0.2.0/24 -all", 1, says="must come first"),
    shape("v=spf1 ?ip4:192.0.2.0/24 a -all", FAIL, 1, "v=spf1 include:ours.test ?ip4:192.0.2.0/24 a -all", 2, says="must come first"),
    shape("v=spf1 ?include:carrier.test -all", FAIL, 2, "v=spf1 include:ours.test ?include:carrier.test -all", 3, says="must come first"),
    shape("v=spf1 -include:everybody.test ~all", FAIL, 1, "v=spf1 include:ours.test -include:everybody.test ~all", 2, says="must come first"),
    # A permerror on the way
    shape("v=spf1 include:dead.test -all", BROKEN, 1, "v=spf1 include:ours.test ~all", 1, says="left out: include:dead.test: dead.test has no SPF record"),
    shape("v=spf1 a include:text.test include:p1.test -all", BROKEN, 3, "v=spf1 a include:p1.test include:ours.test ~all", 3, says="left out: include:text.test"),
    shape("v=spf1 include:two.test ?all", BROKEN, 1, "v=spf1 include:ours.test ?all", 1, says="left out: include:two.test: two.test has 2 SPF records"),
    shape("v=spf1 include:slip.test ~all", BROKEN, 1, "v=spf1 include:ours.test ~all", 1, says="left out: include:slip.test: slip.test has 'foo:bar'"),
    shape("v=spf1 a redirect=dead.test", BROKEN, 2, "v=spf1 a include:ours.test", 2, says="left out: redirect=dead.test"),
    shape("v=spf1 include:his.test mx -all", BROKEN, 2, "v=spf1 mx include:ours.test ~all", 2, says="leads to itself"),
    shape("v=spf1 include:nested.test -all", BROKEN, 2, "v=spf1 include:ours.test include:nested.test -all", 3, says="must come first"),
    shape("v=spf1 mx:many.test -all", BROKEN, 1, "v=spf1 include:ours.test mx:many.test -all", 2, says="has 11 hosts: 10 are allowed"),
    shape("v=spf1 include:loop-a.test -all", BROKEN, 3, None, None, says="leads back to loop-a.test"),
    shape("v=spf1 redirect=loop-a.test", BROKEN, 3, None, None, says="leads back to loop-a.test"),
    shape("v=spf1 include:back.test -all", BROKEN, 2, None, None, says="leads back to his.test"),
    shape("v=spf1 a:x1.test a:x2.test a -all", FAIL, 3, "v=spf1 a:x1.test a:x2.test a include:ours.test -all", 4),
    shape("v=spf1 a:x1.test a mx:x2.test a:x3.test -all", BROKEN, 4, "v=spf1 a include:ours.test ~all", 2, says="left out: a:x1.test finds nothing"),
    # Too many look-ups
    shape("v=spf1 include:l8.test -all", FAIL, 9, "v=spf1 include:l8.test include:ours.test -all", 10),
    shape("v=spf1 include:l9.test -all", FAIL, 10, "v=spf1 include:l9.test ip4:192.0.2.1 -all", 10),
    shape("v=spf1 include:l9.test a -all", BROKEN, 11, after=12, says="with ours it needs 12 look-ups, 10 are allowed; include:l9.test costs 10"),
    shape("v=spf1 include:l30.test -all", BROKEN, 31, after=32, says="with ours it needs 32 look-ups"),
    shape("v=spf1 include:l8.test include:l8.test -all", BROKEN, 18, "v=spf1 include:l8.test include:ours.test -all", 10, says="include:l8.test stood there twice"),
    shape("v=spf1 include:l8.test include:dead.test include:gone.test -all", BROKEN, 11, "v=spf1 include:l8.test include:ours.test ~all", 10, says="left out: include:gone.test"),
    shape("v=spf1 include:l8.test a:x1.test -all", FAIL, 10, "v=spf1 include:l8.test include:ours.test -all", 10, says="left out: a:x1.test finds nothing"),
    shape("v=spf1 include:l8.test a:x1.test mx -all", BROKEN, 11, "v=spf1 include:l8.test mx ip4:192.0.2.1 ~all", 10, says="left out: a:x1.test finds nothing"),
    # Slips of the hand
    shape("v=spf1 ipv4:203.0.113.1 ipv6:2001:db8:1::1 -all", BROKEN, None, "v=spf1 ip4:203.0.113.1 ip6:2001:db8:1::1 include:ours.test -all", 1, says="'ipv4:203.0.113.1' was taken as 'ip4:203.0.113.1'"),
    shape("v=spf1 ip:203.0.113.1 203.0.113.2 ~all", BROKEN, None, "v=spf1 ip4:203.0.113.1 ip4:203.0.113.2 include:ours.test ~all", 1, says="was taken as"),
    shape("v=spf1 ip4:2001:db8:1::/48 ip6:203.0.113.0/28 -all", BROKEN, None, "v=spf1 ip6:2001:db8:1::/48 ip4:203.0.113.0/28 include:ours.test -all", 1, says="was taken as"),
    shape("v=spf1 a:203.0.113.1 mx:203.0.113.2 include:203.0.113.3 -all", BROKEN, None, "v=spf1 ip4:203.0.113.1 ip4:203.0.113.2 ip4:203.0.113.3 include:ours.test -all", 1, says="was taken as"),
    shape("v=spf1 include: p1.test -all", BROKEN, None, "v=spf1 include:p1.test include:ours.test -all", 2),
    shape("v=spf1 include :p1.test - all", BROKEN, None, "v=spf1 include:p1.test include:ours.test -all", 2),
    shape("v=spf1 ip4: 203.0.113.1 include: a -all", BROKEN, None, "v=spf1 ip4:203.0.113.1 a include:ours.test ~all", 2, says="'include:' is no term of SPF and was left out"),
    shape("v=spf1 a,mx,include:p1.test,-all", BROKEN, None, "v=spf1 a mx include:p1.test include:ours.test -all", 4),
    shape("v=spf1 a; mx; -all", BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    shape("v=spf1;a;mx;-all", BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    shape("v=spf1 ip4:203.0.113.1,203.0.113.2 -all", BROKEN, None, "v=spf1 ip4:203.0.113.1 ip4:203.0.113.2 include:ours.test -all", 1, says="'203.0.113.2' was taken as 'ip4:203.0.113.2'"),
    shape("v=spf1 include:p1.test,include:p2.test ~all", BROKEN, 1, "v=spf1 include:p1.test include:p2.test include:ours.test ~all", 5, says="has no SPF record"),
    shape("v=spf1 a mx –all", BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    shape("v=spf1\u00a0a\u00a0mx −all", BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    shape("v=spf1\ta\tmx\t-all", BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    shape('"v=spf1 a mx -all"', BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    shape("„v=spf1 a -all“", BROKEN, None, "v=spf1 a include:ours.test -all", 2),
    shape(" v=spf1 a -all", BROKEN, None, "v=spf1 a include:ours.test -all", 2),
    shape("v = spf1 a -all", BROKEN, None, "v=spf1 a include:ours.test -all", 2),
    shape("v=spf1include:p1.test -all", BROKEN, None, "v=spf1 include:p1.test include:ours.test -all", 2),
    shape("v=spf1 v=spf1 a -all", FAIL, 1, "v=spf1 a include:ours.test -all", 2),
    shape("v=spf1 a -all v=spf1 include:p1.test ~all", FAIL, 1, "v=spf1 a include:p1.test include:ours.test ~all", 3),
    shape("v=spf1 a mx-all", BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    shape("v=spf1 include:p1.test~all", BROKEN, None, "v=spf1 include:p1.test include:ours.test ~all", 2),
    shape("v=spf1 include:p1.test-all", BROKEN, 1, "v=spf1 include:p1.test include:ours.test -all", 2, says="p1.test-all has no SPF record"),
    shape("v=spf1 a -all.", BROKEN, None, "v=spf1 a include:ours.test -all", 2, says="'-all.' was taken as '-all'"),
    shape("v=spf1 redirect:p1.test", BROKEN, None, "v=spf1 include:ours.test redirect=p1.test", 2, says="was taken as 'redirect=p1.test'"),
    shape("v=spf1 include:müller.test -all", BROKEN, None, "v=spf1 include:xn--mller-kva.test include:ours.test -all", 2, says="was taken as 'include:xn--mller-kva.test'"),
    shape("v=spf1 ip4:203.0.113.1/33 a -all", BROKEN, None, "v=spf1 a include:ours.test ~all", 2, says="'ip4:203.0.113.1/33' is no term of SPF and was left out"),
    shape("v=spf1 ip4:192.168.01.1 a -all", BROKEN, None, "v=spf1 a include:ours.test ~all", 2, says="was left out"),
    shape("v=spf1 p1.test a -all", BROKEN, None, "v=spf1 a include:ours.test ~all", 2, says="'p1.test' is no term of SPF"),
    shape("v=spf1 include:a.%% a -all", BROKEN, None, "v=spf1 a include:ours.test ~all", 2, says="'include:a.%%' is no term of SPF"),
    shape("v=spf1 mail a -all", BROKEN, None, "v=spf1 a include:ours.test ~all", 2, says="'-all' became '~all': what was left out may mean a server that sends mail"),
    shape("v=spf1 mail a ?all", BROKEN, None, "v=spf1 a include:ours.test ?all", 2, says="'mail' is no term of SPF"),
    shape("v=spf1 ip4:203.0.113.1include:p1.test -all", BROKEN, None, "v=spf1 ip4:203.0.113.1 include:p1.test include:ours.test -all", 2),
    shape("v=spf1 ip4:203.0.113.0/28-ip4:203.0.113.64 ~all", BROKEN, None, "v=spf1 ip4:203.0.113.0/28 -ip4:203.0.113.64 include:ours.test ~all", 1),
    shape("v=spf1 a +all foo:bar", BROKEN, None, "v=spf1 a include:ours.test ?all", 2, says="?all stands for +all"),
    shape("v=spf1 redirect=p1.test redirect=p2.test", BROKEN, None, "v=spf1 include:ours.test redirect=p1.test", 2, says="a second 'redirect=p2.test' was left out"),
    # Several records: their order in the answer means nothing
    Shape(("v=spf1 a -all", "v=spf1 include:p1.test ~all"), BROKEN, None, "v=spf1 a include:p1.test include:ours.test ~all", 3),
    Shape(("v=spf1 include:p1.test ~all", "v=spf1 a -all"), BROKEN, None, "v=spf1 a include:p1.test include:ours.test ~all", 3),
    Shape(("v=spf1 a mx -all", "v=spf1 include:ours.test -all"), BROKEN, None, "v=spf1 a mx include:ours.test -all", 3),
    Shape(("v=spf1 a -all", "v=spf1 a mx +all", "v=spf1 A ?all"), BROKEN, None, "v=spf1 A mx include:ours.test ?all", 3, says="?all stands for +all"),
    Shape(("v=spf1 a +all", "v=spf1 mx +all"), BROKEN, None, "v=spf1 a mx include:ours.test ?all", 3, says="?all stands for +all"),
    Shape(("v=spf1 a", "v=spf1 redirect=p1.test"), BROKEN, None, "v=spf1 a include:ours.test redirect=p1.test", 3),
    Shape(("v=spf1 a -all", "v=spf1 redirect=p1.test"), BROKEN, None, "v=spf1 a include:p1.test include:ours.test -all", 3),
    Shape(("v=spf1 redirect=p1.test", "v=spf1 redirect=p2.test"), BROKEN, None, "v=spf1 include:p1.test include:p2.test include:ours.test", 5),
    Shape(("v=spf1 a -all", "v=spf1 +a -all", "other"), BROKEN, None, "v=spf1 +a include:ours.test -all", 2),
    Shape(("v=spf1 a -all", "v=spf1;mx"), FAIL, 1, "v=spf1 a include:ours.test -all", 2),
]  # fmt: skip


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: " | ".join(case.texts) or NOTHING)
async def test_the_record_for_a_shape_found_in_the_wild(case: Shape) -> None:
    async with NameServer(make_world(*case.texts)).run() as server:
        look = await examine_spf(make_resolver(server), HIS, OFFER)
    assert (look.state, look.lookups_before, look.lookups_after) == (
        case.state,
        case.before,
        case.after,
    )
    assert (look.record.value if look.record else None) == case.value
    if case.says:
        assert [each for each in look.findings if case.says in each], look.findings
    else:
        assert look.findings == ()


@pytest.mark.parametrize("case", [case for case in SHAPES if case.value], ids=lambda case: " | ".join(case.texts) or NOTHING)  # fmt: skip
async def test_the_proposed_record_passes_and_is_left_alone(case: Shape) -> None:
    assert case.value is not None
    async with NameServer(make_world(case.value)).run() as server:
        look = await examine_spf(make_resolver(server), HIS, OFFER)
    assert look.state in {PASS, WARNING}
    assert (look.record, look.lookups_before) == (None, case.after)


def test_every_line_of_the_table_is_a_case_of_its_own() -> None:
    assert len(SHAPES) == len({case.texts for case in SHAPES})
    assert len(SHAPES) > 80


async def test_the_record_stands_at_the_domain_and_names_what_it_replaces() -> None:
    async with NameServer(make_world("v=spf1 mx -all", "v=spf1 a -all", "other")).run() as server:
        look = await examine_spf(make_resolver(server), "HIS.test.", OFFER)
    assert look.record == DnsRecord(
        "his.test",
        "TXT",
        "v=spf1 a mx include:ours.test -all",
        "v=spf1 a -all\nv=spf1 mx -all",
    )
    assert look.detail == (
        "2 SPF records, of which there may be one only: v=spf1 a -all | v=spf1 mx -all"
    )
