"""Reads bounces that are in no RFC's form: of whom do they speak, what do they say of him.

Layouts seen: qmail, Exim, Sendmail, Courier, Exchange 5.5 and 2003, Domino, GroupWise, Yahoo,
Google, IONOS (kundenserver), IMail, m-FILTER, Zoho, Mail.Ru. An address is taken from a place
where reports name the recipient, never because it stands somewhere. Total.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bounced.model import Action, RecipientFacts, Reply, ReturnedMessage
from bounced.parser.evidence import says_something, without_repeats
from bounced.parser.fields import find_addresses, parse_mailboxes
from bounced.parser.human import HumanText
from bounced.parser.mime import Message
from bounced.parser.passages import Passage, find_hidden_origins
from bounced.parser.signs import join_words
from bounced.parser.witness import ask_witness
from bounced.parser.wording import DELAYED, FAILED, FAILED_SUBJECT, FINAL, SUCCEEDED

MAX_RECIPIENTS = 100
_MAX_LABEL = 200
"""Characters before an address in which its label is looked for; a line may hold thousands."""
_MAX_SENTENCE = 4_000
"""Characters of a line in which it is looked for what failed."""
_MAX_SENTENCES = 20_000
"""Characters of all lines of a part in which it is looked for what failed."""

_HELPER = re.compile(r"(?:postmaster|mailer-daemon|abuse|hostmaster|no-?reply)@", re.IGNORECASE)
_HELP = re.compile(
    r"contact|assist|\bhelp|question|support|send (?:e-?)?mail to|wenden sie|hilfe|kontakt",
    re.IGNORECASE,
)
# What stands before the recipient's address in a sentence.
_LABEL = re.compile(
    r"(?:\b(?:failed|invalid|unknown|final|bad|rejected) (?:recipient|user|address|addressee)s?"
    r"|\brecipients?(?: address(?:es)?)?|\brcpt to|\baddress|\buser(?:id)?|\bmailbox is full"
    r"|\bdelivery failed(?: \d+ attempts)?|\bexceeds allowed size|\boriginally addressed"
    r"|\bdelivering your mail|\bempfänger(?:adresse)?|\bdestinat(?:aire|ario)s?)"
    r"(?:\(s\))?\s?(?::|=|\bto\b)\s*[\[<'\"]{0,2}\s*$",
    re.IGNORECASE,
)
_SMTP_EQUALS = re.compile(r"\bSMTP=([^;\s=]{1,64}@[\w.-]{1,255})")
# Titles that no report of a success has.
_FAILING = re.compile(r"undeliver|fail|return(?:ed|ing)|\berror|reject|unzustell", re.IGNORECASE)
_REPLY_LINE = re.compile(r"\s*[245]\d\d[ -]")
_QUOTED_HEADER = re.compile(
    r"\s*(?:From|To|Cc|Reply-To|Sender|Mail from|Return-Path|Subject|X-[\w-]+)\s*:",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Freeform:
    """What a free-form bounce tells."""

    recipients: tuple[RecipientFacts, ...]
    notes: tuple[str, ...] = ()


def read_freeform(
    message: Message, texts: Sequence[HumanText], returned: ReturnedMessage | None
) -> Freeform:
    """Return the recipients that a bounce speaks of, with what it says of each."""
    found, notes = _find_recipients(message, texts, returned)
    unique = list({(final or "").lower(): (final, original) for final, original in found}.values())
    unique = unique[:MAX_RECIPIENTS]
    action = read_action(message, texts)
    return Freeform(
        tuple(
            _describe(final, original, action, texts, only=len(unique) == 1)
            for final, original in unique
        ),
        notes,
    )


def read_nameless(message: Message, texts: Sequence[HumanText]) -> RecipientFacts:
    """Return what a bounce says that names nobody; its return path may know whose it is."""
    return _describe(None, None, read_action(message, texts), texts, only=True)


def read_action(message: Message, texts: Sequence[HumanText]) -> Action:
    """Tell a warning that a mail waits, and a success, from a failure."""
    subject = message.subject()
    words = join_words(texts)
    if SUCCEEDED.search(words) and not (FINAL.search(words) or _FAILING.search(subject)):
        return Action.DELIVERED
    if DELAYED.search(subject) and not FINAL.search(subject):
        return Action.DELAYED
    if DELAYED.search(words) and not FINAL.search(words) and not FAILED_SUBJECT.search(subject):
        return Action.DELAYED
    return Action.FAILED


def _find_recipients(
    message: Message, texts: Sequence[HumanText], returned: ReturnedMessage | None
) -> tuple[list[tuple[str | None, str | None]], tuple[str, ...]]:
    """Return final and original recipients by the best source that names any."""
    sent_to = returned.to_addresses if returned else ()
    told = _find_told(texts, {address.lower() for address in sent_to})
    failed = _read_failed_header(message)
    if failed:
        return _match_failed(failed, told), ()
    hidden = _find_hidden(texts, told)
    if told or hidden:
        return [*told, *hidden], ()
    own = set(parse_mailboxes(message.fields.first("to") or ""))
    labelled = [a for text in texts for a in _find_labelled(text.text, own - set(sent_to))]
    if labelled:
        return [(address, None) for address in labelled], ()
    standing = {a.lower() for text in texts for a in find_addresses(text.text)}
    named = [address for address in sent_to if address.lower() in standing]
    if named:
        return [(address, None) for address in named], ()
    headers = {name: values[0] for name, values in message.fields.values.items()}
    said, note = ask_witness(headers, "\n".join(text.text for text in texts))
    notes = (note,) if note else ()
    if said:
        return [(address, None) for address in said], notes
    return [(address, None) for address in sent_to[:1] if len(sent_to) == 1], notes


def _find_told(
    texts: Iterable[HumanText], sent_to: set[str]
) -> list[tuple[str | None, str | None]]:
    """Return the addresses that passages are about, but those of helpers."""
    return [
        (passage.address, passage.original)
        for text in texts
        for passage in text.passages
        if passage.address.lower() in sent_to or not _names_helper(text.text, passage)
    ]


def _names_helper(text: str, passage: Passage) -> bool:
    """Tell whether a passage names whom to ask, as reports do in the same text."""
    if _HELPER.match(passage.address):
        return True
    if passage.text:
        return False
    before = [line for line in text.split("\n")[: passage.line - 1][-3:] if line.strip()]
    return bool(before) and _HELP.search(before[-1]) is not None and not FAILED.search(before[-1])


def _read_failed_header(message: Message) -> list[str]:
    return [
        address
        for value in message.fields.every("x-failed-recipients")
        for address in find_addresses(value)
    ]


def _match_failed(
    failed: Sequence[str], told: Sequence[tuple[str | None, str | None]]
) -> list[tuple[str | None, str | None]]:
    """Join the addresses of X-Failed-Recipients with what the text tells of their origin."""
    origins = {(address or "").lower(): original for address, original in told}
    if len(failed) == 1 and len(origins) == 1 and failed[0].lower() not in origins:
        return [(told[0][0], told[0][1] or failed[0])]
    return [(address, origins.get(address.lower())) for address in failed]


def _find_hidden(
    texts: Iterable[HumanText], told: Sequence[tuple[str | None, str | None]]
) -> list[tuple[str | None, str | None]]:
    """Return the origins of addresses that Exim does not show (`an undisclosed address`)."""
    known = {original for _, original in told}
    return [
        (None, origin)
        for text in texts
        for _, origin in find_hidden_origins(text.text)
        if origin not in known
    ]


def _find_labelled(text: str, own: set[str]) -> list[str]:
    """Return addresses behind a label or in a line that says what failed.

    A server's reply may name the sender or anybody: it is asked after the report's own words.
    """
    lines = text.split("\n")
    found: list[tuple[bool, bool, str]] = []
    left = _MAX_SENTENCES
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        replied = _REPLY_LINE.match(line) is not None
        labelled, others = _name_in_line(line, own)
        found += ((replied, True, name) for name in labelled)
        if others and left > 0:
            before = lines[number - 1] if number else ""
            sentence = f"{before[-_MAX_SENTENCE:].strip()} {line[:_MAX_SENTENCE]}"
            left -= len(sentence)
            if FAILED.search(sentence):
                found += ((replied, False, name) for name in others)
    for order in ((False, True), (True, True), (False, False), (True, False)):
        names = [name for in_reply, label, name in found if (in_reply, label) == order]
        if names:
            return names
    return []


def _name_in_line(line: str, own: set[str]) -> tuple[list[str], list[str]]:
    """Return the addresses of a line behind a label, and the others that may have failed."""
    if match := _SMTP_EQUALS.search(line):
        return [match[1]], []
    labelled: list[str] = []
    others: list[str] = []
    at = 0
    for address in find_addresses(line)[:MAX_RECIPIENTS]:
        at = max(at, line.find(address, at))
        head = line[max(0, at - _MAX_LABEL) : at]
        if address in own or _HELPER.match(address):
            continue
        if _LABEL.search(head):
            labelled.append(address)
        elif not (_QUOTED_HEADER.match(line) or _HELP.search(head)):
            others.append(address)
    return labelled, others


def _describe(
    final: str | None,
    original: str | None,
    action: Action,
    texts: Sequence[HumanText],
    *,
    only: bool,
) -> RecipientFacts:
    names = {name.lower() for name in (final, original) if name}
    heard = [
        r for text in texts for r in (*text.find_named(names), *text.find_unnamed(None, only=only))
    ]
    replies = [reply for reply in heard if says_something(reply.text)]
    if not replies or (only and not any(reply.smtp_code for reply in replies)):
        rest = [r for text in texts for r in _read_rest(text, names, only=only)]
        replies = [*(r for r in rest if r.smtp_code), *(replies or rest)]
    replies.sort(key=lambda reply: reply.smtp_code is None and reply.status is None)
    kept = without_repeats(replies)
    return RecipientFacts(
        final_recipient=final,
        original_recipient=original,
        action=action,
        status=None,
        smtp_code=kept[0].smtp_code if kept else None,
        replies=kept,
    )


def _read_rest(text: HumanText, names: set[str], *, only: bool) -> list[Reply]:
    """Return what a text says where nothing stands beside the address: what follows, else all."""
    starts = [passage.line for passage in text.find_passages(names)]
    if not starts and text.passages and not only:
        # What stands beside the others is said of them.
        return text.find_words(0, text.passages[0].line - 1)
    if not starts:
        return text.find_words()
    first = min(starts)
    later = [passage.line for passage in text.passages if passage.line > first]
    until = None if only or not later else later[0] - 1
    last = max(passage.line for passage in text.passages)
    places = ((first, until), (last, None), (0, text.passages[0].line - 1))
    told = [words for place in places if (words := text.find_words(*place))]
    coded = (words for words in told if words[0].smtp_code is not None)
    return next(coded, [reply for words in told for reply in words])
