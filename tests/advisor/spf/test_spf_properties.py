"""Whatever the zones hold: nothing is lost, a merged record is valid, and nothing crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Address

import dns.rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import given, settings
from hypothesis import strategies as st

from bounced.advisor.spf.evaluate import check_hosts
from bounced.advisor.spf.examine import SpfLook, examine_spf
from bounced.advisor.spf.facts import Facts
from bounced.advisor.spf.mend import read_records
from bounced.advisor.spf.merge import find_end, insert_terms, join_records
from bounced.advisor.spf.terms import (
    is_record,
    list_effective,
    parse_term,
    read_terms,
    write_record,
    write_value,
)
from bounced.diagnosis import State
from tests.advisor.spf.world import HIS, OFFER, Records, Zones, make_world

FEW = settings(max_examples=40, deadline=None)
MANY = settings(max_examples=150, deadline=None)


def examine(records: Records) -> SpfLook:
    return asyncio.run(examine_spf(Zones(records), HIS, OFFER))


def list_passing(
    records: Records, record: str, addresses: Iterable[IPv4Address]
) -> set[IPv4Address]:
    """Return which addresses a record of the author lets pass."""
    verdicts = asyncio.run(check_hosts(Facts(Zones(records).lookup), addresses, HIS, record))
    return {
        each.address for each in verdicts if each.result == "pass" and each.address.version == 4
    }


QUALIFIERS = st.sampled_from(["", "", "", "+", "-", "~", "?"])
MECHANISMS = st.sampled_from(
    [
        "a",
        "mx",
        "a:v6.test",
        "a:gone.test",
        "mx:many.test",
        "ip4:192.0.2.0/24",
        "ip4:192.0.2.1",
        "ip4:198.51.100.0/25",
        "ip4:203.0.113.0/24",
        "ip6:2001:db8::/32",
        "include:ours.test",
        "include:p1.test",
        "include:p2.test",
        "include:carrier.test",
        "include:dead.test",
        "include:l8.test",
        "include:loop-a.test",
        "include:nested.test",
        "include:everybody.test",
        "exists:%{i}.x.test",
        "exists:h1.test",
        "a:%{d}/24",
        "ptr",
        "INCLUDE:P1.Test.",
    ]
)
DIRECTIVES = st.builds(lambda qualifier, text: qualifier + text, QUALIFIERS, MECHANISMS)
ENDS = st.sampled_from([[], ["-all"], ["~all"], ["?all"], ["all"], ["redirect=p2.test"]])
OTHERS = st.sampled_from(["exp=e.test", "foo=bar", "ra=x", "-all", "redirect=p1.test"])


@st.composite
def make_record(draw: st.DrawFn) -> str:
    words = (
        draw(st.lists(DIRECTIVES, max_size=6)) + draw(ENDS) + draw(st.lists(OTHERS, max_size=1))
    )
    if sum(word.startswith("redirect=") for word in words) > 1:
        words.pop()
    return " ".join(["v=spf1", *words])


RECORDS = make_record()
ADDRESSES = [
    *(IPv4Address(f"198.51.100.{i}") for i in (1, 2, 7, 9, 130, 200)),
    *(IPv4Address(f"203.0.113.{i}") for i in (5, 9, 77)),
    *(IPv4Address(f"192.0.2.{i}") for i in (1, 2, 14, 20, 200)),
    IPv4Address("10.1.2.3"),
]


def unquote(value: str) -> str:
    return value.strip('"').replace('" "', "") if value.startswith('"') else value


@FEW
@given(RECORDS)
def test_who_passed_before_passes_after(text: str) -> None:
    records = make_world(text)
    look = examine(records)
    if look.record is None:
        return
    after = unquote(look.record.value)
    before = list_passing(records, text, ADDRESSES)
    assert before | {IPv4Address("192.0.2.1")} <= list_passing(records, after, ADDRESSES)


@FEW
@given(RECORDS)
def test_a_merged_record_is_valid_in_order_and_left_alone(text: str) -> None:
    look = examine(make_world(text))
    if look.record is None:
        return
    after = unquote(look.record.value)
    terms, slips = read_terms(after)
    assert (is_record(after), slips) == (True, ())
    assert look.lookups_after is not None
    assert look.lookups_after <= 10
    own = {"include:ours.test", "ip4:192.0.2.1", "all"}
    kept = [term.text for term in terms if term.mechanism not in own]
    rest = iter(term.text for term in read_terms(text)[0])
    assert all(word in rest for word in kept)
    there = {term.text for term in read_terms(text)[0]}
    ends = {term.text for term in terms if term.name == "all"}
    assert ends <= (there | {"~all"} if "-all" in there else there)
    again = examine(make_world(after))
    assert (again.state in {State.PASS, State.WARNING}, again.record) == (True, None)


@FEW
@given(st.lists(RECORDS, min_size=2, max_size=3, unique=True))
def test_of_several_records_comes_one_that_passes_or_none(texts: list[str]) -> None:
    look = examine(make_world(*texts))
    assert look.state is State.BROKEN
    if look.record is not None:
        again = examine(make_world(unquote(look.record.value)))
        assert (again.state in {State.PASS, State.WARNING}, again.record) == (True, None)


OURS = tuple(term for text in ("include:ours.test", "ip4:192.0.2.1") if (term := parse_term(text)))


@MANY
@given(RECORDS, st.booleans())
def test_inserting_again_changes_nothing(text: str, first: bool) -> None:
    once = insert_terms(read_terms(text)[0], OURS, first=first)
    assert insert_terms(once, OURS, first=first) == once
    assert all(term in list_effective(once) for term in OURS)
    assert not first or once[:2] == OURS


@MANY
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_joining_keeps_every_mechanism_once(texts: list[str]) -> None:
    records = [read_terms(text)[0] for text in texts]
    joined = join_records(records)
    directives = [term.mechanism for term in joined if term.qualifier and term.name != "all"]
    assert len(directives) == len(set(directives))
    wanted = {term.mechanism for each in records for term in each if term.qualifier}
    assert wanted - {"all"} <= set(directives)
    assert join_records([joined]) == joined
    assert all(term.name != "all" for term in joined[: find_end(joined)])


@MANY
@given(RECORDS)
def test_a_valid_record_is_read_as_it_stands(text: str) -> None:
    reading = read_records((text,))
    terms, slips = read_terms(text)
    assert (slips, reading.error, reading.remarks) == ((), None, ())
    assert reading.records == (terms,)
    assert write_record(terms) == text


WORDS = st.one_of(
    DIRECTIVES,
    st.sampled_from(
        [
            "v=spf1",
            "include:",
            "a:",
            ",",
            ";",
            "-",
            "-all.",
            "ip4",
            "%{",
            "%{x}",
            "%%",
            "redirect=",
            "exp=",
            "ip6::",
            "a//",
        ]
    ),
    st.text(max_size=12),
    st.text("ai:/%{}=-.,; d012", max_size=20),
)


@MANY
@given(st.lists(WORDS, max_size=8), st.sampled_from(["v=spf1 ", "v=spf1", '"v=spf1 ', "v=spf1;"]))
def test_any_text_is_read_and_what_comes_of_it_is_valid(words: list[str], start: str) -> None:
    reading = read_records((start + " ".join(words),))
    for record in reading.records:
        again = read_records((write_record(record),))
        assert (again.error, again.records) == (None, (record,))


@FEW
@given(st.lists(WORDS, max_size=8), RECORDS)
def test_no_zone_makes_it_stumble(words: list[str], text: str) -> None:
    odd = " ".join(["v=spf1", *words])
    quoted = "".join(f"\\{octet:03d}" for octet in odd.encode("utf-8", "replace")[:255])
    records = make_world(text)
    records["p1.test", "TXT"] = [f'"{quoted}"']
    examine(records)
    records[HIS, "TXT"] = [f'"{quoted}"']
    look = examine(records)
    assert look.state is not State.NOT_CHECKED
    assert look.detail.isprintable()
    assert all(each.isprintable() for each in look.findings)


@MANY
@given(st.lists(st.text('ab:.\\"', min_size=1, max_size=250), min_size=1, max_size=12))
def test_a_value_is_read_by_dns_as_the_record(words: list[str]) -> None:
    record = " ".join(["v=spf1", *words])
    value = write_value(record)
    if value != record:
        rdata = dns.rdata.from_text(RdataClass.IN, RdataType.TXT, value)
        assert isinstance(rdata, TXT)
        assert b"".join(rdata.strings).decode() == record
    else:
        assert len(record) <= 255
