"""Which DMARC policy holds for a domain; asked of a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bounced.advisor.dmarc import (
    DmarcLook,
    examine_dmarc,
    is_aligned,
)
from bounced.advisor.fixes import Dmarc
from bounced.diagnosis import Check, DiagnosisFinding, DnsRecord, State
from tests.advisor.failing import ask, quote, refuse
from tests.advisor.nameserver import NameServer

STARTER = "v=DMARC1; p=none"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer({("firma.test", "A"): ["192.0.2.1"]}).run() as running:
        yield running


def publish(server: NameServer, domain: str, *texts: str | bytes) -> None:
    server.records[f"_dmarc.{domain}", "TXT"] = quote(*texts)


async def look(server: NameServer, domain: str = "firma.test") -> DmarcLook:
    return await examine_dmarc(ask(server), domain)


@pytest.mark.parametrize(
    ("record", "policy"),
    [
        ("v=DMARC1; p=none", Dmarc.NONE),
        ("v=DMARC1; p=quarantine", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject", Dmarc.ENFORCED),
        ("v=DMARC1;p=reject;", Dmarc.ENFORCED),
        ("v = DMARC1 ; p = reject ; ", Dmarc.ENFORCED),
        ("V=DMARC1; P=Reject", Dmarc.ENFORCED),
        ("v=DMARC1; rua=mailto:dmarc@firma.test; p=reject", Dmarc.ENFORCED),
        ("v=DMARC1; x=unknown; words; p=reject; =", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject; p=none", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject; pct=0", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject; sp=none; np=none", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject; t=y", Dmarc.ENFORCED),
        ("v=DMARC1; p=quarantine; t=y", Dmarc.NONE),
        ("v=DMARC1; p=none; t=y", Dmarc.NONE),
        ("v=DMARC1; rua=mailto:dmarc@firma.test", Dmarc.NONE),
        ("v=DMARC1; p=rejct; rua=mailto:dmarc@firma.test", Dmarc.NONE),
        ("v=DMARC1; p=reject; sp=rejct; rua=mailto:dmarc@firma.test", Dmarc.NONE),
    ],
)
async def test_the_record_of_the_domain_says_its_policy(
    server: NameServer, record: str, policy: Dmarc
) -> None:
    publish(server, "firma.test", record)
    finding = DiagnosisFinding(Check.DMARC, State.PASS, f"_dmarc.firma.test: {record.strip()}")
    assert await look(server) == DmarcLook(
        policy, strict_dkim=False, strict_spf=False, finding=finding, record=None
    )
    assert server.list_asked() == [("_dmarc.firma.test", "TXT")]


@pytest.mark.parametrize(
    ("tags", "strict_dkim", "strict_spf"),
    [
        ("", False, False),
        ("; adkim=r; aspf=r", False, False),
        ("; adkim=s", True, False),
        ("; aspf=S", False, True),
        ("; adkim=strict; aspf=", False, False),
    ],
)
async def test_alignment_is_strict_only_where_the_record_says_so(
    server: NameServer, tags: str, strict_dkim: bool, strict_spf: bool
) -> None:
    publish(server, "firma.test", f"v=DMARC1; p=reject{tags}")
    found = await look(server)
    assert (found.strict_dkim, found.strict_spf) == (strict_dkim, strict_spf)


@pytest.mark.parametrize(
    ("texts", "state", "detail", "instead"),
    [
        ([], State.MISSING, "no DMARC record there, nor above it", (None, STARTER)),
        (["v=spf1 -all"], State.MISSING, "no DMARC record there, nor above it", (None, STARTER)),
        (
            ["p=none; v=DMARC1"],
            State.MISSING,
            "no DMARC record there, nor above it",
            (None, STARTER),
        ),
        (
            ["v=dmarc1; p=reject"],
            State.BROKEN,
            "no DMARC record, though it was to be one: v=dmarc1; p=reject",
            ("v=dmarc1; p=reject", "v=DMARC1; p=none"),
        ),
        (
            ["v=DMARC1 p=reject", "v=spf1 -all"],
            State.BROKEN,
            "no DMARC record, though it was to be one: v=DMARC1 p=reject",
            ("v=DMARC1 p=reject", "v=DMARC1; p=none"),
        ),
        (
            ["v=DMARC1; p=reject", "v=DMARC1; p=none"],
            State.BROKEN,
            "2 DMARC records, so that none counts",
            ("v=DMARC1; p=none\nv=DMARC1; p=reject", "v=DMARC1; p=none"),
        ),
        (
            ["v=DMARC1"],
            State.BROKEN,
            "no valid policy, and nobody to report to: v=DMARC1",
            ("v=DMARC1", "v=DMARC1; p=none"),
        ),
        (
            ["v=DMARC1; p=reject; np=rejct"],
            State.BROKEN,
            "no valid policy, and nobody to report to: v=DMARC1; p=reject; np=rejct",
            ("v=DMARC1; p=reject; np=rejct", "v=DMARC1; p=none"),
        ),
    ],
)
async def test_what_is_no_policy_is_absent_and_another_takes_its_place(
    server: NameServer,
    texts: list[str],
    state: State,
    detail: str,
    instead: tuple[str | None, str],
) -> None:
    if texts:
        publish(server, "firma.test", *texts)
    assert await look(server) == DmarcLook(
        Dmarc.ABSENT,
        strict_dkim=False,
        strict_spf=False,
        finding=DiagnosisFinding(Check.DMARC, state, f"_dmarc.firma.test: {detail}"),
        record=DnsRecord("_dmarc.firma.test", "TXT", instead[1], instead[0]),
    )


@pytest.mark.parametrize(
    "wildcard",
    [
        {("*.firma.test", "CNAME"): ["www.hoster.test."]},
        {("*.firma.test", "TXT"): ['"v=DMARC1"', '"v=spf1 -all"']},
        {("*.firma.test", "CNAME"): ["a.hoster.test."], ("a.hoster.test", "TXT"): ['"v=DMARC1"']},
    ],
)
async def test_what_a_wildcard_gives_is_not_to_be_replaced(
    server: NameServer, wildcard: dict[tuple[str, str], list[str]]
) -> None:
    server.records.update(wildcard)
    assert (await look(server)).record == DnsRecord("_dmarc.firma.test", "TXT", STARTER)


async def test_what_may_be_a_wildcards_is_not_judged(server: NameServer) -> None:
    publish(server, "firma.test", "v=DMARC1")
    server.odd["_nothing-stands-here.firma.test"] = refuse
    found = await look(server)
    assert (found.policy, found.record) == (None, None)


async def test_the_starter_stands_at_the_organization_and_reports_where_we_are_told(
    server: NameServer,
) -> None:
    found = await examine_dmarc(ask(server), "bau.firma.test", "dmarc+a,b;c!@site.example")
    assert found.record == DnsRecord(
        "_dmarc.firma.test",
        "TXT",
        "v=DMARC1; p=none; rua=mailto:dmarc+a%2Cb%3Bc%21@site.example",
    )


@pytest.mark.parametrize(
    ("record", "domain", "policy"),
    [
        ("v=DMARC1; p=reject", "bau.firma.test", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject; sp=none", "bau.firma.test", Dmarc.NONE),
        ("v=DMARC1; p=none; sp=reject", "bau.firma.test", Dmarc.ENFORCED),
        ("v=DMARC1; p=none; sp=reject; np=none", "bau.firma.test", Dmarc.ENFORCED),
        ("v=DMARC1; p=none; np=reject", "bau.firma.test", Dmarc.NONE),
        ("v=DMARC1; p=none; np=reject", "nowhere.firma.test", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject; np=none", "nowhere.firma.test", Dmarc.NONE),
        ("v=DMARC1; p=none; sp=reject", "nowhere.firma.test", Dmarc.ENFORCED),
        ("v=DMARC1; p=reject", "a.b.c.d.e.f.g.h.firma.test", Dmarc.ENFORCED),
    ],
)
async def test_a_domain_without_record_has_the_policy_of_the_organization(
    server: NameServer, record: str, domain: str, policy: Dmarc
) -> None:
    server.records["bau.firma.test", "A"] = ["192.0.2.1"]
    publish(server, "firma.test", record)
    found = await look(server, domain)
    assert (found.policy, found.finding.detail) == (policy, f"_dmarc.firma.test: {record}")


@pytest.mark.parametrize(
    ("records", "speaks"),
    [
        ({"firma.test": "", "test": "psd=y"}, "firma.test"),
        ({"test": "psd=y"}, "test"),
        ({"b.firma.test": "psd=n", "firma.test": "", "test": ""}, "b.firma.test"),
        ({"b.firma.test": "", "firma.test": ""}, "firma.test"),
        ({"b.firma.test": "", "firma.test": "psd=y", "test": ""}, "b.firma.test"),
        ({"b.firma.test": "", "firma.test": "psd=u"}, "firma.test"),
        ({"b.firma.test": "", "test": "psd=y"}, "test"),
        ({"a.b.firma.test": "psd=y", "firma.test": ""}, "a.b.firma.test"),
    ],
)
async def test_the_walk_ends_at_the_organization(
    server: NameServer, records: dict[str, str], speaks: str
) -> None:
    for domain, tag in records.items():
        publish(server, domain, f"v=DMARC1; p=reject; {tag}")
    found = await look(server, "a.b.firma.test")
    assert found.policy is Dmarc.ENFORCED
    assert found.finding.detail.startswith(f"_dmarc.{speaks}: ")


async def test_of_two_records_none_counts_and_those_above_do(server: NameServer) -> None:
    publish(server, "bau.firma.test", "v=DMARC1; p=reject", "v=DMARC1; p=reject; t=n")
    publish(server, "firma.test", "v=DMARC1; p=none")
    assert (await look(server, "bau.firma.test")).policy is Dmarc.NONE


async def test_a_useless_record_of_its_own_is_mended_where_it_stands(server: NameServer) -> None:
    publish(server, "bau.firma.test", "v=DMARC1; p=rejct")
    publish(server, "firma.test", "v=DMARC1; p=reject")
    found = await look(server, "bau.firma.test")
    assert (found.policy, found.record) == (
        Dmarc.ABSENT,
        DnsRecord("_dmarc.bau.firma.test", "TXT", STARTER, "v=DMARC1; p=rejct"),
    )


async def test_the_deepest_domain_costs_eight_questions(server: NameServer) -> None:
    await look(server, "a.b.c.d.e.f.g.h.i.firma.test")
    asked = [name for name, rdtype in server.list_asked() if rdtype == "TXT"]
    assert asked[0] == "_dmarc.a.b.c.d.e.f.g.h.i.firma.test"
    assert sorted(asked[1:], key=len) == [
        "_dmarc.test",
        "_dmarc.firma.test",
        "_dmarc.i.firma.test",
        "_dmarc.h.i.firma.test",
        "_dmarc.g.h.i.firma.test",
        "_dmarc.f.g.h.i.firma.test",
        "_dmarc.e.f.g.h.i.firma.test",
    ]


@pytest.mark.parametrize("behind", [{}, {("dmarc.hoster.test", "TXT"): ['"v=DMARC1"']}])
async def test_an_alias_that_leads_to_no_policy_goes(
    server: NameServer, behind: dict[tuple[str, str], list[str]]
) -> None:
    """Beside it no record can stand."""
    server.records["_dmarc.firma.test", "CNAME"] = ["dmarc.hoster.test."]
    server.records.update(behind)
    assert (await look(server)).record == DnsRecord(
        "_dmarc.firma.test", "TXT", STARTER, "CNAME dmarc.hoster.test"
    )


async def test_the_record_behind_an_alias_counts(server: NameServer) -> None:
    server.records["_dmarc.firma.test", "CNAME"] = ["dmarc.hoster.test."]
    server.records["dmarc.hoster.test", "TXT"] = quote("v=DMARC1; p=reject")
    assert (await look(server)).policy is Dmarc.ENFORCED


@pytest.mark.parametrize(
    "failing", ["_dmarc.bau.firma.test", "_dmarc.firma.test", "_dmarc.test", "bau.firma.test"]
)
async def test_a_failed_look_up_is_never_read_as_no_record(
    server: NameServer, failing: str
) -> None:
    publish(server, "firma.test", "v=DMARC1; p=none; np=reject")
    server.odd[failing] = refuse
    assert await look(server, "bau.firma.test") == DmarcLook(
        None,
        strict_dkim=False,
        strict_spf=False,
        finding=DiagnosisFinding(
            Check.DMARC, State.NOT_CHECKED, f"{failing}: DNS could not be asked"
        ),
        record=None,
    )


async def test_what_lies_above_the_end_of_the_walk_may_fail(server: NameServer) -> None:
    publish(server, "firma.test", "v=DMARC1; p=reject; psd=n")
    server.odd["_dmarc.test"] = refuse
    assert (await look(server, "bau.firma.test")).policy is Dmarc.ENFORCED


@pytest.mark.parametrize(
    "text",
    [
        b"v=DMARC1; p=\xff\xfe",
        "v=DMARC1; p=" + "x" * 60_000,
        "v=DMARC1; \u202ep=none\r\n\x1b[2J",
        ";" * 9_000,
        "v=DMARC1;" + "=" * 9_000,
        b"",
    ],
)
async def test_a_hostile_record_is_shown_as_one_short_line(
    server: NameServer, text: str | bytes
) -> None:
    publish(server, "firma.test", text)
    found = await look(server)
    shown = [found.finding.detail, (found.record and found.record.replaces) or ""]
    assert found.policy is Dmarc.ABSENT
    assert all(len(line) < 700 and line.isprintable() and "\u202e" not in line for line in shown)


@pytest.mark.parametrize(
    ("identifier", "from_domain", "strict", "expected"),
    [
        ("firma.test", "firma.test", True, True),
        ("Firma.TEST.", "firma.test", True, True),
        ("bau.firma.test", "firma.test", True, False),
        ("bau.firma.test", "firma.test", False, True),
        ("firma.test", "bau.firma.test", False, True),
        ("mail.firma.test", "bau.firma.test", False, True),
        ("andere.test", "firma.test", False, False),
        ("firma.co.uk", "andere.co.uk", False, False),
        ("co.uk", "firma.co.uk", False, False),
        ("mail.firma.co.uk", "firma.co.uk", False, True),
        ("a.github.io", "b.github.io", False, False),
        ("a.blogspot.com", "b.blogspot.com", False, False),
        ("x.a.github.io", "a.github.io", False, True),
        ("müller.test", "bau.xn--mller-kva.test", False, True),
        ("", "", False, False),
        ("", "firma.test", True, False),
        ("test", "firma.test", False, False),
    ],
)
def test_a_domain_is_aligned_with_its_own_organization(
    identifier: str, from_domain: str, strict: bool, expected: bool
) -> None:
    assert is_aligned(identifier, from_domain, strict=strict) is expected
