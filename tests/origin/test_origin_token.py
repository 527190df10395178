"""Tokens: what is sealed opens, and nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import ConfigError, TokenType
from bounced.origin.token import (
    Key,
    KeyRing,
    Token,
    TokenFault,
    find_day,
    looks_like_token,
    open_token,
    seal,
)

GUIDE = Path(__file__).parents[2] / "docs" / "integrate.md"
VECTOR = re.compile(r"\| `(.)` \| `(.)` \| `(\w+)` \| `(\w+)` \| (\d+) \| `(\w+)` \|")

CREATED_ON = date(2026, 11, 1)
OLD = Key("b", bytes(range(16)), CREATED_ON, active=False)
NEW = Key("a", bytes(range(32)), CREATED_ON)
RING = KeyRing((OLD, NEW))
ID8 = bytes.fromhex("0123456789abcdef")
TODAY = 20778
TOKEN = seal(TokenType.SEND, ID8, TODAY, NEW)
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

types = st.sampled_from(TokenType)
ids = st.binary(min_size=8, max_size=8)
days = st.integers(0, 65535)


def reopen(text: str, *, today: int = TODAY, ttl_days: int = 14) -> Token | TokenFault:
    return open_token(text, RING, today=today, ttl_days=ttl_days)


def test_the_published_vectors_are_sealed_to_the_letter() -> None:
    rows = VECTOR.findall(GUIDE.read_text(encoding="utf-8"))
    assert len(rows) == 3
    for type_, key_id, secret, id_, day, token in rows:
        key = Key(key_id, bytes.fromhex(secret), CREATED_ON)
        assert seal(TokenType(type_), bytes.fromhex(id_), int(day), key) == token


def test_an_application_that_follows_the_guide_makes_the_same_return_path() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in guide.split("```python\n")]
    (example,) = [block for block in blocks if "def return_path(" in block]
    names: dict[str, Any] = {}
    exec(example, names)
    before = int(time.time() // 86400)
    made = names["return_path"](NEW.key_id, NEW.secret, ID8).removesuffix("@bounce.example.com")
    assert made in {seal(TokenType.SEND, ID8, day, NEW) for day in (before, before + 1)}


def test_the_mac_is_what_the_design_writes() -> None:
    signed = ID8 + TODAY.to_bytes(2, "big")
    mac = hmac.new(NEW.secret, b"bounced1" + b"s" + b"a" + signed, hashlib.sha256).digest()[:8]
    assert "sa" + base64.b32encode(signed + mac).decode().rstrip("=").lower() == TOKEN


@given(types, ids, days, st.sampled_from([OLD, NEW]))
def test_what_is_sealed_opens_again(type_: TokenType, id8: bytes, day: int, key: Key) -> None:
    text = seal(type_, id8, day, key)
    assert len(text) == 31
    assert reopen(text, today=day) == Token(type_, key.key_id, id8, day)
    assert reopen(text.upper(), today=day) == Token(type_, key.key_id, id8, day)


@given(types, ids, days, st.integers(0, 30), st.sampled_from(ALPHABET + "0189-\u017f\u212a"))
def test_one_changed_character_is_refused(
    type_: TokenType, id8: bytes, day: int, place: int, letter: str
) -> None:
    text = seal(type_, id8, day, NEW)
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        assert isinstance(reopen(changed, today=day), TokenFault)


@given(st.text() | st.text(alphabet=ALPHABET, min_size=31, max_size=31))
def test_any_other_text_is_refused_without_raising(text: str) -> None:
    assert isinstance(reopen(text), TokenFault)
    assert looks_like_token(text) in {True, False}


@pytest.mark.parametrize("length", range(31))
def test_a_cut_token_is_malformed(length: int) -> None:
    assert reopen(TOKEN[:length]) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(TOKEN + "a", TokenFault.MALFORMED, id="too long"),
        pytest.param(TOKEN + "\n", TokenFault.MALFORMED, id="line end"),
        pytest.param(" " + TOKEN, TokenFault.MALFORMED, id="blank before"),
        pytest.param(TOKEN + "=", TokenFault.MALFORMED, id="padding"),
        pytest.param("x" + TOKEN[1:], TokenFault.MALFORMED, id="no such type"),
        pytest.param("s1" + TOKEN[2:], TokenFault.MALFORMED, id="no such key id"),
        pytest.param(TOKEN[:-1] + "0", TokenFault.MALFORMED, id="not base32"),
        pytest.param(TOKEN.replace("k", "\u212a", 1), TokenFault.MALFORMED, id="Kelvin sign"),
        pytest.param("sz" + TOKEN[2:], TokenFault.UNKNOWN_KEY, id="unknown key"),
        pytest.param("sb" + TOKEN[2:], TokenFault.FORGED, id="the other key's id"),
        pytest.param("n" + TOKEN[1:], TokenFault.FORGED, id="another type"),
        pytest.param("sa" + "a" * 29, TokenFault.FORGED, id="zeros"),
    ],
)
def test_a_wrong_token_is_refused_with_its_fault(text: str, fault: TokenFault) -> None:
    assert reopen(text) is fault


def test_another_spelling_of_the_same_bytes_is_malformed() -> None:
    twin = TOKEN[:-1] + ALPHABET[ALPHABET.index(TOKEN[-1]) + 1]
    decoded = [base64.b32decode(text[2:].upper() + "===") for text in (TOKEN, twin)]
    assert decoded[0] == decoded[1]
    assert reopen(twin) is TokenFault.MALFORMED


def test_a_key_of_the_same_id_but_another_secret_forges() -> None:
    forger = Key("a", bytes(32), CREATED_ON)
    assert reopen(seal(TokenType.SEND, ID8, TODAY, forger)) is TokenFault.FORGED


@pytest.mark.parametrize(
    ("today", "fault"),
    [
        pytest.param(TODAY - 2, TokenFault.FROM_THE_FUTURE, id="two days ahead"),
        pytest.param(TODAY - 1, None, id="one day ahead"),
        pytest.param(TODAY, None, id="today"),
        pytest.param(TODAY + 14, None, id="last day"),
        pytest.param(TODAY + 15, TokenFault.EXPIRED, id="one day late"),
    ],
)
def test_a_token_lives_for_its_ttl(today: int, fault: TokenFault | None) -> None:
    expected = fault or Token(TokenType.SEND, "a", ID8, TODAY)
    assert reopen(TOKEN, today=today) == expected


@pytest.mark.parametrize(
    ("day", "fault"),
    [
        pytest.param(TODAY - 1, None, id="before its last day"),
        pytest.param(TODAY, None, id="its last day"),
        pytest.param(TODAY + 1, None, id="the day after, for clocks"),
        pytest.param(TODAY + 2, TokenFault.RETIRED_KEY, id="two days after"),
        pytest.param(TODAY + 9, TokenFault.RETIRED_KEY, id="by a thief"),
    ],
)
def test_a_retired_key_opens_only_what_it_signed_in_its_days(
    day: int, fault: TokenFault | None
) -> None:
    retired_on = date(1970, 1, 1) + timedelta(days=TODAY)
    ring = KeyRing((NEW, replace(OLD, retired_on=retired_on)))
    opened = open_token(seal(TokenType.SEND, ID8, day, OLD), ring, today=TODAY + 10, ttl_days=14)
    assert opened == (fault or Token(TokenType.SEND, "b", ID8, day))


@pytest.mark.parametrize("today", range(TODAY, TODAY + 40))
def test_a_stolen_retired_key_is_worthless_after_the_ttl(today: int) -> None:
    ring = KeyRing((NEW, replace(OLD, retired_on=date(1970, 1, 1) + timedelta(days=TODAY))))
    forged = [seal(TokenType.SEND, ID8, day, OLD) for day in range(TODAY - 20, today + 3)]
    opened = [open_token(text, ring, today=today, ttl_days=14) for text in forged]
    assert any(isinstance(token, Token) for token in opened) is (today <= TODAY + 1 + 14)


def test_a_token_tells_its_id_in_hex() -> None:
    assert Token(TokenType.SEND, "a", ID8, TODAY).hex_id == "0123456789abcdef"


@pytest.mark.parametrize("length", [0, 7, 9])
def test_an_id_of_another_length_is_not_sealed(length: int) -> None:
    with pytest.raises(ValueError, match=f"8 bytes, not {length}"):
        seal(TokenType.SEND, bytes(length), TODAY, NEW)


@pytest.mark.parametrize("day", [-1, 65536])
def test_a_day_that_two_bytes_cannot_hold_is_not_sealed(day: int) -> None:
    with pytest.raises(OverflowError):
        seal(TokenType.SEND, ID8, day, NEW)


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        (TOKEN, True),
        (TOKEN.upper(), True),
        (TOKEN[:-1] + "0", True),
        (TOKEN[:-1], False),
        (TOKEN + "a", False),
        ("a" + TOKEN[1:], False),
        (TOKEN[:-1] + "-", False),
        (TOKEN[:-1] + "\u212a", False),
        ("", False),
    ],
)
def test_the_shape_of_a_token_is_known(local_part: str, *, expected: bool) -> None:
    assert looks_like_token(local_part) is expected


def test_new_tokens_are_sealed_with_the_first_active_key() -> None:
    newer = Key("c", bytes(32), CREATED_ON)
    assert KeyRing((OLD, NEW, newer)).signing is NEW


def test_a_ring_without_active_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="bounced keys new"):
        KeyRing((OLD,))


def test_a_secret_is_not_shown() -> None:
    key = Key("a", b"sixteen secrets!", CREATED_ON)
    assert "sixteen" not in repr(KeyRing((key,)))
    assert b"sixteen secrets!".hex() not in repr(key)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC), TODAY),
        (datetime(2026, 11, 22, 1, 30, tzinfo=timezone(timedelta(hours=2))), TODAY),
        (datetime(2026, 11, 22, tzinfo=UTC), TODAY + 1),
    ],
)
def test_a_day_is_that_of_utc(moment: datetime, day: int) -> None:
    assert find_day(moment) == day
