"""Which identity of a mail a receiver speaks of, and on which domain he has checked SPF; pure.

SPF is checked on MAIL FROM (RFC 7208 §2.4). Some look at From instead: Sender ID (RFC 4406), or a
gateway that means the address that people read. Only the receiver's own words can say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

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


def read_blame(
    reason: Reason | None, reply: str | None, domain: str, mail_from_domain: str | None
) -> Blame:
    """Read from the decisive reply which identity failed; total.

    `domain` is that of From; both domains in their comparison form.
    """
    said = unquote((reply or "")[:MOST_CHARS]).lower()
    spf_domain = _find_spf_domain(said, domain, mail_from_domain)
    match reason:
        case None:
            return Blame(None, mail_from_domain)
        case Reason.DKIM:
            return Blame(Identity.DKIM, spf_domain)
        case Reason.DMARC:
            return Blame(Identity.DMARC, spf_domain)
        case Reason.SPF:
            if _is_from_meant(said, domain, mail_from_domain):
                return Blame(Identity.FROM, domain)
            return Blame(Identity.MAIL_FROM, spf_domain)
        case _:
            return Blame(Identity.FROM, spf_domain)


def _find_spf_domain(said: str, domain: str, mail_from_domain: str | None) -> str | None:
    why = _WHY.search(said)
    if why and why["scope"] == "helo":  # RFC 7208 §2.3: the name of the server
        return domain_key(why[2])
    named = _find_named_mail_from(said)
    if mail_from_domain is None or named == domain:
        return named or mail_from_domain
    # Any other is a forwarder's, who put his own there (RFC 7208 App. D): nobody here can mend it.
    return mail_from_domain


def _find_named_mail_from(said: str) -> str | None:
    """Return the domain that a reply calls that of MAIL FROM."""
    why = _WHY.search(said)
    if why:
        return None if why["scope"] in {"helo", "pra"} else domain_key(why[2])
    named = _NAMED_MAIL_FROM.search(said)
    return domain_key(next(filter(None, named.groups()))) if named else None


def _is_from_meant(said: str, domain: str, mail_from_domain: str | None) -> bool:
    """Tell whether the SPF that failed is that of the address which people read."""
    why = _WHY.search(said)
    if why:
        return why["scope"] == "pra"
    if _find_named_mail_from(said) is not None or mail_from_domain in {domain, *_find_names(said)}:
        return False
    if _LOOKS_AT_FROM.search(said):
        return True
    if _LOOKS_AT_GREETING.search(said):
        return False
    return domain in _find_names(_ADDRESS.sub(_keep_if_sender, _LINK.sub(" ", said)))


def _find_names(said: str) -> set[str]:
    return {domain_key(name) for name in re.findall(_HOST, said)}


def _keep_if_sender(address: re.Match[str]) -> str:
    return address[0] if address[1] else " "
