"""Was it made by an own relay: what Received fields tell of the hosts that a message came from.

RFC 5321 §4.4 (trace fields), RFC 3848 (with-protocols), RFC 2033 (LMTP). The stamp of an own
relay is true, what stands inside it as HELO is the client's word and never taken for an address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bounced.model import Report
from bounced.origin.hosts import IPAddress, IPNetwork, is_in, parse_address
from bounced.origin.why import Why

Clients = tuple[IPAddress, ...]

MAX_HOPS = 100
"""RFC 5321 §6.3 takes a hundred hops for a loop; no honest report comes near it."""
MAX_FIELD_CHARACTERS = 2_000
_QUOTED_CHARACTERS = 120

_PIECE = re.compile(r"[()]|\s+|[^()\s]+")
_ADDRESS = r"(?:IPv6:)?[0-9A-Fa-f:.]+(?:%[\w.-]+)?"
_HOST = r"(?:<unknown>|[\w.-]+)"
_EXIM_WORD = r"(?:helo|ident|port)=[^\s@()]+"

# Where the stamping server puts the client's address; the RFC 1413 answer before the `@` and
# Exim's words behind it are the client's. A second `@` or blank fits nowhere: that is no stamp.
_CLIENT = re.compile(
    r"\((?:[^\s@()\[\]]+@)?"
    rf"(?:(?P<host>{_HOST} )?\[(?P<literal>{_ADDRESS})\](?::\d+)?|(?P<bare>{_ADDRESS}))"
    rf"(?: \(may be forged\)| verified| with login)?(?: {_EXIM_WORD})*\)",
    re.ASCII | re.IGNORECASE,
)
_EXIM_WORDS = re.compile(rf"\({_EXIM_WORD}(?: {_EXIM_WORD})*\)")
_HELO = re.compile(r"\((?:HELO|EHLO|LHLO) .*\)")

# Stamps that know no client: OpenSMTPD's and Cyrus' for a local socket, DragonFly's for a user.
_LOCAL_CLIENT = re.compile(r"\((?:\S+ \[local\]|\[unix socket\]|uid \d+)\)")
# Sendmail's for a user; qmail's, nullmailer's and Haraka's for a process of theirs.
_LOCAL_COMMENT = re.compile(
    r"\((?:from \S+@localhost"
    r"|\w+ (?:pid )?\S+ invoked (?:by uid \d+|by alias|from network|for bounce))\)"
)
# Microsoft's SMTP service, for a file that a program left in its pickup folder.
_PICKUP = ["from", "mail", "pickup", "service", "by"]
# Exim's `local`, `local-esmtp`, ... for a user; Dovecot's LMTP over a local socket.
_LOCAL_PROTOCOL = re.compile(r"local\b.*|lmtp[as]*")


@dataclass(frozen=True, slots=True)
class RelayDoubt:
    """Why a report may not have been made by an own relay."""

    why: Why
    detail: str
    """For ops: what was missing, and which key or command is about it."""


@dataclass(frozen=True, slots=True)
class _Trace:
    """One of the two messages whose Received fields are walked."""

    why: Why
    field: str
    """What ops read before the number of a field."""


_REPORT = _Trace(Why.RECEIVED_FROM_OUTSIDE, "Received field")
_RETURNED = _Trace(Why.RETURNED_FROM_OUTSIDE, "the bounced mail's Received field")
_NOT_OWN = "is not in smtp.own_relays: add it there if it is a host of yours"
_INSIDE = (
    "no mail server's own hand shows: another mail attaches or quotes the report;"
    " release it if you trust who passed it on"
)
_RELEASE = "release the report if only hosts of yours had it"


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A Received field with a from clause, in its pieces."""

    name: str
    """The word after `from`; "" where there is none."""
    comment: str
    """The comment that tells of the client, with its parentheses; "" where there is none."""
    protocol: str
    """The word after `with`; "" where there is none."""
    by: str
    """The by clause and what follows it."""


def find_relay_doubt(
    report: Report, client: IPAddress | None, own_relays: Sequence[IPNetwork]
) -> RelayDoubt | None:
    """Find what speaks against the report having been made by an own relay; total.

    None proves it (DESIGN §5.4). `client` is the host that delivered the report; None takes the
    delivery itself for an own relay's, as for a file.
    """
    if client is not None and not is_in(client, own_relays):
        return RelayDoubt(Why.CLIENT_NOT_OWN, f"the delivering host {client} {_NOT_OWN}")
    doubt = _find_foreign(_REPORT, report.received, own_relays)
    if doubt is None and report.passed_on:
        # A robot of ours that answers or forwards attaches and quotes what any stranger wrote.
        return RelayDoubt(Why.PASSED_ON, _INSIDE)
    if doubt is None and report.returned is not None:
        doubt = _find_foreign(_RETURNED, report.returned.received, own_relays)
    return doubt


def read_clients(field: str) -> Clients | None:
    """Read from a Received field which client its server saw; total.

    Returns the client's address; more than one where the form leaves open which of them is the
    client's, so that all have to be believed; none for a stamp without a client (`by ...`,
    `with local`, `localhost`); None for a form we do not know.
    """
    tokens = _split_tokens(field) if len(field) <= MAX_FIELD_CHARACTERS else []
    if not tokens:
        return None
    if tokens[0].lower() == "by" or _LOCAL_COMMENT.fullmatch(tokens[0]):
        return ()
    if tokens[: len(_PICKUP)] == _PICKUP:
        return ()
    stamp = _read_stamp(tokens)
    if stamp is None:
        return None
    return () if _is_local(stamp) else _read_addresses(stamp)


def _find_foreign(
    trace: _Trace, received: Sequence[str], own_relays: Sequence[IPNetwork]
) -> RelayDoubt | None:
    """Walk from the top to the bottom; the first field that names a foreign client ends it.

    Actually, we do not stop at the first local stamp: a .forward, a filter that pipes into
    sendmail, and Postfix' `postsuper -r` put one above the stamp of the stranger's handover.
    When all clients are own, the first of them made the message and wrote no field of its own.
    """
    if len(received) > MAX_HOPS:
        detail = f"{trace.field} {MAX_HOPS + 1} is one too many: look for a mail loop"
        return RelayDoubt(trace.why, detail)
    for number, field in enumerate(received, start=1):
        clients = read_clients(field)
        if clients is None:
            quoted = " ".join(field[:_QUOTED_CHARACTERS].split())
            detail = f"{trace.field} {number} tells its client in no known form: {quoted!r}"
            return RelayDoubt(Why.RECEIVED_UNREADABLE, f"{detail}; {_RELEASE}")
        for client in clients:
            if not is_in(client, own_relays):
                detail = f"{client} in {trace.field} {number} {_NOT_OWN}"
                return RelayDoubt(trace.why, detail)
    return None


def _split_tokens(text: str) -> list[str]:
    """Split into words and whole comments, blanks folded; [] where parentheses do not match."""
    tokens: list[str] = []
    comment: list[str] = []
    depth = 0
    for piece in _PIECE.findall(text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth < 0:
            return []
        if depth or piece == ")":
            comment.append(" " if piece.isspace() else piece)
        elif not piece.isspace():
            tokens.append(piece)
        if comment and not depth:
            tokens.append("".join(comment))
            comment.clear()
    return [] if depth else tokens


def _read_stamp(tokens: list[str]) -> _Stamp | None:
    """Read `from [name] [comments] [id ...] by ...`; None for any other form."""
    words = [token.lower() for token in tokens]
    # A second `by` may be the client's own, to end the clause before the true address.
    if words[0] != "from" or words.count("by") != 1:
        return None
    by = words.index("by")
    # Actually, DragonFly's dma writes its id before the by clause.
    end = min(by, words.index("id", 2)) if "id" in words[2:] else by
    names = [token for token in tokens[1:end] if not token.startswith("(")]
    comments = [token for token in tokens[1:end] if token.startswith("(")]
    if len(names) > 1:
        return None
    if comments and _HELO.fullmatch(comments[0]):
        comments = comments[1:]
    with_at = words.index("with", by) if "with" in words[by:] else len(words)
    return _Stamp(
        name="".join(names),
        comment=comments[0] if comments else "",
        protocol="".join(words[with_at + 1 : with_at + 2]),
        by=" ".join(words[by:]),
    )


def _is_local(stamp: _Stamp) -> bool:
    if _LOCAL_CLIENT.fullmatch(stamp.comment):
        return True
    if stamp.name == "localhost" and stamp.comment == "(localhost)":
        # Sendmail's own reports; a client of its own host stands there with its address.
        return stamp.protocol in {"", "internal"}
    without_client = not stamp.comment or _EXIM_WORDS.fullmatch(stamp.comment) is not None
    return without_client and _LOCAL_PROTOCOL.fullmatch(stamp.protocol) is not None


def _read_addresses(stamp: _Stamp) -> Clients | None:
    """Read where the servers put the client's address; None where no known one put it there."""
    named = parse_address(stamp.name.removeprefix("[").removesuffix("]"))
    match = _CLIENT.fullmatch(stamp.comment)
    if match is None:
        return (named,) if named and _is_exim(stamp) else None
    shown = parse_address(match["literal"] or match["bare"])
    if shown is None:
        return None
    # Postfix, Sendmail and OpenSMTPD alone write a host before the address: then the name is the
    # HELO. Elsewhere an address as name may be the client, and the comment its HELO.
    return (shown, named) if named and not match["host"] else (shown,)


def _is_exim(stamp: _Stamp) -> bool:
    """Tell Exim's `from [address] (helo=name)`; without a HELO only its by clause tells."""
    if stamp.comment:
        return _EXIM_WORDS.fullmatch(stamp.comment) is not None
    return "(exim " in stamp.by
