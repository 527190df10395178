"""Keys and secrets on disk: found, made once, written whole or not at all."""

from __future__ import annotations

import stat
from datetime import date
from pathlib import Path

import pytest

from bounced.config import ReturnPathSettings, Settings
from bounced.keyfile import find_keys_file, load_keys, read_keys, read_secret, write_keys
from bounced.model import ConfigError
from bounced.origin.token import Key, KeyRing

SECRET = bytes(range(32))
TODAY = date(2026, 11, 21)
RING = KeyRing((Key("a", SECRET, TODAY),))


def configure(path: Path) -> Settings:
    return Settings(return_path=ReturnPathSettings(keys_file=path))


def test_the_file_stands_beside_the_database_unless_it_is_configured(tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert find_keys_file(configure(own), tmp_path / "x.db") == own
    assert find_keys_file(Settings(), tmp_path / "x.db") == tmp_path / "bounced.keys"
    assert find_keys_file(Settings(), None) == Path("bounced.keys")


def test_a_missing_file_is_made_once_and_kept(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    assert load_keys(Settings(), database, SECRET, TODAY) == RING
    assert load_keys(Settings(), database, bytes(32), TODAY) == RING
    assert stat.S_IMODE((tmp_path / "bounced.keys").stat().st_mode) == 0o600


def test_a_configured_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"return_path\.keys_file: .*own: no such file; make"):
        load_keys(configure(tmp_path / "own"), None, SECRET, TODAY)
    assert list(tmp_path.iterdir()) == []


def test_whoever_makes_the_file_second_reads_the_first_ones(tmp_path: Path) -> None:
    path = tmp_path / "bounced.keys"
    write_keys(path, RING, new=True)
    write_keys(path, KeyRing((Key("a", bytes(32), TODAY),)), new=True)
    assert read_keys(path) == RING
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "bounced.keys"
    write_keys(path, RING)
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ConfigError, match=r"bounced\.keys: cannot be written: No space left"):
        write_keys(path, KeyRing((Key("b", bytes(32), TODAY),)))
    assert read_keys(path) == RING
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("pass word\nmore\n")
    assert read_secret(path, "relay.password_file") == "pass word"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b"\xff", "not UTF-8")],
)
def test_a_secret_that_cannot_be_read_names_key_and_file(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"relay\.password_file: .*secret: .*{complaint}"):
        read_secret(path, "relay.password_file")
