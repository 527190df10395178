"""What all commands share: options, exit codes, how settings and ledger are opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer

from bounced.config import Settings, find_config_file, load_settings
from bounced.ledger.engine import Ledger


class Exit(IntEnum):
    """Exit codes, of sysexits.h; FOUND is grep's and diff's."""

    OK = 0
    FOUND = 1
    USAGE = 64
    DATA = 65
    BUG = 70
    IO = 74
    LATER = 75
    CONFIG = 78


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file [default: $BOUNCED_CONFIG, /etc/bounced/config.toml, built in].",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")]


def load(config: Path | None) -> Settings:
    """Read the settings; raises ConfigError."""
    return load_settings(find_config_file(config, os.environ), os.environ)


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger, its schema checked or created; raises ConfigError, LedgerError."""
    ledger = Ledger(settings.database.url)
    try:
        ledger.prepare()
        yield ledger
    finally:
        ledger.close()
