"""Cuts a message into its parts within fixed bounds of size, depth and number; total.

RFC 2045, RFC 2046 §5.1 (multipart). Actually, not the standard library's parser: it recurses once
a level, and two-byte lines cost it 51 ms per 100 KB; this one looks at each byte once a level.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bounced.parser.headers import (
    Fields,
    decode_words,
    parse_content_type,
    read_fields,
    split_header,
    starts_with_field,
)
from bounced.parser.text import MAX_TEXT_BYTES, decode_bytes, decode_transfer, strip_html

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_PARTS = 1_000
MAX_HEADER_BYTES = 256 * 1024
MAX_SUBJECT = 2_000

RETURNED_TYPES = frozenset(
    {
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
        "text/rfc822",
        "text/rfc822-header",
        "message/partial",
    }
)
"""Types of a report's third part (RFC 6522 §3, RFC 6533 §5), right and wrong ones."""

_LF = 0x0A
_FIRST_DELIMITER = re.compile(
    rb"^--(\S[^\n]{4,68}\S)[ \t]{0,80}\n(?=Content-[\w-]{1,40}:)", re.MULTILINE
)
# Behind nothing but a preamble: further down it stands in a message quoted as text.
_LOST_DELIMITER = re.compile(
    rb"(?:[^\n@:]{0,100}\n){0,4}--(\S[^\n]{4,68}\S)[ \t]{0,80}\n(?=Content-[\w-]{1,40}:)"
)
_MAX_PADDING = 80
"""Spaces that may follow a delimiter; without a limit, one long line costs quadratic time."""
_READABLE = ("text/", "message/", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the message."""

    number: int
    """Counted from 1 in the order of the message, leaves only."""
    content_type: str
    fields: Fields
    text: str
    """Decoded, without `\\r`; HTML as visible text; "" where the type holds no text."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message: its own header fields and its leaves."""

    fields: Fields
    content_type: str
    parameters: Mapping[str, str]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]

    def subject(self) -> str:
        """Return the decoded Subject, cut to MAX_SUBJECT characters, or ""."""
        return decode_words(self.fields.first("subject") or "")[:MAX_SUBJECT]


def read_message(raw: bytes) -> Message:
    """Read any bytes; what goes beyond the bounds is read as text and noted; total."""
    return _Reader(raw).read()


class _Reader:
    """The counters of one reading."""

    def __init__(self, raw: bytes) -> None:
        self._notes: list[str] = []
        self._parts: list[Part] = []
        self._entities = 0
        self._charset: str | None = None
        """The first charset that a part declares: what the others, that declare none, are in."""
        if len(raw) > MAX_BYTES:
            self._note(f"only the first {MAX_BYTES} of {len(raw)} bytes were read")
        data = raw[:MAX_BYTES]
        if b"\r" in data:
            # Actually, dma keeps the CR of each line of a reply, and sends another with it.
            data = data.replace(b"\r\r\n", b"\r\n")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\0" in data:
            data = data.replace(b"\0", b"")
            self._note("NUL bytes were removed")
        self._data = data.lstrip(b" \t\n")

    def read(self) -> Message:
        fields, header, body = _split_entity(self._data)
        content_type, parameters = _find_content_type(fields, header)
        if "content-type" not in fields and (found := _LOST_DELIMITER.match(body)):
            content_type, parameters = "multipart/mixed", {"boundary": found[1].decode("latin-1")}
        self._read_body(fields, content_type, parameters, body, depth=1)
        return Message(
            fields, content_type, parameters, tuple(self._parts), tuple(dict.fromkeys(self._notes))
        )

    def _read_body(
        self,
        fields: Fields,
        content_type: str,
        parameters: Mapping[str, str],
        body: bytes,
        depth: int,
    ) -> None:
        self._entities += 1
        boundary = parameters.get("boundary", "")
        if content_type.startswith("multipart/") and self._may_open(boundary, depth):
            pieces = list(_split_multipart(body, boundary.encode("utf-8", "replace")))
            if not pieces and (found := _FIRST_DELIMITER.search(body)):
                # Actually, some relays rewrite host names, and with them the boundary, in the
                # header alone, or lose the line that names it.
                pieces = list(_split_multipart(body, found[1]))
            if pieces:
                self._read_pieces(pieces, depth)
                return
            self._note("a multipart without its boundary was read as text")
            content_type = "text/plain"
        self._add_leaf(fields, content_type, parameters, body)

    def _read_pieces(self, pieces: list[bytes], depth: int) -> None:
        for position, piece in enumerate(pieces):
            if self._entities >= MAX_PARTS:
                self._note(f"more than {MAX_PARTS} parts; the rest was read as text")
                rest = b"\n".join(pieces[position:])
                self._add_leaf(Fields(), "text/plain", {}, rest)
                return
            fields, header, body = _split_entity(piece)
            content_type, parameters = _find_content_type(fields, header)
            self._read_body(fields, content_type, parameters, body, depth + 1)

    def _may_open(self, boundary: str, depth: int) -> bool:
        if depth > MAX_DEPTH:
            self._note(f"nested deeper than {MAX_DEPTH} levels; the rest was read as text")
            return False
        return bool(boundary) and self._entities < MAX_PARTS

    def _add_leaf(
        self, fields: Fields, content_type: str, parameters: Mapping[str, str], body: bytes
    ) -> None:
        text = ""
        if content_type.startswith(_READABLE):
            encoding = fields.first("content-transfer-encoding") or ""
            data = decode_transfer(body[: 2 * MAX_TEXT_BYTES], encoding)[:MAX_TEXT_BYTES]
            charset = parameters.get("charset")
            text = decode_bytes(data, charset, fallback=self._charset)
            self._charset = self._charset or charset
            if "\r" in text:
                text = text.replace("\r\n", "\n")
            if content_type == "text/html":
                text = strip_html(text)
        self._parts.append(Part(len(self._parts) + 1, content_type, fields, text))

    def _note(self, note: str) -> None:
        self._notes.append(note)


def _split_entity(data: bytes) -> tuple[Fields, str, bytes]:
    """Return the fields, the header block as text, and the body of an entity."""
    if data.startswith(b"\n"):
        return Fields(), "", data[1:]
    end = data.find(b"\n\n")
    block = data[: end if end >= 0 else len(data)]
    header = decode_bytes(block[:MAX_HEADER_BYTES])
    if not starts_with_field(header):
        return Fields(), "", data
    header, _ = split_header(header)
    return read_fields(header), header, data[len(block) + 2 :]


def _find_content_type(fields: Fields, header: str) -> tuple[str, dict[str, str]]:
    """Return type and parameters; the default is text/plain (RFC 2045 §5.2)."""
    kind, parameters = parse_content_type(fields.first("content-type") or "text/plain")
    if kind.startswith("multipart/") and not parameters.get("boundary"):
        # Actually, Verizon's gateway does not indent the line that holds the boundary.
        value = header.partition("\nboundary=")[2].partition("\n")[0]
        parameters = {**parameters, **parse_content_type(f"; boundary={value}")[1]}
    return kind if "/" in kind else "text/plain", parameters


def _split_multipart(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield the pieces between delimiter lines; a missing close delimiter ends at the end."""
    start = -1
    for begin, end, closing in _find_delimiters(body, b"--" + boundary):
        if start >= 0:
            yield body[start : max(start, begin - 1)]
        start = end
        if closing:
            return
    if start >= 0:
        yield body[start:]


def _find_delimiters(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int, bool]]:
    position = body.find(delimiter)
    while position >= 0:
        after = position + len(delimiter)
        limit = min(len(body), after + _MAX_PADDING)
        line_end = body.find(b"\n", after, limit)
        end = limit if line_end < 0 else line_end
        rest = body[after:end].strip()
        if (position == 0 or body[position - 1] == _LF) and rest in (b"", b"--"):
            yield position, min(end + 1, len(body)), rest == b"--"
        position = body.find(delimiter, after)
