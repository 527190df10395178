"""docs/integrate.md does what it says: each command is run, each answer compared."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bounced.config import Settings
from bounced.configfile import load_settings
from bounced.ledger.policy import Ignored
from bounced.origin.admission import Refusal
from bounced.origin.why import Why
from bounced.processor.processor import REFUSED
from bounced.processor.worker import Unreadable
from bounced.web.openapi import make_document
from bounced.web.schema import SendRequest
from tests.conftest import REQUIRED
from tests.docs.page import (
    PAGE,
    Shell,
    blur,
    read_files,
    read_names,
    read_settings,
    read_steps,
)
from tests.e2e.process import ServeProcess

WAIT_S = 20.0
"""How long a command may take to show what the daemon is about to do."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the reader's empty folder; the daemon takes free ports instead of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOUNCED__SMTP__LISTEN", '["127.0.0.1:0"]')
    monkeypatch.setenv("BOUNCED__HTTP__LISTEN", "127.0.0.1:0")
    return tmp_path


@pytest.fixture
def shell(folder: Path) -> Iterator[Shell]:
    if shutil.which("curl") is None:
        assert not REQUIRED, "curl is missing"
        pytest.skip("curl is missing")
    shell = Shell(folder, f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    yield shell
    shell.close()


@pytest.fixture
def daemon(folder: Path) -> Iterator[ServeProcess]:
    """Return the daemon of the page, not yet started."""
    process = ServeProcess(folder / "config.toml")
    yield process
    if hasattr(process, "process"):
        assert process.stop() == 0
        assert process.strays == []


@pytest.mark.slow
def test_every_command_of_the_page_answers_as_the_page_says(
    folder: Path, shell: Shell, daemon: ServeProcess
) -> None:
    (folder / "config.toml").write_text(read_files()["config.toml"])
    ports: dict[str, str] = {}
    for step in read_steps():
        if step.commands.startswith("bounced serve"):
            started = daemon.start().wait_for("started")
            ports = {"127.0.0.1:8025": started["smtp"][0], "127.0.0.1:8080": started["http"][0]}
            continue
        commands = step.commands
        for written, real in ports.items():
            commands = commands.replace(written, real)
        output = shell.run(commands)
        if step.expected is None:
            continue
        # What the daemon is about to do takes a moment; no command that is repeated acts twice.
        deadline = time.monotonic() + WAIT_S
        while blur(step.expected) != blur(output) and time.monotonic() < deadline:
            time.sleep(0.2)
            output = shell.run(commands)
        assert blur(step.expected) == blur(output), commands


@pytest.mark.parametrize("settings", read_settings())
def test_the_settings_of_the_page_are_accepted(settings: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(settings)
    assert load_settings(tmp_path / "config.toml", {}) != Settings()


def test_the_page_names_every_reason_why_a_bounce_does_not_count() -> None:
    text = PAGE.read_text(encoding="utf-8")
    tokens = {refusal for refusal in Refusal if refusal.startswith("token-")}
    reasons = {*Why, *Ignored, *(set(Refusal) - tokens)}
    assert sorted(reason for reason in reasons if f"`{reason}`" not in text) == []


def test_the_page_tells_what_is_held_from_what_is_believed_and_counts_for_nobody() -> None:
    unresolved = {Why.ORIGIN_UNRESOLVED, Why.NOTICE_BOUNCED, Why.PROBE}
    held = {*Why, *Unreadable, REFUSED} - unresolved
    assert read_names("`why` of a quarantined report") == held
    assert read_names("`why` of a processed report") == unresolved
    assert read_names("`why` of `strike_ignored`") == set(Ignored)


def test_the_page_names_what_the_api_takes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    paths = [path for path in make_document()["paths"] if path.startswith("/v1/")]
    assert [path for path in paths if f"`POST {path}`" not in text] == ["/v1/events"]
    assert [name for name in SendRequest.model_fields if f"\n| `{name}` |" not in text] == []
