"""Signing keys and other secrets on disk: read as they stand now, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from bounced.config import Settings
from bounced.logs import Event, emit
from bounced.model import ConfigError
from bounced.origin.keytext import format_keys, parse_keys
from bounced.origin.token import Key, KeyRing
from bounced.stamp import find_stamp

KEYS_NAME = "bounced.keys"
SECRET_BYTES = 32
FIRST_KEY_ID = "a"


class KeyFile:
    """The keys that stand in a file at this moment; where it is broken, those read before.

    A key file is replaced by a rename before its new key signs anything. So whoever looks at the
    file each time knows every key in use, without a signal.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; raises ConfigError naming file, line and mend."""
        self.path = path
        self._known = find_stamp(path), read_keys(path)

    @property
    def ring(self) -> KeyRing:
        """Return the keys, read anew where the file has changed; a fault is logged once."""
        stamp, ring = self._known
        found = find_stamp(self.path)
        if found == stamp:
            return ring
        try:
            ring = read_keys(self.path)
        except ConfigError as error:
            emit(Event.CONFIG_REJECTED, why=f"{error}; the keys read before stay in use")
        else:
            emit(Event.CONFIG_LOADED, path=str(self.path), keys=len(ring.keys))
        # The stamp is older than the reading: a change in between is seen at the next look.
        self._known = found, ring
        return ring


def find_keys_file(settings: Settings, database_file: Path | None) -> Path:
    """Return the key file: the configured one, else `bounced.keys` beside the database."""
    if settings.return_path.keys_file is not None:
        return settings.return_path.keys_file
    return (database_file.parent if database_file else Path()) / KEYS_NAME


def open_keys(settings: Settings, database_file: Path | None) -> KeyFile:
    """Open the site's key file; raises ConfigError naming file and mend."""
    path = find_keys_file(settings, database_file)
    if not path.exists():
        key = "return_path.keys_file: " if settings.return_path.keys_file is not None else ""
        raise ConfigError(f"{key}{path}: no such file; make one with `bounced keys new`")
    return KeyFile(path)


def make_first_key(
    settings: Settings, database_file: Path | None, secret: bytes, today: date
) -> None:
    """Make the key file where none is configured or there; raises ConfigError."""
    path = find_keys_file(settings, database_file)
    if settings.return_path.keys_file is None and not path.exists():
        first = KeyRing((Key(FIRST_KEY_ID, secret, today),))
        change_keys(path, lambda found: found or first)


def read_keys(path: Path) -> KeyRing:
    """Read a key file; raises ConfigError naming file, line and mend."""
    try:
        return parse_keys(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def change_keys(path: Path, change: Callable[[KeyRing | None], KeyRing]) -> KeyRing:
    """Replace the keys of a file by what `change` makes of them; return the new ones.

    `change` gets None where there is no file. Changes at once wait for each other, and a crash
    leaves the old file or the new one. A link stays: the file that it names is replaced.
    Raises ConfigError, and what `change` raises.
    """
    try:
        file = Path(os.path.realpath(path))  # which, unlike `resolve`, takes a loop of links
        with _hold_folder(file.parent):
            ring = change(read_keys(file) if file.exists() else None)
            _replace(file, format_keys(ring))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return ring


def read_secret(path: Path, key: str) -> str:
    """Return the first line of a secret's file; raises ConfigError naming key and file."""
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{key}: {path}: cannot be read: {reason}") from None
    except IndexError:
        raise ConfigError(f"{key}: {path}: is empty") from None


def describe_open_file(path: Path) -> str | None:
    """Say so where everybody may read a file of secrets, and what mends it; total."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None  # who reads it says what is wrong
    return f"{path}: everybody may read it; mend: chmod o= {path}" if mode & stat.S_IRWXO else None


@contextmanager
def _hold_folder(folder: Path) -> Iterator[None]:
    """Be the only one who changes keys in a folder, and make the change last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # ends with the process, however that ends
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    """Put a new file in the place of the old one, whose owner and mode it takes over.

    Whoever may read the old one may be the daemon, or an application that signs. Nobody but the
    holder of the folder writes a draft: one that is there was left by a crash.
    """
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            if path.exists():
                old = path.stat()
                os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & ~stat.S_IRWXO)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
