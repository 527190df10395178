"""Everything that is made from the settings before anything runs: files read, rooms furnished.

Making it changes nothing, so that a reload can try it and keep the old one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bounced.config import Settings
from bounced.keyfile import KeyFile, describe_open_file, open_keys, read_secret
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import Delivery, MaildirDelivery, SmtpDelivery
from bounced.notifier.dispatcher import DispatcherSettings
from bounced.origin.admission import AdmissionSettings
from bounced.parser.rulecheck import check_rules
from bounced.parser.ruleset import TableError, parse_rules
from bounced.processor.pool import ParserPool
from bounced.processor.processor import ProcessorSettings
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Limits
from bounced.web.tokens import TokenFile
from bounced.wiring import make_admission, make_header_names, make_origin, make_policy


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


def make_plan(settings: Settings, database_file: Path | None) -> Plan:
    """Read every file that is named and check it; raises ConfigError, RuleError."""
    keys = open_keys(settings, database_file)
    admission, policy = make_admission(settings), make_policy(settings)
    composer = make_composer(settings)
    composer.check()
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
        ),
        admission,
        keys,
        TokenFile(settings.http.tokens_file) if settings.http.tokens_file else None,
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
        settings.relay.password_file,
    )
    return [said for path in files if path is not None and (said := describe_open_file(path))]


def make_composer(settings: Settings) -> Composer:
    """Read words and templates; raises ConfigError."""
    return Composer(
        settings.notices.templates_directory,
        settings.notices,
        fallback_sender=f"postmaster@{settings.return_path.domains[0]}",
    )


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
    relay = settings.relay
    if not relay.host:
        return MaildirDelivery(relay.maildir)
    password = (
        read_secret(relay.password_file, "relay.password_file") if relay.password_file else None
    )
    return SmtpDelivery(relay, password=password)
