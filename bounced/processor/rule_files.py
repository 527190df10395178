"""Reads rule files from disk: the site's first, then ours."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from bounced.model import RuleError

_PLACE = ("parser", "rules")


def read_rule_files(directories: Sequence[Path]) -> dict[str, str]:
    """Return file name → TOML text, in the order in which they are tried.

    Raises RuleError naming a folder or file that cannot be read.
    """
    files: dict[str, str] = {}
    for directory in directories:
        if not directory.is_dir():
            raise RuleError(f"rules.directories: {directory}: no such folder")
        for path in sorted(directory.glob("*.toml")):
            try:
                files[str(path)] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise RuleError(f"{path}: cannot be read: {error}") from None
    ours = resources.files("bounced").joinpath(*_PLACE)
    for entry in sorted(ours.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            files[entry.name] = entry.read_text(encoding="utf-8")
    return files
