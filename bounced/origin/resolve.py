"""Whose mail was it, and may the report count: trust and author of one report (DESIGN §5, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bounced.model import (
    OriginSource,
    RecipientFacts,
    Report,
    Send,
    TokenType,
    Trust,
    domain_key,
    recipient_key,
    split_address,
)
from bounced.origin.admission import Door
from bounced.origin.hosts import LOCAL_CLIENT, IPNetwork, parse_address
from bounced.origin.received import RelayDoubt, find_relay_doubt
from bounced.origin.why import Why

# What ops read: plain words for what was missing, then the key or command that is about it.
_TO_OPS = "written to postmaster or abuse: for you to read, `bounced reports raw` prints it"
_NOT_OPENED = {
    Door.UNKNOWN_LOCAL_PART: (
        "the local part is neither a signed return path nor a mailbox of ours:"
        " add it to return_path.mailboxes if your mail has it as its return path"
    ),
    Door.TOKEN_MALFORMED: (
        "the return path was altered on its way, or is none of ours: release the report if it"
        " is one of yours"
    ),
    Door.TOKEN_UNKNOWN_KEY: (
        "the signing key of this return path is not known here: `bounced keys list` shows those"
        " that are; add its line to the key file, then release the report"
    ),
    Door.TOKEN_FORGED: (
        "this return path was not signed by us, or was altered on its way: where several hosts"
        " sign, let all have the same key file; release the report if it is one of yours"
    ),
    Door.TOKEN_EXPIRED: (
        "this return path had expired: raise return_path.ttl if bounces come so late; release"
        " the report if it is one of yours"
    ),
    Door.TOKEN_FROM_THE_FUTURE: (
        "this return path is dated in the future: set the clocks here and where it was signed,"
        " then release the report"
    ),
    Door.TOKEN_RETIRED_KEY: (
        "this return path was signed after its key was retired: give the host that signs the"
        " newer key; release the report if it is one of yours"
    ),
}
"""What does not open, from an own relay."""
_UNSIGNED = (
    'smtp.trust = "signed" takes signed return paths only:'
    ' register your sends, or set "signed-or-relay"'
)
_NO_CLIENT = (
    "the address of the delivering host is not known: release the report if it was one of yours"
)
_NO_HEADER = (
    "no send is registered, and the report returns no header of the mail:"
    " register your sends, or let your relay return headers"
)
_NO_AUTHOR = (
    "no author header, and From is not of a listed domain:"
    " set authors.author_header or authors.domains, or register your sends"
)


class TrustMode(StrEnum):
    """What a site believes: `smtp.trust`."""

    SIGNED_OR_RELAY = "signed-or-relay"
    SIGNED = "signed"
    ANY = "any"


_OWN_MAIL = {TokenType.NOTICE: Why.NOTICE_BOUNCED, TokenType.PROBE: Why.PROBE}
"""Types of tokens that no author's mail carries (DESIGN §5.6)."""


@dataclass(frozen=True, slots=True)
class OriginSettings:
    """What the judgement needs to know of the configuration."""

    own_relays: tuple[IPNetwork, ...]
    trust: TrustMode = TrustMode.SIGNED_OR_RELAY
    author_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the door saw of a report."""

    door: Door
    client: str | None = None
    """IP address of the delivering host in text form, or LOCAL_CLIENT; None for files."""
    token_type: TokenType | None = None
    """Type of the valid token in the envelope recipient."""
    vouched: bool = False
    """An operator vouches for it: `ingest --trusted`, or released from quarantine."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose mail it was and whether the report may count."""

    trust: Trust
    author: str | None = None
    source: OriginSource | None = None
    reference: str | None = None
    why: Why | None = None
    """Why it does not count; None where it does."""
    detail: str | None = None
    """The same for ops: what was missing, and which key or command is about it."""
    quarantined: bool = False


def resolve_origin(
    report: Report, arrival: Arrival, send: Send | None, settings: OriginSettings
) -> Origin:
    """Judge one report; total. `send` is the registered send of the arrival's token."""
    if arrival.token_type in _OWN_MAIL:
        return Origin(Trust.SIGNED, why=_OWN_MAIL[arrival.token_type])
    if arrival.token_type is TokenType.SEND and send is not None:
        return Origin(Trust.SIGNED, send.author, OriginSource.SEND, send.reference)
    doubt = None if arrival.vouched else _find_doubt(report, arrival, settings)
    if arrival.token_type is TokenType.SEND:
        return _resolve_unregistered(report, doubt, settings)
    if doubt is None:
        return _read_author(report, Trust.RELAY, settings)
    if settings.trust is TrustMode.ANY and arrival.door in {Door.MAILBOX, Door.INGEST}:
        return _read_author(report, Trust.NONE, settings)
    return Origin(Trust.NONE, why=doubt.why, detail=doubt.detail, quarantined=True)


def speaks_for(send: Send, facts: RecipientFacts) -> str | None:
    """Return the recipient of the send, as registered, whose failure this is (DESIGN §5.5).

    A send to one names him whatever the report shows; None: not addressed by this send.
    """
    if len(send.recipients) == 1:
        return send.recipients[0]
    registered = {recipient_key(recipient): recipient for recipient in send.recipients}
    for shown in (facts.original_recipient, facts.final_recipient):
        if shown is not None and recipient_key(shown) in registered:
            return registered[recipient_key(shown)]
    return None


def _find_doubt(report: Report, arrival: Arrival, settings: OriginSettings) -> RelayDoubt | None:
    """Find what speaks against believing the report without a registered send."""
    if arrival.door is Door.OPS:
        return RelayDoubt(Why.OPS_MAILBOX, _TO_OPS)
    if arrival.door in _NOT_OPENED:
        return RelayDoubt(Why.UNKNOWN_LOCAL_PART, _NOT_OPENED[arrival.door])
    if settings.trust is TrustMode.SIGNED and arrival.token_type is None:
        return RelayDoubt(Why.UNSIGNED, _UNSIGNED)
    client = parse_address(arrival.client or "")
    on_this_host = arrival.door is Door.INGEST or arrival.client == LOCAL_CLIENT
    if client is None and not on_this_host:
        return RelayDoubt(Why.CLIENT_NOT_OWN, _NO_CLIENT)
    return find_relay_doubt(report, client, settings.own_relays)


def _resolve_unregistered(
    report: Report, doubt: RelayDoubt | None, settings: OriginSettings
) -> Origin:
    """Resolve a valid token whose send nobody registered: it tells the send, not the author.

    Whoever saw one such token could write any author into a header, so that the header is believed
    only where an own relay made the report.
    """
    if doubt is None or settings.trust is TrustMode.ANY:
        return _read_author(report, Trust.SIGNED, settings)
    detail = f"the send is not registered, and {doubt.detail}"
    return Origin(Trust.SIGNED, why=Why.ORIGIN_UNRESOLVED, detail=detail)


def _read_author(report: Report, trust: Trust, settings: OriginSettings) -> Origin:
    """Read the author off the returned message: the author header, else a listed From."""
    returned = report.returned
    if returned is None:
        return Origin(trust, why=Why.ORIGIN_UNRESOLVED, detail=_NO_HEADER)
    header_needs_listing = settings.trust is TrustMode.ANY
    sources = (
        (OriginSource.AUTHOR_HEADER, returned.author, header_needs_listing),
        (OriginSource.FROM, returned.from_address, True),
    )
    for source, author, needs_listing in sources:
        if author is None or not all(split_address(author)):
            continue
        if not needs_listing or _is_listed(author, settings):
            return Origin(trust, author, source, returned.reference)
    return Origin(trust, why=Why.ORIGIN_UNRESOLVED, detail=_NO_AUTHOR)


def _is_listed(author: str, settings: OriginSettings) -> bool:
    listed = {domain_key(domain) for domain in settings.author_domains}
    return domain_key(split_address(author)[1]) in listed
