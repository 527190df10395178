"""Who alone may serve a SQLite file: the holder of the lock file beside it.

PostgreSQL needs none: there several daemons share the work.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bounced.model import BouncedError


class AlreadyServedError(BouncedError):
    """A daemon serves the same SQLite file (exit 75)."""


@contextmanager
def hold_database(file: Path | None) -> Iterator[None]:
    """Be the only daemon of a SQLite file; raises AlreadyServedError, OSError.

    The lock ends with the process, however that ends.
    """
    if file is None:
        yield
        return
    with file.with_name(f"{file.name}.lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServedError(
                f"database {file}: a running `bounced serve` works on it"
            ) from None
        yield
