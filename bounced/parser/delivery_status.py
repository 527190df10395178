"""Finds the delivery-status fields of a report and tells what each recipient's say; total.

RFC 3464 §2 (fields), RFC 6533 §4 (the international form).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bounced.model import Action, RecipientFacts, Reply
from bounced.parser.evidence import (
    Comparer,
    choose_fuller,
    read_passage,
    without_repeats,
)
from bounced.parser.fields import (
    find_addresses,
    is_address,
    parse_host,
    parse_recipient,
    parse_status,
    parse_typed,
)
from bounced.parser.headers import Fields, read_fields
from bounced.parser.human import MAX_REPLIES, HumanText
from bounced.parser.mime import Message, Part
from bounced.parser.passages import split_quoted

MAX_RECIPIENTS = 1_000

_TYPES = ("message/delivery-status", "message/global-delivery-status")
_MAY_BE_MISTYPED = ("text/plain", "application/octet-stream", "text/rfc822-headers", "text/html")
_RECIPIENT_FIELDS = ("final-recipient", "original-recipient", "x-actual-recipient")
_OUTCOME_FIELDS = ("action", "status", "diagnostic-code", "remote-mta")
_MISTYPED = re.compile(
    r"^Final-Recipient[ \t]*:.*\n(?:.*\n){0,12}?(?:Action|Status|Diagnostic-Code)[ \t]*:"
    r"|^(?:Action|Status)[ \t]*:.*\n(?:.*\n){0,12}?Final-Recipient[ \t]*:",
    re.MULTILINE | re.IGNORECASE,
)
_FIRST_FIELD = re.compile(
    r"^(?:Reporting-MTA|Original-Envelope-Id|Original-Recipient|Final-Recipient)[ \t]*:",
    re.MULTILINE | re.IGNORECASE,
)
# Actually, nullmailer does not indent the further lines of a reply.
_UNFOLDED = re.compile(
    r"^(?:Diagnostic-Code[ \t]*:.*(?:\n[ \t].*)*)(?:\n[2-5]\d\d[ -].*)+",
    re.MULTILINE | re.IGNORECASE,
)
_NULLMAILER = "This is the nullmailer delivery system."
_EXPIRED = "Envelope expired"
_EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_NEXT_RECIPIENT = re.compile(r"^(?=Final-Recipient[ \t]*:)", re.MULTILINE | re.IGNORECASE)
_ACTIONS = {
    "fail": Action.FAILED,
    "delay": Action.DELAYED,
    "deliver": Action.DELIVERED,
    "relay": Action.RELAYED,
    "expand": Action.EXPANDED,
}
_BY_CLASS = {"5": Action.FAILED, "4": Action.DELAYED, "2": Action.DELIVERED}


@dataclass(frozen=True, slots=True)
class StatusPart:
    """The delivery-status fields of one message."""

    parts: tuple[int, ...]
    """Numbers of the parts that hold them."""
    about_message: Fields
    """Per-message fields (RFC 3464 §2.2)."""
    groups: tuple[tuple[int, Fields], ...]
    """Part number and per-recipient fields (RFC 3464 §2.3) of each recipient."""
    around: tuple[tuple[int, str, str], ...] = ()
    """Part number, words before the fields and mail quoted after them, if a text holds all."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a report tells besides the fields of one recipient."""

    texts: Sequence[HumanText]
    comparer: Comparer
    everybody: frozenset[str]
    """The lower-case addresses of all recipients."""
    only: bool
    """Tells whether the report speaks of one recipient."""


def find_status(message: Message) -> StatusPart | None:
    """Return the delivery-status fields, also of parts with a wrong type; None without any."""
    texts = [(part.number, part.text) for part in message.parts if part.content_type in _TYPES]
    around: tuple[tuple[int, str, str], ...] = ()
    if not texts:
        found = list(_find_mistyped(message.parts))
        texts = [(number, own) for number, own, _ in found]
        around = tuple(
            (number, own[: start.start()], quoted)
            for number, own, quoted in found
            if (start := _FIRST_FIELD.search(own))
        )
    if not texts:
        return None
    about: dict[str, tuple[str, ...]] = {}
    groups: list[tuple[int, Fields]] = []
    for number, text in texts:
        for fields in _read_groups(text):
            if any(name in fields for name in _RECIPIENT_FIELDS):
                groups.append((number, fields))
            else:
                about = {**fields.values, **about}
            if "reporting-mta" in fields:
                about = {**about, **fields.values}
    numbers = tuple(number for number, _ in texts)
    return StatusPart(numbers, Fields(about), tuple(groups[:MAX_RECIPIENTS]), around)


def _find_mistyped(parts: Sequence[Part]) -> Iterator[tuple[int, str, str]]:
    """Yield number, own words and quoted message of parts of another type that hold the fields."""
    for part in parts:
        if part.content_type in _MAY_BE_MISTYPED and _MISTYPED.search(part.text):
            own, quoted = split_quoted(part.text)
            if _MISTYPED.search(own):
                yield part.number, own, quoted


def _read_groups(text: str) -> Iterator[Fields]:
    """Yield the groups of fields; a recipient torn apart by empty lines is put together again."""
    held: Fields | None = None
    for block in _split_blocks(_UNFOLDED.sub(_fold, text)):
        fields = read_fields(block)
        if not fields:
            continue
        if held is not None and _is_rest(held, fields):
            held = Fields({**fields.values, **held.values})
            continue
        if held is not None:
            yield held
        held = fields
    if held is not None:
        yield held


def _fold(match: re.Match[str]) -> str:
    return match[0].replace("\n", "\n ")


def _split_blocks(text: str) -> Iterator[str]:
    for block in _EMPTY_LINES.split(text):
        pieces = _NEXT_RECIPIENT.split(block)
        if len(pieces) <= 2:  # noqa: PLR2004 -- before and after the only Final-Recipient
            yield block
        else:
            yield pieces[0] + pieces[1]
            yield from pieces[2:]


def _is_rest(held: Fields, fields: Fields) -> bool:
    """Tell whether `fields` go on the recipient of `held`: one has the name, one the outcome."""
    named = [any(name in each for name in _RECIPIENT_FIELDS) for each in (held, fields)]
    told = [any(name in each for name in _OUTCOME_FIELDS) for each in (held, fields)]
    if named == [True, False]:
        return told == [False, True] or (told[1] and not set(fields.values) & set(held.values))
    return named == [False, True] and told == [True, False]


def read_recipients(status: StatusPart, texts: Sequence[HumanText]) -> tuple[RecipientFacts, ...]:
    """Return the facts of each recipient that has an address; one told twice counts once."""
    groups = {
        (number, tuple(group.values.items())): (number, group) for number, group in status.groups
    }
    everybody = frozenset(
        name.lower() for _, group in groups.values() for name in _read_addresses(group) if name
    )
    comparer = Comparer()
    found = [
        _read_recipient(number, group, _Told(texts, comparer, everybody, only=len(groups) == 1))
        for number, group in groups.values()
    ]
    named = [facts for facts in found if facts.recipient is not None]
    if len(named) > 1 and any(_NULLMAILER in text.text for text in texts):
        return tuple(map(_keep_own, named))
    return tuple(named)


def _keep_own(facts: RecipientFacts) -> RecipientFacts:
    """Drop the replies that do not name him.

    Actually, nullmailer writes the first refusal beside every recipient, whoever was refused.
    """
    own = {name.lower() for name in (facts.final_recipient, facts.original_recipient) if name}
    kept = tuple(
        reply
        for reply in facts.replies
        if any(name.lower() in own for name in find_addresses(reply.text))
    )
    if facts.replies and not kept:
        # The Status was read from the same words.
        return replace(facts, replies=(), smtp_code=None, status=None)
    return replace(facts, replies=kept, smtp_code=kept[0].smtp_code if kept else None)


def read_nameless(status: StatusPart, texts: Sequence[HumanText]) -> tuple[RecipientFacts, ...]:
    """Return the outcome that a report tells without saying whose it is: one entry at most.

    A signed return path may know the recipient all the same (DESIGN §5.5).
    """
    # Without a recipient's name, its fields stand among those of the message.
    groups = [*status.groups, *((number, status.about_message) for number in status.parts[:1])]
    for number, group in groups:
        if any(name in group for name in _OUTCOME_FIELDS):
            told = _Told(texts, Comparer(), frozenset(), only=True)
            return (_read_recipient(number, group, told),)
    return ()


def _read_recipient(number: int, group: Fields, told: _Told) -> RecipientFacts:
    final, original = _read_addresses(group)
    if original is None:
        original = _find_original(final, told.texts)
    status = parse_status(group.first("status") or "")
    remote = parse_host(group.first("remote-mta") or "")
    addresses = {address.lower() for address in (final, original) if address}
    replies = _gather(_read_own_replies(number, group, remote), told, addresses, remote)
    action = _read_action(group, status)
    if action is Action.DELAYED and any(reply.text == _EXPIRED for reply in replies):
        # Actually, OpenSMTPD calls a message delayed that it has dropped from its queue.
        action = Action.FAILED
    return RecipientFacts(
        final_recipient=final,
        original_recipient=original,
        action=action,
        status=status,
        smtp_code=replies[0].smtp_code if replies else None,
        remote_mta=remote,
        diagnostic_code=group.first("diagnostic-code") or None,
        replies=replies,
    )


def _read_addresses(group: Fields) -> tuple[str | None, str | None]:
    """Return final and original recipient (RFC 3464 §2.3.1, §2.3.2)."""
    final = parse_recipient(group.first("final-recipient") or "")
    original = parse_recipient(group.first("original-recipient") or "")
    # Actually, Sendmail names the address after aliasing in a field of its own.
    actual = parse_recipient(group.first("x-actual-recipient") or "")
    if actual and is_address(actual) and actual != final:
        original, final = original or final, actual
    if final and original and is_address(original) and not is_address(final):
        final = None
    return final, original


def _find_original(final: str | None, texts: Sequence[HumanText]) -> str | None:
    """Return the address before redirection, which Exim and Sendmail tell in the text only."""
    if final is None:
        return None
    name = final.lower()
    passages = (passage for text in texts for passage in text.find_passages({name}))
    return next(
        (each.original for each in passages if each.original and each.address.lower() == name),
        None,
    )


def _read_action(group: Fields, status: str | None) -> Action | None:
    """Return the Action field's value, else what the status class says (RFC 3464 §2.3.3)."""
    written = (group.first("action") or "").strip().lower()
    for beginning, action in _ACTIONS.items():
        if written.startswith(beginning):
            return action
    return _BY_CLASS[status[0]] if status else Action.FAILED


def _read_own_replies(number: int, group: Fields, remote: str | None) -> list[Reply]:
    found = [
        read_passage(said, f"part {number}, {label}")
        for label in ("Diagnostic-Code", "X-Supplementary-Info")
        for value in group.every(label.lower())
        if (said := parse_typed(value)[1])
    ]
    return [replace(reply, host=remote or reply.host) for reply in found if reply is not None]


def _gather(
    own: Sequence[Reply], told: _Told, addresses: set[str], remote: str | None
) -> tuple[Reply, ...]:
    """Order all replies on one recipient, the most decisive first; `own` are of his own fields."""
    texts, only = told.texts, told.only
    every = (reply for text in texts for reply in text.find_named(addresses))
    named = list(islice(every, MAX_REPLIES))
    answers = [
        reply
        for text in texts
        for reply in text.find_unnamed(remote, only=only)
        if only or not _names_another(reply, addresses, told)
    ]
    speaking = [reply for reply in own if told.comparer.says_something(reply.text)]
    mute = [reply for reply in own if not told.comparer.says_something(reply.text)]
    if speaking:
        words = told.comparer.squash(speaking[0].text)
        begun = [] if answers else [each for text in texts for each in text.find_begun(words)]
        first = choose_fuller(speaking[0], [*answers, *named, *begun], told.comparer)
        return without_repeats([first, *speaking[1:], *named], told.comparer)
    heard = [reply for reply in (*named, *answers) if told.comparer.says_something(reply.text)]
    if not heard and only:
        heard = [reply for text in texts for reply in text.find_words()]
    kept = without_repeats([*heard, *mute], told.comparer)
    return (*kept, *(apart for text in texts for apart in text.find_seams(kept)))


def _names_another(reply: Reply, own: set[str], told: _Told) -> bool:
    """Tell whether a reply names other recipients of the report, and not him."""
    named = told.comparer.find_names(reply.text)
    return named.isdisjoint(own) and not named.isdisjoint(told.everybody)
