"""The link's token in a notice: seals what page it opens, and for whom; opens nothing else.

A token is key id, and base32 (RFC 4648 §6, lower case, no padding) of the notice's id, the case's
(none of it: the author's settings), day and mac. No address stands in it, so that none stands in
a proxy's log. Its mac is longer than a return path's: it has the room.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from bounced.origin.token import (
    DAY_BYTES,
    ID_BYTES,
    Key,
    KeyRing,
    TokenFault,
    encode,
    find_day_fault,
)

MAC_BYTES = 16

_CONTEXT = b"bounced1-link"
"""Begins as no return path's does: there a type follows the version, and `-` is none."""
_SHAPE = re.compile("[a-z2-7]{43}|[a-z2-7]{56}")


@dataclass(frozen=True, slots=True)
class Link:
    """An opened link: ours, unaltered and of age."""

    notice: str
    """16 hex digits."""
    case: str | None
    """16 hex digits; None: the author's settings."""
    day: int
    """Days since 1970-01-01 UTC."""


def seal_link(notice: str, case: str | None, day: int, key: Key) -> str:
    """Return the token, 56 characters of a-z2-7, without a case 43.

    `notice` and `case` are ids of 16 hex digits, `day` is that of `find_day`, up to 65535.
    Raises ValueError for another id, OverflowError for another day.
    """
    ids = [bytes.fromhex(each) for each in (notice, case) if each is not None]
    if any(len(each) != ID_BYTES for each in ids):
        raise ValueError(f"a link's ids have {2 * ID_BYTES} hex digits")
    payload = b"".join(ids) + day.to_bytes(DAY_BYTES, "big")
    return key.key_id + encode(payload + _sign(key, payload))


def open_link(text: str, ring: KeyRing, *, today: int, ttl_days: int) -> Link | TokenFault:
    """Open a link's token; total, takes only what `seal_link` would write.

    `today` is that of `find_day`; one day ahead is allowed for clocks.
    """
    payload = _decode(text)
    if payload is None:
        return TokenFault.MALFORMED
    key = ring.find(text[0])
    if key is None:
        return TokenFault.UNKNOWN_KEY
    signed, mac = payload[:-MAC_BYTES], payload[-MAC_BYTES:]
    if not hmac.compare_digest(mac, _sign(key, signed)):
        return TokenFault.FORGED
    ids, day = signed[:-DAY_BYTES], int.from_bytes(signed[-DAY_BYTES:], "big")
    fault = find_day_fault(day, key, today=today, ttl_days=ttl_days)
    return fault or Link(ids[:ID_BYTES].hex(), ids[ID_BYTES:].hex() or None, day)


def _sign(key: Key, payload: bytes) -> bytes:
    message = _CONTEXT + key.key_id.encode() + payload
    return hmac.digest(key.secret, message, hashlib.sha256)[:MAC_BYTES]


def _decode(text: str) -> bytes | None:
    """Return ids, day and mac; None unless they encode back to the same text."""
    if not _SHAPE.fullmatch(text):
        return None
    body = text[1:]
    payload = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    return payload if encode(payload) == body else None
