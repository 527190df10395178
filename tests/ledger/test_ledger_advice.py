"""Which cases are looked into for typing errors, and what becomes of the finding."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from bounced.ledger import advice, schema
from bounced.ledger.advice import UnadvisedCase
from bounced.ledger.policy import find_case_id
from bounced.model import Category, Reason, Verdict
from tests.ledger.office import (
    AUTHOR,
    DAY,
    EXPIRED,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    START,
    Office,
)

MEANT = "max@kunden.example"


def find(office: Office, limit: int = 10, **more: Any) -> list[UnadvisedCase]:
    return office.ledger.read(lambda c: advice.find_unadvised(c, limit, **more))


def store(office: Office, case: UnadvisedCase, suggestion: str | None = MEANT) -> bool:
    return office.ledger.write(lambda c: advice.store(c, case, suggestion, office.now))


def read_suggestion(office: Office, subject: str = RECIPIENT) -> str | None:
    query = select(schema.cases.c.suggestion).where(schema.cases.c.subject == subject)
    found: str | None = office.ledger.read(lambda c: c.execute(query).scalar_one())
    return found


def list_subjects(office: Office, limit: int = 10, **more: Any) -> list[str]:
    return [case.subject for case in find(office, limit, **more)]


def test_a_wrong_address_is_looked_into_once(office: Office) -> None:
    office.fail("a")
    (case,) = find(office)
    assert case == UnadvisedCase(
        find_case_id(AUTHOR, RECIPIENT), AUTHOR, RECIPIENT, RECIPIENT, Reason.USER_UNKNOWN, START
    )
    office.move(MINUTE)
    assert store(office, case)
    assert (find(office), read_suggestion(office)) == ([], MEANT)


def test_what_brought_nothing_is_not_looked_into_again(office: Office) -> None:
    office.fail("a")
    (case,) = find(office)
    office.move(MINUTE)
    assert store(office, case, None)
    assert (find(office), read_suggestion(office)) == ([], None)


def test_a_new_strike_is_a_new_look_that_may_take_the_suggestion_back(office: Office) -> None:
    office.fail("a")
    (case,) = find(office)
    store(office, case)
    office.move(DAY)
    office.fail("b", verdict=Verdict(Category.BAD_ADDRESS, Reason.DOMAIN_UNKNOWN))
    (again,) = find(office)
    assert again.reason is Reason.DOMAIN_UNKNOWN
    office.move(MINUTE)
    assert store(office, again, None)
    assert read_suggestion(office) is None


def test_only_wrong_addresses_that_will_be_told_of_are_looked_into(office: Office) -> None:
    office.fail("a", verdict=MAILBOX_FULL)
    office.fail("b", "ida@kunde.example", verdict=EXPIRED)
    office.fail("c", "told@kunde.example")
    office.move(HOUR)
    office.send_due()
    office.fail("d", "closed@kunde.example")
    office.close(find_case_id(AUTHOR, "closed@kunde.example"))
    assert find(office) == []


def test_what_is_due_first_is_looked_into_first(office: Office) -> None:
    for name in ("c", "a", "b"):
        office.fail(name, f"{name}@kunde.example")
        office.move(MINUTE)
    assert list_subjects(office) == ["c@kunde.example", "a@kunde.example", "b@kunde.example"]
    assert list_subjects(office, 2) == ["c@kunde.example", "a@kunde.example"]
    first = find_case_id(AUTHOR, "c@kunde.example")
    assert list_subjects(office, 1, without={first}) == ["a@kunde.example"]


def test_a_case_that_changed_while_it_was_looked_into_keeps_what_it_has(office: Office) -> None:
    office.fail("a")
    (case,) = find(office)
    office.move(MINUTE)
    office.fail("b")
    assert not store(office, case)
    assert read_suggestion(office) is None
    (again,) = find(office)
    assert store(office, again)


def test_a_case_of_another_category_by_now_gets_no_suggestion(office: Office) -> None:
    office.fail("a")
    (case,) = find(office)
    office.fail("a", verdict=MAILBOX_FULL, report="f" * 16)
    assert not store(office, case)
    assert read_suggestion(office) is None


def test_a_case_that_is_gone_or_told_of_meanwhile_gets_none(office: Office) -> None:
    office.fail("a")
    (case,) = find(office)
    office.move(HOUR)
    office.send_due()
    assert not store(office, case)
    gone = UnadvisedCase("f" * 16, AUTHOR, RECIPIENT, RECIPIENT, Reason.USER_UNKNOWN, START)
    assert not store(office, gone)


def test_counting_leaves_the_suggestion_alone(office: Office) -> None:
    office.fail("a")
    (case,) = find(office)
    store(office, case)
    office.move(DAY)
    office.fail("b")
    assert read_suggestion(office) == MEANT


def test_a_case_is_looked_into_as_it_was_written_last(office: Office) -> None:
    """Its subject has lost what may be the slip."""
    office.fail("a", f"<{RECIPIENT}")
    office.move(DAY)
    office.fail("b", f"{RECIPIENT}.")
    (case,) = find(office)
    assert (case.subject, case.recipient) == (RECIPIENT, f"{RECIPIENT}.")


def test_it_is_known_in_which_spelling_a_recipient_failed(office: Office) -> None:
    case = office.fail("a", f"{RECIPIENT}.").case

    def has_failed(address: str) -> bool:
        return office.ledger.read(lambda c: advice.has_failed(c, case, address))

    assert not has_failed(RECIPIENT)
    office.fail("b", RECIPIENT.upper())
    assert has_failed(RECIPIENT)
