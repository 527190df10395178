"""The form of a sender domain's diagnosis: what DNS said at one minute, and what is to be done.

Made by `advisor`, kept by `ledger`, told by `notifier`, `web` and `cli`. Its JSON form is public
(`bounced advise --json`); later versions add keys and never rename.
RFC 7208 (SPF), RFC 6376 (DKIM), RFC 9989 (DMARC).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Fix(StrEnum):
    """What mends a refusal, a closed list."""

    NONE = "none"
    """Everything is there."""
    PUBLISH_SPF = "publish-spf"
    MERGE_SPF = "merge-spf"
    PUBLISH_DKIM = "publish-dkim"
    RETURN_PATH_CNAME = "return-path-cname"
    USE_OUR_ADDRESS = "use-our-address"
    PUBLISH_DMARC = "publish-dmarc"
    ASK_RECEIVER = "ask-receiver"
    """Everything is there, and the receiver refuses nevertheless."""
    OURS = "ours"
    """Only we can mend it."""
    NOT_CHECKED = "not-checked"
    """DNS could not be asked."""


class Identity(StrEnum):
    """Which identity of the mail failed."""

    MAIL_FROM = "mail-from"
    """RFC 7208 §2.4."""
    FROM = "from"
    """The address that readers see, without any domain that speaks for it."""
    DKIM = "dkim"
    """The domain of the signature (d=)."""
    DMARC = "dmarc"
    """The From domain: nothing that passes is aligned with it (RFC 9989 §4.4)."""


class Check(StrEnum):
    """What was looked at."""

    FROM = "from"
    """Whether the From domain exists."""
    FREEMAIL = "freemail"
    """Whether the domain is a mail provider's, which its users publish nothing for."""
    SPF = "spf"
    """The record of the domain that SPF is checked on."""
    DKIM = "dkim"
    """The keys below the From domain."""
    DMARC = "dmarc"
    """The policy of the From domain."""
    RETURN_PATH = "return-path"
    """The CNAME to our bounce domain."""


class State(StrEnum):
    """What a look has shown."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    """There, and not right for us."""
    MISSING = "missing"
    BROKEN = "broken"
    """There, and not to be read: everybody who looks gets an error."""
    WARNING = "warning"
    """In order, but careless."""
    NOT_CHECKED = "not-checked"
    """Nobody could say: never to be read as `missing`."""


@dataclass(frozen=True, slots=True)
class DiagnosisFinding:
    """One thing that was looked at."""

    check: Check
    state: State
    detail: str
    """What was found, in English, for whoever runs DNS: name, record, count or error."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to publish."""

    name: str
    """The whole name, without a dot at the end."""
    type: str
    """TXT or CNAME."""
    value: str
    """To be copied; a TXT above 255 octets as quoted strings side by side (RFC 7208 §3.3)."""
    replaces: str | None = None
    """What is there now and goes, one record a line; None: nothing is there."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with a domain as a sender of our mail."""

    domain: str
    """The From domain, in A-labels."""
    mail_from_domain: str | None
    """None: not known."""
    checked_at: datetime
    """Whole seconds, so that it is the same after it was kept."""
    identity: Identity | None
    """None: nothing was refused, somebody asks."""
    fix: Fix
    freemail: bool
    findings: tuple[DiagnosisFinding, ...] = ()
    records: tuple[DnsRecord, ...] = ()
    lookups_before: int | None = None
    """Terms of the SPF record that cost a look-up (RFC 7208 §4.6.4); None: none is looked at."""
    lookups_after: int | None = None
    hoster: str | None = None
    """Key of `hosters.toml`: who runs the domain's DNS, where that is known."""

    def describe(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "domain": self.domain,
            "mail_from_domain": self.mail_from_domain,
            "checked_at": self.checked_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "identity": self.identity.value if self.identity else None,
            "fix": self.fix.value,
            "freemail": self.freemail,
            "findings": [
                {"check": each.check.value, "state": each.state.value, "detail": each.detail}
                for each in self.findings
            ],
            "records": [
                {
                    "name": each.name,
                    "type": each.type,
                    "value": each.value,
                    "replaces": each.replaces,
                }
                for each in self.records
            ],
            "lookups_before": self.lookups_before,
            "lookups_after": self.lookups_after,
            "hoster": self.hoster,
        }


SHOWN_BY: Mapping[Fix, Check] = MappingProxyType(
    {
        Fix.PUBLISH_SPF: Check.SPF,
        Fix.MERGE_SPF: Check.SPF,
        Fix.PUBLISH_DKIM: Check.DKIM,
        Fix.RETURN_PATH_CNAME: Check.RETURN_PATH,
        Fix.PUBLISH_DMARC: Check.DMARC,
        Fix.OURS: Check.SPF,
    }
)
"""Where DNS shows that a fix was applied; the others leave no trace there."""
IN_ORDER = frozenset({State.PASS, State.WARNING})


def is_in_order(diagnosis: Diagnosis, check: Check) -> bool:
    """Tell whether all that was looked at there is in order; total, False if nothing was."""
    states = {finding.state for finding in diagnosis.findings if finding.check is check}
    return bool(states) and states <= IN_ORDER


def is_watched(diagnosis: Diagnosis) -> bool:
    """Tell whether a later look at DNS can show that it is mended; total.

    Where SPF is in order already, what we have to mend is with our servers: DNS never shows it.
    """
    check = SHOWN_BY.get(diagnosis.fix)
    if check is None:
        return False
    return diagnosis.fix is not Fix.OURS or not is_in_order(diagnosis, check)


def write_diagnosis(diagnosis: Diagnosis) -> str:
    """Return the form in which the ledger keeps it."""
    return json.dumps(diagnosis.describe(), ensure_ascii=False, separators=(",", ":"))


def read_diagnosis(text: str) -> Diagnosis | None:
    """Read what `write_diagnosis` wrote; None: it cannot be read, as if nobody had asked.

    While a cluster is updated, a newer version may have written what this one does not know.
    """
    try:
        return _read(json.loads(text))
    except (ValueError, KeyError, TypeError):
        return None


def _read(kept: dict[str, Any]) -> Diagnosis:
    return Diagnosis(
        domain=kept["domain"],
        mail_from_domain=kept["mail_from_domain"],
        checked_at=datetime.fromisoformat(kept["checked_at"]),
        identity=Identity(kept["identity"]) if kept["identity"] else None,
        fix=Fix(kept["fix"]),
        freemail=kept["freemail"],
        findings=tuple(
            DiagnosisFinding(Check(each["check"]), State(each["state"]), each["detail"])
            for each in kept["findings"]
        ),
        records=tuple(
            DnsRecord(each["name"], each["type"], each["value"], each["replaces"])
            for each in kept["records"]
        ),
        lookups_before=kept["lookups_before"],
        lookups_after=kept["lookups_after"],
        hoster=kept["hoster"],
    )
