"""How TXT records become text, and such text the tags of a DKIM key or a DMARC policy.

RFC 6376 §3.2 (tag lists) and §3.6.2.2 (strings), RFC 9989 §4.8.
"""

from __future__ import annotations

from dns.rdtypes.ANY.TXT import TXT

from bounced.advisor.dns import Answer
from bounced.words.cleaning import clean

MOST_SHOWN_CHARS = 500
"""A key of 2,048 bits, with its tags, takes some 420."""

Tags = tuple[tuple[str, str], ...]
"""Name and value in their order, without the white space around them."""


def list_texts(answer: Answer) -> tuple[str, ...]:
    """Return each TXT record as one text, sorted, since DNS keeps no order; total."""
    return tuple(sorted(_join(each) for each in answer.records if isinstance(each, TXT)))


def split_tags(text: str) -> Tags:
    """Return the tags of a list; what has no `=` is a tag without name; total."""
    return tuple(_split(piece) for piece in text.split(";") if piece.strip())


def show(text: str) -> str:
    """Return a record of a stranger's as one short line; total."""
    return clean(text, MOST_SHOWN_CHARS)


def _join(record: TXT) -> str:
    return b"".join(record.strings).decode("utf-8", "replace")


def _split(piece: str) -> tuple[str, str]:
    name, equals, value = piece.partition("=")
    return (name.strip(), value.strip()) if equals else ("", piece.strip())
