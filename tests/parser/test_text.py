"""Tests of decoding and text comparison."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.parser.text import (
    decode_base64,
    decode_bytes,
    decode_transfer,
    join_spaces,
    squash,
    strip_html,
)


@pytest.mark.parametrize(
    ("data", "charset", "expected"),
    [
        pytest.param("Empfänger".encode(), None, "Empfänger", id="utf-8 without charset"),
        pytest.param("Empfänger".encode("latin-1"), None, "Empfänger", id="latin-1 undeclared"),
        pytest.param("не".encode("koi8-r"), "KOI8-R", "не", id="koi8-r"),
        pytest.param("送信".encode("iso-2022-jp"), '"ISO-2022-JP"', "送信", id="quoted name"),
        pytest.param("送信".encode("iso-2022-jp"), None, "送信", id="iso-2022-jp undeclared"),
        pytest.param("ä".encode(), "us-ascii", "ä", id="wrong charset falls back to utf-8"),
        pytest.param(b"\xe4", "utf-8", "ä", id="broken utf-8 falls back to latin-1"),
        pytest.param(b"+2AA-", "utf-7", "+2AA-", id="utf-7 is not trusted"),
        pytest.param(b"a\\ud800", "unicode_escape", "a\\ud800", id="escapes stay"),
        pytest.param(b"abc", "no-such-charset", "abc", id="unknown charset"),
        pytest.param(b"a\0b", None, "ab", id="NUL is dropped"),
    ],
)
def test_bytes_are_decoded_as_declared_or_guessed(
    data: bytes, charset: str | None, expected: str
) -> None:
    assert decode_bytes(data, charset) == expected


def test_what_declares_nothing_is_in_the_charset_of_its_neighbour() -> None:
    assert decode_bytes("не".encode("koi8-r"), fallback="koi8-r") == "не"
    assert decode_bytes("не".encode(), fallback="koi8-r") == "не"


@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        ("base64", b"SGFs\nbG8=", b"Hallo"),
        ("Quoted-Printable", b"gr=C3=BC=\n=C3=9Fe", "grüße".encode()),
        ("8bit", b"x=41", b"x=41"),
        ("", b"x", b"x"),
    ],
)
def test_transfer_encodings_are_undone(encoding: str, data: bytes, expected: bytes) -> None:
    assert decode_transfer(data, encoding) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"SGFsbG8", b"Hallo", id="no padding"),
        pytest.param(b"SGFs!bG8=%", b"Hallo", id="foreign characters"),
        pytest.param(b"SGFsb", b"Hal", id="a lone letter at the end"),
        pytest.param(b"", b"", id="empty"),
    ],
)
def test_broken_base64_gives_what_it_holds(data: bytes, expected: bytes) -> None:
    assert decode_base64(data) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("a<br>b", "a\nb", id="line break"),
        pytest.param("<p>x</p><div>y</div>", "\nx\n\ny\n", id="blocks"),
        pytest.param("<style>p{}</style>z", "z", id="style is hidden"),
        pytest.param("q<script>1<b></script>r", "qr", id="tags inside script"),
        pytest.param("<title>t", "", id="hidden to the end"),
        pytest.param("1 &lt; 2&nbsp;x", "1 < 2 x", id="entities"),
        pytest.param("<max@firma.de>: 550", "<max@firma.de>: 550", id="an address is no tag"),
        pytest.param("a < b", "a < b", id="a lone bracket"),
        pytest.param("a<b>c</b>", "ac", id="a tag that breaks no line"),
    ],
)
def test_html_gives_its_visible_text(source: str, expected: str) -> None:
    assert strip_html(source) == expected


def test_two_renderings_of_one_reply_squash_alike() -> None:
    assert squash("550-5.1.1 No such User!") == squash("550 5.1.1  no such\nuser")


def test_spaces_are_joined() -> None:
    assert join_spaces(" a\n\tb  c ") == "a b c"


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "utf-16", "shift_jis", "gb18030", "x"]))
def test_decoding_never_fails_nor_leaves_nul_or_surrogates(data: bytes, charset: str) -> None:
    text = decode_bytes(data, charset)
    assert "\0" not in text
    text.encode()


@given(st.text(max_size=300))
def test_stripping_html_never_fails(source: str) -> None:
    assert "\0" not in strip_html(source)
