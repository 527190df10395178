"""What an application may ask and say of an address, whichever authors wrote to it."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, event

from bounced.ledger import addresses, engine, notices, schema, sends
from bounced.ledger.addresses import (
    AddressCase,
    ChangedCase,
    NoticeUnderWayError,
    Standing,
    UnknownSendError,
)
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import find_case_id
from bounced.ledger.records import CaseState
from bounced.model import Category, Send
from tests.ledger.office import (
    AUTHOR,
    DAY,
    DOMAIN,
    HOUR,
    LEASE,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    SPF,
    Office,
    wait_until_blocked,
)

OTHER_AUTHOR = "ben@bau.example"
CASE = find_case_id(AUTHOR, RECIPIENT)
OTHER_CASE = find_case_id(OTHER_AUTHOR, RECIPIENT)


def look_up(office: Office, *recipients: str) -> list[Standing]:
    return office.ledger.read(lambda connection: addresses.look_up(connection, recipients))


def is_bad(office: Office, recipient: str = RECIPIENT) -> bool:
    (standing,) = look_up(office, recipient)
    return standing.known_bad


def correct(office: Office, recipient: str = RECIPIENT, author: str | None = None) -> list[str]:
    """Correct an address; return the cases that were closed."""
    changed = office.ledger.write(
        lambda c: addresses.correct(c, recipient, office.now, author=author, new_id=office.new_id)
    )
    return [each.case for each in changed]


def prove(office: Office, recipient: str = RECIPIENT, **who: Any) -> list[ChangedCase]:
    return office.ledger.write(
        lambda c: addresses.prove_delivery(
            c,
            recipient,
            office.now,
            **{"author": None, "send": None} | who,
            settings=office.settings,
            new_id=office.new_id,
        )
    )


def register(office: Office, recipient: str = RECIPIENT, author: str = AUTHOR) -> str:
    """Register a send now; return its id."""
    send = Send(office.new_id(), author, (recipient,), office.now)
    office.ledger.write(lambda connection: sends.register(connection, send))
    return send.send


def exhaust(office: Office) -> None:
    for number in range(3):
        office.fail(f"exhausting {number}")
        office.move(DAY + HOUR)
        office.send_due()


def test_addresses_are_answered_in_the_order_asked_each_with_its_cases(office: Office) -> None:
    office.fail("a")
    office.move(HOUR)
    office.fail("b", author=OTHER_AUTHOR, verdict=MAILBOX_FULL)
    assert look_up(office, "ida@kunde.example", "<Max@KUNDE.example.>", RECIPIENT) == [
        Standing("ida@kunde.example", known_bad=False, cases=()),
        *(
            Standing(
                recipient,
                known_bad=True,
                cases=(
                    AddressCase(
                        case=OTHER_CASE,
                        author=OTHER_AUTHOR,
                        category=Category.MAILBOX_FULL,
                        reason="mailbox-full",
                        state=CaseState.OPEN,
                        strikes=1,
                        notices=0,
                        last_strike_at=office.now,
                        reset_at=None,
                    ),
                    AddressCase(
                        case=CASE,
                        author=AUTHOR,
                        category=Category.BAD_ADDRESS,
                        reason="user-unknown",
                        state=CaseState.OPEN,
                        strikes=1,
                        notices=0,
                        last_strike_at=office.now - HOUR,
                        reset_at=None,
                    ),
                ),
            )
            for recipient in ("<Max@KUNDE.example.>", RECIPIENT)
        ),
    ]


def test_no_address_is_answered_with_nothing(office: Office) -> None:
    assert look_up(office) == []


def test_an_address_in_another_alphabet_is_found_by_its_a_labels(office: Office) -> None:
    office.fail("a", "max@bücher.example")
    assert is_bad(office, "max@xn--bcher-kva.example")
    assert is_bad(office, "MAX@BÜCHER.example")


def test_a_full_mailbox_is_no_bad_address(office: Office) -> None:
    office.fail("a", verdict=MAILBOX_FULL)
    assert not is_bad(office)


def test_the_latest_word_on_an_address_decides(office: Office) -> None:
    office.fail("a")
    assert is_bad(office)
    office.move(HOUR)
    office.fail("b", verdict=MAILBOX_FULL)
    assert not is_bad(office)


def test_a_failing_sender_domain_says_nothing_of_the_recipient(office: Office) -> None:
    office.fail("a", verdict=SPF)
    assert look_up(office, RECIPIENT) == [Standing(RECIPIENT, known_bad=False, cases=())]


def test_an_address_stays_bad_when_its_author_is_told_no_more(office: Office) -> None:
    exhaust(office)
    (standing,) = look_up(office, RECIPIENT)
    assert (standing.known_bad, standing.cases[0].state) == (True, CaseState.EXHAUSTED)


def test_a_corrected_address_is_bad_no_more_until_it_fails_again(office: Office) -> None:
    office.fail("a")
    assert correct(office) == [CASE]
    assert not is_bad(office)
    office.move(HOUR)
    office.fail("b")
    assert is_bad(office)


def test_a_case_that_begins_anew_is_not_bad(office: Office) -> None:
    office.fail("a")
    office.move(HOUR)
    office.send_due()
    office.reset(CASE)
    (standing,) = look_up(office, RECIPIENT)
    assert (standing.known_bad, standing.cases[0].strikes) == (False, 0)


def test_an_address_that_mail_reaches_again_is_not_bad_though_a_failure_is_still_to_be_told(
    office: Office,
) -> None:
    office.fail("a")
    office.move(MINUTE)
    assert [each.round for each in prove(office)] == [2]
    assert prove(office) == [], "nothing has failed since"
    (standing,) = look_up(office, RECIPIENT)
    assert (standing.known_bad, standing.cases[0].strikes) == (False, 1)
    office.move(MINUTE)
    office.fail("b")
    assert is_bad(office)
    assert [each.round for each in prove(office)] == [3]


def test_correcting_closes_each_authors_case_once(office: Office) -> None:
    exhaust(office)
    office.fail("b", author=OTHER_AUTHOR)
    office.fail("c", "ida@kunde.example")
    assert sorted(correct(office, "MAX@kunde.example")) == sorted([CASE, OTHER_CASE])
    assert correct(office) == []
    assert {case["subject"]: case["state"] for case in office.list_cases()} == {
        RECIPIENT: "closed",
        "ida@kunde.example": "open",
    }


def test_correcting_for_one_author_leaves_the_others_alone(office: Office) -> None:
    office.fail("a")
    office.fail("b", author=OTHER_AUTHOR)
    assert correct(office, author="Ben@BAU.example") == [OTHER_CASE]
    assert office.list_notices(author=OTHER_AUTHOR) == []
    assert len(office.list_notices(author=AUTHOR)) == 1
    assert correct(office, author="nobody@bau.example") == []


def test_correcting_what_never_failed_does_nothing(office: Office) -> None:
    assert correct(office) == []


def test_proof_of_delivery_opens_the_next_round(office: Office) -> None:
    exhaust(office)
    assert prove(office) == [ChangedCase(CASE, AUTHOR, RECIPIENT, 2)]
    case = office.find_case()
    assert {name: case[name] for name in ("state", "round", "strikes", "notices")} == {
        "state": "open",
        "round": 2,
        "strikes": 0,
        "notices": 0,
    }
    assert prove(office) == [], "nothing has failed since"


@pytest.mark.parametrize(
    ("who", "changed"),
    [
        pytest.param({}, {AUTHOR, OTHER_AUTHOR}, id="nobody"),
        pytest.param({"author": "Ben@BAU.example"}, {OTHER_AUTHOR}, id="author"),
        pytest.param({"send": AUTHOR}, {AUTHOR}, id="send"),
        pytest.param({"author": OTHER_AUTHOR, "send": AUTHOR}, {OTHER_AUTHOR}, id="both"),
        pytest.param({"author": "nobody@bau.example"}, set(), id="another"),
    ],
)
def test_proof_of_delivery_holds_for_whom_it_names(
    office: Office, who: dict[str, str], changed: set[str]
) -> None:
    office.fail("a")
    office.fail("b", author=OTHER_AUTHOR)
    office.move(MINUTE)
    if "send" in who:
        who = who | {"send": register(office, author=who["send"])}
    assert {case.author for case in prove(office, **who)} == changed


def test_proof_that_is_older_than_the_failure_proves_nothing(office: Office) -> None:
    office.fail("a", author=OTHER_AUTHOR)
    office.move(MINUTE)
    older = register(office)
    office.move(MINUTE)
    office.fail("b")
    assert prove(office, send=older) == []
    office.move(MINUTE)
    assert [case.case for case in prove(office, send=register(office))] == [CASE]


def test_the_send_that_failed_itself_proves_nothing(office: Office) -> None:
    send = Send(office.new_id(), AUTHOR, (RECIPIENT,), office.now)
    office.ledger.write(lambda connection: sends.register(connection, send))
    office.move(MINUTE)
    office.fail("a", registered=send)
    assert prove(office, send=send.send) == []


@pytest.mark.parametrize("recipient", [RECIPIENT, "ida@kunde.example"])
def test_a_send_that_is_unknown_or_names_somebody_else_is_refused(
    office: Office, recipient: str
) -> None:
    office.fail("a", recipient)
    known = register(office, "eva@kunde.example")
    for send in ("00000000000000ff", known):
        with pytest.raises(UnknownSendError):
            prove(office, recipient, send=send)
    assert office.find_case(recipient)["round"] == 1


def test_a_send_is_known_by_any_spelling_of_its_recipient(office: Office) -> None:
    office.fail("a")
    office.move(MINUTE)
    send = register(office, "Max@KUNDE.example")
    assert [case.case for case in prove(office, "<max@kunde.EXAMPLE>", send=send)] == [CASE]


def test_while_a_notice_is_on_its_way_no_case_begins_anew(office: Office) -> None:
    office.fail("a", author=OTHER_AUTHOR)
    office.move(HOUR)
    assert office.claim() is not None
    office.fail("b")
    before = office.dump("cases", "events")
    with pytest.raises(NoticeUnderWayError):
        prove(office)
    assert office.dump("cases", "events") == before
    assert [case.case for case in prove(office, author=AUTHOR)] == [CASE]


def test_who_asks_while_a_notice_waits_hears_when_it_is_tried_again(office: Office) -> None:
    office.fail("a")
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    assert office.defer(claimed, office.now + 4 * HOUR)
    with pytest.raises(NoticeUnderWayError) as refused:
        prove(office)
    assert refused.value.until == office.now + 4 * HOUR


def test_a_notice_that_is_just_being_claimed_is_waited_for(postgres_url: str) -> None:
    office = Office(Ledger(postgres_url))
    office.fail("a")
    office.move(HOUR)
    with ThreadPoolExecutor(1) as pool:
        with office.ledger.engine.begin() as claiming:
            notices.claim(
                claiming,
                office.now,
                LEASE,
                1,
                settings=office.settings,
                released_only=False,
                domain=DOMAIN,
                new_id=office.new_id,
            )
            proving = pool.submit(prove, office)
            wait_until_blocked(claiming)
        with pytest.raises(NoticeUnderWayError):
            proving.result()
    office.ledger.close()


def test_correcting_stands_while_a_notice_is_on_its_way(office: Office) -> None:
    office.fail("a")
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    assert correct(office) == [CASE]
    assert office.settle(claimed) is not None
    assert office.find_case()["state"] == "closed"


def test_applications_that_act_on_the_same_addresses_at_once_do_not_block_each_other(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_TRIES", 1)  # a deadlock would be seen
    authors = [f"author{number}@bau.example" for number in range(6)]
    recipients = [f"r{number}@kunde.example" for number in range(4)]

    def work(node: int) -> int:
        office = Office(Ledger(ledger_url), ids=itertools.count((node + 1) << 32))
        chance = random.Random(node)
        changed = 0
        for number in range(25):
            recipient, author = chance.choice(recipients), chance.choice(authors)
            act = chance.choice(("fail", "correct", "prove"))
            if act == "fail":
                office.fail(f"{node}-{number}", recipient, author=author)
            elif act == "correct":
                changed += len(correct(office, recipient))
            else:
                changed += len(prove(office, recipient))
            office.move(MINUTE)
        office.ledger.close()
        return changed

    with ThreadPoolExecutor(4) as pool:
        assert min(pool.map(work, range(4))) > 0


def test_addresses_are_looked_up_by_an_index(ledger: Ledger) -> None:
    explain = "EXPLAIN QUERY PLAN" if ledger.engine.dialect.name == "sqlite" else "EXPLAIN"
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        statements.append((statement, values))

    def work(connection: Connection) -> str:
        addresses.look_up(connection, [f"r{number}@kunde.example" for number in range(1000)])
        statement, values = statements[-1]
        plan = connection.exec_driver_sql(f"{explain} {statement}", values)
        return "\n".join(str(row) for row in plan)

    ledger.write(insert_many)
    event.listen(ledger.engine, "before_cursor_execute", note)
    assert "ix_cases_subject" in ledger.read(work)
    asked = [statement for statement, _ in statements if "FROM cases" in statement]
    assert len(asked) == 2, "one, and the one explained"


def insert_many(connection: Connection) -> None:
    connection.execute(
        schema.cases.insert(),
        [
            {
                "case": f"{number:016x}",
                "author": AUTHOR,
                "subject": f"r{number}@kunde.example",
                "category": "bad-address",
                "reason": "user-unknown",
                "round": 1,
            }
            for number in range(20_000)
        ],
    )
    connection.exec_driver_sql("ANALYZE")
