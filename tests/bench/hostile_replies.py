"""Replies made to cost a classifier much: near misses of every phrase, of every kind of mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bounced.parser.folding import MAX_TEXT_CHARS
from bounced.parser.rule import RuleSet

_FREQUENT = 40
"""As many of the words that most phrases hold are repeated alone, and with each other."""
_PAIRED = 10
_MASKED = (
    *("a@b.cc ", "1.2.3.4 ", "http://a ", "550-", "550 ", "5.7.1 ", "a.", "@", "<", '"', "a.b.c "),
    *("::", "size=1 ", "x", "ß", "Ä", "ﷺ", "İ", " ", "\u0301", "a\u0301", '"a"@', '<"', "迷惑"),
    *("_", "-", ".a", "http://", "xn--a.", "12345.", "a/", "(", "[1.2.3.4]", "#5.1.1 ", "宛先 "),
)


def make_replies(rules: RuleSet) -> Iterator[tuple[str, str]]:
    """Yield name and text of each, cut to what is read of a reply."""
    phrases = sorted({phrase.text for rule in rules.rules for phrase in rule.phrases})
    for name, text in (
        ("phrases", " ".join(phrases)),
        ("phrases turned round", " ".join(" ".join(_turn(phrase)) for phrase in phrases)),
        ("phrases less a letter", " ".join(phrase[:-1] for phrase in phrases)),
        ("phrases with a letter more", " ".join(phrase + phrase[-1] for phrase in phrases)),
        ("phrases behind a letter", " ".join(phrase[0] + phrase for phrase in phrases)),
        ("phrases with a code inside", " 550-5.7.1 ".join(phrases)),
        ("examples", "\n".join(each.text for rule in rules.rules for each in rule.examples)),
    ):
        for at in range(0, len(text), MAX_TEXT_CHARS):
            yield name, text[at : at + MAX_TEXT_CHARS]
    words = Counter(word for phrase in phrases for word in phrase.split())
    frequent = [word for word, _ in words.most_common(_FREQUENT)]
    for word in frequent:
        yield f"{word} again and again", _fill(f"{word} ")
    for one in frequent[:_PAIRED]:
        for other in frequent[:_PAIRED]:
            yield f"{one} {other} again and again", _fill(f"{one} {other} ")
    for phrase in phrases:
        yield f"nearly {phrase!r} again and again", _fill(f"{phrase[:-1]}~ ")
    for piece in _MASKED:
        yield f"{piece!r} again and again", _fill(piece)


def _turn(phrase: str) -> list[str]:
    return phrase.split()[::-1]


def _fill(piece: str) -> str:
    return (piece * (MAX_TEXT_CHARS // len(piece) + 1))[:MAX_TEXT_CHARS]
