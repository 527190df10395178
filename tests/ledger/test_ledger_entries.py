from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from bounced.ledger import sends
from bounced.ledger.entries import find_language, read_entry, read_notice
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


def fail_behind(office: Office, final: str, original: str | None = None) -> None:
    """Let a registered send fail by a report that may name another recipient."""
    finding = bounce("a", registered=register(office, None, None))
    assert finding.report is not None
    (facts,) = finding.report.recipients
    named = replace(facts, original_recipient=original, final_recipient=final)
    office.receive(replace(finding, report=replace(finding.report, recipients=(named,))))


@pytest.mark.parametrize(
    ("final", "original", "forwarded"),
    [
        ("hidden@private.example", None, True),
        ("hidden@private.example", RECIPIENT, True),
        (RECIPIENT.upper(), None, False),
        (RECIPIENT.partition("@")[0], None, False),
        ("hidden", None, True),
    ],
)
def test_a_recipient_is_forwarded_whose_report_names_another_than_was_written_to(
    office: Office, final: str, original: str | None, *, forwarded: bool
) -> None:
    fail_behind(office, final, original)
    (strike,) = claim(office).entries[0].strikes
    assert (strike.recipient, strike.forwarded) == (RECIPIENT, forwarded)


def test_a_case_is_read_alone_as_its_notice_tells_it(office: Office) -> None:
    office.receive(bounce("a"), bounce("b", recipient="eva@kunde.example"))
    notice = claim(office)
    assert len(notice.entries) == 2
    for entry in notice.entries:
        read = office.ledger.read(lambda c, e=entry: read_entry(c, notice.notice, e.case))  # type: ignore[misc] # a lambda has no annotations
        assert read == entry
    assert office.ledger.read(lambda c: read_entry(c, notice.notice, "f" * 16)) is None


@pytest.mark.parametrize("registered", ["en", None, ""])
def test_a_notice_has_one_language_however_it_is_asked_for(
    office: Office, registered: str | None
) -> None:
    office.receive(bounce("a", registered=register(office, registered, None)))
    office.receive(bounce("b", recipient="eva@kunde.example", at=START + MINUTE))
    notice = claim(office)
    assert notice.language is not None
    found = office.ledger.read(lambda c: find_language(c, notice.notice))
    assert found == notice.language
    assert office.ledger.read(lambda c: find_language(c, "f" * 16)) is None
