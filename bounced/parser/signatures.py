"""Reads from its DKIM-Signature fields who signed a mail; total.

RFC 6376 §3.2 (tag lists), §3.5 (the field), §6.1.1 (which fields count); RFC 8616 §4 (names).
"""

import re
from collections.abc import Iterable

from bounced.model import Signature, domain_key, is_host_name

MOST_SIGNATURES = 20
"""Mails have one to three; so many are none of a mail system's."""

_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# RFC 6376 §3.1. Actually, underscores are seen in selectors, too (Mimecast, Zendesk).
_SELECTOR = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_MOST_OCTETS = 253


def read_signatures(fields: Iterable[str]) -> tuple[Signature, ...]:
    """Return the signers that unfolded fields name, each once, in order; the malformed left out.

    Nothing is verified: what is returned of a mail is seldom what was signed.
    """
    found: dict[Signature, None] = {}
    for field in fields:
        signature = _parse_signature(field)
        if signature is not None:
            found[signature] = None
        if len(found) == MOST_SIGNATURES:
            break
    return tuple(found)


def _parse_signature(field: str) -> Signature | None:
    tags = _parse_tags(field)
    # RFC 6376 §6.1.1: a verifier passes over any other version.
    if tags is None or tags.get("v") != "1":
        return None
    domain, selector = (_parse_name(tags.get(name, "")) for name in ("d", "s"))
    if not is_host_name(domain) or not _SELECTOR.fullmatch(selector):
        return None
    return Signature(domain, selector)


def _parse_tags(field: str) -> dict[str, str] | None:
    """Return tag names and values, blanks around them left out; None: it is no tag list."""
    tags: dict[str, str] = {}
    for spec in field.rstrip("; \t").split(";"):
        name, equals, value = spec.partition("=")
        name = name.strip()
        # RFC 6376 §3.2: one tag twice makes the whole list invalid.
        if not equals or not _TAG_NAME.fullmatch(name) or name in tags:
            return None
        tags[name] = value.strip()
    return tags


def _parse_name(value: str) -> str:
    """Return the comparison form of a name; what is too long for one is none."""
    return domain_key(value) if len(value) <= _MOST_OCTETS else ""
