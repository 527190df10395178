"""What a rule is, and which few of all rules a text can concern: the tables, compiled.

A rule's phrases are indexed by their rarest word, so that a text is compared only with rules
that share a word with it, and one more rule costs nearly nothing. Reading and checking the TOML
is `ruleset.py`, judging is `classify.py`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from bounced.model import Category, Reason
from bounced.parser.folding import View, fold, split_tokens


class Stage(StrEnum):
    """The order in which witnesses are heard (DESIGN §7): an earlier one settles the matter."""

    RECEIVER = "receiver"
    LANGUAGE = "language"
    STATUS = "status"
    CODE = "code"


STAGES = tuple(Stage)
_PLACEHOLDER_TOKENS = frozenset({"address", "host", "url"})
STEM_CHARS = 3
_WORD_EDGE = re.compile(r"[a-z0-9а-яё]")


class Span(NamedTuple):
    """A stretch of a view's words, or a place in its links."""

    start: int
    end: int
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Literal words, looked for as whole words; a trailing `*` lets the last word go on."""

    text: str
    head: bool
    """Whether the text begins in a letter, before which no other letter may stand."""
    tail: bool
    """Whether it ends in a letter, behind which no other may stand."""

    def find(self, words: str) -> Span | None:
        """Return the first place where the phrase stands as whole words; total."""
        at = words.find(self.text)
        while at >= 0:
            end = at + len(self.text)
            if not (
                (self.head and at > 0 and words[at - 1].isalnum())
                or (self.tail and end < len(words) and words[end].isalnum())
            ):
                return Span(at, end)
            at = words.find(self.text, at + 1)
        return None

    @property
    def anchors(self) -> list[str]:
        """Return the words that stand whole in every text that holds the phrase."""
        tokens = self._settled_tokens()
        if tokens and not self.tail and self.text.endswith(tokens[-1]):
            tokens.pop()
        return [token for token in tokens if token not in _PLACEHOLDER_TOKENS]

    @property
    def stem(self) -> str | None:
        """Return how one word begins in every text that holds the phrase; None if not known."""
        tokens = self._settled_tokens()
        return tokens[-1][:STEM_CHARS] if tokens and len(tokens[-1]) >= STEM_CHARS else None

    def _settled_tokens(self) -> list[str]:
        """Return the words of the phrase that begin where a word of the text begins."""
        tokens = split_tokens(self.text)
        if tokens and not self.head and self.text.startswith(tokens[0]):
            tokens.pop(0)
        return tokens


def parse_phrase(text: str) -> Phrase | None:
    """Read a phrase as a table writes it; None where the index could not find it.

    It needs a whole word, or three letters of one, or a letter outside ASCII; no `*` but at its
    end.
    """
    folded = fold(text)
    going_on = folded.endswith("*")
    folded = folded.removesuffix("*").strip()
    if not folded or "*" in folded:
        return None
    phrase = Phrase(
        folded,
        head=_WORD_EDGE.match(folded[0]) is not None,
        tail=not going_on and _WORD_EDGE.match(folded[-1]) is not None,
    )
    return phrase if phrase.anchors or phrase.stem or not folded.isascii() else None


@dataclass(frozen=True, slots=True)
class Example:
    """A reply that proves a rule, with what a report would tell beside its text."""

    text: str
    host: str | None = None
    status: str | None = None
    smtp_code: int | None = None
    command: str | None = None


class Nearness(NamedTuple):
    """Those of a rule's phrases that share their rarest word with a text: few of many."""

    words: list[Phrase]
    links: list[Phrase]


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

    def match_words(self, view: View, near: Nearness) -> Span | None:
        """Return what of the words or links agrees with the rule's; None where they disagree.

        Of several phrases the longest tells most. A rule without words agrees with any text, with
        an empty span.
        """
        span: Span | None = Span(0, 0)
        if self.words or self.links:
            span = _find_longest(near.words, view.words) or _find_link(near.links, view.links)
        if self.beside and span is not None:
            span = _join(span, _find_longest(self.beside, view.words))
        for phrase in self.all:
            if span is not None:
                span = _join(span, phrase.find(view.words))
        if span is None or any(phrase.find(view.words) for phrase in self.unless):
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


class _Entry(NamedTuple):
    """A phrase in the index, with the place of its rule."""

    place: int
    phrase: Phrase


@dataclass(frozen=True, slots=True)
class _PhraseIndex:
    """Phrases by their rarest word; else by how a word begins; else, such as Japanese, listed."""

    by_token: Mapping[str, tuple[_Entry, ...]]
    by_stem: Mapping[str, tuple[_Entry, ...]]
    loose: tuple[_Entry, ...]

    def find_near(self, text: str) -> Iterator[_Entry]:
        """Yield the phrases that can stand in a folded text."""
        tokens = set(split_tokens(text))
        for token in self.by_token.keys() & tokens:
            yield from self.by_token[token]
        for stem in self.by_stem.keys() & {token[:STEM_CHARS] for token in tokens}:
            yield from self.by_stem[stem]
        if not text.isascii():
            yield from (entry for entry in self.loose if entry.phrase.text in text)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules in the order in which they are tried, and the index over them."""

    rules: tuple[Rule, ...]
    _words: _PhraseIndex = field(repr=False)
    _links: _PhraseIndex = field(repr=False)
    _by_status: Mapping[str, tuple[int, ...]] = field(repr=False)
    _always: tuple[int, ...] = field(repr=False)

    def find_candidates(self, view: View, status: str | None) -> Iterator[tuple[Rule, Nearness]]:
        """Yield, in order, the rules that can concern this text; none that matches is missing."""
        words: defaultdict[int, list[Phrase]] = defaultdict(list)
        links: defaultdict[int, list[Phrase]] = defaultdict(list)
        for place, phrase in self._words.find_near(view.words):
            words[place].append(phrase)
        if view.links:
            for place, phrase in self._links.find_near(view.links):
                links[place].append(phrase)
        coded = self._by_status.get(status or "", ())
        for place in sorted({*words, *links, *coded, *self._always}):
            yield self.rules[place], Nearness(words[place], links[place])


def compile_rules(rules: Iterable[Rule]) -> RuleSet:
    """Order rules by stage, else as given, and index them; total."""
    ordered = tuple(sorted(rules, key=lambda rule: STAGES.index(rule.stage)))
    words: list[_Entry] = []
    links: list[_Entry] = []
    by_status: dict[str, list[int]] = {}
    always: list[int] = []
    for place, rule in enumerate(ordered):
        if rule.words or rule.links:
            words.extend(_Entry(place, phrase) for phrase in rule.words)
            links.extend(_Entry(place, phrase) for phrase in rule.links)
        elif rule.all:
            longest = max(rule.all, key=lambda phrase: (bool(phrase.anchors), len(phrase.text)))
            words.append(_Entry(place, longest))
        elif rule.status and not any(status.endswith("*") for status in rule.status):
            for status in rule.status:
                by_status.setdefault(status, []).append(place)
        else:
            always.append(place)
    return RuleSet(
        ordered,
        _index_phrases(words),
        _index_phrases(links),
        {status: tuple(places) for status, places in by_status.items()},
        tuple(always),
    )


def _index_phrases(entries: list[_Entry]) -> _PhraseIndex:
    commonness = Counter(token for entry in entries for token in entry.phrase.anchors)
    by_token: defaultdict[str, list[_Entry]] = defaultdict(list)
    by_stem: defaultdict[str, list[_Entry]] = defaultdict(list)
    loose = []
    for entry in entries:
        anchors = entry.phrase.anchors
        if anchors:
            rarest = min(anchors, key=lambda token: (commonness[token], -len(token)))
            by_token[rarest].append(entry)
        elif entry.phrase.stem:
            by_stem[entry.phrase.stem].append(entry)
        else:
            loose.append(entry)
    return _PhraseIndex(
        {token: tuple(found) for token, found in by_token.items()},
        {stem: tuple(found) for stem, found in by_stem.items()},
        tuple(loose),
    )
