"""Tells automatic replies and read receipts from other mail; total.

RFC 3834 (Auto-Submitted), RFC 8098 (disposition notifications), RFC 5429 (Sieve reject).
"""

import re
import unicodedata

from bounced.model import RecipientFacts
from bounced.parser.fields import (
    find_addresses,
    parse_mailboxes,
    parse_path,
    parse_recipient,
)
from bounced.parser.headers import Fields, decode_words, read_fields
from bounced.parser.mime import Message
from bounced.parser.signs import is_answer
from bounced.parser.wording import ABSENT, ACKNOWLEDGED, AUTO_SUBJECT, AUTOMATIC, DAEMON

_DISPOSITION_TYPES = (
    "message/disposition-notification",
    "message/global-disposition-notification",
)
_REFUSED = re.compile(r"\b(?:deleted|denied|failed)\b|/\s*(?:rejected|failed)", re.IGNORECASE)
# Outlook writes `deleted` for a mail that its reader threw away; no server refused it.
_DELETED_BY_READER = re.compile(
    r"without being read|ungelesen gel(?:ö|oe)scht|ohne (?:dass sie )?gelesen"
    r"|sans (?:être|avoir été) lu|sin (?:ser|haber sido) le[ií]d|senza essere stat\w lett"
    r"|zonder te zijn gelezen|usunięt\w+ bez (?:prze|od)czytania|sem (?:ser|ter sido) lida"
    r"|удален\w* (?:непрочитан|без прочтения)|開封されずに|未开封|未閱讀|未阅读|bez přečtení"
    r"|utan att (?:ha )?läs|uden at (?:være|blive) læst|uten å (?:være|bli) lest",
    re.IGNORECASE,
)
_UNREAD_SUBJECT = re.compile(
    r"(?:not read|nicht gelesen|ungelesen|non lu|no le[ií]do|non letto|niet gelezen"
    r"|nie ?przeczytan\w|não lid[ao]|непрочитан\w*|не прочтено|未開封|未读|未讀|nepřečteno"
    r"|oläst|ej läst|ulæst|ulest|ikke (?:læst|lest))\s*[:\uff1a]",
    re.IGNORECASE,
)

_NO_REPLY = re.compile(r"(?:no|do-?not|donot)[._-]?reply", re.IGNORECASE)
_AUTO_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponse",
    "x-autoresponder",
    "x-auto-reply-from",
    "x-mail-autoreply",
)
_AUTO_PRECEDENCE = ("auto_reply", "auto-reply", "autoreply")
_BULK = ("bulk", "junk", "list", *_AUTO_PRECEDENCE)
# Fields of programs that answer: Exchange, and the ticket systems OTRS, Request Tracker, Zendesk.
_MACHINE_HEADERS = ("x-auto-response-suppress", "x-otrs-loop", "rt-ticket", "x-zendesk-from")
_MAX_WORDS = 2_000
"""Characters in which somebody says that he is away."""


def find_disposition(message: Message) -> Fields | None:
    """Return the fields of a disposition notification, or None."""
    for part in message.parts:
        if part.content_type in _DISPOSITION_TYPES:
            return read_fields(part.text)
    return None


def is_refusal(disposition: Fields, message: Message) -> bool:
    """Tell whether a disposition says that the mail was refused (RFC 5429 §2.1.2), not unread."""
    if not _REFUSED.search(disposition.first("disposition") or ""):
        return False
    # Actually, Exchange puts a field of its own into the receipts of its readers.
    if "x-msexch-correlation-key" in disposition or _UNREAD_SUBJECT.match(message.subject()):
        return False
    return not any(_DELETED_BY_READER.search(part.text) for part in message.parts)


def read_disposition_address(disposition: Fields) -> tuple[str | None, str | None]:
    """Return final and original recipient of a disposition notification (RFC 8098 §3.2)."""
    final = parse_recipient(disposition.first("final-recipient") or "")
    return final, parse_recipient(disposition.first("original-recipient") or "")


def is_auto_reply(message: Message) -> bool:
    """Tell whether the message is an automatic reply: by its fields, else by its subject."""
    fields = message.fields
    submitted = (fields.first("auto-submitted") or "").lower()
    if submitted.startswith("auto-replied"):
        return True
    if any(name in fields for name in _AUTO_HEADERS):
        return True
    if (fields.first("precedence") or "").strip().lower() in _AUTO_PRECEDENCE:
        return True
    if (fields.first("preference") or "").strip().lower() in _AUTO_PRECEDENCE:
        return True
    return AUTO_SUBJECT.match(_plain(message.subject()).lstrip(" [(*<\"'")) is not None


def says_absent(message: Message) -> bool:
    """Tell whether a person says that he is away: such a mail says of nobody that it failed."""
    if DAEMON.search(decode_words(message.fields.first("from") or "")):
        return False
    return ABSENT.search(f"{message.subject()}\n{_read_words(message)}") is not None


def _read_words(message: Message) -> str:
    return next((part.text for part in message.parts if part.text.strip()), "")[:_MAX_WORDS]


def answers_by_machine(message: Message) -> bool:
    """Tell whether a program answered that does not say so as RFC 3834 §5 demands.

    It names a machine in some other way, and says that somebody is away or that a mail arrived.
    """
    fields = message.fields
    if "list-unsubscribe" in fields:
        return False
    submitted = (fields.first("auto-submitted") or "no").lower()
    nobody = parse_path(fields.first("return-path") or "") == ""
    machine = (
        not submitted.startswith("no")
        or (fields.first("precedence") or "").strip().lower() in _BULK
        or any(name in fields for name in _MACHINE_HEADERS)
        or nobody
        or AUTOMATIC.search(_read_words(message)) is not None
    )
    said = ACKNOWLEDGED.search(message.subject()) is not None or says_absent(message)
    # No person answers from the null path.
    return (machine and said) or (nobody and is_answer(message))


def _plain(text: str) -> str:
    """Fold case and take the marks off letters, so that `Réponse` and `Reponse` are one word."""
    decomposed = unicodedata.normalize("NFKD", text[:300].casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return unicodedata.normalize("NFKC", bare)


def read_replier(message: Message) -> tuple[RecipientFacts, ...]:
    """Return whose automatic reply it is: the From address, else the only one its text names."""
    senders = parse_mailboxes(message.fields.first("from") or "")
    if senders and not _NO_REPLY.match(senders[0]):
        return (RecipientFacts(final_recipient=senders[0]),)
    named = {address.lower() for part in message.parts for address in find_addresses(part.text)}
    found = named if len(named) == 1 else senders[:1]
    return tuple(RecipientFacts(final_recipient=address) for address in found)
