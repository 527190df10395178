"""What the sending application hears, in the words of the log, and that it hears it once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

from bounced.ledger import addresses, outbox, reports, sends, strikes
from bounced.ledger.counting import StrikeCounter
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import find_case_id
from bounced.ledger.records import NoticeState
from bounced.ledger.sends import KeyedSend
from bounced.model import Send, TokenType
from tests.ledger.office import (
    AUTHOR,
    DAY,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    SPF,
    START,
    Office,
    bounce,
    wait_until_blocked,
)

CASE = find_case_id(AUTHOR, RECIPIENT)
IDS = {"case": CASE, "author": AUTHOR, "subject": RECIPIENT}
SEND = Send("00000000000000aa", AUTHOR, (RECIPIENT,), START, reference="Protokoll 7")


def hear(office: Office) -> list[tuple[str, dict[str, Any]]]:
    """Return what was published, in order."""
    found, _ = outbox.read_events(office.ledger, 0, 1000)
    return [(event.event, event.body) for event in found]


def hear_names(office: Office) -> list[str]:
    return [name for name, _ in hear(office)]


def hear_last(office: Office) -> tuple[str, dict[str, Any]]:
    return hear(office)[-1]


def test_a_strike_is_told_with_what_the_application_knows_its_mail_by(office: Office) -> None:
    asked = KeyedSend("protocol 7 to max", "digest", SEND, "s@bounce.example.com")
    office.ledger.write(lambda connection: sends.register_all(connection, [asked]))
    office.fail("a", registered=SEND, report="00000000000000r1")
    assert hear(office) == [
        (
            "strike_counted",
            IDS
            | {
                "report": "00000000000000r1",
                "recipient": RECIPIENT,
                "category": "bad-address",
                "reason": "user-unknown",
                "strikes": 1,
                "send": SEND.send,
                "key": "protocol 7 to max",
                "reference": "reference of a",
                "message_id": "a@app.example",
            },
        )
    ]


def test_without_a_registered_send_reference_and_message_id_are_left(office: Office) -> None:
    office.fail("a", report="00000000000000r1")
    _, body = hear_last(office)
    assert body.keys() & {"send", "key", "reference", "message_id"} == {"reference", "message_id"}


def test_events_have_the_time_of_what_they_tell(office: Office) -> None:
    office.fail("a")
    office.move(HOUR)
    office.send_due()
    found, _ = outbox.read_events(office.ledger, 0, 10)
    assert [event.at for event in found] == [START, START + HOUR]


def test_a_strike_is_told_once_however_often_it_is_reported(office: Office) -> None:
    office.fail("a")
    office.fail("a")
    office.move(HOUR)
    office.fail("a")
    office.fail("b", verdict=MAILBOX_FULL)
    assert [(body["strikes"], body["reason"]) for _, body in hear(office)] == [
        (1, "user-unknown"),
        (2, "mailbox-full"),
    ]


def test_a_strike_that_goes_to_another_case_is_told_again_with_the_one_it_was_in(
    office: Office,
) -> None:
    office.fail("a", verdict=SPF)
    office.move(MINUTE)
    office.fail("a", verdict=MAILBOX_FULL)
    office.move(MINUTE)
    office.fail("a")
    (_, first), (name, moved) = hear(office)
    assert "was_case" not in first
    assert {key: moved[key] for key in ("case", "was_case", "category", "strikes")} == {
        "case": CASE,
        "was_case": first["case"],
        "category": "mailbox-full",
        "strikes": 1,
    }
    assert name == "strike_counted"
    assert [case["case"] for case in office.list_cases()] == [CASE]


def test_what_does_not_count_is_not_told(office: Office) -> None:
    office.receive(replace(bounce("a"), author=None))
    office.receive(replace(bounce("b"), quarantined=True))
    assert hear(office) == []


def test_a_batch_is_told_in_its_order(office: Office) -> None:
    office.receive(*(bounce(f"{number}", f"r{number}@kunde.example") for number in range(20)))
    told = [body["subject"] for _, body in hear(office)]
    assert told == [f"r{number}@kunde.example" for number in range(20)]


def test_a_failed_transaction_is_not_told(office: Office) -> None:
    class PowerCutError(Exception):
        pass

    def work(connection: Any) -> None:
        strikes.record(connection, [bounce("a")], office.settings, office.now, office.new_id)
        raise PowerCutError

    with pytest.raises(PowerCutError):
        office.ledger.write(work)
    assert hear(office) == []


def test_a_replay_is_not_heard_of(office: Office) -> None:
    office.fail("a")
    before = hear(office)
    office.move(HOUR)

    def replay(connection: Any) -> None:
        findings = [bounce("a", verdict=MAILBOX_FULL), bounce("new")]
        decided = [(finding, strikes.decide(finding, office.settings)) for finding in findings]
        strikes.lock_counted(connection, decided)
        counter = StrikeCounter(connection, office.settings, office.now, replays=True)
        strikes.settle(connection, decided, counter)

    office.ledger.write(replay)
    assert office.find_case()["strikes"] == 2
    assert hear(office) == before


def test_the_three_notices_and_what_they_use_up_are_told(office: Office) -> None:
    for number in range(3):
        office.fail(f"{number}")
        office.move(DAY + HOUR)
        office.send_due()
    told = [(name, body) for name, body in hear(office) if name != "strike_counted"]
    notices = [notice["notice"] for notice in reversed(office.list_notices())]
    assert told == [
        *(
            (
                "notice_sent",
                {
                    "notice": notice,
                    "author": AUTHOR,
                    "slots": [{"case": CASE, "subject": RECIPIENT, "number": number}],
                },
            )
            for number, notice in enumerate(notices, 1)
        ),
        ("case_exhausted", IDS | {"notice": notices[2], "notices": 3}),
    ]


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (NoticeState.FAILED, "notice_failed"),
        (NoticeState.OUTCOME_UNKNOWN, "notice_outcome_unknown"),
    ],
)
def test_how_a_notice_ended_is_told(office: Office, state: NoticeState, name: str) -> None:
    office.fail("a")
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    assert office.settle(claimed, state) is not None
    assert office.settle(claimed, state) is None
    assert hear_names(office) == ["strike_counted", name]


def test_a_notice_whose_daemon_was_lost_is_told_of_too(office: Office) -> None:
    office.fail("a")
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    assert office.start_data(claimed)
    office.move(HOUR)
    assert office.settle_lost()
    assert office.settle(claimed) is not None
    assert hear_names(office)[1:] == ["notice_outcome_unknown", "notice_sent"]


def test_a_bounced_notice_is_told_once(office: Office) -> None:
    office.fail("a")
    office.move(HOUR)
    (sent,) = office.send_due()
    arrived = bounce("x", AUTHOR, report="00000000000000r9")
    arrival = replace(arrived.arrival, token_type=TokenType.NOTICE, token_id=sent.notice)
    of_notice = replace(arrived, arrival=arrival, author=None)
    for _ in range(2):
        office.receive(of_notice)
    assert hear(office)[2:] == [
        (
            "notice_bounced",
            {
                "notice": sent.notice,
                "author": AUTHOR,
                "report": "00000000000000r9",
                "recipient": AUTHOR,
                "category": "bad-address",
                "reason": "user-unknown",
            },
        ),
        ("author_silenced", {"notice": sent.notice, "author": AUTHOR, "why": "unreachable"}),
    ]


def test_what_the_operator_does_to_a_case_is_told(office: Office) -> None:
    office.fail("a")
    office.reset(CASE)
    office.close(CASE)
    assert hear(office)[1:] == [
        ("case_reset", IDS | {"round": 2, "why": "operator"}),
        ("case_closed", IDS | {"round": 2, "why": "operator"}),
    ]


def test_the_new_address_is_told_to_its_other_readers(office: Office) -> None:
    office.fail("a")
    new = "max.muster@kunde.example"
    office.ledger.write(
        lambda c: addresses.correct(
            c, RECIPIENT, office.now, author=None, new_recipient=new, new_id=office.new_id
        )
    )
    assert office.find_case()["corrected_to"] == new
    assert hear_last(office) == (
        "case_closed",
        IDS | {"round": 1, "why": "corrected", "new_recipient": new},
    )


def test_what_the_application_says_itself_is_told_to_its_other_readers(office: Office) -> None:
    office.fail("a")
    office.ledger.write(
        lambda c: addresses.prove_delivery(
            c,
            RECIPIENT,
            office.now,
            author=None,
            send=None,
            settings=office.settings,
            new_id=office.new_id,
        )
    )
    office.ledger.write(
        lambda c: addresses.correct(c, RECIPIENT, office.now, author=None, new_id=office.new_id)
    )
    assert hear(office)[1:] == [
        ("case_reset", IDS | {"round": 2, "why": "delivered"}),
        ("case_closed", IDS | {"round": 2, "why": "corrected"}),
    ]


def test_a_round_that_a_strike_opens_after_a_long_quiet_is_told_before_it(office: Office) -> None:
    office.fail("a")
    office.move(181 * DAY)
    office.fail("b")
    assert hear(office)[1] == ("case_reset", IDS | {"round": 2, "why": "quiet"})
    assert (hear_last(office)[0], hear_last(office)[1]["strikes"]) == ("strike_counted", 1)


def test_two_nodes_that_process_one_report_of_a_notice_tell_it_once(postgres_url: str) -> None:
    office = Office(Ledger(postgres_url))
    arrived = bounce("x", AUTHOR)
    arrival = replace(arrived.arrival, token_type=TokenType.NOTICE, token_id="0" * 16)
    finding = replace(arrived, arrival=arrival, author=None)
    office.ledger.write(lambda connection: reports.append(connection, [arrival]))

    def record(connection: Connection) -> None:
        strikes.record(connection, [finding], office.settings, office.now, office.new_id)

    with ThreadPoolExecutor(1) as pool:
        with office.ledger.engine.begin() as first:
            record(first)
            second = pool.submit(office.ledger.write, record)
            wait_until_blocked(first)
        second.result()
    told = hear_names(office)
    office.ledger.close()
    assert told == ["notice_bounced"]
