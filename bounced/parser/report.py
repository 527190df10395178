"""Reads any received message into one Report of facts: which form it has, what it says; total."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bounced.model import Action, Kind, RecipientFacts, Report, ReturnedMessage
from bounced.parser.delivery_status import (
    StatusPart,
    find_status,
    read_nameless,
    read_recipients,
)
from bounced.parser.embedded import find_embedded, find_forwarded
from bounced.parser.feedback import find_feedback, read_complainers
from bounced.parser.fields import (
    parse_date,
    parse_host,
    parse_mailboxes,
    parse_message_id,
    parse_typed,
)
from bounced.parser.freeform import Freeform, read_freeform
from bounced.parser.freeform import read_nameless as freeform_nameless
from bounced.parser.headers import Fields
from bounced.parser.human import HumanText, find_human_texts, read_human_text
from bounced.parser.mime import Message, read_message
from bounced.parser.notification import Notification, read_notification
from bounced.parser.passages import split_quoted
from bounced.parser.replies import (
    answers_by_machine,
    find_disposition,
    is_auto_reply,
    is_refusal,
    read_disposition_address,
    read_replier,
    says_absent,
)
from bounced.parser.returned import (
    HeaderNames,
    find_quoted_fields,
    find_returned_parts,
    read_returned,
)
from bounced.parser.signs import is_bounce, is_first_hand, is_from_system, is_sent_to_many
from bounced.parser.text import join_spaces
from bounced.parser.wrapping import is_refused_elsewhere

__all__ = ["HeaderNames", "read_report"]

_DEFAULT_NAMES = HeaderNames()
_NO_FIELDS = Fields()
_BOUNCES = frozenset({Kind.DELIVERY_STATUS, Kind.FREEFORM})
_MAX_RECEIVED = 2_000
_RECEIVED_ID = re.compile(r"\bby ([\w.-]{1,255})[^;]{0,400}?\bid ([\w.-]{3,80})")


@dataclass(frozen=True, slots=True)
class _Finding:
    """What kind a message is and what it says."""

    kind: Kind
    recipients: tuple[RecipientFacts, ...] = ()
    about_message: Fields = _NO_FIELDS
    reporting_mta: str | None = None
    notes: tuple[str, ...] = ()
    in_part: bool = False
    """It stands in a part of its own with the type that RFC 6522 gives it."""


def read_report(raw: bytes, names: HeaderNames = _DEFAULT_NAMES) -> Report:
    """Read any bytes into a Report; total, bounded in time by the bounds of `mime`.

    `names` are the configured header fields that the returned message carries.
    """
    message = read_message(raw)
    report = _read_whole(message, names)
    told = _read_inner(message, report, names)
    if told is None:
        return report
    notes = (*report.notes, "the report stands inside another message", *told.notes)
    received = (*report.received, *told.received)
    told = replace(told, message_id=report.message_id, received=received, notes=notes)
    return replace(told, passed_on=True)


def _read_inner(message: Message, report: Report, names: HeaderNames) -> Report | None:
    """Return the report inside a message that says nothing itself."""
    passed_on = report.kind is Kind.UNRECOGNIZED
    if passed_on or (report.kind is Kind.FREEFORM and not _names_anyone(report)):
        inner = find_embedded(message)
        told = _read_whole(inner, names) if inner else None
        if told and told.kind is Kind.DELIVERY_STATUS and told.recipients:
            return told
    inner = find_forwarded(message) if passed_on else None
    told = _read_whole(inner, names) if inner else None
    bounced = told and told.kind in _BOUNCES and _names_anyone(told)
    return told if bounced else None


def _names_anyone(report: Report) -> bool:
    return any(facts.recipient for facts in report.recipients)


def _read_whole(message: Message, names: HeaderNames) -> Report:
    parts = find_returned_parts(message)
    fields = parts[0] if parts else None
    status = find_status(message)
    if status is not None and status.around and is_sent_to_many(message):
        # A newsletter shows in its text what a report looks like.
        status = None
    texts: list[HumanText] = []
    for part, text in find_human_texts(message, without=status.parts if status else ()):
        if status is not None and status.groups and fields is not None:
            texts.append(read_human_text(part, text))
            continue
        own, quoted = split_quoted(text)
        texts.append(read_human_text(part, own))
        fields = fields or find_quoted_fields(quoted)
    for part, words, quoted in status.around if status else ():
        if words.strip():
            texts.append(read_human_text(part, words))
        fields = fields or find_quoted_fields(quoted)
    returned = read_returned(fields, names, parts[1:]) if fields else None
    finding = _decide(message, status, texts, fields, returned)
    return _build(message, finding, returned)


def _build(message: Message, finding: _Finding, returned: ReturnedMessage | None) -> Report:
    fields, about = message.fields, finding.about_message
    message_id = fields.first("message-id")
    reporting_mta = parse_host(about.first("reporting-mta") or "") or finding.reporting_mta
    envelope_id = about.first("original-envelope-id")
    return Report(
        kind=finding.kind,
        recipients=tuple(
            replace(facts, refused_elsewhere=True) if is_refused_elsewhere(facts) else facts
            for facts in finding.recipients
        ),
        reporting_mta=reporting_mta,
        queue_id=_read_queue_id(about, returned, reporting_mta),
        envelope_id=envelope_id.strip() or None if envelope_id else None,
        arrived_at=parse_date(about.first("arrival-date")),
        message_id=parse_message_id(message_id) if message_id else None,
        passed_on=finding.kind in _BOUNCES and not _is_first_hand(message, finding),
        subject=message.subject() or None,
        dated_at=parse_date(fields.first("date")),
        received=tuple(join_spaces(value) for value in fields.every("received")),
        returned=returned,
        notes=message.notes + finding.notes,
    )


def _is_first_hand(message: Message, finding: _Finding) -> bool:
    # Own relays write the fields of RFC 3464 into a part, never into a text.
    may_be = finding.in_part or finding.kind is Kind.FREEFORM
    return may_be and is_first_hand(message, in_part=finding.in_part)


def _decide(
    message: Message,
    status: StatusPart | None,
    texts: Sequence[HumanText],
    fields: Fields | None,
    returned: ReturnedMessage | None,
) -> _Finding:
    """Try the forms from the strictest to the loosest."""
    if status is not None:
        return _read_delivery_status(message, status, texts, returned)
    feedback = find_feedback(message)
    if feedback is not None:
        to_addresses = returned.to_addresses if returned else ()
        who = read_complainers(feedback, fields, to_addresses)
        return _Finding(Kind.FEEDBACK, who, feedback)
    disposition = find_disposition(message)
    if disposition is not None:
        return _read_disposition(message, disposition, texts)
    notification = _find_notification(texts)
    if notification is not None:
        return _Finding(
            notification.kind, notification.recipients, reporting_mta=notification.reporting_mta
        )
    return _read_other(message, texts, returned)


def _read_delivery_status(
    message: Message,
    status: StatusPart,
    texts: Sequence[HumanText],
    returned: ReturnedMessage | None,
) -> _Finding:
    recipients = read_recipients(status, texts)
    notes: tuple[str, ...] = ()
    if not recipients:
        # Actually, some systems (Netscape, Amenworld) name the recipient in the text only.
        freeform = read_freeform(message, texts, returned)
        recipients, notes = freeform.recipients, freeform.notes
    if not recipients:
        recipients = read_nameless(status, texts)
        notes = (*notes, "the delivery status names no recipient")
    return _Finding(
        Kind.DELIVERY_STATUS,
        recipients,
        status.about_message,
        notes=notes,
        in_part=not status.around,
    )


def _read_disposition(
    message: Message, disposition: Fields, texts: Sequence[HumanText]
) -> _Finding:
    if not is_refusal(disposition, message):
        return _Finding(Kind.DISPOSITION)
    final, original = read_disposition_address(disposition)
    if final is None and original is None:
        return _Finding(Kind.DISPOSITION, notes=("the refusal names no recipient",))
    replies = tuple(reply for text in texts for reply in text.find_words())
    facts = RecipientFacts(
        final_recipient=final,
        original_recipient=original,
        action=Action.FAILED,
        smtp_code=replies[0].smtp_code if replies else None,
        replies=replies,
    )
    return _Finding(Kind.FREEFORM, (facts,), in_part=True)


def _find_notification(texts: Sequence[HumanText]) -> Notification | None:
    found = (read_notification(text.part, text.text) for text in texts)
    return next((each for each in found if each is not None), None)


def _read_other(
    message: Message, texts: Sequence[HumanText], returned: ReturnedMessage | None
) -> _Finding:
    replied = is_auto_reply(message)
    if is_bounce(message, texts, answered=replied or says_absent(message)):
        freeform = read_freeform(message, texts, returned)
        if freeform.recipients and (
            returned or is_from_system(message) or not _names_only_us(message, freeform)
        ):
            if _names_only_sender(message, freeform):
                return _Finding(Kind.AUTO_REPLY, read_replier(message))
            return _Finding(Kind.FREEFORM, freeform.recipients, notes=freeform.notes)
        if not replied and (returned or is_from_system(message)):
            notes = (*freeform.notes, "it reads like a bounce that names no recipient")
            nameless = freeform_nameless(message, texts)
            return _Finding(Kind.FREEFORM, (nameless,), notes=notes)
    if replied or answers_by_machine(message):
        return _Finding(Kind.AUTO_REPLY, read_replier(message))
    return _Finding(Kind.UNRECOGNIZED)


def _names_only_sender(message: Message, freeform: Freeform) -> bool:
    """Tell whether he who failed wrote it himself: so do a challenge and a farewell."""
    senders = {each.lower() for each in parse_mailboxes(message.fields.first("from") or "")}
    return all((facts.recipient or "").lower() in senders for facts in freeform.recipients)


def _names_only_us(message: Message, freeform: Freeform) -> bool:
    """Tell whether the only failed recipient is who got the report: so deceivers write."""
    ours = {address.lower() for address in parse_mailboxes(message.fields.first("to") or "")}
    return all((facts.recipient or "").lower() in ours for facts in freeform.recipients)


def _read_queue_id(
    about: Fields, returned: ReturnedMessage | None, reporting_mta: str | None
) -> str | None:
    """Return the returned mail's queue id: a field, else what the reporting MTA stamped on it."""
    for name in ("x-postfix-queue-id", "x-queue-id"):
        if value := about.first(name):
            return parse_typed(value)[1] or None
    for value in returned.received[:1] if returned else ():
        match = _RECEIVED_ID.search(value[:_MAX_RECEIVED])
        if match and reporting_mta and match[1].lower() == reporting_mta.lower():
            return match[2]
    return None
