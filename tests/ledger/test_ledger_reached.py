"""Which addresses work is learned from silence, and unlearned by the next failure."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from bounced.ledger import addresses, reached, reports, schema, sends
from bounced.ledger.reached import LEARN_AFTER
from bounced.model import Action, Category, Kind, Reason, Report, Send, TokenType, Verdict
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
    bounce,
)

OTHER_AUTHOR = "ben@bau.example"
OTHER = "ida@kunde.example"
NOTHING: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
KNOWN = (frozenset({"kunde.example"}), frozenset({RECIPIENT}))


def register(office: Office, *recipients: str, author: str = AUTHOR) -> Send:
    send = Send(office.new_id(), author, recipients or (RECIPIENT,), office.now)
    office.ledger.write(lambda connection: sends.register(connection, send))
    return send


def learn(office: Office, limit: int = 100) -> int:
    return office.ledger.write(lambda connection: reached.learn(connection, office.now, limit))


def learn_in_time(office: Office) -> None:
    """Let all that was registered have its time, then learn."""
    office.move(LEARN_AFTER)
    learn(office)


def read_known(office: Office, author: str = AUTHOR) -> tuple[frozenset[str], frozenset[str]]:
    return office.ledger.read(lambda connection: reached.read_known(connection, author))


def read_site_domains(office: Office) -> frozenset[str]:
    return office.ledger.read(reached.read_site_domains)


def answer(office: Office, send: Send, **how: Any) -> None:
    """Let a report about a send come in now."""
    office.receive(bounce(send.send, registered=send, **{"at": office.now, **how}))


def answer_with(office: Office, send: Send, report: Report, **how: Any) -> None:
    """Let a report of another kind come in, whose recipients nobody could judge."""
    finding = bounce(send.send, registered=send, at=office.now)
    office.receive(
        replace(
            finding,
            report=report,
            verdicts=(None,) * len(report.recipients),
            addressed=(None,) * len(report.recipients),
            **how,
        )
    )


def test_who_was_written_to_is_reached_once_no_failure_can_come_any_more(office: Office) -> None:
    register(office, "<Max@KUNDE.example.>", OTHER)
    office.move(LEARN_AFTER - MINUTE)
    assert (learn(office), read_known(office)) == (0, NOTHING)
    office.move(MINUTE)
    assert (learn(office), learn(office)) == (1, 0)
    assert read_known(office) == (frozenset({"kunde.example"}), frozenset({RECIPIENT, OTHER}))


def test_what_one_author_has_reached_is_not_known_of_another(office: Office) -> None:
    register(office, author=" <Anna.Berger@BAU.example> ")
    learn_in_time(office)
    assert read_known(office) == KNOWN
    assert read_known(office, OTHER_AUTHOR) == NOTHING


@pytest.mark.parametrize("verdict", [MAILBOX_FULL, EXPIRED])
def test_who_failed_is_not_reached_whatever_the_reason(office: Office, verdict: Verdict) -> None:
    send = register(office)
    answer(office, send, verdict=verdict)
    learn_in_time(office)
    assert read_known(office) == NOTHING


def test_a_failure_that_counts_for_nobody_is_a_failure(office: Office) -> None:
    send = register(office)
    answer(office, send, verdict=Verdict(Category.POLICY, Reason.RELAY_DENIED))
    assert office.list_cases() == []
    learn_in_time(office)
    assert read_known(office) == NOTHING


def test_of_several_recipients_only_the_one_that_failed_is_not_reached(office: Office) -> None:
    send = register(office, RECIPIENT, OTHER)
    answer(office, send)
    learn_in_time(office)
    assert read_known(office) == (frozenset({"kunde.example"}), frozenset({OTHER}))


def test_a_failure_of_somebody_unknown_may_be_any_recipients(office: Office) -> None:
    send = register(office, RECIPIENT, OTHER)
    finding = bounce(send.send, "hidden@forward.example", registered=send, at=office.now)
    office.receive(replace(finding, addressed=(None,)))
    learn_in_time(office)
    assert read_known(office) == NOTHING


def test_a_report_that_nobody_could_read_may_be_a_failure(office: Office) -> None:
    read, unread = register(office), register(office, OTHER)
    answer_with(office, read, Report(kind=Kind.UNRECOGNIZED))
    arrival = bounce("x", registered=unread, at=office.now).arrival
    office.ledger.write(lambda connection: reports.append(connection, [arrival]))
    learn_in_time(office)
    assert read_known(office) == NOTHING


@pytest.mark.parametrize("kind", [Kind.AUTO_REPLY, Kind.DISPOSITION, Kind.FEEDBACK])
def test_whoever_answers_has_got_the_mail(office: Office, kind: Kind) -> None:
    answer_with(office, register(office), Report(kind=kind))
    learn_in_time(office)
    assert read_known(office) == KNOWN


@pytest.mark.parametrize("action", [Action.DELAYED, Action.RELAYED, Action.DELIVERED])
def test_a_report_of_anything_but_failure_is_no_failure(office: Office, action: Action) -> None:
    send = register(office)
    report = bounce(send.send, at=office.now).report
    facts = replace(report.recipients[0], action=action)
    answer_with(office, send, replace(report, recipients=(facts,)))
    learn_in_time(office)
    assert read_known(office) == KNOWN


def test_who_failed_in_another_send_since_is_not_reached_by_the_earlier_one(
    office: Office,
) -> None:
    register(office)
    office.move(DAY)
    office.fail("by another way", verdict=EXPIRED)
    learn_in_time(office)
    assert read_known(office) == NOTHING


def test_who_failed_before_is_reached_by_the_later_send(office: Office) -> None:
    office.fail("too early")
    office.move(DAY)
    register(office)
    learn_in_time(office)
    assert read_known(office) == KNOWN


def test_a_failure_that_was_taken_back_is_none(office: Office) -> None:
    register(office)
    office.fail("judged anew later")
    office.ledger.write(lambda c: c.execute(update(schema.strikes).values(withdrawn=True)))
    learn_in_time(office)
    assert office.dump("reached")["reached"] == [(AUTHOR, RECIPIENT, "kunde.example", START)]


def test_an_address_that_turns_out_wrong_is_known_no_more_until_it_works_again(
    office: Office,
) -> None:
    register(office)
    learn_in_time(office)
    office.fail("the mailbox is gone")
    assert read_known(office) == NOTHING
    office.close(office.find_case()["case"])
    assert read_known(office) == NOTHING
    office.move(DAY)
    register(office)
    learn_in_time(office)
    assert read_known(office) == KNOWN


def test_what_turns_out_wrong_for_one_author_still_works_for_another(office: Office) -> None:
    register(office)
    learn_in_time(office)
    office.fail("of somebody else", author=OTHER_AUTHOR)
    assert read_known(office) == KNOWN


def test_an_address_is_still_right_where_its_mailbox_is_full(office: Office) -> None:
    register(office)
    learn_in_time(office)
    office.fail("full", verdict=MAILBOX_FULL)
    assert read_known(office) == KNOWN


def test_the_newest_mail_that_arrived_counts_in_whatever_order_it_is_learned(
    office: Office,
) -> None:
    office.ledger.write(lambda c: reached.mark(c, AUTHOR, RECIPIENT, START))
    office.ledger.write(lambda c: reached.mark(c, AUTHOR, RECIPIENT, START + DAY))
    office.ledger.write(lambda c: reached.mark(c, AUTHOR, RECIPIENT, START + HOUR))
    assert office.dump("reached") == {
        "reached": [(AUTHOR, RECIPIENT, "kunde.example", START + DAY)]
    }


def test_several_sends_to_one_address_are_learned_in_one_step(office: Office) -> None:
    for _ in range(3):
        register(office)
        office.move(HOUR)
    learn_in_time(office)
    ((*_, reached_at),) = office.dump("reached")["reached"]
    assert reached_at == START + 2 * HOUR


def test_a_step_takes_so_many_sends_the_oldest_first(office: Office) -> None:
    for number in range(5):
        register(office, f"r{number}@kunde.example")
        office.move(MINUTE)
    office.move(LEARN_AFTER)
    assert learn(office, 2) == 2
    assert read_known(office)[1] == {"r0@kunde.example", "r1@kunde.example"}
    assert [learn(office, 2) for _ in range(3)] == [2, 1, 0]
    assert len(read_known(office)[1]) == 5


def test_parallel_nodes_learn_from_each_send_once(office: Office) -> None:
    for number in range(60):
        register(office, RECIPIENT, f"r{number}@kunde.example")
    office.move(LEARN_AFTER)
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(learn, office, 5) for _ in range(24)]
    assert sum(future.result() for future in futures) == 60
    assert learn(office) == 0
    assert len(read_known(office)[1]) == 61


def test_what_is_no_whole_address_is_not_learned(office: Office) -> None:
    register(office, "max", "lone \ud800 surrogate\0@kunde.example")
    learn_in_time(office)
    assert read_known(office)[1] == {"lone \ufffd surrogate\ufffd@kunde.example"}


def test_delivery_that_the_application_proves_is_known_at_once(office: Office) -> None:
    send = register(office)
    prove(office, author=None, send=send.send)
    assert office.dump("reached")["reached"] == [(AUTHOR, RECIPIENT, "kunde.example", START)]
    office.move(HOUR)
    prove(office, recipient=OTHER, author=OTHER_AUTHOR, send=None)
    assert read_known(office, OTHER_AUTHOR) == (frozenset({"kunde.example"}), frozenset({OTHER}))
    prove(office, recipient="nobody@kunde.example", author=None, send=None)
    assert len(office.dump("reached")["reached"]) == 2


def test_a_proof_older_than_the_failure_does_not_make_the_address_work(office: Office) -> None:
    send = register(office)
    office.move(HOUR)
    office.fail("later")
    prove(office, author=None, send=send.send)
    assert read_known(office) == NOTHING


def prove(office: Office, recipient: str = RECIPIENT, **who: Any) -> None:
    office.ledger.write(
        lambda c: addresses.prove_delivery(
            c, recipient, office.now, **who, settings=office.settings, new_id=office.new_id
        )
    )


def test_a_domain_is_the_sites_once_three_addresses_work_there(office: Office) -> None:
    for number, author in enumerate((AUTHOR, OTHER_AUTHOR)):
        register(office, f"r{number}@kunde.example", "same@other.example", author=author)
    learn_in_time(office)
    assert read_site_domains(office) == frozenset()
    register(office, "r2@kunde.example", "new@other.example")
    learn_in_time(office)
    assert read_site_domains(office) == {"kunde.example"}
    office.fail("wrong now", "r2@kunde.example")
    assert read_site_domains(office) == frozenset()


def test_of_very_many_addresses_and_domains_the_newest_and_largest_are_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reached, "MOST_ADDRESSES", 2)
    monkeypatch.setattr(reached, "MOST_DOMAINS", 1)

    def reach(recipient: str, at: datetime) -> None:
        office.ledger.write(lambda c: reached.mark(c, AUTHOR, recipient, at))

    for number in range(4):
        reach(f"r{number}@large.example", START + number * timedelta(seconds=1))
    for number in range(3):
        reach(f"r{number}@small.example", START - DAY)
    assert read_known(office)[1] == {"r2@large.example", "r3@large.example"}
    assert read_site_domains(office) == {"large.example"}


def test_a_send_with_a_token_of_another_is_not_blamed(office: Office) -> None:
    """A report of a notice that bounced is no word about a send."""
    register(office)
    arrival = replace(
        bounce("n", at=office.now).arrival, token_type=TokenType.NOTICE, token_id="f" * 16
    )
    office.ledger.write(lambda connection: reports.append(connection, [arrival]))
    learn_in_time(office)
    assert read_known(office) == KNOWN


def test_sends_of_before_the_upgrade_are_learned_from_too(office: Office) -> None:
    """The migration marks them as not learned; this is what such a row looks like."""
    office.ledger.write(
        lambda c: c.execute(
            insert(schema.sends).values(send="0" * 16, registered_at=START, author=AUTHOR)
        )
    )
    office.move(LEARN_AFTER)
    assert learn(office) == 1
    flags = office.ledger.read(lambda c: c.execute(select(schema.sends.c.learned)).scalars().all())
    assert flags == [True]
