"""The table of mail domains and endings that comes with the package."""

from __future__ import annotations

import pytest

from bounced.advisor.providers import Providers, read_providers
from bounced.model import domain_key

PROVIDERS = read_providers()
TINY = Providers(frozenset({"web.de"}), frozenset({"web.de"}), frozenset(), frozenset({"de"}), {})


def test_every_domain_of_the_table_is_a_comparison_form_with_an_ending_that_exists() -> None:
    domains = PROVIDERS.services | PROVIDERS.taken | PROVIDERS.tenancies
    assert {domain_key(domain) for domain in domains} == domains
    assert [domain for domain in sorted(domains) if not PROVIDERS.can_exist(domain)] == []


def test_what_is_asked_for_is_a_service_and_nobody_elses() -> None:
    assert PROVIDERS.asked < PROVIDERS.services
    assert PROVIDERS.services & PROVIDERS.taken == frozenset()


def test_an_ending_is_mended_only_if_it_does_not_exist_and_into_one_that_does() -> None:
    assert set(PROVIDERS.slips) & PROVIDERS.endings == set()
    assert set(PROVIDERS.slips.values()) <= PROVIDERS.endings
    assert PROVIDERS.slips["con"] == "com"


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("stadt.de", True),
        ("Stadt.DE.", True),
        ("stadt.рф", True),
        ("stadt.dr", False),
        ("de", False),
        ("", False),
    ],
)
def test_a_domain_can_exist_under_an_ending_that_does(domain: str, *, expected: bool) -> None:
    assert TINY.can_exist(domain) is expected


def test_a_service_and_a_neighbour_are_right_as_they_stand() -> None:
    assert [PROVIDERS.is_right(d) for d in ("gmx.com", "webb.de", "gmial.com")] == [
        True,
        True,
        False,
    ]
