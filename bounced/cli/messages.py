"""Messages from files, and `bounced classify`: what they are, in the form of DESIGN §8."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from bounced.cli.options import ConfigOption, Exit, JsonOption, load
from bounced.cli.output import complain, follow, print_json, print_table
from bounced.config import Settings
from bounced.ledger.failures import describe_recipient
from bounced.listener.files import count_messages, iter_messages
from bounced.parser.ruleset import parse_rules
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Parsed, Parser
from bounced.wiring import make_header_names

PathsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH", help="Message files, mbox files, Maildirs, folders, or - for stdin."
    ),
]


def classify(
    paths: PathsArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what messages are and why their recipients failed.

    Stores nothing. Exits 0 whatever the verdicts are, 65 when a message could not be read.
    """
    parser = make_parser(load(config))
    source = Source(paths)
    rows: list[tuple[object, ...]] = []
    for name, raw in source.read(None if as_json and sys.stdout.isatty() else "classifying"):
        parsed = parser.parse(raw)
        if as_json:
            print_json(describe_message(name, parsed))
        else:
            rows.extend(_list_rows(name, parsed))
    if rows:
        columns = ("message", "kind", "recipient", "verdict", "decided by")
        print_table("", columns, rows, fold=("message", "recipient", "decided by"))
    source.finish()


def make_parser(settings: Settings) -> Parser:
    """Return a parser with today's rules, for this process; raises RuleError."""
    rules = parse_rules(read_rule_files(settings.rules.directories))
    return Parser(rules, make_header_names(settings))


def describe_message(source: str, parsed: Parsed) -> dict[str, Any]:
    """Return a message in the JSON form of DESIGN §8."""
    report = parsed.report
    return {
        "source": source,
        "kind": report.kind.value,
        "reporting_mta": report.reporting_mta,
        "message_id": report.message_id,
        "recipients": [
            describe_recipient(facts, verdict)
            for facts, verdict in zip(report.recipients, parsed.verdicts, strict=True)
        ],
    }


class Source:
    """Reads paths one by one; what cannot be read is told, the others go on."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._failed = False

    def read(self, label: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield source and raw message, under a progress bar where it has a label."""
        messages = self._read_all()
        return follow(messages, total=self._count(), label=label) if label else messages

    def finish(self) -> None:
        """Exit 65 where something could not be read."""
        if self._failed:
            raise typer.Exit(Exit.DATA)

    def _read_all(self) -> Iterator[tuple[str, bytes]]:
        for path in self._paths:
            try:
                yield from iter_messages(path, sys.stdin.buffer)
            except OSError as error:
                complain(f"{path}: {error.strerror or error}")
                self._failed = True

    def _count(self) -> int | None:
        if not sys.stderr.isatty():
            return None
        total = 0
        for path in self._paths:
            try:
                count = count_messages(path)
            except OSError:
                continue  # told when it is read
            if count is None:
                return None
            total += count
        return total


def _list_rows(name: str, parsed: Parsed) -> Iterator[tuple[object, ...]]:
    kind = parsed.report.kind.value
    if not parsed.report.recipients:
        yield (name, kind, None, None, None)
    for facts, verdict in zip(parsed.report.recipients, parsed.verdicts, strict=True):
        action = facts.action.value if facts.action else None
        decided = [verdict.category.value, verdict.reason.value] if verdict else action
        yield (name, kind, facts.recipient, decided, verdict.evidence if verdict else None)
