"""The text of a key file: one key a line, written and read back to the same ring."""

from __future__ import annotations

import re
from datetime import date

from bounced.model import ConfigError
from bounced.origin.token import Key, KeyRing

MIN_SECRET_BYTES = 16
MAX_ACTIVE_KEYS = 2
LAST_DAY = date(2149, 6, 6)
"""The last day that a token can carry."""

_KEY_ID = re.compile(r"[a-z2-7]")
_HEADING = "# key_id created_on state secret [retired_on]; keep this file from every other eye"
_FIELDS = "key_id, created_on, state, secret"


def parse_keys(text: str) -> KeyRing:
    """Parse a key file: `key_id created_on active|retired secret-hex [retired_on]`, # comments.

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
    return "\n".join([_HEADING, *(_format_key(key) for key in ring.keys)]) + "\n"


def _format_key(key: Key) -> str:
    state = "active" if key.active else "retired"
    line = f"{key.key_id} {key.created_on.isoformat()} {state} {key.secret.hex()}"
    return f"{line} {key.retired_on.isoformat()}" if key.retired_on else line


def _parse_key(fields: list[str]) -> Key:
    if len(fields) not in {4, 5}:
        raise ValueError(f"{len(fields)} fields instead of 4: write {_FIELDS}")
    key_id, created_on, state, secret = fields[:4]
    retired_on = _parse_day(fields[4]) if fields[4:] else None
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError(f"key id {key_id!r} must be one of a-z and 2-7")
    if state not in {"active", "retired"}:
        raise ValueError(f"state {state!r} must be active or retired")
    if state == "active" and retired_on:
        raise ValueError("an active key has no day of retirement: remove the fifth field")
    return Key(
        key_id,
        _parse_secret(secret),
        _parse_day(created_on),
        active=state == "active",
        retired_on=retired_on,
    )


def _parse_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or day > LAST_DAY:
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
