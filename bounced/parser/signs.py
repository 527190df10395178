"""Tells by which signs a mail system's bounce in no RFC's form differs from ordinary mail; total.

No sign is enough alone: people write of bounces, shops of parcels, deceivers as mail systems.
"""

import re
from collections.abc import Sequence

from bounced.parser.fields import parse_path
from bounced.parser.headers import decode_words
from bounced.parser.human import HumanText
from bounced.parser.mime import RETURNED_TYPES, Message
from bounced.parser.passages import split_quoted
from bounced.parser.wording import DAEMON, DELAYED, FAILED, FAILED_SUBJECT

MAX_WORDS = 8_000

# What aggregate reports bear: RFC 7489 §7.2.1.1 (DMARC), RFC 8460 §5.3 (TLS).
_AGGREGATE = re.compile(r"report domain:|report-id:", re.IGNORECASE)
# What a filter kept from the reader of the digest: mail of others to us.
_DIGEST = re.compile(
    r"end user digest|quarant(?:ine|äne)[\w -]{0,20}(?:report|digest|summary|notification|bericht)"
    r"|quarantänebericht|spam[ -](?:report|digest|bericht)",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"\s*(?:re|aw|sv|antw?|odp|rif|r|res|ynt|回复|答复|ответ)\s{0,3}[:\uff1a]", re.IGNORECASE
)
_FORWARD = re.compile(r"\s*(?:fwd?|wg|tr|rv|i|doorst|pd|enc|转发)\s{0,3}[:\uff1a]", re.IGNORECASE)
# The whole field, since a robot may put a stranger's name before its own address. Actually,
# Postfix 2 writes the name behind the address, DragonFly's dma no address at all: `<>`.
_SYSTEM = r"(?:mailer-daemon|postmaster)(?:@[\w.-]{0,255})?"
_MADE_BY_SYSTEM = re.compile(
    rf"{_SYSTEM}(?:[ \t]+\([^()]*\))?|[^<>]*<(?:{_SYSTEM})?>", re.IGNORECASE
)
_ROBOT = re.compile(r"bounce|daemon", re.IGNORECASE)


def is_bounce(message: Message, texts: Sequence[HumanText], *, answered: bool) -> bool:
    """Tell whether a mail system says that a mail failed or waits; never by one sign alone.

    `answered` tells that the message bears the marks of an automatic reply: a person's reply may
    well say that he cannot be reached.
    """
    if "x-failed-recipients" in message.fields:
        return True
    subject = message.subject()
    if _AGGREGATE.search(subject) or _DIGEST.search(subject):
        return False
    named = DAEMON.search(decode_words(message.fields.first("from") or "")) is not None
    # Actually, a list that passes a bounce on adds its List-Unsubscribe (python.org in 2001).
    if not named and (answered or "list-unsubscribe" in message.fields):
        return False
    words = join_words(texts)
    says = FAILED.search(words) is not None or DELAYED.search(words) is not None
    titled = FAILED_SUBJECT.search(subject) is not None or DELAYED.search(subject) is not None
    if named:
        return says or titled
    if is_from_system(message):
        # An automatic reply has the null path, too (RFC 3834 §3.3), and answers under our title.
        return (says or titled) and (titled or not is_answer(message))
    return says and titled and _answers_nobody(message) and _is_made_by_program(message)


def join_words(texts: Sequence[HumanText]) -> str:
    """Return the beginning of all texts: what a report says, it says early."""
    return "\n".join(text.text[:MAX_WORDS] for text in texts)[:MAX_WORDS]


def is_from_system(message: Message) -> bool:
    """Tell whether a mail system sent it: by the return path, else by its name in From."""
    written = message.fields.first("return-path") or ""
    path = parse_path(written)
    if path == "" or DAEMON.search(written):
        return True
    sender = decode_words(message.fields.first("from") or "").strip()
    return path is None and (DAEMON.search(sender) is not None or sender.endswith("<>"))


def is_answer(message: Message) -> bool:
    """Tell whether the message answers one of ours, by its title or its fields."""
    return has_answer_title(message) or "in-reply-to" in message.fields


def has_answer_title(message: Message) -> bool:
    """Tell whether the title begins as mail programs begin that of an answer."""
    return _ANSWER.match(message.subject()) is not None


def has_forward_title(message: Message) -> bool:
    """Tell whether the title begins as mail programs begin that of a forwarded mail."""
    return _FORWARD.match(message.subject()) is not None


def is_sent_to_many(message: Message) -> bool:
    """Tell whether it is a newsletter or a list's mail, which no mail system wrote."""
    named = DAEMON.search(decode_words(message.fields.first("from") or "")) is not None
    return _is_on_list(message) and not named and not is_from_system(message)


def _is_on_list(message: Message) -> bool:
    return "list-unsubscribe" in message.fields or "list-id" in message.fields


def is_first_hand(message: Message, *, in_part: bool) -> bool:
    """Tell whether a mail system made this bounce itself; total.

    Robots answer, file and hand out what any stranger wrote: they quote it as text or attach its
    parts, and may write the stranger's name into From, but not his address.
    `in_part` tells that the report stands in a part of its type, not in a text.
    """
    if _is_on_list(message):
        return False
    if in_part and message.content_type == "multipart/report":
        return True
    # Actually, OpenSMTPD's reports are multipart/mixed.
    sender = (message.fields.first("from") or "").strip()
    return not is_answer(message) and _MADE_BY_SYSTEM.fullmatch(sender) is not None


def _answers_nobody(message: Message) -> bool:
    """Tell whether nobody answers or forwards a bounce here."""
    forwarded = has_forward_title(message) or "user-agent" in message.fields
    return not forwarded and not is_answer(message)


def _is_made_by_program(message: Message) -> bool:
    """Tell whether no person can have written it: it returns a mail, or a program says so."""
    fields = message.fields
    senders = f"{fields.first('return-path')} {fields.first('from')}"
    return (
        _ROBOT.search(senders) is not None
        or not (fields.first("auto-submitted") or "no").lower().startswith("no")
        or any(part.content_type in RETURNED_TYPES for part in message.parts)
        or any(split_quoted(part.text)[1] for part in message.parts)
    )
