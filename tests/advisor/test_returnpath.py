"""What stands where a return path is to lead to us is seen, and to be replaced."""

from __future__ import annotations

import pytest

from bounced.diagnosis import Check, DiagnosisFinding, DnsRecord, Fix, State
from bounced.model import Reason
from tests.advisor.failing import refuse
from tests.advisor.nameserver import Behaviour
from tests.advisor.sender_site import (
    OURS,
    POLICY,
    SPF,
    TO_LEAD,
    WITH_ALL,
    WITH_PATH,
    Zone,
    ask,
    refused,
)


async def test_what_is_at_the_return_path_is_to_be_replaced() -> None:
    zone = {
        ("bounces.firma.example", "TXT"): ['"v=spf1 -all"'],
        ("bounces.firma.example", "A"): ["192.0.2.9"],
        **POLICY,
    }
    diagnosis = await ask(refused(Reason.DMARC), zone, WITH_PATH)
    assert diagnosis.records == (
        DnsRecord("bounces.firma.example", "CNAME", OURS, 'A 192.0.2.9\nTXT "v=spf1 -all"'),
    )
    elsewhere = {("bounces.firma.example", "CNAME"): ["old.example."], **POLICY}
    diagnosis = await ask(refused(Reason.DMARC), elsewhere, WITH_PATH)
    assert diagnosis.records == (
        DnsRecord("bounces.firma.example", "CNAME", OURS, "CNAME old.example"),
    )
    assert diagnosis.findings[-1] == DiagnosisFinding(
        Check.RETURN_PATH,
        State.FAIL,
        "bounces.firma.example: CNAME old.example in the way of CNAME bounce.app.example",
    )


WILDCARDS: tuple[Zone, ...] = (
    {("*.firma.example", "A"): ["203.0.113.5"], ("*.firma.example", "TXT"): ['"v=spf1 -all"']},
    {("*.firma.example", "CNAME"): ["www.hoster.example."]},
)


@pytest.mark.parametrize("wildcard", WILDCARDS)
async def test_what_a_wildcard_gives_is_not_in_the_way(wildcard: Zone) -> None:
    """RFC 4592 §2.2.1: it yields to the record, and must not be taken away for it."""
    diagnosis = await ask(refused(Reason.DMARC), {**wildcard, **POLICY}, WITH_PATH)
    assert diagnosis.records == (TO_LEAD,)
    assert diagnosis.findings[-1] == DiagnosisFinding(
        Check.RETURN_PATH,
        State.MISSING,
        "bounces.firma.example: no CNAME bounce.app.example",
    )


async def test_a_wildcard_that_leads_to_us_does_as_well() -> None:
    wildcard = {("*.firma.example", "CNAME"): [f"{OURS}."], **POLICY}
    diagnosis = await ask(refused(Reason.DMARC), wildcard, WITH_PATH)
    assert diagnosis.fix is Fix.OURS


async def test_what_stands_beside_a_wildcard_is_in_the_way() -> None:
    zone = {
        ("*.firma.example", "A"): ["203.0.113.5"],
        ("bounces.firma.example", "A"): ["203.0.113.6"],
        **POLICY,
    }
    diagnosis = await ask(refused(Reason.DMARC), zone, WITH_PATH)
    assert [record.replaces for record in diagnosis.records] == ["A 203.0.113.6"]


async def test_where_nobody_can_say_whether_it_is_a_wildcards_nothing_is_said() -> None:
    zone = {("bounces.firma.example", "A"): ["203.0.113.6"], **POLICY}
    odd: dict[str, Behaviour] = {"_nothing-stands-here.firma.example": refuse}
    diagnosis = await ask(refused(Reason.DMARC), zone, WITH_PATH, odd=odd)
    assert (diagnosis.fix, diagnosis.records) == (Fix.NOT_CHECKED, ())


async def test_a_return_path_is_not_looked_at_where_keys_do_as_well() -> None:
    diagnosis = await ask(refused(Reason.DMARC), {**SPF, **POLICY}, WITH_ALL)
    assert Check.RETURN_PATH not in {finding.check for finding in diagnosis.findings}
