"""Knows how to make one whole reply of what a server said, however a report folded or cut it.

RFC 5321 §4.2.1 (multi-line replies), RFC 3464 §2.3.6 (Diagnostic-Code).
"""

import operator
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from bounced.model import Reply
from bounced.parser.fields import (
    find_addresses,
    find_code,
    parse_leading_code,
    parse_status,
    parse_typed,
)
from bounced.parser.text import join_spaces, squash
from bounced.parser.wording import ADVICE
from bounced.parser.wrapping import unwrap

MAX_REPLY = 4_000
"""Characters kept of one reply; RFC 5321 §4.5.3.1.5 allows 512 a line."""

_PREFIX = re.compile(r"([2-5]\d\d)[ :-]\s*([245]\.\d{1,3}\.\d{1,3})?")
_RULER = re.compile(r"[=*_#~|-]{4,}")
# Where the words of a server begin inside a text: a code at the start of a line or after a colon,
# a quote, or words that announce it.
_SERVER_LINE = re.compile(
    r"(?:^[^\w\n]{0,8}|[:;>'\"(\[] ?|\b(?:was|said|error|code):? )"
    r"([45]\d\d)[ :-] ?(?:#?\d\.\d{1,3}\.\d{1,3}|[\w<\"'(\[])",
    re.MULTILINE,
)
_SEAM = re.compile(r"([a-zà-ÿ.!?:;,)>\]])([A-ZÀ-Þ])")
_MIN_LETTERS = 3
_MIN_TAIL = 10
"""Letters by which another text must go on before it counts as fuller."""
_MAX_REMEMBERED = 2_000


class Comparer:
    """Compares the replies of one report, and looks at each text and each pair but once.

    Many recipients may share the same few replies.
    """

    def __init__(self) -> None:
        self.squash = lru_cache(_MAX_REMEMBERED)(squash)
        self.holds = lru_cache(10 * _MAX_REMEMBERED)(operator.contains)
        self.says_something = lru_cache(_MAX_REMEMBERED)(says_something)
        self.find_names = lru_cache(_MAX_REMEMBERED)(_find_names)


def make_reply(
    text: str, where: str, *, host: str | None = None, command: str | None = None
) -> Reply | None:
    """Make a Reply of a server's words, folded lines joined; None where nothing was said."""
    joined = join_reply(text)
    if not joined:
        return None
    return Reply(
        joined,
        where,
        smtp_code=parse_leading_code(joined) or _find_code_inside(joined),
        status=parse_status(joined),
        host=host,
        command=command,
    )


def _find_code_inside(text: str) -> int | None:
    match = find_code(text)
    return int(match[1]) if match else None


def join_reply(text: str) -> str:
    """Return a reply on one line: code and status once in front, then the words of every line.

    `550-5.7.26 not 550-5.7.26 yours 550 5.7.26 - gsmtp` becomes `550 5.7.26 not yours - gsmtp`.
    """
    line = join_spaces(_RULER.sub(" ", text[:MAX_REPLY]))
    prefix = _PREFIX.match(line)
    if not prefix:
        return line
    code, status = prefix[1], prefix[2]
    body = line[prefix.end() :]
    told = re.escape(status) if status else ""
    if f"{code}-" in line:
        body = re.sub(rf"(?:^|(?<=\s)){code}-(?:{told}(?=\s|$))?\s*", "", body)
        # The last line has a space; the code repeated there stands before its status or alone.
        body = re.sub(rf"(?<=\s){code}(?: |$)(?:{told}(?=\s|$)\s*)?", "", body)
    elif status:
        body = re.sub(rf"(?:^|(?<=\s)){code} {told}\s+", "", body)
    else:
        # Actually, Google repeats the code: `554 554 5.7.0 Header error`.
        body = body.removeprefix(f"{code} ")
    if told:
        # Actually, chasquid repeats the status alone, and OpenSMTPD sets no space before it.
        body = re.sub(rf"(?<!\d)(?<!\d\.){told} ", " ", body)
    return join_spaces(f"{code} {status or ''} {body}")


def says_something(text: str | None) -> bool:
    """Tell whether a reply holds words besides codes (`smtp; 550 5.0.0` does not)."""
    if not text:
        return False
    _, said = parse_typed(text)
    return len(re.findall(r"[^\W\d_]", _PREFIX.sub("", said))) >= _MIN_LETTERS


def read_passage(text: str, where: str) -> Reply | None:
    """Make a Reply of a paragraph of a human-readable part.

    Where a known MTA's wording stands around the words of the remote server, only those are kept
    as text, host and command are taken from the wording.
    """
    words = unwrap(join_spaces(text[:MAX_REPLY]))
    return make_reply(words.text, where, host=words.host, command=words.command)


def drop_advice(reply: Reply | None) -> Reply | None:
    """Take out of a report's own words, not a server's reply, what it advises the sender.

    Actually, Exchange advises to try again later in the same breath whatever the reason is.
    """
    if reply is None or reply.smtp_code is not None:
        return reply
    return replace(reply, text=join_spaces(ADVICE.sub("", reply.text)))


def split_glued(reply: Reply) -> Reply | None:
    """Return a reply with a space wherever lines may have been joined without; None without any.

    Actually, OpenSMTPD joins the lines of a reply that bear no status so: `unknownPlease check`.
    """
    words = (
        word if "://" in word else _SEAM.sub(r"\1 \2", word) for word in reply.text.split(" ")
    )
    text = " ".join(words)
    return replace(reply, text=text) if text != reply.text else None


def find_server_words(text: str) -> tuple[int, str] | None:
    """Return offset and text of the paragraph's rest from where a server's reply begins."""
    match = _SERVER_LINE.search(text)
    if not match:
        return None
    end = text.find("\n\n", match.start(1))
    return match.start(1), text[match.start(1) : end if end >= 0 else len(text)]


def _find_names(text: str) -> frozenset[str]:
    """Return the lower-case addresses of a text."""
    return frozenset(address.lower() for address in find_addresses(text))


def choose_fuller(
    first: Reply, others: Iterable[Reply], comparer: Comparer | None = None
) -> Reply:
    """Return the reply that holds the words of `first` and most more, completed by the rest."""
    comparer = comparer or Comparer()
    best = first
    short = comparer.squash(first.text)
    for other in others:
        long = comparer.squash(other.text)
        if not long.startswith(short):
            continue
        if len(long) > len(comparer.squash(best.text)) + _MIN_TAIL:
            best = replace(other, host=other.host or best.host)
        best = replace(
            best,
            host=best.host or other.host,
            command=best.command or other.command,
            smtp_code=best.smtp_code or other.smtp_code,
            status=best.status or other.status,
        )
    return best


def without_repeats(
    replies: Iterable[Reply], comparer: Comparer | None = None
) -> tuple[Reply, ...]:
    """Keep each reply whose words no earlier one holds."""
    comparer = comparer or Comparer()
    kept: list[Reply] = []
    seen: list[str] = []
    for reply in replies:
        words = comparer.squash(reply.text)
        if not any(comparer.holds(earlier, words) for earlier in seen):
            kept.append(reply)
            seen.append(words)
    return tuple(kept)
