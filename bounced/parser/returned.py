"""Reads what a report tells of the mail that bounced; total.

RFC 6522 §3 (third part), RFC 6533 §5 and §6 (its international forms), RFC 5322 §3.6 (fields),
RFC 3282 (Content-Language).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bounced.model import ReturnedMessage
from bounced.parser.fields import (
    find_addresses,
    parse_date,
    parse_mailboxes,
    parse_message_id,
    parse_path,
)
from bounced.parser.headers import Fields, decode_words, read_fields, split_header
from bounced.parser.mime import RETURNED_TYPES, Message
from bounced.parser.signatures import read_signatures
from bounced.parser.text import join_spaces

_KNOWN_FIELDS = frozenset(
    {"from", "to", "subject", "date", "message-id", "received", "return-path", "mime-version"}
)
_MIN_KNOWN = 2
_MAX_HEADER_LINES = 400
_FIELD_LINE = re.compile(
    r"[ \t>]{0,8}(?:From|To|Subject|Date|Message-ID|Received|Return-Path) {0,3}:", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class HeaderNames:
    """The configured header fields that tell whose mail it was."""

    author: str = "X-Protocol-Author"
    reference: str = "X-Protocol-Id"
    language: str = "Content-Language"


def find_returned_parts(message: Message) -> list[Fields]:
    """Return the header fields of each part that holds a returned message, first part first."""
    headers = (
        split_header(part.text.lstrip("\n"))[0]
        for part in message.parts
        if part.content_type in RETURNED_TYPES
    )
    parts = (read_fields(header) for header in headers)
    return [fields for fields in parts if not _KNOWN_FIELDS.isdisjoint(fields.values)]


def find_quoted_fields(text: str) -> Fields | None:
    """Return the header fields quoted in plain text, perhaps indented or marked with `>`."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _FIELD_LINE.match(line):
            return _read_quoted(lines[number : number + _MAX_HEADER_LINES])
    return None


def _read_quoted(lines: list[str]) -> Fields | None:
    block: list[str] = []
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip(" \t>"))]
    for line in lines:
        field = line.removeprefix(margin)
        if not field.strip(" \t>"):
            break
        block.append(field)
    fields = read_fields("\n".join(block))
    known = _KNOWN_FIELDS.intersection(fields.values)
    return fields if len(known) >= _MIN_KNOWN else None


def read_returned(
    fields: Fields, names: HeaderNames, others: Sequence[Fields] = ()
) -> ReturnedMessage:
    """Return the facts of the returned message; `others` are further parts that return one.

    Actually, Sendmail 8.17 writes the line ends of a decoded ENVID into its report, so that a
    stranger may put a part before the true one: whoever shows in any of them, shows.
    """
    senders = parse_mailboxes(fields.first("from") or "")
    message_id = fields.first("message-id")
    subject = fields.first("subject")
    path = fields.first("return-path")
    return ReturnedMessage(
        return_path=parse_path(path) if path is not None else None,
        from_address=senders[0] if senders else None,
        to_addresses=tuple(
            address for value in fields.every("to") for address in parse_mailboxes(value)
        ),
        message_id=parse_message_id(message_id) if message_id else None,
        subject=decode_words(subject) if subject is not None else None,
        sent_at=parse_date(fields.first("date")),
        author=_read_address(fields.first(names.author.lower())),
        reference=_read_text(fields.first(names.reference.lower())),
        language=_read_text(fields.first(names.language.lower()))
        or _read_text(fields.first("content-language")),
        received=tuple(
            join_spaces(value) for part in (fields, *others) for value in part.every("received")
        ),
        signatures=read_signatures(fields.every("dkim-signature")),
    )


def _read_address(value: str | None) -> str | None:
    found = parse_mailboxes(value) or tuple(find_addresses(value)) if value else ()
    return found[0] if found else None


def _read_text(value: str | None) -> str | None:
    return decode_words(value).strip() or None if value else None
