"""All cases, and the zones that they need."""

from __future__ import annotations

from tests.zones import key_cases, policy_cases, resolving_cases, spf_cases, spf_faults, spf_limits
from tests.zones.authority import Zone
from tests.zones.case import Case

CASES: tuple[Case, ...] = (
    *spf_cases.CASES,
    *spf_limits.CASES,
    *spf_faults.CASES,
    *key_cases.CASES,
    *policy_cases.CASES,
    *resolving_cases.CASES,
)


def list_zones() -> tuple[Zone, ...]:
    """Return every zone: ours, the hoster's, and those of the cases."""
    sender = Zone(spf_cases.SENDER.origin, (*spf_cases.SENDER.records, *key_cases.OUR_KEYS))
    return (sender, spf_cases.HOSTER, *(zone for case in CASES for zone in case.zones))
