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
MAX_LOCAL_CHARS = 64
"""RFC 5321 §4.5.3.1.1."""
MAX_URL_CHARS = 2000
MAX_WORD_CHARS = 40
"""A longer word, such as a URL, may be cut inside: leaving it out would tell too little."""

_BREAKING = frozenset({"Cc", "Zl", "Zp"})
_INVISIBLE = frozenset({"Cf", "Cs", "Co"})
_CUT = "…"
_ACE = "xn--"
_FAMILIAR = re.compile("[a-z0-9ß-öø-ž-]+")
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and a symbol by their category, and nothing to see."""
_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)


def clean(text: str, max_chars: int) -> str:
    """Return the text as one line of at most `max_chars`, controls and format marks gone; total.

    Format marks (Unicode Cf) hold the bidi overrides and zero-width characters; lone surrogates
    (Cs) could not be encoded.
    """
    seen = text[: max_chars * 4]
    if not (seen.isascii() and seen.isprintable()):  # most texts need no look at each character
        seen = "".join(_show(character) for character in seen)
    line = " ".join(seen.split())
    return line if len(line) <= max_chars else _cut(line, max_chars)


def clean_address(address: str) -> str:
    """Return the address for a person to read, its domain as `clean_domain` shows it; total."""
    local, domain = split_address(address)
    if not domain:
        return clean(local, MAX_ADDRESS_CHARS)
    # Cut by itself: an endless local part would else push the domain out of sight.
    return f"{clean(local, MAX_LOCAL_CHARS)}@{clean_domain(domain)}"


def clean_slip(address: str) -> str:
    """Return the address for a person to read, the slip at its edge left as it is; total."""
    return clean(address, MAX_ADDRESS_CHARS) if address.isascii() else clean_address(address)


def clean_domain(domain: str) -> str:
    """Return the domain for a person to read; total.

    Letters that only look like others are shown as A-labels (RFC 5890 §2.3.2.1). A domain in the
    letters of Western and Central Europe is shown as its owner writes it, so that he knows it, and
    the A-labels stand beside it: there are look-alikes among those too.
    """
    readable, exact, cut = _read_domain(domain)
    return (exact if readable == exact else f"{readable} ({exact})") + cut


def clean_own_domain(domain: str) -> str:
    """Return the reader's own domain, which he knows when he sees it, as he writes it; total."""
    readable, _, cut = _read_domain(domain)
    return readable + cut


def to_a_labels(domain: str) -> str:
    """Return the domain in ASCII, of what IDNA does not allow too; total."""
    return ".".join(_to_a_label(label) for label in domain_key(domain).split("."))


def clean_url(url: str | None) -> str | None:
    """Return the address of a web page, or None for anything that is not one whole http(s) URL."""
    if url is None or len(url) > MAX_URL_CHARS or clean(url, MAX_URL_CHARS) != url:
        return None
    return url if _URL.fullmatch(url) else None


def _read_domain(domain: str) -> tuple[str, str, str]:
    """Return the domain in letters, in A-labels, and the mark where it was cut."""
    plain = clean(domain, MAX_ADDRESS_CHARS)
    whole = plain.removesuffix(_CUT)
    exact = to_a_labels(whole)
    readable = ".".join(_to_u_label(label) for label in exact.split("."))
    return readable, exact, plain[len(whole) :]


def _to_a_label(label: str) -> str:
    """Return the A-label, as RFC 3492 makes it where IDNA does not allow the letters."""
    return label if label.isascii() else _ACE + label.encode("punycode").decode("ascii")


def _to_u_label(label: str) -> str:
    """Return the label in letters that a reader here tells apart, else as it is."""
    if not label.startswith(_ACE):
        return label
    try:
        letters = label.removeprefix(_ACE).encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    is_familiar = _FAMILIAR.fullmatch(letters) and domain_key(letters) == label
    return letters if is_familiar else label


def _cut(line: str, max_chars: int) -> str:
    """Return the beginning of the line, up to the end of a word, and the mark that it was cut."""
    head = line[: max_chars - 1]
    whole, _, rest = head.rpartition(" ")
    inside_word = line[max_chars - 1] != " "
    if whole and inside_word and len(rest) <= MAX_WORD_CHARS:
        head = whole
    return head.rstrip() + _CUT


def _show(character: str) -> str:
    category = unicodedata.category(character)
    if category in _BREAKING:
        return " "
    return "" if category in _INVISIBLE or character in _BLANKS else character
