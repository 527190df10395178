"""What a diagnosis is about, as the words name it: which of the sentences are true of it; pure.

Whoever words it asks here and not DNS: RFC 7208 (SPF), RFC 9989 (DMARC).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bounced.diagnosis import (
    IN_ORDER,
    Check,
    Diagnosis,
    DiagnosisFinding,
    DnsRecord,
    Fix,
    Identity,
    State,
)
from bounced.model import Reason
from bounced.suffixes import find_organizational_domain
from bounced.words.records import count_replaced, find_purpose, is_whole, list_showable

MAX_LOOKUPS = 10
"""RFC 7208 §4.6.4."""

PUBLISHED = frozenset(
    {
        Fix.PUBLISH_SPF,
        Fix.MERGE_SPF,
        Fix.PUBLISH_DKIM,
        Fix.RETURN_PATH_CNAME,
        Fix.PUBLISH_DMARC,
    }
)
"""Fixes that are records to publish."""

_SPF_FIXES = frozenset({Fix.PUBLISH_SPF, Fix.MERGE_SPF})
_WITHOUT_SPF = frozenset({Fix.MERGE_SPF, Fix.RETURN_PATH_CNAME, Fix.USE_OUR_ADDRESS})
"""What is done where his SPF record is at fault and no other can be offered."""
_UNTOUCHED = frozenset({Fix.USE_OUR_ADDRESS, Fix.OURS, Fix.NOT_CHECKED})
"""Fixes beside which nothing more is said of his records."""
_OPEN = "+all"
"""Begins the finding that the record permits every server."""
_PRESENT = re.compile(r"v=spf1(?: .*)?$", re.IGNORECASE)
_SHORTENED = (" …", " | ")
"""End of a record that a finding has not whole, and what stands between several."""


@dataclass(frozen=True, slots=True)
class Matter:
    """A diagnosis, and what may be said of it."""

    diagnosis: Diagnosis
    reason: Reason | None
    """None: nothing was refused."""

    @property
    def fix(self) -> Fix:
        """What mends it."""
        return self.diagnosis.fix

    @property
    def records(self) -> tuple[DnsRecord, ...]:
        """Those to publish; none where one of them cannot be shown as it is."""
        return list_showable(self.diagnosis)

    @property
    def is_gone(self) -> bool:
        """Tell whether the From domain does not exist."""
        return self._has_found(Check.FROM, State.MISSING)

    @property
    def variant(self) -> str:
        """What DNS has shown, as the words name it."""
        fix = self.fix
        if fix is Fix.USE_OUR_ADDRESS and not self.diagnosis.freemail:
            return "no-means"
        if fix in {Fix.NONE, Fix.ASK_RECEIVER} and self.is_open:
            return "open-spf"
        if fix is Fix.PUBLISH_DMARC and self.is_policy_broken:
            return "broken-dmarc"
        return self._name_merge() if fix is Fix.MERGE_SPF else fix.value

    @property
    def spf_name(self) -> str:
        """The domain whose SPF record is meant."""
        record = self.spf_record
        return record.name if record else self._find_spf_domain() or self.diagnosis.domain

    @property
    def is_spf_explained(self) -> bool:
        """Tell whether it must be said which of his domains the SPF record belongs to."""
        return self.fix in _SPF_FIXES

    @property
    def spf_record(self) -> DnsRecord | None:
        """The SPF record to publish."""
        return self._find_record("spf")

    @property
    def present_spf(self) -> str | None:
        """The SPF record that is there, where a finding has it whole."""
        found = self._find_spf()
        match = _PRESENT.search(found.detail) if found else None
        if match is None or any(mark in match[0] for mark in _SHORTENED):
            return None
        return match[0] if is_whole(match[0]) else None

    @property
    def lookups(self) -> int:
        """What the SPF record costs: as it is, else with ours."""
        before = self.diagnosis.lookups_before or 0
        return before if before > MAX_LOOKUPS else max(before, self.diagnosis.lookups_after or 0)

    @property
    def lookups_left(self) -> int:
        """What his own SPF record may cost, so that ours fits in."""
        before, after = self.diagnosis.lookups_before or 0, self.diagnosis.lookups_after or 0
        return max(1, MAX_LOOKUPS - max(1, after - before))

    @property
    def is_full(self) -> bool:
        """Tell whether his SPF record can take nothing more, and stays as it is."""
        is_his = self.fix is Fix.MERGE_SPF or self._find_spf_domain() is not None
        found = self._find_spf()
        return (
            self.fix in _WITHOUT_SPF
            and is_his
            and self.spf_record is None
            and self.lookups > MAX_LOOKUPS
            and (found is None or found.state not in IN_ORDER)
        )

    @property
    def full_variant(self) -> str:
        """How full the SPF record is, as the words name it."""
        return "overfull-spf" if self.is_overfull else "crowded-spf"

    @property
    def is_overfull(self) -> bool:
        """Tell whether it costs too much already, so that it counts for nobody."""
        return self.is_full and (self.diagnosis.lookups_before or 0) > MAX_LOOKUPS

    @property
    def is_open(self) -> bool:
        """Tell whether his SPF record permits every server, and stays as it is."""
        return (
            self.fix not in _SPF_FIXES | _UNTOUCHED
            and self._find_spf_domain() is not None
            and any(
                each.check is Check.SPF and each.detail.split()[:1] == [_OPEN]
                for each in self.diagnosis.findings
            )
        )

    @property
    def is_policy_broken(self) -> bool:
        """Tell whether there is a DMARC record that counts for nothing."""
        is_broken = self._has_found(Check.DMARC, State.BROKEN)
        return is_broken and count_replaced(self._find_record("dmarc")) > 0

    @property
    def count_meant(self) -> int:
        """How many records the request is about: those that go, or those that come."""
        match self.variant:
            case "broken-dmarc":
                return count_replaced(self._find_record("dmarc"))
            case _ if self.fix is Fix.MERGE_SPF:
                return max(1, count_replaced(self.spf_record))
        return len(self.records)

    @property
    def is_replacing_besides(self) -> bool:
        """Tell whether a record replaces another, and the request does not say so."""
        said = {Fix.MERGE_SPF: "spf", Fix.PUBLISH_DMARC: "dmarc"}.get(self.fix)
        is_said = self.fix is Fix.MERGE_SPF or self.variant == "broken-dmarc"
        return any(
            each.replaces and not (is_said and find_purpose(each) == said) for each in self.records
        )

    @property
    def is_adding_besides(self) -> bool:
        """Tell whether a record comes beside the one that replaces others."""
        policy = self._find_record("dmarc")
        return self.fix is Fix.MERGE_SPF and policy is not None and not policy.replaces

    @property
    def is_spf_idle(self) -> bool:
        """Tell whether an SPF record of his would be looked at by nobody (RFC 7208 §2.4)."""
        mail_from = self.diagnosis.mail_from_domain
        return (
            self.fix is Fix.PUBLISH_DKIM
            and self.reason is not Reason.DKIM
            and self.diagnosis.identity is not Identity.FROM
            and mail_from is not None
            and not _are_related(mail_from, self.diagnosis.domain)
        )

    def _name_merge(self) -> str:
        if self.is_full:
            return self.full_variant
        if count_replaced(self.spf_record) > 1:
            return "several-spf"
        return "broken-spf" if self._has_found(Check.SPF, State.BROKEN) else self.fix.value

    def _find_record(self, purpose: str) -> DnsRecord | None:
        return next((each for each in self.records if find_purpose(each) == purpose), None)

    def _find_spf(self) -> DiagnosisFinding | None:
        """Return what was seen of the SPF record itself: the first of its findings."""
        return next((each for each in self.diagnosis.findings if each.check is Check.SPF), None)

    def _has_found(self, check: Check, state: State) -> bool:
        return any(each.check is check and each.state is state for each in self.diagnosis.findings)

    def _find_spf_domain(self) -> str | None:
        """Return the domain that SPF is checked on; None: it is not his, or nobody knows it."""
        domain, mail_from = self.diagnosis.domain, self.diagnosis.mail_from_domain
        if self.reason is Reason.SPF and self.diagnosis.identity is Identity.FROM:
            return domain
        return mail_from if mail_from and _are_related(mail_from, domain) else None


def _are_related(one: str, other: str) -> bool:
    """Tell whether both domains are one owner's."""
    return find_organizational_domain(one) == find_organizational_domain(other)
