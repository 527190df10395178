"""`bounced webhooks`: what the application is told of authors, and what it did not take."""

from __future__ import annotations

from typing import Annotated

import typer

from bounced.cli.access import load_to_act, only, read, write
from bounced.cli.options import ConfigOption, InputError, JsonOption, LimitOption, find_limit
from bounced.cli.output import print_facts, print_json, print_list, print_rows, say, show_minute
from bounced.daemon import read_clock
from bounced.ledger import webhooks
from bounced.ledger.records import WebhookState
from bounced.logs import Event, emit

webhooks_app = typer.Typer(
    no_args_is_help=True, help="Webhooks: what the application is told of authors."
)


@webhooks_app.command("list")
def list_webhooks(
    state: Annotated[WebhookState | None, typer.Option("--state", help="Only these.")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List webhooks, newest first."""
    rows = read(
        config,
        lambda connection: webhooks.list_webhooks(
            connection, state=state, limit=find_limit(limit, as_json=as_json)
        ),
    )
    if as_json:
        print_rows(rows)
        return
    columns = (
        "webhook, queued (UTC)",
        "action, author",
        "state, next (UTC)",
        "attempts",
        "answer",
    )
    lines = [
        (
            [row["webhook"], show_minute(row["created_at"])],
            [row["body"].get("action"), row["body"].get("author")],
            [row["state"], show_minute(row["next_at"])],
            row["attempts"],
            row["detail"],
        )
        for row in rows
    ]
    print_list(columns, lines, fold=(columns[1], columns[4]), nothing="no webhooks")


@webhooks_app.command("show")
def show_webhook(webhook: str, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show one webhook and its body."""
    rows = read(config, lambda connection: webhooks.list_webhooks(connection, webhook=webhook))
    row = only(rows, webhook, "webhook")
    if as_json:
        print_json(row)
        return
    body = row.pop("body")
    print_facts(row)
    say()
    print_json(body)


@webhooks_app.command("retry")
def retry_webhooks(
    webhook: Annotated[str | None, typer.Argument(help="One that is not sent.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are not sent.")] = False,
    config: ConfigOption = None,
) -> None:
    """Try webhooks at the daemon's next beat that wait, or were given up.

    One that is older than `webhook.give_up` is tried once.
    """
    if (webhook is None) == (not every):
        raise typer.BadParameter("name one webhook, or --all")
    settings = load_to_act(config)
    now = read_clock()
    tried = write(settings, lambda connection: webhooks.retry(connection, webhook, now))
    if webhook is not None and not tried:
        raise InputError(f"{webhook}: no unsent webhook of that id; `bounced webhooks list`")
    emit(Event.OPERATOR_ACTED, action="webhooks retry", detail=f"{len(tried)} to be tried")
    say(f"to be tried: {len(tried)}")
