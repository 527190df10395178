"""What can never stand in an address and can only have been meant in one way: `max@gmx,de`.

Mended is what a mail server takes by no reading of RFC 5321 §4.1.2, and a few things that nobody
has in an address: `www.` before it, a doubled ending.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bounced.advisor.providers import Providers
from bounced.model import domain_key

MAX_CHARS = 320
"""A longer text is no address (RFC 5321 §4.5.3.1)."""

_WRAPPED = re.compile(r"<([^<>]*@[^<>]*)>")
_REMARK = re.compile(r"\s\([^()@]*\)$")
_LABEL = re.compile(r"^(?:mailto|e-?mail|mail)\s*:\s*", re.IGNORECASE)
_QUOTES = " \t<>()[]{}\"'`´„“”‚‘’«»;,:|\\"
_INSTEAD_OF_AT = re.compile(r"\s*[(\[{]\s*at\s*[)\]}]\s*|€", re.IGNORECASE)
"""The euro stands beside the at sign on a German keyboard, both with AltGr."""
_AT = re.compile(r"\s*@[\s@]*")
_DOTS = re.compile(r"\s*\.[\s.]*")
_DOMAIN_DOTS = re.compile(r"[\s-]*\.[\s.-]*")
_DOT_FORGOTTEN = re.compile(r"([^\s.]+)\s+([a-z]{2,})")
_ENDING_TWICE = re.compile(r"(\.[a-z]{2,})\1$")
_APPENDED = frozenset({"at", "ch", "com", "de", "net", "org"})
_SPELLED_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ẞ": "SS"}
)
_LOOK_ALIKES = str.maketrans("асеіјорѕхуԁһкмтвАВСЕНІЈКМОРЅТХУ", "aceijopsxydhkmtbABCEHIJKMOPSTXY")
"""Cyrillic letters that a copied text brings along, and the Latin ones they look like."""


def mend(address: str, providers: Providers, names: Iterable[str]) -> str | None:
    """Return the address without its slips, unchanged where it has none; total.

    None where it is not one address. `names` are domains, one of which a domain without ending
    may be. What comes back need not be an address: not every fault is a slip.
    """
    local, at, domain = unwrap(address).partition("@")
    if not at or "@" in domain:
        return None
    return f"{_mend_local(local)}@{_mend_domain(domain, providers, names)}"


def unwrap(address: str) -> str:
    """Return the address without what stood around it in a letter, a list or a text; total."""
    folded = unicodedata.normalize("NFKC", address[: MAX_CHARS + 1])
    shown = "".join(" " if c.isspace() else c for c in folded if not _is_invisible(c))
    wrapped = _WRAPPED.search(shown)
    bare = _REMARK.sub("", wrapped[1] if wrapped else shown).strip(_QUOTES)
    bare = _LABEL.sub("", bare)
    if "@" not in bare:
        bare = _INSTEAD_OF_AT.sub("@", bare)
    return _AT.sub("@", bare)


def spell_out(text: str) -> str:
    """Return the text with umlauts and ß as a German writes them without; total."""
    return unicodedata.normalize("NFC", text).translate(_SPELLED_OUT)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in {"Cf", "Cc"} and not character.isspace()


def _mend_local(local: str) -> str:
    dotted = re.sub(r"(?<!\s),(?!\s)", ".", local)
    dotted = _DOTS.sub(".", dotted).strip(". ")
    if dotted.lower().startswith("www."):
        dotted = dotted[4:]
    plain = spell_out(dotted).translate(_LOOK_ALIKES)
    # What is left of é without its accent: nobody has one in a mail address.
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))


def _mend_domain(domain: str, providers: Providers, names: Iterable[str]) -> str:
    dotted = re.sub("[,:]", ".", domain).replace("_", "-")
    dotted = _DOMAIN_DOTS.sub(".", dotted).strip(". ")
    forgotten = _DOT_FORGOTTEN.fullmatch(dotted.lower())
    if forgotten and forgotten[2] in providers.endings:
        dotted = f"{forgotten[1]}.{forgotten[2]}"
    dotted = _use_one_script(dotted.replace(" ", ""))
    if dotted.lower().startswith("www.") and dotted.count(".") > 1:
        dotted = dotted[4:]
    return _mend_ending(dotted, providers, names)


def _use_one_script(domain: str) -> str:
    """Replace Cyrillic letters among Latin ones; no registry gives out such a mixture."""
    latin = domain.translate(_LOOK_ALIKES)
    mixed = any(c.isascii() and c.isalpha() for c in domain.rpartition(".")[0] or domain)
    return latin if mixed and latin.isascii() else domain


def _mend_ending(domain: str, providers: Providers, names: Iterable[str]) -> str:
    lowered = domain.lower()
    head, dot, ending = lowered.rpartition(".")
    if not dot:
        meant = {name for name in names if name.rpartition(".")[0] == domain_key(domain)}
        return meant.pop() if len(meant) == 1 else domain
    if head in providers.asked and ending in _APPENDED and not providers.is_right(lowered):
        return domain[: len(head)]
    if ending in providers.slips:
        return f"{domain[: len(head)]}.{providers.slips[ending]}"
    twice = _ENDING_TWICE.search(lowered)
    return domain[: -len(twice[1])] if twice and twice[1][1:] in providers.endings else domain
