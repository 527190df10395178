"""Every log line of the whole test run is held against the closed list of events."""

from __future__ import annotations

import logging
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog

from bounced.logs import check_shape

Line = dict[str, Any]


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Line]]:
    """Return the lines logged so far; a line that EVENTS does not describe fails the test.

    Logging is put back afterwards, whatever `logs.configure` made of it.
    """
    lines: list[Line] = []
    faults: list[str] = []

    def check(
        logger: object, method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        try:
            check_shape(logger, method, line)
        except (AssertionError, ValueError) as fault:
            faults.append(str(fault))
            raise
        lines.append(dict(line))
        return line

    root = logging.getLogger()
    handlers, level, configure = root.handlers[:], root.level, structlog.configure

    def configure_checked(**settings: Any) -> None:
        if "processors" in settings:
            settings["processors"] = [check, *settings["processors"]]
        configure(**settings)

    monkeypatch.setattr(structlog, "configure", configure_checked)
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    yield lines
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    assert not faults


def find_events(lines: list[Line], event: str) -> list[Line]:
    """Return the lines of one event."""
    return [line for line in lines if line["event"] == event]


def _drop(_logger: object, _method: str, _line: MutableMapping[str, Any]) -> str:
    raise structlog.DropEvent
