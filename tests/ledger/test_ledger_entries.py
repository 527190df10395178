from __future__ import annotations

import pytest
from sqlalchemy import update

from bounced.ledger import sends
from bounced.ledger.entries import read_notice
from bounced.ledger.records import ClaimedNotice
from bounced.ledger.schema import slots
from bounced.model import Send
from tests.ledger.office import AUTHOR, MINUTE, RECIPIENT, START, Office, bounce


def register(office: Office, language: str | None, title: str | None) -> Send:
    send = Send(
        send="00000000000000aa",
        author=AUTHOR,
        recipients=(RECIPIENT,),
        registered_at=START,
        title=title,
        language=language,
    )
    office.ledger.write(lambda connection: sends.register(connection, send))
    return send


def claim(office: Office) -> ClaimedNotice:
    office.move(15 * MINUTE)
    notice = office.claim()
    assert notice is not None
    return notice


@pytest.mark.parametrize(("registered", "told"), [("en", "en"), (None, "de")])
def test_the_registered_language_goes_before_that_of_a_newer_returned_message(
    office: Office, registered: str | None, told: str
) -> None:
    send = register(office, registered, None)
    office.receive(bounce("a", registered=send))
    office.receive(bounce("b", recipient="eva@kunde.example", at=START + MINUTE))
    assert claim(office).language == told


@pytest.mark.parametrize(
    ("title", "told"),
    [("Lindenhof 14", ("Lindenhof 14", False)), (None, ("Protokoll a", True))],
)
def test_a_title_is_known_for_a_subject_where_none_is_registered(
    office: Office, title: str | None, told: tuple[str, bool]
) -> None:
    office.receive(bounce("a", registered=register(office, None, title)))
    (strike,) = claim(office).entries[0].strikes
    assert (strike.title, strike.title_from_subject) == told


def test_a_slot_keeps_the_suggestion_that_was_made_when_it_was_taken(office: Office) -> None:
    office.receive(bounce("a"))
    notice = claim(office)
    office.ledger.write(lambda c: c.execute(update(slots).values(suggestion="max@gmail.com")))
    again = office.ledger.read(lambda connection: read_notice(connection, notice.notice))
    assert again is not None
    assert [entry.suggestion for entry in again.entries] == ["max@gmail.com"]
