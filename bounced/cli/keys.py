"""`bounced keys` and `bounced sign`: signing keys, registered sends."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bounced import logs
from bounced.cli.options import ConfigOption, InputError, JsonOption, load, open_ledger
from bounced.cli.output import complain, print_json, print_table, say
from bounced.config import Language, Settings
from bounced.daemon import make_id, read_clock
from bounced.keyfile import SECRET_BYTES, find_keys_file, load_keys, read_keys, write_keys
from bounced.ledger import sends
from bounced.ledger.engine import Ledger
from bounced.logs import Event, emit
from bounced.model import Send, TokenType
from bounced.origin.admission import build_return_path
from bounced.origin.token import MAX_ACTIVE_KEYS, Key, KeyRing, seal
from bounced.wiring import make_admission

keys_app = typer.Typer(no_args_is_help=True, help="Signing keys of return paths.")

_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
KEY_IDS = "abcdefghijklmnopqrstuvwxyz234567"
_DAY_S = 86_400


@keys_app.command("new")
def new_key(config: ConfigOption = None) -> None:
    """Make a key that signs from now on; the one before goes on being accepted."""
    settings, path = _find(config)
    today, secret = read_clock().date(), secrets.token_bytes(SECRET_BYTES)
    if not path.exists():
        ring = KeyRing((Key(KEY_IDS[0], secret, today),))
        write_keys(path, ring, new=True)
    else:
        old = read_keys(path)
        if sum(key.active for key in old.keys) >= MAX_ACTIVE_KEYS:
            raise InputError(
                f"{path}: two keys are active; end the older one first: `bounced keys retire ID`"
            )
        free = [key_id for key_id in KEY_IDS if old.find(key_id) is None]
        if not free:
            raise InputError(f"{path}: every key id is taken; delete retired lines by hand")
        ring = KeyRing((Key(free[0], secret, today), *old.keys))
        write_keys(path, ring)
    _log(settings, "keys new", ring.signing.key_id)
    say(f"{path}: signing with key {ring.signing.key_id!r}")
    say("reload a running daemon now (SIGHUP, `systemctl reload bounced`): until then it refuses")
    say("what the new key signs")


@keys_app.command("list")
def list_keys(
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List keys, never their secrets."""
    _, path = _find(config)
    ring = read_keys(path)
    rows = [
        {
            "key": key.key_id,
            "created_on": key.created_on.isoformat(),
            "state": "active" if key.active else "retired",
            "signing": key == ring.signing,
        }
        for key in ring.keys
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        columns = ("key", "created on", "state", "signing")
        say(f"{path}:")
        print_table("", columns, [tuple(row.values()) for row in rows])


@keys_app.command("retire")
def retire_key(key_id: str, config: ConfigOption = None) -> None:
    """Sign with a key no more; what it signed is accepted until its time is over."""
    settings, path = _find(config)
    ring = read_keys(path)
    key = ring.find(key_id)
    if key is None:
        raise InputError(f"{path}: no key {key_id!r}; `bounced keys list` shows them")
    if not any(other.active for other in ring.keys if other != key):
        raise InputError(f"{path}: {key_id!r} is the only active key: `bounced keys new` first")
    keys = tuple(replace(other, active=False) if other == key else other for other in ring.keys)
    write_keys(path, KeyRing(keys))
    _log(settings, "keys retire", key_id)
    say(f"{path}: {key_id!r} signs no more")


def sign(
    author: Annotated[str, typer.Option("--author", help="Who is told of a failure.")],
    recipient: Annotated[list[str], typer.Option("--recipient", help="Repeat for several.")],
    reference: Annotated[str | None, typer.Option(help="The application's own id.")] = None,
    title: Annotated[str | None, typer.Option(help="What the author knows the mail by.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the protocol is.")] = None,
    language: Annotated[
        Language | None,
        typer.Option(help="Language of the notices [default: the configured one]."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Register a send and print its signed return path."""
    for address in (author, *recipient):
        if not _ADDRESS.fullmatch(address):
            raise typer.BadParameter(f"{address!r} is no mail address: write local@domain")
    settings = load(config)
    now, send_id = read_clock(), make_id()
    if url is not None and not url.startswith(("https://", "http://")):
        raise typer.BadParameter(f"{url!r} is no web address: write https://...")
    with open_ledger(settings, create=True) as ledger:
        _ask_about_new(settings, ledger)
        ring = load_keys(settings, ledger.file, secrets.token_bytes(SECRET_BYTES), now.date())
        send = Send(
            send=send_id,
            author=author,
            recipients=tuple(recipient),
            registered_at=now,
            reference=reference,
            title=title,
            url=url,
            language=language,
        )
        ledger.write(lambda connection: sends.register(connection, send))
    day = int(now.timestamp()) // _DAY_S
    token = seal(TokenType.SEND, bytes.fromhex(send_id), day, ring.signing)
    return_path = build_return_path(token, make_admission(settings))
    if as_json:
        print_json({"send": send_id, "return_path": return_path})
    else:
        say(return_path)


def _ask_about_new(settings: Settings, ledger: Ledger) -> None:
    """Say where keys are about to be made: a relative path is another place in each folder."""
    path = find_keys_file(settings, ledger.file)
    if settings.return_path.keys_file is None and not path.exists():
        complain(f"new here: {path.absolute()}; is this the daemon's own database?")


def _find(config: Path | None) -> tuple[Settings, Path]:
    settings = load(config)
    ledger = Ledger(settings.database.url)
    ledger.close()
    return settings, find_keys_file(settings, ledger.file)


def _log(settings: Settings, action: str, key_id: str) -> None:
    logs.configure(settings.log)
    emit(Event.OPERATOR_ACTED, action=action, detail=f"key {key_id}, uid {os.getuid()}")
