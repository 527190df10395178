"""Reads the JSON form in which Amazon SES tells of deliveries, bounces and complaints; total.

Source: Amazon SES Developer Guide, "Amazon SNS notification contents".
"""

import json
import re
from dataclasses import dataclass

from bounced.model import Action, Kind, RecipientFacts, Reply
from bounced.parser.evidence import make_reply
from bounced.parser.fields import is_address, parse_host, parse_status, parse_typed

_HINT = re.compile(r'\s*\{.{0,20000}?\\?"(?:notificationType|eventType)\\?"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Notification:
    """What one notification says."""

    kind: Kind
    recipients: tuple[RecipientFacts, ...]
    reporting_mta: str | None


def read_notification(part: int, text: str) -> Notification | None:
    """Return the notification that `text` holds, or None."""
    if not _HINT.match(text):
        return None
    content = _parse(text)
    told = content.get("notificationType", content.get("eventType"))
    match told:
        case "Delivery":
            detail = _table(content.get("delivery"))
            names = _texts(detail.get("recipients"))
            facts = tuple(_delivered(name) for name in names)
            return Notification(Kind.DELIVERY_STATUS, facts, _text(detail.get("reportingMTA")))
        case "Bounce":
            detail = _table(content.get("bounce"))
            entries = [_table(entry) for entry in _list(detail.get("bouncedRecipients"))]
            failed = tuple(each for entry in entries if (each := _bounced(part, entry)))
            host = parse_host(_text(detail.get("reportingMTA")) or "")
            return Notification(Kind.DELIVERY_STATUS, failed, host)
        case "Complaint":
            detail = _table(content.get("complaint"))
            entries = [_table(entry) for entry in _list(detail.get("complainedRecipients"))]
            names = [name for entry in entries for name in _texts([entry.get("emailAddress")])]
            who = tuple(RecipientFacts(final_recipient=name) for name in names if is_address(name))
            return Notification(Kind.FEEDBACK, who, None)
        case _:
            return None


def _parse(text: str) -> dict[str, object]:
    """Read the first JSON object, also one that SNS wrapped as text in its `Message`."""
    try:
        content = _table(json.JSONDecoder().raw_decode(text.lstrip())[0])
        wrapped = content.get("Message")
        return _table(json.loads(wrapped)) if isinstance(wrapped, str) else content
    except (ValueError, RecursionError):
        return {}


def _delivered(name: str) -> RecipientFacts:
    return RecipientFacts(final_recipient=name, action=Action.DELIVERED)


def _bounced(part: int, entry: dict[str, object]) -> RecipientFacts | None:
    name = _text(entry.get("emailAddress"))
    if name is None or not is_address(name):
        return None
    diagnostic = _text(entry.get("diagnosticCode"))
    said = parse_typed(diagnostic)[1] if diagnostic else ""
    reply: Reply | None = make_reply(said, f"part {part}, diagnosticCode")
    return RecipientFacts(
        final_recipient=name,
        action=Action.DELAYED if entry.get("action") == "delayed" else Action.FAILED,
        status=parse_status(_text(entry.get("status")) or ""),
        smtp_code=reply.smtp_code if reply else None,
        diagnostic_code=diagnostic,
        replies=(reply,) if reply else (),
    )


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> list[str]:
    return [text for each in _list(value) if (text := _text(each))]
