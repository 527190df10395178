"""Cuts a header block into fields and decodes their words; total.

RFC 5322 §2.2 (fields, folding), RFC 2047 (encoded words), RFC 2045 §5.1 (parameters),
RFC 6532 (UTF-8 in headers).
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bounced.parser.text import decode_base64, decode_bytes

MAX_FIELDS = 1_000
_MAX_CONTENT_TYPE = 4_000

# RFC 5322 §2.2: printable ASCII but colon. Actually, space before the colon is accepted, too
# (Exchange 5.5).
_FIELD = re.compile(r"^([!-9;-~]++)[ \t]*+:[ \t]*+(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)
_FOLD = re.compile(r"\n[ \t]+")
_ENVELOPE_LINE = re.compile(r">?From [^\n]*\n")
# RFC 2047 §2; space between two encoded words is not part of the text (§6.2).
_WORD = re.compile(r"=\?([!-<>@-~]{1,40})\?([bBqQ])\?([^?\n]{0,2000})\?=(\s*(?==\?))?")
_PARAMETER = re.compile(r';\s*+([\w*-]++)\s*+=\s*+("(?:[^"\\]|\\.)*+"|[^\s;"]++)')


@dataclass(frozen=True, slots=True)
class Fields:
    """Header fields by lower-case name, values unfolded, in order of appearance."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def first(self, name: str) -> str | None:
        """Return the topmost field `name` (lower case), or None."""
        found = self.values.get(name)
        return found[0] if found else None

    def every(self, name: str) -> tuple[str, ...]:
        """Return all fields `name` (lower case), topmost first."""
        return self.values.get(name, ())

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __bool__(self) -> bool:
        return bool(self.values)


def read_fields(block: str) -> Fields:
    """Read up to MAX_FIELDS fields of a header block; lines that are none are skipped; total."""
    values: dict[str, tuple[str, ...]] = {}
    for count, match in enumerate(_FIELD.finditer(block)):
        if count == MAX_FIELDS:
            break
        name = match[1].lower()
        value = match[2]
        if "\n" in value:
            value = _FOLD.sub(" ", value)
        values[name] = (*values.get(name, ()), value.rstrip())
    return Fields(values)


def starts_with_field(text: str) -> bool:
    """Tell whether the first line, after an mbox separator, is a header field."""
    return _FIELD.match(_skip_envelope_line(text)) is not None


def split_header(text: str) -> tuple[str, str]:
    r"""Split at the first empty line into header block and body; both without `\r`."""
    block, _, body = text.partition("\n\n")
    return _skip_envelope_line(block), body


def _skip_envelope_line(text: str) -> str:
    match = _ENVELOPE_LINE.match(text)
    return text[match.end() :] if match else text


def decode_words(value: str) -> str:
    """Decode RFC 2047 words; what is not one stays as it is; total."""
    if "=?" not in value:
        return value
    return "".join(_decode_runs(value))


def _decode_runs(value: str) -> Iterator[str]:
    position = 0
    pending, charset = b"", ""
    for word in _WORD.finditer(value):
        between = value[position : word.start()]
        if between or word[1].lower() != charset:
            yield decode_bytes(pending, charset)
            yield between
            pending, charset = b"", word[1].lower()
        # Actually, a letter may be cut in two by a word's end (old Outlook): join before decoding.
        pending += _decode_word(word[2], word[3])
        position = word.end()
    yield decode_bytes(pending, charset)
    yield value[position:]


def _decode_word(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "bB":
        return decode_base64(data)
    return binascii.a2b_qp(data, header=True)


def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Split a Content-Type into its lower-case type and its parameters, names in lower case."""
    kind = value.partition(";")[0].strip().lower()
    parameters = {
        match[1].lower().rstrip("*"): match[2].strip('"').strip()
        for match in _PARAMETER.finditer(value, 0, _MAX_CONTENT_TYPE)
    }
    return kind, parameters
