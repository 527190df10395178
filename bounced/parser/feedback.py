"""Reads feedback reports: which recipient called our mail spam; total.

RFC 5965 (ARF), RFC 6591 (authentication failure reports, of the same form).
"""

from bounced.model import RecipientFacts
from bounced.parser.fields import is_address, parse_recipient
from bounced.parser.headers import Fields, read_fields
from bounced.parser.mime import Message
from bounced.parser.returned import find_returned_parts

_TYPE = "message/feedback-report"
_ADDRESS_FIELDS = ("original-rcpt-to", "removal-recipient", "redacted-address")
_RETURNED_FIELDS = ("x-hmxmroriginalrecipient", "x-rcpt-to")
# RFC 6590 §3 puts a token in the place of what is hidden; RFC 2606 §2: nobody lives there.
_REDACTED = ".invalid"


def find_feedback(message: Message) -> Fields | None:
    """Return the fields of a feedback report, empty ones for a report in no form; else None."""
    for part in message.parts:
        if part.content_type == _TYPE:
            return read_fields(part.text)
    if message.parameters.get("report-type", "").lower() == "feedback-report":
        return Fields()
    return Fields() if _is_hotmail_complaint(message) else None


def _is_hotmail_complaint(message: Message) -> bool:
    """Recognise Microsoft's JMRP mail: the message alone, under a subject of its own."""
    # Actually, these hold no feedback-report part at all.
    returned = find_returned_parts(message)
    marked = any("x-hmxmroriginalrecipient" in fields for fields in returned)
    subject = message.subject().lower().strip()
    return marked and subject.startswith("complaint about message from")


def read_complainers(
    report: Fields, returned: Fields | None, to_addresses: tuple[str, ...]
) -> tuple[RecipientFacts, ...]:
    """Return who complained: Original-Rcpt-To, else what the returned message tells."""
    found = _find(report, _ADDRESS_FIELDS)
    if not found and returned is not None:
        found = _find(returned, _RETURNED_FIELDS) or list(to_addresses)
    return tuple(RecipientFacts(final_recipient=address) for address in dict.fromkeys(found))


def _find(fields: Fields, names: tuple[str, ...]) -> list[str]:
    addresses = (parse_recipient(value) for name in names for value in fields.every(name))
    return [
        address
        for address in addresses
        if address and is_address(address) and not address.lower().endswith(_REDACTED)
    ]
