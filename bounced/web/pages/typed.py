"""Whether what an author typed can be a mail address: strict, for a slip costs another bounce.

What the API takes is laxer: programs know what they send.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from bounced.model import (
    MAX_LOCAL_OCTETS,
    UNSAFE_BEGINNINGS,
    domain_key,
    is_host_name,
    recipient_key,
    split_address,
)
from bounced.web.schema import Address
from bounced.words.cleaning import MAX_ADDRESS_CHARS, clean

_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)
_LOCAL = re.compile(r"[^\s.,;:\"()\[\]\\]+(\.[^\s.,;:\"()\[\]\\]+)*")
"""A dot-atom (RFC 5322 §3.2.3) in any letters; nobody's real address is a quoted string."""
_MIN_ENDING_CHARS = 2


class TypedFault(StrEnum):
    """Why it is not taken; the phrase `page.error.<value>` says it."""

    ADDRESS = "address"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the field, and what is wrong with it."""

    text: str = ""
    fault: TypedFault | None = None


def judge_typed(text: str, old: str) -> Typed:
    """Return the new address without the blanks around it; `old` is the one that failed; total."""
    address = text.strip().removeprefix("mailto:")
    if not _is_address(address):
        return Typed(text, TypedFault.ADDRESS)
    if recipient_key(address) == recipient_key(old) and _is_address(old):
        return Typed(text, TypedFault.SAME)
    return Typed(address)


def _is_address(address: str) -> bool:
    try:
        _ADDRESS.validate_python(address)
    except ValidationError:
        return False
    if clean(address, MAX_ADDRESS_CHARS) != address:
        return False
    local, domain = split_address(address)
    host = domain_key(domain)
    return (
        len(local.encode()) <= MAX_LOCAL_OCTETS
        and len(local.encode()) + 1 + len(host) <= MAX_ADDRESS_CHARS
        and not local.startswith(UNSAFE_BEGINNINGS)
        and _LOCAL.fullmatch(local) is not None
        and not domain.endswith(".")
        and is_host_name(host)
        and len(host.rpartition(".")[2]) >= _MIN_ENDING_CHARS
    )
