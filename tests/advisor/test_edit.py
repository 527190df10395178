"""The single slip between two words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from bounced.advisor.edit import Edit, find_edit


@pytest.mark.parametrize(
    ("typed", "right", "at", "wrong", "meant"),
    [
        ("gmial", "gmail", 2, "ia", "ai"),
        ("gmai", "gmail", 4, "", "l"),
        ("gmaill", "gmail", 5, "l", ""),
        ("gnail", "gmail", 1, "n", "m"),
        ("ail", "gail", 0, "", "g"),
    ],
)
def test_one_slip_is_found_where_it_happened(
    typed: str, right: str, at: int, wrong: str, meant: str
) -> None:
    assert find_edit(typed, right) == Edit(typed, right, at, wrong, meant)


@pytest.mark.parametrize(
    ("typed", "right"), [("gmail", "gmail"), ("gnial", "gmail"), ("", "gm"), ("gmlia", "gmail")]
)
def test_no_slip_and_several_are_not_one(typed: str, right: str) -> None:
    assert find_edit(typed, right) is None


@pytest.mark.parametrize(
    ("typed", "right", "expected"),
    [
        ("gmaill", "gmail", {"doubled", "closes_part"}),
        ("yaho", "yahoo", {"halved", "closes_part"}),
        ("gmial", "gmail", {"swapped"}),
        ("mgail", "gmail", {"swapped", "opens_part"}),
        ("m.luber", "m.huber", {"opens_part"}),
        ("martina.huber", "martin.huber", {"closes_part"}),
        ("max.huber", "max.hubers", {"closes_part"}),
        ("n.huber", "m.huber", {"opens_part", "closes_part"}),
    ],
)
def test_a_slip_says_what_kind_it_is(typed: str, right: str, expected: set[str]) -> None:
    edit = find_edit(typed, right)
    kinds = ("doubled", "halved", "swapped", "opens_part", "closes_part")
    assert {kind for kind in kinds if getattr(edit, kind)} == expected


def test_the_part_is_what_stands_between_dots_and_hyphens() -> None:
    edit = find_edit("max.muster-nord", "max.munster-nord")
    assert edit is not None
    assert (edit.part, edit.shortest_part_chars, edit.characters) == ("munster", 6, frozenset("n"))


words = st.text("abn.-", max_size=6)


@given(words, words)
def test_a_slip_is_found_exactly_where_the_distance_is_one(typed: str, right: str) -> None:
    assert (find_edit(typed, right) is not None) == (OSA.distance(typed, right) == 1)
