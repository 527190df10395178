"""Which part of a domain somebody has registered: what is above it belongs to others.

By the Public Suffix List, as RFC 7489 §3.2 has it and most receivers still do; the tree walk of
RFC 9989 §4.10 differs only where somebody publishes `psd=`.
"""

from __future__ import annotations

from functools import cache

from publicsuffixlist import PublicSuffixList

from bounced.model import domain_key


def find_organizational_domain(domain: str) -> str:
    """Return the part of a domain that somebody has registered, itself where none has; total.

    The list's private part counts: two customers of github.io are not one organization.
    """
    key = domain_key(domain)
    return _read_suffixes().privatesuffix(key) or key


def is_organizational_domain(domain: str) -> bool:
    """Tell whether a domain is just what somebody has registered, nothing below it; total."""
    key = domain_key(domain)
    return bool(key) and _read_suffixes().privatesuffix(key) == key


def is_public_suffix(domain: str) -> bool:
    """Tell whether a domain is one below which others register, such as co.uk, or has one label.

    Registries' only: of the list's private part many a domain has addresses of its own.
    """
    return _read_registries().privatesuffix(domain_key(domain)) is None


@cache  # takes 40 ms and never changes
def _read_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@cache
def _read_registries() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)
