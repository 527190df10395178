"""Tests of header fields and encoded words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.parser.headers import (
    MAX_FIELDS,
    Fields,
    decode_words,
    parse_content_type,
    read_fields,
    split_header,
    starts_with_field,
)


def test_fields_are_unfolded_and_kept_in_order() -> None:
    block = "Received: from a\n\tby b;\n  today\nSubject : x\nno field here\nreceived: from c"
    assert read_fields(block) == Fields(
        {"received": ("from a by b; today", "from c"), "subject": ("x",)}
    )


def test_first_and_every_tell_what_is_absent() -> None:
    fields = read_fields("To: a\nTo: b")
    assert (fields.first("to"), fields.every("to")) == ("a", ("a", "b"))
    assert (fields.first("cc"), fields.every("cc")) == (None, ())
    assert "to" in fields
    assert not Fields()


def test_no_more_fields_are_read_than_allowed() -> None:
    fields = read_fields("a: b\n" * (MAX_FIELDS + 7))
    assert len(fields.every("a")) == MAX_FIELDS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Subject: x\n", True),
        ("From a@b Thu Apr 29 2010\nSubject: x", True),
        ("Hi, this is text: no field\n", False),
        ("", False),
    ],
)
def test_a_first_line_that_is_a_field_begins_a_header(text: str, *, expected: bool) -> None:
    assert starts_with_field(text) is expected


def test_the_mbox_line_is_no_part_of_the_header() -> None:
    assert split_header("From a@b today\nTo: x\n\nbody") == ("To: x", "body")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("plain", "plain", id="nothing encoded"),
        pytest.param("=?utf-8?Q?gr=C3=BC=C3=9Fe?=", "grüße", id="quoted-printable"),
        pytest.param("=?UTF-8?B?U2Now7Zu?= x", "Schön x", id="base64"),
        pytest.param("=?utf-8?q?a?= =?utf-8?q?b?=", "ab", id="space between words is dropped"),
        pytest.param("=?utf-8?q?a?= c =?utf-8?q?b?=", "a c b", id="text between words stays"),
        pytest.param("=?utf-8?B?w7w=?=\t=?utf-8?B?w4Q=?=", "üÄ", id="tab between words"),
        pytest.param("=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü", id="a letter cut in two"),
        pytest.param("=?latin1?Q?=E4?= =?utf-8?Q?=C3=A4?=", "ää", id="two charsets"),
        pytest.param("=?utf-8?x?abc?=", "=?utf-8?x?abc?=", id="unknown encoding"),
        pytest.param("=?utf-8?Q?open", "=?utf-8?Q?open", id="never closed"),
    ],
)
def test_encoded_words_are_decoded(value: str, expected: str) -> None:
    assert decode_words(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            'Multipart/Report; boundary="a b"; x=1',
            ("multipart/report", {"boundary": "a b", "x": "1"}),
        ),
        ("text/plain;charset=utf-8", ("text/plain", {"charset": "utf-8"})),
        ("text/plain; charset*=utf-8", ("text/plain", {"charset": "utf-8"})),
        ("text", ("text", {})),
        ('x/y; a="open', ("x/y", {})),
    ],
)
def test_a_content_type_is_split(value: str, expected: tuple[str, dict[str, str]]) -> None:
    assert parse_content_type(value) == expected


@given(st.text(max_size=400))
def test_reading_words_and_fields_never_fails(text: str) -> None:
    decode_words(text)
    read_fields(text)
    parse_content_type(text)
