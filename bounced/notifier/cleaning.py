"""Makes text that strangers wrote safe to show: one short line, nothing invisible in it.

Bounces carry subjects, addresses and server replies that anyone can forge. A line break in them
would forge a header or a line of our text, a bidi override would turn an address round.
"""

from __future__ import annotations

import re
import unicodedata

from bounced.model import domain_key, split_address

MAX_ADDRESS_CHARS = 254
"""RFC 5321 §4.5.3.1.3: a path of 256 octets, its angle brackets included."""
MAX_URL_CHARS = 2000
MAX_WORD_CHARS = 40
"""A longer word, such as a URL, may be cut inside: leaving it out would tell too little."""

_BREAKING = frozenset({"Cc", "Zl", "Zp"})
_INVISIBLE = frozenset({"Cf", "Cs", "Co"})
_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)


def clean(text: str, max_chars: int) -> str:
    """Return the text as one line of at most `max_chars`, controls and format marks gone; total.

    Format marks (Unicode Cf) hold the bidi overrides and zero-width characters; lone surrogates
    (Cs) could not be encoded.
    """
    seen = "".join(_show(character) for character in text[: max_chars * 4])
    line = " ".join(seen.split())
    return line if len(line) <= max_chars else _cut(line, max_chars)


def clean_address(address: str) -> str:
    """Return the address for a person to read, its domain as A-labels; total."""
    local, domain = split_address(address)
    shown = f"{local}@{domain_key(clean(domain, MAX_ADDRESS_CHARS))}" if domain else local
    return clean(shown, MAX_ADDRESS_CHARS)


def clean_domain(domain: str) -> str:
    """Return the domain as A-labels; total."""
    return domain_key(clean(domain, MAX_ADDRESS_CHARS))


def clean_url(url: str | None) -> str | None:
    """Return the address of a web page, or None for anything that is not one whole http(s) URL."""
    if url is None or len(url) > MAX_URL_CHARS or clean(url, MAX_URL_CHARS) != url:
        return None
    return url if _URL.fullmatch(url) else None


def _cut(line: str, max_chars: int) -> str:
    """Return the beginning of the line, up to the end of a word, and the mark that it was cut."""
    head = line[: max_chars - 1]
    whole, _, rest = head.rpartition(" ")
    inside_word = line[max_chars - 1] != " "
    if whole and inside_word and len(rest) <= MAX_WORD_CHARS:
        head = whole
    return head.rstrip() + "…"


def _show(character: str) -> str:
    category = unicodedata.category(character)
    if category in _BREAKING:
        return " "
    return "" if category in _INVISIBLE else character
