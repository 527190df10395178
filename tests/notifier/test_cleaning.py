import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.notifier.cleaning import clean, clean_address, clean_domain, clean_url

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
        ("info@bäder.example", "info@xn--bder-loa.example"),
        ("info@раураl.example", "info@xn--l-7sba6dbr.example"),
        ("a\r\nb@example.com\n", "a b@example.com"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_an_address_is_shown_with_its_real_domain(address: str, expected: str) -> None:
    assert clean_address(address) == expected


def test_an_endless_address_is_cut() -> None:
    assert len(clean_address("a" * 10_000 + "@" + "b" * 10_000)) == 254


def test_a_domain_is_shown_as_a_labels() -> None:
    assert clean_domain("Bäder.EXAMPLE.\n") == "xn--bder-loa.example"


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
