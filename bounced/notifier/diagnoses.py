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
_POST = "a mx include:spf.post.example"
_OLD_SPF = f"v=spf1 {_POST} ~all"
_LONG_SPF = "v=spf1 mx " + " ".join(f"ip4:198.51.100.{16 * n}/28" for n in range(12))
_CROWDED_SPF = f"v=spf1 {' '.join(f'include:spf.shop{n}.example' for n in range(1, 5))} ~all"
_DMARC_NAME = f"_dmarc.{DOMAIN}"
_DMARC_VALUE = "v=DMARC1; p=none; rua=mailto:dmarc@example.com"
_DMARC = DnsRecord(_DMARC_NAME, "TXT", _DMARC_VALUE)


def list_diagnoses(at: datetime) -> dict[str, tuple[Reason, Diagnosis]]:
    """Return by name what a mail was refused for, and what DNS said of its domain."""
    his = Diagnosis(
        domain=DOMAIN,
        mail_from_domain=DOMAIN,
        checked_at=at,
        identity=Identity.MAIL_FROM,
        fix=Fix.MERGE_SPF,
        freemail=False,
        hoster=HOSTER,
    )
    ours = replace(his, mail_from_domain=MAIL_FROM, identity=Identity.DMARC)
    return _list_spf(his) | _list_keys(ours) | _list_others(his, ours)


def _list_spf(made: Diagnosis) -> dict[str, tuple[Reason, Diagnosis]]:
    """Return those whose SPF record is at fault."""
    broken = f"{_OLD_SPF} ipv4:"
    found = "'ipv4:' cannot be read"
    kept = replace(made, fix=Fix.USE_OUR_ADDRESS)
    crowded = _find(kept, Check.SPF, State.FAIL, f"fail for 192.0.2.25: {_CROWDED_SPF}")
    overfull = _find(kept, Check.SPF, State.BROKEN, f"permerror for 192.0.2.25: {_CROWDED_SPF}")
    lapsed = _make_spf(_POST, f"v=spf1 {_POST} include:spf.lapsed.example ~all")
    two = _make_spf(_POST, f"{_OLD_SPF}\nv=spf1 a ~all")
    return {
        "publish-spf": (
            Reason.SPF,
            replace(
                made,
                fix=Fix.PUBLISH_SPF,
                records=(DnsRecord(DOMAIN, "TXT", f"v=spf1 {_INCLUDE} ?all"),),
            ),
        ),
        "merge-spf": (Reason.SPF, replace(made, records=(_make_long(),))),
        "lapsed-spf": (Reason.SPF, replace(made, records=(lapsed,))),
        "several-spf": (
            Reason.UNAUTHENTICATED,
            replace(made, identity=Identity.FROM, records=(two, _DMARC)),
        ),
        "broken-spf": (
            Reason.SPF,
            _find(
                replace(made, records=(_make_spf(_POST, broken),)),
                Check.SPF,
                State.BROKEN,
                f"{found}: {broken}",
            ),
        ),
        "crowded-spf": (Reason.SPF, replace(crowded, lookups_before=10, lookups_after=11)),
        "overfull-spf": (Reason.SPF, replace(overfull, lookups_before=12, lookups_after=13)),
        "no-record": (Reason.SPF, made),
    }


def _list_keys(made: Diagnosis) -> dict[str, tuple[Reason, Diagnosis]]:
    """Return those whose SPF is not the matter, and who publish something else."""
    path = DnsRecord(f"bounces.{DOMAIN}", "CNAME", MAIL_FROM)
    policies = replace(_DMARC, replaces="v=DMARC1; p=none\nv=DMARC1; p=quarantine")
    return {
        "publish-dkim": (
            Reason.DMARC,
            replace(made, fix=Fix.PUBLISH_DKIM, records=_list_cnames()),
        ),
        "replace-dkim": (
            Reason.DKIM,
            replace(
                made,
                identity=Identity.DKIM,
                fix=Fix.PUBLISH_DKIM,
                records=tuple(
                    replace(each, replaces="CNAME s1.dkim.former.example")
                    for each in _list_cnames()[:1]
                ),
            ),
        ),
        "return-path-cname": (
            Reason.DMARC,
            replace(made, fix=Fix.RETURN_PATH_CNAME, records=(path,)),
        ),
        "return-path-dmarc": (
            Reason.DMARC,
            replace(made, fix=Fix.RETURN_PATH_CNAME, records=(path, _DMARC)),
        ),
        "publish-dmarc": (
            Reason.UNAUTHENTICATED,
            replace(made, identity=Identity.FROM, fix=Fix.PUBLISH_DMARC, records=(_DMARC,)),
        ),
        "broken-dmarc": (
            Reason.DMARC,
            _find(
                replace(made, fix=Fix.PUBLISH_DMARC, records=(policies,)),
                Check.DMARC,
                State.BROKEN,
                f"{_DMARC_NAME}: 2 DMARC records, so that none counts",
            ),
        ),
    }


def _list_others(his: Diagnosis, made: Diagnosis) -> dict[str, tuple[Reason, Diagnosis]]:
    """Return those who have nothing to publish."""
    open_spf = "+all permits every server in the world to send mail of this domain"
    return {
        "use-our-address": (
            Reason.DMARC,
            replace(made, domain=PROVIDER, fix=Fix.USE_OUR_ADDRESS, freemail=True, hoster=None),
        ),
        "no-means": (
            Reason.DKIM,
            replace(made, identity=Identity.DKIM, fix=Fix.USE_OUR_ADDRESS),
        ),
        "gone": (
            Reason.SPF,
            _find(
                replace(made, fix=Fix.USE_OUR_ADDRESS, hoster=None),
                Check.FROM,
                State.MISSING,
                f"{DOMAIN} does not exist",
            ),
        ),
        "ask-receiver": (
            Reason.DKIM,
            replace(made, identity=Identity.DKIM, fix=Fix.ASK_RECEIVER),
        ),
        "open-spf": (
            Reason.SPF,
            _find(
                replace(his, fix=Fix.ASK_RECEIVER, records=()), Check.SPF, State.WARNING, open_spf
            ),
        ),
        "ours": (Reason.SPF, replace(made, identity=Identity.MAIL_FROM, fix=Fix.OURS)),
        "not-checked": (
            Reason.UNAUTHENTICATED,
            replace(made, identity=Identity.FROM, fix=Fix.NOT_CHECKED),
        ),
        "none": (Reason.DKIM, replace(made, identity=Identity.DKIM, fix=Fix.NONE)),
    }


def _find(diagnosis: Diagnosis, check: Check, state: State, detail: str) -> Diagnosis:
    return replace(diagnosis, findings=(DiagnosisFinding(check, state, detail),))


def _make_spf(kept: str, replaces: str) -> DnsRecord:
    """Return a record that permits us besides what it permits already."""
    return DnsRecord(DOMAIN, "TXT", f"v=spf1 {kept} {_INCLUDE} ~all", replaces)


def _make_long() -> DnsRecord:
    """Return a record that needs two strings (RFC 7208 §3.3)."""
    whole = f"{_LONG_SPF} {_INCLUDE} ~all"
    at = whole.rindex(" ", 0, 255) + 1
    return DnsRecord(DOMAIN, "TXT", f'"{whole[:at]}" "{whole[at:]}"', f"{_LONG_SPF} ~all")


def _list_cnames() -> tuple[DnsRecord, ...]:
    return tuple(
        DnsRecord(f"s{nth}._domainkey.{DOMAIN}", "CNAME", f"s{nth}.dkim.example.com")
        for nth in (1, 2, 3)
    )
