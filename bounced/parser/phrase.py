"""How a phrase of a table is found in a text, and which few of all phrases a text can hold.

Phrases are indexed by their rarest pair of neighbouring words, else by their one whole word, so
that a text is compared only with phrases that share this much with it: one more phrase costs
nearly nothing, and a text made to hold the words of all of them holds few of their pairs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple, TypeVar

from bounced.parser.folding import fold, split_tokens

_PLACEHOLDER_TOKENS = frozenset({"address", "host", "url"})
STEM_CHARS = 3
_LONG_STEM_CHARS = 6
"""Where a word is known so far, few other words begin like it."""
_WORD_EDGE = re.compile(r"[a-z0-9а-яё]")

_FOREIGN = re.compile(r"[^\x00-\x7f]{2,}")

_Pair = tuple[str, str]
_Key = TypeVar("_Key", str, _Pair)


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
    def whole(self) -> list[str]:
        """Return the words, neighbours, that stand whole in every text that holds the phrase."""
        tokens = self._settled_tokens()
        if tokens and not self.tail and self.text.endswith(tokens[-1]):
            tokens.pop()
        return tokens

    @property
    def anchors(self) -> list[str]:
        """Return those of the whole words that tell something; a placeholder does not."""
        return [token for token in self.whole if token not in _PLACEHOLDER_TOKENS]

    @property
    def stem(self) -> str | None:
        """Return how one word begins in every text that holds the phrase; None if not known."""
        tokens = self._settled_tokens()
        return _cut_stem(tokens[-1]) if tokens and len(tokens[-1]) >= STEM_CHARS else None

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


class Use(Enum):
    """Which key of its rule a phrase stands in."""

    WORDS = auto()
    LINKS = auto()
    BESIDE = auto()
    ALL = auto()
    UNLESS = auto()


class Entry(NamedTuple):
    """A phrase in the index, with the place of its rule."""

    place: int
    use: Use
    phrase: Phrase


@dataclass(frozen=True, slots=True)
class PhraseIndex:
    """Phrases by what a text that holds them must hold.

    Scripts without spaces, such as Japanese, have no words that could be told apart: their phrases
    stand by two neighbouring letters, the few that have not even these in a list.
    """

    by_pair: Mapping[_Pair, tuple[Entry, ...]]
    by_token: Mapping[str, tuple[Entry, ...]]
    by_stem: Mapping[str, tuple[Entry, ...]]
    by_letters: Mapping[str, tuple[Entry, ...]]
    loose: tuple[Entry, ...]

    def find_near(self, text: str) -> Iterator[Entry]:
        """Yield the phrases that can stand in a folded text; none that stands in it is missing."""
        tokens = split_tokens(text)
        unique = set(tokens)
        for pair in self.by_pair.keys() & set(pairwise(tokens)):
            yield from self.by_pair[pair]
        for token in self.by_token.keys() & unique:
            yield from self.by_token[token]
        stems = {token[:_LONG_STEM_CHARS] for token in unique}
        stems |= {stem[:STEM_CHARS] for stem in stems}
        for stem in self.by_stem.keys() & stems:
            yield from self.by_stem[stem]
        if not text.isascii():
            for letters in self.by_letters.keys() & set(_find_letters(text)):
                yield from self.by_letters[letters]
            yield from (entry for entry in self.loose if entry.phrase.text in text)


def index_phrases(entries: Iterable[Entry]) -> PhraseIndex:
    """Build the index; total."""
    entries = list(entries)
    commonness = Counter(pair for entry in entries for pair in _pair_up(entry.phrase.whole))
    letter_commonness = Counter(
        letters for entry in entries for letters in _find_letters(entry.phrase.text)
    )
    by_pair: defaultdict[_Pair, list[Entry]] = defaultdict(list)
    by_token: defaultdict[str, list[Entry]] = defaultdict(list)
    by_stem: defaultdict[str, list[Entry]] = defaultdict(list)
    by_letters: defaultdict[str, list[Entry]] = defaultdict(list)
    loose = []
    for entry in entries:
        phrase = entry.phrase
        if pairs := _pair_up(phrase.whole):
            rarest = min(pairs, key=lambda pair: (commonness[pair], -len("".join(pair))))
            by_pair[rarest].append(entry)
        elif phrase.anchors:
            by_token[phrase.anchors[0]].append(entry)
        elif phrase.stem:
            by_stem[phrase.stem].append(entry)
        elif letters := _find_letters(phrase.text):
            by_letters[min(letters, key=lambda each: letter_commonness[each])].append(entry)
        else:
            loose.append(entry)
    return PhraseIndex(
        _freeze(by_pair),
        _freeze(by_token),
        _freeze(by_stem),
        _freeze(by_letters),
        tuple(loose),
    )


def _find_letters(text: str) -> list[str]:
    """Return every two neighbouring letters outside ASCII."""
    return [one + two for run in _FOREIGN.findall(text) for one, two in pairwise(run)]


def _cut_stem(word: str) -> str:
    return word[: _LONG_STEM_CHARS if len(word) >= _LONG_STEM_CHARS else STEM_CHARS]


def _pair_up(tokens: list[str]) -> list[_Pair]:
    return list(pairwise(tokens))


def _freeze(found: Mapping[_Key, list[Entry]]) -> dict[_Key, tuple[Entry, ...]]:
    return {key: tuple(entries) for key, entries in found.items()}
