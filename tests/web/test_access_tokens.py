from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bounced.model import ConfigError
from bounced.web.tokens import TokenFile, parse_tokens
from tests.logcheck import Line, find_events

FIRST, SECOND = "first-token-0123456789", "second-token-0123456789"
NO_TOKEN = (
    "a token takes 20 or more letters, digits or - . _ ~ + /: make one by `openssl rand -hex 32`"
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("shop", "line 1: write a name and a token: shop 2f6c..."),
        ("shop a b", "line 1: write a name and a token: shop 2f6c..."),
        ("# only\nsh/op " + FIRST, "line 2: the name takes 1 to 64 letters, digits or . _ -"),
        ("x" * 65 + " " + FIRST, "line 1: the name takes 1 to 64 letters, digits or . _ -"),
        ("shop nineteen-characters", f"line 1: {NO_TOKEN}"),
        (f'shop "{FIRST}"', f"line 1: {NO_TOKEN}"),
        (
            "shop sha256:" + "A" * 64,
            "line 1: sha256: takes 64 hex digits in lower case: make them by sha256sum",
        ),
        (
            f"shop {FIRST}\nshop {SECOND}",
            "line 2: the name 'shop' is taken: choose another",
        ),
    ],
)
def test_a_faulty_line_is_named_with_its_mend(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text.replace("nineteen-characters", "x" * 19))
    with pytest.raises(ConfigError) as raised:
        TokenFile(path)
    assert str(raised.value) == f"http.tokens_file: {path}: {fault}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        TokenFile(tmp_path / "tokens")
    assert str(raised.value) == (
        f"http.tokens_file: {tmp_path / 'tokens'}: cannot be read: No such file or directory"
    )


def test_no_error_and_no_representation_holds_a_token() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_tokens(f"shop {FIRST} {SECOND}")
    assert "token-0123456789" not in str(raised.value) + repr(parse_tokens(f"shop {FIRST}"))


def test_a_token_is_known_in_clear_and_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    digest = hashlib.sha256(SECOND.encode()).hexdigest()
    path.write_text(f"# who, what\nshop {FIRST}  # until May\n\ncrm.2 sha256:{digest}\n")
    tokens = TokenFile(path)
    presented = (FIRST, SECOND, FIRST[:-1], FIRST.upper(), digest, "\udcff", "")
    assert [tokens.find_name(each) for each in presented] == ["shop", "crm.2"] + [None] * 5


def test_a_removed_line_ends_its_token_at_once_and_a_new_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"old {FIRST}\n")
    tokens = TokenFile(path)
    seen = [tokens.find_name(FIRST), tokens.find_name(SECOND)]
    path.write_text(f"old {FIRST}\nnew {SECOND}\n")
    seen += [tokens.find_name(FIRST), tokens.find_name(SECOND)]
    replace_file(path, f"new {SECOND}\n")
    seen += [tokens.find_name(FIRST), tokens.find_name(SECOND)]
    assert seen == ["old", None, "old", "new", None, "new"]


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"shop {FIRST}\n")
    tokens, state = TokenFile(path), path.stat()
    replace_file(path, f"shop {FIRST[:-1]}0\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert [tokens.find_name(FIRST), tokens.find_name(FIRST[:-1] + "0")] == [None, "shop"]


def test_a_broken_file_keeps_the_old_tokens_a_missing_one_none_and_each_is_said_once(
    tmp_path: Path, log: list[Line]
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"shop {FIRST}\n")
    tokens = TokenFile(path)
    path.write_text("shop\n")
    seen = [tokens.find_name(FIRST) for _ in range(3)]
    path.unlink()
    seen += [tokens.find_name(FIRST) for _ in range(3)]
    path.write_text(f"crm {FIRST}\n")
    assert [*seen, tokens.find_name(FIRST)] == ["shop"] * 3 + [None] * 3 + ["crm"]
    assert [line["why"] for line in find_events(log, "config_rejected")] == [
        f"http.tokens_file: {path}: line 1: write a name and a token: shop 2f6c...",
        f"http.tokens_file: {path}: cannot be read: No such file or directory",
    ]


def replace_file(path: Path, text: str) -> None:
    """Replace as an editor does: by a new file of the same name."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)
