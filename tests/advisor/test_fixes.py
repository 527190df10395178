"""The fix of every situation is the one that was written down, from the standards, before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest

from bounced.advisor.fixes import (
    Dkim,
    Dmarc,
    Offer,
    Refusal,
    ReturnPath,
    Sender,
    Situation,
    Spf,
    agree,
    choose_way,
    decide,
)
from bounced.diagnosis import Fix
from tests.advisor.fix_table import FIXES, WAYS

NOTE = Path(__file__).parents[2] / "docs/decisions/2026-11-22-fixes.md"
WANTED = (Fix.PUBLISH_SPF, Fix.MERGE_SPF, Fix.PUBLISH_DKIM)
FIX_AXES = {
    "refused for": tuple(Refusal),
    "From": tuple(Sender),
    "SPF checked on": tuple(Spf),
    "DKIM": tuple(Dkim),
    "DMARC": tuple(Dmarc),
}
WAY_AXES = {
    "wanted": WANTED,
    "our include": ("yes", "no"),
    "our CNAMEs": ("yes", "no"),
    "return path": tuple(ReturnPath),
    "refused for": tuple(Refusal),
    "aspf": ("relaxed", "strict"),
}


def read_table(text: str, axes: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield every row of a table as many times as its lists have values, the fix last."""
    head, _, *rows = (
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in text.strip().splitlines()
    )
    assert head == (*axes, "fix", "because")
    for *cells, fix, because in rows:
        assert because.startswith("RFC ")
        values = (
            axis if cell == "any" else cell.split(", ")
            for cell, axis in zip(cells, axes.values(), strict=True)
        )
        yield from (tuple(map(str, (*each, fix))) for each in product(*values))


def test_the_table_has_each_situation_once() -> None:
    listed = [row[:-1] for row in read_table(FIXES, FIX_AXES)]
    assert len(listed) == 1350
    assert set(listed) == set(product(*FIX_AXES.values()))


def test_each_situation_has_the_fix_of_the_table() -> None:
    expected = {row[:-1]: row[-1] for row in read_table(FIXES, FIX_AXES)}
    actual = {
        each: decide(Situation(*each)).value for each in product(Refusal, Sender, Spf, Dkim, Dmarc)
    }
    assert actual == expected


def test_the_table_has_each_want_of_means_once() -> None:
    listed = [row[:-1] for row in read_table(WAYS, WAY_AXES)]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(product(*WAY_AXES.values()))


def test_where_means_are_wanting_the_way_is_that_of_the_table() -> None:
    expected = {row[:-1]: row[-1] for row in read_table(WAYS, WAY_AXES)}
    actual = {}
    for each in product(*WAY_AXES.values()):
        wanted, include, cnames, return_path, refusal, aspf = each
        offer = Offer(
            include=include == "yes",
            cnames=cnames == "yes",
            return_path=ReturnPath(return_path),
            strict_spf=aspf == "strict",
        )
        actual[each] = choose_way(Fix(wanted), Refusal(refusal), offer).value
    assert actual == expected


@pytest.mark.parametrize("fix", sorted(set(Fix) - set(WANTED)))
def test_a_fix_that_takes_nothing_of_ours_stays(fix: Fix) -> None:
    nothing = Offer(include=False, cnames=False, return_path=ReturnPath.NONE, strict_spf=False)
    assert {choose_way(fix, refusal, nothing) for refusal in Refusal} == {fix}


@pytest.mark.parametrize("text", [FIXES, WAYS])
def test_the_decision_note_holds_the_same_rows(text: str) -> None:
    assert text in NOTE.read_text()


def test_the_decision_note_holds_no_other_rows() -> None:
    rows = [line for line in NOTE.read_text().splitlines() if line.startswith("|")]
    assert rows == [*FIXES.strip().splitlines(), *WAYS.strip().splitlines()]


@pytest.mark.parametrize(
    ("fixes", "agreed"),
    [
        ([Fix.PUBLISH_DKIM], Fix.PUBLISH_DKIM),
        ([Fix.PUBLISH_DKIM, Fix.PUBLISH_DKIM], Fix.PUBLISH_DKIM),
        ([Fix.PUBLISH_DKIM, Fix.OURS], Fix.NOT_CHECKED),
        ([], Fix.NOT_CHECKED),
    ],
)
def test_only_what_is_right_in_each_case_is_said(fixes: list[Fix], agreed: Fix) -> None:
    assert agree(fixes) is agreed
