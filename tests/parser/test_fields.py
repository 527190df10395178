"""Tests of the tokens of a report."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.parser.fields import (
    find_addresses,
    find_code,
    is_address,
    parse_date,
    parse_host,
    parse_leading_code,
    parse_mailboxes,
    parse_message_id,
    parse_path,
    parse_recipient,
    parse_status,
    parse_typed,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<max.muster@firma.de>: 550", ["max.muster@firma.de"]),
        ("addressed to 'max@firma.de',", ["max@firma.de"]),
        ("a+b=c@d-e.test and josé@exämple.de.", ["a+b=c@d-e.test", "josé@exämple.de"]),
        ("max@[192.0.2.1]", ["max@[192.0.2.1]"]),
        ('"max muster"@firma.de', ['"max muster"@firma.de']),
        ("a@b@c.de", []),
        ("x" * 65 + "@firma.de", []),
        ("max@localhost", []),
        ("@firma.de and max@", []),
        ("nothing", []),
    ],
)
def test_only_whole_addresses_are_found(text: str, expected: list[str]) -> None:
    assert find_addresses(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("max@firma.de", True), ("max@firma", False), ("a b@firma.de", False), ("", False)],
)
def test_an_address_is_plausible_or_not(text: str, *, expected: bool) -> None:
    assert is_address(text) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("rfc822; max@firma.de", "max@firma.de"),
        ("RFC822;<max@firma.de>", "max@firma.de"),
        ("rfc822; <max@firma.de> (Max)", "max@firma.de"),
        ("max@firma.de", "max@firma.de"),
        (r"utf-8; j\x{F6}rg@firma.de", "jörg@firma.de"),
        (r"utf8; j\x{D800}g@firma.de", r"j\x{D800}g@firma.de"),
        ("rfc822; jörg@firma.de", "jörg@firma.de"),
        ("rfc822; max+40firma.de", "max@firma.de"),
        ("rfc822; max+2B@firma.de", "max+2B@firma.de"),
        ("rfc822; root", "root"),
        ("rfc822; unknown", None),
        ("rfc822; |/usr/bin/filter max", None),
        ("rfc822;", None),
        ("", None),
    ],
)
def test_a_recipient_field_gives_its_address(value: str, expected: str | None) -> None:
    assert parse_recipient(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("smtp; 550 no", ("smtp", "550 no")),
        ("X-Postfix;unknown", ("x-postfix", "unknown")),
        ("550 no", ("", "550 no")),
    ],
)
def test_a_typed_field_is_split(value: str, expected: tuple[str, str]) -> None:
    assert parse_typed(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"Muster, max@alt.de" <max@firma.de>, b@c.de', ("max@firma.de", "b@c.de")),
        ("Max Muster <max@firma.de>", ("max@firma.de",)),
        ('"open <max@firma.de>', ("max@firma.de",)),
        ("Liste: undisclosed;", ()),
        ("<not an address>", ()),
        ("", ()),
    ],
)
def test_mailboxes_are_read_without_names(value: str, expected: tuple[str, ...]) -> None:
    assert parse_mailboxes(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("<>", ""), (" <a@b.de>", "a@b.de"), ("a@b.de", "a@b.de"), ("x", None)]
)
def test_a_return_path_may_be_null(value: str, expected: str | None) -> None:
    assert parse_path(value) == expected


@pytest.mark.parametrize(("value", "expected"), [("<a@b>", "a@b"), ("a@b", "a@b"), (" ", None)])
def test_a_message_id_loses_its_brackets(value: str, expected: str | None) -> None:
    assert parse_message_id(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.1.1", "5.1.1"),
        ("5.1.1 (x)", "5.1.1"),
        ("550 (#5.7.26) no", "5.7.26"),
        ("host 5.1.1.9 said", None),
        ("192.5.1.1 said", None),
        ("550", None),
        ("3.1.1", None),
    ],
)
def test_a_status_code_is_never_part_of_an_ip_address(text: str, expected: str | None) -> None:
    assert parse_status(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 no", 550),
        ("421-try", 421),
        ("550: no", 550),
        ("550", 550),
        ("5501", None),
        ("x", None),
    ],
)
def test_a_reply_code_leads(text: str, expected: int | None) -> None:
    assert parse_leading_code(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host a [192.0.2.1]: 550 5.1.1 no", 20),
        ("said 421-4.7.0 later", 5),
        ("in 24 hours", None),
        ("id 1500-22", None),
    ],
)
def test_a_code_inside_text_is_found(text: str, expected: int | None) -> None:
    match = find_code(text)
    assert (match.start() if match else None) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("dns; mx.firma.de (192.0.2.1)", "mx.firma.de"),
        ("dns;[192.0.2.1]", "[192.0.2.1]"),
        ("mx", "mx"),
        ("dns; ", None),
        ("dns; --", None),
    ],
)
def test_a_host_field_gives_its_host(value: str, expected: str | None) -> None:
    assert parse_host(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Thu, 29 Apr 2010 23:34:45 +0900 (JST)", datetime(2010, 4, 29, 14, 34, 45, tzinfo=UTC)),
        ("Thu, 29 Apr 2010 23:34 -0130", datetime(2010, 4, 30, 1, 4, tzinfo=UTC)),
        ("29 April 10 23:34:60 GMT", datetime(2010, 4, 29, 23, 34, 59, tzinfo=UTC)),
        ("1 Jan 99 00:00:00", datetime(1999, 1, 1, tzinfo=UTC)),
        ("2026-11-21T20:42:47.123Z", datetime(2026, 11, 21, 20, 42, 47, tzinfo=UTC)),
        ("2026-11-21 20:42:47+01:00", datetime(2026, 11, 21, 19, 42, 47, tzinfo=UTC)),
        ("31 Feb 2010 00:00:00 +0000", None),
        ("1 Foo 2010 00:00:00 +0000", None),
        ("1 Jan 2010 00:00:00 +9900", None),
        ("1 Jan 0100 00:00:00 +0900", datetime(99, 12, 31, 15, tzinfo=UTC)),
        ("0001-01-01T00:00:00+09:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_become_aware_utc(value: str | None, expected: datetime | None) -> None:
    assert parse_date(value) == expected


@given(st.text(max_size=200))
def test_no_token_parser_fails(text: str) -> None:
    find_addresses(text)
    parse_recipient(text)
    parse_mailboxes(text)
    parse_path(text)
    parse_message_id(text)
    parse_status(text)
    parse_leading_code(text)
    parse_host(text)
    parse_date(text)
