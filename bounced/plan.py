"""Everything that is made from the settings before anything runs: files read, rooms furnished.

Making it changes nothing, so that a reload can try it and keep the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bounced.advisor.senders import SenderSettings
from bounced.config import Settings
from bounced.keyfile import KeyFile, describe_open_file, open_keys, read_secret
from bounced.ledger.records import ClaimedNotice, Entry
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import Delivery, MaildirDelivery, SmtpDelivery
from bounced.notifier.dispatcher import DispatcherSettings
from bounced.notifier.smime import Signer
from bounced.notifier.telling import Links
from bounced.origin.admission import AdmissionSettings
from bounced.origin.link import seal_link
from bounced.origin.token import KeyRing, find_day
from bounced.parser.rulecheck import check_rules
from bounced.parser.ruleset import TableError, parse_rules
from bounced.processor.pool import ParserPool
from bounced.processor.processor import ProcessorSettings
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Limits
from bounced.web.pages.settings import PageSettings
from bounced.web.signing import read_signing_secrets
from bounced.web.tokens import TokenFile
from bounced.wiring import (
    make_admission,
    make_header_names,
    make_means,
    make_origin,
    make_policy,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a daemon works by until the next reload."""

    settings: Settings
    rules: dict[str, str]
    processor: ProcessorSettings
    dispatcher: DispatcherSettings
    admission: AdmissionSettings
    keys: KeyFile
    tokens: TokenFile | None
    """Who may use the API; None: nobody."""
    pages: PageSettings | None
    """What the pages behind the links of notices need; None: there are none."""
    senders: SenderSettings
    """By what refused sender domains are looked into."""


def make_plan(settings: Settings, database_file: Path | None) -> Plan:
    """Read every file that is named and check it; raises ConfigError, RuleError."""
    keys = open_keys(settings, database_file)
    admission, policy = make_admission(settings), make_policy(settings)
    links, signer = make_links(settings, lambda: keys.ring), load_signer(settings)
    composer = make_composer(settings, links=links, signer=signer)
    composer.check()
    if settings.webhook.secret_file:
        read_signing_secrets(settings.webhook.secret_file)
    rules = load_rules(settings)
    return Plan(
        settings,
        rules,
        ProcessorSettings(make_origin(settings), policy),
        DispatcherSettings(
            settings.notices,
            policy,
            admission,
            lambda: keys.ring,
            composer,
            make_delivery(settings),
            settings.relay,
        ),
        admission,
        keys,
        TokenFile(settings.http.tokens_file) if settings.http.tokens_file else None,
        _make_pages(settings, composer) if settings.http.public_url else None,
        SenderSettings(settings.dns, make_means(settings), policy),
    )


def load_rules(settings: Settings) -> dict[str, str]:
    """Read all rule files and run the examples of the site's own; raises TableError."""
    files = read_rule_files(settings.rules.directories)
    ours = read_rule_files(())
    faults = check_rules(parse_rules(files), files.keys() - ours.keys())
    if faults:
        raise TableError(faults)
    return files


def list_open_secrets(plan: Plan) -> list[str]:
    """Say which files of secrets everybody may read, each with its mend."""
    settings = plan.settings
    files = (
        plan.keys.path,
        settings.smtp.tls_key_file,
        settings.http.tokens_file,
        settings.webhook.secret_file,
        settings.relay.password_file,
        settings.notices.smime_key_file,
    )
    return [said for path in files if path is not None and (said := describe_open_file(path))]


def make_composer(
    settings: Settings, *, links: Links | None = None, signer: Signer | None = None
) -> Composer:
    """Read words and templates; raises ConfigError."""
    return Composer(
        settings.notices.templates_directory,
        settings.notices,
        fallback_sender=f"postmaster@{settings.return_path.domains[0]}",
        from_address=settings.advice.from_address,
        links=links,
        signer=signer,
    )


def load_signer(settings: Settings) -> Signer | None:
    """Read what signs notices; None: nothing does. Raises ConfigError."""
    certificate, key = settings.notices.smime_certificate_file, settings.notices.smime_key_file
    return Signer.load(certificate, key) if certificate and key else None


def make_links(settings: Settings, ring: Callable[[], KeyRing]) -> Links | None:
    """Return what makes the addresses of a notice's pages; None without a public URL."""
    base = settings.http.public_url

    def link(notice: ClaimedNotice, entry: Entry | None) -> str:
        case, day = entry.case if entry else None, find_day(notice.claimed_at)
        return f"{base}/n/{seal_link(notice.notice, case, day, ring().signing)}"

    return link if base else None


def make_pool(settings: Settings, rules: dict[str, str]) -> ParserPool:
    """Return parser processes that start at the first message."""
    workers = settings.workers
    return ParserPool(
        rules,
        make_header_names(settings),
        Limits(workers.message_deadline.total_seconds(), workers.message_memory),
        workers.processes,
    )


def make_delivery(settings: Settings) -> Delivery:
    """Return the way that notices go; raises ConfigError."""
    relay = settings.relay
    if not relay.host:
        return MaildirDelivery(relay.maildir)
    password = (
        read_secret(relay.password_file, "relay.password_file") if relay.password_file else None
    )
    return SmtpDelivery(relay, password=password)


def _make_pages(settings: Settings, composer: Composer) -> PageSettings:
    notices = settings.notices
    return PageSettings(
        words=composer.words,
        language=notices.language,
        zone=ZoneInfo(notices.timezone),
        ttl_days=-(-notices.link_ttl // timedelta(days=1)),
        application=notices.application_name,
        from_address=settings.advice.from_address,
        quote_subject=notices.quote_subject,
        webhook=bool(settings.webhook.url),
        check_interval=settings.advice.check_interval if settings.dns.enabled else None,
    )
