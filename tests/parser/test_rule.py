"""Phrases, rules and the index over them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import Category, Reason
from bounced.parser.folding import View, read_view
from bounced.parser.phrase import Phrase, PhraseIndex, Span, parse_phrase
from bounced.parser.rule import MAX_PATTERN_CHARS, Rule, Stage, compile_rules


def phrase(text: str) -> Phrase:
    parsed = parse_phrase(text)
    assert parsed is not None
    return parsed


def make_rule(**keys: object) -> Rule:
    needed = {
        "id": "one",
        "file": "f.toml",
        "stage": Stage.LANGUAGE,
        "category": Category.SYSTEM,
        "reason": Reason.EXPIRED,
        "source": "RFC 3463",
        "examples": (),
    }
    return Rule(**(needed | keys))  # type: ignore[arg-type] # a table of keys, checked by the rules


@pytest.mark.parametrize(
    ("text", "words", "span"),
    [
        ("User  Unknown", "550: user unknown.", Span(5, 17)),
        ("rbl", "marbles rbl", Span(8, 11)),
        ("full", "successfully full", Span(13, 17)),
        ("full", "successfully", None),
        ("full", "fuller full", Span(7, 11)),
        ("unbekannt*", "unbekannter", Span(0, 9)),
        ("[tss*", "a[tss04]", Span(1, 5)),
        ("宛先不明", "エラー宛先不明です", Span(3, 7)),
        ("spf=fail", "xspf=fail spf=failed", None),
        ("spf", "的spf驗證", Span(1, 4)),
        ("<address> unknown", "<address> unknown", Span(0, 17)),
    ],
)
def test_a_phrase_is_found_as_whole_words(text: str, words: str, span: Span | None) -> None:
    parsed = phrase(text)
    found = PhraseIndex([parsed]).find_all(words)
    assert found == ({} if span is None else {parsed: span})


@pytest.mark.parametrize("text", ["", "*", " * ", "a*b", "!!", "ab*", "-"])
def test_a_phrase_that_tells_nothing_is_none(text: str) -> None:
    assert parse_phrase(text) is None


@pytest.mark.parametrize(
    ("keys", "text", "span"),
    [
        ({"words": ("over quota", "quota")}, "is over quota", Span(3, 13)),
        ({"words": ("quota",), "unless": ("sending quota",)}, "sending quota", None),
        ({"links": ("spam.example",)}, "see http://spam.example/x", Span(7, 19, linked=True)),
        ({"words": ("quota",), "links": ("spam.example",)}, "no", None),
        ({"words": ("box",), "beside": ("full", "is full")}, "box is full", Span(0, 11)),
        ({"words": ("box",), "beside": ("full",)}, "the box", None),
        ({"words": ("box",), "beside": ("full",)}, "is full", None),
        ({"words": ("box",), "beside": ("full",), "all": ("x",)}, "box", None),
        ({"all": ("box", "full")}, "full is the box", Span(0, 15)),
        ({"all": ("box", "full")}, "the box", None),
        ({"words": ("quota",), "all": ("user",)}, "user over quota", Span(0, 15)),
        ({"words": ("quota",), "all": ("user",)}, "over quota", None),
        ({"links": ("spam.example",), "all": ("user",)}, "a user spam.example", Span(2, 6)),
        ({"words": ("id",), "pattern": re.compile(r"id \d")}, "id x id 5", Span(5, 9)),
        ({"words": ("id",), "pattern": re.compile(r"id \d")}, "id x", None),
        ({}, "anything", Span(0, 0)),
    ],
)
def test_every_key_of_a_rule_must_agree(
    keys: dict[str, object], text: str, span: Span | None
) -> None:
    made = {
        key: frozenset(map(phrase, value)) if isinstance(value, tuple) else value
        for key, value in keys.items()
    }
    rules = compile_rules([make_rule(**made)])
    findings = rules.find_phrases(read_view(text))
    found = [rule.match_phrases(findings) for rule in rules.find_candidates(findings, None)]
    assert (found or [None]) == [span]


@pytest.mark.parametrize(
    ("hosts", "seen", "agrees"),
    [
        ((), [], True),
        (("x.de",), ["mx.x.de"], True),
        (("x.de",), ["x.de"], True),
        (("x.de",), ["ax.de"], False),
        (("x.de",), [], False),
    ],
)
def test_a_host_agrees_when_it_lies_under_the_domain(
    hosts: tuple[str, ...], seen: list[str], *, agrees: bool
) -> None:
    assert make_rule(hosts=hosts).match_host(seen) is agrees


@pytest.mark.parametrize(
    ("wanted", "status", "agrees"),
    [
        ((), None, True),
        (("5.7.1",), "5.7.1", True),
        (("5.7.1",), "5.7.10", False),
        (("4.*",), "4.4.7", True),
        (("4.4.*",), "4.3.0", False),
        (("4.*",), None, False),
    ],
)
def test_a_status_agrees_exactly_or_by_family(
    wanted: tuple[str, ...], status: str | None, *, agrees: bool
) -> None:
    assert make_rule(status=wanted).match_status(status) is agrees


def test_rules_are_tried_by_stage_then_as_given() -> None:
    x_de = frozenset({phrase("x.de")})
    code = make_rule(id="code", stage=Stage.CODE, codes=frozenset({550}))
    status = make_rule(id="status", stage=Stage.STATUS, status=("5.1.1",))
    family = make_rule(id="family", stage=Stage.STATUS, status=("5.*",))
    words = make_rule(id="words", words=frozenset({phrase("unknown")}))
    other = make_rule(id="other", words=frozenset({phrase("unknown*")}), links=x_de)
    receiver = make_rule(id="receiver", stage=Stage.RECEIVER, links=x_de)
    absent = make_rule(id="absent", words=frozenset({phrase("quota")}))
    rules = compile_rules([code, family, status, words, absent, other, receiver])
    found = rules.find_candidates(rules.find_phrases(read_view("unknown x.de")), "5.1.1")
    assert [rule.id for rule in found] == [
        "receiver",
        "words",
        "other",
        "family",
        "status",
        "code",
    ]


WORDS = st.sampled_from(
    ["spam", "spams", "user", "unknown", "x", "宛先", "不明", "ящик", "re-ject"]
)
PHRASES = st.tuples(
    st.lists(WORDS, min_size=1, max_size=3).map(" ".join), st.sampled_from(["", "*"])
)


@given(st.lists(PHRASES.map("".join), max_size=4), st.lists(WORDS).map(" ".join))
def test_all_phrases_that_stand_in_a_text_are_found_where_they_stand_first(
    texts: list[str], words: str
) -> None:
    phrases = [parsed for text in texts if (parsed := parse_phrase(text)) is not None]
    expected = {each: span for each in phrases if (span := find_one(each, words)) is not None}
    assert PhraseIndex(phrases).find_all(words) == expected


def find_one(parsed: Phrase, words: str) -> Span | None:
    head = r"(?<![^\W_])" if parsed.head else ""
    tail = r"(?![^\W_])" if parsed.tail else ""
    found = re.search(f"{head}{re.escape(parsed.text)}{tail}", words)
    return Span(*found.span()) if found else None


def test_of_equally_long_phrases_the_first_in_the_text_becomes_the_evidence() -> None:
    words = frozenset(map(phrase, ["the box", "is full", "box"]))
    rules = compile_rules([make_rule(words=words)])
    findings = rules.find_phrases(read_view("the boxes: box is full, the box"))
    assert rules.rules[0].match_phrases(findings) == Span(15, 22)


@pytest.mark.parametrize(("spare", "matches"), [(0, True), (-1, False)])
def test_a_pattern_looks_so_far_and_no_further(spare: int, *, matches: bool) -> None:
    words = "id ".ljust(MAX_PATTERN_CHARS - len("id 5") - spare, ".") + "id 5"
    rules = compile_rules(
        [make_rule(words=frozenset({phrase("id")}), pattern=re.compile(r"id \d"))]
    )
    span = rules.rules[0].match_phrases(rules.find_phrases(View(words, "")))
    assert span == (Span(len(words) - 4, len(words)) if matches else None)
