"""The settings: one TOML file, overridden key by key from the environment, as one typed tree.

Defaults live here and nowhere else. Durations and sizes are parsed at load into timedelta and
bytes; unknown sections, keys and variables are errors that name the nearest known one.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from bounced.model import Category, ConfigError, domain_key

DEFAULT_PATH = Path("/etc/bounced/config.toml")
ENV_PREFIX = "BOUNCED__"

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)")
_DURATION_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

EMPTY_YET = frozenset(
    {
        "smtp.proxy_protocol_from",
        "http.listen",
        "http.public_url",
        "http.tokens_file",
        "dns.enabled",
        "dns.resolvers",
        "dns.timeout",
        "ledger.quiet_reset",
    }
)
"""Keys that are read and checked but have no effect in this version."""


def parse_duration(value: object) -> timedelta:
    """Parse `<int>(ms|s|m|h|d)`; raises ValueError for anything else, bare numbers too."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no duration: write a number and ms, s, m, h or d: '15m'")
    try:
        return int(match[1]) * _DURATION_UNITS[match[2]]
    except OverflowError:
        raise ValueError(f"{value!r} is longer than a duration can be") from None


def parse_size(value: object) -> int:
    """Parse `<int>(B|KiB|MiB|GiB)` into bytes; raises ValueError for anything else."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no size: write a number and B, KiB, MiB or GiB: '10MiB'")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _parse_address(value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise ValueError(f"{value!r} is no address: write host:port, such as '127.0.0.1:8025'")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _check_address(value: str) -> str:
    _parse_address(value)
    return value


def _check_resolver(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        _parse_address(value)
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
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"{value!r} is no time zone: write a name such as 'Europe/Berlin'"
        ) from None
    return value


def _check_mail_address(value: str) -> str:
    if value and not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", value):
        raise ValueError(f"{value!r} is no mail address: write local@domain, no name, no brackets")
    return value


def _check_positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(_check_positive)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Address = Annotated[str, AfterValidator(_check_address)]
Resolver = Annotated[str, AfterValidator(_check_resolver)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(_parse_network)]
Domain = Annotated[str, AfterValidator(_check_domain)]
MailAddress = Annotated[str, AfterValidator(_check_mail_address)]
Timezone = Annotated[str, AfterValidator(_check_timezone)]
Language = Literal["de", "en"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=False)


class SmtpSettings(_Section):
    """How mail comes in."""

    listen: tuple[Address, ...] = ("127.0.0.1:8025",)
    lmtp_listen: tuple[Address, ...] = ()
    hostname: str = ""
    own_relays: tuple[Network, ...] = (
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )
    trust: Literal["signed-or-relay", "signed", "any"] = "signed-or-relay"
    max_message: Size = Field(default="10MiB")  # type: ignore[assignment] # parsed by Size
    max_connections: int = Field(default=1000, ge=1)
    max_connections_per_client: int = Field(default=100, ge=1)
    command_timeout: PositiveDuration = Field(default="60s")  # type: ignore[assignment] # parsed
    session_timeout: PositiveDuration = Field(default="10m")  # type: ignore[assignment] # parsed
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    require_tls: bool = False
    proxy_protocol_from: tuple[Network, ...] = ()
    senders_allowed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together: set both or none")
        if self.require_tls and self.tls_certificate_file is None:
            raise ValueError("require_tls needs tls_certificate_file and tls_key_file")
        return self


class ReturnPathSettings(_Section):
    """The domains and mailboxes that bounces come back to."""

    domains: tuple[Domain, ...] = ("bounce.example.com",)
    mailboxes: tuple[str, ...] = ("bounces",)
    prefix: str = Field(default="", max_length=32, pattern=r"^[A-Za-z0-9+_.=-]*$")
    keys_file: Path | None = None
    ttl: PositiveDuration = Field(default="14d")  # type: ignore[assignment] # parsed by Duration


class AuthorSettings(_Section):
    """Who the authors are, and where a returned message names them."""

    domains: tuple[Domain, ...] = ()
    own_domains: tuple[Domain, ...] = ()
    author_header: str = Field(default="X-Protocol-Author", pattern=r"^[!-9;-~]+$")
    reference_header: str = Field(default="X-Protocol-Id", pattern=r"^[!-9;-~]+$")
    language_header: str = Field(default="Content-Language", pattern=r"^[!-9;-~]+$")


class DatabaseSettings(_Section):
    """Where the ledger lives."""

    url: str = Field(default="sqlite:///bounced.db", pattern=r"^(sqlite|postgresql)(\+\w+)?:")


class WorkerSettings(_Section):
    """The parser processes and their limits per message."""

    processes: int = Field(default=1, ge=1, le=64)
    message_deadline: PositiveDuration = Field(default="5s")  # type: ignore[assignment] # parsed
    message_memory: Size = Field(default="512MiB")  # type: ignore[assignment] # parsed by Size


class RuleSettings(_Section):
    """The site's own rules."""

    directories: tuple[Path, ...] = ()


class LedgerSettings(_Section):
    """How long a bounce counts."""

    max_age: PositiveDuration = Field(default="14d")  # type: ignore[assignment] # parsed
    quiet_reset: PositiveDuration = Field(default="180d")  # type: ignore[assignment] # parsed


class NoticeSettings(_Section):
    """What authors are told, and how often."""

    mode: Literal["send", "hold"] = "send"
    max_notices: int = Field(default=3, ge=1, le=3)
    digest_window: Duration = Field(default="15m")  # type: ignore[assignment] # parsed by Duration
    min_interval: Duration = Field(default="24h")  # type: ignore[assignment] # parsed by Duration
    min_interval_auth: Duration = Field(default="7d")  # type: ignore[assignment] # parsed
    categories: tuple[Category, ...] = tuple(Category)
    sender: MailAddress = ""
    reply_to: MailAddress = ""
    language: Language = "de"
    timezone: Timezone = "Europe/Berlin"
    templates_directory: Path | None = None
    application_name: str = ""
    application_url: str = ""


class RelaySettings(_Section):
    """The server that delivers our notices; without one they are written to a Maildir."""

    host: str = ""
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_file: Path | None = None
    maildir: Path = Path("notices")

    @model_validator(mode="after")
    def _check_password(self) -> Self:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file go together: set both or none")
        return self


class HttpSettings(_Section):
    """The HTTP listener."""

    listen: Address = "127.0.0.1:8080"
    public_url: str = ""
    tokens_file: Path | None = None


class DnsSettings(_Section):
    """How DNS is asked."""

    enabled: bool = True
    resolvers: tuple[Resolver, ...] = ()
    timeout: PositiveDuration = Field(default="3s")  # type: ignore[assignment] # parsed


class LogSettings(_Section):
    """The form of the log."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    addresses: Literal["full", "masked", "hashed"] = "full"


class Settings(_Section):
    """All settings, one field a section."""

    smtp: SmtpSettings = SmtpSettings()
    return_path: ReturnPathSettings = ReturnPathSettings()
    authors: AuthorSettings = AuthorSettings()
    database: DatabaseSettings = DatabaseSettings()
    workers: WorkerSettings = WorkerSettings()
    rules: RuleSettings = RuleSettings()
    ledger: LedgerSettings = LedgerSettings()
    notices: NoticeSettings = NoticeSettings()
    relay: RelaySettings = RelaySettings()
    http: HttpSettings = HttpSettings()
    dns: DnsSettings = DnsSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _check_relay_needs_sender(self) -> Self:
        if self.relay.host and not self.notices.sender:
            raise ValueError(
                "relay.host needs notices.sender: a real mailbox that authors can answer to"
            )
        return self


def known_keys() -> dict[str, list[str]]:
    """Return section → its keys, in the order of the design."""
    return {name: list(_section_type(name).model_fields) for name in Settings.model_fields}


def find_config_file(option: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: `--config`, `$BOUNCED_CONFIG`, the default place, or none.

    Raises ConfigError when a file is named but missing.
    """
    named = option or (Path(environ["BOUNCED_CONFIG"]) if environ.get("BOUNCED_CONFIG") else None)
    if named is None:
        return DEFAULT_PATH if DEFAULT_PATH.is_file() else None
    if not named.is_file():
        raise ConfigError(f"{named}: no such configuration file")
    return named


def load_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read file and environment into Settings; raises ConfigError naming file, key and mend."""
    tree = _read_toml(path) if path else {}
    origins = {
        (section, key): str(path)
        for section, table in tree.items()
        if isinstance(table, dict)
        for key in table
    }
    for section, key, text, variable in _read_environment(environ):
        table = tree.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = _parse_override(section, key, text, variable)
            origins[section, key] = variable
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        lines = [_describe(detail, origins, path) for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def list_warnings(settings: Settings) -> list[str]:
    """Return what a careful operator should know: keys without effect yet, risky choices."""
    warnings = []
    for name in sorted(EMPTY_YET):
        section, key = name.split(".")
        if key in getattr(settings, section).model_fields_set:
            warnings.append(f"{name} has no effect in this version")
    if settings.smtp.trust == "any":
        warnings.append(
            "smtp.trust = 'any' believes every bounce: anyone can have authors mailed; "
            "only authors of authors.domains are"
        )
    if not settings.relay.host:
        warnings.append(
            f"relay.host is empty: notices are written to the Maildir {settings.relay.maildir}"
        )
    elif settings.relay.security == "none":
        warnings.append("relay.security = 'none' sends notices, and the password, in clear")
    return warnings


def _section_type(name: str) -> type[_Section]:
    annotation = type(getattr(Settings(), name))
    assert issubclass(annotation, _Section)
    return annotation


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _read_environment(environ: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return (section, key, text, variable) of every override; raises ConfigError."""
    known = known_keys()
    names = [f"{ENV_PREFIX}{s}__{k}".upper() for s, keys in known.items() for k in keys]
    found = []
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENV_PREFIX):
            continue
        section, _, key = variable.removeprefix(ENV_PREFIX).lower().partition("__")
        if variable != variable.upper() or key not in known.get(section, []):
            raise ConfigError(f"environment: {variable} is unknown{_nearest(variable, names)}")
        found.append((section, key, text, variable))
    return found


def _parse_override(section: str, key: str, text: str, variable: str) -> object:
    """Read a list as JSON, everything else as the text it is."""
    default = getattr(getattr(Settings(), section), key)
    if not isinstance(default, tuple):
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f'{variable}: not valid JSON: {error}; write ["a", "b"]') from None
    if not isinstance(value, list):
        raise ConfigError(f'{variable}: a list is needed: write ["a", "b"]')
    return value


def _describe(
    detail: ErrorDetails, origins: Mapping[tuple[str, str], str], path: Path | None
) -> str:
    """Turn one validation error into `file: section.key: what is wrong; mend`."""
    parts = [str(part) for part in detail["loc"]]
    section, key = parts[0] if parts else "", parts[1] if len(parts) > 1 else ""
    source = origins.get((section, key)) or str(path or "environment")
    name = ".".join(part for part in parts[:2] if part)
    if len(parts) > 2:  # noqa: PLR2004 - section, key, then the place in a list
        name += f"[{parts[2]}]" if parts[2].isdigit() else ""
    if detail["type"] == "extra_forbidden":
        known = known_keys().get(section, []) if key else list(known_keys())
        what = "unknown key" if key else "unknown section"
        return f"{source}: {name}: {what}{_nearest(key or section, known)}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{source}: {name}: {message}" if name else f"{source}: {message}"


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; did you mean {close[0]}?" if close else ""


def parse_listen(address: str) -> tuple[str, int]:
    """Split a checked `host:port` into host (no brackets) and port."""
    return _parse_address(address)
