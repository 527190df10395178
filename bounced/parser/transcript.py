"""Reads the SMTP dialogue that Sendmail, Courier, MDaemon print into a report's text; total."""

import re
from dataclasses import dataclass

from bounced.parser.evidence import name_command
from bounced.parser.fields import find_addresses

_TALKING = re.compile(r"\.\.\. while talking to ([\w.-]{1,255}?)\.?:\s*$")
_SENT = re.compile(r".{0,40}?(?:>>>|-->) (.+)$")
_CONTINUED = re.compile(r"\d{3}-")
# What servers say to DATA when they refused every recipient before.
_CONSEQUENCE = re.compile(
    r"need (?:a )?(?:valid )?rcpt|no (?:valid )?recipients|valid rcpt command must precede",
    re.IGNORECASE,
)
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
    if "<<< " not in text and "<-- " not in text:
        return []
    exchanges: list[Exchange] = []
    host = command = None
    done = 0
    named: tuple[str, ...] = ()
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if talking := _TALKING.search(line):
            host, command, named = talking[1], None, ()
        elif sent := _SENT.match(line):
            command, named = sent[1], tuple(find_addresses(sent[1]))
        elif number >= done and (answer := _ANSWERED.match(line)):
            said, done = _collect(lines, number, answer[1])
            stage = name_command(command or "")
            if _CONSEQUENCE.search(said):
                continue
            about = named if stage == "RCPT TO" else _addresses_after(lines, done)
            exchanges.append(Exchange(said, number + 1, host, stage, about))
    return exchanges


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
