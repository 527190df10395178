"""What DNS says is told apart from what it could not be asked; asked of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
import pytest_asyncio
from dns.rdatatype import RdataType

from bounced.advisor import dns as asking
from bounced.advisor.dns import MailService, Outcome, Resolver, find_mail_service
from bounced.config import DnsSettings
from tests.advisor.nameserver import Behaviour, NameServer, Query, reply, truncate

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SHORT = "300ms"
"""For questions that fail; all others get what a busy machine may take."""

RECORDS = {
    ("gmail.test", "MX"): ["10 mx.gmail.test.", "20 mx2.gmail.test."],
    ("nomail.test", "MX"): ["0 ."],
    ("half.test", "MX"): ["0 .", "10 mx.half.test."],
    ("web.test", "A"): ["192.0.2.1"],
    ("web6.test", "AAAA"): ["2001:db8::1"],
    ("text.test", "TXT"): ['"nothing else"'],
    ("alias.test", "CNAME"): ["alias2.test."],
    ("alias2.test", "CNAME"): ["gmail.test."],
    ("nowhere.test", "CNAME"): ["gone.test."],
    ("empty.test", "CNAME"): ["text.test."],
    ("xn--mller-kva.test", "MX"): ["10 mx.gmail.test."],
    ("many.test", "MX"): [f"{i} mx{i}.a-long-name-of-a-host.test." for i in range(60)],
}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(dict(RECORDS)).run() as running:
        yield running


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def make_resolver(
    *servers: NameServer | str, timeout: str = "10s", clock: Clock | None = None
) -> Resolver:
    resolvers = tuple(each if isinstance(each, str) else each.address for each in servers)
    settings = DnsSettings.model_validate({"resolvers": resolvers, "timeout": timeout})
    return Resolver(settings, clock=clock or Clock())


@pytest.mark.parametrize(
    ("domain", "service"),
    [
        ("gmail.test", MailService.HAS_MX),
        ("GMAIL.Test.", MailService.HAS_MX),
        ("nomail.test", MailService.NULL_MX),
        ("half.test", MailService.HAS_MX),
        ("web.test", MailService.IMPLICIT),
        ("web6.test", MailService.IMPLICIT),
        ("text.test", MailService.NONE),
        ("gmial.test", MailService.NXDOMAIN),
        ("alias.test", MailService.HAS_MX),
        ("nowhere.test", MailService.NXDOMAIN),
        ("empty.test", MailService.NONE),
        ("müller.test", MailService.HAS_MX),
        ("many.test", MailService.HAS_MX),
    ],
)
async def test_a_domains_mail_service_is_what_its_records_say(
    server: NameServer, domain: str, service: MailService
) -> None:
    assert await find_mail_service(make_resolver(server), domain) is service


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "two..dots.test",
        "a b.test",
        "[192.0.2.1]",
        f"{'a' * 64}.test",
        ".".join(["a" * 60] * 5),
        "ü" * 70 + ".test",
        "\ud800.test",
        "a\0.test",
        "@.test",
    ],
)
async def test_a_name_that_cannot_exist_is_not_asked_for(server: NameServer, domain: str) -> None:
    assert await find_mail_service(make_resolver(server), domain) is MailService.NXDOMAIN
    assert server.asked == []


async def test_an_answer_holds_what_was_found(server: NameServer) -> None:
    resolver = make_resolver(server)
    found = await resolver.lookup("alias.test", RdataType.MX)
    assert sorted(map(str, found.records)) == sorted(RECORDS["gmail.test", "MX"])
    assert (found.outcome, found.ttl_s) == (Outcome.FOUND, 300)


async def test_a_long_answer_comes_by_tcp(server: NameServer) -> None:
    found = await make_resolver(server).lookup("many.test", RdataType.MX)
    assert len(found.records) == 60
    assert server.asked == [("many.test", "MX", "udp"), ("many.test", "MX", "tcp")]


def _refuse(rcode: dns.rcode.Rcode) -> Behaviour:
    return lambda query: [reply(query, rcode).to_wire()]


def _say_nothing(_query: Query) -> list[bytes]:
    return []


def _refer(query: Query) -> list[bytes]:
    """Point at other servers, as one does that is not asked for the whole way."""
    response = reply(query)
    response.authority.append(dns.rrset.from_text("test.", 300, "IN", "NS", "ns.other.test."))
    return [response.to_wire()]


def _begin_chain(query: Query) -> list[bytes]:
    """Name the alias, and not what it stands for."""
    response = reply(query)
    name = query.question[0].name
    response.answer.append(dns.rrset.from_text(name, 300, "IN", "CNAME", "other.test."))
    return [response.to_wire()]


def _loop(query: Query) -> list[bytes]:
    response = reply(query)
    name = query.question[0].name
    response.answer.append(dns.rrset.from_text(name, 300, "IN", "CNAME", "turn.test."))
    response.answer.append(dns.rrset.from_text("turn.test.", 300, "IN", "CNAME", str(name)))
    return [response.to_wire()]


def _answer_another(query: Query) -> list[bytes]:
    other = dns.message.make_query("gmial.test.", "MX")
    other.id = query.id
    return [reply(other, dns.rcode.NXDOMAIN).to_wire()]


def _forge_id(query: Query) -> list[bytes]:
    forged = dns.message.make_query(query.question[0].name, query.question[0].rdtype)
    forged.id = query.id ^ 1
    return [reply(forged, dns.rcode.NXDOMAIN).to_wire()]


def _contradict(query: Query) -> list[bytes]:
    """Say that there is no such name, and what it has."""
    response = reply(query, dns.rcode.NXDOMAIN)
    name = query.question[0].name
    response.answer.append(dns.rrset.from_text(name, 300, "IN", "MX", "10 mx.test."))
    return [response.to_wire()]


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(_refuse(dns.rcode.SERVFAIL), id="SERVFAIL"),
        pytest.param(_refuse(dns.rcode.REFUSED), id="REFUSED"),
        pytest.param(_refuse(dns.rcode.NOTIMP), id="NOTIMP"),
        pytest.param(_refuse(dns.rcode.FORMERR), id="FORMERR"),
        pytest.param(_refuse(dns.rcode.YXDOMAIN), id="YXDOMAIN"),
        pytest.param(_say_nothing, id="silence"),
        pytest.param(_refer, id="referral"),
        pytest.param(_begin_chain, id="half a chain"),
        pytest.param(_loop, id="CNAME loop"),
        pytest.param(_answer_another, id="answer to another question"),
        pytest.param(_forge_id, id="another id"),
        pytest.param(_contradict, id="NXDOMAIN with an answer"),
        pytest.param(lambda query: [truncate(query)], id="truncated, by TCP too"),
        pytest.param(lambda query: [query.to_wire()], id="the question itself"),
        pytest.param(lambda _query: [b"\0" * 5], id="no DNS"),
        pytest.param(lambda query: [reply(query).to_wire()[:-3]], id="cut off"),
    ],
)
async def test_what_cannot_be_believed_is_no_word_about_the_domain(
    server: NameServer, behaviour: Behaviour
) -> None:
    server.odd["odd.test"] = behaviour
    resolver = make_resolver(server, timeout=SHORT)
    assert await find_mail_service(resolver, "odd.test") is MailService.FAILED


async def test_the_true_answer_is_waited_for_behind_false_ones(server: NameServer) -> None:
    def lie_first(query: Query) -> list[bytes]:
        return [*_forge_id(query), *_answer_another(query), server.answer(query).to_wire()]

    server.odd["gmail.test"] = lie_first
    assert await find_mail_service(make_resolver(server), "gmail.test") is MailService.HAS_MX


@pytest.mark.parametrize("rdtype", ["A", "AAAA"])
async def test_an_address_that_cannot_be_asked_for_may_be_there(
    server: NameServer, rdtype: str
) -> None:
    server.records["odd.test", "TXT"] = ['"there"']

    def fail_once(query: Query) -> list[bytes]:
        if query.question[0].rdtype == RdataType[rdtype]:
            return _refuse(dns.rcode.SERVFAIL)(query)
        return [server.answer(query).to_wire()]

    server.odd["odd.test"] = fail_once
    assert await find_mail_service(make_resolver(server), "odd.test") is MailService.FAILED


async def test_the_next_resolver_is_asked_where_one_is_dead_or_refuses(
    server: NameServer,
) -> None:
    async with NameServer(odd={"gmail.test": _refuse(dns.rcode.REFUSED)}).run() as refusing:
        resolver = make_resolver(refusing, server)
        assert await find_mail_service(resolver, "gmail.test") is MailService.HAS_MX
    async with NameServer(odd={"gmail.test": _say_nothing}).run() as dead:
        resolver = make_resolver(dead, server, timeout="2s")
        assert await find_mail_service(resolver, "gmail.test") is MailService.HAS_MX


async def test_a_lost_packet_is_sent_again(server: NameServer) -> None:
    def lose_first(query: Query) -> list[bytes]:
        return [] if len(server.asked) == 1 else [server.answer(query).to_wire()]

    server.odd["gmail.test"] = lose_first
    resolver = make_resolver(server, timeout="2s")
    assert await find_mail_service(resolver, "gmail.test") is MailService.HAS_MX


async def test_where_nobody_listens_nothing_is_said(server: NameServer) -> None:
    resolver = make_resolver(f"127.0.0.9:{server.port}", timeout=SHORT)
    assert await find_mail_service(resolver, "gmail.test") is MailService.FAILED


async def test_an_answer_is_kept_as_long_as_it_holds(server: NameServer) -> None:
    clock = Clock()
    resolver = make_resolver(server, clock=clock)

    async def ask() -> int:
        """Ask for everything; return how many questions went out."""
        server.asked.clear()
        for name in ("gmail.test", "text.test", "gmial.test"):
            await resolver.lookup(name, RdataType.MX)
        return len(server.asked)

    assert await ask() == 3
    clock.now += timedelta(seconds=299)
    assert await ask() == 0
    assert (await resolver.lookup("gmial.test", RdataType.MX)).outcome is Outcome.NXDOMAIN
    assert (await resolver.lookup("text.test", RdataType.MX)).outcome is Outcome.NO_DATA
    clock.now += timedelta(seconds=1)
    assert await ask() == 3


async def test_no_answer_is_kept_for_more_than_an_hour(server: NameServer) -> None:
    clock = Clock()
    server.ttl_s = 86_400
    resolver = make_resolver(server, clock=clock)
    await resolver.lookup("gmail.test", RdataType.MX)
    clock.now += timedelta(minutes=59)
    await resolver.lookup("gmail.test", RdataType.MX)
    assert len(server.asked) == 1
    clock.now += timedelta(minutes=1)
    await resolver.lookup("gmail.test", RdataType.MX)
    assert len(server.asked) == 2


async def test_neither_a_failure_nor_what_holds_for_no_time_is_kept(server: NameServer) -> None:
    server.ttl_s = 0
    server.odd["odd.test"] = _refuse(dns.rcode.SERVFAIL)
    resolver = make_resolver(server)
    for _ in range(2):
        await resolver.lookup("gmail.test", RdataType.MX)
        await resolver.lookup("odd.test", RdataType.MX)
    assert server.list_asked() == [("gmail.test", "MX"), ("odd.test", "MX")] * 2


async def test_of_too_many_answers_the_one_used_longest_ago_goes(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_KEPT", 2)
    resolver = make_resolver(server)
    for name in ("gmail.test", "text.test", "gmail.test", "web.test"):
        await resolver.lookup(name, RdataType.MX)
    server.asked.clear()
    for name in ("web.test", "gmail.test", "text.test"):
        await resolver.lookup(name, RdataType.MX)
    assert server.list_asked() == [("text.test", "MX")]


async def test_so_many_questions_at_once_are_all_answered(server: NameServer) -> None:
    resolver = make_resolver(server)
    server.records |= {(f"d{i}.test", "MX"): ["10 mx.gmail.test."] for i in range(200)}
    found = await asyncio.gather(*(find_mail_service(resolver, f"d{i}.test") for i in range(200)))
    assert set(found) == {MailService.HAS_MX}


async def test_the_hosts_file_is_read_anew_after_a_failure(
    server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "resolv.conf"
    read = dns.resolver.BaseResolver.read_resolv_conf
    monkeypatch.setattr(
        dns.resolver.BaseResolver, "read_resolv_conf", lambda self, _file: read(self, str(file))
    )
    resolver = Resolver(DnsSettings.model_validate({"timeout": "1s"}), clock=Clock())
    assert (await resolver.lookup("gmail.test", RdataType.MX)).outcome is Outcome.FAILED
    file.write_text("nameserver 127.0.0.1\n")
    assert (await resolver.lookup("gmail.test", RdataType.MX)).outcome is Outcome.FAILED
    resolver._stub.port = server.port  # resolv.conf can name no other
    assert (await resolver.lookup("gmail.test", RdataType.MX)).outcome is Outcome.FOUND


@pytest.mark.parametrize(
    ("named", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 53),
        ("192.0.2.1:5353", "192.0.2.1", 5353),
        ("2001:db8::1", "2001:db8::1", 53),
        ("[2001:db8::1]:5353", "2001:db8::1", 5353),
    ],
)
def test_a_resolver_is_an_address_with_or_without_port(
    named: str, address: str, port: int
) -> None:
    stub = asking._make_stub(DnsSettings(resolvers=(named,)))
    (server,) = stub.nameservers
    assert str(server) == f"Do53:{address}@{port}"
