"""A domain is asked about as a whole, in time, and what could not be asked is said so."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import dns.rdatatype
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from bounced.advisor import diagnose as diagnosing
from bounced.advisor.diagnose import Question, diagnose
from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    Fix,
    Identity,
    State,
    read_diagnosis,
    write_diagnosis,
)
from bounced.model import Reason
from tests.advisor.failing import refuse
from tests.advisor.nameserver import Behaviour, NameServer, Query
from tests.advisor.sender_site import (
    HIS,
    NOW,
    OURS,
    PATH,
    POLICY,
    SIGNED_BY_HIM,
    SITE,
    SPF,
    TO_MERGE,
    WHOLE,
    WITH_ALL,
    WITH_INCLUDE,
    WITH_KEYS,
    WITH_PATH,
    Offers,
    ask,
    list_states,
    make_test_means,
    refused,
)


async def test_a_diagnosis_tells_all_that_was_seen() -> None:
    diagnosis = await ask(refused(Reason.SPF, HIS), {**SPF, **POLICY, **PATH}, WITH_ALL)
    assert diagnosis == Diagnosis(
        domain=HIS,
        mail_from_domain=HIS,
        checked_at=WHOLE,
        identity=Identity.MAIL_FROM,
        fix=Fix.MERGE_SPF,
        freemail=False,
        findings=(
            DiagnosisFinding(
                Check.SPF, State.FAIL, "firma.example: fail for 192.0.2.25: v=spf1 mx -all"
            ),
            DiagnosisFinding(
                Check.DKIM,
                State.MISSING,
                "s1._domainkey.firma.example: no CNAME to s1.dkim.app.example",
            ),
            DiagnosisFinding(
                Check.DKIM,
                State.MISSING,
                "s2._domainkey.firma.example: no CNAME to s2.dkim.app.example",
            ),
            DiagnosisFinding(Check.DMARC, State.PASS, "_dmarc.firma.example: v=DMARC1; p=reject"),
        ),
        records=(TO_MERGE,),
        lookups_before=1,
        lookups_after=2,
        hoster=None,
    )


async def test_a_freemail_domain_gets_no_record() -> None:
    """RFC 6376 §3.6.2.1: only the provider publishes keys below his domain."""
    question = Question("gmx.de", OURS, Reason.DMARC)
    expected = Diagnosis(
        domain="gmx.de",
        mail_from_domain=OURS,
        checked_at=WHOLE,
        identity=Identity.DMARC,
        fix=Fix.USE_OUR_ADDRESS,
        freemail=True,
        findings=(
            DiagnosisFinding(
                Check.FREEMAIL,
                State.FAIL,
                "gmx.de: a mail provider's domain, for which only the provider publishes records",
            ),
        ),
    )
    assert await ask(question, {}, WITH_ALL) == expected
    assert await diagnose(question, make_test_means(WITH_ALL), None, NOW) == expected


@pytest.mark.parametrize("reason", [None, Reason.SPF, Reason.DMARC])
async def test_a_domain_that_does_not_exist_gets_no_record(reason: Reason | None) -> None:
    diagnosis = await ask(Question("gone.example", OURS, reason), {}, WITH_ALL)
    assert (diagnosis.fix, diagnosis.freemail, diagnosis.records) == (
        Fix.USE_OUR_ADDRESS,
        False,
        (),
    )
    assert diagnosis.findings == (
        DiagnosisFinding(Check.FROM, State.MISSING, "gone.example does not exist"),
    )
    assert read_diagnosis(write_diagnosis(diagnosis)) == diagnosis


async def test_a_strangers_server_is_not_ours_to_mend() -> None:
    zone = {("forwarder.example", "TXT"): ['"v=spf1 -all"'], **POLICY}
    reply = f"550 5.7.23 SPF fail: mailfrom=SRS0=ab=cd={HIS}=info@forwarder.example"
    diagnosis = await ask(refused(Reason.SPF, None, reply=reply), zone, WITH_ALL)
    assert (diagnosis.mail_from_domain, diagnosis.fix) == (None, Fix.PUBLISH_DKIM)


async def test_a_mail_to_a_colleague_is_not_taken_for_one_from_his_mail_from() -> None:
    question = refused(Reason.SPF, reply=f"550 5.7.1 {HIS}: SPF check failed")
    to_colleague = replace(question, recipient_domain=HIS)
    assert (await ask(to_colleague, POLICY, WITH_ALL)).identity is Identity.MAIL_FROM
    assert (await ask(question, POLICY, WITH_ALL)).identity is Identity.FROM


async def test_with_dns_switched_off_nothing_is_claimed() -> None:
    means = make_test_means(WITH_ALL)
    diagnosis = await diagnose(refused(Reason.SPF), means, None, NOW)
    assert (diagnosis.fix, diagnosis.records) == (Fix.NOT_CHECKED, ())
    assert diagnosis.findings == (
        DiagnosisFinding(Check.SPF, State.NOT_CHECKED, "DNS is switched off"),
    )
    ours = await diagnose(Question("app.example", OURS, Reason.SPF), means, None, NOW)
    assert ours.fix is Fix.OURS


async def test_the_first_return_domain_stands_for_an_unknown_mail_from() -> None:
    diagnosis = await ask(refused(Reason.SPF, None), {**SPF, **POLICY}, WITH_ALL)
    assert (diagnosis.mail_from_domain, diagnosis.fix) == (None, Fix.PUBLISH_DKIM)
    assert diagnosis.findings[0].detail.startswith(OURS)


async def test_a_forwarder_is_told_of() -> None:
    question = Question(HIS, OURS, Reason.SPF, forwarded=True)
    diagnosis = await ask(question, POLICY, WITH_ALL)
    assert list_states(diagnosis)[:2] == [(Check.SPF, State.PASS), (Check.SPF, State.WARNING)]


def _refuse_type(rdtype: str) -> Behaviour:
    def behave(query: Query) -> list[bytes]:
        asked = dns.rdatatype.to_text(query.question[0].rdtype)
        return refuse(query) if asked == rdtype else HONEST.respond(query.to_wire(), "tcp")

    return behave


TAKEN = {("bounces.firma.example", "TXT"): ['"v=spf1 -all"']}
HONEST = NameServer({**SITE, **SPF, **POLICY, **TAKEN})
UNSURE: dict[str, tuple[Question, Offers, dict[str, Behaviour], Fix, Check]] = {
    "SPF of ours": (refused(Reason.SPF), WITH_ALL, {OURS: refuse}, Fix.NOT_CHECKED, Check.SPF),
    "SPF of ours, which could not align": (
        refused(Reason.DMARC),
        WITH_ALL,
        {OURS: refuse},
        Fix.PUBLISH_DKIM,
        Check.SPF,
    ),
    "SPF of his": (
        refused(Reason.SPF, HIS),
        WITH_ALL,
        {HIS: _refuse_type("TXT")},
        Fix.NOT_CHECKED,
        Check.SPF,
    ),
    "the policy, which SPF does not ask for": (
        refused(Reason.SPF, HIS),
        WITH_ALL,
        {"_dmarc.firma.example": refuse},
        Fix.MERGE_SPF,
        Check.DMARC,
    ),
    "a key": (
        refused(Reason.DMARC, signers=SIGNED_BY_HIM),
        WITH_ALL,
        {"s1._domainkey.firma.example": refuse},
        Fix.NOT_CHECKED,
        Check.DKIM,
    ),
    "a key, where SPF alone decides": (
        refused(Reason.SPF, HIS),
        WITH_ALL,
        {"s1._domainkey.firma.example": refuse},
        Fix.MERGE_SPF,
        Check.DKIM,
    ),
    "keys, which are all that we have": (
        refused(Reason.SPF, HIS),
        WITH_KEYS,
        {f"{selector}._domainkey.firma.example": refuse for selector in ("s1", "s2")},
        Fix.NOT_CHECKED,
        Check.DKIM,
    ),
    "the return path": (
        refused(Reason.DMARC),
        WITH_PATH,
        {"bounces.firma.example": refuse},
        Fix.NOT_CHECKED,
        Check.RETURN_PATH,
    ),
    "what stands at the return path": (
        refused(Reason.DMARC),
        WITH_PATH,
        {"bounces.firma.example": _refuse_type("MX")},
        Fix.NOT_CHECKED,
        Check.RETURN_PATH,
    ),
    "whether it is a mail service's domain": (
        refused(Reason.SPF, HIS),
        WITH_ALL,
        {HIS: _refuse_type("MX")},
        Fix.NOT_CHECKED,
        Check.FREEMAIL,
    ),
}


@pytest.mark.parametrize(
    ("question", "offers", "odd", "fix", "check"), UNSURE.values(), ids=UNSURE
)
async def test_what_could_not_be_asked_is_never_missing(
    question: Question,
    offers: Offers,
    odd: dict[str, Behaviour],
    fix: Fix,
    check: Check,
) -> None:
    diagnosis = await ask(question, {**SPF, **POLICY, **TAKEN}, offers, odd=odd)
    assert diagnosis.fix is fix
    assert (check, State.NOT_CHECKED) in list_states(diagnosis)


async def test_dead_dns_is_said_to_be_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a question may take, all of them end."""
    monkeypatch.setattr(diagnosing, "LOOK_S", 0.5)
    silent: dict[str, Behaviour] = {
        name: lambda _query: []
        for name in (
            *(name for name, _ in SITE),
            "example",
            "_dmarc.firma.example",
            "_dmarc.example",
            "s1._domainkey.firma.example",
            "s2._domainkey.firma.example",
            "bounces.firma.example",
        )
    }
    async with asyncio.timeout(20):
        diagnosis = await ask(refused(Reason.SPF), {}, WITH_ALL, odd=silent, within="60s")
    assert (diagnosis.fix, diagnosis.records) == (Fix.NOT_CHECKED, ())
    assert set(list_states(diagnosis)) == {
        (check, State.NOT_CHECKED)
        for check in (Check.FREEMAIL, Check.SPF, Check.DKIM, Check.DMARC)
    }


@given(
    st.dictionaries(
        st.sampled_from([HIS, OURS, "_dmarc.firma.example", "bounces.firma.example"]),
        st.lists(st.text('v=spf1DMARC;:- .iax%{}"\\\x00ÿ', max_size=40), min_size=1, max_size=3),
    ),
    st.sampled_from([None, Reason.SPF, Reason.DKIM, Reason.DMARC, Reason.UNAUTHENTICATED]),
    st.sampled_from([HIS, OURS, None]),
)
@effort(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_in_dns_there_is_a_diagnosis_that_can_be_kept(
    texts: dict[str, list[str]], reason: Reason | None, mail_from: str | None
) -> None:
    zone = {
        (name, "TXT"): ['"' + "".join(f"\\{ord(char):03}" for char in text) + '"' for text in said]
        for name, said in texts.items()
    }
    diagnosis = asyncio.run(ask(Question(HIS, mail_from, reason), zone, WITH_INCLUDE | WITH_PATH))
    assert read_diagnosis(write_diagnosis(diagnosis)) == diagnosis
