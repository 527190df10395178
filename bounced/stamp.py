"""How one state of a file is told from another without reading it."""

from __future__ import annotations

from pathlib import Path

Stamp = tuple[int, ...]


def find_stamp(path: Path) -> Stamp | None:
    """Return what changes whenever the file is written or replaced; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
