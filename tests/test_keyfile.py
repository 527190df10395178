"""Keys and secrets on disk: found, made once, written whole or not at all."""

from __future__ import annotations

import resource
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from bounced.config import ReturnPathSettings, Settings
from bounced.keyfile import (
    KeyFile,
    change_keys,
    find_keys_file,
    make_first_key,
    open_keys,
    read_keys,
    read_secret,
)
from bounced.model import ConfigError
from bounced.origin.keytext import format_keys
from bounced.origin.token import Key, KeyRing
from tests.logcheck import Line

SECRET = bytes(range(32))
TODAY = date(2026, 11, 21)
RING = KeyRing((Key("a", SECRET, TODAY),))


OTHER = KeyRing((Key("b", bytes(32), TODAY),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a key file that holds RING."""
    found = tmp_path / "bounced.keys"
    put(found, RING)
    return found


def put(path: Path, ring: KeyRing) -> None:
    change_keys(path, lambda _: ring)


def configure(path: Path) -> Settings:
    return Settings(return_path=ReturnPathSettings(keys_file=path))


def test_the_file_stands_beside_the_database_unless_it_is_configured(tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert find_keys_file(configure(own), tmp_path / "x.db") == own
    assert find_keys_file(Settings(), tmp_path / "x.db") == tmp_path / "bounced.keys"
    assert find_keys_file(Settings(), None) == Path("bounced.keys")


def test_a_missing_file_is_made_once_and_kept(tmp_path: Path) -> None:
    database, path = tmp_path / "x.db", tmp_path / "bounced.keys"
    for secret in (SECRET, bytes(32)):
        make_first_key(Settings(), database, secret, TODAY)
        assert open_keys(Settings(), database).ring == RING
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_configured_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    settings = configure(tmp_path / "own")
    make_first_key(settings, None, SECRET, TODAY)
    with pytest.raises(ConfigError, match=r"return_path\.keys_file: .*own: no such file; make"):
        open_keys(settings, None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_has_gone_is_not_made_anew_by_opening(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/bounced\.keys: no such file; make one"):
        open_keys(Settings(), tmp_path / "x.db")
    assert list(tmp_path.iterdir()) == []


def fail(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ConfigError, match=r"bounced\.keys: cannot be written: No space left"):
        put(path, OTHER)
    assert read_keys(path) == RING
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_may_not_grow_leaves_the_old_file_and_no_draft(path: Path) -> None:
    """The system takes the first octets and refuses the others, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(ConfigError, match=r"bounced\.keys: cannot be written: File too large"):
            put(path, OTHER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_keys(path) == RING
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_keeps_the_old_file(path: Path) -> None:
    """The draft's name is taken by a folder: root may write everywhere else."""
    (path.parent / ".bounced.keys.draft").mkdir()
    with pytest.raises(ConfigError, match=r"bounced\.keys: cannot be written: Is a directory"):
        put(path, OTHER)
    assert read_keys(path) == RING


def test_a_draft_that_a_crash_left_is_no_hindrance(path: Path) -> None:
    (path.parent / ".bounced.keys.draft").write_text("half a li")
    put(path, OTHER)
    assert read_keys(path) == OTHER
    assert list(path.parent.iterdir()) == [path]


def test_a_replaced_file_keeps_its_mode_but_stays_from_other_eyes(path: Path) -> None:
    path.chmod(0o644)
    put(path, OTHER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_ring_is_read_anew_when_its_file_has_changed(path: Path, log: list[Line]) -> None:
    keys = KeyFile(path)
    assert (keys.ring, log) == (RING, [])
    put(path, OTHER)
    assert [keys.ring, keys.ring] == [OTHER, OTHER]
    assert log == [{"event": "config_loaded", "path": str(path), "keys": 1}]


def test_a_file_that_is_written_in_place_is_read_anew(path: Path) -> None:
    keys = KeyFile(path)
    path.write_text(format_keys(OTHER))
    assert keys.ring == OTHER


def remove(path: Path) -> None:
    path.unlink()


def spoil(path: Path) -> None:
    path.write_text("\na 2026-11-01 active\n")


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (remove, "cannot be read: No such file or directory"),
        (spoil, "line 2: 3 fields instead of 4: write key_id, created_on, state, secret"),
    ],
)
def test_keys_read_before_stay_while_the_file_is_broken_and_it_is_told_once(
    path: Path, log: list[Line], harm: Callable[[Path], None], complaint: str
) -> None:
    keys = KeyFile(path)
    harm(path)
    assert [keys.ring, keys.ring] == [RING, RING]
    path.unlink(missing_ok=True)
    put(path, OTHER)
    assert keys.ring == OTHER
    told = [(line["event"], line.get("why")) for line in log]
    assert told == [
        ("config_rejected", f"{path}: {complaint}; the keys read before stay in use"),
        ("config_loaded", None),
    ]


def test_a_change_of_mode_is_looked_at_too(path: Path, log: list[Line]) -> None:
    """A file that could not be read may have become readable."""
    keys = KeyFile(path)
    path.chmod(0o640)
    assert keys.ring == RING
    assert [line["event"] for line in log] == ["config_loaded"]


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


def test_a_link_stays_and_the_file_that_it_names_gets_the_keys(tmp_path: Path) -> None:
    """Secrets are often mounted elsewhere; whoever reads the file itself must see the new key."""
    (tmp_path / "secrets").mkdir()
    target, link = tmp_path / "secrets" / "keys", tmp_path / "bounced.keys"
    put(target, RING)
    target.chmod(0o640)
    link.symlink_to(Path("secrets") / "keys")
    known = KeyFile(link)
    put(link, OTHER)
    assert link.is_symlink()
    assert [read_keys(path) for path in (link, target)] == [OTHER, OTHER]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(each.name for each in target.parent.iterdir()) == ["keys"]
    assert known.ring == OTHER


def test_a_link_to_no_file_yet_makes_that_file(tmp_path: Path) -> None:
    target, link = tmp_path / "keys", tmp_path / "bounced.keys"
    link.symlink_to(target)
    put(link, RING)
    assert link.is_symlink()
    assert read_keys(target) == RING
