"""The list of every failure as a file for a spreadsheet, where the mail cannot show all.

RFC 4180 (CSV). Actually, spreadsheets take the separator from the language: a semicolon where the
comma parts decimals; and they read UTF-8 only behind a byte order mark.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from babel.numbers import get_decimal_symbol

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry
from bounced.notifier.grouping import find_suggestion, find_words_key, name_subject, sort_entries
from bounced.notifier.protocols import Protocols
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean, clean_address

COLUMNS = ("address", "reason", "number", "suggestion", "protocol", "at")
MAX_TITLE_CHARS = 60
BYTE_ORDER_MARK = "\ufeff"

_FORMULA = re.compile(r"""(^|[;,\t\r\n])([\s"]*)(?=[=+\-@＝＋－＠])""")
"""Where a cell begins, by whatever separator the spreadsheet takes; our quotes may not hold."""


def make_list(notice: ClaimedNotice, words: Words, settings: NoticeSettings) -> str:
    """Return one line for each address and protocol of each case; total."""
    written = io.StringIO()
    separator = ";" if get_decimal_symbol(words.locale) == "," else ","
    writer = csv.writer(written, delimiter=separator, lineterminator="\n")
    writer.writerow([words.say(f"list.{column}") for column in COLUMNS])
    for entry in sort_entries(notice.entries):
        for row in _list_rows(entry, words, settings):
            writer.writerow([_guard(cell) for cell in row])
    return BYTE_ORDER_MARK + written.getvalue()


def _list_rows(entry: Entry, words: Words, settings: NoticeSettings) -> Iterable[tuple[str, ...]]:
    protocols = Protocols(words, settings)
    zone = ZoneInfo(settings.timezone)
    reason = words.say(f"{find_words_key(entry)}.heading", count=1, **name_subject(entry))
    number = words.say("notice.number", number=entry.number, of=entry.max_notices)
    suggestion = find_suggestion(entry) or ""
    for strike in entry.strikes:
        at = (strike.sent_at or strike.failed_at).astimezone(zone)
        title = clean(protocols.name(strike), MAX_TITLE_CHARS)
        # A date that every spreadsheet knows and that sorts.
        when = f"{at:%Y-%m-%d %H:%M}"
        yield clean_address(strike.recipient), reason, number, suggestion, title, when


def _guard(cell: str) -> str:
    """Return the cell so that no spreadsheet takes a stranger's text for a formula."""
    return _FORMULA.sub(r"\1\2'", cell)
