"""How the protocols of a notice are told apart and named; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from bounced.config import NoticeSettings
from bounced.ledger.records import EntryStrike
from bounced.notifier.grouping import list_recipients
from bounced.notifier.view import ProtocolView
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean_address, clean_url
from bounced.words.naming import find_protocol_key, name_protocol

MAX_RECIPIENTS = 200
"""Recipients shown of one protocol, where a case is a domain."""


class Protocols:
    """Names protocols in one language, by the site's settings."""

    def __init__(self, words: Words, settings: NoticeSettings) -> None:
        self._words = words
        self._zone = ZoneInfo(settings.timezone)
        self._quote_subject = settings.quote_subject

    def group(self, strikes: Iterable[EntryStrike]) -> list[list[EntryStrike]]:
        """Return the strikes by protocol, in the order given: newest first."""
        groups: dict[object, list[EntryStrike]] = {}
        for strike in strikes:
            groups.setdefault(self.find_key(strike), []).append(strike)
        return list(groups.values())

    def find_key(self, strike: EntryStrike) -> object:
        """Tell protocols apart."""
        return find_protocol_key(
            strike.title, strike.reference, strike.url, strike.sent_at, self._zone
        )

    def name(self, strike: EntryStrike) -> str:
        """Return title and reference, as far as they are known and may be shown; else ""."""
        is_shown = self._quote_subject or not strike.title_from_subject
        return name_protocol(strike.title if is_shown else None, strike.reference)

    def tell(self, strikes: Sequence[EntryStrike], *, with_recipients: bool) -> ProtocolView:
        """Return the protocol that the strikes have in common."""
        newest = strikes[0]
        label = self._words.say("notice.sent" if newest.sent_at else "notice.failed")
        at = self._words.say_time(newest.sent_at or newest.failed_at, self._zone)
        everyone = list_recipients(strikes) if with_recipients else []
        more = len(everyone) - MAX_RECIPIENTS
        return ProtocolView(
            title=self.name(newest) or self._words.say("notice.untitled"),
            url=clean_url(newest.url),
            when=f"{label}: {at}",
            recipients=tuple(clean_address(one) for one in everyone[:MAX_RECIPIENTS]),
            more_recipients=self._words.say("notice.more_recipients", count=more)
            if more > 0
            else None,
        )
