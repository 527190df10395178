"""`bounced unknown`: the texts that no rule knows, and how one becomes a rule."""

from __future__ import annotations

import json
from typing import Any

import typer

from bounced.cli.access import only, read
from bounced.cli.options import (
    ConfigOption,
    InputError,
    JsonOption,
    LimitOption,
    SinceOption,
    find_limit,
    find_since,
)
from bounced.cli.output import (
    print_facts,
    print_json,
    print_list,
    print_rows,
    say,
    show,
    show_minute,
)
from bounced.daemon import read_clock
from bounced.ledger import clusters
from bounced.parser.cluster import suggest_phrase

unknown_app = typer.Typer(no_args_is_help=True, help="Texts that no rule knows, by likeness.")

_NOTHING_SAID = "(nothing was said)"
_SAMPLE_CHARS = 300
_SAMPLES = 10
"""So many failures of a cluster are shown unless told otherwise."""


@unknown_app.command("list")
def list_unknown(
    since: SinceOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List unknown texts, the most frequent first.

    Texts that differ in addresses, hosts, ids and numbers only are one. A text that has a rule
    by now goes from the list with `bounced replay --apply`.
    """
    since_at = find_since(since, read_clock())
    rows = read(
        config,
        lambda connection: clusters.list_clusters(
            connection, since=since_at, limit=find_limit(limit, as_json=as_json)
        ),
    )
    if as_json:
        print_rows(rows)
        return
    columns = ("cluster, report", "count", "seen (UTC)", "text, and a sample")
    lines = [
        (
            [row["cluster"], row["report"]],
            row["count"],
            [show_minute(row["first_seen_at"]), show_minute(row["last_seen_at"])],
            [row["text"] or _NOTHING_SAID, _cut(row["sample"])],
        )
        for row in rows
    ]
    print_list(columns, lines, fold=columns[3:], nothing="no unknown texts")


@unknown_app.command("show")
def show_unknown(
    cluster: str,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one unknown text with its reports, and what a rule for it looks like."""
    rows, failures = read(
        config,
        lambda connection: (
            clusters.list_clusters(connection, cluster=cluster),
            clusters.list_samples(
                connection, cluster, limit=limit or (None if as_json else _SAMPLES)
            ),
        ),
    )
    if not rows:
        raise InputError(f"{cluster}: no such cluster; `bounced unknown list` shows them")
    row = only(rows, cluster, "cluster")
    if as_json:
        print_json(row | {"failures": failures})
        return
    print_facts(row | {"text": row["text"] or _NOTHING_SAID})
    say()
    columns = ("report", "received (UTC)", "recipient, host", "said")
    lines = [
        (
            line["report"],
            show_minute(line["received_at"]),
            [line["recipient"], line["remote_mta"]],
            line["text"],
        )
        for line in failures
    ]
    print_list(columns, lines, fold=columns[2:], nothing="no reports")
    _tell_next(row, failures[0])


def _tell_next(row: dict[str, Any], sample: dict[str, Any]) -> None:
    """Say how the text becomes a rule."""
    say()
    say(f"`bounced explain {row['report']}` shows the whole report.")
    if sample["text"] is None or suggest_phrase(sample["text"]) is None:
        say("It has no words that a rule could look for.")
        return
    say("A rule for it, to be completed, in a file *.toml:")
    say()
    for line in _draft_rule(sample):
        say(f"    {line}".rstrip())
    say()
    say("Then `bounced rules check FILE`, the file into a folder of rules.directories, SIGHUP,")
    say("`bounced replay` to see what it changes, `bounced replay --apply` to do so.")


def _draft_rule(sample: dict[str, Any]) -> list[str]:
    text, host = sample["text"], sample["remote_mta"]
    return [
        'stage = "language"',
        "",
        "[[rule]]",
        'id = "ID"',
        'category = "CATEGORY"',
        'reason = "REASON"',
        f"source = {_quote(f'reply of {show(host)}' if host else 'reply of a named host')}",
        f"words = [{_quote(suggest_phrase(text) or '')}]",
        f"examples = [{_quote(text)}]",
    ]


def _quote(text: str) -> str:
    """Return a TOML string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= _SAMPLE_CHARS:
        return text
    return f"{text[:_SAMPLE_CHARS]}…"
