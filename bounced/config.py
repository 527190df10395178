"""The settings as one typed tree: every key, its default, and what may not stand together.

Defaults live here and nowhere else.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from bounced.model import Category
from bounced.values import (
    Address,
    DatabaseUrl,
    DkimKey,
    Domain,
    Duration,
    HeaderName,
    IpAddress,
    Label,
    LanguageCode,
    MailAddress,
    Network,
    OptionalAddress,
    OptionalDomain,
    OptionalPath,
    PositiveDuration,
    Prefix,
    PublicUrl,
    QuietHours,
    Resolver,
    Size,
    SocketAddress,
    Timezone,
    WebAddress,
    parse_address,
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=False)


class SmtpSettings(_Section):
    """How mail comes in."""

    listen: tuple[Address, ...] = ("127.0.0.1:8025",)
    lmtp_listen: tuple[SocketAddress, ...] = ()
    hostname: str = ""
    own_relays: tuple[Network, ...] = (
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )
    trust: Literal["signed-or-relay", "signed", "any"] = "signed-or-relay"
    max_message: Size = Field(default="10MiB")  # type: ignore[assignment] # parsed by Size
    max_connections: int = Field(default=1000, ge=1)
    max_connections_per_client: int = Field(default=100, ge=1)
    max_commands: int = Field(default=1000, ge=1)
    max_errors: int = Field(default=20, ge=1)
    max_message_memory: Size = Field(default="256MiB")  # type: ignore[assignment] # parsed by Size
    command_timeout: PositiveDuration = Field(default="60s")  # type: ignore[assignment] # parsed
    session_timeout: PositiveDuration = Field(default="10m")  # type: ignore[assignment] # parsed
    tls_certificate_file: OptionalPath = None
    tls_key_file: OptionalPath = None
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

    @model_validator(mode="after")
    def _check_memory(self) -> Self:
        if self.max_message_memory < self.max_message:
            raise ValueError(
                "max_message_memory is less than max_message: the largest could never come in"
            )
        return self


class ReturnPathSettings(_Section):
    """The domains and mailboxes that bounces come back to."""

    domains: tuple[Domain, ...] = ("bounce.example.com",)
    mailboxes: tuple[str, ...] = ("bounces",)
    prefix: Prefix = ""
    keys_file: OptionalPath = None
    ttl: PositiveDuration = Field(default="14d")  # type: ignore[assignment] # parsed by Duration


class AuthorSettings(_Section):
    """Who the authors are, and where a returned message names them."""

    domains: tuple[Domain, ...] = ()
    own_domains: tuple[Domain, ...] = ()
    author_header: HeaderName = "X-Protocol-Author"
    reference_header: HeaderName = "X-Protocol-Id"
    language_header: HeaderName = "Content-Language"


class DatabaseSettings(_Section):
    """Where the ledger lives."""

    url: DatabaseUrl = Field(default="sqlite:///bounced.db", repr=False)


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
    language: LanguageCode = "de"
    timezone: Timezone = "Europe/Berlin"
    templates_directory: OptionalPath = None
    application_name: str = ""
    application_url: str = ""
    quote_subject: bool = True
    quiet_hours: QuietHours = None
    daily_limit: int = Field(default=20, ge=1)
    link_ttl: PositiveDuration = Field(default="60d")  # type: ignore[assignment] # parsed
    smime_certificate_file: OptionalPath = None
    smime_key_file: OptionalPath = None

    def find_quiet_end(self, now: datetime) -> datetime | None:
        """Return when the quiet hours end that `now` lies in, UTC; None: it is not quiet."""
        if self.quiet_hours is None:
            return None
        return self.quiet_hours.find_end(now, ZoneInfo(self.timezone))

    @model_validator(mode="after")
    def _check_smime(self) -> Self:
        if (self.smime_certificate_file is None) != (self.smime_key_file is None):
            raise ValueError(
                "smime_certificate_file and smime_key_file go together: set both or none"
            )
        return self


class RelaySettings(_Section):
    """The server that delivers our notices; without one they are written to a Maildir."""

    host: str = ""
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_file: OptionalPath = None
    authentication: Literal["auto", "plain", "login", "cram-md5", "xoauth2"] = "auto"
    ca_file: OptionalPath = None
    max_connections: int = Field(default=4, ge=1, le=50)
    give_up: PositiveDuration = Field(default="5d")  # type: ignore[assignment] # parsed
    maildir: Path = Path("notices")

    @model_validator(mode="after")
    def _check_password(self) -> Self:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file go together: set both or none")
        if self.username and self.security == "none" and not _is_this_host(self.host):
            raise ValueError(
                "a password is never sent in clear: security = 'none' with a username is for a "
                "relay on this host only"
            )
        return self


class HttpSettings(_Section):
    """The HTTP listener."""

    listen: OptionalAddress = "127.0.0.1:8080"
    public_url: PublicUrl = ""
    tokens_file: OptionalPath = None

    @model_validator(mode="after")
    def _check_public_url(self) -> Self:
        if self.public_url and not self.listen:
            raise ValueError("public_url needs listen: its links lead to this daemon")
        return self


class WebhookSettings(_Section):
    """Where the application hears of what authors do."""

    url: WebAddress = ""
    secret_file: OptionalPath = None
    timeout: PositiveDuration = Field(default="10s")  # type: ignore[assignment] # parsed
    give_up: PositiveDuration = Field(default="3d")  # type: ignore[assignment] # parsed

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        if bool(self.url) != (self.secret_file is not None):
            raise ValueError("url and secret_file go together: set both or none")
        return self


class RetentionSettings(_Section):
    """How long and how much is kept of what nothing else limits."""

    quarantine_age: PositiveDuration = Field(default="90d")  # type: ignore[assignment] # parsed
    quarantine_size: Size = Field(default="1GiB")  # type: ignore[assignment] # parsed by Size
    min_free_space: Size = Field(default="256MiB")  # type: ignore[assignment] # parsed by Size
    events_age: PositiveDuration = Field(default="90d")  # type: ignore[assignment] # parsed


class DnsSettings(_Section):
    """How DNS is asked."""

    enabled: bool = True
    resolvers: tuple[Resolver, ...] = ()
    timeout: PositiveDuration = Field(default="3s")  # type: ignore[assignment] # parsed


class AdviceSettings(_Section):
    """What we have that authors can publish, so that their domains speak for our servers."""

    spf_include: OptionalDomain = ""
    sending_addresses: tuple[IpAddress, ...] = ()
    dkim_cnames: tuple[DkimKey, ...] = ()
    return_path_target: OptionalDomain = ""
    return_path_label: Label = "bounces"
    from_address: MailAddress = ""
    dmarc_reports_to: MailAddress = ""
    check_interval: PositiveDuration = Field(default="24h")  # type: ignore[assignment] # parsed


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
    webhook: WebhookSettings = WebhookSettings()
    dns: DnsSettings = DnsSettings()
    advice: AdviceSettings = AdviceSettings()
    retention: RetentionSettings = RetentionSettings()
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


def list_warnings(settings: Settings) -> list[str]:
    """Return what a careful operator should know: risky choices."""
    warnings = []
    if settings.smtp.trust == "any":
        warnings.append(
            "smtp.trust = 'any' believes every bounce: anyone can have authors mailed; "
            "only authors of authors.domains are"
        )
    if settings.http.listen and not _is_loopback(settings.http.listen):
        warnings.append(
            "http.listen is not on loopback: tokens pass in clear; "
            "let a proxy speak TLS to the world, and listen on 127.0.0.1"
        )
    for name, url in (
        ("http.public_url", settings.http.public_url),
        ("webhook.url", settings.webhook.url),
    ):
        if url.startswith("http:") and not _is_this_host(urlsplit(url).hostname or ""):
            warnings.append(f"{name} is not https: what passes there can be read and repeated")
    if settings.notices.mode == "hold":
        warnings.append(
            "notices.mode = 'hold': no author is mailed until `bounced notices release`"
        )
    if not settings.relay.host:
        warnings.append(
            f"relay.host is empty: notices are written to the Maildir {settings.relay.maildir}"
        )
    elif settings.relay.security == "none" and not _is_this_host(settings.relay.host):
        warnings.append("relay.security = 'none' sends notices in clear")
    return warnings


def _is_loopback(address: str) -> bool:
    return _is_this_host(parse_address(address)[0])


def _is_this_host(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _section_type(name: str) -> type[_Section]:
    annotation = type(getattr(Settings(), name))
    assert issubclass(annotation, _Section)
    return annotation
