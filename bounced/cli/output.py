"""How results are shown: tables and words for people, one JSON object a line for programs.

Much of what is shown was written by strangers: nothing of it may command a terminal, nor pass for
a line or a mark-up of ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from rich import box
from rich.cells import cell_len
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
_GAP = 2
"""Spaces between two columns."""
_LONGEST_WORD = 48
"""What a column must have room for; addresses are seldom longer, links are."""


class _Size(NamedTuple):
    """How narrow a column may become, and how wide it need be."""

    least: int
    most: int


def say(text: str = "") -> None:
    """Print lines of ours; what they quote must have come through `show`."""
    print(_escape(text, keep="\n\t"))  # noqa: T201 - the command line prints


def complain(text: str) -> None:
    """Print one line on stderr."""
    print(f"bounced: {_escape(text)}", file=sys.stderr)  # noqa: T201 - the command line prints


def print_json(row: Mapping[str, Any]) -> None:
    """Print one object on one line, times as RFC 3339 UTC."""
    line = json.dumps(row, default=_encode, ensure_ascii=False)
    print("".join(_escape_json(char) for char in line))  # noqa: T201 - the command line prints


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    fold: Collection[str] | None = None,
) -> None:
    """Print rows as a table, a list in a cell one item a line, below names that stand likewise.

    Where it is too wide, the columns of `fold` (None: all) are narrowed to their longest word.
    Where it is still too wide for the terminal, it is printed as records.
    """
    rows = list(rows)
    cells = [[_show_cell(value) for value in row] for row in rows]
    sizes = [
        _measure(name, [row[at] for row in cells], fold=fold is None or name in fold)
        for at, name in enumerate(columns)
    ]
    gaps = _GAP * (len(columns) - 1)
    console = make_console(sum(size.least for size in sizes) + gaps)
    spare = console.width - sum(size.least for size in sizes) - gaps
    if spare < 0:
        _print_records(title, columns, rows)
        return
    table = Table(
        title=Text(title, "bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        header_style="bold",
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),  # the box adds one
    )
    for column, width in zip(columns, _share(sizes, spare), strict=True):
        table.add_column("\n".join(_split(column)), overflow="fold", width=width)
    for row in cells:
        table.add_row(*(Text("\n".join(lines)) for lines in row))
    console.print(table)


def print_list(
    columns: Sequence[str],
    lines: Sequence[Sequence[object]],
    *,
    fold: Collection[str],
    nothing: str,
) -> None:
    """Print a table, or one line where there is nothing to show."""
    if lines:
        print_table("", columns, lines, fold=fold)
    else:
        say(nothing)


def print_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print objects, one a line."""
    for row in rows:
        print_json(row)


def print_lines(lines: Iterable[Text], *, indent: int = 0, hang: int = 0) -> None:
    """Print texts; on a terminal wrapped, what goes on behind the first line `hang` deeper.

    Styled words stand between » and « where there is no terminal to show the style.
    """
    console = make_console()
    for line in lines:
        if not console.is_terminal or console.color_system is None:
            say(" " * indent + _mark_styled(line))
            continue
        wrapped = line.wrap(console, max(console.width - indent - hang, _LONGEST_WORD))
        for number, part in enumerate(wrapped):
            console.print(Text(" " * (indent + (hang if number else 0))) + part)


def print_facts(facts: Mapping[str, object], *, indent: int = 0) -> None:
    """Print name and value, one pair a line, absent values left out.

    A list that is too long for a line has one item a line; a terminal's lines are wrapped.
    """
    console = make_console()
    width = max((len(name) for name in facts), default=0)
    room = max(console.width - indent - width - _GAP, _LONGEST_WORD)
    for name, value in facts.items():
        if value is None or value in ([], ""):
            continue
        label = name.replace("_", " ")
        for line in _lay_out(value, room, console):
            say(f"{' ' * indent}{label:<{width}}{' ' * _GAP}{line}")
            label = ""


def make_console(least: int = 0) -> Console:
    """Return a console on stdout, at least so wide where nobody's terminal sets the width."""
    width = None if sys.stdout.isatty() else max(_PIPE_WIDTH, least)
    return Console(width=width, highlight=False)


def show(value: object) -> str:
    """Return a value as a person reads it, on one line; times are UTC."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list):
        return ", ".join(show(item) for item in value)
    return _escape(str(value))


def show_minute(moment: datetime | None) -> str | None:
    """Return a UTC time for a table."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else None


def show_due(moment: datetime | None) -> str | None:
    """Return when something is due, for a table."""
    return f"due {show_minute(moment)}" if moment else None


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
    # Rich would else send on to stderr what is printed to a file meanwhile.
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        yield from progress.track(items, total=total, description=label)


def _mark_styled(line: Text) -> str:
    plain = line.plain
    for span in sorted(line.spans, reverse=True):
        if "reverse" in str(span.style) and span.start < span.end:
            plain = f"{plain[: span.start]}»{plain[span.start : span.end]}«{plain[span.end :]}"
    return plain


def _measure(name: str, cells: Sequence[Sequence[str]], *, fold: bool) -> _Size:
    lines = [line for cell in cells for line in cell]
    words = [word for line in lines for word in line.split()] if fold else lines
    longest = max(map(cell_len, words), default=0)
    return _Size(
        max(min(longest, _LONGEST_WORD) if fold else longest, *map(cell_len, name.split())),
        max(map(cell_len, [*_split(name), *lines])),
    )


def _share(sizes: Sequence[_Size], spare: int) -> list[int]:
    """Return the columns' widths: who wants least is served first, the rest shares evenly."""
    widths = [size.least for size in sizes]
    order = sorted(range(len(sizes)), key=lambda at: sizes[at].most - sizes[at].least)
    for served, at in enumerate(order):
        more = min(sizes[at].most - sizes[at].least, spare // (len(order) - served))
        widths[at] += more
        spare -= more
    return widths


def _print_records(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print name and value, one pair a line, an empty line between two rows."""
    if title:
        say(title)
    for number, row in enumerate(rows):
        if number:
            say()
        facts: dict[str, object] = {}
        for column, value in zip(columns, row, strict=True):
            names = _split(column)
            if isinstance(value, list | tuple) and len(value) == len(names):
                facts |= zip(names, value, strict=True)
            else:
                facts[column] = _show_cell(value)
        print_facts(facts)


def _split(column: str) -> list[str]:
    """Return the names of what stands one below the other in a column."""
    return column.split(", ")


def _lay_out(value: object, room: int, console: Console) -> list[str]:
    """Return the lines of a value: one where it fits, else one an item, wrapped for a terminal."""
    if cell_len(show(value)) <= room:
        return [show(value)]
    items = [show(item) for item in value] if isinstance(value, list) else [show(value)]
    if not console.is_terminal:
        return items
    return [part.plain.rstrip() for item in items for part in Text(item).wrap(console, room)]


def _show_cell(value: object) -> list[str]:
    lines = value if isinstance(value, list | tuple) else [value]
    return [show(line) for line in lines if line not in (None, "")]


def _escape(text: str, *, keep: str = "") -> str:
    """Show control and direction characters, line ends too, as what they are."""
    return "".join(
        char
        if char.isprintable() or char in keep
        else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def _escape_json(char: str) -> str:
    """Escape inside a JSON text what is not printable, a lone surrogate for one."""
    return char if char.isprintable() else json.dumps(char)[1:-1]


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form")
