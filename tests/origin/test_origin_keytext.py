"""Key files: what is written reads back, and what is wrong is named by its line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import ConfigError
from bounced.origin.keytext import LAST_DAY, format_keys, parse_keys
from bounced.origin.token import Key, KeyRing

CREATED_ON = date(2026, 11, 1)
OLD = Key("b", bytes(range(16)), CREATED_ON, active=False)
NEW = Key("a", bytes(range(32)), CREATED_ON)
RING = KeyRing((OLD, NEW))
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
KEY_FILE = """\
# key_id created_on state secret [retired_on]; keep this file from every other eye
b 2026-11-01 retired 000102030405060708090a0b0c0d0e0f
a 2026-11-01 active 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
"""


def test_a_key_file_is_written_line_by_line() -> None:
    assert format_keys(RING) == KEY_FILE


def test_the_day_of_retirement_is_a_fifth_field() -> None:
    ended = KeyRing((replace(OLD, retired_on=date(2026, 11, 20)), NEW))
    text = KEY_FILE.replace("0e0f\na", "0e0f 2026-11-20\na")
    assert (format_keys(ended), parse_keys(text)) == (text, ended)


def test_a_key_file_is_read_with_comments_and_empty_lines() -> None:
    text = KEY_FILE.replace("\na ", "\n\n  # the new one\n\ta   ") + "\n"
    assert parse_keys(text.replace("0e0f\na", "0e0f # old\na")) == RING


keys = st.builds(
    Key,
    key_id=st.sampled_from(ALPHABET),
    secret=st.binary(min_size=16, max_size=64),
    created_on=st.dates(max_value=LAST_DAY),
    active=st.just(value=False),
    retired_on=st.none() | st.dates(max_value=LAST_DAY),
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
        (f"a 2026-11-01 retired {SECRET} 2026-11-02 x", "line 1: 6 fields instead of 4"),
        (f"a 2026-11-01 active {SECRET} 2026-11-02", "line 1: an active key has no day"),
        (f"a 2026-11-01 retired {SECRET} x", "line 1: 'x' is no day"),
        (f"a 2149-06-07 active {SECRET}", "line 1: '2149-06-07' is no day"),
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
