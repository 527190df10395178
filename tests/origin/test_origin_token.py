"""Tokens: what is sealed opens, and nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from datetime import date
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
    drop_batv,
    format_keys,
    looks_like_token,
    open_token,
    parse_keys,
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
    example = guide.split("```python\n")[1].split("```")[0]
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


@given(types, ids, days, st.integers(0, 30), st.sampled_from(ALPHABET + "0189-ſK"))
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
    assert drop_batv(text) in text


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


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        pytest.param(f"prvs=1234abcdef={TOKEN}", TOKEN, id="as drafted"),
        pytest.param(f"PRVS=1234ABCDEF={TOKEN.upper()}", TOKEN.upper(), id="upper case"),
        pytest.param(f"prvs=374a1453b={TOKEN}", TOKEN, id="nine digits"),
        pytest.param(f"prvs={TOKEN}=1234abcdef", TOKEN, id="tag behind"),
        pytest.param("prvs=1234abcdef=bounces+x=y", "bounces+x=y", id="equals sign inside"),
        pytest.param("prvs=1234abcdef=", "prvs=1234abcdef=", id="nothing behind"),
        pytest.param("prvs=xyz=bounces", "prvs=xyz=bounces", id="no tag"),
        pytest.param("bounces", "bounces", id="no BATV"),
        pytest.param("prv\u017f=1234abcdef=bounces", "prv\u017f=1234abcdef=bounces", id="long s"),
    ],
)
def test_a_batv_tag_is_dropped(local_part: str, expected: str) -> None:
    assert drop_batv(local_part) == expected


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


KEY_FILE = """\
# key_id created_on state secret; keep this file from every other eye
b 2026-11-01 retired 000102030405060708090a0b0c0d0e0f
a 2026-11-01 active 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
"""


def test_a_key_file_is_written_line_by_line() -> None:
    assert format_keys(RING) == KEY_FILE


def test_a_key_file_is_read_with_comments_and_empty_lines() -> None:
    text = KEY_FILE.replace("\na ", "\n\n  # the new one\n\ta   ") + "\n"
    assert parse_keys(text.replace("0e0f\na", "0e0f # old\na")) == RING


keys = st.builds(
    Key,
    key_id=st.sampled_from(ALPHABET),
    secret=st.binary(min_size=16, max_size=64),
    created_on=st.dates(),
    active=st.just(value=False),
)


@given(st.lists(keys, max_size=5, unique_by=lambda key: key.key_id))
def test_a_written_key_file_reads_back(retired: list[Key]) -> None:
    others = [key for key in retired if key.key_id != "a"]
    ring = KeyRing((*others, NEW))
    assert parse_keys(format_keys(ring)) == ring


SECRET = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no active signing key"),
        (f"a 2026-11-01 retired {SECRET}", "no active signing key"),
        ("\na 2026-11-01 active", "line 2: 3 fields instead of 4"),
        (f"a 2026-11-01 active {SECRET} x", "line 1: 5 fields instead of 4"),
        (f"1 2026-11-01 active {SECRET}", "line 1: key id '1' must be one of"),
        (f"ab 2026-11-01 active {SECRET}", "line 1: key id 'ab' must be one of"),
        (f"a 2026-11-01 Active {SECRET}", "line 1: state 'Active' must be"),
        (f"a 2026-11-31 active {SECRET}", "line 1: '2026-11-31' is no day"),
        (f"a 20261101 active {SECRET}", "line 1: '20261101' is no day"),
        (f"a 2026-11-01 active {SECRET[:30]}", "line 1: the secret is shorter than 16"),
        (f"a 2026-11-01 active {SECRET}z", "line 1: the secret is not hexadecimal"),
        (f"a 2026-11-01 active {SECRET}\n" * 2, "line 2: key id 'a' stands twice"),
        (
            "".join(f"{key_id} 2026-11-01 active {SECRET}\n" for key_id in "abc"),
            "line 3: more than 2 active keys",
        ),
    ],
)
def test_a_wrong_key_file_is_refused_without_telling_the_secret(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_keys(text)
    assert message in str(caught.value)
    assert SECRET[:8] not in str(caught.value)
