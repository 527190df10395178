"""In which order cases stand, which of them share their words, and how they are named; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bounced.ledger.records import Entry, EntryStrike
from bounced.model import Category, Reason, recipient_key
from bounced.words.cleaning import clean_address, clean_own_domain, clean_slip

MAX_CASES = 500
"""Cases that one mail shows; of more, the most urgent are shown and all are listed in a file."""
SHOWN_CASES = 200
FORWARDED = "forwarded"
"""Key of the words for a case behind a forwarder, whose target is not ours to tell."""

_CATEGORIES = list(Category)
_REASONS = list(Reason)


def sort_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries by category, then by reason, then by address."""
    return sorted(entries, key=_sort_key)


def choose_shown(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return those of the sorted entries that the mail shows.

    Of too many, those that are told of for the last time, then the foremost categories.
    """
    if len(entries) <= MAX_CASES:
        return entries
    return sort_entries(sorted(entries, key=lambda entry: not entry.last)[:SHOWN_CASES])


def find_words_key(entry: Entry) -> str:
    """Return the beginning of the keys of heading, explanation and action."""
    return FORWARDED if _is_forwarded(entry) else f"reason.{entry.reason.value}"


def find_group_key(entry: Entry) -> tuple[str, str]:
    """Tell groups apart: cases of one reason share their words, a domain has its own advice."""
    return find_words_key(entry), entry.case if find_kind(entry) == "domain" else ""


def find_kind(entry: Entry) -> str:
    """Return what the case is about, as the words name it."""
    return "domain" if entry.category is Category.AUTH_FAILURE else "address"


def show_subject(entry: Entry) -> str:
    """Return the address or domain for a person to read."""
    if find_kind(entry) == "domain":
        return clean_own_domain(entry.subject)
    return clean_slip(entry.slip) if entry.slip else clean_address(entry.subject)


def name_subject(entry: Entry) -> dict[str, str]:
    """Return the placeholders that name the case."""
    shown = show_subject(entry)
    if find_kind(entry) == "domain":
        return {"domain": shown}
    return {"address": shown, "domain": shown.rpartition("@")[2]}


def find_suggestion(entry: Entry) -> str | None:
    """Return the address that may be meant, where the address itself is in doubt."""
    if not entry.suggestion or entry.category is not Category.BAD_ADDRESS:
        return None
    return None if has_hidden_target(entry) else clean_address(entry.suggestion)


def has_hidden_target(entry: Entry) -> bool:
    """Tell whether the recipient forwards to a mailbox that is not ours to tell of."""
    return any(strike.forwarded for strike in entry.strikes)


def list_recipients(strikes: Iterable[EntryStrike]) -> list[str]:
    """Return each recipient once, by its comparison form, sorted."""
    return sorted({recipient_key(strike.recipient) for strike in strikes})


def count_recipients(entries: Iterable[Entry]) -> int:
    """Return how many different addresses the entries tell of."""
    return len(list_recipients(strike for entry in entries for strike in entry.strikes))


def _sort_key(entry: Entry) -> tuple[int, bool, int, str]:
    return (
        _CATEGORIES.index(entry.category),
        _is_forwarded(entry),
        _REASONS.index(entry.reason),
        recipient_key(entry.subject),
    )


def _is_forwarded(entry: Entry) -> bool:
    return find_kind(entry) == "address" and entry.strikes[0].forwarded
