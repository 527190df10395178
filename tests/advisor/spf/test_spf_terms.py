"""The grammar of SPF records: what is a term, and what takes effect."""

from __future__ import annotations

import pytest

from bounced.advisor.spf.terms import (
    Term,
    find_repeated,
    is_record,
    list_effective,
    parse_term,
    read_terms,
    write_value,
)


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("all", Term("all", "+", "all")),
        ("-ALL", Term("-ALL", "-", "all")),
        ("?include:a.test", Term("?include:a.test", "?", "include", "a.test")),
        ("~a", Term("~a", "~", "a")),
        ("a/24", Term("a/24", "+", "a")),
        ("a//64", Term("a//64", "+", "a")),
        ("mx:a.test/0//0", Term("mx:a.test/0//0", "+", "mx", "a.test")),
        ("a:a.test.", Term("a:a.test.", "+", "a", "a.test.")),
        ("a:_x.a-b.co-m/32//128", Term("a:_x.a-b.co-m/32//128", "+", "a", "_x.a-b.co-m")),
        ("mx:%{d}", Term("mx:%{d}", "+", "mx", "%{d}")),
        ("mx:%{D2r}/24", Term("mx:%{D2r}/24", "+", "mx", "%{D2r}")),
        ("ptr", Term("ptr", "+", "ptr")),
        ("ptr:a.test", Term("ptr:a.test", "+", "ptr", "a.test")),
        ("exists:%{l1r+-}.%%_%_%-.a.test", Term("exists:%{l1r+-}.%%_%_%-.a.test", "+", "exists", "%{l1r+-}.%%_%_%-.a.test")),
        ("ip4:192.0.2.1", Term("ip4:192.0.2.1", "+", "ip4", "192.0.2.1")),
        ("ip4:192.0.2.1/24", Term("ip4:192.0.2.1/24", "+", "ip4", "192.0.2.1")),
        ("ip6:2001:db8::1/64", Term("ip6:2001:db8::1/64", "+", "ip6", "2001:db8::1")),
        ("ip6:::ffff:192.0.2.1", Term("ip6:::ffff:192.0.2.1", "+", "ip6", "::ffff:192.0.2.1")),
        ("redirect=a.test", Term("redirect=a.test", "", "redirect", "a.test")),
        ("EXP=%{i}.a.test", Term("EXP=%{i}.a.test", "", "exp", "%{i}.a.test")),
        ("foo.b-a_r=%{c}%{r}%{t}", Term("foo.b-a_r=%{c}%{r}%{t}", "", "foo.b-a_r", "%{c}%{r}%{t}")),
        ("foo=", Term("foo=", "", "foo")),
    ],
)  # fmt: skip
def test_a_word_of_the_grammar_is_a_term(word: str, term: Term) -> None:
    assert parse_term(word) == term


@pytest.mark.parametrize(
    "word",
    [
        "all:",
        "-all:a.test",
        "all/24",
        "+-all",
        "--all",
        "include",
        "include:",
        "include:/24",
        "include:test",
        "include:a.123",
        "include:a.-test",
        "include:a.test-",
        "include:a..",
        "include:a.test/24",
        "exists",
        "exists:",
        "ptr:",
        "ptr/24",
        "ptr:test",
        "a:",
        "a:test",
        "a/33",
        "a/024",
        "a//129",
        "a/24/64",
        "a/",
        "mx//064",
        "a:a.test/-1",
        "a:192.0.2.1",
        "ip4",
        "ip4:",
        "ip4:192.0.2",
        "ip4:192.0.2.256",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2.1/024",
        "ip4:192.0.2.01",
        "ip4:192.0.2.1/",
        "ip4:192.0.2.1//32",
        "ip4:192.0.2.0/255.255.255.0",
        "ip4:2001:db8::1",
        "ip6:192.0.2.1",
        "ip6:2001:db8::1/129",
        "ip6:2001:db8::g",
        "ip6:fe80::1%eth0",
        "redirect=",
        "redirect=test",
        "exp=",
        "exp=a",
        "redirect:a.test",
        "a:%{c}.a.test",
        "a:%{x}.test",
        "a:%.a.test",
        "a:%{d.a.test",
        "a:ü.test",
        "foo=ü",
        "foo=%{x}",
        "=a",
        "1=a",
        "foo",
        "foo:bar",
        "prt",
        "ipv4:192.0.2.1",
        "-",
    ],
)
def test_any_other_word_is_none(word: str) -> None:
    assert parse_term(word) is None


@pytest.mark.parametrize("text", ["v=spf1", "v=spf1 ", "V=SPF1 a", "v=spf1  -all"])
def test_a_record_begins_with_its_version(text: str) -> None:
    assert is_record(text)


@pytest.mark.parametrize("text", ["", "v=spf", "v=spf10", "v=spf1;", " v=spf1", "v=spf1\ta"])
def test_any_other_text_is_no_record(text: str) -> None:
    assert not is_record(text)


@pytest.mark.parametrize(
    ("text", "effective"),
    [
        ("v=spf1", []),
        ("v=spf1 a exp=e.test", ["a"]),
        ("v=spf1 a ~all mx -all redirect=a.test", ["a", "~all"]),
        ("v=spf1 redirect=a.test a", ["a", "redirect=a.test"]),
    ],
)
def test_what_takes_effect_ends_with_all_or_redirect(text: str, effective: list[str]) -> None:
    assert [term.text for term in list_effective(read_terms(text)[0])] == effective


def test_a_second_redirect_or_explanation_is_found() -> None:
    terms, _ = read_terms("v=spf1 redirect=a.test exp=a.test EXP=b.test")
    assert find_repeated(terms) == terms[2]
    assert find_repeated(terms[:2]) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("+a", "a"), ("-include:A.test.", "include:a.TEST"), ("IP4:192.0.2.1", "?ip4:192.0.2.1")],
)
def test_terms_are_compared_without_qualifier_and_case(one: str, other: str) -> None:
    first, second = parse_term(one), parse_term(other)
    assert first is not None
    assert second is not None
    assert first.mechanism == second.mechanism


def test_the_case_of_a_macro_makes_another_mechanism() -> None:
    first, second = parse_term("exists:%{l}.a.test"), parse_term("exists:%{L}.a.test")
    assert first is not None
    assert second is not None
    assert first.mechanism != second.mechanism


def test_a_value_of_255_octets_is_one_string_and_of_256_are_two() -> None:
    assert write_value("v=spf1 " + "x" * 248) == "v=spf1 " + "x" * 248
    assert write_value("v=spf1 " + "x" * 249) == f'"v=spf1 " "{"x" * 249}"'


def test_a_word_that_fits_into_no_string_is_cut() -> None:
    """No server takes a longer one (RFC 1035 §3.3)."""
    first, second = "x" * 255, "x" * 45
    assert write_value(f"v=spf1 {first}{second} -all") == f'"v=spf1 " "{first}" "{second} -all"'


def test_quotes_and_backslashes_are_escaped_in_strings() -> None:
    assert write_value('v=spf1 a="\\ ' + "x" * 250) == f'"v=spf1 a=\\"\\\\ " "{"x" * 250}"'
