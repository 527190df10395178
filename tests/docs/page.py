"""docs/integrate.md as something that can be run: its blocks, and what they answer."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "integrate.md"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_VARYING = (
    (re.compile(r"\b[snp][a-z2-7]{30}(?=@)"), "TOKEN"),
    (re.compile(r"\b(?:[0-9a-f]{16}|0[0-9a-z]{15})\b"), "ID"),  # of most things, and of reports
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b"), "MINUTE"),
)
_END = "-- end of block, exit code "


@dataclass(frozen=True, slots=True)
class Step:
    """Commands for a shell, and what they print where the page says so."""

    commands: str
    expected: str | None


def read_steps() -> list[Step]:
    """Return the page's shell blocks in order, each with the output that follows it at once."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    following = {block.start(): block for block in blocks if block[1] in {"json", "text"}}
    steps = []
    for block in blocks:
        if block[1] == "sh":
            output = following.pop(block.end() + 1, None)
            steps.append(Step(block[2], output[2] if output else None))
    assert not following, "an output without its command"
    return steps


def read_files() -> dict[str, str]:
    """Return the files that the page shows, by the name in their first line."""
    files = {}
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        named = re.match(r"# ([\w/]+\.(?:py|toml))\n", block[2])
        if named:
            files[named[1]] = block[2]
    return files


def read_settings() -> list[str]:
    """Return the page's configuration files, whole or in part."""
    text = PAGE.read_text(encoding="utf-8")
    return [block[2] for block in _BLOCK.finditer(text) if block[1] == "toml"]


def read_names(heading: str) -> set[str]:
    """Return what stands in the first column of the table whose first column has this heading."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    first = (line.split("|")[1] for line in table.splitlines()[2:])
    return {name for names in first for name in re.findall(r"`([\w-]+)`", names)}


def blur(output: str) -> Any:
    """Return an output without what differs from run to run; JSON as what it says."""
    try:
        return _blur_json(json.loads(output))
    except ValueError:
        return [_blur_text(line).rstrip() for line in output.strip().splitlines()]


class Shell:
    """One bash that runs block after block, as a reader's does."""

    def __init__(self, folder: Path, path: str) -> None:
        self._process = subprocess.Popen(
            ("bash", "--norc"),
            cwd=folder,
            env={"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, commands: str) -> str:
        """Return what a block prints; fails where it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f'{commands}\necho "{_END}$?"\n')
        self._process.stdin.flush()
        output = ""
        for line in self._process.stdout:
            if line.startswith(_END):
                assert line == f"{_END}0\n", f"{commands}{output}{line}"
                return output
            output += line
        raise AssertionError(f"the shell has ended: {commands}{output}")

    def close(self) -> None:
        """End the shell."""
        self._process.communicate()


def _blur_json(value: Any) -> Any:
    match value:
        case dict():
            return {key: _blur_json(each) for key, each in value.items()}
        case list():
            return [_blur_json(each) for each in value]
        case str():
            return _blur_text(value)
        case _:
            return value


def _blur_text(text: str) -> str:
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return text
