"""Which slips make another name, each with the two people it would mix up."""

from __future__ import annotations

import pytest

from bounced.advisor.edit import find_edit
from bounced.advisor.names import can_change_places, makes_another_name


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("schreiner", "schreiber"),
        ("hofmann", "hoffmann"),
        ("hoffmann", "hofmann"),
        ("bernhardt", "bernhard"),
        ("bernard.vogel", "bernhard.vogel"),
        ("christine", "christiane"),
        ("friederike", "frederike"),
        ("brandner", "brandtner"),
        ("ackermann", "akermann"),
        ("lorentzen", "lorenzen"),
        ("christina", "christian"),
        ("marleen", "marlene"),
        ("kirsten", "kristen"),
        ("birgit", "brigit"),
        ("weimann", "wiemann"),
        ("wagner", "wanger"),
        ("nia", "ina"),
        ("krueger", "kruger"),
    ],
)
def test_two_people_may_be_called_so(typed: str, right: str) -> None:
    edit = find_edit(typed, right)
    assert edit is not None
    assert makes_another_name(edit)


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("mustermnan", "mustermann"),
        ("mustre", "muster"),
        ("sekretraiat", "sekretariat"),
        ("seketariat", "sekretariat"),
        ("hofmannn", "hofmann"),
        ("buchhaltuung", "buchhaltung"),
        ("kruger", "krueger"),
    ],
)
def test_nobody_is_called_so(typed: str, right: str) -> None:
    edit = find_edit(typed, right)
    assert edit is not None
    assert not makes_another_name(edit)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [("max", "muster", True), ("muster", "max", True), ("otto", "werner", False)],
)
def test_first_and_last_name_change_places_where_it_is_clear_which_is_which(
    first: str, last: str, *, expected: bool
) -> None:
    assert can_change_places(first, last) is expected
