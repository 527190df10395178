"""Reads rule files from disk: the site's first, then ours."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from bounced.model import RuleError

OURS = Path(str(resources.files("bounced").joinpath("parser", "rules")))
"""The folder of our own tables."""


def read_rule_files(directories: Sequence[Path]) -> dict[str, str]:
    """Return file name → TOML text, in the order in which they are tried.

    Raises RuleError naming a folder or file that cannot be read.
    """
    files: dict[str, str] = {}
    for directory in directories:
        if not directory.is_dir():
            raise RuleError(f"rules.directories: {directory}: no such folder")
        for path in sorted(directory.glob("*.toml")):
            files[str(path)] = read_rule_file(path)
    for path in sorted(OURS.glob("*.toml")):
        files[path.name] = read_rule_file(path)
    return files


def read_rule_file(path: Path) -> str:
    """Return the TOML text of one file; raises RuleError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RuleError(f"{path}: not UTF-8 at byte {error.start + 1}") from None
