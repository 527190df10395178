"""What a rule is, and which few of all rules a text can concern: the tables, compiled.

Reading and checking the TOML is `ruleset.py`, finding phrases `phrase.py`, judging `classify.py`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from bounced.model import Category, Reason
from bounced.parser.folding import View
from bounced.parser.phrase import Phrase, PhraseIndex, Span

_Key = TypeVar("_Key", str, Phrase)


class Stage(StrEnum):
    """The order in which witnesses are heard (DESIGN §7): an earlier one settles the matter."""

    RECEIVER = "receiver"
    LANGUAGE = "language"
    STATUS = "status"
    CODE = "code"


STAGES = tuple(Stage)

MAX_PATTERN_CHARS = 2048
"""So far into the words a pattern looks. Phrases cost the same however many they are, patterns add
up; in no reply seen did one match behind the 512th character."""


@dataclass(frozen=True, slots=True)
class Example:
    """A reply that proves a rule, with what a report would tell beside its text."""

    text: str
    host: str | None = None
    status: str | None = None
    smtp_code: int | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """The phrases of all rules that stand in a text, each with its first place."""

    view: View
    words: Mapping[Phrase, Span]
    links: Mapping[Phrase, Span]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a table. Every key that is given must agree; absent keys are empty."""

    id: str
    file: str
    stage: Stage
    category: Category
    reason: Reason
    source: str
    examples: tuple[Example, ...]
    words: frozenset[Phrase] = frozenset()
    links: frozenset[Phrase] = frozenset()
    beside: frozenset[Phrase] = frozenset()
    all: frozenset[Phrase] = frozenset()
    unless: frozenset[Phrase] = frozenset()
    pattern: re.Pattern[str] | None = None
    hosts: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    codes: frozenset[int] = frozenset()
    commands: frozenset[str] = frozenset()

    @property
    def bare(self) -> bool:
        """Tell whether the rule has neither words nor links."""
        return not (self.words or self.links)

    @property
    def phrases(self) -> frozenset[Phrase]:
        """Return the phrases of all keys that look at words."""
        return self.words | self.beside | self.all | self.unless

    def match_phrases(self, findings: Findings) -> Span | None:
        """Return what of the words or links agrees with the rule's; None where they disagree.

        Of several phrases the longest tells most. A rule without words agrees with any text, with
        an empty span.
        """
        words = findings.words
        span: Span | None = Span(0, 0)
        if not self.bare:
            span = _find_longest(self.words, words) or _find_link(self.links, findings.links)
        beside = _find_longest(self.beside, words)
        if (
            span is None
            or (self.beside and beside is None)
            or not self.all <= words.keys()
            or not self.unless.isdisjoint(words)
        ):
            return None
        if beside is not None:
            span = _join(span, beside)
        for phrase in self.all:
            span = _join(span, words[phrase])
        if self.pattern is None:
            return span
        shaped = self.pattern.search(findings.view.words, 0, MAX_PATTERN_CHARS)
        return Span(*shaped.span()) if shaped else None

    def match_host(self, hosts: Iterable[str]) -> bool:
        """Tell whether one of the hosts is, or lies under, one of the rule's domains."""
        return not self.hosts or any(
            host == domain or host.endswith(f".{domain}")
            for host in hosts
            for domain in self.hosts
        )

    def match_status(self, status: str | None) -> bool:
        """Tell whether an enhanced code is one of the rule's; `4.4.*` is a whole family."""
        return not self.status or any(
            status == wanted or (wanted.endswith("*") and (status or "").startswith(wanted[:-1]))
            for wanted in self.status
        )


def _find_longest(phrases: frozenset[Phrase], found: Mapping[Phrase, Span]) -> Span | None:
    """Return the longest, of equally long ones the first in the text."""
    spans = [found[phrase] for phrase in found.keys() & phrases]
    return max(spans, key=lambda span: (span.end - span.start, -span.start), default=None)


def _find_link(phrases: frozenset[Phrase], found: Mapping[Phrase, Span]) -> Span | None:
    longest = _find_longest(phrases, found)
    return longest._replace(linked=True) if longest else None


def _join(one: Span, other: Span) -> Span:
    """Return the stretch over both; where one is a link or empty, the other."""
    if one.linked or one.end == 0:
        return other
    return Span(min(one.start, other.start), max(one.end, other.end))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules in the order in which they are tried, and which of them a text can concern."""

    rules: tuple[Rule, ...]
    _words: PhraseIndex = field(repr=False)
    _links: PhraseIndex = field(repr=False)
    _by_words: Mapping[Phrase, tuple[int, ...]] = field(repr=False)
    _by_link: Mapping[Phrase, tuple[int, ...]] = field(repr=False)
    _by_status: Mapping[str, tuple[int, ...]] = field(repr=False)
    _always: tuple[int, ...] = field(repr=False)

    def find_phrases(self, view: View) -> Findings:
        """Find the phrases of all rules in a text; total."""
        return Findings(view, self._words.find_all(view.words), self._links.find_all(view.links))

    def find_candidates(self, findings: Findings, status: str | None) -> Iterator[Rule]:
        """Yield, in order, the rules that can concern this text; none that matches is missing."""
        concerned = {*self._always, *self._by_status.get(status or "", ())}
        for phrase in findings.words:
            concerned.update(self._by_words.get(phrase, ()))
        for phrase in findings.links:
            concerned.update(self._by_link.get(phrase, ()))
        for place in sorted(concerned):
            yield self.rules[place]


def compile_rules(rules: Iterable[Rule]) -> RuleSet:
    """Order rules by stage, else as given, and index them; total."""
    ordered = tuple(sorted(rules, key=lambda rule: STAGES.index(rule.stage)))
    by_words: defaultdict[Phrase, list[int]] = defaultdict(list)
    by_link: defaultdict[Phrase, list[int]] = defaultdict(list)
    by_status: defaultdict[str, list[int]] = defaultdict(list)
    always: list[int] = []
    for place, rule in enumerate(ordered):
        for phrase in rule.words:
            by_words[phrase].append(place)
        for phrase in rule.links:
            by_link[phrase].append(place)
        if not rule.bare:
            continue
        if rule.all:  # any of them would do, since none may be missing
            by_words[max(rule.all, key=lambda phrase: (len(phrase.text), phrase))].append(place)
        elif rule.status and not any(status.endswith("*") for status in rule.status):
            for status in rule.status:
                by_status[status].append(place)
        else:
            always.append(place)
    return RuleSet(
        ordered,
        PhraseIndex(phrase for rule in ordered for phrase in rule.phrases),
        PhraseIndex(by_link),
        _freeze(by_words),
        _freeze(by_link),
        _freeze(by_status),
        tuple(always),
    )


def _freeze(places: Mapping[_Key, list[int]]) -> dict[_Key, tuple[int, ...]]:
    return {key: tuple(found) for key, found in places.items()}
