"""Which identity of a mail a receiver speaks of, and on which domain he has checked SPF; pure.

SPF is checked on MAIL FROM (RFC 7208 §2.4). Some look at From instead: Sender ID (RFC 4406), or a
gateway that means the address that people read. Only the receiver's own words can say so.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote

from bounced.advisor.dmarc import is_aligned
from bounced.diagnosis import Identity
from bounced.model import Reason, domain_key

MOST_CHARS = 2_000
"""A reply is at most some lines long; what stands behind is nobody's verdict."""

_HOST = r"[\w-]{1,63}(?:\.[\w-]{1,63})+"
_MAILBOX = rf"(?:[^\s<>@;:,]*@)?({_HOST})"
_ADDRESS = re.compile(rf"(\b(?:as|from|of|sender)[: ]+)?<?[^\s<>@]{{1,64}}@{_HOST}>?")
"""Most are the recipient's, whose domain may be the sender's too."""
_LINK = re.compile(r"https?://\S+")
_WHY = re.compile(
    r"[?;&](?:s|scope)=(?P<scope>mfrom|mailfrom|mail_from|helo|pra)\b"
    rf"[^\s]{{0,100}}?[;&](?:id|identity)={_MAILBOX}"
)
"""Openspf's explanation: `Why?s=mfrom;id=info@example.com;ip=192.0.2.7`."""
_NAMED_MAIL_FROM = re.compile(
    rf"mail ?from domain \[?{_MAILBOX}"
    rf"|\bspf \[{_MAILBOX}\]"
    rf"|\b(?:smtp\.mail(?:from)?|envelope-from|envelope_from|mailfrom|mfrom)[=:] ?<?{_MAILBOX}"
    rf"|<{_MAILBOX}>:? *sender address rejected"
    rf"|\b(?:mail ?from|envelope sender|return-path)[ :]+<{_MAILBOX}>"
)
_LOOKS_AT_FROM = re.compile(
    r"\bsender[- ]?id\b|purported responsible|\bheader\.from=|\b(?:rfc ?)?5322\.?from\b"
    r"|\bfrom[- ]header\b|\bheader[- ]from\b|\bfrom: header\b"
)
_LOOKS_AT_GREETING = re.compile(r"\b(?:helo|ehlo)\b(?!=)")


@dataclass(frozen=True, slots=True)
class Blame:
    """What a receiver holds against a mail."""

    identity: Identity | None
    """None: nothing was refused."""
    spf_domain: str | None
    """The domain that SPF is checked on, comparison form; None: nobody knows it."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Who has to do with a mail, by domain, in comparison form."""

    domain: str
    """That of From."""
    mail_from_domain: str | None = None
    """None: not known."""
    recipient_domain: str | None = None
    ours: Collection[str] = ()
    """What we send from, and what bounces come back to."""


def read_blame(reason: Reason | None, reply: str | None, parties: Parties) -> Blame:
    """Read from the decisive reply which identity failed; total."""
    domain, mail_from_domain = parties.domain, parties.mail_from_domain
    said = unquote((reply or "")[:MOST_CHARS]).lower()
    spf_domain = _find_spf_domain(said, parties)
    match reason:
        case None:
            return Blame(None, mail_from_domain)
        case Reason.DKIM:
            return Blame(Identity.DKIM, spf_domain)
        case Reason.DMARC:
            return Blame(Identity.DMARC, spf_domain)
        case Reason.SPF:
            if _is_from_meant(said, parties):
                return Blame(Identity.FROM, domain)
            return Blame(Identity.MAIL_FROM, spf_domain)
        case _:
            return Blame(Identity.FROM, spf_domain)


def _find_spf_domain(said: str, parties: Parties) -> str | None:
    """Return the domain that the receiver names, if it is the author's or ours.

    Any other is a forwarder's, who put his own there (RFC 7208 App. D): nobody here can mend it.
    """
    why = _WHY.search(said)
    if why and why["scope"] == "helo":  # RFC 7208 §2.3: the name of the server
        greeting = domain_key(why[2])
        return greeting if _is_known(greeting, parties) else parties.mail_from_domain
    named = _find_named_mail_from(said)
    is_unknown = parties.mail_from_domain is None
    if named == parties.domain or (is_unknown and named and _is_known(named, parties)):
        return named
    return parties.mail_from_domain


def _is_known(named: str, parties: Parties) -> bool:
    return any(is_aligned(named, each, strict=False) for each in (parties.domain, *parties.ours))


def _find_named_mail_from(said: str) -> str | None:
    """Return the domain that a reply calls that of MAIL FROM."""
    why = _WHY.search(said)
    if why:
        return None if why["scope"] in {"helo", "pra"} else domain_key(why[2])
    named = _NAMED_MAIL_FROM.search(said)
    return domain_key(next(filter(None, named.groups()))) if named else None


def _is_from_meant(said: str, parties: Parties) -> bool:
    """Tell whether the SPF that failed is that of the address which people read."""
    domain, mail_from_domain = parties.domain, parties.mail_from_domain
    why = _WHY.search(said)
    if why:
        return why["scope"] == "pra"
    if _find_named_mail_from(said) is not None or mail_from_domain in {domain, *_find_names(said)}:
        return False
    if _LOOKS_AT_FROM.search(said):
        return True
    if _LOOKS_AT_GREETING.search(said):
        return False
    without_links = _LINK.sub(" ", said)
    if parties.recipient_domain == domain:  # a bare name may be the receiver's own
        senders = (found[0] for found in _ADDRESS.finditer(without_links) if found[1])
        return domain in _find_names(" ".join(senders))
    return domain in _find_names(_ADDRESS.sub(_keep_if_sender, without_links))


def _find_names(said: str) -> set[str]:
    return {domain_key(name) for name in re.findall(_HOST, said)}


def _keep_if_sender(address: re.Match[str]) -> str:
    return address[0] if address[1] else " "
