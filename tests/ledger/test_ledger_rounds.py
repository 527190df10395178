"""What opens a round and what ends a case (DESIGN §5, *Reset*, *Rehearsal*)."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from bounced.ledger import outbox
from bounced.ledger.settling import SlotTaken
from tests.ledger.office import AUTHOR, DAY, HOUR, MINUTE, RECIPIENT, Office, list_subjects


def use_up(office: Office) -> str:
    """Tell an author three times; return the case."""
    for day in range(3):
        office.fail(f"early-{office.now}-{day}")
        office.move(15 * MINUTE)
        assert len(office.send_due()) == 1
        office.move(DAY)
    case = office.find_case()
    assert case["state"] == "exhausted"
    return str(case["case"])


def test_a_reset_opens_the_next_round_with_three_notices(office: Office) -> None:
    case = use_up(office)
    row = office.reset(case)
    assert (row.case, row.subject, row.round) == (case, RECIPIENT, 2)
    assert office.send_due() == []
    use_up(office)
    assert office.find_case()["round"] == 2
    assert len(office.dump("slots")["slots"]) == 6


def test_what_was_still_to_be_told_goes_along_into_the_next_round_due_as_before(
    office: Office,
) -> None:
    office.fail("told")
    office.move(HOUR)
    assert len(office.send_due()) == 1
    office.move(2 * DAY)
    office.fail("untold")
    due_at = office.find_case()["due_at"]
    office.move(MINUTE)
    office.reset(office.find_case()["case"])
    case = office.find_case()
    assert (case["round"], case["strikes"], case["notices"], case["due_at"]) == (2, 1, 0, due_at)
    office.move(14 * MINUTE)
    (notice,) = office.send_due()
    (entry,) = notice.entries
    assert (entry.number, [strike.title for strike in entry.strikes]) == (1, ["Protokoll untold"])


def test_what_a_used_up_or_closed_case_kept_to_itself_stays_behind(office: Office) -> None:
    case = use_up(office)
    office.fail("too late")
    office.fail("a", "ida@kunde.example")
    office.close(office.find_case("ida@kunde.example")["case"])
    office.reset(case)
    office.reset(office.find_case("ida@kunde.example")["case"])
    office.move(2 * DAY)
    assert office.send_due() == []
    assert [each["strikes"] for each in office.list_cases()] == [0, 0]


def test_no_reset_brings_a_notice_within_the_interval(office: Office) -> None:
    told = []
    for number in range(30):
        office.fail(f"s{number}")
        office.move(2 * HOUR)
        told += [office.now for _ in office.send_due()]
        office.reset(office.find_case()["case"])
    assert [later - earlier for earlier, later in pairwise(told)] == [DAY, DAY]


def test_no_interval_runs_from_the_rehearsal(office: Office) -> None:
    office.configure(first_round=0)
    office.fail("a")
    office.move(HOUR)
    assert len(office.send_due()) == 1
    office.configure(first_round=1)
    office.leave_rehearsal()
    office.fail("b")
    office.move(HOUR)
    assert len(office.send_due()) == 1


def test_a_reset_waits_for_a_notice_that_is_under_way(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    case = office.find_case()["case"]
    assert office.reset(case) is None
    office.settle(claimed)
    assert office.reset(case) is not None


def test_what_is_not_there_can_neither_be_reset_nor_closed(office: Office) -> None:
    assert office.reset("0123456789abcdef") is None
    assert office.close("0123456789abcdef") is None


def test_a_closed_case_is_not_told_and_keeps_its_count(office: Office) -> None:
    office.fail("a")
    row = office.close(office.find_case()["case"])
    assert row.subject == RECIPIENT
    office.move(DAY)
    assert office.send_due() == []
    case = office.find_case()
    assert (case["state"], case["strikes"], case["due_at"]) == ("closed", 1, None)


def test_a_closed_address_that_is_used_again_goes_on_where_it_stood(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    office.send_due()
    office.close(office.find_case()["case"])
    office.move(30 * DAY)
    office.fail("b")
    assert office.find_case()["state"] == "open"
    office.move(15 * MINUTE)
    assert list_subjects(office.send_due()) == [[(RECIPIENT, 2)]]
    assert office.find_case()["strikes"] == 2


def test_a_strike_at_the_very_moment_of_closing_leaves_the_case_closed(office: Office) -> None:
    office.fail("a")
    office.close(office.find_case()["case"])
    office.fail("b")
    assert (office.find_case()["state"], office.find_case()["strikes"]) == ("closed", 2)
    office.move(timedelta(microseconds=1))
    office.fail("c")
    office.move(15 * MINUTE)
    (notice,) = office.send_due()
    assert [strike.title for strike in notice.entries[0].strikes] == ["Protokoll c"]


def test_what_was_not_told_before_a_case_was_closed_is_not_told_later(office: Office) -> None:
    office.fail("a")
    office.move(MINUTE)
    office.close(office.find_case()["case"])
    office.move(30 * DAY)
    office.fail("b")
    office.move(14 * MINUTE)
    assert office.send_due() == [], "the window of the new strike is open"
    office.move(MINUTE)
    (notice,) = office.send_due()
    assert [strike.title for strike in notice.entries[0].strikes] == ["Protokoll b"]


def test_a_double_does_not_open_a_closed_case(office: Office) -> None:
    office.fail("a")
    office.close(office.find_case()["case"])
    office.move(MINUTE)
    assert office.fail("a").is_new is False
    assert office.find_case()["state"] == "closed"


def test_a_used_up_case_that_was_closed_stays_used_up(office: Office) -> None:
    case = use_up(office)
    office.close(case)
    office.move(DAY)
    office.fail("again")
    assert (office.find_case()["state"], office.find_case()["strikes"]) == ("exhausted", 4)


def test_closing_a_case_whose_notice_is_under_way_lets_that_one_go(office: Office) -> None:
    office.fail("a")
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    office.close(office.find_case()["case"])
    assert office.settle(claimed) is not None
    assert office.find_case()["state"] == "closed"


def test_the_last_notice_of_a_case_that_was_closed_meanwhile_uses_it_up(office: Office) -> None:
    office.configure(max_notices=1)
    office.fail("a")
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    case = office.find_case()["case"]
    office.close(case)
    settled = office.settle(claimed)
    assert settled is not None
    assert settled.exhausted == (SlotTaken(case, RECIPIENT, 1),)
    office.move(DAY)
    office.fail("b")
    assert office.find_case()["state"] == "exhausted"
    heard, _ = outbox.read_events(office.ledger, 0, 100)
    told = [event.body for event in heard if event.event == "case_exhausted"]
    ids = {"notice": claimed.notice, "author": AUTHOR}
    assert told == [ids | {"case": case, "subject": RECIPIENT, "notices": 1}]


def test_the_rehearsal_is_round_0_and_ends_with_the_first_relay(office: Office) -> None:
    office.configure(first_round=0)
    use_up(office)
    assert office.find_case()["round"] == 0
    office.configure(first_round=1)
    assert (office.leave_rehearsal(), office.leave_rehearsal()) == (1, 0)
    case = office.find_case()
    assert (case["round"], case["state"], case["notices"], case["strikes"]) == (1, "open", 0, 0)
    use_up(office)


def test_what_the_rehearsal_did_not_tell_goes_along(office: Office) -> None:
    office.configure(first_round=0)
    office.fail("told")
    office.move(15 * MINUTE)
    office.send_due()
    office.fail("untold")
    office.move(HOUR)
    office.leave_rehearsal()
    (notice,) = office.send_due()
    (entry,) = notice.entries
    assert (entry.number, [strike.title for strike in entry.strikes]) == (
        1,
        ["Protokoll untold"],
    )


def test_a_notice_of_the_rehearsal_never_reaches_the_relay_but_what_it_would_have_told_does(
    office: Office,
) -> None:
    office.configure(first_round=0)
    office.fail("a")
    office.move(15 * MINUTE)
    claimed = office.claim()
    assert claimed is not None
    office.leave_rehearsal()
    assert office.start_data(claimed) is False
    assert office.settle(claimed) is None
    (notice,) = office.send_due()
    (entry,) = notice.entries
    assert (entry.number, [strike.title for strike in entry.strikes]) == (1, ["Protokoll a"])
    assert notice.notice != claimed.notice


def test_a_strike_after_a_long_quiet_opens_the_next_round(office: Office) -> None:
    use_up(office)
    office.move(181 * DAY)
    assert office.fail("late").new_round == 2
    office.move(15 * MINUTE)
    assert len(office.send_due()) == 1
    case = office.find_case()
    assert (case["round"], case["state"], case["notices"], case["strikes"]) == (2, "open", 1, 1)


def test_a_strike_within_the_quiet_opens_no_round(office: Office) -> None:
    use_up(office)
    office.move(178 * DAY)
    assert office.fail("late").new_round is None
    assert office.find_case()["state"] == "exhausted"
