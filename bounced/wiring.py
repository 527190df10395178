"""What each room needs of the settings, in the form in which it wants it.

The only place that knows both the configuration and the rooms' own settings types.
"""

from __future__ import annotations

from datetime import timedelta

from bounced.advisor.diagnose import Means
from bounced.config import Settings
from bounced.ledger.policy import PolicySettings
from bounced.model import domain_key
from bounced.origin.admission import AdmissionSettings
from bounced.origin.resolve import OriginSettings, TrustMode
from bounced.parser.report import HeaderNames


def make_admission(settings: Settings) -> AdmissionSettings:
    """Return what the door needs to know."""
    return AdmissionSettings(
        domains=settings.return_path.domains,
        mailboxes=settings.return_path.mailboxes,
        prefix=settings.return_path.prefix,
        ttl_days=-(-settings.return_path.ttl // timedelta(days=1)),
        senders_allowed=settings.smtp.senders_allowed,
    )


def make_origin(settings: Settings) -> OriginSettings:
    """Return what the judgement of origin needs to know."""
    return OriginSettings(
        own_relays=settings.smtp.own_relays,
        trust=TrustMode(settings.smtp.trust),
        author_domains=settings.authors.domains,
    )


def make_policy(settings: Settings) -> PolicySettings:
    """Return what counting and the rhythm of notices need to know."""
    return PolicySettings(
        max_age=settings.ledger.max_age,
        quiet_reset=settings.ledger.quiet_reset,
        return_domains=frozenset(settings.return_path.domains),
        max_notices=settings.notices.max_notices,
        digest_window=settings.notices.digest_window,
        min_interval=settings.notices.min_interval,
        min_interval_auth=settings.notices.min_interval_auth,
        categories=frozenset(settings.notices.categories),
        own_domains=frozenset(domain_key(domain) for domain in settings.authors.own_domains),
        daily_limit=settings.notices.daily_limit,
        first_round=1 if settings.relay.host else 0,
    )


def make_means(settings: Settings) -> Means:
    """Return what the configuration says of us."""
    return Means(
        offers=settings.advice,
        own_domains=frozenset(map(domain_key, settings.authors.own_domains)),
        return_domains=frozenset(map(domain_key, settings.return_path.domains)),
    )


def make_header_names(settings: Settings) -> HeaderNames:
    """Return the headers that tell of author, reference and language."""
    return HeaderNames(
        author=settings.authors.author_header,
        reference=settings.authors.reference_header,
        language=settings.authors.language_header,
    )
