"""How results are shown: tables and words for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

_PIPE_WIDTH = 160
"""Width of a table that goes to a file or another program."""


def say(text: str = "") -> None:
    """Print one line of plain text."""
    print(clean(text))  # noqa: T201 - the command line prints


def complain(text: str) -> None:
    """Print one line on stderr."""
    print(f"bounced: {clean(text)}", file=sys.stderr)  # noqa: T201 - the command line prints


def print_json(row: Mapping[str, Any]) -> None:
    """Print one object on one line, times as RFC 3339 UTC."""
    print(json.dumps(row, default=_encode, ensure_ascii=False))  # noqa: T201 - as above


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a table; what a stranger wrote is shown as text, never as markup."""
    table = Table(title=title, title_justify="left", header_style="bold", expand=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(show(value))) for value in row))
    make_console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print name and value, one pair a line, absent values left out."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if value is not None and value not in ([], ""):
            say(f"{name.replace('_', ' '):<{width}}  {show(value)}")


def make_console() -> Console:
    """Return a console on stdout, wide enough where nobody's terminal sets the width."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def show(value: object) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list):
        return ", ".join(show(item) for item in value)
    return str(value)


def clean(text: str) -> str:
    """Return text that cannot command a terminal: control characters are shown escaped."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text
    )


def follow(items: Iterable[T], *, total: int | None, label: str) -> Iterator[T]:
    """Yield items under a progress bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=label)


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form")
