"""A site with a configuration file and an empty ledger, and its command line."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bounced.cli import app

_CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
[authors]
domains = ["bau.example"]
[database]
url = "{url}"
[relay]
maildir = "{folder}/notices"
[http]
listen = "127.0.0.1:0"
[log]
format = "json"
"""


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        """Return what it printed with --json."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaints(self) -> list[str]:
        """Return what it said on stderr besides the log."""
        return [line for line in self.err.splitlines() if not line.startswith("{")]


class CommandLine:
    """Runs `bounced` in this process on the site's configuration."""

    def __init__(
        self,
        config: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.config = config
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capsys.readouterr()
        code = app.run([*arguments, "--config", str(self.config)])
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def configure(self, text: str) -> None:
        """Add to the configuration file."""
        self.config.write_text(self.config.read_text() + text)


@pytest.fixture
def config(tmp_path: Path, sqlite_url: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(_CONFIG.format(url=sqlite_url, folder=tmp_path))
    return path


@pytest.fixture
def bounced(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    return CommandLine(config, capsys, monkeypatch)
