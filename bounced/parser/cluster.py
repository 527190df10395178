"""Which unknown texts are one and the same: a text without what differs from mail to mail.

Addresses, hosts, URLs and whatever holds a digit (ids, times, sizes, queue ids) become
placeholders, as do quoted single words and the recipient's own name; case, accents, reply codes
and punctuation are levelled. Texts that then still differ in one word are two clusters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bounced.model import RecipientFacts, Reply, split_address
from bounced.parser.folding import ADDRESS, HOST, MAX_TEXT_CHARS, URL, fold, read_view

ID = "<id>"
MAX_CHARS = 400
"""As much of a levelled text tells it from others; behind that, servers quote the mail."""

_LONGEST_WORD = 48
"""A longer word of ASCII is an encoded id."""
_SHORTEST_NAME = 3
_PASSES = 4
"""A mark that was cut off may uncover a host; no text that was tried takes more than three."""

# Local parts that are words of the replies themselves: `mail@` must not split "mail rejected".
_WORDS = frozenset(
    (
        *("account", "address", "admin", "contact", "domain", "email", "error", "host", "info"),
        *("kontakt", "list", "mail", "mailbox", "mailer", "message", "not", "office", "post"),
        *("postfach", "postmaster", "recipient", "security", "sender", "server", "service"),
        *("spam", "support", "system", "test", "the", "user", "web"),
    )
)
_PLACEHOLDERS = (ADDRESS, HOST, URL, ID)
_QUOTED = re.compile(r"""(["'`])(?=[^\s"'`<>])([^\s"'`<>]{1,64})\1|<([^\s<>]{1,320})>""")
_PIECE = re.compile(rf"{'|'.join(_PLACEHOLDERS)}|[!#$%&*+\-./0-9:=?@A-Z\\^_a-z~]+|[^\x00-\x7f]+")
_EDGES = "!#$%&*+-./:=?@\\^_~"
_BETWEEN = re.compile(r"<[a-z]+>|\S*\d\S*|[^\w\s'-]+")
_PHRASE_WORDS = 8
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+){2,}")
_DIGIT = re.compile(r"\d")
_TIME = re.compile(r"(?<![\w:.])\d{1,2}:\d\d(?::\d\d)?(?![\w:])")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What all unknown texts of one form have in common."""

    cluster: str
    """16 hex digits, made of the text."""
    text: str
    """Levelled, placeholders in angle brackets; "" where the server said nothing."""


def find_cluster(facts: RecipientFacts) -> Cluster:
    """Return the cluster of what was said of one recipient, by its most decisive text; total."""
    said = facts.replies[0] if facts.replies else Reply("", "")
    recipients = [
        split_address(address.strip("<> "))
        for address in (facts.original_recipient, facts.final_recipient)
        if address
    ]
    text = level(
        said.text,
        names=[local for local, _ in recipients],
        hosts=[*(domain for _, domain in recipients), facts.remote_mta, said.host],
    )
    return Cluster(hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16], text)


def suggest_phrase(text: str) -> str | None:
    """Return the longest stretch of words in a text that a rule could look for; total.

    None: there are no words but names and numbers.
    """
    runs = (run.strip(_EDGES + "' ") for run in _BETWEEN.split(read_view(text).words))
    longest = max(runs, key=len, default="")
    return " ".join(longest.split()[:_PHRASE_WORDS]) or None


def level(text: str, *, names: Sequence[str] = (), hosts: Sequence[str | None] = ()) -> str:
    """Return a text without what differs from mail to mail; idempotent, total.

    `names` are local parts that may stand in it alone, `hosts` domains in any form.
    """
    text = _TIME.sub(ID, _mask_known(text[:MAX_TEXT_CHARS], names, hosts))
    for _ in range(_PASSES):
        text = _level_once(text)
    return text


def _mask_known(text: str, names: Sequence[str], hosts: Sequence[str | None]) -> str:
    """Mask what is known to be a host or the recipient's name, whatever it looks like."""
    domains = {host.strip("[]. ").lower() for host in hosts if host and "." in host}
    for domain in sorted(domains - {""}, key=len, reverse=True):
        form = rf"(?<![\w.@-])(?:[\w-]+\.)*{re.escape(domain)}\.?(?![\w-]|\.\w)"
        text = re.sub(form, HOST, text, flags=re.IGNORECASE)
    for name in sorted(set(names), key=len, reverse=True):
        if len(name) >= _SHORTEST_NAME and fold(name) not in _WORDS:
            form = rf"(?<![\w.+@-]){re.escape(name)}(?![\w@]|[.+-]\w)"
            text = re.sub(form, ADDRESS, text, flags=re.IGNORECASE)
    return text


def _level_once(text: str) -> str:
    words = _QUOTED.sub(_mask_quoted, read_view(text).words)
    kept: list[str] = []
    for piece in _read_pieces(words):
        if piece not in _PLACEHOLDERS or kept[-1:] != [piece]:
            kept.append(piece)
    joined = " ".join(kept)
    if len(joined) <= MAX_CHARS:
        return joined
    return joined[: MAX_CHARS + 1].rpartition(" ")[0] or joined[:MAX_CHARS]


def _mask_quoted(found: re.Match[str]) -> str:
    """Mask a single word in quotation marks or brackets; a placeholder stays what it is."""
    return found[0] if found[0] in _PLACEHOLDERS else f" {ID} "


def _read_pieces(words: str) -> Iterator[str]:
    """Yield words and placeholders; what stands beside letters beyond ASCII is read apart."""
    for piece in _PIECE.findall(words):
        if piece in _PLACEHOLDERS:
            yield piece
            continue
        bare = piece.strip(_EDGES) if piece.isascii() else _DIGIT.sub("", piece)
        if not bare:
            continue
        if not bare.isascii():
            yield bare
        elif _DIGIT.search(bare) or len(bare) > _LONGEST_WORD:
            yield ID
        else:
            yield HOST if _HOST.fullmatch(bare) else bare
