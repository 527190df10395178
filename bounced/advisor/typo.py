"""Which address an author may have meant by the one that failed: a question, not a statement.

Slips of the pen first, then the domain, then the local part. Precision before recall: where two
answers are possible, none is given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from bounced.advisor.neighbours import find_domain, find_local_part, has_rival, readable
from bounced.advisor.providers import Providers
from bounced.advisor.slips import MAX_CHARS, mend, unwrap
from bounced.model import (
    MAX_LOCAL_OCTETS,
    UNSAFE_BEGINNINGS,
    Reason,
    domain_key,
    is_host_name,
    recipient_key,
    split_address,
)

_DOUBTING = frozenset({Reason.USER_UNKNOWN, Reason.DOMAIN_UNKNOWN, Reason.NOT_ACCEPTING})
"""A mailbox that moved or was disabled was there: its address had no typing error."""

_MAX_ADDRESS_CHARS = 254
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
"""RFC 5321 §4.1.2; a quoted local part is left as it is."""
_UNSENDABLE = re.compile(r"[<>\s\u00ad\u200b-\u200f\u2060\ufeff]|\.$")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known to work."""

    author_domains: frozenset[str]
    """Domains that this author reached, in their comparison form (`model.domain_key`)."""
    site_domains: frozenset[str]
    """Domains that this installation reached."""
    author_addresses: frozenset[str]
    """Addresses that work for this author (`model.recipient_key`), at whatever domain."""


class Basis(StrEnum):
    """What a suggestion stands on."""

    SLIP = "slip"
    DOMAIN = "domain"
    LOCAL_PART = "local-part"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The address that may have been meant."""

    address: str
    """As its owner writes it: umlauts of the domain shown, the local part as it was typed."""
    basis: Basis
    needs_dns: bool
    """The domain changed: to be confirmed by DNS where that is asked, both ways.

    The typed one must have no mail service, the suggested one must have one.
    """
    holds_without_dns: bool
    """It may be told where DNS is not asked.

    Otherwise a server of the typed domain refused, and only the author's own mail speaks for the
    other one: both may be real.
    """


def suggest(address: str, reason: Reason, known: Known, providers: Providers) -> Suggestion | None:
    """Return what may have been meant by an address that failed for this reason; total.

    Never an address that works as typed, never another large mail service than the one typed.
    """
    if reason not in _DOUBTING or len(address) > MAX_CHARS:
        return None
    slipped = _has_slip_at_edge(address, reason)
    if recipient_key(address) in known.author_addresses and not slipped:
        return None
    allowed = known.author_domains | known.site_domains | providers.asked
    mended = mend(address, providers, allowed)
    if mended is None:
        return None
    found, basis = _find(mended, reason, known, allowed, providers)
    is_same = recipient_key(found) == recipient_key(address) and not slipped
    if is_same or not _is_address(found, address, providers):
        return None
    typed, meant = (domain_key(split_address(text)[1]) for text in (address, found))
    if has_rival(split_address(unwrap(address))[1].lower(), meant, allowed, providers):
        return None
    return Suggestion(
        address=found,
        basis=basis,
        needs_dns=typed != meant,
        holds_without_dns=(
            basis is not Basis.DOMAIN
            or reason is not Reason.USER_UNKNOWN
            or meant in providers.asked
            or not providers.can_exist(typed)
        ),
    )


def _find(
    mended: str, reason: Reason, known: Known, allowed: frozenset[str], providers: Providers
) -> tuple[str, Basis]:
    local, domain = split_address(mended)
    typed = domain_key(domain)
    if typed not in allowed and not providers.is_right(typed):
        right = find_domain(typed, allowed, providers)
        return (f"{local}@{readable(right)}", Basis.DOMAIN) if right else (mended, Basis.SLIP)
    if reason is Reason.USER_UNKNOWN:
        pairs = map(split_address, known.author_addresses)
        working = frozenset(name for name, where in pairs if where == typed)
        meant = find_local_part(local.lower(), working)
        if meant:
            return f"{meant}@{domain}", Basis.LOCAL_PART
    return mended, Basis.SLIP


def _has_slip_at_edge(address: str, reason: Reason) -> bool:
    """Tell whether `recipient_key` overlooks what SMTP does not.

    A dot at the end, half a pair of brackets, a blank; but where the server knows the domain, and
    not the user, somebody has taken the blank away before.
    """
    bare = address.strip() if reason is Reason.USER_UNKNOWN else address
    if bare.startswith("<") and bare.endswith(">"):
        bare = bare[1:-1]
    return _UNSENDABLE.search(bare) is not None


def _is_address(found: str, address: str, providers: Providers) -> bool:
    local, domain = split_address(found)
    host = domain_key(domain)
    same_host = host == domain_key(split_address(address)[1])
    return (
        len(found) <= _MAX_ADDRESS_CHARS
        and len(local) <= MAX_LOCAL_OCTETS
        and not local.startswith(UNSAFE_BEGINNINGS)
        and _DOT_STRING.fullmatch(local) is not None
        and is_host_name(host)
        and (same_host or providers.can_exist(host))
    )
