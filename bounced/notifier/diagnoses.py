"""Makes up diagnoses of sender domains, one of each kind, for samples and examples."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

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

DOMAIN = "bergerbau.example"
MAIL_FROM = "bounce.example.com"
PROVIDER = "gmx.de"
"""Whose users can publish nothing: its name is a fact."""
HOSTER = "ionos"

_INCLUDE = "include:spf.example.com"
_OLD_SPF = "v=spf1 a mx include:spf.post.example ~all"
_LONG_SPF = "v=spf1 mx " + " ".join(f"ip4:198.51.100.{16 * n}/28" for n in range(12))
_DMARC = DnsRecord(f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=none; rua=mailto:dmarc@example.com")


def list_diagnoses(at: datetime) -> dict[str, tuple[Reason, Diagnosis]]:
    """Return by name what a mail was refused for, and what DNS said of its domain."""
    spf = Diagnosis(
        domain=DOMAIN,
        mail_from_domain=DOMAIN,
        checked_at=at,
        identity=Identity.MAIL_FROM,
        fix=Fix.MERGE_SPF,
        freemail=False,
        hoster=HOSTER,
    )
    aligned = replace(spf, mail_from_domain=MAIL_FROM, identity=Identity.DMARC)
    crowded = replace(spf, lookups_before=10, lookups_after=11)
    broken = DiagnosisFinding(Check.SPF, State.BROKEN, f"{_OLD_SPF} ipv4:192.0.2.7")
    return {
        "publish-spf": (Reason.SPF, _propose(spf, Fix.PUBLISH_SPF, _make_spf("v=spf1 mx"))),
        "merge-spf": (Reason.SPF, _propose(spf, Fix.MERGE_SPF, _make_spf(*_split_long()))),
        "several-spf": (Reason.SPF, _propose(spf, Fix.MERGE_SPF, _make_joined(), _DMARC)),
        "broken-spf": (
            Reason.SPF,
            replace(
                _propose(spf, Fix.MERGE_SPF, _make_spf("v=spf1 a mx", f"{_OLD_SPF} ipv4:")),
                findings=(broken,),
            ),
        ),
        "crowded-spf": (Reason.SPF, crowded),
        "no-record": (Reason.SPF, spf),
        "publish-dkim": (Reason.DMARC, _propose(aligned, Fix.PUBLISH_DKIM, *_list_cnames())),
        "return-path-cname": (
            Reason.DMARC,
            _propose(
                aligned,
                Fix.RETURN_PATH_CNAME,
                DnsRecord(f"bounces.{DOMAIN}", "CNAME", MAIL_FROM),
            ),
        ),
        "use-our-address": (
            Reason.DMARC,
            replace(aligned, domain=PROVIDER, fix=Fix.USE_OUR_ADDRESS, freemail=True, hoster=None),
        ),
        "no-means": (Reason.DKIM, replace(aligned, fix=Fix.USE_OUR_ADDRESS)),
        "publish-dmarc": (
            Reason.UNAUTHENTICATED,
            _propose(aligned, Fix.PUBLISH_DMARC, _DMARC),
        ),
        "ask-receiver": (Reason.DKIM, replace(aligned, fix=Fix.ASK_RECEIVER)),
        "ours": (Reason.SPF, replace(aligned, fix=Fix.OURS)),
        "not-checked": (Reason.UNAUTHENTICATED, replace(aligned, fix=Fix.NOT_CHECKED)),
        "none": (Reason.DKIM, replace(aligned, fix=Fix.NONE)),
    }


def _propose(diagnosis: Diagnosis, fix: Fix, *records: DnsRecord) -> Diagnosis:
    return replace(diagnosis, fix=fix, records=records)


def _make_spf(kept: str, replaces: str | None = None) -> DnsRecord:
    """Return a record that permits us besides what it permits already."""
    ending = '"' if kept.startswith('"') else ""
    return DnsRecord(DOMAIN, "TXT", f"{kept} {_INCLUDE} ~all{ending}", replaces)


def _make_joined() -> DnsRecord:
    """Return one record for two."""
    return _make_spf("v=spf1 a mx include:spf.post.example", f"{_OLD_SPF}\nv=spf1 a ~all")


def _split_long() -> tuple[str, str]:
    """Return a record that needs two strings (RFC 7208 §3.3), and as it is now."""
    at = _LONG_SPF.rindex(" ", 0, 250)
    parts = f'"{_LONG_SPF[:at]} " "{_LONG_SPF[at + 1 :]}'
    return parts, f"{_LONG_SPF} ~all"


def _list_cnames() -> list[DnsRecord]:
    return [
        DnsRecord(f"s{nth}._domainkey.{DOMAIN}", "CNAME", f"s{nth}.dkim.example.com")
        for nth in (1, 2, 3)
    ]
