from __future__ import annotations

import unicodedata
from typing import Self, SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.words.cleaning import clean, clean_address, clean_domain, clean_url

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=300)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Baubesprechung Nr. 14", "Baubesprechung Nr. 14"),
        ("  zwei\t Wörter \n", "zwei Wörter"),
        ("a\r\nBcc: b@example.net", "a Bcc: b@example.net"),
        ("a\x00b\x1bc\x85d", "a b c d"),
        ("a\u2028b\u2029c", "a b c"),
        ("rechnung\u202efdp.exe", "rechnungfdp.exe"),
        ("\u2066a\u2069\u200eb\ufeff", "ab"),
        ("a\ud800b", "ab"),
        pytest.param("a\u3164\u2800\u115fb", "ab", id="blanks that are letters"),
        ("日本 🏗️", "日本 🏗️"),
        ("", ""),
    ],
)
def test_text_becomes_one_visible_line(text: str, expected: str) -> None:
    assert clean(text, 100) == expected


@pytest.mark.parametrize(
    ("max_chars", "expected"),
    [
        (17, "zwölf lange Boxen"),
        (16, "zwölf lange…"),
        (13, "zwölf lange…"),
        (12, "zwölf lange…"),
        (11, "zwölf…"),
        (5, "zwöl…"),
        (1, "…"),
    ],
)
def test_long_text_is_cut_after_a_word_and_shows_it(max_chars: int, expected: str) -> None:
    assert clean("zwölf lange Boxen", max_chars) == expected


@pytest.mark.parametrize(("length", "kept"), [(40, 0), (41, 41)])
def test_only_an_overlong_word_is_cut_inside(length: int, kept: int) -> None:
    shown = clean("see " + "x" * 100, len("see ") + length + 1)
    assert shown == ("see " + "x" * kept).rstrip() + "…"


@given(ANY_TEXT, st.integers(1, 80))
def test_cleaned_text_can_stand_anywhere(text: str, max_chars: int) -> None:
    line = clean(text, max_chars)
    assert len(line) <= max_chars
    assert line == line.strip()
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    line.encode()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Max.Huber@Gmial.COM", "Max.Huber@gmial.com"),
        ("info@bäder.example", "info@bäder.example (xn--bder-loa.example)"),
        ("info@раураl.example", "info@xn--l-7sba6dbr.example"),
        ("a\r\nb@example.com\n", "a b@example.com"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_an_address_is_shown_with_its_real_domain(address: str, expected: str) -> None:
    assert clean_address(address) == expected


def test_an_endless_local_part_does_not_push_the_domain_out_of_sight() -> None:
    shown = clean_address("boss@bank.example " * 1000 + "@evil.example")
    assert shown == "boss@bank.example boss@bank.example boss@bank.example…@evil.example"


def test_an_endless_domain_is_cut() -> None:
    assert clean_address("a@" + "b" * 10_000) == "a@" + "b" * 253 + "…"


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("Bäder.EXAMPLE.\n", "bäder.example (xn--bder-loa.example)"),
        ("xn--bder-loa.example", "bäder.example (xn--bder-loa.example)"),
        ("łódź.example", "łódź.example (xn--d-uga0v4h.example)"),
        pytest.param("paypaı.example", "paypaı.example (xn--paypa-r4a.example)", id="dotless i"),
        pytest.param("раураl.example", "xn--l-7sba6dbr.example", id="Cyrillic and Latin"),
        pytest.param("раура.example", "xn--80aa0cbo.example", id="Cyrillic"),
        pytest.param("ԛuery.example", "xn--uery-p2e.example", id="younger than IDNA 2003"),
        pytest.param("раурал..example", "xn--80aa7arbr..example", id="empty label"),
        pytest.param("а" * 70 + ".example", None, id="label too long"),
        pytest.param("日本.example", "xn--wgv71a.example", id="a script not told apart here"),
        ("bank。example", "bank.example"),
        ("xn--strae-oqa.example", "xn--strae-oqa.example"),
        ("xn--99999999999.example", "xn--99999999999.example"),
        ("xn--.example", "xn--.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("a\ud800b.example", "ab.example"),
        ("", ""),
    ],
)
def test_no_domain_passes_for_another(domain: str, expected: str | None) -> None:
    shown = clean_domain(domain)
    assert shown.isascii() if expected is None else shown == expected


@given(ANY_TEXT)
def test_a_domain_in_letters_has_its_a_labels_beside_it(domain: str) -> None:
    letters, _, exact = clean_domain(domain).rstrip("…").partition(" (")
    assert letters.isascii() or exact.removesuffix(")").isascii()
    assert all(c.isascii() or "ß" <= c <= "ž" for c in letters)


@pytest.mark.parametrize(
    "url", ["https://baudoku.example/p/8f3a?x=1&y=ä", "HTTP://baudoku.example/", "http://[::1]/"]
)
def test_a_web_address_is_kept(url: str) -> None:
    assert clean_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "baudoku.example/p",
        "https://",
        "https://a.example/ b",
        "https://a.example/\nx",
        'https://a.example/"onclick="x',
        "https://a.example/<b>",
        "https://a.example/\u202egpj",
        "https://a.example/" + "x" * 2000,
    ],
)
def test_anything_else_is_no_link(url: str | None) -> None:
    assert clean_url(url) is None


class CountingText(str):
    """A text that counts the characters taken from it."""

    taken: int
    __slots__ = ("taken",)

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.taken = 0
        return made

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        part = super().__getitem__(key)
        self.taken += len(part)
        return part


@pytest.mark.parametrize("length", [10_000, 1_000_000])
def test_of_an_endless_text_only_the_beginning_is_looked_at(length: int) -> None:
    text = CountingText(" \u202e<{(%s" * length)
    assert len(clean(text, 100)) <= 100
    assert text.taken == 400
