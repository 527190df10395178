"""The attached list in any spreadsheet."""

from __future__ import annotations

import csv
from itertools import chain

import pytest

from bounced.model import Reason
from bounced.notifier.listing import make_list
from bounced.words.catalogue import load_words
from tests.notifier.building_site import (
    SETTINGS,
    make_case,
    make_notice,
    make_strike,
)

WORDS = load_words(None)


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize(
    "title",
    [
        "=1+1",
        "Haus;=1+1",
        "Haus,+1",
        "Haus, -1",
        'Haus;"=1+1',
        'Haus,"@SUM(1)',
        "Haus\t=1+1",
        "Haus\n=1+1",
        "；＝1+1;＝1+1",
    ],
)
def test_no_spreadsheet_finds_a_formula_in_the_list(
    title: str, language: str, separator: str
) -> None:
    """By whatever separator it reads."""
    strike = make_strike("=cmd@kunde.example", title=title, reference=None)
    notice = make_notice(make_case(Reason.USER_UNKNOWN, strike))
    listed = make_list(notice, WORDS[language], SETTINGS)
    cells = chain.from_iterable(csv.reader(listed[1:].splitlines(), delimiter=separator))
    assert [cell for cell in cells if cell.strip(' "').startswith(tuple("=+-@＝"))] == []
