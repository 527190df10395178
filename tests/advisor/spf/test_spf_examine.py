"""What is said of a domain when DNS fails, when zones are hostile, and when we have little to offer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address

import dns.rcode
import dns.rrset
import pytest
from dns.rdatatype import RdataType

from bounced.advisor.spf import examine, facts, propose
from bounced.advisor.spf.evaluate import do_pass
from bounced.advisor.spf.examine import SpfLook, SpfOffer, examine_spf
from bounced.advisor.spf.facts import Facts
from bounced.advisor.spf.terms import Terms
from bounced.advisor.spf.tree import Tree, walk_record
from bounced.diagnosis import DnsRecord, State
from tests.advisor.nameserver import Behaviour, NameServer, Query, reply
from tests.advisor.spf.world import HIS, OFFER, OURS, Records, Zones, make_world, write_txt
from tests.advisor.test_dns import SHORT, make_resolver

IP4, IP6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")


async def look_at(
    records: Records, offer: SpfOffer = OFFER, domain: str = HIS, **odd: Behaviour
) -> SpfLook:
    async with NameServer(records, odd={f"{k}.test": v for k, v in odd.items()}).run() as server:
        return await examine_spf(make_resolver(server), domain, offer)


def _fail_on(server: NameServer, rdtype: str) -> Behaviour:
    """Answer what is asked, but one type."""

    def behave(query: Query) -> list[bytes]:
        if query.question[0].rdtype == RdataType[rdtype]:
            return [reply(query, dns.rcode.SERVFAIL).to_wire()]
        return [server.answer(query).to_wire()]

    return behave


async def _list_questions(records: Records, offer: SpfOffer) -> list[tuple[str, str]]:
    async with NameServer(dict(records)).run() as server:
        await examine_spf(make_resolver(server), HIS, offer)
        return list(dict.fromkeys(server.list_asked()))


FAILING = {
    "no record": make_world(),
    "several": make_world("v=spf1 a -all", "v=spf1 include:p2.test -all"),
    "slip": make_world("v=spf1 a,mx include:p2.test -all"),
    "all kinds": make_world(
        "v=spf1 a mx a:v6.test include:p2.test exists:%{i}.x.test redirect=nested.test"
    ),
    "permerror": make_world("v=spf1 mx include:dead.test include:p1.test -all"),
}


@pytest.mark.parametrize("records", FAILING.values(), ids=FAILING)
async def test_whichever_question_fails_nothing_is_concluded(records: Records) -> None:
    questions = await _list_questions(records, OFFER)
    assert len(questions) >= 3
    for name, rdtype in questions:
        async with NameServer(dict(records)).run() as server:
            server.odd[name] = _fail_on(server, rdtype)
            look = await examine_spf(make_resolver(server), HIS, OFFER)
        assert look == SpfLook(
            State.NOT_CHECKED, f"DNS gave no answer on {rdtype} of {name}", (), None, None, None
        )


async def test_what_fails_behind_our_term_does_not_hide_that_we_pass() -> None:
    records = make_world("v=spf1 include:ours.test include:p2.test -all")
    async with NameServer(records).run() as server:
        server.odd["p1.test"] = _fail_on(server, "TXT")
        look = await examine_spf(make_resolver(server), HIS, OFFER)
    assert look == SpfLook(
        State.PASS,
        "v=spf1 include:ours.test include:p2.test -all",
        ("DNS gave no answer on TXT of p1.test",),
        None,
        None,
        None,
    )


async def test_without_reverse_name_a_ptr_does_not_match() -> None:
    records = make_world("v=spf1 ptr -all")
    async with NameServer(records).run() as server:
        server.odd["1.2.0.192.in-addr.arpa"] = _fail_on(server, "PTR")
        look = await examine_spf(make_resolver(server), HIS, OFFER)
    assert look.state is State.FAIL
    assert look.record is not None


async def test_a_ptr_that_finds_nothing_is_a_look_up_in_vain() -> None:
    """The third: what stands behind it is not looked at."""
    records = make_world("v=spf1 a:x1.test mx:x2.test ptr -all")
    async with NameServer(records).run() as server:
        look = await examine_spf(make_resolver(server), HIS, OFFER)
    assert look.state is State.BROKEN
    assert look.record is not None
    assert look.record.value == "v=spf1 include:ours.test a:x1.test mx:x2.test ptr -all"


async def test_a_ptr_that_could_not_be_asked_for_is_no_look_up_in_vain() -> None:
    records = make_world("v=spf1 a:x1.test mx:x2.test ptr -all")
    async with NameServer(records).run() as server:
        server.odd["1.2.0.192.in-addr.arpa"] = _fail_on(server, "PTR")
        look = await examine_spf(make_resolver(server), HIS, OFFER)
    assert look.state is State.FAIL
    assert look.record is not None
    assert look.record.value == "v=spf1 a:x1.test mx:x2.test ptr include:ours.test -all"


async def test_a_record_that_nobody_would_read_is_not_proposed() -> None:
    texts = [f"v=spf1 ip4:198.51.100.{n} -all" for n in range(254)]
    look = await look_at(make_world(*texts))
    assert look.state is State.BROKEN
    assert look.record is None
    assert "no record can be offered: it would have more than 4096 octets" in look.findings


async def test_a_reverse_name_below_the_domain_matches() -> None:
    records = make_world("v=spf1 ptr:ours.test -all")
    records["1.2.0.192.in-addr.arpa", "PTR"] = ["out.ours.test."]
    records["out.ours.test", "A"] = ["192.0.2.1"]
    assert (await look_at(records)).state is State.WARNING


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examine, "LONGEST_S", 0.2)
    async with NameServer(make_world(), odd={HIS: lambda _query: []}).run() as server:
        look = await examine_spf(make_resolver(server, timeout="60s"), HIS, OFFER)
    assert look.state is State.NOT_CHECKED
    assert look.detail == "looking at the SPF of his.test took more than 0 s"


async def test_a_dead_resolver_is_not_no_record() -> None:
    async with NameServer(make_world(), odd={HIS: lambda _query: []}).run() as server:
        look = await examine_spf(make_resolver(server, timeout=SHORT), HIS, OFFER)
    assert look.state is State.NOT_CHECKED


def _loop(query: Query) -> list[bytes]:
    """Answer with two aliases that stand for each other."""
    response = reply(query)
    for name, target in (("c1.test.", "c2.test."), ("c2.test.", "c1.test.")):
        response.answer.append(dns.rrset.from_text(name, 300, "IN", "CNAME", target))
    return [response.to_wire()]


async def test_a_loop_of_aliases_is_no_answer() -> None:
    look = await look_at(make_world("v=spf1 include:c1.test -all"), c1=_loop)
    assert look.detail == "DNS gave no answer on TXT of c1.test"


def _make_chain() -> Records:
    records = make_world("v=spf1 include:i0.test -all")
    for i in range(200):
        records[f"i{i}.test", "TXT"] = [f'"v=spf1 include:i{i + 1}.test -all"']
    return records


def _make_fan() -> Records:
    names = [f"i{i}.test" for i in range(20)]
    records = make_world("v=spf1 " + " ".join(f"include:{name}" for name in names) + " -all")
    for name in names:
        inner = " ".join(f"include:{i}.{name}" for i in range(20))
        records[name, "TXT"] = [write_txt(f"v=spf1 {inner} -all")]
        records |= {(f"{i}.{name}", "TXT"): ['"v=spf1 a -all"'] for i in range(20)}
    return records


def _make_exchanges() -> Records:
    records = make_world("v=spf1 " + " ".join(f"mx:m{i}.test" for i in range(10)) + " -all")
    for i in range(10):
        records[f"m{i}.test", "MX"] = [f"{j} h{j}.m{i}.test." for j in range(10)]
        records |= {(f"h{j}.m{i}.test", "A"): [f"203.0.{i}.{j}"] for j in range(10)}
    return records


def _make_hosts() -> Records:
    return make_world("v=spf1 " + " ".join(f"a:x{i}.test" for i in range(250)) + " -all")


HOSTILE: dict[str, tuple[Callable[[], Records], State, int | None, int | None]] = {
    "a chain of 200": (_make_chain, State.BROKEN, 51, 52),
    "20 × 20 includes": (_make_fan, State.BROKEN, None, 85),
    "10 × 10 mail servers": (_make_exchanges, State.FAIL, 10, 10),
    "250 hosts": (_make_hosts, State.BROKEN, 250, 251),
    "1000 terms": (lambda: make_world("v=spf1" + " a" * 1000), State.BROKEN, 1000, 2),
}


@pytest.mark.parametrize(("make", "state", "before", "after"), HOSTILE.values(), ids=HOSTILE)
async def test_hostile_zones_come_to_an_end(
    make: Callable[[], Records], state: State, before: int | None, after: int | None
) -> None:
    records = make()
    async with NameServer(records).run() as server:
        look = await examine_spf(make_resolver(server), HIS, OFFER)
    assert (look.state, look.lookups_after) == (state, after)
    assert before is None or look.lookups_before == before
    assert len(server.asked) <= 330


def _make_large(count: int, start: str = "") -> Records:
    """Make a record of as many includes of 3,500 octets, each behind another name."""
    names = [f"i{i}.test" for i in range(count)]
    start = f"v=spf1 {start}" + " ".join(f"include:{name}" for name in names)
    large = "v=spf1 " + " ".join(f"ip4:10.0.{i // 250}.{i % 250}" for i in range(250)) + " -all"
    records = make_world(f"{start} -all")
    return records | {(name, "TXT"): [write_txt(large)] for name in names}


async def test_no_more_is_parsed_than_any_honest_domain_has() -> None:
    async with NameServer(_make_large(49)).run() as server:
        look = await examine_spf(make_resolver(server), HIS, OFFER)
        asked = len(set(server.list_asked()))
    detail = "more than 16384 octets of SPF records were to be read"
    assert look == SpfLook(State.NOT_CHECKED, detail, (), None, None, None)
    assert asked < 10


async def test_what_is_too_large_behind_our_term_does_not_hide_that_we_pass() -> None:
    look = await look_at(_make_large(49, "include:ours.test "))
    assert (look.state, look.findings) == (
        State.PASS,
        ("more than 16384 octets of SPF records were to be read",),
    )


async def test_the_record_of_a_domain_is_parsed_once() -> None:
    async with NameServer(make_world()).run() as server:
        known = Facts(make_resolver(server).lookup)
        assert await known.ask_record("p2.test") is await known.ask_record("P2.Test.")
        assert (
            await known.ask_record("two.test") == "2 SPF records, of which there may be one only"
        )


async def test_after_an_address_that_does_not_pass_none_is_judged() -> None:
    async with NameServer(make_world()).run() as server:
        known = Facts(make_resolver(server).lookup)
        assert not await do_pass(known, (IP4, IP6), HIS, "v=spf1 exists:%{i}.x.test -all")
    assert known.recall("192.0.2.1.x.test", RdataType.A) == ()
    assert len(server.asked) == 1


async def test_no_change_is_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []

    async def walk(known: Facts, domain: str, terms: Terms) -> Tree:
        walked.append(terms)
        return await walk_record(known, domain, terms)

    monkeypatch.setattr(propose, "walk_record", walk)
    offer = SpfOffer("ours.test", ())
    look = await look_at(make_world("v=spf1 include:l9.test a -all"), offer)
    assert look.record is None
    ours, present, *changes, explained = walked
    assert len(changes) == len(set(changes)) == 2
    assert (len(ours), len(present), explained) == (1, 3, changes[0])


async def test_what_a_record_would_need_is_said_where_that_is_too_much() -> None:
    full = await look_at(make_world("v=spf1 include:l9.test -all"), SpfOffer("ours.test", ()))
    assert (full.state, full.record) == (State.FAIL, None)
    assert (full.lookups_before, full.lookups_after) == (10, 11)
    nearly = await look_at(make_world("v=spf1 include:l8.test -all"), SpfOffer("carrier.test", ()))
    assert (nearly.state, nearly.record) == (State.FAIL, None)
    assert (nearly.lookups_before, nearly.lookups_after) == (9, 11)


async def test_the_loop_goes_on_while_an_examination_thinks() -> None:
    """Each question is asked from a thread; on the loop nothing here would ever wait."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    look = await examine_spf(Zones(make_world("v=spf1 a include:p2.test -all")), HIS, OFFER)
    other.cancel()
    assert look.record is not None
    assert turns > 5


async def test_the_threads_of_others_are_not_used() -> None:
    """As long as all threads of the loop are taken, an examination goes on."""
    end = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        taken = asyncio.create_task(asyncio.to_thread(end.wait))
        look = await look_at(make_world("v=spf1 a -all"))
        end.set()
        await taken
    assert look.state is State.FAIL


async def test_beyond_so_many_questions_nothing_is_concluded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facts, "MOST_QUESTIONS", 4)
    look = await look_at(make_world("v=spf1 a mx include:p2.test -all"))
    assert (look.state, look.detail) == (State.NOT_CHECKED, "more than 4 questions were needed")


@pytest.mark.parametrize("text", ["v=spf1" + " ip4:203.0.113.1" * 4000, "v=spf1 a:" + "x" * 9000])
async def test_a_huge_record_is_shown_in_part_and_not_mended(text: str) -> None:
    look = await look_at(make_world(text))
    assert look.state is State.BROKEN
    assert look.detail.startswith("a record of more than 4096 octets: v=spf1 ")
    assert len(look.detail) < 600
    assert look.findings == ("a record as long as this must be shortened by hand first",)
    assert look.record is None


async def test_a_huge_record_behind_an_include_counts_as_broken() -> None:
    records = make_world("v=spf1 include:huge.test -all")
    records["huge.test", "TXT"] = [write_txt("v=spf1" + " ip4:203.0.113.1" * 3000)]
    look = await look_at(records)
    assert look.findings == (
        "left out: include:huge.test: huge.test has a record of more than 4096 octets",
        "'-all' became '~all': what was left out may mean a server that sends mail",
    )


@pytest.mark.parametrize("octets", [rb"v=spf1 a \150all", rb"v=spf1\160a -all"])
async def test_octets_of_a_word_processor_are_told_apart(octets: bytes) -> None:
    records = make_world() | {(HIS, "TXT"): [f'"{octets.decode()}"']}
    look = await look_at(records)
    assert look.record is not None
    assert look.record.value == "v=spf1 a include:ours.test -all"


async def test_octets_that_are_no_text_do_no_harm() -> None:
    records = make_world() | {(HIS, "TXT"): [r'"v=spf1 \255\254\000 \129 -all" "\027[2J"']}
    look = await look_at(records)
    assert look.state is State.BROKEN
    assert look.detail.isprintable()


async def test_strings_of_one_record_are_joined_without_a_blank() -> None:
    records = make_world() | {(HIS, "TXT"): ['"v=spf1 include:ours" ".test -all"']}
    assert (await look_at(records)).state is State.PASS


async def test_the_type_that_was_only_for_spf_is_not_asked_for() -> None:
    async with NameServer(make_world()).run() as server:
        await examine_spf(make_resolver(server), HIS, OFFER)
        assert "SPF" not in {rdtype for _, rdtype in server.list_asked()}


async def test_a_long_record_is_written_as_strings_side_by_side() -> None:
    addresses = [f"ip4:203.0.113.{i}" for i in range(30)]
    look = await look_at(make_world("v=spf1 " + " ".join(addresses) + " -all"))
    assert look.record is not None
    strings = look.record.value.removeprefix('"').removesuffix('"').split('" "')
    assert [len(string) for string in strings] == [252, 255, 22]
    assert "".join(strings) == "v=spf1 " + " ".join(addresses) + " include:ours.test -all"


async def test_beside_an_alias_no_record_is_offered() -> None:
    records = make_world() | {
        (HIS, "CNAME"): ["web.test."],
        ("web.test", "TXT"): ['"v=spf1 -all"'],
    }
    look = await look_at(records)
    assert (look.state, look.record) == (State.FAIL, None)
    (finding,) = look.findings
    assert finding == (
        "his.test is an alias (CNAME) of web.test: no record can stand beside it, "
        "the SPF record is that of web.test"
    )


async def test_a_name_with_umlauts_is_asked_for_and_named_in_a_labels() -> None:
    records = make_world() | {("xn--mller-kva.test", "TXT"): ['"v=spf1 -all"']}
    look = await look_at(records, domain="Müller.test")
    assert look.record == DnsRecord(
        "xn--mller-kva.test", "TXT", "v=spf1 include:ours.test -all", "v=spf1 -all"
    )


@pytest.mark.parametrize(
    ("domain", "detail"),
    [(HIS, "his.test has no SPF record"), ("gone.test", "gone.test does not exist")],
)
async def test_no_record_and_no_domain_are_told_apart(domain: str, detail: str) -> None:
    look = await look_at(make_world(), domain=domain)
    assert (look.state, look.detail) == (State.MISSING, detail)


@pytest.mark.parametrize(
    ("text", "state", "detail"),
    [
        ("v=spf1 a -all", State.NOT_CHECKED, "no address of our servers is known to try it with"),
        ("v=spf1 redirect=p1.test", State.NOT_CHECKED, "no address of our servers is known to try it with"),
        ("v=spf1 a +all", State.WARNING, "permits everybody"),
        ("v=spf1 -all", State.FAIL, "permits nobody"),
        ("v=spf1 ?a ~all", State.FAIL, "permits nobody"),
        ("v=spf1 include:l30.test -all", State.BROKEN, "beyond the limits of SPF"),
        ("v=spf1 foo:bar -all", State.BROKEN, "'foo:bar' cannot be read"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("offer", [SpfOffer("", ()), SpfOffer("gone.test", ())])
async def test_with_nothing_of_ours_a_record_speaks_for_itself(
    text: str, state: State, detail: str, offer: SpfOffer
) -> None:
    look = await look_at(make_world(text), offer)
    assert (look.state, look.detail) == (state, f"{detail}: {text}")
    assert (look.record, look.lookups_after) == (None, None)


async def test_without_addresses_one_that_our_include_permits_is_tried() -> None:
    look = await look_at(make_world("v=spf1 a -all"), SpfOffer("ours.test", ()))
    assert look.detail == "fail for 192.0.2.0: v=spf1 a -all"
    assert look.record is not None
    passing = make_world("v=spf1 include:carrier.test -all")
    assert (await look_at(passing, SpfOffer("ours.test", ()))).state is State.PASS


async def test_an_address_that_our_include_refuses_is_not_tried() -> None:
    records = make_world("v=spf1 a -all")
    records["ours.test", "TXT"] = ['"v=spf1 -ip4:192.0.2.1 a:out.ours.test -all"']
    records["out.ours.test", "A"] = ["192.0.2.7"]
    look = await look_at(records, SpfOffer("ours.test", ()))
    assert look.detail == "fail for 192.0.2.7: v=spf1 a -all"


async def test_an_include_of_which_no_address_is_known_is_not_offered() -> None:
    records = make_world("v=spf1 a -all")
    records["ours.test", "TXT"] = ['"v=spf1 exists:%{i}.list.test -all"']
    look = await look_at(records, SpfOffer("ours.test", ()))
    assert (look.state, look.record) == (State.NOT_CHECKED, None)
    assert look.findings == ("no address is known that include:ours.test permits",)


async def test_an_include_without_record_is_not_offered() -> None:
    look = await look_at(make_world("v=spf1 a -all"), SpfOffer("gone.test", (OURS,)))
    assert look.record is not None
    assert look.record.value == "v=spf1 a ip4:192.0.2.1 -all"
    assert look.findings == (
        "our own include is of no use: include:gone.test: gone.test has no SPF record",
    )


async def test_an_include_that_does_not_permit_our_address_is_not_offered() -> None:
    offer = SpfOffer("p1.test", (IP4, ip_address("198.51.100.1")))
    look = await look_at(make_world("v=spf1 a -all"), offer)
    assert look.record is not None
    assert look.record.value == "v=spf1 a ip4:192.0.2.1 ip4:198.51.100.1 -all"
    assert look.findings == ("our own include:p1.test does not permit 192.0.2.1",)


async def test_every_address_of_ours_must_pass() -> None:
    offer = SpfOffer("ours.test", (IP4, IP6))
    half = await look_at(make_world("v=spf1 ip4:192.0.2.0/24 -all"), offer)
    assert (half.state, half.detail) == (
        State.FAIL,
        "fail for 2001:db8::1: v=spf1 ip4:192.0.2.0/24 -all",
    )
    whole = await look_at(make_world("v=spf1 include:ours.test -all"), offer)
    assert whole.state is State.PASS


async def test_addresses_alone_can_be_offered() -> None:
    look = await look_at(make_world("v=spf1 mx -all"), SpfOffer("", (IP4, IP6)))
    assert look.record is not None
    assert look.record.value == "v=spf1 mx ip4:192.0.2.1 ip6:2001:db8::1 -all"
    assert (look.lookups_before, look.lookups_after) == (1, 1)


async def test_a_domain_is_never_told_to_include_itself() -> None:
    offer = SpfOffer("ours.test", (ip_address("203.0.113.77"),))
    look = await look_at(make_world(), offer, domain="ours.test")
    assert look.record is not None
    assert "include:" not in look.record.value
