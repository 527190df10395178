"""Links: what is sealed opens, and nothing else does."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import TokenType
from bounced.origin.link import Link, open_link, seal_link
from bounced.origin.token import Key, KeyRing, Token, TokenFault, open_token, seal

OLD = Key("b", bytes(range(16)), date(2026, 11, 1), active=False)
NEW = Key("a", bytes(range(32)), date(2026, 11, 1))
RING = KeyRing((OLD, NEW))
TODAY = 20778
NOTICE, CASE = "0123456789abcdef", "fedcba9876543210"
LINK = seal_link(NOTICE, CASE, TODAY, NEW)
SETTINGS = seal_link(NOTICE, None, TODAY, NEW)
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

ids = st.binary(min_size=8, max_size=8).map(bytes.hex)


def reopen(text: str, *, today: int = TODAY, ttl_days: int = 60) -> Link | TokenFault:
    return open_link(text, RING, today=today, ttl_days=ttl_days)


@given(ids, st.none() | ids, st.integers(0, 65535), st.sampled_from([OLD, NEW]))
def test_what_is_sealed_opens(notice: str, case: str | None, day: int, key: Key) -> None:
    token = seal_link(notice, case, day, key)
    assert set(token) <= set(ALPHABET)
    assert len(token) == (56 if case else 43)
    assert reopen(token, today=day) == Link(notice, case, day)


@pytest.mark.parametrize("token", [LINK, SETTINGS])
def test_no_changed_character_opens(token: str) -> None:
    for position in range(len(token)):
        for letter in set(ALPHABET) - {token[position]}:
            changed = token[:position] + letter + token[position + 1 :]
            assert reopen(changed) in {
                TokenFault.FORGED,
                TokenFault.UNKNOWN_KEY,
                TokenFault.MALFORMED,  # bits behind the last byte
            }


@pytest.mark.parametrize(
    "text",
    [
        "",
        LINK[:-1],
        LINK + "a",
        LINK.upper(),
        LINK[:-1] + "=",
        LINK[:43],
        LINK[:-1] + "1",
        "ä" * 56,
    ],
)
def test_what_has_not_its_form_is_malformed_or_forged(text: str) -> None:
    assert reopen(text) in {TokenFault.MALFORMED, TokenFault.FORGED}


@given(st.text(max_size=70))
def test_opening_is_total(text: str) -> None:
    assert isinstance(reopen(text), TokenFault)


def test_neither_page_can_be_made_of_the_other() -> None:
    """The case's id cut out of a link, or put into one, breaks the mac."""
    signed = base64.b32decode(LINK[1:].upper() + "=")
    cut = signed[:8] + signed[16:]
    shorter = "a" + base64.b32encode(cut).decode().rstrip("=").lower()
    assert reopen(shorter) is TokenFault.FORGED


def test_what_is_signed_begins_with_a_context_of_its_own() -> None:
    ids_and_day = bytes.fromhex(NOTICE + CASE) + TODAY.to_bytes(2, "big")
    mac = hmac.digest(NEW.secret, b"bounced1-link" + b"a" + ids_and_day, "sha256")[:16]
    sealed = base64.b32encode(ids_and_day + mac).decode("ascii").rstrip("=").lower()
    assert f"a{sealed}" == LINK


def test_a_return_path_is_no_link_and_a_link_no_return_path() -> None:
    """Nor does either's mac serve the other: the texts that are signed begin differently."""
    id8 = bytes.fromhex(NOTICE)
    for token_type in TokenType:
        token = seal(token_type, id8, TODAY, NEW)
        assert isinstance(open_token(token, RING, today=TODAY, ttl_days=60), Token)
        assert reopen(token) is TokenFault.MALFORMED
        payload = base64.b32decode(token[2:].upper() + "===")
        stretched = payload[:10] + payload[10:] * 2
        forged = "a" + base64.b32encode(stretched).decode().rstrip("=").lower()
        assert reopen(forged) is TokenFault.FORGED
    assert open_token(LINK, RING, today=TODAY, ttl_days=60) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (TODAY + 60, Link(NOTICE, CASE, TODAY)),
        (TODAY + 61, TokenFault.EXPIRED),
        (TODAY - 1, Link(NOTICE, CASE, TODAY)),
        (TODAY - 2, TokenFault.FROM_THE_FUTURE),
    ],
)
def test_a_link_is_good_for_its_days(today: int, expected: Link | TokenFault) -> None:
    assert reopen(LINK, today=today) == expected


def test_a_key_opens_nothing_dated_after_its_retirement() -> None:
    retired = replace(NEW, active=False, retired_on=date(2026, 11, 20))
    ring = KeyRing((retired, replace(OLD, active=True)))
    last = (date(2026, 11, 21) - date(1970, 1, 1)).days
    days = {day: seal_link(NOTICE, CASE, day, NEW) for day in (last, last + 1)}
    opened = [open_link(token, ring, today=day, ttl_days=60) for day, token in days.items()]
    assert opened == [Link(NOTICE, CASE, last), TokenFault.RETIRED_KEY]


def test_another_sites_key_of_the_same_id_opens_nothing() -> None:
    other = KeyRing((replace(NEW, secret=bytes(32)),))
    assert open_link(LINK, other, today=TODAY, ttl_days=60) is TokenFault.FORGED
    assert open_link(LINK, KeyRing((replace(OLD, active=True),)), today=TODAY, ttl_days=60) is (
        TokenFault.UNKNOWN_KEY
    )


@pytest.mark.parametrize("wrong", ["", "0123", NOTICE + "00"])
def test_an_id_of_another_length_is_not_sealed(wrong: str) -> None:
    with pytest.raises(ValueError, match="16 hex digits"):
        seal_link(wrong, None, TODAY, NEW)
    with pytest.raises(ValueError, match="16 hex digits"):
        seal_link(NOTICE, wrong, TODAY, NEW)
