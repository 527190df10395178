"""When what works is near enough to what was typed, and when it is another's."""

from __future__ import annotations

import pytest

from bounced.advisor.neighbours import find_domain, find_local_part, has_rival, readable
from bounced.advisor.providers import read_providers
from bounced.model import domain_key

PROVIDERS = read_providers()


@pytest.mark.parametrize(
    ("typed", "allowed", "expected"),
    [
        ("musterstdat.example", ["musterstadt.example"], "musterstadt.example"),
        ("gxm.de", ["gmx.de"], "gmx.de"),
        ("gmxx.de", ["gmx.de"], "gmx.de"),
        ("gmc.de", ["gmx.de"], None),
        ("gm.de", ["gmx.de"], None),
        ("bahh.de", ["bahn.de"], None),
        ("arcot.de", ["arcor.de"], "arcor.de"),
        ("brcor.de", ["arcor.de"], None),
        ("jotmail.de", ["hotmail.de"], "hotmail.de"),
        ("t.online.de", ["t-online.de"], "t-online.de"),
        ("r-online.de", ["t-online.de"], None),
        ("tonline.de", ["t-online.de", "online.de"], "t-online.de"),
        ("planwerk.cm", ["planwerk.com"], "planwerk.com"),
        ("planwerk.dk", ["planwerk.de"], None),
        ("planwerk.dr", ["planwerk.de"], "planwerk.de"),
        ("p1anwerk.de", ["planwerk.de"], "planwerk.de"),
        ("planwerk2.de", ["planwerk1.de"], None),
        ("planwerk2.de", ["planwerk.de"], None),
        ("planwrek.de", ["planwerk.de", "planwrekk.de"], None),
        ("freemet.de", [], None),
        (
            domain_key("müler-bau.example"),
            [domain_key("müller-bau.example")],
            "müller-bau.example",
        ),
        ("mueller-bau.example", [domain_key("müller-bau.example")], "müller-bau.example"),
        (domain_key("müller-bau.example"), ["mueller-bau.example"], "mueller-bau.example"),
        (
            domain_key("müller-bau.example"),
            ["mueller-bau.example", "muller-bau.example"],
            None,
        ),
    ],
)
def test_a_domain_is_meant_by_one_slip_that_is_no_other_name(
    typed: str, allowed: list[str], expected: str | None
) -> None:
    expected_key = None if expected is None else domain_key(expected)
    assert find_domain(typed, allowed, PROVIDERS) == expected_key


@pytest.mark.parametrize(
    ("typed", "working", "expected"),
    [
        ("sekretraiat", {"sekretariat"}, "sekretariat"),
        ("sekretariar", {"sekretariat"}, None),
        ("sekretariat", {"sekretariat", "sekretariar"}, None),
        ("sekretxriat", {"sekretariat", "sekretzriat"}, None),
        ("seketariat", {"sekretariat"}, "sekretariat"),
        ("hofman", {"hofmann"}, None),
        ("hofmannn", {"hofmann"}, "hofmann"),
        ("buchhaltuung", {"buchhaltung"}, "buchhaltung"),
        ("kruger", {"krueger"}, "krueger"),
        ("krueger", {"kruger"}, None),
        ("a.kramer", {"a.kraemer"}, "a.kraemer"),
        ("a.kreamer", {"a.kraemer"}, "a.kraemer"),
        ("a.kremer", {"a.kraemer"}, None),
        ("bauer", {"brauer"}, None),
        ("ina.koch", {"nia.koch"}, None),
        ("peter.paul", {"paul.peter"}, None),
        ("muster.paul", {"paul.muster"}, "paul.muster"),
        ("m.ab.koch", {"m.ba.koch"}, None),
        ("ax12345", {"ax12346"}, None),
        ("max.muster", {"maxxmuster"}, None),
        ("muster.max.anton", {"anton.max.muster"}, "anton.max.muster"),
        ("inof", {"info"}, "info"),
        ("inf", {"info"}, None),
        ("infoo", {"inf"}, None),
        ("info", {"ino"}, None),
        ("info", set(), None),
    ],
)
def test_a_local_part_is_meant_by_one_slip_that_is_no_other_person(
    typed: str, working: set[str], expected: str | None
) -> None:
    assert find_local_part(typed, working) == expected


@pytest.mark.parametrize(
    ("typed", "meant", "expected"),
    [
        ("web..de", "web.de", False),
        (".mail.com", "mail.com", True),
        ("gmx.ne.", "gmx.ne", True),
        ("gmail.com", "stadt.example", False),
    ],
)
def test_a_stray_dot_has_a_rival_where_a_letter_makes_another_domain(
    typed: str, meant: str, *, expected: bool
) -> None:
    assert has_rival(typed, meant, (), PROVIDERS) is expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("stadt.example", "stadt.example"),
        ("xn--mller-kva.example", "müller.example"),
        ("xn--\udcff.example", "xn--\udcff.example"),
        ("xn--99zzzzzz.example", "xn--99zzzzzz.example"),
        ("xn--STADT-.example", "xn--STADT-.example"),
    ],
)
def test_a_domain_is_shown_in_its_owners_letters_where_they_lead_back(
    domain: str, expected: str
) -> None:
    assert readable(domain) == expected
