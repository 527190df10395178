"""Reads the SMTP dialogue that Sendmail, Courier, MDaemon print into a report's text; total."""

import re
from dataclasses import dataclass

from bounced.parser.fields import find_addresses
from bounced.parser.wrapping import name_command

_HEADING = re.compile(r"^ *-{3,} Transcript of session follows -{3,}\n", re.MULTILINE)
_CONCLUSION = re.compile(r"5\d\d (?:5\.\d\.\d )?<[^>]{1,320}>\.\.\. ")
# The heads of Sendmail and of Courier.
_TALKING = re.compile(
    r"(?:\.\.\. while talking to ([\w.-]{1,255}?)\.?"
    r"|[ \t]{1,20}([\w.-]{1,255}) \[[^\]\s]{1,60}\]):\s*$"
)
_SENT = re.compile(r".{0,40}?(?:>>>|-->) (.+)$")
_CONTINUED = re.compile(r"\d{3}-")
# What servers say to DATA when they refused every recipient before.
_CONSEQUENCE = re.compile(
    r"need (?:a )?(?:valid )?rcpt|no (?:valid )?recipients|valid rcpt command must precede",
    re.IGNORECASE,
)
_EVENTS = re.compile(r"^--- Session Transcript ---\n", re.MULTILINE)
_EVENT = re.compile(
    r"^ ?\w{3} \d{4}-\d\d-\d\d [\d:]{8}: (?:\[[\d:]{1,20}\] )?\*  (.+)$", re.MULTILINE
)
_MAX_EVENTS = 20_000
"""Characters of a session in which its last event is looked for."""
_ANSWERED = re.compile(r".{0,40}?(?:<<<|<--) (.+)$")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One reply of the remote server, and the addresses it was about as far as told."""

    text: str
    """The reply's lines, joined by line ends."""
    line: int
    host: str | None = None
    command: str | None = None
    addresses: tuple[str, ...] = ()
    """Addresses in the command, or named right after the reply; empty where it concerns all."""


def read_transcript(text: str) -> list[Exchange]:
    """Return the replies (`<<<`) of a session transcript, in order."""
    exchanges = _read_mailer(text)
    if "<<< " not in text and "<-- " not in text:
        return exchanges or _read_events(text)
    host = command = None
    done = 0
    named: tuple[str, ...] = ()
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if talking := _TALKING.match(line):
            # What stands before the first command answers the connection itself.
            host, command, named = talking[1] or talking[2], "greeting", ()
        elif sent := _SENT.match(line):
            command, named = sent[1], tuple(find_addresses(sent[1]))
        elif number >= done and (answer := _ANSWERED.match(line)):
            said, done = _collect(lines, number, answer[1])
            stage = name_command(command or "")
            if _CONSEQUENCE.search(said):
                continue
            about = named if stage == "RCPT TO" else _addresses_after(lines, done)
            if about and stage == "DATA":
                # Actually, Sendmail sends RCPT and DATA in one go, and shows DATA alone.
                stage = "RCPT TO"
            exchanges.append(Exchange(said, number + 1, host, stage, about))
    return exchanges


def _read_mailer(text: str) -> list[Exchange]:
    """Return what Sendmail's local mailer printed before Sendmail's own `554 ... unavailable`."""
    heading = _HEADING.search(text)
    if not heading:
        return []
    lines = text[heading.end() :].split("\n")
    said: list[str] = []
    for line in lines:
        if not line.strip() or _TALKING.match(line) or ">>> " in line or "<<< " in line:
            return []
        if _CONCLUSION.match(line):
            about = tuple(find_addresses(line)[:1])
            number = text.count("\n", 0, heading.end()) + 1
            return [Exchange("\n".join(said), number, addresses=about)] if said and about else []
        said.append(line)
    return []


def _read_events(text: str) -> list[Exchange]:
    """Return what stopped MDaemon before any server answered: the last event that it logged."""
    heading = _EVENTS.search(text)
    if not heading:
        return []
    events = list(_EVENT.finditer(text, heading.end(), heading.end() + _MAX_EVENTS))
    if not events:
        return []
    line = text.count("\n", 0, events[-1].start()) + 1
    return [Exchange(events[-1][1], line)]


def _collect(lines: list[str], number: int, first: str) -> tuple[str, int]:
    """Join the reply that begins at `number`; return it and the number of the line after it."""
    said = [first]
    number += 1
    while (
        _CONTINUED.match(said[-1])
        and number < len(lines)
        and (answer := _ANSWERED.match(lines[number]))
    ):
        said.append(answer[1])
        number += 1
    return "\n".join(said), number


def _addresses_after(lines: list[str], number: int) -> tuple[str, ...]:
    """Return the addresses of the lines that Sendmail prints on its own after a reply."""
    found: list[str] = []
    while number < len(lines) and (line := lines[number].strip()):
        if line.startswith("...") or ">>> " in line or "<<< " in line or "<-- " in line:
            break
        found += find_addresses(line)[:1]
        number += 1
    return tuple(found)
