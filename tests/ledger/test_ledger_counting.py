"""Nothing counts twice, and order does not matter (DESIGN §5.2)."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from bounced.ledger import schema, strikes
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import Ignored
from bounced.ledger.reports import Finding
from bounced.model import Action, Category, Reason, Verdict
from tests.ledger.office import (
    CONTENT,
    DAY,
    EXPIRED,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    SPF,
    START,
    USER_UNKNOWN,
    Office,
    bounce,
    list_subjects,
)

RELAY_DENIED = Verdict(Category.POLICY, Reason.RELAY_DENIED)

FINDINGS = st.lists(
    st.builds(
        lambda send, recipient, author, verdict, minute: bounce(
            send,
            f"{recipient}@kunde.example",
            author=f"{author}@bau.example",
            verdict=verdict,
            at=START + minute * MINUTE,
        ),
        st.sampled_from("abc"),
        st.sampled_from(["max", "eva"]),
        st.sampled_from(["anna", "ben"]),
        st.sampled_from([USER_UNKNOWN, MAILBOX_FULL, EXPIRED, SPF, CONTENT]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=8,
)


def record_all(template: Path, batches: Sequence[Sequence[Finding]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template, Path(folder) / "bounced.db")
        office = Office(Ledger(f"sqlite:///{folder}/bounced.db"))
        for batch in batches:
            office.receive(*batch)
        tables = office.dump("cases", "strikes", "reports", "failures")
        due = sorted((row["author"], row["due_at"]) for row in office.list_notices())
        office.ledger.close()
        return tables | {"due": due}


@settings(max_examples=25, deadline=None)
@given(findings=FINDINGS, data=st.data())
def test_any_order_and_repetition_of_findings_gives_the_same_rows(
    sqlite_template: Path, findings: list[Finding], data: st.DataObject
) -> None:
    shuffled = data.draw(
        st.permutations(findings + data.draw(st.lists(st.sampled_from(findings))))
    )
    cuts = data.draw(st.lists(st.booleans(), min_size=len(shuffled), max_size=len(shuffled)))
    batches = [
        [finding for _, finding in batch]
        for _, batch in itertools.groupby(
            zip(itertools.accumulate(cuts), shuffled, strict=True), key=lambda pair: pair[0]
        )
    ]
    assert record_all(sqlite_template, [findings]) == record_all(sqlite_template, batches)


def test_two_reports_of_one_send_are_one_strike(office: Office) -> None:
    first = office.fail("a", report="1111111111111111")
    office.move(HOUR)
    second = office.fail("a", report="2222222222222222")
    again = office.fail("a", report="2222222222222222", at=office.now)
    assert [(counted.is_new, counted.strikes) for counted in (first, second, again)] == [
        (True, 1),
        (False, 1),
        (False, 1),
    ]
    assert office.find_case()["last_strike_at"] == START + HOUR


def test_the_latest_report_of_a_send_says_why_it_failed(office: Office) -> None:
    late = bounce("a", verdict=MAILBOX_FULL, at=START + HOUR)
    early = bounce("a", verdict=USER_UNKNOWN, at=START)
    office.receive(late)
    office.receive(early)
    assert office.find_case()["category"] == "mailbox-full"


def test_a_report_judged_anew_changes_its_strike_and_adds_none(office: Office) -> None:
    finding = bounce("a", verdict=USER_UNKNOWN)
    office.receive(finding)
    office.receive(replace(finding, verdicts=(CONTENT,)))
    case = office.find_case()
    assert (case["strikes"], case["category"], case["reason"]) == (1, "spam-rejection", "content")


def test_a_strike_judged_anew_moves_to_its_new_case_and_the_empty_one_goes(
    office: Office,
) -> None:
    finding = bounce("a", verdict=USER_UNKNOWN)
    office.receive(finding)
    office.receive(replace(finding, verdicts=(SPF,)))
    assert [(case["subject"], case["strikes"]) for case in office.list_cases()] == [
        ("bau.example", 1)
    ]
    office.move(15 * MINUTE)
    assert [entry.subject for notice in office.send_due() for entry in notice.entries] == [
        "bau.example"
    ]


def test_a_case_that_other_strikes_keep_stays_and_is_recounted(office: Office) -> None:
    finding = bounce("a", verdict=USER_UNKNOWN)
    office.receive(finding, bounce("b", verdict=USER_UNKNOWN, at=START + MINUTE))
    office.receive(replace(finding, verdicts=(SPF,)))
    assert sorted((case["subject"], case["strikes"]) for case in office.list_cases()) == [
        ("bau.example", 1),
        (RECIPIENT, 1),
    ]


def test_a_strike_that_its_author_was_told_of_stays_in_its_case_as_it_was(
    office: Office,
) -> None:
    finding = bounce("a", verdict=USER_UNKNOWN)
    office.receive(finding)
    office.move(15 * MINUTE)
    office.send_due()
    office.receive(replace(finding, verdicts=(SPF,)))
    assert [
        (case["subject"], case["category"], case["strikes"]) for case in office.list_cases()
    ] == [(RECIPIENT, "bad-address", 1)]
    office.move(30 * DAY)
    assert office.send_due() == []


def test_a_strike_that_was_told_may_change_its_reason_within_its_case(office: Office) -> None:
    finding = bounce("a", verdict=USER_UNKNOWN)
    office.receive(finding)
    office.move(15 * MINUTE)
    office.send_due()
    office.receive(replace(finding, verdicts=(MAILBOX_FULL,)))
    assert office.find_case()["category"] == "mailbox-full"
    office.move(30 * DAY)
    assert office.send_due() == [], "judging anew sends nothing"


def test_a_strike_that_moves_counts_in_the_round_of_its_new_case(office: Office) -> None:
    office.fail("x", verdict=SPF)
    office.move(15 * MINUTE)
    office.send_due()
    office.reset(office.find_case("bau.example")["case"])
    office.fail("y", verdict=SPF)
    finding = bounce("a", verdict=USER_UNKNOWN, at=START)
    office.receive(finding)
    office.receive(replace(finding, verdicts=(SPF,)))
    case = office.find_case("bau.example")
    assert (case["round"], case["strikes"]) == (2, 2)


def test_a_strike_of_an_ended_round_stays_there(office: Office) -> None:
    finding = bounce("a", verdict=USER_UNKNOWN)
    office.receive(finding)
    office.move(15 * MINUTE)
    office.send_due()
    office.reset(office.find_case()["case"])
    office.receive(replace(finding, verdicts=(SPF,)))
    assert [(case["subject"], case["strikes"]) for case in office.list_cases()] == [(RECIPIENT, 0)]


def test_a_double_after_a_reset_starts_no_new_round(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    office.send_due()
    office.reset(office.find_case()["case"])
    assert office.fail("a", report="a-late-double-01").is_new is False
    office.move(DAY)
    assert office.send_due() == []


def test_a_strike_that_its_report_counts_for_no_longer_is_taken_back(office: Office) -> None:
    finding = bounce("a")
    office.receive(finding)
    (outcome,) = office.receive(replace(finding, verdicts=(RELAY_DENIED,)))
    assert (outcome.recipients, outcome.withdrawn) == ((Ignored.OPS_ONLY,), 1)
    assert (office.list_cases(), office.list_notices()) == ([], [])
    assert office.dump("strikes") == {"strikes": []}


def test_a_strike_is_not_taken_back_while_another_report_of_its_send_counts(
    office: Office,
) -> None:
    late = bounce("a", verdict=MAILBOX_FULL, at=START + HOUR)
    office.receive(bounce("a"), late)
    (outcome,) = office.receive(replace(late, verdicts=(RELAY_DENIED,)))
    assert outcome.withdrawn == 0
    assert office.find_case()["category"] == "bad-address"
    office.move(15 * MINUTE)
    assert list_subjects(office.send_due()) == [[(RECIPIENT, 1)]]


def test_a_strike_that_was_told_is_kept_and_counts_no_longer(office: Office) -> None:
    finding = bounce("a")
    office.receive(finding)
    office.move(15 * MINUTE)
    office.send_due()
    judged_anew = replace(finding, verdicts=(RELAY_DENIED,))
    assert [o.withdrawn for o in office.receive(judged_anew) + office.receive(judged_anew)] == [
        1,
        0,
    ]
    case = office.find_case()
    assert (case["strikes"], case["notices"], case["state"]) == (0, 1, "open")
    office.fail("a", at=START - HOUR, report="an-earlier-one")
    assert office.find_case()["strikes"] == 1
    office.move(30 * DAY)
    assert office.send_due() == [], "its author knows it"


def test_a_report_of_two_recipients_read_as_one_speaks_for_one(office: Office) -> None:
    finding = bounce("a")
    (facts,) = finding.report.recipients
    other = replace(facts, final_recipient="eva@kunde.example")
    both = replace(finding.report, recipients=(facts, other))
    office.receive(replace(finding, report=both, verdicts=(USER_UNKNOWN, USER_UNKNOWN)))
    alone = replace(finding.report, recipients=(other,))
    office.receive(replace(finding, report=alone, verdicts=(MAILBOX_FULL,)))
    assert [(case["subject"], case["reason"]) for case in office.list_cases()] == [
        ("eva@kunde.example", "mailbox-full")
    ]


def test_every_recipient_of_a_report_is_judged_alone(office: Office) -> None:
    finding = bounce("a")
    (failed,) = finding.report.recipients
    delivered = replace(failed, final_recipient="eva@kunde.example", action=Action.DELIVERED)
    other = replace(failed, final_recipient="ida@kunde.example")
    (outcome,) = office.receive(
        replace(
            finding,
            report=replace(finding.report, recipients=(failed, delivered, other)),
            verdicts=(USER_UNKNOWN, None, MAILBOX_FULL),
        )
    )
    assert [
        item if isinstance(item, Ignored) else item.strike.subject for item in outcome.recipients
    ] == [RECIPIENT, Ignored.NOT_FAILED, "ida@kunde.example"]


def test_a_report_in_quarantine_counts_nothing(office: Office) -> None:
    finding = replace(bounce("a"), quarantined=True, why="not-ours")
    (outcome,) = office.receive(finding)
    assert outcome.recipients == (Ignored.NO_AUTHOR,)
    assert (office.list_cases(), office.list_notices()) == ([], [])


def test_a_released_report_counts(office: Office) -> None:
    finding = bounce("a")
    office.receive(replace(finding, quarantined=True, why="not-ours"))
    office.receive(finding)
    assert office.find_case()["strikes"] == 1


def test_the_author_is_one_whatever_the_case_of_his_address(office: Office) -> None:
    office.fail("a", author="Anna.Berger@BAU.example", recipient="Max@KUNDE.example")
    assert office.fail("b", author="anna.berger@bau.example").strikes == 2


def test_counting_opens_one_digest_an_author(office: Office) -> None:
    office.receive(
        bounce("a"), bounce("b"), bounce("c", author="ben@bau.example"), bounce("d", verdict=SPF)
    )
    assert sorted(notice["author"] for notice in office.list_notices(state="open")) == [
        "anna.berger@bau.example",
        "ben@bau.example",
    ]


def test_a_report_dropped_while_it_was_read_is_not_written_again(office: Office) -> None:
    finding = bounce("a")
    office.receive(finding)
    office.ledger.write(lambda c: c.execute(delete(schema.reports)))
    office.ledger.write(
        lambda c: strikes.record(c, [finding], office.settings, office.now, office.new_id)
    )
    assert office.dump("reports", "failures") == {"reports": [], "failures": []}
    assert office.find_case()["strikes"] == 1
