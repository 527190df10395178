"""Knows how to make one whole reply of what a server said, however a report folded or cut it.

RFC 5321 §4.2.1 (multi-line replies), RFC 3464 §2.3.6 (Diagnostic-Code).
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from bounced.model import Reply
from bounced.parser.fields import find_code, parse_leading_code, parse_status, parse_typed
from bounced.parser.text import join_spaces, squash

MAX_REPLY = 4_000
"""Characters kept of one reply; RFC 5321 §4.5.3.1.5 allows 512 a line."""

_PREFIX = re.compile(r"([2-5]\d\d)[ :-]\s*([245]\.\d{1,3}\.\d{1,3})?")
_COMMANDS = (
    (re.compile(r"\bRCPT\b", re.IGNORECASE), "RCPT TO"),
    (re.compile(r"\bMAIL FROM\b", re.IGNORECASE), "MAIL FROM"),
    (
        re.compile(r"\bDATA\b|\bend of data\b|\bTEXT command\b|sent the message", re.IGNORECASE),
        "DATA",
    ),
    (re.compile(r"\b(?:EHLO|HELO|LHLO)\b", re.IGNORECASE), "EHLO"),
    (re.compile(r"\binitial connection\b|\bgreeting\b|\bbanner\b", re.IGNORECASE), "CONNECT"),
    (re.compile(r"\bSTARTTLS\b", re.IGNORECASE), "STARTTLS"),
)
# What reporting MTAs write around the words of the remote server, each with its sender.
_POSTFIX_STAGE = re.compile(r"\s*\((?:in reply to|while) ([^()]{1,60})\)\s*$")
_POSTFIX_HOST = re.compile(
    r"host ([\w.-]{1,255})(?:\[[^\]\s]{1,60}\])?(?::\d+)? (?:said|refused to talk to me):\s*"
)
_EXIM_STAGE = re.compile(
    r"SMTP error from remote (?:mail server|mailer|server) (?:after|for) ([^\n]{1,400}?):(?=\s)"
)
_EXIM_HOST = re.compile(r"\bhost:? ([\w.-]{1,255}) ?[\[(]")
_QMAIL_HOST = re.compile(
    r"([\w.-]{1,255}) (?:does not like recipient|failed after I sent the message)"
)
_SENDMAIL_REASON = re.compile(r"\(reason: (.*)\)$")
_EXCHANGE_WORDS = re.compile(r"Remote Server returned '(.+)'")
_EXCHANGE_END = re.compile(r" ?##.*$")
_SAID = re.compile(r"remote host said(?:\[[^\]]{1,40}\])?:\s*", re.IGNORECASE)
_RULER = re.compile(r"[=*_#~|-]{4,}")
# Where the words of a server begin inside a text: a code at the start of a line or after a colon,
# a quote, or words that announce it.
_SERVER_LINE = re.compile(
    r"(?:^[^\w\n]{0,8}|[:;>'\"(\[] ?|\b(?:was|said|error|code):? )"
    r"([45]\d\d)[ :-] ?(?:#?\d\.\d{1,3}\.\d{1,3}|[\w<\"'(\[])",
    re.MULTILINE,
)
_MIN_LETTERS = 3
_MIN_TAIL = 10
"""Letters by which another text must go on before it counts as fuller."""


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
    if f"{code}-" in line:
        body = re.sub(rf"(?:^|(?<=\s)){code}-(?:{re.escape(status or '')}(?=\s|$))?\s*", "", body)
        # The last line has a space; the code repeated there stands before its status or alone.
        last = (
            rf"(?<=\s){code} (?:{re.escape(status)}(?=\s|$)\s*)?" if status else rf"(?<=\s){code} "
        )
        body = re.sub(last, "", body)
    elif status:
        body = re.sub(rf"(?:^|(?<=\s)){code} {re.escape(status)}\s+", "", body)
    else:
        # Actually, Google repeats the code: `554 554 5.7.0 Header error`.
        body = body.removeprefix(f"{code} ")
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
    line = join_spaces(text[:MAX_REPLY])
    command = _find_command(line)
    host = _find_host(line)
    line = _POSTFIX_STAGE.sub("", line)
    said = _POSTFIX_HOST.search(line)
    if said:
        line = line[said.end() :]
    elif quoted := _SENDMAIL_REASON.match(line) or _EXCHANGE_WORDS.search(line):
        line = quoted[1]
    elif stage := _EXIM_STAGE.search(line):
        code = find_code(line[stage.end() :])
        line = line[stage.end() + code.start() :] if code else line
    elif marker := _SAID.search(line):
        line = line[marker.end() :]
    return make_reply(_EXCHANGE_END.sub("", line), where, host=host, command=command)


def find_server_words(text: str) -> tuple[int, str] | None:
    """Return offset and text of the paragraph's rest from where a server's reply begins."""
    match = _SERVER_LINE.search(text)
    if not match:
        return None
    end = text.find("\n\n", match.start(1))
    return match.start(1), text[match.start(1) : end if end >= 0 else len(text)]


def _find_command(line: str) -> str | None:
    stage = _POSTFIX_STAGE.search(line) or _EXIM_STAGE.search(line)
    if stage:
        return name_command(stage[1])
    if "does not like recipient" in line:
        return "RCPT TO"
    return "DATA" if "failed after I sent the message" in line else None


def _find_host(line: str) -> str | None:
    for pattern in (_POSTFIX_HOST, _EXIM_HOST, _QMAIL_HOST):
        if match := pattern.search(line):
            return match[1]
    return None


def name_command(stage: str) -> str | None:
    """Return the SMTP command of a stage as MTAs word it (`end of DATA command`)."""
    return next((name for pattern, name in _COMMANDS if pattern.search(stage)), None)


def choose_fuller(first: Reply, others: Iterable[Reply]) -> Reply:
    """Return the reply that holds the words of `first` and most more, completed by the rest."""
    best = first
    short = squash(first.text)
    for other in others:
        long = squash(other.text)
        if not long.startswith(short):
            continue
        if len(long) > len(squash(best.text)) + _MIN_TAIL:
            best = replace(other, host=other.host or best.host)
        best = replace(
            best,
            host=best.host or other.host,
            command=best.command or other.command,
            smtp_code=best.smtp_code or other.smtp_code,
            status=best.status or other.status,
        )
    return best


def without_repeats(replies: Iterable[Reply]) -> tuple[Reply, ...]:
    """Keep each reply whose words no earlier one holds."""
    kept: list[Reply] = []
    seen: list[str] = []
    for reply in replies:
        words = squash(reply.text)
        if not any(words in earlier for earlier in seen):
            kept.append(reply)
            seen.append(words)
    return tuple(kept)
