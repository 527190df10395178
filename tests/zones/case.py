"""One question about one domain, the zones that it is asked of, and what the answer must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.zones.authority import Zone

INCLUDE = "include:spf.sender.test"
ADDRESSES = ("192.0.2.10", "2001:db8::10")
"""Of the servers that send our mail."""
BY_ADDRESS = "ip4:192.0.2.10 ip6:2001:db8::10"

REFUSED = frozenset({"fail", "softfail", "neutral"})
STUCK = frozenset({"permerror"})
"""Faults of his own, which we cannot mend, behind what is ours."""

OFFERS: Mapping[str, Any] = {
    "spf_include": "spf.sender.test",
    "sending_addresses": list(ADDRESSES),
    "dkim_cnames": ["s1=s1.dkim.sender.test", "s2=s2.dkim.sender.test"],
}
"""The section [advice] of the site that asks."""
RETURN_PATH_OFFERS: Mapping[str, Any] = {"return_path_target": "bounces.sender.test"}
"""A site that has nothing but a return path to offer."""

Record = tuple[str, str, str, str | None]
"""Name, type, value, what it replaces."""


@dataclass(frozen=True)
class Case:
    """What is asked, where, and the exact advice."""

    name: str
    zones: tuple[Zone, ...]
    domain: str
    mail_from: str
    fix: str
    spf: str | None = None
    """State of the check; None: the check says nothing."""
    dkim: str | None = "missing"
    dmarc: str | None = "missing"
    return_path: str | None = None
    freemail: bool = False
    records: tuple[Record, ...] = ()
    lookups: tuple[int | None, int | None] = (None, None)
    reason: str | None = "spf"
    signatures: tuple[tuple[str, str], ...] = ()
    offers: Mapping[str, Any] = field(default_factory=lambda: OFFERS)
    hoster: str | None = None
    passing: tuple[str, ...] = ()
    """Addresses that pass SPF before, and must after."""
    stranger: frozenset[str] = REFUSED
    """What Mail::SPF may say of a stranger's address when the advice was followed."""
    remains: str | None = None
    """What is still to be done when the advice was followed; None: the case is mended."""
    is_dead: bool = False
    """DNS does not answer for it: asking takes until the timeout."""

    def ask(self) -> dict[str, Any]:
        """Return the question as the inner process reads it."""
        return {
            "domain": self.domain,
            "mail_from_domain": self.mail_from,
            "reason": self.reason,
            "signatures": self.signatures,
            "offers": dict(self.offers),
        }


def spf(
    name: str,
    present: str | Sequence[str],
    fix: str,
    state: str,
    value: str | None = None,
    *,
    before: int | None = None,
    after: int | None = None,
    lines: Sequence[str] = (),
    passing: Sequence[str] = (),
    more: Sequence[Zone] = (),
    is_spf: bool = True,
    dkim: str = "missing",
    stranger: frozenset[str] = REFUSED,
) -> Case:
    """Return a case of a domain that is MAIL FROM itself and was refused for SPF.

    `present` are the records that stand there, `value` is what is to stand there instead; beside
    them, where they are no SPF.
    """
    domain = f"{name}.test"
    texts = [present] if isinstance(present, str) else list(present)
    zone = Zone(domain, (*(f"@ TXT {quote(text)}" for text in texts), *lines))
    old = ("\n".join(texts) or None) if is_spf else None
    record = (domain, "TXT", value, old) if value is not None else None
    return Case(
        name,
        (zone, *more),
        domain,
        domain,
        fix,
        spf=state,
        dkim=dkim,
        records=(record,) if record else (),
        lookups=(before, after),
        passing=tuple(passing),
        stranger=stranger,
    )


def quote(text: str) -> str:
    """Return a text as the strings of a TXT record (RFC 1035 §5.1), 255 octets each."""
    octets = text.encode()
    pieces = [octets[start : start + 255] for start in range(0, len(octets), 255)]
    return " ".join('"' + "".join(map(_escape, piece)) + '"' for piece in pieces)


def _escape(octet: int) -> str:
    char = chr(octet)
    if char in '"\\':
        return f"\\{char}"
    return char if 32 <= octet < 127 else f"\\{octet:03}"
