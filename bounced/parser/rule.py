"""What a rule is, and which few of all rules a text can concern: the tables, compiled.

Reading and checking the TOML is `ruleset.py`, finding phrases `phrase.py`, judging `classify.py`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bounced.model import Category, Reason
from bounced.parser.folding import View
from bounced.parser.phrase import Entry, Phrase, PhraseIndex, Span, Use, index_phrases


class Stage(StrEnum):
    """The order in which witnesses are heard (DESIGN §7): an earlier one settles the matter."""

    RECEIVER = "receiver"
    LANGUAGE = "language"
    STATUS = "status"
    CODE = "code"


STAGES = tuple(Stage)


@dataclass(frozen=True, slots=True)
class Example:
    """A reply that proves a rule, with what a report would tell beside its text."""

    text: str
    host: str | None = None
    status: str | None = None
    smtp_code: int | None = None
    command: str | None = None


class Nearness:
    """Those of a rule's phrases that a text can hold: few of many."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._phrases: dict[Use, list[Phrase]] = {}
        for entry in entries:
            self._phrases.setdefault(entry.use, []).append(entry.phrase)

    def find(self, use: Use) -> Sequence[Phrase]:
        """Return the near phrases of one key."""
        return self._phrases.get(use, ())


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
    words: tuple[Phrase, ...] = ()
    links: tuple[Phrase, ...] = ()
    beside: tuple[Phrase, ...] = ()
    all: tuple[Phrase, ...] = ()
    unless: tuple[Phrase, ...] = ()
    pattern: re.Pattern[str] | None = None
    hosts: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    codes: frozenset[int] = frozenset()
    commands: frozenset[str] = frozenset()

    @property
    def bare(self) -> bool:
        """Tell whether the rule has neither words nor links."""
        return not (self.words or self.links)

    def iter_phrases(self) -> Iterator[tuple[Use, Phrase]]:
        """Yield the phrases that are looked for among the words."""
        for use, phrases in (
            (Use.WORDS, self.words),
            (Use.BESIDE, self.beside),
            (Use.ALL, self.all),
            (Use.UNLESS, self.unless),
        ):
            for phrase in phrases:
                yield use, phrase

    def match_words(self, view: View, near: Nearness) -> Span | None:
        """Return what of the words or links agrees with the rule's; None where they disagree.

        Of several phrases the longest tells most. A rule without words agrees with any text, with
        an empty span.
        """
        span: Span | None = Span(0, 0)
        if self.words or self.links:
            span = _find_longest(near.find(Use.WORDS), view.words) or _find_link(
                near.find(Use.LINKS), view.links
            )
        if self.beside and span is not None:
            span = _join(span, _find_longest(near.find(Use.BESIDE), view.words))
        if self.all and len(near.find(Use.ALL)) < len(self.all):
            return None
        for phrase in near.find(Use.ALL):
            if span is not None:
                span = _join(span, phrase.find(view.words))
        if span is None or any(phrase.find(view.words) for phrase in near.find(Use.UNLESS)):
            return None
        if self.pattern is None:
            return span
        shaped = self.pattern.search(view.words)
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


def _find_longest(phrases: Iterable[Phrase], words: str) -> Span | None:
    spans = [span for phrase in phrases if (span := phrase.find(words)) is not None]
    return max(spans, key=lambda span: span.end - span.start, default=None)


def _find_link(phrases: Iterable[Phrase], links: str) -> Span | None:
    found = _find_longest(phrases, links)
    return found._replace(linked=True) if found else None


def _join(one: Span, other: Span | None) -> Span | None:
    """Return the stretch over both; where one is a link or empty, the other; None without it."""
    if other is None or one.linked or one.end == 0:
        return other
    return Span(min(one.start, other.start), max(one.end, other.end))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules in the order in which they are tried, and the index over them."""

    rules: tuple[Rule, ...]
    _words: PhraseIndex = field(repr=False)
    _links: PhraseIndex = field(repr=False)
    _by_status: Mapping[str, tuple[int, ...]] = field(repr=False)
    _always: tuple[int, ...] = field(repr=False)

    def find_candidates(self, view: View, status: str | None) -> Iterator[tuple[Rule, Nearness]]:
        """Yield, in order, the rules that can concern this text; none that matches is missing."""
        near: defaultdict[int, list[Entry]] = defaultdict(list)
        concerned = {*self._always, *self._by_status.get(status or "", ())}
        for entry in self._words.find_near(view.words):
            near[entry.place].append(entry)
            if entry.use is Use.WORDS or (entry.use is Use.ALL and self.rules[entry.place].bare):
                concerned.add(entry.place)
        if view.links:
            for entry in self._links.find_near(view.links):
                near[entry.place].append(entry)
                concerned.add(entry.place)
        for place in sorted(concerned):
            yield self.rules[place], Nearness(near.get(place, ()))


def compile_rules(rules: Iterable[Rule]) -> RuleSet:
    """Order rules by stage, else as given, and index them; total."""
    ordered = tuple(sorted(rules, key=lambda rule: STAGES.index(rule.stage)))
    words: list[Entry] = []
    links: list[Entry] = []
    by_status: defaultdict[str, list[int]] = defaultdict(list)
    always: list[int] = []
    for place, rule in enumerate(ordered):
        words.extend(Entry(place, use, phrase) for use, phrase in rule.iter_phrases())
        links.extend(Entry(place, Use.LINKS, phrase) for phrase in rule.links)
        if not rule.bare or rule.all:
            continue
        if rule.status and not any(status.endswith("*") for status in rule.status):
            for status in rule.status:
                by_status[status].append(place)
        else:
            always.append(place)
    return RuleSet(
        ordered,
        index_phrases(words),
        index_phrases(links),
        {status: tuple(places) for status, places in by_status.items()},
        tuple(always),
    )
