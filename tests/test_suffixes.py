"""Whose domain a domain is."""

from __future__ import annotations

import pytest

from bounced.suffixes import (
    find_organizational_domain,
    is_organizational_domain,
    is_public_suffix,
)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("co.uk", True),
        ("De", True),
        ("localhost", True),
        ("firma.co.uk", False),
        ("github.io", False),
        ("uk.com", False),
        ("firma.nosuchending", False),
    ],
)
def test_below_a_public_suffix_others_register(domain: str, *, expected: bool) -> None:
    assert is_public_suffix(domain) is expected


@pytest.mark.parametrize(
    ("domain", "organization"),
    [
        ("firma.de", "firma.de"),
        ("a.b.Firma.DE.", "firma.de"),
        ("mail.firma.co.uk", "firma.co.uk"),
        ("mail.firma.or.at", "firma.or.at"),
        ("x.firma.github.io", "firma.github.io"),
        ("github.io", "github.io"),
        ("co.uk", "co.uk"),
        ("de", "de"),
        ("mail.firma.nosuchending", "firma.nosuchending"),
        ("bau.müller.de", "xn--mller-kva.de"),
        ("", ""),
        ("..", ""),
        ("a..b", "a..b"),
        ("\ud800", "\ud800"),
    ],
)
def test_an_organization_is_what_somebody_has_registered(domain: str, organization: str) -> None:
    assert find_organizational_domain(domain) == organization


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("firma.de", True),
        ("Firma.co.uk.", True),
        ("mail.firma.de", False),
        ("co.uk", False),
        ("github.io", False),
        ("", False),
    ],
)
def test_what_is_registered_is_told_from_what_lies_below(domain: str, *, expected: bool) -> None:
    assert is_organizational_domain(domain) is expected
