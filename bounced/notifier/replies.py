"""Which of a receiving server's words an author may see: no address but those that he knows.

A reply may name the mailbox behind a forwarder, a colleague, or a return path of ours. The domain
of a stranger's address tells as much as the address, so it goes too, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bounced.model import domain_key, recipient_key
from bounced.words.cleaning import clean

MAX_SEEN_CHARS = 4000
"""What is looked at of a reply; what is shown is shorter."""
HIDDEN = "…"

_ADDRESS = re.compile(
    r"""(?:"[^"]{0,64}"|[^\s<>()\[\]{},;:"'`|]{0,254})"""
    r"(?P<at>@|＠|﹫|[%=]40(?=[\w-]+\.[a-z])|&\#0{0,3}64;|&commat;|\ ?[\[(]\ ?at\ ?[\])]\ ?)"
    r"""(?P<domain>\[[^\]\s]{0,64}\]|[^\s<>()\[\]{},;:"'`|/]{1,255})""",
    re.IGNORECASE | re.VERBOSE,
)
_LAST_WORD = re.compile(r"""[^\s<>()\[\]{},;:"'`|]{0,320}$""")
_CHANGING = re.compile(
    r"(?<![^\s<(\[])(?=\S*[0-9])(?=\S*[A-Za-z])[A-Za-z0-9._=-]{10,}(?![^\s>)\],;:.])"
)
"""Queue ids and host names, which differ between replies that say the same."""


def mask_reply(
    reply: str, addresses: Iterable[str], domains: Iterable[str], *, all_domains: bool
) -> str:
    """Return the reply as one line, without other addresses than these; total.

    Of another address only the domain is shown, if it is one of `domains`. `all_domains` is for a
    reply that is about the sender's own: the author must learn which one was checked.
    """
    # Cleaned first: an invisible character in an address would hide it from us, not from a reader.
    line = clean(reply, MAX_SEEN_CHARS)
    if len(line) == MAX_SEEN_CHARS:
        line = _LAST_WORD.sub("", line)  # half an address could stand at its end
    if "@" not in line and not _ADDRESS.search(line):
        return line
    known = {recipient_key(address) for address in addresses}
    shown = {domain_key(domain) for domain in domains}
    foreign: set[str] = set()

    def mask(match: re.Match[str]) -> str:
        domain = match["domain"].rstrip(".")
        rest = match["domain"][len(domain) :]
        if match["at"] == "@" and recipient_key(match[0].rstrip(".")) in known:
            return match[0]
        if all_domains or domain_key(domain) in shown:
            return f"{HIDDEN}@{domain}{rest}"
        foreign.add(domain)
        return HIDDEN + rest

    masked = _ADDRESS.sub(mask, line)
    for domain in foreign:
        if "." in domain:
            masked = re.sub(rf"[\w.-]*{re.escape(domain)}", HIDDEN, masked, flags=re.IGNORECASE)
    return masked


def fold_reply(reply: str, addresses: Iterable[str]) -> str:
    """Return what the reply has in common with others that say the same of other addresses."""
    common = reply
    for address in sorted(addresses, key=len, reverse=True):
        common = re.sub(re.escape(address), HIDDEN, common, flags=re.IGNORECASE)
    return _CHANGING.sub(HIDDEN, common)
