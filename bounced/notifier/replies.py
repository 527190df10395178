"""Which of a receiving server's words an author may see: no address but those that he knows.

A reply may name the mailbox behind a forwarder, a colleague, or a return path of ours. The domain
of a stranger's address tells as much as the address, so it goes too, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from bounced.model import domain_key, recipient_key, split_address
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
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_REGISTRY_LABELS = frozenset({"ac", "co", "com", "edu", "gov", "gv", "ne", "net", "or", "org"})
"""What stands before a country where it gives names out one level lower: co.uk, or.at, com.tr."""
_CHANGING = re.compile(
    r"(?<![^\s<(\[])(?=[\w.=-]*[0-9])(?=[\w.=-]*[A-Za-z])[A-Za-z0-9._=-]{10,}(?![^\s>)\],;:.])"
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
    ours = shown | {split_address(address)[1] for address in known}
    gone = {form for domain in foreign for form in _name_owner(domain, ours)}
    lengths = {form.count(".") + 1 for form in gone}
    return _HOST.sub(lambda host: HIDDEN if _is_of(host[0], gone, lengths) else host[0], masked)


def fold_reply(reply: str, addresses: Iterable[str]) -> str:
    """Return what the reply has in common with others that say the same of other addresses."""
    seen = reply.casefold()
    named = {address for address in addresses if address and address.casefold() in seen}
    if named:
        longest_first = sorted(named, key=len, reverse=True)
        either = "|".join(map(re.escape, longest_first))
        reply = re.sub(either, HIDDEN, reply, flags=re.IGNORECASE)
    return _CHANGING.sub(HIDDEN, reply)


def _name_owner(domain: str, ours: Collection[str]) -> Iterable[str]:
    """Return the names by which hosts give away whose a stranger's domain is.

    The domain as it was registered, for its mail hosts are siblings of `mail.`; one level lower
    where ours is below it too. And the label that Microsoft makes of it (`kunde-de.mail...`).
    """
    name = _HOST.match(domain)
    labels = domain_key(name[0]).split(".") if name else []
    country = len(labels[-1]) == 2 if labels else False  # noqa: PLR2004 - ISO 3166
    registered = 3 if country and labels[-2:-1] and labels[-2] in _REGISTRY_LABELS else 2
    if len(labels) < registered or not labels[-1][:1].isalpha():
        return ()
    above_us = {part for each in ours for part in _list_suffixes(each)}
    suffixes = (".".join(labels[-count:]) for count in range(registered, len(labels) + 1))
    found = next((suffix for suffix in suffixes if suffix not in above_us), None)
    return (found, found.replace(".", "-")) if found else ()


def _list_suffixes(domain: str) -> Iterable[str]:
    """Return the domain and those above it."""
    labels = domain.split(".")
    return (".".join(labels[at:]) for at in range(len(labels)))


def _is_of(host: str, gone: Collection[str], lengths: Iterable[int]) -> bool:
    """Tell whether one of the names stands in a host's name, whole labels compared."""
    labels = domain_key(host).split(".")
    return any(
        ".".join(labels[at : at + length]) in gone
        for length in lengths
        for at in range(len(labels) - length + 1)
    )
