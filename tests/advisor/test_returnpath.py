"""What stands where a return path is to lead to us is seen, and to be replaced."""

from __future__ import annotations

from bounced.diagnosis import Check, DiagnosisFinding, DnsRecord, State
from bounced.model import Reason
from tests.advisor.sender_site import OURS, POLICY, SPF, WITH_ALL, WITH_PATH, ask, refused


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


async def test_a_return_path_is_not_looked_at_where_keys_do_as_well() -> None:
    diagnosis = await ask(refused(Reason.DMARC), {**SPF, **POLICY}, WITH_ALL)
    assert Check.RETURN_PATH not in {finding.check for finding in diagnosis.findings}
