"""Diagnoses, and what the words make of them, as the tests of all parts of the advice need them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    DnsRecord,
    Fix,
    Identity,
    State,
)
from bounced.model import Reason
from bounced.words.advice import AdviceView, tell_advice
from bounced.words.catalogue import load_words

WORDS = load_words(None)
BERLIN = ZoneInfo("Europe/Berlin")
FROM_ADDRESS = "protokolle@baudoku.example"
OLD = "v=spf1 mx ~all"
NEW = "v=spf1 mx include:spf.baudoku.example ~all"
SPF = DnsRecord("firma.example", "TXT", NEW, OLD)
DMARC = DnsRecord("_dmarc.firma.example", "TXT", "v=DMARC1; p=none")
MERGE = Diagnosis(
    domain="firma.example",
    mail_from_domain="firma.example",
    checked_at=datetime(2026, 11, 20, 13, 3, tzinfo=UTC),
    identity=Identity.MAIL_FROM,
    fix=Fix.MERGE_SPF,
    freemail=False,
    records=(SPF,),
    hoster="ionos",
)
UNALIGNED = replace(
    MERGE,
    mail_from_domain="bounce.baudoku.example",
    identity=Identity.DMARC,
    fix=Fix.PUBLISH_DKIM,
    records=tuple(
        DnsRecord(f"s{n}._domainkey.firma.example", "CNAME", f"s{n}.dkim.baudoku.example")
        for n in (1, 2)
    ),
)
RETURN_PATH = DnsRecord("bounces.firma.example", "CNAME", "bounce.baudoku.example")


def tell(
    diagnosis: Diagnosis | None,
    reason: Reason | None = Reason.SPF,
    language: str = "de",
    from_address: str = FROM_ADDRESS,
) -> AdviceView:
    return tell_advice(
        diagnosis,
        reason,
        WORDS[language],
        application="Baudoku",
        from_address=from_address,
        zone=BERLIN,
    )


def find(check: Check, state: State, detail: str) -> DiagnosisFinding:
    return DiagnosisFinding(check, state, detail)
