"""The grammar of an SPF record: which words are terms, and how terms are written; pure.

RFC 7208 §4.6.1 and §12; RFC 7208 §3.3 for texts above 255 octets.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST_LOOKUPS = 10
"""Terms that cost a look-up (RFC 7208 §4.6.4)."""
MOST_VOIDS = 2
"""Look-ups that find nothing (RFC 7208 §4.6.4)."""
MOST_OCTETS = 4096
"""Of a record; RFC 7208 §3.4 wants an answer of 512, and a longer one than this is an attack."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Terms = tuple["Term", ...]

_VERSION = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_DIRECTIVE = re.compile(
    r"([-+?~]?)(all|include|a|mx|ptr|ip4|ip6|exists)([:/].*)?", re.IGNORECASE | re.DOTALL
)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE | re.DOTALL)
_MACRO = r"%\{[slodiphv][0-9]*r?[-.+,/_=]*\}|%[%_-]"
_ANY_MACRO = r"%\{[slodiphvcrt][0-9]*r?[-.+,/_=]*\}|%[%_-]"
_DOMAIN_TEXT = re.compile(rf"(?:{_MACRO}|[!-$&-~])++", re.IGNORECASE)
_MODIFIER_TEXT = re.compile(rf"(?:{_ANY_MACRO}|[!-$&-~])*+", re.IGNORECASE)
_MACRO_END = re.compile(r"%\{[^{}]*\}$")
"""Actually, a name may also end in %%, %_ or %-; pyspf takes none, and DNS has none."""
_TOP_LABEL = re.compile(r"[0-9]*+[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9]", re.IGNORECASE)
_PREFIXES = re.compile(r"(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?", re.DOTALL)
_LONGEST_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}")
_IP4_BITS = 32
_IP6_BITS = 128
_LONGEST_STRING = 255
"""Octets of one string of a TXT record (RFC 1035 §3.3)."""
_STRING_PARTS = re.compile(r"[^ ]{0,254} |[^ ]{1,255}")
"""Words, each with its blank; one that is too long for a string is cut."""


@dataclass(frozen=True, slots=True)
class Term:
    """A directive or a modifier of a record."""

    text: str
    """As it is written."""
    qualifier: str
    """One of + - ~ ?, + where none is written; "" for a modifier."""
    name: str
    """Of mechanism or modifier, in lower case."""
    argument: str = ""
    """What stands behind the colon or the equals sign, prefix lengths left out; "" is nothing."""

    @property
    def mechanism(self) -> str:
        """The directive without its qualifier, or the modifier, in the form for comparing."""
        bare = self.text[1:] if self.text[0] in "+-~?" else self.text
        # The case of a macro letter says whether its value is escaped (RFC 7208 §7.3).
        return bare if "%" in bare else bare.lower().rstrip(".")


def is_record(text: str) -> bool:
    """Tell whether a TXT record is an SPF record (RFC 7208 §4.5)."""
    return _VERSION.match(text) is not None


def parse_term(word: str) -> Term | None:
    """Parse one word; None: the grammar has no such term."""
    if match := _DIRECTIVE.fullmatch(word):
        name, rest = match[2].lower(), match[3] or ""
        argument = _read_argument(name, rest)
        return None if argument is None else Term(word, match[1] or "+", name, argument)
    if match := _MODIFIER.fullmatch(word):
        return _parse_modifier(word, match[1].lower(), match[2])
    return None


def read_terms(text: str) -> tuple[Terms, tuple[str, ...]]:
    """Read a record; return its terms and the words that are none."""
    words = [word for word in text.split(" ")[1:] if word]
    read = [(word, parse_term(word)) for word in words]
    terms = tuple(term for _, term in read if term is not None)
    return terms, tuple(word for word, term in read if term is None)


def find_repeated(terms: Iterable[Term]) -> Term | None:
    """Return a second redirect= or exp= (RFC 7208 §6), if there is one."""
    seen = set()
    for term in terms:
        if term.name in {"redirect", "exp"}:
            if term.name in seen:
                return term
            seen.add(term.name)
    return None


def list_effective(terms: Terms) -> Terms:
    """Return the terms that are looked at: up to `all`, or redirect= where there is no `all`."""
    directives = [term for term in terms if term.qualifier]
    for index, term in enumerate(directives):
        if term.name == "all":
            return tuple(directives[: index + 1])  # RFC 7208 §5.1, §6.1
    return (*directives, *(term for term in terms if term.name == "redirect"))


def write_record(terms: Iterable[Term]) -> str:
    """Return the record as text."""
    return " ".join(["v=spf1", *(term.text for term in terms)])


def write_value(record: str) -> str:
    """Return what is typed in as the value of a TXT record.

    Above 255 octets that is several quoted strings, cut behind a blank where there is one, as
    they are put together without any (RFC 7208 §3.3).
    """
    if len(record) <= _LONGEST_STRING:
        return record
    strings = [""]
    for word in _STRING_PARTS.findall(record):
        if len(strings[-1]) + len(word) > _LONGEST_STRING:
            strings.append("")
        strings[-1] += word
    escaped = (string.replace("\\", "\\\\").replace('"', '\\"') for string in strings)
    return " ".join(f'"{string}"' for string in escaped)


def _read_argument(name: str, rest: str) -> str | None:
    """Return the argument of a directive; None: it has the wrong form."""
    match name:
        case "all":
            return None if rest else ""
        case "include" | "exists":
            return rest[1:] if rest[:1] == ":" and _is_domain_text(rest[1:]) else None
        case "ptr":
            right = not rest or (rest[0] == ":" and _is_domain_text(rest[1:]))
            return rest[1:] if right else None
        case "a" | "mx":
            return _read_host(rest)
    return rest[1:].partition("/")[0] if rest[:1] == ":" and _is_network(name, rest[1:]) else None


def _read_host(rest: str) -> str | None:
    """Return the domain of `a` or `mx`."""
    match = _PREFIXES.fullmatch(rest)
    if match is None or int(match[2] or 0) > _IP4_BITS or int(match[3] or 0) > _IP6_BITS:
        return None
    host = match[1]
    return host[1:] if not host or (host[0] == ":" and _is_domain_text(host[1:])) else None


def _is_network(name: str, text: str) -> bool:
    """Tell whether this is an address, with or without a prefix length, of ip4 or ip6."""
    address, slash, bits = text.partition("/")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return False
    if name != f"ip{version}" or "%" in address:
        return False
    most = _IP4_BITS if version == 4 else _IP6_BITS  # noqa: PLR2004 - as it is called
    return not slash or (_LONGEST_PREFIX.fullmatch(bits) is not None and int(bits) <= most)


def _parse_modifier(word: str, name: str, argument: str) -> Term | None:
    if name in {"redirect", "exp"}:
        right = _is_domain_text(argument)
    else:
        right = _MODIFIER_TEXT.fullmatch(argument) is not None
    return Term(word, "", name, argument) if right else None


def _is_domain_text(text: str) -> bool:
    """Tell whether this is a `domain-spec`: macros, and a name that ends in a top-level label."""
    if _DOMAIN_TEXT.fullmatch(text) is None:
        return False
    if _MACRO_END.search(text):
        return True
    _, dot, label = text.removesuffix(".").rpartition(".")
    return bool(dot) and _TOP_LABEL.fullmatch(label) is not None
