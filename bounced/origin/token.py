"""The signed return path's token: seals ids into 31 octets and opens nothing else (DESIGN §6).

A token is type, key id, and base32 (RFC 4648 §6, lower case, no padding) of id, day and mac.
It fits the 64 octets of a local part (RFC 5321 §4.5.3.1.1), also behind BATV or SRS.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from bounced.model import ConfigError, TokenType

TOKEN_OCTETS = 31
ID_BYTES = 8
DAY_BYTES = 2
MAC_BYTES = 8
RETIREMENT = timedelta(days=1)
"""How long after its last day a key may still have signed: clocks, nodes that learn of it late."""

_CONTEXT = b"bounced1"
_TYPES = "".join(TokenType)
_SHAPE = re.compile(rf"[{_TYPES}][a-z0-9]{{{TOKEN_OCTETS - 1}}}")
_BASE32 = re.compile(r"[a-z2-7]+")
_BASE32_PADDING = "==="
_DAY_0 = date(1970, 1, 1)


class TokenFault(StrEnum):
    """Why a text is no valid token."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from-the-future"
    RETIRED_KEY = "retired-key"
    """Dated after the retirement of its key: a leaked key, or a node that still signs with it."""


@dataclass(frozen=True, slots=True)
class Token:
    """An opened token: ours, unaltered and of age."""

    type: TokenType
    key_id: str
    id8: bytes
    day: int
    """Days since 1970-01-01 UTC."""

    @property
    def hex_id(self) -> str:
        """Return the id as the ledger writes it, 16 hex digits."""
        return self.id8.hex()


@dataclass(frozen=True, slots=True)
class Key:
    """One signing key; a retired one still opens what it signed in its days."""

    key_id: str
    """One of a-z2-7."""
    secret: bytes = field(repr=False)
    created_on: date
    active: bool = True
    retired_on: date | None = None
    """None of a retired key: not known, as in files of before; it opens whatever it signed."""

    @property
    def last_day(self) -> date | None:
        """Return the last day that a token of this key may carry; None: any day."""
        return self.retired_on + RETIREMENT if self.retired_on else None


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys of a site; raises ConfigError when none is active."""

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        if not any(key.active for key in self.keys):
            raise ConfigError("no active signing key: make one with `bounced keys new`")

    @property
    def signing(self) -> Key:
        """Return the key that new tokens are sealed with: the first active one."""
        return next(key for key in self.keys if key.active)

    def find(self, key_id: str) -> Key | None:
        """Return the key of that id, active or retired."""
        return next((key for key in self.keys if key.key_id == key_id), None)


def find_day(moment: datetime) -> int:
    """Return the day of a moment as tokens count them: from 1970-01-01 UTC."""
    return _count_days(moment.astimezone(UTC).date())


def seal(token_type: TokenType, id8: bytes, day: int, key: Key) -> str:
    """Return the token, 31 characters of a-z2-7.

    `id8` has 8 bytes, `day` is that of `find_day`, up to 65535 (the year 2149).
    Raises ValueError for another length, OverflowError for another day.
    """
    if len(id8) != ID_BYTES:
        raise ValueError(f"a token's id has {ID_BYTES} bytes, not {len(id8)}")
    payload = id8 + day.to_bytes(DAY_BYTES, "big")
    mac = _sign(token_type, key, payload)
    return f"{token_type}{key.key_id}{encode(payload + mac)}"


def open_token(text: str, ring: KeyRing, *, today: int, ttl_days: int) -> Token | TokenFault:
    """Open a token in any case of letters; total, takes only what `seal` would write.

    `today` is that of `find_day`; one day ahead is allowed for clocks.
    """
    folded = text.lower() if text.isascii() else ""
    payload = _decode(folded)
    if payload is None:
        return TokenFault.MALFORMED
    token_type, key = TokenType(folded[0]), ring.find(folded[1])
    if key is None:
        return TokenFault.UNKNOWN_KEY
    signed, mac = payload[:-MAC_BYTES], payload[-MAC_BYTES:]
    if not hmac.compare_digest(mac, _sign(token_type, key, signed)):
        return TokenFault.FORGED
    day = int.from_bytes(signed[ID_BYTES:], "big")
    fault = find_day_fault(day, key, today=today, ttl_days=ttl_days)
    return fault or Token(token_type, key.key_id, signed[:ID_BYTES], day)


def looks_like_token(local_part: str) -> bool:
    """Tell whether a local part has a token's length and letters, valid or not; total."""
    return local_part.isascii() and _SHAPE.fullmatch(local_part.lower()) is not None


def find_day_fault(day: int, key: Key, *, today: int, ttl_days: int) -> TokenFault | None:
    """Return what is wrong with the day that a key signed; None: it is of age."""
    if day > today + 1:
        return TokenFault.FROM_THE_FUTURE
    if today - day > ttl_days:
        return TokenFault.EXPIRED
    if key.last_day is not None and day > _count_days(key.last_day):
        return TokenFault.RETIRED_KEY
    return None


def encode(payload: bytes) -> str:
    """Return base32 (RFC 4648 §6), lower case, no padding."""
    return base64.b32encode(payload).decode("ascii").rstrip("=").lower()


def _count_days(day: date) -> int:
    return (day - _DAY_0).days


def _sign(token_type: TokenType, key: Key, payload: bytes) -> bytes:
    message = _CONTEXT + token_type.encode() + key.key_id.encode() + payload
    return hmac.digest(key.secret, message, hashlib.sha256)[:MAC_BYTES]


def _decode(folded: str) -> bytes | None:
    """Return id, day and mac; None unless they encode back to the same text."""
    body = folded[2:]
    if not (_SHAPE.fullmatch(folded) and _BASE32.fullmatch(folded[1:])):
        return None
    payload = base64.b32decode(body.upper() + _BASE32_PADDING)
    return payload if encode(payload) == body else None
