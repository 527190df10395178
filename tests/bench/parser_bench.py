"""What reading and classifying costs, beside the standard library and flufl.bounce in one run.

The targets: a message 500 µs in the median, one reply 5 ms whatever it holds, 150 ms for each
100 KB of a message, one more rule nearly nothing.
"""

from __future__ import annotations

import email
import email.policy
import logging
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from email.message import Message
from functools import partial
from typing import TypeVar

from flufl.bounce import scan_message

from bounced.model import Action, RecipientFacts, Reply
from bounced.parser.classify import classify, explain
from bounced.parser.phrase import Phrase, parse_phrase
from bounced.parser.report import HeaderNames
from bounced.parser.rule import Rule, RuleSet, compile_rules
from bounced.parser.ruleset import parse_rules
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Parser
from tests.bench.hostile_replies import make_replies
from tests.fuzz.seeds import make_seeds, read_corpus
from tests.parser.hostile import HOSTILE

PER_BYTES = 100_000
_ROUNDS = 5
_WARM_UP = 50
_Item = TypeVar("_Item")
_DEAREST = 20
"""So many of the dearest replies are measured again, to tell their cost from the machine's."""


def run() -> Sequence[tuple[str, float]]:
    """Measure; returns figures with their names."""
    tables = read_rule_files([])
    rules = parse_rules(tables)
    return [
        *_measure_messages(rules),
        *_measure_growth(tables),
        *_measure_replies(rules),
        *_measure_hostile(rules),
    ]


def _measure_messages(rules: RuleSet) -> Iterable[tuple[str, float]]:
    corpus = read_corpus()
    name = "the corpus" if corpus else "composed messages"
    messages = corpus or make_seeds(rules)[len(HOSTILE) :]
    parser = Parser(rules, HeaderNames())
    ours = _median_us(messages, parser.parse)
    library = _median_us(messages, _read_with_library)
    logging.disable()  # flufl.bounce logs the errors of its detectors
    peer = _median_us(messages, _find_with_flufl)
    logging.disable(logging.NOTSET)
    yield f"parser, microseconds a message, median of {name} (target 500)", ours
    yield "the standard library's compat32 parser, the same", library
    yield "compat32 and flufl.bounce, the same", peer
    yield "parser to compat32", ours / library
    yield "parser to compat32 and flufl.bounce", ours / peer


def _measure_growth(tables: dict[str, str]) -> Iterable[tuple[str, float]]:
    """Measure what the tables' size costs: once as they are, once with as many rules again."""
    rules = parse_rules(tables)
    doubled = compile_rules([*rules.rules, *map(_make_twin, rules.rules)])
    texts = [_say(example.text) for rule in rules.rules for example in rule.examples]
    few_us = _median_us(texts, partial(classify, rules=rules))
    many_us = _median_us(texts, partial(classify, rules=doubled))
    count = len(rules.rules)
    yield f"microseconds, classifying one reply by {count} rules", few_us
    yield f"microseconds, the same by {2 * count} rules", many_us
    yield "nanoseconds, one more rule", 1_000 * (many_us - few_us) / count
    twins = {
        f"twin-{name}": text.replace('\nid = "', '\nid = "twin-') for name, text in tables.items()
    }
    for number, files in ((count, tables), (2 * count, tables | twins)):
        yield f"milliseconds, loading {number} rules", _least_ms(partial(parse_rules, files))


def _make_twin(rule: Rule) -> Rule:
    """Return another rule whose phrases are the same but for one word more."""
    return replace(
        rule,
        words=frozenset(map(_lengthen, rule.words)),
        all=frozenset(map(_lengthen, rule.all)),
        status=("5.9.9",) if rule.status else (),
        codes=frozenset({599}) if rule.codes else frozenset(),
    )


def _lengthen(phrase: Phrase) -> Phrase:
    return parse_phrase(f"{phrase.text} otherwise") or phrase


def _measure_replies(rules: RuleSet) -> Iterable[tuple[str, float]]:
    replies = [(name, _say(text)) for name, text in make_replies(rules)]
    for what, judge in (("classifying (target 5)", classify), ("explaining", explain)):
        rough = [(_spend_ms(partial(judge, facts, rules)), name, facts) for name, facts in replies]
        rough.sort(key=lambda row: -row[0])
        dearest = [
            (_least_ms(partial(judge, facts, rules)), name) for _, name, facts in rough[:_DEAREST]
        ]
        ms, name = max(dearest)
        yield f"milliseconds, {what} one reply at the worst: {name}", ms


def _measure_hostile(rules: RuleSet) -> Iterable[tuple[str, float]]:
    parser = Parser(rules, HeaderNames())
    spent = {
        name: _least_ms(partial(parser.parse, raw)) / max(1.0, len(raw) / PER_BYTES)
        for name, raw in HOSTILE.items()
    }
    worst = max(spent, key=lambda name: spent[name])
    yield f"milliseconds per 100 KB of a message at the worst ({worst}; target 150)", spent[worst]


def _say(text: str) -> RecipientFacts:
    return RecipientFacts(action=Action.FAILED, replies=(Reply(text, "text"),))


def _read_with_library(raw: bytes) -> Message:
    return email.message_from_bytes(raw, policy=email.policy.compat32)


def _find_with_flufl(raw: bytes) -> None:
    with suppress(Exception):  # some messages of the corpus break it
        scan_message(_read_with_library(raw))


def _median_us(items: Sequence[_Item], work: Callable[[_Item], object]) -> float:
    for item in items[:_WARM_UP]:
        work(item)
    return statistics.median(1_000 * _spend_ms(partial(work, item)) for item in items)


def _least_ms(work: Callable[[], object]) -> float:
    return min(_spend_ms(work) for _ in range(_ROUNDS))


def _spend_ms(work: Callable[[], object]) -> float:
    begun = time.process_time_ns()
    work()
    return (time.process_time_ns() - begun) / 1_000_000
