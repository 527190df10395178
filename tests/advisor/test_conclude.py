"""Which fix and which records follow from what DNS says; asked of a real server."""

from __future__ import annotations

import pytest

from bounced.advisor.diagnose import Question
from bounced.diagnosis import (
    DnsRecord,
    Fix,
)
from bounced.model import Reason
from tests.advisor.sender_site import (
    CNAMES,
    HIS,
    INCLUDE,
    KEY,
    OURS,
    PATH,
    POLICY,
    REVOKED,
    SIGNED_BY_HIM,
    SIGNED_BY_US,
    SPF,
    SPF_WITH_US,
    STRICT,
    TO_ASK,
    TO_LEAD,
    TO_MERGE,
    TO_SIGN,
    WITH_ALL,
    WITH_INCLUDE,
    WITH_KEYS,
    WITH_PATH,
    Offers,
    Zone,
    ask,
    refused,
)

NO_ROOM = {
    (HIS, "TXT"): [f'"v=spf1 {" ".join(f"exists:e{i}.example" for i in range(11))} -all"'],
}
CASES: dict[str, tuple[Question, Zone, Offers, Fix, tuple[DnsRecord, ...]]] = {
    "SPF in front of our MAIL FROM is not his to mend": (
        refused(Reason.SPF),
        {**SPF, **POLICY},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "SPF at From, as the receiver says": (
        refused(Reason.SPF, reply=f"550 SPF validation failed for domain {HIS}"),
        {**SPF, **POLICY},
        WITH_ALL,
        Fix.MERGE_SPF,
        (TO_MERGE,),
    ),
    "SPF at his MAIL FROM below": (
        refused(Reason.SPF, "news.firma.example"),
        {("news.firma.example", "TXT"): ['"v=spf1 -all"'], **POLICY},
        WITH_ALL,
        Fix.MERGE_SPF,
        (
            DnsRecord(
                "news.firma.example",
                "TXT",
                "v=spf1 include:_spf.app.example -all",
                replaces="v=spf1 -all",
            ),
        ),
    ),
    "no SPF at his MAIL FROM": (
        refused(Reason.SPF, HIS),
        POLICY,
        WITH_ALL,
        Fix.PUBLISH_SPF,
        (DnsRecord(HIS, "TXT", "v=spf1 include:_spf.app.example ?all"),),
    ),
    "our SPF forgets a server": (
        refused(Reason.SPF),
        {(OURS, "TXT"): ['"v=spf1 ip4:192.0.2.26 -all"'], **POLICY},
        WITH_ALL,
        Fix.OURS,
        (),
    ),
    "our SPF may forget a server, whose address nobody told us": (
        refused(Reason.SPF),
        {(OURS, "TXT"): ['"v=spf1 ip4:192.0.2.26 -all"'], **POLICY},
        WITH_KEYS | {"spf_include": INCLUDE},
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "our domain has no SPF": (
        refused(Reason.SPF, "gone.app.example"),
        POLICY,
        WITH_ALL,
        Fix.OURS,
        (),
    ),
    "a mail service's MAIL FROM is not his": (
        refused(Reason.SPF, "mailservice.example"),
        {("mailservice.example", "TXT"): ['"v=spf1 ip4:192.0.2.25 -all"'], **POLICY},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "SPF permits us, and the receiver refuses": (
        refused(Reason.SPF, HIS),
        {**SPF_WITH_US, **POLICY},
        WITH_ALL,
        Fix.ASK_RECEIVER,
        (),
    ),
    "his return path leads to us, where SPF fails": (
        refused(Reason.SPF, "bounces.firma.example"),
        {(OURS, "TXT"): ['"v=spf1 ip4:192.0.2.26 -all"'], **PATH, **POLICY},
        WITH_ALL,
        Fix.OURS,
        (),
    ),
    "nothing of his passes": (
        refused(Reason.DMARC, signers=SIGNED_BY_US),
        {("s1._domainkey.app.example", "TXT"): [KEY], **SPF, **POLICY},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "he signs, and the key is revoked": (
        refused(Reason.DMARC, signers=SIGNED_BY_HIM),
        {("s1._domainkey.firma.example", "TXT"): [REVOKED], **POLICY},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        (
            DnsRecord(
                "s1._domainkey.firma.example",
                "CNAME",
                "s1.dkim.app.example",
                replaces="TXT v=DKIM1; p=",
            ),
            TO_SIGN[1],
        ),
    ),
    "he signs with a key of his that is gone, and ours are there": (
        refused(Reason.DKIM, signers=("mail.firma.example",)),
        {**CNAMES, **POLICY},
        WITH_ALL,
        Fix.OURS,
        (),
    ),
    "our keys stand, and the mail is not signed": (
        refused(Reason.DMARC),
        {**CNAMES, **POLICY},
        WITH_ALL,
        Fix.OURS,
        (),
    ),
    "signed by his domain, and refused nevertheless": (
        refused(Reason.DMARC, signers=SIGNED_BY_HIM),
        {**CNAMES, **POLICY},
        WITH_ALL,
        Fix.ASK_RECEIVER,
        (),
    ),
    "a signature below his domain, where he is strict": (
        refused(Reason.DMARC, signers=("news.firma.example",)),
        {("s1._domainkey.news.firma.example", "TXT"): [KEY], **STRICT},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "a signature below his domain, where he is not": (
        refused(Reason.DMARC, signers=("news.firma.example",)),
        {("s1._domainkey.news.firma.example", "TXT"): [KEY], **POLICY},
        WITH_ALL,
        Fix.ASK_RECEIVER,
        (),
    ),
    "SPF below his domain, where he is strict": (
        refused(Reason.DMARC, "news.firma.example"),
        {("news.firma.example", "TXT"): ['"v=spf1 -all"'], **STRICT},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "SPF that passes below his domain, where he is strict": (
        Question(HIS, "news.firma.example"),
        {("news.firma.example", "TXT"): ['"v=spf1 ip4:192.0.2.25 -all"'], **STRICT},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "SPF that passes for his very domain, where he is strict": (
        Question(HIS, HIS),
        {**SPF_WITH_US, **STRICT},
        WITH_ALL,
        Fix.NONE,
        (),
    ),
    "a policy is asked for besides": (
        refused(Reason.DMARC),
        SPF,
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        (*TO_SIGN, TO_ASK),
    ),
    "no policy is asked for in front of SPF": (
        refused(Reason.SPF),
        SPF,
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "only the policy is missing": (
        refused(Reason.UNAUTHENTICATED, signers=SIGNED_BY_HIM),
        CNAMES,
        WITH_ALL | {"dmarc_reports_to": "dmarc@app.example"},
        Fix.PUBLISH_DMARC,
        (
            DnsRecord(
                "_dmarc.firma.example", "TXT", "v=DMARC1; p=none; rua=mailto:dmarc@app.example"
            ),
        ),
    ),
    "neither SPF nor DKIM, at his MAIL FROM": (
        refused(Reason.UNAUTHENTICATED, HIS),
        SPF,
        WITH_ALL,
        Fix.MERGE_SPF,
        (TO_MERGE, TO_ASK),
    ),
    "no keys to offer: a return path": (
        refused(Reason.DMARC),
        {**SPF, **POLICY},
        WITH_PATH,
        Fix.RETURN_PATH_CNAME,
        (TO_LEAD,),
    ),
    "the return path stands": (
        refused(Reason.DMARC),
        {**SPF, **POLICY, **PATH},
        WITH_PATH,
        Fix.OURS,
        (),
    ),
    "no return path where he is strict": (
        refused(Reason.DMARC),
        {**SPF, **STRICT},
        WITH_PATH,
        Fix.USE_OUR_ADDRESS,
        (),
    ),
    "nothing to offer": (
        refused(Reason.DMARC),
        {**SPF, **POLICY},
        {},
        Fix.USE_OUR_ADDRESS,
        (),
    ),
    "no include, and his SPF fails": (
        refused(Reason.SPF, HIS),
        {**SPF, **POLICY},
        WITH_KEYS,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "no include, his SPF fails, and our keys stand": (
        refused(Reason.SPF, HIS),
        {**SPF, **POLICY, **CNAMES},
        WITH_KEYS,
        Fix.OURS,
        (),
    ),
    "no include, his SPF fails, and he signs": (
        refused(Reason.SPF, HIS, SIGNED_BY_HIM),
        {**SPF, **POLICY, **CNAMES},
        WITH_KEYS,
        Fix.USE_OUR_ADDRESS,
        (),
    ),
    "no room in his SPF, and keys do as well": (
        refused(Reason.DMARC, HIS),
        {**NO_ROOM, **POLICY},
        WITH_KEYS | {"spf_include": INCLUDE},
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "no room in his SPF, and it is SPF that is wanted": (
        refused(Reason.SPF, HIS),
        {**NO_ROOM, **POLICY},
        WITH_KEYS | {"spf_include": INCLUDE},
        Fix.USE_OUR_ADDRESS,
        (),
    ),
    "no room in his SPF, and a return path to offer": (
        refused(Reason.SPF, HIS),
        {**NO_ROOM, **POLICY},
        WITH_ALL,
        Fix.RETURN_PATH_CNAME,
        (TO_LEAD,),
    ),
    "no room in his SPF, and the return path stands": (
        refused(Reason.SPF, HIS),
        {**NO_ROOM, **POLICY, **PATH},
        WITH_ALL,
        Fix.OURS,
        (),
    ),
    "no room in his SPF, and he is strict": (
        refused(Reason.SPF, HIS),
        {**NO_ROOM, **STRICT},
        WITH_ALL,
        Fix.USE_OUR_ADDRESS,
        (),
    ),
    "no room in his SPF, and no keys to offer": (
        refused(Reason.DMARC, HIS),
        {**NO_ROOM, **POLICY},
        WITH_INCLUDE | WITH_PATH,
        Fix.RETURN_PATH_CNAME,
        (TO_LEAD,),
    ),
    "no room in his SPF, and our keys stand behind CNAMEs in vain": (
        Question(HIS, HIS),
        {**NO_ROOM, **CNAMES, ("s1.dkim.app.example", "TXT"): [REVOKED], **POLICY},
        WITH_ALL,
        Fix.RETURN_PATH_CNAME,
        (TO_LEAD,),
    ),
    "nothing was refused, and something would be": (
        Question(HIS),
        {**SPF, **POLICY},
        WITH_ALL,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
    "nothing was refused, and all is there": (
        Question(HIS, OURS),
        {**CNAMES, **POLICY},
        WITH_ALL,
        Fix.NONE,
        (),
    ),
    "what was asked for is there, without an include of ours": (
        Question(HIS, HIS),
        {**SPF, **CNAMES, **POLICY},
        WITH_KEYS | {"sending_addresses": ("192.0.2.25",)},
        Fix.NONE,
        (),
    ),
    "an own domain is ours to mend": (
        Question("app.example", OURS, Reason.DMARC),
        {},
        WITH_ALL,
        Fix.OURS,
        (),
    ),
    "a bounce domain that authors write from is theirs": (
        Question(OURS, OURS, Reason.SPF),
        {(OURS, "TXT"): ['"v=spf1 -all"']},
        WITH_ALL,
        Fix.MERGE_SPF,
        (DnsRecord(OURS, "TXT", "v=spf1 include:_spf.app.example -all", "v=spf1 -all"),),
    ),
    "nobody told us our addresses, and the receiver knows them": (
        refused(Reason.SPF, HIS),
        {**SPF, **POLICY},
        {"return_path_target": OURS},
        Fix.RETURN_PATH_CNAME,
        (TO_LEAD,),
    ),
    "nobody told us our addresses, and keys do in any case": (
        refused(Reason.DMARC, HIS),
        {**SPF, **POLICY},
        WITH_KEYS,
        Fix.PUBLISH_DKIM,
        TO_SIGN,
    ),
}


@pytest.mark.parametrize(
    ("question", "zone", "offers", "fix", "records"), CASES.values(), ids=CASES
)
async def test_the_fix_and_its_records_follow_from_dns(
    question: Question,
    zone: Zone,
    offers: Offers,
    fix: Fix,
    records: tuple[DnsRecord, ...],
) -> None:
    diagnosis = await ask(question, zone, offers)
    assert (diagnosis.fix, diagnosis.records) == (fix, records)


@pytest.mark.parametrize(
    ("zone", "detail"),
    [
        (SPF, "firma.example: fail for 192.0.2.25: v=spf1 mx -all"),
        ({}, "firma.example has no SPF record"),
    ],
)
async def test_what_is_said_of_spf_names_its_domain_once(zone: Zone, detail: str) -> None:
    diagnosis = await ask(refused(Reason.SPF, HIS), zone, WITH_ALL)
    assert diagnosis.findings[0].detail == detail


async def test_look_ups_after_the_change_are_those_of_the_change() -> None:
    merged = await ask(refused(Reason.SPF, HIS), {**SPF, **POLICY}, WITH_ALL)
    assert (merged.lookups_before, merged.lookups_after) == (1, 2)
    unchanged = await ask(refused(Reason.DMARC), {**SPF, **POLICY}, WITH_ALL)
    assert (unchanged.lookups_before, unchanged.lookups_after) == (1, 1)
