"""Turns what the ledger knows of a link into what its page shows, in one language; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bounced.ledger.authors import AuthorAction, PageCase, PageFacts
from bounced.ledger.records import DNS_PASSED, CaseState, EntryStrike
from bounced.model import Category
from bounced.web.pages.advice import AdvicePart, build_advice
from bounced.web.pages.settings import PageSettings
from bounced.web.pages.typed import Typed
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean_address, clean_own_domain, clean_slip, clean_url
from bounced.words.naming import find_protocol_key, name_protocol

MAX_PROTOCOLS = 5
"""The buttons must not be far down on a telephone; the mail has more."""

_Values = dict[str, Any]
"""Placeholders of phrases, by name."""
_DOUBTFUL = frozenset({Category.BAD_ADDRESS, Category.SYSTEM, Category.UNKNOWN})
"""Where the address is the likelier fault, so that a new one is asked for first."""


@dataclass(frozen=True, slots=True)
class ProtocolLine:
    """One protocol that did not arrive."""

    title: str
    when: str
    url: str | None


@dataclass(frozen=True, slots=True)
class SuggestionView:
    """The address that may be meant."""

    address: str
    """As it is, for the form."""
    question: str
    button: str


@dataclass(frozen=True, slots=True)
class OpenView:
    """What an author may say about a case."""

    question: str
    suggestion: SuggestionView | None
    correct_first: bool
    hints: tuple[str, ...]
    """To the button that says that all is well."""
    typed: Typed


@dataclass(frozen=True, slots=True)
class CaseView:
    """The page of one case."""

    heading: str
    texts: tuple[str, ...]
    advice: AdvicePart | None
    """What mends a domain; None: it is about an address, or closed."""
    subject: str
    number: str
    protocols_label: str
    protocols: tuple[ProtocolLine, ...]
    more: str | None
    total: str | None
    """How often it has happened, where this notice tells of only a part."""
    form: OpenView | None
    """None: it is closed, and the texts say how."""
    declined: bool
    """Whether the author wants no notices."""
    is_done: bool
    """Whether the author has just said so."""


@dataclass(frozen=True, slots=True)
class SettingsView:
    """The page of an author's settings."""

    heading: str
    texts: tuple[str, ...]
    declined: bool
    is_done: bool
    has_case: bool
    """Whether there is a case's page to go back to."""


def build_case(
    case: PageCase,
    words: Words,
    settings: PageSettings,
    *,
    declined: bool,
    done: str,
    typed: Typed,
) -> CaseView:
    """Return the page of a case; `done` is what the author has just done, "" is nothing."""
    is_open = case.state is not CaseState.CLOSED
    values = _name(case) | {"application": settings.application or words.say("notice.application")}
    advice = None
    if is_open and is_domain(case):
        named = {name: values[name] for name in ("domain", "application")}
        advice = build_advice(case, words, settings, **named)
    if is_open:
        heading, texts = _tell_failure(case, words, values, advice)
    else:
        heading, texts = _tell_end(case, words, values, settings)
    titles = _list_protocols(case.entry.strikes, words, settings)
    more = len(titles) - MAX_PROTOCOLS
    return CaseView(
        heading=heading,
        texts=texts,
        advice=advice,
        subject=values["subject"],
        number=words.say("notice.number", number=case.entry.number, of=case.entry.max_notices),
        protocols_label=words.say("page.protocols", count=len(titles)),
        protocols=titles[:MAX_PROTOCOLS],
        more=words.say("page.more_protocols", count=more) if more > 0 else None,
        total=_tell_total(case, words),
        form=_offer(case, words, values, typed, advice) if is_open else None,
        declined=declined,
        is_done=not is_open and done == case.closed_why and done in frozenset(AuthorAction),
    )


def build_settings(facts: PageFacts, words: Words, *, done: str, has_case: bool) -> SettingsView:
    """Return the page of an author's settings; `done` as that of `build_case`."""
    author = clean_address(facts.author)
    if facts.declined:
        heading = words.say("page.settings.declined.heading")
        texts: tuple[str, ...] = (words.say("page.settings.declined.text", author=author),)
    else:
        heading = words.say("page.settings.heading")
        texts = (
            words.say("page.settings.receives", author=author),
            words.say("page.settings.warning"),
        )
    is_done = done == (AuthorAction.DECLINED if facts.declined else AuthorAction.RESUMED)
    return SettingsView(heading, texts, facts.declined, is_done, has_case)


def is_domain(case: PageCase) -> bool:
    """Tell whether a case is about the author's own domain, not about an address."""
    return case.entry.category is Category.AUTH_FAILURE


def _tell_failure(
    case: PageCase, words: Words, values: _Values, advice: AdvicePart | None
) -> tuple[str, tuple[str, ...]]:
    """Return heading and text of what happened, in the words of the notice."""
    forwarded = not is_domain(case) and any(strike.forwarded for strike in case.entry.strikes[:1])
    key = "forwarded" if forwarded else f"reason.{case.entry.reason.value}"
    heading = words.say(f"{key}.heading", **values)
    if advice:
        return heading, (advice.told.explanation,)
    return heading, (words.say(f"{key}.explanation", **values),)


def _tell_end(
    case: PageCase, words: Words, values: _Values, settings: PageSettings
) -> tuple[str, tuple[str, ...]]:
    """Return heading and text of how a case was closed, and what comes next."""
    kind = _find_end(case)
    if kind == "closed":
        parts = ["text"]
    elif kind == "passed":
        parts = ["text", "next"]
    elif kind != "corrected":
        parts = ["text", "next_last" if case.entry.last else "next"]
    else:
        parts = ["old", "new", "next"] if case.corrected_to else ["unnamed", "next"]
    more = {
        "of": case.entry.max_notices,
        "old": values["subject"],
        "new": clean_address(case.corrected_to or ""),
        "when": words.say_time(case.closed_at, settings.zone) if case.closed_at else "",
    }
    texts = (words.say(f"page.{kind}.{part}", **values, **more) for part in parts)
    return words.say(f"page.{kind}.heading", **values), tuple(texts)


def _find_end(case: PageCase) -> str:
    """Return the phrases that tell how it was closed."""
    if case.closed_why == AuthorAction.CONFIRMED:
        return "mended" if is_domain(case) else "confirmed"
    if case.closed_why == DNS_PASSED and case.closed_at is not None:
        return "passed"
    return "corrected" if case.closed_why == AuthorAction.CORRECTED else "closed"


def _offer(
    case: PageCase, words: Words, values: _Values, typed: Typed, advice: AdvicePart | None
) -> OpenView:
    doubtful = case.entry.category in _DOUBTFUL
    about = "domain" if advice else "address" if doubtful else "other"
    return OpenView(
        question=words.say(f"page.options.{about}"),
        suggestion=_suggest(case.entry.suggestion, words) if case.entry.suggestion else None,
        correct_first=doubtful,
        hints=advice.hints if advice else (words.say("page.confirm.hint", **values),),
        typed=typed,
    )


def _suggest(address: str, words: Words) -> SuggestionView:
    shown = clean_address(address)
    return SuggestionView(
        address,
        words.say("page.suggestion", address=shown),
        words.say("page.accept", address=shown),
    )


def _list_protocols(
    strikes: Iterable[EntryStrike], words: Words, settings: PageSettings
) -> tuple[ProtocolLine, ...]:
    """Return each protocol once, newest first: many recipients of one may have failed."""
    newest: dict[object, EntryStrike] = {}
    for strike in strikes:
        key = find_protocol_key(
            strike.title, strike.reference, strike.url, strike.sent_at, settings.zone
        )
        newest.setdefault(key, strike)
    return tuple(_tell_protocol(strike, words, settings) for strike in newest.values())


def _tell_protocol(strike: EntryStrike, words: Words, settings: PageSettings) -> ProtocolLine:
    may_show = settings.quote_subject or not strike.title_from_subject
    name = name_protocol(strike.title if may_show else None, strike.reference)
    key = "page.sent_at" if strike.sent_at else "page.failed_at"
    when = words.say_time(strike.sent_at or strike.failed_at, settings.zone)
    return ProtocolLine(
        name or words.say("page.untitled"), words.say(key, when=when), clean_url(strike.url)
    )


def _tell_total(case: PageCase, words: Words) -> str | None:
    """Return how often it has happened, as the notice says it."""
    entry = case.entry
    if entry.strikes_total <= len(entry.strikes):
        return None
    kind = "domain" if is_domain(case) else "address"
    return words.say(f"total.{kind}", count=entry.strikes_total)


def _name(case: PageCase) -> _Values:
    """Return the placeholders that name the case."""
    if is_domain(case):
        domain = clean_own_domain(case.entry.subject)
        return {"subject": domain, "domain": domain}
    slip = case.entry.slip
    address = clean_slip(slip) if slip else clean_address(case.entry.subject)
    return {"subject": address, "address": address, "domain": address.rpartition("@")[2]}
