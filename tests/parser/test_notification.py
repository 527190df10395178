"""Tests of reading Amazon SES notifications."""

import json

import pytest

from bounced.model import Action, Kind, RecipientFacts, Reply
from bounced.parser.notification import Notification, read_notification

DELIVERY: dict[str, object] = {
    "notificationType": "Delivery",
    "delivery": {"recipients": ["a@b.de", 7], "reportingMTA": "a1.amazonses.test"},
}
BOUNCE: dict[str, object] = {
    "eventType": "Bounce",
    "bounce": {
        "reportingMTA": "dns; a1.amazonses.test",
        "bouncedRecipients": [
            {
                "emailAddress": "a@b.de",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            },
            {"emailAddress": "c@d.de", "action": "delayed"},
            {"emailAddress": "nobody"},
            "no table",
        ],
    },
}
COMPLAINT: dict[str, object] = {
    "notificationType": "Complaint",
    "complaint": {"complainedRecipients": [{"emailAddress": "a@b.de"}, {"emailAddress": "x"}]},
}


def test_a_delivery_lists_who_got_it() -> None:
    assert read_notification(1, json.dumps(DELIVERY) + "\n--\nunsubscribe") == Notification(
        Kind.DELIVERY_STATUS,
        (RecipientFacts(final_recipient="a@b.de", action=Action.DELIVERED),),
        "a1.amazonses.test",
    )


def test_a_bounce_keeps_what_the_server_said() -> None:
    assert read_notification(1, json.dumps(BOUNCE)) == Notification(
        Kind.DELIVERY_STATUS,
        (
            RecipientFacts(
                final_recipient="a@b.de",
                action=Action.FAILED,
                status="5.1.1",
                smtp_code=550,
                diagnostic_code="smtp; 550 5.1.1 user unknown",
                replies=(
                    Reply(
                        "550 5.1.1 user unknown",
                        "part 1, diagnosticCode",
                        smtp_code=550,
                        status="5.1.1",
                    ),
                ),
            ),
            RecipientFacts(final_recipient="c@d.de", action=Action.DELAYED),
        ),
        "a1.amazonses.test",
    )


def test_a_complaint_is_feedback() -> None:
    wrapped = json.dumps({"Type": "Notification", "Message": json.dumps(COMPLAINT)})
    assert read_notification(1, wrapped) == Notification(
        Kind.FEEDBACK, (RecipientFacts(final_recipient="a@b.de"),), None
    )


@pytest.mark.parametrize(
    "text",
    [
        "Hallo",
        '{"other": 1}',
        '{"notificationType": "Send"}',
        '{"notificationType": ',
        '{"notificationType": ' + "[" * 100_000,
        '{"notificationType": "Delivery", "delivery": 3}x{',
        '{"Message": "notificationType", "x": {"notificationType": 1}}',
    ],
)
def test_other_text_is_no_notification_or_lists_nobody(text: str) -> None:
    found = read_notification(1, text)
    assert found is None or found.recipients == ()
