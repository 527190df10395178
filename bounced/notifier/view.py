"""Turns a claimed notice into what its mail shows: grouped, cut to size, in one language; pure.

Cases stand by category, then by reason, so that forty of them share one explanation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from zoneinfo import ZoneInfo

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry, EntryStrike
from bounced.model import Category, Reason, recipient_key
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean, clean_address, clean_domain, clean_url

MAX_PROTOCOLS = 10
"""Protocols shown of one case."""
MAX_RECIPIENTS = 200
"""Recipients shown of one protocol, where a case is a domain."""
MAX_TITLE_CHARS = 120
MAX_SUBJECT_TITLE_CHARS = 60
MAX_REPLY_CHARS = 500
MAX_REPLY_CHARS_IN_DIGEST = 160
DIGEST_CASES = 6
"""From this many cases on, the servers' words are cut shorter."""
FORWARDED = "forwarded"
"""Key of the words for a case behind a forwarder, whose target is not ours to tell."""

_CATEGORIES = list(Category)
_REASONS = list(Reason)


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """One protocol that did not arrive."""

    title: str
    url: str | None
    when: str
    """Labelled day and time of sending, else of the failure."""
    recipients: tuple[str, ...]
    """Who did not get it; empty where the case is an address and says so itself."""
    more_recipients: str | None


@dataclass(frozen=True, slots=True)
class CaseView:
    """One address, or one sender domain."""

    subject: str
    number: str
    protocols: tuple[ProtocolView, ...]
    more_protocols: str | None
    total: str | None
    reply_label: str
    reply: str | None


@dataclass(frozen=True, slots=True)
class GroupView:
    """The cases of one reason, and what is to be said of all of them."""

    heading: str
    explanation: str
    action: str
    cases: tuple[CaseView, ...]


@dataclass(frozen=True, slots=True)
class SectionView:
    """The groups of one category."""

    heading: str
    groups: tuple[GroupView, ...]


@dataclass(frozen=True, slots=True)
class NoticeView:
    """Everything that the templates show."""

    subject: str
    intro: str
    common: ProtocolView | None
    """The protocol that all cases share; their own lists leave it out."""
    sections: tuple[SectionView, ...]
    closing: tuple[str, ...]
    automatic: str
    application_url: str | None


def build_view(notice: ClaimedNotice, words: Words, settings: NoticeSettings) -> NoticeView:
    """Return what the mail shows; total for any texts in the notice, which has an entry."""
    return _Teller(notice, words, settings).tell()


class _Teller:
    """What every part of one view needs at hand."""

    def __init__(self, notice: ClaimedNotice, words: Words, settings: NoticeSettings) -> None:
        self._entries = sorted(notice.entries, key=_sort_key)
        self._words = words
        self._zone = ZoneInfo(settings.timezone)
        self._application_url = clean_url(settings.application_url)
        self._application = clean(settings.application_name, MAX_TITLE_CHARS) or words.say(
            "notice.application"
        )
        self._common = self._find_common()

    def tell(self) -> NoticeView:
        return NoticeView(
            subject=self._tell_subject(),
            intro=self._tell_intro(),
            common=self._common,
            sections=tuple(
                self._tell_section(category, list(entries))
                for category, entries in groupby(self._entries, key=lambda entry: entry.category)
            ),
            closing=tuple(self._tell_closing()),
            automatic=self._words.say("notice.automatic", application=self._application),
            application_url=self._application_url,
        )

    def _find_common(self) -> ProtocolView | None:
        """Return the one protocol that several cases have in common."""
        strikes = [strike for entry in self._entries for strike in entry.strikes]
        if len(self._entries) == 1 or len({self._protocol_key(strike) for strike in strikes}) > 1:
            return None
        return self._tell_protocol(strikes, with_recipients=False)

    def _tell_subject(self) -> str:
        if len(self._entries) == 1:
            entry = self._entries[0]
            return self._words.say(
                f"subject.{_kind(entry)}",
                count=len(self._group_protocols(entry)),
                number=entry.number,
                of=entry.max_notices,
                **_subject_values(entry),
            )
        count = _count_recipients(self._entries)
        if self._common is None:
            return self._words.say("subject.several", count=count)
        title = clean(self._common.title, MAX_SUBJECT_TITLE_CHARS)
        return self._words.say("subject.common", count=count, title=title)

    def _tell_intro(self) -> str:
        if len(self._entries) > 1:
            key = "intro.common" if self._common else "intro.several"
            return self._words.say(key, count=_count_recipients(self._entries))
        entry = self._entries[0]
        kind = _kind(entry)
        count = (
            _count_recipients(self._entries)
            if kind == "domain"
            else len(self._group_protocols(entry))
        )
        return self._words.say(f"intro.{kind}", count=count, **_subject_values(entry))

    def _tell_closing(self) -> Iterable[str]:
        kind = _kind(self._entries[0]) if len(self._entries) == 1 else "several"
        if not all(entry.last for entry in self._entries):
            of = max(entry.max_notices for entry in self._entries)
            yield self._words.say(f"closing.{kind}", of=of)
        if any(entry.last for entry in self._entries):
            yield self._words.say(f"closing.{kind}_last")

    def _tell_section(self, category: Category, entries: Sequence[Entry]) -> SectionView:
        return SectionView(
            heading=self._words.say(f"category.{category.value}"),
            groups=tuple(
                self._tell_group(key, list(group)) for key, group in groupby(entries, _group_key)
            ),
        )

    def _tell_group(self, key: str, entries: Sequence[Entry]) -> GroupView:
        values = _subject_values(entries[0])
        return GroupView(
            heading=self._words.say(f"{key}.heading", count=len(entries), **values),
            explanation=self._words.say(
                f"{key}.explanation", count=len(entries), application=self._application
            ),
            action=self._words.say(
                f"{key}.action", count=len(entries), application=self._application
            ),
            cases=tuple(self._tell_case(entry) for entry in entries),
        )

    def _tell_case(self, entry: Entry) -> CaseView:
        is_domain = _kind(entry) == "domain"
        groups = self._group_protocols(entry)
        shown = groups[:MAX_PROTOCOLS] if is_domain or self._common is None else []
        more = len(groups) - len(shown) if shown else 0
        newest = entry.strikes[0]
        server = clean_domain(newest.remote_mta or "")
        reply_key = "notice.reply_from" if server else "notice.reply"
        return CaseView(
            subject=_show_subject(entry),
            number=self._words.say(
                "notice.number_last" if entry.last else "notice.number",
                number=entry.number,
                of=entry.max_notices,
            ),
            protocols=tuple(self._tell_protocol(g, with_recipients=is_domain) for g in shown),
            more_protocols=self._words.say("notice.more_protocols", count=more) if more else None,
            total=self._words.say(f"total.{_kind(entry)}", count=entry.strikes_total)
            if entry.strikes_total > len(entry.strikes)
            else None,
            reply_label=self._words.say(reply_key, server=server),
            reply=self._tell_reply(newest),
        )

    def _tell_reply(self, strike: EntryStrike) -> str | None:
        """Return the server's words, unless they would give a forwarder's target away."""
        if strike.forwarded or not strike.reply:
            return None
        is_digest = len(self._entries) >= DIGEST_CASES
        limit = MAX_REPLY_CHARS_IN_DIGEST if is_digest else MAX_REPLY_CHARS
        return clean(strike.reply, limit) or None

    def _group_protocols(self, entry: Entry) -> list[list[EntryStrike]]:
        """Return the strikes by protocol, in the order given: newest first."""
        groups: dict[object, list[EntryStrike]] = {}
        for strike in entry.strikes:
            groups.setdefault(self._protocol_key(strike), []).append(strike)
        return list(groups.values())

    def _protocol_key(self, strike: EntryStrike) -> object:
        """Tell protocols apart; one that went out in single mails left within the same day."""
        sent_on: date | None = (
            strike.sent_at.astimezone(self._zone).date() if strike.sent_at else None
        )
        return (strike.title, strike.reference, strike.url, sent_on)

    def _tell_protocol(
        self, strikes: Sequence[EntryStrike], *, with_recipients: bool
    ) -> ProtocolView:
        newest = strikes[0]
        title = clean(newest.title or "", MAX_TITLE_CHARS) or self._words.say("notice.untitled")
        reference = clean(newest.reference or "", MAX_TITLE_CHARS)
        label = self._words.say("notice.sent" if newest.sent_at else "notice.failed")
        at = self._words.say_time(newest.sent_at or newest.failed_at, self._zone)
        everyone = _list_recipients(strikes) if with_recipients else []
        more = len(everyone) - MAX_RECIPIENTS
        return ProtocolView(
            title=title if _names(title, reference) else f"{title} ({reference})",
            url=clean_url(newest.url),
            when=f"{label}: {at}",
            recipients=tuple(clean_address(one) for one in everyone[:MAX_RECIPIENTS]),
            more_recipients=self._words.say("notice.more_recipients", count=more)
            if more > 0
            else None,
        )


def _sort_key(entry: Entry) -> tuple[int, bool, int, str]:
    return (
        _CATEGORIES.index(entry.category),
        _is_forwarded(entry),
        _REASONS.index(entry.reason),
        recipient_key(entry.subject),
    )


def _group_key(entry: Entry) -> str:
    return FORWARDED if _is_forwarded(entry) else f"reason.{entry.reason.value}"


def _is_forwarded(entry: Entry) -> bool:
    return _kind(entry) == "address" and entry.strikes[0].forwarded


def _kind(entry: Entry) -> str:
    """Return what the case is about, as the words name it."""
    return "domain" if entry.category is Category.AUTH_FAILURE else "address"


def _show_subject(entry: Entry) -> str:
    return (
        clean_domain(entry.subject) if _kind(entry) == "domain" else clean_address(entry.subject)
    )


def _subject_values(entry: Entry) -> dict[str, str]:
    """Return the placeholders that name the case."""
    shown = _show_subject(entry)
    if _kind(entry) == "domain":
        return {"domain": shown}
    return {"address": shown, "domain": shown.rpartition("@")[2]}


def _names(title: str, reference: str) -> bool:
    """Tell whether the title needs no reference beside it: it has it, or there is none."""
    whole_words = rf"(?<!\w){re.escape(reference)}(?!\w)"
    return not reference or re.search(whole_words, title, re.IGNORECASE) is not None


def _list_recipients(strikes: Iterable[EntryStrike]) -> list[str]:
    """Return each recipient once, by its comparison form, sorted."""
    return sorted({recipient_key(strike.recipient) for strike in strikes})


def _count_recipients(entries: Iterable[Entry]) -> int:
    return len(_list_recipients(strike for entry in entries for strike in entry.strikes))
