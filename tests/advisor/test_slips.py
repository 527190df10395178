"""What can never stand in an address, and what was meant by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.advisor.providers import read_providers
from bounced.advisor.slips import mend, spell_out, unwrap

PROVIDERS = read_providers()
NAMES = ("gmail.com", "stadt.example", "gmx.de", "gmx.net")


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ("mailto:max@stadt.example", "max@stadt.example"),
        ("EMail : max@stadt.example", "max@stadt.example"),
        ("Muster, Max <max@stadt.example>;", "max@stadt.example"),
        ("[max@stadt.example]", "max@stadt.example"),
        ("max@stadt.example (Büro)", "max@stadt.example"),
        ("max {at} stadt.example", "max@stadt.example"),
        ("max@@ stadt.example", "max@stadt.example"),
        ("max\uff20stadt.example", "max@stadt.example"),
        ("max\ufeff@stadt.example\u202e", "max@stadt.example"),
        ("max(at)home@stadt.example", "max(at)home@stadt.example"),
        ("", ""),
    ],
)
def test_what_stands_around_an_address_is_taken_off(around: str, expected: str) -> None:
    assert unwrap(around) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("max@stadt,example", "max@stadt.example"),
        ("max,muster@stadt.example", "max.muster@stadt.example"),
        ("muster, max@stadt.example", "muster, max@stadt.example"),
        ("max@stadt", "max@stadt.example"),
        ("max@gmx", "max@gmx"),
        ("max@dorf", "max@dorf"),
        ("max@stadt example", "max@stadt.example"),
        ("max@stadt amt.example", "max@stadtamt.example"),
        ("max@dorf amt", "max@dorfamt"),
        ("max@www.stadt.example", "max@stadt.example"),
        ("max@www.example", "max@www.example"),
        ("max@stadt.con", "max@stadt.com"),
        ("max@stadt.co", "max@stadt.co"),
        ("max@stadt.com.com", "max@stadt.com"),
        ("max@stadt.intern.intern", "max@stadt.intern.intern"),
        ("max@gmail.com.de", "max@gmail.com"),
        ("max@stadt.example.de", "max@stadt.example.de"),
        ("max@yahoo.com.br", "max@yahoo.com.br"),
        ("max@st\u0430dt.example", "max@stadt.example"),
        ("max@\u0430\u0435.example", "max@\u0430\u0435.example"),
        ("max@st\u0436dt.example", "max@st\u0436dt.example"),
        ("Jörg.Groß@stadt.example", "Joerg.Gross@stadt.example"),
        ("jo\u0308rg@stadt.example", "joerg@stadt.example"),
        ("zoë@müller.example", "zoe@müller.example"),
        ("max@stadt.example@dorf.example", None),
        ("max", None),
        ("", None),
    ],
)
def test_a_slip_is_mended_where_only_one_thing_can_be_meant(
    typed: str, expected: str | None
) -> None:
    assert mend(typed, PROVIDERS, NAMES) == expected


def test_umlauts_are_spelled_out_as_germans_do() -> None:
    assert spell_out("ÄÖÜẞäöüß é") == "AeOeUeSSaeoeuess é"


@given(st.text(max_size=80))
def test_mending_what_was_mended_changes_nothing_around_the_at_sign(typed: str) -> None:
    mended = mend(typed, PROVIDERS, NAMES)
    assert mended is None or mended.count("@") == 1
