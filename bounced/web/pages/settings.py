"""What the pages need of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta, tzinfo

from bounced.words.catalogue import Words


@dataclass(frozen=True, slots=True)
class PageSettings:
    """How the pages speak, and how long their links are good."""

    words: Mapping[str, Words]
    """Every language by its code."""
    language: str
    """For whoever asked for none of them."""
    zone: tzinfo
    ttl_days: int
    application: str
    """`notices.application_name`; "" is none."""
    quote_subject: bool
    webhook: bool
    """Whether the application is told by webhook."""
    from_address: str
    """`advice.from_address`; "" is none."""
    check_interval: timedelta | None
    """How often DNS is asked about refused domains; None: never."""
