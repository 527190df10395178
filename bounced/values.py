"""How single settings are written: durations, sizes, addresses, networks, names.

Each is checked where it is read, so that an error names the key; the texts tell the mend.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from bounced.model import domain_key

_DURATION = re.compile(r"([0-9]{1,18})(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,18})(B|KiB|MiB|GiB)")
_DURATION_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST = timedelta(days=36_500)
_SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_CLOCK_TIMES = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
"""A host's name, in lower case; with the underscores that containers have."""
_LONGEST_HOST = 254
"""Its dot at the end included (RFC 1035 §2.3.4)."""
_HIGHEST_PORT = 65_535
_DKIM_CNAME = re.compile(
    r"([a-z0-9_](?:[a-z0-9_.-]{0,61}[a-z0-9])?)=((?:[a-z0-9_-]|\{domain\})+(?:\.(?:[a-z0-9_-]|\{domain\})+)+\.?)"
)
_LONGEST_SOCKET_PATH = 107
"""Bytes; what Linux has room for (unix(7))."""


@dataclass(frozen=True, slots=True)
class QuietTimes:
    """The part of each day, by the wall clock, in which nobody is written to."""

    begin: time
    end: time
    """Not included; before `begin` where midnight lies between."""

    def find_end(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when the quiet that `now` lies in ends, UTC; None: it is not quiet."""
        local = now.astimezone(zone)
        clock = local.time()
        over_midnight = self.end < self.begin
        if over_midnight:
            is_quiet = clock >= self.begin or clock < self.end
        else:
            is_quiet = self.begin <= clock < self.end
        if not is_quiet:
            return None
        day = local.date() + timedelta(days=1 if over_midnight and clock >= self.begin else 0)
        return datetime.combine(day, self.end, zone).astimezone(UTC)


def parse_quiet_times(value: object) -> QuietTimes | None:
    """Parse `22:00-06:00`; an empty text is None; raises ValueError for anything else."""
    if value is None or value == "":
        return None
    match = _CLOCK_TIMES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} are no hours: write begin and end, such as '22:00-06:00'")
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if begin == end:
        raise ValueError(f"{value!r} is the whole day or nothing: begin and end must differ")
    return QuietTimes(begin, end)


def parse_duration(value: object) -> timedelta:
    """Parse `<int>(ms|s|m|h|d)`; raises ValueError for anything else, bare numbers too."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no duration: write a number and ms, s, m, h or d: '15m'")
    try:
        duration = int(match[1]) * _DURATION_UNITS[match[2]]
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"{value!r} is too long: {_LONGEST.days}d at most")
    return duration


def parse_size(value: object) -> int:
    """Parse `<int>(B|KiB|MiB|GiB)` into bytes; raises ValueError for anything else."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no size: write a number and B, KiB, MiB or GiB: '10MiB'")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def parse_address(value: str) -> tuple[str, int]:
    """Split `host:port` into host, without brackets, and port; raises ValueError."""
    host, colon, port = value.rpartition(":")
    if (
        not colon
        or not host
        or not port.isascii()
        or not port.isdigit()
        or int(port) > _HIGHEST_PORT
    ):
        raise ValueError(f"{value!r} is no address: write host:port, such as '127.0.0.1:8025'")
    return host.removeprefix("[").removesuffix("]"), int(port)


def parse_socket_path(value: str) -> Path | None:
    """Return the path of `unix:/path`; None for any other address; raises ValueError."""
    scheme, colon, path = value.partition(":")
    if not colon or scheme != "unix":
        return None
    if not path.startswith("/") or len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(
            f"{value!r} is no local socket: write unix:/path, absolute, "
            f"{_LONGEST_SOCKET_PATH} bytes at most"
        )
    return Path(path)


def _check_address(value: str) -> str:
    parse_address(value)
    return value


def _check_socket_address(value: str) -> str:
    if parse_socket_path(value) is None:
        parse_address(value)
    return value


def _check_optional_address(value: str) -> str:
    return _check_address(value) if value else value


def _check_resolver(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        host, _ = parse_address(value)
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(
                f"{value!r} is no resolver: write its address, or address:port"
            ) from None
    return value


def _parse_network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(str(value))
    except ValueError as error:
        raise ValueError(
            f"{value!r} is no network: {error}; write an address or address/bits"
        ) from None


def _check_domain(value: str) -> str:
    key = domain_key(value)
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", key):
        raise ValueError(f"{value!r} is no domain name")
    return key


def _check_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones is an OSError
        raise ValueError(
            f"{value!r} is no time zone: write a name such as 'Europe/Berlin'"
        ) from None
    return value


def _check_mail_address(value: str) -> str:
    if value.lower().startswith("mailto:"):
        raise ValueError(f"{value!r} is a link: write the address alone, without mailto:")
    if value and not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", value):
        raise ValueError(f"{value!r} is no mail address: write local@domain, no name, no brackets")
    return value


def _check_database_url(value: str) -> str:
    """Refuse what is no URL of ours; the value is not repeated, it may hold a password."""
    if not re.match(r"(sqlite|postgresql)(\+\w+)?://", value):
        raise ValueError(
            "no URL of a database: write sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    return value


def _check_header_name(value: str) -> str:
    if not re.fullmatch(r"[!-9;-~]+", value):
        raise ValueError(f"{value!r} is no header field's name: no spaces, no colon")
    return value


def _check_prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9+_.=-]{0,32}", value):
        raise ValueError(f"{value!r} is no prefix: at most 32 letters, digits or one of + _ . = -")
    return value


def _check_language(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}", value):
        raise ValueError(f"{value!r} is no language: write its code, such as 'de'")
    return value


def _check_public_url(value: str) -> str:
    """Refuse what is no address to put paths behind; return it without a slash at its end."""
    _check_web_address(value)
    if "?" in value:
        raise ValueError(f"{value!r} has a query, behind which no path can stand")
    return value.rstrip("/")


def _check_web_address(value: str) -> str:
    if not value:
        return value
    wrong = ValueError(f"{value!r} is no web address: write 'https://bounces.example.com'")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
        if "[" in parts.netloc:
            ipaddress.IPv6Address(host)
        elif len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
            raise wrong
    except ValueError:
        raise wrong from None
    whole = parts.scheme in {"http", "https"} and value.isascii()
    if not whole or parts.fragment or parts.username or not value.isprintable():
        raise wrong
    if any(character in value for character in " <>\"'\\"):
        raise wrong
    return value


def _parse_path(value: object) -> object:
    """Read an empty path as none: TOML and the environment have no other way to say it."""
    return None if value == "" else value


def _check_positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return value


def _parse_ip_address(value: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return value
    try:
        return ipaddress.ip_address(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no IP address: write one such as '192.0.2.25'") from None


def _check_optional_domain(value: str) -> str:
    return _check_domain(value) if value else value


def _check_label(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError(f"{value!r} is no label: write one part of a host's name: 'bounces'")
    return value


@dataclass(frozen=True, slots=True)
class DkimCname:
    """Where the key of one of our selectors stands, to which a CNAME of the author leads."""

    selector: str
    target: str
    """Host name; `{domain}` in it stands for the author's domain."""


def parse_dkim_cname(value: object) -> DkimCname:
    """Parse `selector=host`; raises ValueError for anything else."""
    if isinstance(value, DkimCname):
        return value
    match = _DKIM_CNAME.fullmatch(value.lower()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{value!r} is no CNAME of a key: write selector=host, such as "
            "'s1=s1.dkim.example.com'; {domain} in the host stands for the author's domain"
        )
    selector, target = match[1], match[2].rstrip(".")
    if "_domainkey" in selector:
        short = selector.partition("._domainkey")[0]
        raise ValueError(f"{value!r} names more than the selector: write '{short}={target}'")
    return DkimCname(selector, target)


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(_check_positive)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Address = Annotated[str, AfterValidator(_check_address)]
SocketAddress = Annotated[str, AfterValidator(_check_socket_address)]
OptionalAddress = Annotated[str, AfterValidator(_check_optional_address)]
Resolver = Annotated[str, AfterValidator(_check_resolver)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(_parse_network)]
Domain = Annotated[str, AfterValidator(_check_domain)]
OptionalDomain = Annotated[str, AfterValidator(_check_optional_domain)]
IpAddress = Annotated[
    ipaddress.IPv4Address | ipaddress.IPv6Address, BeforeValidator(_parse_ip_address)
]
Label = Annotated[str, AfterValidator(_check_label)]
DkimKey = Annotated[DkimCname, BeforeValidator(parse_dkim_cname)]
MailAddress = Annotated[str, AfterValidator(_check_mail_address)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
Prefix = Annotated[str, AfterValidator(_check_prefix)]
Timezone = Annotated[str, AfterValidator(_check_timezone)]
LanguageCode = Annotated[str, AfterValidator(_check_language)]
WebAddress = Annotated[str, AfterValidator(_check_web_address)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
QuietHours = Annotated[QuietTimes | None, BeforeValidator(parse_quiet_times)]
OptionalPath = Annotated[Path | None, BeforeValidator(_parse_path)]
