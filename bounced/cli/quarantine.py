"""`bounced quarantine`: what nothing vouches for, seen, believed or thrown away."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from bounced.cli.access import load_to_act, only, read
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
from bounced.cli.output import (
    print_facts,
    print_json,
    print_list,
    print_rows,
    say,
    show_minute,
)
from bounced.config import Settings
from bounced.daemon import read_clock
from bounced.keyfile import find_keys_file, read_keys
from bounced.ledger import quarantine, queries
from bounced.ledger.engine import Ledger
from bounced.ledger.quarantine import Chosen, Envelope, Holding
from bounced.ledger.records import ReportState
from bounced.logs import Event, emit
from bounced.origin.admission import Accepted, AdmissionSettings, judge_recipient
from bounced.origin.token import KeyRing, Token
from bounced.origin.why import Why
from bounced.processor.processor import REFUSED
from bounced.processor.worker import Unreadable
from bounced.wiring import make_admission

quarantine_app = typer.Typer(no_args_is_help=True, help="Reports that nothing vouches for.")

ReportsArgument = Annotated[list[str] | None, typer.Argument(help="Ids of reports.")]
ClientOption = Annotated[
    str | None,
    typer.Option("--client", metavar="ADDRESS", help="Only from this address or network."),
]
WhyOption = Annotated[str | None, typer.Option("--why", help="Only for this reason.")]
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
    Why.UNSIGNED: 'register the send, or set smtp.trust = "signed-or-relay"; ' + _READ_IT,
    Why.UNKNOWN_LOCAL_PART: "if it is a mailbox of yours, add it to return_path.mailboxes; if a "
    "token, its key may be missing here: add it to the key file; then release the report",
    Why.OPS_MAILBOX: "somebody wrote to the postmaster: read the message, answer, drop the report",
    Unreadable.DEADLINE: "raise workers.message_deadline, or " + _MENDED,
    Unreadable.MEMORY: "raise workers.message_memory, or " + _MENDED,
    Unreadable.PARSER_FAILED: _MENDED,
    Unreadable.WORKER_KILLED: _MENDED,
    REFUSED: _MENDED,
}
"""What an operator can do, by what was missing."""
_EPOCH = date(1970, 1, 1)
_KIB = 1024


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
    columns = ("report, received (UTC)", "client", "envelope recipient", "what was missing")
    lines = [
        (
            [row["report"], show_minute(row["received_at"])],
            row["client"],
            row["envelope_recipient"],
            [row["why"], row["detail"]],
        )
        for row in rows
    ]
    fold = ("envelope recipient", "what was missing")
    print_list(columns, lines, fold=fold, nothing="nothing in quarantine")
    if held.reports:
        say(_sum_up(len(rows), held, settings))


@quarantine_app.command("show")
def show_quarantined(
    report: str,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one report in quarantine, what was missing, and what can be done about it."""
    rows = read(config, lambda connection: queries.list_reports(connection, report=report))
    row = only(rows, report, "report")
    if as_json:
        print_json(row)
        return
    recipients = row.pop("recipients")
    print_facts(row)
    if row["state"] == ReportState.QUARANTINED.value:
        say()
        print_facts(
            {
                "to do": _ADVICE.get(row["why"]),
                "message": f"bounced reports raw {report}",
                "believe": f"bounced quarantine release {report}",
                "delete": f"bounced quarantine drop {report}",
            }
        )
    for recipient in recipients:
        say()
        print_facts(recipient)


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
    settings, chosen = load_to_act(config), _choose(client, why, since)
    with open_ledger(settings) as ledger:
        ids = _find_asked(ledger, reports, chosen, every=every)
        _ask_back("release", ids, named=bool(reports), yes=yes)
        ring = _read_ring(settings, ledger)
        admission = make_admission(settings)

        def release(connection: Connection, some: Sequence[str]) -> list[str]:
            return [
                envelope.report
                for envelope in quarantine.read_envelopes(connection, some)
                if quarantine.release(
                    connection, envelope.report, _judge_again(envelope, admission, ring)
                )
            ]

        done = _act(ledger, ids, "quarantine release", release)
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
    settings, chosen = load_to_act(config), _choose(client, why, since)

    def drop(connection: Connection, some: Sequence[str]) -> list[str]:
        return [report for report in some if quarantine.drop(connection, report)]

    with open_ledger(settings) as ledger:
        ids = _find_asked(ledger, reports, chosen, every=every)
        _ask_back("delete", ids, named=bool(reports), yes=yes)
        done = _act(ledger, ids, "quarantine drop", drop)
    say(f"{_name(done)}: deleted")


def _choose(client: str | None, why: str | None, since: str | None) -> Chosen:
    moment = find_since(since, read_clock())
    if client is None:
        return Chosen(None, why, moment)
    try:
        return Chosen(ipaddress.ip_network(client, strict=False), why, moment)
    except ValueError:
        return Chosen(client, why, moment)  # such as the `local` of a unix socket


def _find_asked(
    ledger: Ledger, named: Sequence[str] | None, chosen: Chosen, *, every: bool
) -> list[str]:
    """Return what is to be acted on; raises typer.BadParameter (exit 64), InputError."""
    if sum([bool(named), every, chosen != Chosen()]) != 1:
        raise typer.BadParameter(
            "name reports, or choose by --client, --why, --since, or say --all"
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


def _ask_back(action: str, ids: Sequence[str], *, named: bool, yes: bool) -> None:
    """Make sure that what was not named is meant; raises typer.BadParameter, typer.Exit."""
    if named or yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"this would {action} {len(ids)} reports: add --yes")
    if not typer.confirm(f"{action} {len(ids)} reports?"):
        say("nothing done")
        raise typer.Exit(Exit.FOUND)


def _act(
    ledger: Ledger,
    ids: Sequence[str],
    action: str,
    work: Callable[[Connection, Sequence[str]], list[str]],
) -> list[str]:
    """Change reports, some in a transaction, so that a daemon's own work waits for none long."""
    done: list[str] = []
    for some in _batch(ids):
        changed = ledger.write(lambda c, some=some: work(c, some))  # type: ignore[misc] # a lambda has no annotations
        for report in changed:
            emit(Event.OPERATOR_ACTED, report=report, action=action)
        done += changed
    return done


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
        today=(envelope.received_at.date() - _EPOCH).days,
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
