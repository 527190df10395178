"""How a phrase of a table is found in a text, and all phrases at once.

One automaton (Aho and Corasick, 1975) holds the phrases of all rules and reads a text once,
however many they are; what it hits is then asked whether it stands as whole words.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import ahocorasick

from bounced.parser.folding import fold, goes_on

_WORD_EDGE = re.compile(r"[a-z0-9а-яё]")
_TELLING = re.compile(r"[^\W_]+(?![^\W_]|\*)|[^\W_]{3}|[^\x00-\x7f]")


class Span(NamedTuple):
    """A stretch of a view's words, or a place in its links."""

    start: int
    end: int
    linked: bool = False


class Phrase(NamedTuple):
    """Literal words, looked for as whole words; a trailing `*` lets the last word go on."""

    text: str
    head: bool
    """Whether the text begins in a letter, before which no other letter may stand."""
    tail: bool
    """Whether it ends in a letter, behind which no other may stand."""

    def stands_in(self, words: str, start: int, end: int) -> bool:
        """Tell whether the phrase's text, found at this stretch, is whole words there."""
        return not (
            (self.head and start > 0 and goes_on(words[start - 1]))
            or (self.tail and end < len(words) and goes_on(words[end]))
        )


def parse_phrase(text: str) -> Phrase | None:
    """Read a phrase as a table writes it; None where it would tell nothing.

    It needs a whole word, or three letters of one, or a letter outside ASCII; no `*` but at its
    end.
    """
    folded = fold(text)
    telling = _TELLING.search(folded)
    going_on = folded.endswith("*")
    folded = folded.removesuffix("*").strip()
    if not telling or "*" in folded:
        return None
    return Phrase(
        folded,
        head=_WORD_EDGE.match(folded[0]) is not None,
        tail=not going_on and _WORD_EDGE.match(folded[-1]) is not None,
    )


class _Automaton(Protocol):
    """What we use of the library, which is not typed."""

    def add_word(self, key: str, value: tuple[Phrase, ...]) -> bool:
        """Enter a text, and what a hit yields."""

    def make_automaton(self) -> None:
        """End the entering."""

    def iter(self, text: str) -> Iterator[tuple[int, tuple[Phrase, ...]]]:
        """Yield all hits, those inside others too, by where they end: the last letter's place."""

    def __len__(self) -> int:
        """Return how many texts were entered."""


class PhraseIndex:
    """Many phrases, found together."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        by_text: defaultdict[str, set[Phrase]] = defaultdict(set)
        for phrase in phrases:
            by_text[phrase.text].add(phrase)
        self._automaton: _Automaton = ahocorasick.Automaton()
        for text, alike in by_text.items():
            self._automaton.add_word(text, tuple(alike))
        self._automaton.make_automaton()

    def find_all(self, text: str) -> Mapping[Phrase, Span]:
        """Return the phrases that stand in a folded text, each with its first place; total."""
        found: dict[Phrase, Span] = {}
        if not self._automaton:  # the library reads nothing with an empty one
            return found
        for last, alike in self._automaton.iter(text):
            for phrase in alike:
                if phrase not in found:
                    end = last + 1
                    start = end - len(phrase.text)
                    if phrase.stands_in(text, start, end):
                        found[phrase] = Span(start, end)
        return found
