"""How a protocol is called in mail and page, and what makes two failures one protocol's; pure."""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo

from bounced.words.cleaning import clean

MAX_TITLE_CHARS = 120


def name_protocol(title: str | None, reference: str | None) -> str:
    """Return title and reference, as far as they are known; else ""; total."""
    shown, number = clean(title or "", MAX_TITLE_CHARS), clean(reference or "", MAX_TITLE_CHARS)
    if not shown or not number or _has_reference(shown, number):
        return shown or number
    return f"{shown} ({number})"


def find_protocol_key(
    title: str | None,
    reference: str | None,
    url: str | None,
    sent_at: datetime | None,
    zone: tzinfo,
) -> object:
    """Tell protocols apart; one that went out in single mails left within the same day."""
    sent_on: date | None = sent_at.astimezone(zone).date() if sent_at else None
    return (title, reference, url, sent_on)


def _has_reference(title: str, reference: str) -> bool:
    whole_words = rf"(?<!\w){re.escape(reference)}(?!\w)"
    return re.search(whole_words, title, re.IGNORECASE) is not None
