"""What an author types into the field for the new address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.web.pages.typed import Typed, TypedFault, judge_typed

OLD = "max@gmial.example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max@gmail.example", "max@gmail.example"),
        ("  max@gmail.example\t", "max@gmail.example"),
        ("mailto:max@gmail.example", "max@gmail.example"),
        ("Max.O'Hara+protokolle@bau-büro.example", "Max.O'Hara+protokolle@bau-büro.example"),
        ("jürgen@firma.example", "jürgen@firma.example"),
        ("info@xn--bcher-kva.xn--p1ai", "info@xn--bcher-kva.xn--p1ai"),
        ("1@2.example", "1@2.example"),
        (f"{'m' * 64}@{'m.' * 91}example", f"{'m' * 64}@{'m.' * 91}example"),
    ],
)
def test_an_address_is_taken_without_the_blanks_around_it(text: str, expected: str) -> None:
    assert judge_typed(text, OLD) == Typed(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "max",
        "max@",
        "@gmail.example",
        "max@gmail",
        "max@gmail,example",
        "max@gmail..example",
        "max@.example",
        "max@gmail.example.",
        "max@gmail.e",
        "max@192.0.2.1",
        "max@[192.0.2.1]",
        "max..muster@gmail.example",
        ".max@gmail.example",
        "max.@gmail.example",
        "max muster@gmail.example",
        "max@gmail.example, eva@gmail.example",
        "max@gmail.example;eva@gmail.example",
        "max@eva@gmail.example",
        "Max <max@gmail.example>",
        '"max"@gmail.example',
        "max@gmail.example\nBcc: eva@gmail.example",
        "max\u202e@gmail.example",
        f"{'m' * 320}@gmail.example",
        f"{'m' * 65}@gmail.example",
        f"{'ü' * 33}@gmail.example",
        f"max@{'m' * 64}.example",
        f"{'m' * 64}@{'m.' * 92}example",
        "max@-gmail-.example",
        "max@gmail_net.example",
        "-f@gmail.example",
        "+491701234567@gmail.example",
        "=cmd@gmail.example",
        "|id@gmail.example",
    ],
)
def test_what_is_no_address_is_kept_for_mending(text: str) -> None:
    assert judge_typed(text, OLD) == Typed(text, TypedFault.ADDRESS)


@pytest.mark.parametrize("text", [OLD, "MAX@Gmial.Example", f" {OLD} "])
def test_the_address_that_failed_is_no_new_one(text: str) -> None:
    assert judge_typed(text, OLD) == Typed(text, TypedFault.SAME)


@given(st.text(), st.text())
def test_judging_is_total(text: str, old: str) -> None:
    judge_typed(text, old)


@pytest.mark.parametrize("old", [f"{OLD}.", f"<{OLD}", f"{OLD} "])
def test_an_address_without_the_slip_at_its_edge_is_a_new_one(old: str) -> None:
    assert judge_typed(OLD, old) == Typed(OLD)
