"""DMARC policies: where they are found, which one holds, and what stands in vain.

RFC 9989 §4.4 (alignment), §4.7 (the record), §4.10 (the walk up the tree).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.zones.authority import STRANGER, Zone
from tests.zones.case import INCLUDE, OFFERS, RETURN_PATH_OFFERS, Case, Record, spf
from tests.zones.key_cases import GOOD_KEY, OURS

STARTER = "v=DMARC1; p=none"


def _policy(
    name: str,
    lines: Sequence[str],
    fix: str,
    state: str,
    *,
    below: str = "",
    value: str = STARTER,
    replaces: str | None = None,
) -> Case:
    """Return a case of a mail that is well signed by the From domain, and refused for DMARC.

    `below` is what the From domain has before the zone's name; `value` the policy that is to be.
    """
    top = f"{name}.test"
    domain = f"{below}{top}"
    record = (f"_dmarc.{top}", "TXT", value, replaces)
    return Case(
        name,
        (Zone(top, (*lines, f"mail._domainkey.{domain}. {GOOD_KEY.partition(' ')[2]}")),),
        domain,
        OURS,
        fix,
        spf="pass",
        dkim="missing pass",
        dmarc=state,
        records=(record,) if fix == "publish-dmarc" else (),
        lookups=(1, 1),
        reason="dmarc",
        signatures=((domain, "mail"),),
    )


def _aligned(
    name: str,
    policy: str,
    fix: str,
    *,
    signer: str,
    records: Sequence[Record] = (),
) -> Case:
    """Return a case of a From domain `mail.<name>.test`, signed by another domain of his zone."""
    top = f"{name}.test"
    return Case(
        name,
        (
            Zone(
                top,
                (
                    f'_dmarc TXT "{policy}"',
                    f"mail._domainkey.{signer}. {GOOD_KEY.partition(' ')[2]}",
                    "mail A 198.51.100.7",
                ),
            ),
        ),
        f"mail.{top}",
        OURS,
        fix,
        spf="pass",
        dkim="missing pass",
        dmarc="pass",
        records=tuple(records),
        lookups=(1, 1),
        reason="dmarc",
        signatures=((signer, "mail"),),
    )


def _return_path(
    name: str,
    lines: Sequence[str],
    fix: str,
    state: str | None,
    records: Sequence[Record] = (),
    *,
    mail_from: str = OURS,
    dmarc: str = "pass",
    offers: Mapping[str, Any] = RETURN_PATH_OFFERS,
) -> Case:
    """Return a case of a site that has a return path to offer, and nothing else."""
    domain = f"{name}.test"
    return Case(
        name,
        (Zone(domain, tuple(lines)),),
        domain,
        mail_from,
        fix,
        spf="pass",
        dkim=None,
        dmarc=dmarc,
        return_path=state,
        records=tuple(records),
        lookups=(1, 1),
        reason="dmarc",
        offers={**offers, "sending_addresses": OFFERS["sending_addresses"]},
    )


def _links(domain: str) -> tuple[Record, ...]:
    return tuple(
        (f"{selector}._domainkey.{domain}", "CNAME", f"{selector}.dkim.sender.test", None)
        for selector in ("s1", "s2")
    )


_NESTED = "a.b.c.d.e.f.g.h."

FOUND = (
    _policy("policy-none", ['_dmarc TXT "v=DMARC1; p=none"'], "ask-receiver", "pass"),
    _policy("policy-quarantine", ['_dmarc TXT "v=DMARC1;p=quarantine"'], "ask-receiver", "pass"),
    _policy(
        "policy-reject",
        ['_dmarc TXT "v=DMARC1; p=reject; " "rua=mailto:reports@policy-reject.test"'],
        "ask-receiver",
        "pass",
    ),
    _policy(
        "policy-unknown-tags",
        ['_dmarc TXT "v=DMARC1; p=reject; pct=50; fo=1; x-note=hello"'],
        "ask-receiver",
        "pass",
    ),
    # RFC 9989 §4.10.1: what p= says is not understood, and reports are wanted: as p=none.
    _policy(
        "policy-odd-with-reports",
        ['_dmarc TXT "v=DMARC1; p=maybe; rua=mailto:reports@example.test"'],
        "ask-receiver",
        "pass",
    ),
    _policy(
        "policy-above",
        ['_dmarc TXT "v=DMARC1; p=none; sp=reject"'],
        "ask-receiver",
        "pass",
        below="mail.",
    ),
    _policy(
        "policy-np",
        ['_dmarc TXT "v=DMARC1; p=none; np=reject"'],
        "ask-receiver",
        "pass",
        below="new.",
    ),
    # RFC 9989 §4.10: ten labels; the walk asks eight names, the last of which are the shortest.
    _policy(
        "policy-deep", ['_dmarc TXT "v=DMARC1; p=reject"'], "ask-receiver", "pass", below=_NESTED
    ),
    # RFC 9989 §4.10.1: a public suffix speaks for the domains below it that say nothing.
    _policy(
        "policy-suffix",
        ['_dmarc TXT "v=DMARC1; p=reject; psd=y"'],
        "ask-receiver",
        "pass",
        below="firma.",
    ),
    _policy(
        "policy-linked",
        ["_dmarc CNAME policies", 'policies TXT "v=DMARC1; p=quarantine"'],
        "ask-receiver",
        "pass",
    ),
    # Several at one name are none (RFC 9989 §4.10), and what stands above holds.
    _policy(
        "policy-several-below",
        [
            '_dmarc.mail TXT "v=DMARC1; p=none"',
            '_dmarc.mail TXT "v=DMARC1; p=reject"',
            '_dmarc TXT "v=DMARC1; p=reject"',
        ],
        "ask-receiver",
        "pass",
        below="mail.",
    ),
)

ABSENT = (
    # RFC 9989 §4.10: from ten labels the walk goes on at seven, so nine are never asked for.
    _policy(
        "policy-skipped",
        ['_dmarc.b.c.d.e.f.g.h TXT "v=DMARC1; p=reject"'],
        "publish-dmarc",
        "missing",
        below=_NESTED,
    ),
    # Nothing can stand beside a CNAME (RFC 1034 §3.6.2), so it goes.
    _policy(
        "policy-into-nothing",
        ["_dmarc CNAME gone.hoster.test."],
        "publish-dmarc",
        "missing",
        replaces="CNAME gone.hoster.test",
    ),
    _policy("policy-absent", [], "publish-dmarc", "missing"),
    _policy("policy-absent-above", [], "publish-dmarc", "missing", below="mail.office."),
    # Any other text at that name is none of DMARC's.
    _policy("policy-wildcard", ['* TXT "v=spf1 -all"'], "publish-dmarc", "missing"),
    _policy(
        "policy-several",
        ['_dmarc TXT "v=DMARC1; p=none"', '_dmarc TXT "v=DMARC1; p=reject"'],
        "publish-dmarc",
        "broken",
        replaces="v=DMARC1; p=none\nv=DMARC1; p=reject",
    ),
    _policy(
        "policy-several-reports",
        [
            '_dmarc TXT "v=DMARC1; p=quarantine; rua=mailto:a@policy.test"',
            '_dmarc TXT "v=DMARC1; p=reject; rua=mailto:b@policy.test"',
        ],
        "publish-dmarc",
        "broken",
        value="v=DMARC1; p=quarantine; rua=mailto:a@policy.test,mailto:b@policy.test",
        replaces=(
            "v=DMARC1; p=quarantine; rua=mailto:a@policy.test\n"
            "v=DMARC1; p=reject; rua=mailto:b@policy.test"
        ),
    ),
    # RFC 4592 §2.2.1: what a wildcard gives yields to the record, and stays.
    _policy(
        "policy-wildcard-alias",
        ["* CNAME web.hoster.test."],
        "publish-dmarc",
        "missing",
    ),
    _policy(
        "policy-odd",
        ['_dmarc TXT "v=DMARC1; p=maybe"'],
        "publish-dmarc",
        "broken",
        replaces="v=DMARC1; p=maybe",
    ),
    # RFC 9989 §4.7: the version is in upper case, and comes first.
    _policy(
        "policy-lower",
        ['_dmarc TXT "v=dmarc1; p=reject"'],
        "publish-dmarc",
        "broken",
        value="v=DMARC1; p=none",
        replaces="v=dmarc1; p=reject",
    ),
    _policy("policy-misplaced", ['@ TXT "v=DMARC1; p=reject"'], "publish-dmarc", "missing"),
)

UNREACHABLE = (
    # A policy of any kind may stand there.
    _policy(
        "policy-lame",
        ["_dmarc NS ns._dmarc", f"ns._dmarc A {STRANGER}"],
        "not-checked",
        "not-checked",
    ),
    # Nobody can say whether there is a key, and whatever is there, SPF is what lacks.
    replace(
        spf(
            "keys-lame",
            "v=spf1 -all",
            "merge-spf",
            "fail",
            f"v=spf1 {INCLUDE} -all",
            before=0,
            after=1,
            lines=["_domainkey NS ns._domainkey", f"ns._domainkey A {STRANGER}"],
        ),
        dkim="not-checked",
    ),
    replace(
        _policy(
            "keys-lame-refused",
            ["_domainkey NS ns._domainkey", f"ns._domainkey A {STRANGER}"],
            "not-checked",
            "missing",
        ),
        zones=(
            Zone(
                "keys-lame-refused.test",
                ("_domainkey NS ns._domainkey", f"ns._domainkey A {STRANGER}"),
            ),
        ),
        dkim="not-checked",
        reason="dkim",
    ),
)

ALIGNED = (
    _aligned("relaxed", "v=DMARC1; p=reject", "ask-receiver", signer="relaxed.test"),
    # RFC 9989 §4.4.1: in strict mode the organization's signature is not the subdomain's.
    _aligned(
        "strict",
        "v=DMARC1; p=reject; adkim=s",
        "publish-dkim",
        signer="strict.test",
        records=_links("mail.strict.test"),
    ),
    # Below a public suffix two names are two organizations (RFC 9989 §4.4).
    Case(
        "signed-by-us",
        (Zone("signed-by-us.test"),),
        "signed-by-us.test",
        OURS,
        "publish-dkim",
        spf="pass",
        dkim="missing pass",
        records=(
            *_links("signed-by-us.test"),
            ("_dmarc.signed-by-us.test", "TXT", STARTER, None),
        ),
        lookups=(1, 1),
        reason="dmarc",
        signatures=(("sender.test", "own"),),
    ),
)

RETURN_PATHS = (
    _return_path(
        "path-offered",
        ['_dmarc TXT "v=DMARC1; p=reject"'],
        "return-path-cname",
        "missing",
        [("bounces.path-offered.test", "CNAME", "bounces.sender.test", None)],
    ),
    _return_path(
        "path-no-policy",
        [],
        "return-path-cname",
        "missing",
        [
            ("bounces.path-no-policy.test", "CNAME", "bounces.sender.test", None),
            ("_dmarc.path-no-policy.test", "TXT", STARTER, None),
        ],
        dmarc="missing",
    ),
    # Nothing may stand beside a CNAME (RFC 1034 §3.6.2).
    _return_path(
        "path-taken",
        ['_dmarc TXT "v=DMARC1; p=reject"', "bounces A 198.51.100.7"],
        "return-path-cname",
        "fail",
        [("bounces.path-taken.test", "CNAME", "bounces.sender.test", "A 198.51.100.7")],
    ),
    # RFC 4592 §2.2.1: what a wildcard gives yields to the CNAME, and stays.
    *(
        _return_path(
            name,
            ['_dmarc TXT "v=DMARC1; p=reject"', *lines],
            "return-path-cname",
            "missing",
            [(f"bounces.{name}.test", "CNAME", "bounces.sender.test", None)],
        )
        for name, lines in (
            ("path-wildcard-address", ["* A 198.51.100.7"]),
            ("path-wildcard-text", ['* TXT "v=spf1 -all"']),
            ("path-wildcard-alias", ["* CNAME web", "web A 198.51.100.7"]),
        )
    ),
    # The CNAME stands, and our mail does not use it yet (RFC 5321 §3.3).
    _return_path(
        "path-unused",
        ['_dmarc TXT "v=DMARC1; p=reject"', "bounces CNAME bounces.sender.test."],
        "ours",
        "pass",
    ),
    # RFC 9989 §4.4.2: a return path below a strict domain is not aligned with it.
    _return_path(
        "path-strict",
        ['_dmarc TXT "v=DMARC1; p=reject; aspf=s"'],
        "use-our-address",
        "missing",
    ),
)

# Ten look-ups are the most, and no record has room for ours: a return path needs none.
STUCK = replace(
    spf(
        "path-beside-full-spf",
        "v=spf1 include:ten.hoster.test mx -all",
        "return-path-cname",
        "broken",
        before=11,
        after=12,
        lines=["@ MX 10 post", "post A 203.0.113.1"],
    ),
    offers={**OFFERS, **RETURN_PATH_OFFERS},
    return_path="missing",
    records=(("bounces.path-beside-full-spf.test", "CNAME", "bounces.sender.test", None),),
)

CASES = (STUCK, *FOUND, *ABSENT, *UNREACHABLE, *ALIGNED, *RETURN_PATHS)
