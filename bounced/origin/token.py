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
from datetime import date
from enum import StrEnum

from bounced.model import ConfigError, TokenType

TOKEN_OCTETS = 31
ID_BYTES = 8
DAY_BYTES = 2
MAC_BYTES = 8
MIN_SECRET_BYTES = 16
MAX_ACTIVE_KEYS = 2

_CONTEXT = b"bounced1"
_TYPES = "".join(TokenType)
_SHAPE = re.compile(rf"[{_TYPES}][a-z0-9]{{{TOKEN_OCTETS - 1}}}")
_BASE32 = re.compile(r"[a-z2-7]+")
_BASE32_PADDING = "==="

# Actually, some senders put the tag behind the address (seen: mavetju.org, 2008-05-22), and some
# tags have nine hex digits instead of ten (seen: Cisco's appliances).
_BATV_TAG = r"[0-9a-f]{9,10}"
_BATV = re.compile(
    rf"prvs=(?:{_BATV_TAG}=(?P<after>.+)|(?P<before>.+)={_BATV_TAG})", re.ASCII | re.IGNORECASE
)


class TokenFault(StrEnum):
    """Why a text is no valid token."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from-the-future"


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
    """One signing key; a retired one still opens tokens, until its line is removed."""

    key_id: str
    """One of a-z2-7."""
    secret: bytes = field(repr=False)
    created_on: date
    active: bool = True


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


def seal(token_type: TokenType, id8: bytes, day: int, key: Key) -> str:
    """Return the token, 31 characters of a-z2-7.

    `id8` has 8 bytes, `day` counts from 1970-01-01 UTC up to 65535 (the year 2149).
    Raises ValueError for another length, OverflowError for another day.
    """
    if len(id8) != ID_BYTES:
        raise ValueError(f"a token's id has {ID_BYTES} bytes, not {len(id8)}")
    payload = id8 + day.to_bytes(DAY_BYTES, "big")
    mac = _sign(token_type, key, payload)
    return f"{token_type}{key.key_id}{_encode(payload + mac)}"


def open_token(text: str, ring: KeyRing, *, today: int, ttl_days: int) -> Token | TokenFault:
    """Open a token in any case of letters; total, takes only what `seal` would write.

    `today` counts days since 1970-01-01 UTC; one day ahead is allowed for clocks.
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
    if day > today + 1:
        return TokenFault.FROM_THE_FUTURE
    if today - day > ttl_days:
        return TokenFault.EXPIRED
    return Token(token_type, key.key_id, signed[:ID_BYTES], day)


def looks_like_token(local_part: str) -> bool:
    """Tell whether a local part has a token's length and letters, valid or not; total."""
    return local_part.isascii() and _SHAPE.fullmatch(local_part.lower()) is not None


def drop_batv(local_part: str) -> str:
    """Return the local part without the tag that BATV put around it; total.

    Source: draft-levine-smtp-batv, `prvs=<tag>=<local part>`.
    """
    match = _BATV.fullmatch(local_part)
    return (match["after"] or match["before"]) if match else local_part


def parse_keys(text: str) -> KeyRing:
    """Parse a key file: `key_id created_on active|retired secret-hex`, one key a line, # comments.

    Raises ConfigError naming line and mend; its text never holds a secret.
    """
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        try:
            key = _parse_key(fields)
            _check_joins(key, keys)
        except ValueError as error:
            raise ConfigError(f"line {number}: {error}") from None
        keys.append(key)
    return KeyRing(tuple(keys))


def format_keys(ring: KeyRing) -> str:
    """Return the key file of a ring, which `parse_keys` reads back to the same ring."""
    lines = ["# key_id created_on state secret; keep this file from every other eye"]
    for key in ring.keys:
        state = "active" if key.active else "retired"
        lines.append(f"{key.key_id} {key.created_on.isoformat()} {state} {key.secret.hex()}")
    return "\n".join(lines) + "\n"


def _sign(token_type: TokenType, key: Key, payload: bytes) -> bytes:
    message = _CONTEXT + token_type.encode() + key.key_id.encode() + payload
    return hmac.digest(key.secret, message, hashlib.sha256)[:MAC_BYTES]


def _encode(payload: bytes) -> str:
    return base64.b32encode(payload).decode("ascii").rstrip("=").lower()


def _decode(folded: str) -> bytes | None:
    """Return id, day and mac; None unless they encode back to the same text."""
    body = folded[2:]
    if not (_SHAPE.fullmatch(folded) and _BASE32.fullmatch(folded[1:])):
        return None
    payload = base64.b32decode(body.upper() + _BASE32_PADDING)
    return payload if _encode(payload) == body else None


def _parse_key(fields: list[str]) -> Key:
    try:
        key_id, created_on, state, secret = fields
    except ValueError:
        raise ValueError(
            f"{len(fields)} fields instead of 4: write key_id, created_on, state, secret"
        ) from None
    if len(key_id) != 1 or not _BASE32.fullmatch(key_id):
        raise ValueError(f"key id {key_id!r} must be one of a-z and 2-7")
    if state not in {"active", "retired"}:
        raise ValueError(f"state {state!r} must be active or retired")
    return Key(key_id, _parse_secret(secret), _parse_day(created_on), active=state == "active")


def _parse_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValueError(f"{text!r} is no day: write it as YYYY-MM-DD")
    return day


def _parse_secret(text: str) -> bytes:
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        raise ValueError("the secret is not hexadecimal") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret is shorter than {MIN_SECRET_BYTES} bytes")
    return secret


def _check_joins(key: Key, earlier: list[Key]) -> None:
    if any(key.key_id == other.key_id for other in earlier):
        raise ValueError(f"key id {key.key_id!r} stands twice: remove one of the lines")
    if sum(other.active for other in [*earlier, key]) > MAX_ACTIVE_KEYS:
        raise ValueError(f"more than {MAX_ACTIVE_KEYS} active keys: retire the oldest")
