"""Addresses, domains and the words of the domain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import (
    REASONS,
    UNKNOWN_VERDICT,
    BouncedError,
    Category,
    ConfigError,
    LedgerError,
    Reason,
    RecipientFacts,
    RuleError,
    SendError,
    domain_key,
    recipient_key,
    split_address,
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("max@kunde.example", ("max", "kunde.example")),
        ('"a@b"@kunde.example', ('"a@b"', "kunde.example")),
        ("max", ("max", "")),
        ("max@", ("max", "")),
        ("@kunde.example", ("", "kunde.example")),
        ("", ("", "")),
    ],
)
def test_an_address_is_split_at_its_last_at(address: str, expected: tuple[str, str]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Max.Muster@Kunde.EXAMPLE", "max.muster@kunde.example"),
        ("<max@kunde.example>", "max@kunde.example"),
        (" max@kunde.example. ", "max@kunde.example"),
        ("jörg@büro.example", "jörg@xn--bro-hoa.example"),
        ("max@XN--BRO-HOA.example", "max@xn--bro-hoa.example"),
        ("ROOT", "root"),
        ("max@", "max"),
        ("", ""),
    ],
)
def test_one_mailbox_has_one_key(address: str, expected: str) -> None:
    assert recipient_key(address) == expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("Kunde.Example.", "kunde.example"),
        (" kunde.example ", "kunde.example"),
        ("BÜRO.example", "xn--bro-hoa.example"),
        ("straße.example", "strasse.example"),
        ("ü" * 70 + ".example", "ü" * 70 + ".example"),
        ("a..ü", "a..ü"),
        ("", ""),
    ],
)
def test_one_domain_has_one_key(domain: str, expected: str) -> None:
    assert domain_key(domain) == expected


@given(st.text())
def test_any_text_has_a_key_that_is_its_own_key(text: str) -> None:
    key = domain_key(text)
    assert domain_key(key) == key
    assert recipient_key(f"Max@{text}").lower().startswith("max")


@pytest.mark.parametrize(
    ("original", "final", "recipient", "forwarded"),
    [
        (None, None, None, False),
        (None, "max@kunde.example", "max@kunde.example", False),
        ("max@kunde.example", None, "max@kunde.example", False),
        ("Max@Kunde.example", "max@kunde.example", "Max@Kunde.example", False),
        ("max@kunde.example", "m@gmx.example", "max@kunde.example", True),
    ],
)
def test_the_original_recipient_is_the_one_a_person_recognises(
    original: str | None, final: str | None, recipient: str | None, forwarded: bool
) -> None:
    facts = RecipientFacts(original_recipient=original, final_recipient=final)
    assert (facts.recipient, facts.forwarded) == (recipient, forwarded)


def test_a_refusal_elsewhere_is_behind_a_forwarder() -> None:
    assert RecipientFacts(final_recipient="max@firma.de", refused_elsewhere=True).forwarded


def test_every_reason_belongs_to_exactly_one_category() -> None:
    listed = [reason for reasons in REASONS.values() for reason in reasons]
    assert sorted(listed) == sorted(Reason)
    assert set(REASONS) == set(Category)
    assert UNKNOWN_VERDICT.reason in REASONS[UNKNOWN_VERDICT.category]


def test_errors_are_one_tree() -> None:
    assert {error.__mro__[1] for error in (ConfigError, LedgerError, SendError)} == {BouncedError}
    assert issubclass(RuleError, ConfigError)
