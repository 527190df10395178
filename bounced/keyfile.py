"""Signing keys and other secrets on disk: read, and written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from datetime import date
from pathlib import Path

from bounced.config import Settings
from bounced.model import ConfigError
from bounced.origin.token import Key, KeyRing, format_keys, parse_keys

KEYS_NAME = "bounced.keys"
SECRET_BYTES = 32
FIRST_KEY_ID = "a"


def find_keys_file(settings: Settings, database_file: Path | None) -> Path:
    """Return the key file: the configured one, else `bounced.keys` beside the database."""
    if settings.return_path.keys_file is not None:
        return settings.return_path.keys_file
    return (database_file.parent if database_file else Path()) / KEYS_NAME


def load_keys(
    settings: Settings, database_file: Path | None, secret: bytes, today: date
) -> KeyRing:
    """Read the signing keys; make the file, with `secret`, where none is configured or there.

    Raises ConfigError naming file and mend.
    """
    path = find_keys_file(settings, database_file)
    if not path.exists():
        if settings.return_path.keys_file is not None:
            raise ConfigError(
                f"return_path.keys_file: {path}: no such file; make one with `bounced keys new`"
            )
        write_keys(path, KeyRing((Key(FIRST_KEY_ID, secret, today),)), new=True)
    return read_keys(path)


def read_keys(path: Path) -> KeyRing:
    """Read a key file; raises ConfigError naming file, line and mend."""
    try:
        return parse_keys(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def write_keys(path: Path, ring: KeyRing, *, new: bool = False) -> None:
    """Write a key file whole or not at all, readable by its owner only.

    A file that is replaced keeps its owner, whoever runs the command. With `new`, a file that has
    come into being meanwhile is left as it is. Raises ConfigError.
    """
    try:
        draft = _write_draft(path, format_keys(ring))
        try:
            if new:
                _link_new(draft, path)
            else:
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def read_secret(path: Path, key: str) -> str:
    """Return the first line of a secret's file; raises ConfigError naming key and file."""
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{key}: {path}: cannot be read: {reason}") from None
    except IndexError:
        raise ConfigError(f"{key}: {path}: is empty") from None


def _write_draft(path: Path, text: str) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            if path.exists():
                owner = path.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        draft.unlink()
        raise
    return draft


def _link_new(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
