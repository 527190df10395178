"""Which address may have been meant, and what speaks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.advisor.providers import read_providers
from bounced.advisor.typo import Basis, Known, Suggestion, suggest
from bounced.model import REASONS, Category, Reason, domain_key, recipient_key, split_address
from tests.advisor.handwritten import DOMAINS, LOCAL_PARTS, NOTHING, PAIRS, SLIPS, Pair

PROVIDERS = read_providers()
KNOWN = Known(
    author_domains=frozenset({"firma.example", domain_key("müller-bau.example")}),
    site_domains=frozenset({"planwerk.ch"}),
    author_addresses=frozenset({"max.mustermann@firma.example", "info@planwerk.ch"}),
)
DOUBTING = (Reason.USER_UNKNOWN, Reason.DOMAIN_UNKNOWN, Reason.NOT_ACCEPTING)

words = st.text("abcdegimowxzäöüß019-_ .,", max_size=12)
domains = st.one_of(
    st.sampled_from(sorted(PROVIDERS.asked | KNOWN.author_domains)),
    st.builds(
        lambda domain, at, letter: domain[:at] + letter + domain[at + 1 :],
        st.sampled_from(sorted(PROVIDERS.asked)),
        st.integers(0, 14),
        st.text("aeimnox-., ü\u0435\u200b", max_size=2),
    ),
    words,
)
addresses = st.one_of(
    st.text(max_size=60), st.builds(lambda local, domain: f"{local}@{domain}", words, domains)
)
reasons = st.sampled_from(Reason)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.typed or "nothing typed")
def test_what_a_secretary_types(pair: Pair) -> None:
    found = suggest(pair.typed, pair.reason, pair.knowledge, PROVIDERS)
    assert (found and found.address, found and found.basis) == (pair.expected, pair.basis)


def test_the_pairs_are_of_every_kind() -> None:
    sizes = [len(pairs) for pairs in (SLIPS, DOMAINS, LOCAL_PARTS, NOTHING)]
    assert min(sizes) >= 10
    assert sum(sizes) >= 100
    assert len({(pair.typed, pair.known, pair.reason) for pair in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize("reason", Reason)
def test_only_an_address_that_nobody_ever_had_is_doubted(reason: Reason) -> None:
    found = suggest("max@gmial.com", reason, KNOWN, PROVIDERS)
    assert (found is not None) == (reason in DOUBTING)
    assert set(DOUBTING) <= set(REASONS[Category.BAD_ADDRESS])


@pytest.mark.parametrize(
    ("typed", "reason", "expected"),
    [
        (
            "max@gmial.com",
            Reason.USER_UNKNOWN,
            Suggestion("max@gmail.com", Basis.DOMAIN, needs_dns=True, holds_without_dns=True),
        ),
        (
            "max@frima.example",
            Reason.DOMAIN_UNKNOWN,
            Suggestion("max@firma.example", Basis.DOMAIN, needs_dns=True, holds_without_dns=True),
        ),
        (
            "max@frima.example",
            Reason.USER_UNKNOWN,
            Suggestion("max@firma.example", Basis.DOMAIN, needs_dns=True, holds_without_dns=False),
        ),
        (
            "max@firma.exampel",
            Reason.USER_UNKNOWN,
            Suggestion("max@firma.example", Basis.DOMAIN, needs_dns=True, holds_without_dns=True),
        ),
        (
            "max@planwrek.ch",
            Reason.NOT_ACCEPTING,
            Suggestion("max@planwerk.ch", Basis.DOMAIN, needs_dns=True, holds_without_dns=True),
        ),
        (
            "max@mueller-bau.example",
            Reason.DOMAIN_UNKNOWN,
            Suggestion(
                "max@müller-bau.example", Basis.DOMAIN, needs_dns=True, holds_without_dns=True
            ),
        ),
        (
            "max@www.stadt.example",
            Reason.USER_UNKNOWN,
            Suggestion("max@stadt.example", Basis.SLIP, needs_dns=True, holds_without_dns=True),
        ),
        (
            "max..muster@stadt.example",
            Reason.USER_UNKNOWN,
            Suggestion(
                "max.muster@stadt.example", Basis.SLIP, needs_dns=False, holds_without_dns=True
            ),
        ),
        (
            "Max.Mustermnan@Firma.Example",
            Reason.USER_UNKNOWN,
            Suggestion(
                "max.mustermann@Firma.Example",
                Basis.LOCAL_PART,
                needs_dns=False,
                holds_without_dns=True,
            ),
        ),
    ],
)
def test_a_suggestion_says_what_it_stands_on(
    typed: str, reason: Reason, expected: Suggestion
) -> None:
    assert suggest(typed, reason, KNOWN, PROVIDERS) == expected


@pytest.mark.parametrize(
    "address", ["max@gmial.com", "max@frima.example", "max.mustermnan@firma.example", "m..x@a.ch"]
)
def test_an_address_that_works_for_the_author_is_not_doubted(address: str) -> None:
    known = Known(frozenset({"gmail.com", "firma.example"}), frozenset(), frozenset({address}))
    assert suggest(address, Reason.USER_UNKNOWN, known, PROVIDERS) is None


@pytest.mark.parametrize("where", ["author", "site"])
def test_a_domain_that_was_reached_is_not_doubted(where: str) -> None:
    reached, nothing = frozenset({"gmial.com"}), frozenset[str]()
    known = Known(
        reached if where == "author" else nothing, reached if where == "site" else nothing, nothing
    )
    assert suggest("max@gmial.com", Reason.DOMAIN_UNKNOWN, known, PROVIDERS) is None


@pytest.mark.parametrize(
    "typed",
    [
        "max@firma.example",
        "<max@firma.example>",
        " max@firma.example ",
        "MAX@FIRMA.EXAMPLE",
        "max@müller-bau.example",
        "max@mu\u0308ller-bau.example",
    ],
)
def test_a_spelling_that_servers_take_for_the_same_is_no_slip(typed: str) -> None:
    assert suggest(typed, Reason.USER_UNKNOWN, KNOWN, PROVIDERS) is None


@pytest.mark.parametrize(
    "typed",
    ["max@firma.example.", "max@firma.example>", "max@ firma.example", "max@fi\u200brma.example"],
)
def test_what_only_our_comparison_form_forgives_is_a_slip(typed: str) -> None:
    found = suggest(typed, Reason.USER_UNKNOWN, KNOWN, PROVIDERS)
    assert found is not None
    assert (found.address, found.basis) == ("max@firma.example", Basis.SLIP)


@pytest.mark.parametrize(
    "typed",
    [
        ".mail.com",  # mail.com, or gmail.com with another first letter
        "hotmail.co.",  # hotmail.co, or hotmail.com with another last letter
        "gm-.de",  # gm.de, or gmx.de
        "-online.de",  # online.de, or t-online.de without its t
    ],
)
def test_a_stray_dot_or_hyphen_that_may_be_a_letter_is_not_mended(typed: str) -> None:
    assert suggest(f"max@{typed}", Reason.DOMAIN_UNKNOWN, KNOWN, PROVIDERS) is None


@pytest.mark.parametrize(
    "typed",
    [
        f"{'m' * 65}@gmial.com",
        f"max@{'a.' * 130}gmail..com",
        f"{'m' * 400}@gmial.com",
        "max@stadt..intern",
        "max@xn--\udcff..de",
    ],
)
def test_nothing_is_suggested_that_is_no_address(typed: str) -> None:
    assert suggest(typed, Reason.DOMAIN_UNKNOWN, KNOWN, PROVIDERS) is None


@given(addresses, reasons)
def test_any_text_gives_the_same_address_each_time_and_never_itself(
    typed: str, reason: Reason
) -> None:
    found = suggest(typed, reason, KNOWN, PROVIDERS)
    again = Known(*(frozenset(sorted(field, reverse=True)) for field in _fields(KNOWN)))
    assert found == suggest(typed, reason, again, PROVIDERS)
    if found is None:
        return
    local, domain = split_address(found.address)
    host = domain_key(domain)
    assert found.address != typed
    assert found.needs_dns == (host != domain_key(split_address(typed)[1]))
    assert local.isascii()
    assert host.isascii()
    assert len(found.address) <= 254
    assert "." in host
    assert ".." not in found.address
    assert not set(found.address) & set(' ,;:<>"()[]\\')


@given(addresses, reasons)
def test_what_was_suggested_is_not_doubted_in_its_turn(typed: str, reason: Reason) -> None:
    found = suggest(typed, reason, KNOWN, PROVIDERS)
    if found is not None and found.basis is not Basis.SLIP:
        assert suggest(found.address, reason, KNOWN, PROVIDERS) is None


@given(addresses)
def test_a_suggestion_differs_in_its_comparison_form_or_mends_what_no_server_takes(
    typed: str,
) -> None:
    found = suggest(typed, Reason.USER_UNKNOWN, KNOWN, PROVIDERS)
    if found is not None and recipient_key(found.address) == recipient_key(typed):
        assert set(typed) & set(" <>\u200b\u00ad") or typed.rstrip("> ").endswith(".")


def _fields(known: Known) -> tuple[frozenset[str], ...]:
    return known.author_domains, known.site_domains, known.author_addresses


@pytest.mark.parametrize(
    "typed", ["max@firma.example.", "<max@firma.example", "max@firma.example "]
)
def test_a_slip_at_the_edge_is_found_though_the_address_without_it_works(typed: str) -> None:
    known = replace(KNOWN, author_addresses=frozenset({"max@firma.example"}))
    for knowledge in (KNOWN, known):
        found = suggest(typed, Reason.DOMAIN_UNKNOWN, knowledge, PROVIDERS)
        assert found is not None
        assert (found.address, found.needs_dns) == ("max@firma.example", False)


@pytest.mark.parametrize("local", ["-f", "+49", "=cmd", "m" * 65])
def test_nothing_is_suggested_that_would_not_be_taken_from_an_author(local: str) -> None:
    assert suggest(f"{local}@gmial.com", Reason.DOMAIN_UNKNOWN, KNOWN, PROVIDERS) is None
