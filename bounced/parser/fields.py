"""Reads the single tokens of a report: addresses, status codes, replies, hosts, dates; total.

RFC 3464 §2.1.2 (typed values), RFC 3461 §4 (xtext), RFC 6533 §3 (utf-8 addresses), RFC 3463
(status codes), RFC 5321 §4.2 (replies), RFC 5322 §3.3 (dates) and §3.4 (addresses).
"""

import re
from datetime import UTC, datetime, timedelta, timezone

# Actually, RFC 5321 atoms plus the letters of any script (RFC 6531), bounded in length so that no
# text costs more than linear time.
_LOCAL = r"[\w!#$%&'*+/=?^`{|}~.-]"
_QUOTED = r'"[^"\n]{1,62}"'
_DOMAIN = r"(?:(?:[\w-]{1,63}\.){1,10}[\w-]{2,63}|\[[0-9A-Fa-fv:.]{3,45}\])"
ADDRESS = rf"(?:(?<![@\w!#$%&'*+/=?^`{{|}}~.-]){_LOCAL}{{1,64}}|{_QUOTED})@{_DOMAIN}(?![\w@-])"
"""Pattern of one whole address in running text; never a part of a longer one."""

_ADDRESS = re.compile(ADDRESS)
_ANGLE = re.compile(r"<([^<>\n]{1,320})>")
_PLAUSIBLE = re.compile(rf"(?:{_LOCAL}{{1,64}}|\"[^\"\n]{{1,62}}\"|[^\s<>@]{{1,64}})@{_DOMAIN}")
_TYPE = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9-]{1,30})\s*;\s*")
_UNICODE_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_LEADING_CODE = re.compile(r"\s*([2-5]\d\d)(?=[\s:-]|$)")
_CODE = re.compile(r"(?<![\d.:/\[-])([45][0-5]\d)(?=[ -](?:[\w<#\"'\[(]|$)|: |$)")
_HOST = re.compile(r"\[?[\w.:-]+\]?")
_DATE = re.compile(
    r"(\d{1,2})[ -]([A-Za-z]{3})[a-z]{0,6}[ -](\d{2,4})\s+(\d{1,2}):(\d{2})(?::(\d{2}))?"
    r"\s*([+-]\d{4})?"
)
_ISO_DATE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d{1,9})?"
    r"\s*([+-]\d{2}:?\d{2})?"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        start=1,
    )
}
_SURROGATES = range(0xD800, 0xE000)
_LAST_CODE_POINT = 0x10FFFF
_FULL = 4
_PIVOT = 50


def is_address(text: str) -> bool:
    """Tell whether the whole text is one plausible address."""
    return _PLAUSIBLE.fullmatch(text) is not None


def find_addresses(text: str) -> list[str]:
    """Return the whole addresses of running text, in order, without enclosing quotes."""
    if "@" not in text:
        return []
    return [match[0].strip("'`").rstrip(".") for match in _ADDRESS.finditer(text)]


def parse_typed(value: str) -> tuple[str, str]:
    """Split `rfc822; a@b` into lower-case type and value; the type is "" where there is none."""
    match = _TYPE.match(value)
    return (match[1].lower(), value[match.end() :].strip()) if match else ("", value.strip())


def parse_recipient(value: str) -> str | None:
    """Return the address of a Final- or Original-Recipient field (RFC 3464 §2.3.1), else None.

    Kept as received, without type prefix and angle brackets; a name without domain is one, too.
    """
    kind, address = parse_typed(value)
    angle = _ANGLE.search(address)
    address = (angle[1] if angle else address).strip().strip("<>").strip()
    if kind.startswith("utf") and "\\x{" in address:
        address = _UNICODE_POINT.sub(_unescape_point, address)
    if "@" not in address and "+40" in address:
        address = _XTEXT.sub(lambda match: chr(int(match[1], 16)), address)
    return address if address and (is_address(address) or _is_local_name(address)) else None


def _is_local_name(text: str) -> bool:
    return re.fullmatch(rf"{_LOCAL}{{1,64}}", text) is not None and text.lower() != "unknown"


def _unescape_point(match: re.Match[str]) -> str:
    """Undo RFC 6533 §3 EmbeddedUnicodeChar; what is no letter stays as it is."""
    point = int(match[1], 16)
    allowed = 0 < point <= _LAST_CODE_POINT and point not in _SURROGATES
    return chr(point) if allowed else match[0]


def parse_mailboxes(value: str) -> tuple[str, ...]:
    """Return the addresses of a From or To field, display names left out; total."""
    found: list[str] = []
    for piece in re.findall(r'(?:[^",]++|"[^"]*+"|")++', value):
        angle = _ANGLE.findall(piece)
        if angle and is_address(angle[-1].strip()):
            found.append(angle[-1].strip())
        elif not angle:
            found.extend(find_addresses(piece)[:1])
    return tuple(found)


def parse_path(value: str) -> str | None:
    """Return the address of a Return-Path, "" for the null path, None where there is none."""
    text = value.strip()
    if text.startswith("<>"):
        return ""
    found = find_addresses(text)
    return found[0] if found else None


def parse_message_id(value: str) -> str | None:
    """Return a Message-ID without its angle brackets, or None."""
    angle = _ANGLE.search(value)
    return (angle[1] if angle else value).strip() or None


def parse_status(text: str) -> str | None:
    """Return the first enhanced status code (RFC 3463 §2), never part of an IP address."""
    match = _STATUS.search(text)
    return match[1] if match else None


def parse_leading_code(text: str) -> int | None:
    """Return the reply code (RFC 5321 §4.2) that `text` begins with."""
    match = _LEADING_CODE.match(text)
    return int(match[1]) if match else None


def find_code(text: str) -> re.Match[str] | None:
    """Find where a server's reply begins inside running text."""
    return _CODE.search(text)


def parse_host(value: str) -> str | None:
    """Return the host of a `dns; host (comment)` field, or None."""
    _, rest = parse_typed(value)
    match = _HOST.match(rest)
    return match[0] if match and any(letter.isalnum() for letter in match[0]) else None


def parse_date(value: str | None) -> datetime | None:
    """Return an RFC 5322 or ISO 8601 date as aware UTC; an unnamed zone counts as UTC; total."""
    if not value:
        return None
    text = value[:200]
    if match := _DATE.search(text):
        day, name, year, hour, minute, second, zone = match.groups()
        month = _MONTHS.get(name.lower(), 0)
    elif match := _ISO_DATE.search(text):
        year, iso_month, day, hour, minute, second, zone = match.groups()
        month = int(iso_month)
    else:
        return None
    try:
        local = datetime(
            _full_year(year),
            month,
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),  # a leap second
            tzinfo=_parse_zone(zone),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _full_year(year: str) -> int:
    """Complete a year of two or three digits (RFC 5322 §4.3)."""
    if len(year) == _FULL:
        return int(year)
    return int(year) + (2000 if int(year) < _PIVOT else 1900)


def _parse_zone(zone: str | None) -> timezone:
    if not zone:
        return UTC
    digits = zone.replace(":", "")
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return timezone(-offset if digits[0] == "-" else offset)
