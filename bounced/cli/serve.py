"""`bounced serve` and `bounced check`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from bounced import logs, systemd
from bounced.certificate import read_certificate
from bounced.cli.options import (
    ConfigOption,
    Exit,
    is_missing,
    load,
    name_database,
)
from bounced.cli.output import say, show_minute
from bounced.config import Settings, list_warnings
from bounced.configfile import find_config_file
from bounced.daemon import Daemon, read_clock
from bounced.filelimit import raise_file_limit
from bounced.keyfile import describe_open_file, find_keys_file, read_keys, read_secret
from bounced.ledger import queries
from bounced.ledger.engine import Ledger
from bounced.ledger.lock import hold_database
from bounced.ledger.records import HeldWhy
from bounced.listener.tls import load_tls
from bounced.model import BouncedError, LedgerError
from bounced.notifier.session import probe
from bounced.plan import load_rules, load_signer, make_composer
from bounced.web.signing import read_signing_secrets
from bounced.web.tokens import read_tokens


def serve(config: ConfigOption = None) -> None:
    """Run the daemon: take bounces in, count them, tell the authors.

    SIGTERM stops it within ten seconds, SIGHUP reloads configuration, rules, templates and keys.
    """
    settings = load(config)
    logs.configure(settings.log)
    path = find_config_file(config, os.environ)
    sockets = systemd.take_sockets()
    daemon = Daemon(settings, config_path=path)
    logs.configure(settings.log, watch=daemon.events)
    too_few_files = raise_file_limit(settings)
    if too_few_files is not None:
        logs.emit(logs.Event.CONFIG_WARNING, why=too_few_files)
    with hold_database(daemon.ledger.file):
        asyncio.run(daemon.serve(lambda: load(config), sockets))


def check(config: ConfigOption = None) -> None:
    """Say what would run and what is wrong.

    Looks at configuration, rules, templates, database, keys, certificate and relay, and changes
    nothing. Exits 78 when something is wrong.
    """
    settings = load(config)
    say(f"ok       configuration: {find_config_file(config, os.environ) or 'built-in defaults'}")
    wrong = False
    for name, test in _TESTS.items():
        try:
            for line in test(settings):
                say(f"ok       {name}: {line}")
        except (BouncedError, OSError) as error:
            wrong = True
            for line in str(error).splitlines():
                say(f"wrong    {name}: {line}")
    for warning in list_warnings(settings):
        say(f"warning  {warning}")
    if wrong:
        raise typer.Exit(Exit.CONFIG)


def _check_rules(settings: Settings) -> Iterator[str]:
    yield f"{len(load_rules(settings))} files, every example of yours is won by its own rule"


def _check_templates(settings: Settings) -> Iterator[str]:
    make_composer(settings).check()
    yield f"{settings.notices.templates_directory or 'built in'}, every text renders"


def _check_database(settings: Settings) -> Iterator[str]:
    ledger = Ledger(settings.database.url)
    try:
        name = name_database(ledger)
        if is_missing(ledger):
            yield f"{name}: no file yet; made at the first start"
        elif (version := ledger.find_version()) is None:
            yield f"{name}: empty; the schema is made at the first start"
        else:
            ledger.prepare()  # raises where it is not the newest
            yield f"{name}, schema {version}"
            yield _describe_waiting(ledger, settings)
    finally:
        ledger.close()


def _describe_waiting(ledger: Ledger, settings: Settings) -> str:
    """Say how many notices wait, and for what."""
    now = read_clock()
    counts = ledger.read(lambda connection: queries.count_waiting(connection, now))
    quiet_end = settings.notices.find_quiet_end(now)
    due = f"notices: {counts['due']} due now"
    held = {
        "until `bounced notices release`": counts[HeldWhy.MODE],
        "for authors who are unreachable": counts[HeldWhy.UNREACHABLE],
        "for authors who want none": counts[HeldWhy.DECLINED],
    }
    told = [f"{count} held {what}" for what, count in held.items() if count]
    quiet = [f"quiet until {show_minute(quiet_end)} UTC"] if quiet_end else []
    return ", ".join([due, *quiet, *told])


def _check_keys(settings: Settings) -> Iterator[str]:
    path = _find_keys(settings)
    if path is None:
        return
    if settings.return_path.keys_file is None and not path.exists():
        yield f"{path}: no file yet; made at the first start"
        return
    ring = read_keys(path)
    _refuse_open_file(path)
    ids = ", ".join(key.key_id for key in ring.keys)
    yield f"{path}: {ids}; {ring.signing.key_id} signs"


def _find_keys(settings: Settings) -> Path | None:
    """Return the key file; None: beside a database that cannot be had, which its line says."""
    try:
        database_file = Ledger(settings.database.url).file
    except LedgerError:
        return settings.return_path.keys_file
    return find_keys_file(settings, database_file).absolute()


def _check_tls(settings: Settings) -> Iterator[str]:
    file, key_file = settings.smtp.tls_certificate_file, settings.smtp.tls_key_file
    if file is None or key_file is None:
        return
    now = read_clock()
    load_tls(settings.smtp)
    _refuse_open_file(key_file)
    certificate = read_certificate(file)
    if certificate.ends_at <= now:
        raise BouncedError(
            f"smtp.tls_certificate_file: {file}: ended on {certificate.ends_at:%Y-%m-%d}; renew it"
        )
    yield certificate.describe(now)
    if certificate.is_ending(now):
        say(f"warning  tls: {file}: ends soon; renew it")


def _check_tokens(settings: Settings) -> Iterator[str]:
    path = settings.http.tokens_file
    if path is None:
        return
    names = ", ".join(token.name for token in read_tokens(path)) or "none: nobody is let in"
    _refuse_open_file(path)
    yield f"{path}: {names}"


def _check_signer(settings: Settings) -> Iterator[str]:
    signer = load_signer(settings)
    if signer is None:
        return
    for fault in signer.list_faults(settings.notices.sender, read_clock()):
        say(f"warning  smime: {fault}")
    if settings.notices.smime_key_file:
        _refuse_open_file(settings.notices.smime_key_file)
    yield f"{settings.notices.smime_certificate_file} signs notices"


def _check_webhook(settings: Settings) -> Iterator[str]:
    path = settings.webhook.secret_file
    if path is None:
        return
    count = len(read_signing_secrets(path))
    _refuse_open_file(path)
    yield f"{settings.webhook.url}, {path}: {count} secret{'s' * (count > 1)}"


def _check_advice(settings: Settings) -> Iterator[str]:
    offers = settings.advice
    own = {
        f"include:{offers.spf_include}": offers.spf_include,
        f"{len(offers.dkim_cnames)} DKIM keys": offers.dkim_cnames,
        f"return path to {offers.return_path_target}": offers.return_path_target,
    }
    offered = [what for what, is_there in own.items() if is_there]
    if not settings.dns.enabled:
        yield "DNS is switched off: no sender domain is looked into"
    else:
        yield ", ".join(offered) or "authors whose domains are refused can send from your address"


def _refuse_open_file(path: Path) -> None:
    if said := describe_open_file(path):
        raise BouncedError(said)


def _check_relay(settings: Settings) -> Iterator[str]:
    relay = settings.relay
    password = None
    if relay.password_file is not None:
        password = read_secret(relay.password_file, "relay.password_file")
        _refuse_open_file(relay.password_file)
    if not relay.host:
        return  # a warning of the settings says where notices go
    yield asyncio.run(probe(relay, password=password))


_TESTS: dict[str, Callable[[Settings], Iterator[str]]] = {
    "rules": _check_rules,
    "templates": _check_templates,
    "database": _check_database,
    "keys": _check_keys,
    "tls": _check_tls,
    "tokens": _check_tokens,
    "webhook": _check_webhook,
    "smime": _check_signer,
    "advice": _check_advice,
    "relay": _check_relay,
}
