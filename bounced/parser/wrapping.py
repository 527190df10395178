"""Knows what each mail server writes around the words of the remote server, and takes it off.

Source: the reports of the servers named at each pattern, and their source code.
"""

import re
from typing import NamedTuple

from bounced.model import RecipientFacts, recipient_key
from bounced.parser.fields import find_code

_COMMANDS = (
    (re.compile(r"\bRCPT\b", re.IGNORECASE), "RCPT TO"),
    (re.compile(r"\bMAIL FROM\b", re.IGNORECASE), "MAIL FROM"),
    (
        re.compile(r"\bDATA\b|\bend of data\b|\bTEXT command\b|sent the message", re.IGNORECASE),
        "DATA",
    ),
    (re.compile(r"\b(?:EHLO|HELO|LHLO)\b", re.IGNORECASE), "EHLO"),
    (
        re.compile(r"\binitial connection\b|\bgreeting\b|\bbanner\b|^connect$", re.IGNORECASE),
        "CONNECT",
    ),
    (re.compile(r"\bSTARTTLS\b", re.IGNORECASE), "STARTTLS"),
)
_POSTFIX_STAGE = re.compile(r"\s*\((?:in reply to|while) ([^()]{1,60})\)\s*$")
_POSTFIX_HOST = re.compile(
    r"(?:host|connect to) ([\w.-]{1,255})(?:\[[^\]\s]{1,60}\])?(?::\d+)?:? "
    r"(?:said|(server )?refused to talk to me):\s*"
)
_EXIM_STAGE = re.compile(
    r"SMTP error from remote (?:mail server|mailer|server) (?:after|for) ([^\n]{1,400}?):(?=\s)"
)
_EXIM_HOST = re.compile(r"\bhost:? ([\w.-]{1,255}) ?[\[(]")
_QMAIL = re.compile(
    r"(?<![\w.-])(?:Connected to )?([\w.-]{1,255}) "
    r"(does not like recipient|failed after I sent the message"
    r"|failed on DATA command|but greeting failed|but my name was rejected"
    r"|but sender was rejected)"
)
_QMAIL_STAGES = {
    "does not like recipient": "RCPT TO",
    "failed after I sent the message": "DATA",
    "failed on DATA command": "DATA",
    "but greeting failed": "CONNECT",
    "but my name was rejected": "EHLO",
    "but sender was rejected": "MAIL FROM",
}
_QMAIL_END = re.compile(
    r"\s*(?:Giving up on [\w.:-]{1,255}?\.\s*)?"
    r"(I'm not going to try again; this message has been in the queue too long\.)?$"
)
_DMA = re.compile(
    r"(?<![\w.-])([\w.-]{1,255})(?: \[[^\]\s]{1,60}\])? did not like our ([\w ]{2,20}):\s*"
)
# chasquid names MAIL and RCPT in one breath, so that neither is known.
_CHASQUID_FATE = re.compile(r"\((?:EMAIL|PIPE|FORWARD)\) failed [^:]{1,60}error:\s*")
_CHASQUID_STAGE = re.compile(r"^(MAIL\+RCPT|DATA closing|DATA) (?=[245]\d\d[ -])")
_QUOTED_SERVER = re.compile(r"\bhost [\w.-]{1,255}\[[^\]\s]{1,60}\] said:")
_REJECTED_RECIPIENT = re.compile(r"<([^<>\s]{1,320})>: Recipient address rejected")
# A server that asks the sender's own server quotes what that said of the sender.
_ABOUT_SENDER = re.compile(r"sender|verif|callout", re.IGNORECASE)
_SENDMAIL_REASON = re.compile(r"^\(reason: (.*)\)$")
_EXCHANGE_WORDS = re.compile(r"Remote Server returned '(.+)'")
_EXCHANGE_END = re.compile(r" ?##.*$")
_SAID = re.compile(r"remote host said(?:\[[^\]]{1,40}\])?:\s*", re.IGNORECASE)
_DOMINO = re.compile(
    r"Error transferring to ([\w.-]{1,255}); SMTP Protocol Returned a \w{4,12} Error (?=[245]\d\d)"
)
_STALWART = re.compile(
    r"\(host '([\w.-]{1,255})' rejected command '([^']{1,400})' with code (\d{3}) "
    r"\(([\d.]{5,9})\) '(.*)'\)$"
)
_REPLY = re.compile(r"[245]\d\d[ -]")
# Courier heads the dialogue with the host; an address stands in no such line.
_ONLY_HOST = re.compile(r"[\w.-]{1,255} \[[^\]\s]{1,60}\]:?")


class Words(NamedTuple):
    """What a server said, and what the report tells of who said it in answer to what."""

    text: str
    host: str | None = None
    command: str | None = None


def unwrap(line: str) -> Words:
    """Take the reporting server's own words off one line of text; total.

    Only the outermost wrapping is taken off: a server may quote what another told it.
    """
    if _ONLY_HOST.fullmatch(line):
        return Words("")
    line = _CHASQUID_FATE.sub("", line, count=1)
    stage = _POSTFIX_STAGE.search(line)
    if stage:
        line = line[: stage.start()]
    words = _take_off(line)
    if words is None:
        host = _EXIM_HOST.search(line)
        words = Words(line, host[1] if host and not _REPLY.match(line) else None)
    command = name_command(stage[1]) if stage else words.command
    return Words(_EXCHANGE_END.sub("", words.text), words.host, command)


def _take_off(line: str) -> Words | None:
    """Return the words inside the wrapping that begins first, or None where there is none."""
    if _REPLY.match(line):
        return None
    found = [
        (match.start(), place, match)
        for place, (pattern, _) in enumerate(_WRAPPINGS)
        if (match := pattern.search(line))
    ]
    if not found:
        return None
    _, place, match = min(found, key=lambda each: each[:2])
    return _WRAPPINGS[place][1](line, match)


def _read_postfix(line: str, match: re.Match[str]) -> Words:
    refused = "refused to talk to me" in match[0]
    return Words(line[match.end() :], match[1], "CONNECT" if refused else None)


def _read_exim(line: str, match: re.Match[str]) -> Words:
    code = find_code(line[match.end() :])
    start = match.end() + code.start() if code else 0
    host = _EXIM_HOST.search(line, 0, start or len(line))
    return Words(line[start:], host[1] if host else None, name_command(match[1]))


def _read_qmail(line: str, match: re.Match[str]) -> Words:
    said = _SAID.search(line, match.end())
    text = _QMAIL_END.sub("", line[said.end() :]) if said else line
    return Words(text, match[1], _QMAIL_STAGES[match[2]])


def _read_dma(line: str, match: re.Match[str]) -> Words:
    return Words(line[match.end() :], match[1], name_command(match[2]))


def _read_chasquid(line: str, match: re.Match[str]) -> Words:
    return Words(line[match.end() :], None, "DATA" if match[1].startswith("DATA") else None)


def _read_domino(line: str, match: re.Match[str]) -> Words:
    return Words(line[match.end() :], match[1])


def _read_stalwart(_line: str, match: re.Match[str]) -> Words:
    status = "" if match[4].endswith(".0.0") else match[4]
    return Words(f"{match[3]} {status} {match[5]}", match[1], name_command(match[2]))


def _read_quoted(_line: str, match: re.Match[str]) -> Words:
    return Words(match[1])


def _read_said(line: str, match: re.Match[str]) -> Words:
    return Words(_QMAIL_END.sub("", line[match.end() :]))


_WRAPPINGS = (
    (_EXIM_STAGE, _read_exim),
    (_POSTFIX_HOST, _read_postfix),
    (_QMAIL, _read_qmail),
    (_DMA, _read_dma),
    (_CHASQUID_STAGE, _read_chasquid),
    (_DOMINO, _read_domino),
    (_STALWART, _read_stalwart),
    (_SENDMAIL_REASON, _read_quoted),
    (_EXCHANGE_WORDS, _read_quoted),
    (_SAID, _read_said),
)


def find_afterword(line: str) -> str | None:
    """Return what qmail says of its own behind the reply: that the time is over."""
    end = _QMAIL_END.search(line) if _SAID.search(line) else None
    return end[1] if end else None


def name_command(stage: str) -> str | None:
    """Return the SMTP command of a stage as MTAs word it (`end of DATA command`)."""
    return next((name for pattern, name in _COMMANDS if pattern.search(stage)), None)


def is_refused_elsewhere(facts: RecipientFacts) -> bool:
    """Tell whether the decisive reply quotes another server's, or rejects another recipient.

    Postfix writes both where it forwards while the client waits.
    """
    reply = facts.replies[0].text if facts.replies else ""
    if _ABOUT_SENDER.search(reply):
        return False
    if _QUOTED_SERVER.search(reply):
        return True
    own = {
        recipient_key(each) for each in (facts.original_recipient, facts.final_recipient) if each
    }
    other = _REJECTED_RECIPIENT.search(reply)
    return other is not None and bool(own) and recipient_key(other[1]) not in own
