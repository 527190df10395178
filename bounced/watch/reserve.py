"""A piece of the disk kept back, so that a full one can still be purged.

To delete, SQLite writes to its log first, and to empty that log, to its file: on a disk that is
full to the last byte it can do neither.
"""

from __future__ import annotations

import os
from pathlib import Path


class Reserve:
    """A file beside the database that holds nothing but its place."""

    def __init__(self, database_file: Path) -> None:
        self._file = database_file.with_name(f"{database_file.name}.reserve")

    @property
    def size(self) -> int:
        """Return how much is kept back."""
        return self._file.stat().st_size if self._file.exists() else 0

    def keep(self, size: int) -> None:
        """Keep so much back; nothing where there is no room for it."""
        if self.size == size:
            return
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self.give()
        finally:
            os.close(descriptor)

    def give(self) -> None:
        """Let go what is kept back."""
        self._file.unlink(missing_ok=True)
