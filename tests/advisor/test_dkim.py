"""Whether the keys of a mail, and ours, stand in DNS; asked of a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bounced.advisor.dkim import DkimLook, examine_dkim
from bounced.advisor.dmarc import is_aligned
from bounced.advisor.fixes import Dkim
from bounced.diagnosis import Check, DiagnosisFinding, DnsRecord, State
from bounced.model import Signature
from bounced.values import DkimCname
from tests.advisor.dkim_keys import make_other_rsa_key, make_rsa_key
from tests.advisor.failing import ask, quote, refuse, refuse_type
from tests.advisor.nameserver import NameServer

KEY = f"v=DKIM1; k=rsa; p={make_rsa_key()}"
OTHER_KEY = f"v=DKIM1; k=rsa; p={make_other_rsa_key()}"
S1, S2 = DkimCname("s1", "s1.dkim.site.test"), DkimCname("s2", "{domain}.dkim.site.test")
HIS, OURS = Signature("firma.test", "his"), Signature("site.test", "our")
S1_NAME, S2_NAME = "s1._domainkey.firma.test", "s2._domainkey.firma.test"
S2_TARGET = "firma.test.dkim.site.test"
HIS_NAME, OUR_NAME = "his._domainkey.firma.test", "our._domainkey.site.test"
OUR_KEYS = {
    ("s1.dkim.site.test", "TXT"): quote(KEY),
    (S2_TARGET, "TXT"): quote(OTHER_KEY),
    (OUR_NAME, "TXT"): quote(KEY),
}
CNAMES = {(S1_NAME, "CNAME"): ["s1.dkim.site.test."], (S2_NAME, "CNAME"): [f"{S2_TARGET}."]}
WANTED = DnsRecord(S1_NAME, "CNAME", "s1.dkim.site.test")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(dict(OUR_KEYS)).run() as running:
        yield running


async def look(
    server: NameServer, *signatures: Signature, cnames: tuple[DkimCname, ...] = ()
) -> DkimLook:
    return await examine_dkim(
        ask(server),
        "firma.test",
        signatures,
        cnames,
        is_aligned=lambda domain: is_aligned(domain, "firma.test", strict=False),
    )


def find(state: State, detail: str) -> DiagnosisFinding:
    return DiagnosisFinding(Check.DKIM, state, detail)


async def test_where_nothing_is_signed_and_nothing_offered_there_is_nothing_to_see(
    server: NameServer,
) -> None:
    assert await look(server) == DkimLook(Dkim.NONE, (), ())
    assert server.asked == []


async def test_a_signature_of_his_domain_with_its_key_is_good(server: NameServer) -> None:
    server.records[HIS_NAME, "TXT"] = quote(KEY)
    finding = find(State.PASS, f"{HIS_NAME}: RSA key of 1024 bits")
    assert await look(server, HIS) == DkimLook(Dkim.GOOD, (finding,), ())


async def test_one_good_signature_of_his_domain_is_enough(server: NameServer) -> None:
    server.records["his._domainkey.mail.firma.test", "TXT"] = quote(KEY)
    below = Signature("mail.firma.test", "his")
    assert (await look(server, HIS, OURS, below)).signing is Dkim.GOOD


@pytest.mark.parametrize(
    ("texts", "state", "detail"),
    [
        ([], State.MISSING, "no key"),
        (
            ["v=DKIM1; p="],
            State.BROKEN,
            "a useless key (p= is empty, so that the key is revoked): v=DKIM1; p=",
        ),
        (["words"], State.BROKEN, "a useless key (no list of tags (RFC 6376 §3.2)): words"),
        ([KEY, OTHER_KEY], State.BROKEN, "2 TXT records, of which no key can be read"),
    ],
)
async def test_a_signature_of_his_domain_without_usable_key_is_broken(
    server: NameServer, texts: list[str], state: State, detail: str
) -> None:
    if texts:
        server.records[HIS_NAME, "TXT"] = quote(*texts)
    look_at = await look(server, HIS, OURS)
    assert look_at == DkimLook(
        Dkim.BROKEN,
        (
            find(state, f"{HIS_NAME}: {detail}"),
            find(State.PASS, f"{OUR_NAME}: RSA key of 1024 bits"),
        ),
        (),
    )


async def test_a_signature_of_ours_alone_is_ours(server: NameServer) -> None:
    assert (await look(server, OURS)).signing is Dkim.OURS
    server.records[OUR_NAME, "TXT"] = quote("v=DKIM1; p=")
    assert (await look(server, OURS)).signing is Dkim.OURS_BROKEN


async def test_our_keys_below_his_domain_are_ready(server: NameServer) -> None:
    server.records |= CNAMES
    expected = DkimLook(
        Dkim.READY,
        (
            find(State.PASS, f"{S1_NAME}: CNAME to s1.dkim.site.test, RSA key of 1024 bits"),
            find(State.PASS, f"{S2_NAME}: CNAME to {S2_TARGET}, RSA key of 1024 bits"),
        ),
        (),
    )
    assert await look(server, cnames=(S1, S2)) == expected
    assert (await look(server, OURS, cnames=(S1, S2))).signing is Dkim.READY


async def test_signed_by_one_of_our_keys_below_his_domain_is_good(server: NameServer) -> None:
    server.records |= CNAMES
    found = await look(server, Signature("firma.test", "s1"), cnames=(S1,))
    finding = find(State.PASS, f"{S1_NAME}: CNAME to s1.dkim.site.test, RSA key of 1024 bits")
    assert found == DkimLook(Dkim.GOOD, (finding,), ())


async def test_a_missing_cname_is_proposed(server: NameServer) -> None:
    server.records[S2_NAME, "CNAME"] = CNAMES[S2_NAME, "CNAME"]
    assert await look(server, OURS, cnames=(S1, S2)) == DkimLook(
        Dkim.OURS,
        (
            find(State.PASS, f"{OUR_NAME}: RSA key of 1024 bits"),
            find(State.MISSING, f"{S1_NAME}: no CNAME to s1.dkim.site.test"),
            find(State.PASS, f"{S2_NAME}: CNAME to {S2_TARGET}, RSA key of 1024 bits"),
        ),
        (WANTED,),
    )


async def test_nobody_is_led_to_a_key_that_we_do_not_have(server: NameServer) -> None:
    del server.records["s1.dkim.site.test", "TXT"]
    finding = find(
        State.MISSING,
        f"{S1_NAME}: our own key is of no use: s1.dkim.site.test: no key; only we can mend it",
    )
    assert await look(server, cnames=(S1,)) == DkimLook(Dkim.NONE, (finding,), ())


async def test_a_key_of_his_own_may_be_made_after_he_leads_to_it(server: NameServer) -> None:
    name, target = "k._domainkey.firma.test", "k.firma.test.dkim.site.test"
    finding = find(State.MISSING, f"{name}: no CNAME to {target}")
    wanted = DnsRecord(name, "CNAME", target)
    cname = DkimCname("k", "k.{domain}.dkim.site.test")
    assert await look(server, cnames=(cname,)) == DkimLook(Dkim.NONE, (finding,), (wanted,))


@pytest.mark.parametrize(
    ("there", "rdata", "replaces"),
    [
        ("CNAME", ["s1.dkim.other.test."], "CNAME s1.dkim.other.test"),
        ("TXT", quote(OTHER_KEY), f"TXT {OTHER_KEY}"),
        ("TXT", quote("v=spf1 -all"), "TXT v=spf1 -all"),
        ("TXT", quote("b", "a"), "TXT a\nTXT b"),
    ],
)
async def test_what_stands_in_the_place_of_our_cname_is_replaced(
    server: NameServer, there: str, rdata: list[str], replaces: str
) -> None:
    server.records["s1.dkim.other.test", "TXT"] = quote(OTHER_KEY)
    server.records[S1_NAME, there] = rdata
    first = replaces.partition("\n")[0]
    assert await look(server, cnames=(S1,)) == DkimLook(
        Dkim.NONE,
        (find(State.BROKEN, f"{S1_NAME}: no CNAME to s1.dkim.site.test, but {first}"),),
        (DnsRecord(S1_NAME, "CNAME", "s1.dkim.site.test", replaces),),
    )


async def test_our_key_copied_is_ready_and_warned_of(server: NameServer) -> None:
    server.records[S1_NAME, "TXT"] = quote(KEY.replace("k=rsa; ", ""))
    detail = "TXT with the key of s1.dkim.site.test: right as long as we keep that key"
    assert await look(server, cnames=(S1,)) == DkimLook(
        Dkim.READY, (find(State.WARNING, f"{S1_NAME}: {detail}"),), ()
    )


async def test_our_key_by_way_of_another_host_is_ready_and_warned_of(server: NameServer) -> None:
    server.records[S1_NAME, "CNAME"] = ["s1.other.test."]
    server.records["s1.other.test", "CNAME"] = ["s1.dkim.site.test."]
    detail = (
        "CNAME to s1.other.test, which holds the key of s1.dkim.site.test: "
        "right as long as we keep that key"
    )
    assert await look(server, cnames=(S1,)) == DkimLook(
        Dkim.READY, (find(State.WARNING, f"{S1_NAME}: {detail}"),), ()
    )


@pytest.mark.parametrize(
    "wildcard",
    [
        {("*.firma.test", "TXT"): quote("v=spf1 -all")},
        {("*._domainkey.firma.test", "TXT"): quote("v=DKIM1; p=")},
        {("*.firma.test", "CNAME"): ["www.hoster.test."]},
    ],
)
async def test_what_a_wildcard_gives_is_not_to_be_replaced(
    server: NameServer, wildcard: dict[tuple[str, str], list[str]]
) -> None:
    """RFC 4592 §2.2.1: it yields to the record, and must not be taken away for it."""
    server.records |= wildcard
    finding = find(State.MISSING, f"{S1_NAME}: no CNAME to s1.dkim.site.test")
    assert await look(server, cnames=(S1,)) == DkimLook(Dkim.NONE, (finding,), (WANTED,))


async def test_what_may_be_a_wildcards_is_not_judged(server: NameServer) -> None:
    server.records[S1_NAME, "TXT"] = quote("v=DKIM1; p=")
    server.odd["_nothing-stands-here._domainkey.firma.test"] = refuse
    finding = find(State.NOT_CHECKED, f"{S1_NAME}: DNS could not be asked")
    assert await look(server, cnames=(S1,)) == DkimLook(None, (finding,), ())


@pytest.mark.parametrize(
    ("ours", "state", "there"),
    [
        ([], State.MISSING, "no key"),
        (
            quote("v=DKIM1; p="),
            State.BROKEN,
            "a useless key (p= is empty, so that the key is revoked): v=DKIM1; p=",
        ),
    ],
)
async def test_a_right_cname_to_no_key_is_ours_to_mend(
    server: NameServer, ours: list[str], state: State, there: str
) -> None:
    server.records |= CNAMES
    del server.records["s1.dkim.site.test", "TXT"]
    if ours:
        server.records["s1.dkim.site.test", "TXT"] = ours
    detail = f"CNAME to s1.dkim.site.test is right, but there is {there}: only we can mend it"
    finding = find(state, f"{S1_NAME}: {detail}")
    assert await look(server, cnames=(S1,)) == DkimLook(Dkim.NONE, (finding,), ())
    signed = Signature("firma.test", "s1")
    assert await look(server, signed, cnames=(S1,)) == DkimLook(Dkim.OURS_BROKEN, (finding,), ())
    both = await look(server, signed, HIS, cnames=(S1,))
    assert both.signing is Dkim.BROKEN


@pytest.mark.parametrize(
    ("failing", "signatures", "cnames"),
    [
        (HIS_NAME, (HIS,), ()),
        (HIS_NAME, (HIS, OURS), ()),
        (OUR_NAME, (OURS,), ()),
        (S1_NAME, (), (S1,)),
        (S1_NAME, (OURS,), (S1,)),
        (S1_NAME, (Signature("firma.test", "s1"),), (S1,)),
        (S1_NAME, (), (S1, S2)),
    ],
)
async def test_a_failed_look_up_that_decides_is_never_read_as_no_key(
    server: NameServer,
    failing: str,
    signatures: tuple[Signature, ...],
    cnames: tuple[DkimCname, ...],
) -> None:
    server.records |= CNAMES
    server.odd[failing] = refuse
    found = await look(server, *signatures, cnames=cnames)
    assert (found.signing, found.records) == (None, ())
    assert find(State.NOT_CHECKED, f"{failing}: DNS could not be asked") in found.findings


@pytest.mark.parametrize("rdtype", ["CNAME", "TXT"])
async def test_a_selector_is_not_checked_where_half_of_it_is_not(
    server: NameServer, rdtype: str
) -> None:
    server.records |= CNAMES
    server.odd[S1_NAME] = refuse_type(server, rdtype)
    finding = find(State.NOT_CHECKED, f"{S1_NAME}: DNS could not be asked")
    assert await look(server, cnames=(S1,)) == DkimLook(None, (finding,), ())


async def test_whether_a_key_is_ours_cannot_be_said_without_ours(server: NameServer) -> None:
    server.records[S1_NAME, "TXT"] = quote(KEY)
    server.odd["s1.dkim.site.test"] = refuse
    detail = "s1.dkim.site.test, which holds our key, could not be asked"
    finding = find(State.NOT_CHECKED, f"{S1_NAME}: {detail}")
    assert await look(server, cnames=(S1,)) == DkimLook(None, (finding,), ())


async def test_a_failed_look_up_that_decides_nothing_changes_nothing(server: NameServer) -> None:
    server.records[HIS_NAME, "TXT"] = quote(KEY)
    server.odd[S1_NAME] = server.odd[OUR_NAME] = refuse
    assert (await look(server, HIS, OURS, cnames=(S1,))).signing is Dkim.GOOD
    server.odd = {S2_NAME: refuse}
    assert (await look(server, OURS, cnames=(S1, S2))).signing is Dkim.OURS


async def test_of_many_signatures_his_are_looked_at_first(server: NameServer) -> None:
    server.records[HIS_NAME, "TXT"] = quote(KEY)
    others = [Signature(f"d{number}.test", "x") for number in range(50)]
    found = await look(server, *others, *others, HIS)
    assert found.signing is Dkim.GOOD
    assert len(server.asked) == len(found.findings) == 8


async def test_any_names_and_answers_are_harmless(server: NameServer) -> None:
    server.records[HIS_NAME, "TXT"] = quote(b"\xff\x00" * 9_000)
    server.records[S1_NAME, "TXT"] = quote(*(f"v=DKIM1; p=\u202e\x1b[2J{i}" for i in range(90)))
    strange = Signature("\u202eevil\n.test", "s" * 9_000)
    found = await look(server, HIS, strange, cnames=(S1,))
    shown = [each.detail for each in found.findings]
    shown += (found.records[0].replaces or "").split("\n")
    assert found.signing is Dkim.BROKEN
    assert all(len(line) < 1_200 and line.isprintable() for line in shown)
    assert len(shown) == 8
