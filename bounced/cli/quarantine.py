"""`bounced quarantine`: what nothing vouches for, seen, believed or thrown away."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from bounced.cli.access import load_to_act
from bounced.cli.options import (
    ConfigOption,
    Exit,
    InputError,
    JsonOption,
    LimitOption,
    SinceOption,
    find_limit,
    find_since,
    load,
    open_ledger,
)
from bounced.cli.output import print_list, print_rows, say, show_minute
from bounced.cli.reports import find_report, print_report
from bounced.config import Settings
from bounced.daemon import read_clock
from bounced.keyfile import find_keys_file, read_keys
from bounced.ledger import quarantine, queries
from bounced.ledger.engine import Ledger
from bounced.ledger.quarantine import Chosen, Envelope, Holding
from bounced.ledger.records import ReportState
from bounced.logs import Event, emit
from bounced.origin.admission import Accepted, AdmissionSettings, judge_recipient
from bounced.origin.hosts import LOCAL_CLIENT
from bounced.origin.token import KeyRing, Token, find_day
from bounced.origin.why import Why
from bounced.processor.processor import REFUSED
from bounced.processor.worker import Unreadable
from bounced.wiring import make_admission

quarantine_app = typer.Typer(no_args_is_help=True, help="Reports that nothing vouches for.")

ReportsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of reports.")]
ClientOption = Annotated[
    str | None,
    typer.Option("--client", metavar="ADDRESS", help="Only from this address or network."),
]
WhyOption = Annotated[
    str | None, typer.Option("--why", metavar="REASON", help="Only for this reason.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All that are in quarantine.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask back.")]

_OWN_RELAY = (
    "if the address named above is a server of yours, add it to smtp.own_relays and reload; "
    "then release the report"
)
_READ_IT = "read the message; if it is a true bounce, release the report"
_MENDED = "release the report once this is mended; a newer version may read it"
_ADVICE = {
    Why.CLIENT_NOT_OWN: _OWN_RELAY,
    Why.RECEIVED_FROM_OUTSIDE: _OWN_RELAY,
    Why.RETURNED_FROM_OUTSIDE: _OWN_RELAY,
    Why.RECEIVED_UNREADABLE: _READ_IT,
    Why.PASSED_ON: "if you trust who passed it on, release the report; if a robot of yours quotes "
    "such reports, register the sends: signed reports need nobody's word",
    Why.UNSIGNED: 'register the send, or set smtp.trust = "signed-or-relay"; ' + _READ_IT,
    Why.UNKNOWN_LOCAL_PART: "if it is a mailbox of yours, add it to return_path.mailboxes; if a "
    "signed return path, do what `detail` says; then release the report",
    Why.OPS_MAILBOX: "somebody wrote to the postmaster: read the message, answer, drop the report",
    Unreadable.DEADLINE: "raise workers.message_deadline, or " + _MENDED,
    Unreadable.MEMORY: "raise workers.message_memory, or " + _MENDED,
    Unreadable.PARSER_FAILED: _MENDED,
    Unreadable.WORKER_KILLED: _MENDED,
    REFUSED: _MENDED,
}
"""What an operator can do, by each reason to be held."""
_NAMED_IN_LOG = 10
"""Reports that the line of one act names."""
_KIB = 1024


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which reports an operator wants to act on."""

    named: Sequence[str] | None
    chosen: Chosen
    every: bool
    yes: bool
    """He need not be asked back."""


@quarantine_app.command("list")
def list_quarantine(
    client: ClientOption = None,
    why: WhyOption = None,
    since: SinceOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List reports in quarantine and what was missing, newest first."""
    settings = load(config)
    chosen = _choose(client, why, since)

    def find(connection: Connection) -> tuple[list[dict[str, Any]], Holding]:
        ids = quarantine.find(connection, chosen, find_limit(limit, as_json=as_json))
        rows = [
            row for some in _batch(ids) for row in queries.list_reports(connection, among=some)
        ]
        return rows, quarantine.measure(connection)

    with open_ledger(settings) as ledger:
        rows, held = ledger.read(find)
    if as_json:
        print_rows(rows)
        return
    columns = ("report, received (UTC), client", "envelope recipient, why, what was missing")
    lines = [
        (
            [row["report"], show_minute(row["received_at"]), row["client"]],
            [row["envelope_recipient"], row["why"], row["detail"]],
        )
        for row in rows
    ]
    nothing = "nothing in quarantine" + ("" if chosen == Chosen() else " matches")
    print_list(columns, lines, fold=columns[1:], nothing=nothing)
    if held.reports:
        say(_sum_up(len(rows), held, settings))


@quarantine_app.command("show")
def show_quarantined(
    report: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one report in quarantine, what was missing, and what can be done about it."""
    row = find_report(report, config)
    held = row["state"] == ReportState.QUARANTINED.value
    advice = {
        "to do": _ADVICE.get(row["why"]),
        "message": f"bounced reports raw {report}",
        "believe": f"bounced quarantine release {report}",
        "delete": f"bounced quarantine drop {report}",
    }
    print_report(row, as_json=as_json, advice=advice if held else None)


@quarantine_app.command("release")
def release_quarantined(
    reports: ReportsArgument = None,
    every: AllOption = False,
    client: ClientOption = None,
    why: WhyOption = None,
    since: SinceOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
) -> None:
    """Vouch for reports, so that they are processed again and may count.

    One that came to a signed return path whose key was not known here then, and is now, counts
    for its send only.
    """
    settings = load_to_act(config)
    asked = _Asked(reports, _choose(client, why, since), every, yes)
    with open_ledger(settings) as ledger:
        ring, admission = _read_ring(settings, ledger), make_admission(settings)

        def release(connection: Connection, envelope: Envelope) -> bool:
            token = _judge_again(envelope, admission, ring)
            return quarantine.release(connection, envelope.report, token)

        done = _act(ledger, asked, "release", release)
    told = "it" if len(done) == 1 else "them"
    say(f"{_name(done)}: released; a running daemon processes {told} within a second")


@quarantine_app.command("drop")
def drop_quarantined(
    reports: ReportsArgument = None,
    every: AllOption = False,
    client: ClientOption = None,
    why: WhyOption = None,
    since: SinceOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
) -> None:
    """Delete reports in quarantine for good."""
    settings = load_to_act(config)
    asked = _Asked(reports, _choose(client, why, since), every, yes)
    with open_ledger(settings) as ledger:
        done = _act(ledger, asked, "drop", lambda c, envelope: quarantine.drop(c, envelope.report))
    say(f"{_name(done)}: deleted")


def _choose(client: str | None, why: str | None, since: str | None) -> Chosen:
    """Return the reports that are meant; raises typer.BadParameter (exit 64)."""
    if why is not None and why not in _ADVICE:
        raise typer.BadParameter(f"--why {why}: no such reason; there are {', '.join(_ADVICE)}")
    moment = find_since(since, read_clock())
    if client is None or client == LOCAL_CLIENT:
        return Chosen(client, why, moment)
    try:
        return Chosen(ipaddress.ip_network(client, strict=False), why, moment)
    except ValueError:
        raise typer.BadParameter(
            f"--client {client}: no address or network: write 192.0.2.7, 192.0.2.0/24, or "
            f"{LOCAL_CLIENT} for a local socket"
        ) from None


def _find_asked(ledger: Ledger, asked: _Asked) -> list[str]:
    """Return what is to be acted on; raises typer.BadParameter (exit 64), InputError."""
    named, chosen = asked.named, asked.chosen
    ways = sum([bool(named), asked.every, chosen != Chosen()])
    if ways != 1:
        raise typer.BadParameter(
            "name reports, or choose by --client, --why, --since, or say --all"
            + (": these exclude each other" if ways else "")
        )
    if not named:
        found = ledger.read(lambda connection: quarantine.find(connection, chosen))
        if not found:
            raise InputError("nothing of that kind is in quarantine")
        return found
    ids = list(dict.fromkeys(named))
    held = {
        envelope.report
        for some in _batch(ids)
        for envelope in ledger.read(lambda c, some=some: quarantine.read_envelopes(c, some))  # type: ignore[misc] # a lambda has no annotations
    }
    missing = [report for report in ids if report not in held]
    if missing:
        raise InputError(
            "\n".join(f"{report}: no report of that id is in quarantine" for report in missing)
        )
    return ids


def _ask_back(action: str, ids: Sequence[str]) -> None:
    """Make sure that what was not named is meant; raises typer.BadParameter, typer.Exit."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"this would {action} {_name(ids)}: add --yes")
    if action == "release":
        say("Released reports count, and their authors may be mailed.")
    if not typer.confirm(f"{action} {_name(ids)}?"):
        say("nothing done")
        raise typer.Exit(Exit.FOUND)


def _act(
    ledger: Ledger, asked: _Asked, action: str, change: Callable[[Connection, Envelope], bool]
) -> list[str]:
    """Change what is asked for, and return it.

    Some reports in a transaction, so that a daemon's own work waits for none long.
    """
    ids = _find_asked(ledger, asked)
    if not asked.named and not asked.yes:
        _ask_back(action, ids)

    def work(connection: Connection, some: Sequence[str]) -> list[str]:
        envelopes = quarantine.read_envelopes(connection, some)
        return [each.report for each in envelopes if change(connection, each)]

    done: list[str] = []
    try:
        for some in _batch(ids):
            done += ledger.write(lambda c, some=some: work(c, some))  # type: ignore[misc] # a lambda has no annotations
    finally:
        if done:
            _log(done, asked, f"quarantine {action}")
    return done


def _log(done: Sequence[str], asked: _Asked, action: str) -> None:
    """Tell of one act, what was chosen and, where they are few, the reports."""
    if len(done) == 1:
        emit(Event.OPERATOR_ACTED, report=done[0], action=action)
        return
    chosen = asdict(asked.chosen)
    parts = [f"{name} {value}" for name, value in chosen.items() if value is not None]
    detail = ", ".join([_name(done), *parts, *(["all"] if asked.every else [])])
    if len(done) <= _NAMED_IN_LOG:
        detail += f": {', '.join(done)}"
    emit(Event.OPERATOR_ACTED, action=action, detail=detail)


def _read_ring(settings: Settings, ledger: Ledger) -> KeyRing | None:
    path = find_keys_file(settings, ledger.file)
    return read_keys(path) if path.exists() else None


def _judge_again(
    envelope: Envelope, admission: AdmissionSettings, ring: KeyRing | None
) -> Token | None:
    """Return the token that today's keys find in the address, as of the day of receipt."""
    if ring is None or envelope.token_type is not None:
        return None
    judged = judge_recipient(
        envelope.envelope_recipient,
        envelope.mail_from or "",
        from_own_relay=False,
        settings=admission,
        ring=ring,
        today=find_day(envelope.received_at),
    )
    return judged.token if isinstance(judged, Accepted) else None


def _batch(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + quarantine.STEP] for at in range(0, len(ids), quarantine.STEP))


def _name(done: Sequence[str]) -> str:
    return done[0] if len(done) == 1 else f"{len(done)} reports"


def _sum_up(shown: int, held: Holding, settings: Settings) -> str:
    limit = settings.retention.quarantine_size
    return (
        f"{shown} shown of {held.reports} in quarantine: {_show_size(held.bytes)} of "
        f"{_show_size(limit)}, the oldest of {show_minute(held.oldest_at)} (UTC)"
    )


def _show_size(size: int) -> str:
    """Return a size in the largest unit of the configuration that keeps it above one."""
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < _KIB:
            return f"{value:.3g} {unit}"
        value /= _KIB
    return f"{value:.3g} GiB"
