"""`bounced keys` and `bounced sign`: signing keys, registered sends."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from bounced import logs
from bounced.cli.options import ConfigOption, InputError, JsonOption, load, open_ledger
from bounced.cli.output import complain, print_json, print_table, say
from bounced.config import Settings
from bounced.daemon import make_id, read_clock
from bounced.keyfile import (
    FIRST_KEY_ID,
    SECRET_BYTES,
    change_keys,
    find_keys_file,
    make_first_key,
    open_keys,
    read_keys,
)
from bounced.ledger import sends
from bounced.ledger.engine import Ledger
from bounced.logs import Event, emit
from bounced.model import Send, TokenType
from bounced.origin.admission import build_return_path
from bounced.origin.keytext import MAX_ACTIVE_KEYS
from bounced.origin.token import Key, KeyRing, find_day, seal
from bounced.wiring import make_admission

keys_app = typer.Typer(no_args_is_help=True, help="Signing keys of return paths.")

_LANGUAGE = re.compile("[a-z]{2,3}(-[A-Z]{2})?")
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
KEY_IDS = "abcdefghijklmnopqrstuvwxyz234567"


@keys_app.command("new")
def new_key(
    as_next: Annotated[
        bool, typer.Option("--next", help="Sign with it only when the present key is retired.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make a key that signs from now on; the one before goes on being accepted.

    A running daemon takes it at once. Where several hosts have copies of the file: make it with
    --next, copy the file to each, then `bounced keys retire` the present key and copy the file
    again within a day.
    """
    settings, path = _find(config)
    today, secret = read_clock().date(), secrets.token_bytes(SECRET_BYTES)
    ring = change_keys(
        path, lambda found: _add(path, found, Key("", secret, today), as_next=as_next)
    )
    newest = ring.keys[1 if as_next else 0].key_id
    _log(settings, "keys new", newest)
    say(f"{path}: signing with key {ring.signing.key_id!r}")
    if as_next:
        say(f"key {newest!r} is accepted from now on, and signs when {ring.signing.key_id!r} is")
        say(f"retired: `bounced keys retire {ring.signing.key_id}`")


@keys_app.command("list")
def list_keys(
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List keys, never their secrets.

    Of two active keys one is signing; the other is the next, or the previous one that `retire` is
    for. A line that is deletable opens nothing any more: delete it from the file by hand.
    """
    settings, path = _find(config)
    ring, today = read_keys(path), read_clock().date()
    ttl = timedelta(days=make_admission(settings).ttl_days)
    rows = [_describe(key, ring, today, ttl) for key in ring.keys]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        columns = [name.replace("_", " ") for name in rows[0]]
        say(f"{path}:")
        print_table("", columns, [tuple(row.values()) for row in rows])


@keys_app.command("retire")
def retire_key(
    key_id: Annotated[
        str, typer.Argument(metavar="KEY", help="Its letter, as `bounced keys list` shows it.")
    ],
    leaked: Annotated[
        bool, typer.Option("--leaked", help="Delete it: nothing it ever signed is accepted.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Sign with a key no more; what it signed until today is accepted for `return_path.ttl`.

    Whoever has stolen the key can forge for so long. With --leaked it is deleted at once, and
    bounces of mails that are under way with its return paths are refused.
    """
    settings, path = _find(config)
    today = read_clock().date()
    before = read_keys(path) if path.exists() else None
    ring = change_keys(path, lambda found: _end(path, found, key_id, None if leaked else today))
    _log(settings, "keys retire --leaked" if leaked else "keys retire", key_id)
    say(f"{path}: {key_id!r} {'is deleted' if leaked else 'signs no more'}")
    say(f"signing with key {ring.signing.key_id!r}")
    if before is not None and _age(ring.signing) < _age(before.signing):
        complain(
            f"{ring.signing.key_id!r} is older than {key_id!r}: if you meant to end the older "
            f"one, `bounced keys new`, then `bounced keys retire {ring.signing.key_id}`"
        )


def sign(
    author: Annotated[
        str, typer.Option("--author", metavar="ADDRESS", help="Who is told of a failure.")
    ],
    recipient: Annotated[
        list[str], typer.Option("--recipient", metavar="ADDRESS", help="Repeat for several.")
    ],
    reference: Annotated[str | None, typer.Option(help="The application's own id.")] = None,
    title: Annotated[str | None, typer.Option(help="What the author knows the mail by.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the protocol is.")] = None,
    language: Annotated[
        str | None,
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
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise typer.BadParameter(f"{language!r} is no language: write its code, such as 'de'")
    with open_ledger(settings, create=True) as ledger:
        _ask_about_new(settings, ledger)
        make_first_key(settings, ledger.file, secrets.token_bytes(SECRET_BYTES), now.date())
        ring = open_keys(settings, ledger.file).ring
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
    day = find_day(now)
    token = seal(TokenType.SEND, bytes.fromhex(send_id), day, ring.signing)
    return_path = build_return_path(token, make_admission(settings))
    if as_json:
        print_json({"send": send_id, "return_path": return_path})
    else:
        say(return_path)


def _add(path: Path, found: KeyRing | None, key: Key, *, as_next: bool) -> KeyRing:
    """Return the keys with a new one: before the others, or behind the one that signs."""
    if found is None:
        if as_next:
            raise InputError(f"{path}: no key signs yet: `bounced keys new` first")
        return KeyRing((replace(key, key_id=FIRST_KEY_ID),))
    active = [other for other in found.keys if other.active]
    if len(active) >= MAX_ACTIVE_KEYS:
        older = min(active, key=_age).key_id
        raise InputError(
            f"{path}: two keys are active; end the older one first: `bounced keys retire {older}`"
        )
    free = [key_id for key_id in KEY_IDS if found.find(key_id) is None]
    if not free:
        raise InputError(f"{path}: every key id is taken; delete retired lines by hand")
    first = (found.signing,) if as_next else ()
    rest = tuple(other for other in found.keys if other not in first)
    return KeyRing((*first, replace(key, key_id=free[0]), *rest))


def _end(path: Path, found: KeyRing | None, key_id: str, retired_on: date | None) -> KeyRing:
    """Return the keys with one retired on that day; None: without it."""
    key = found.find(key_id) if found else None
    if found is None or key is None:
        raise InputError(f"{path}: no key {key_id!r}; `bounced keys list` shows them")
    if not any(other.active for other in found.keys if other != key):
        raise InputError(f"{path}: {key_id!r} is the only active key: `bounced keys new` first")
    if retired_on is None:
        return KeyRing(tuple(other for other in found.keys if other != key))
    if key.retired_on is not None:
        raise InputError(f"{path}: {key_id!r} was retired on {key.retired_on}")
    ended = replace(key, active=False, retired_on=retired_on)
    return KeyRing(tuple(ended if other == key else other for other in found.keys))


def _describe(key: Key, ring: KeyRing, today: date, ttl: timedelta) -> dict[str, object]:
    """Return what may be shown of a key."""
    accepted_until = key.last_day + ttl if key.last_day else None
    return {
        "key": key.key_id,
        "created_on": key.created_on.isoformat(),
        "state": _name_state(key, ring),
        "retired_on": key.retired_on and key.retired_on.isoformat(),
        "accepted_until": accepted_until and accepted_until.isoformat(),
        "deletable": accepted_until is not None and today > accepted_until,
    }


def _name_state(key: Key, ring: KeyRing) -> str:
    if not key.active:
        return "retired"
    if key == ring.signing:
        return "signing"
    return "next" if _age(key) > _age(ring.signing) else "previous"


def _age(key: Key) -> tuple[date, str]:
    """Return what sorts the older key first; of one day's keys, ids are given in their order."""
    return key.created_on, key.key_id


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
