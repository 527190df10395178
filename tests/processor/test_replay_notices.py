"""A replay mails nobody and gives nothing back."""

from __future__ import annotations

import pytest

from bounced.ledger.entries import read_notice
from tests.ledger.office import DAY, HOUR, MINUTE, RECIPIENT, list_subjects
from tests.processor.archive import (
    BOUNCE,
    EXPIRED,
    FULL,
    OPS,
    SPF,
    Archive,
    judge_by,
)

DOMAIN = "bau.example"
WINDOW = 15 * MINUTE


class TestNoMail:
    def test_a_strike_that_counts_newly_is_never_told_alone(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=OPS)
        archive.receive("a", "plugh")
        archive.correct(judge_by(plugh=BOUNCE))
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 1, 0)}
        archive.office.move(30 * DAY)
        assert (archive.office.send_due(), archive.office.list_notices()) == ([], [])

    def test_it_is_told_with_the_next_one(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=OPS)
        archive.receive("a", "plugh")
        archive.correct(judge_by(plugh=BOUNCE))
        archive.office.move(DAY)
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("b", "plugh")
        archive.office.move(WINDOW)
        (sent,) = archive.office.send_due()
        assert [len(entry.strikes) for entry in sent.entries] == [2]

    @pytest.mark.parametrize("before", [EXPIRED, None])
    def test_a_strike_that_waited_for_a_second_one_is_not_told_for_its_new_reason(
        self, archive: Archive, before: str | None
    ) -> None:
        archive.parser = judge_by(**({"plugh": before} if before else {}))
        archive.receive("a", "plugh")
        today = judge_by(plugh=BOUNCE)
        archive.correct(today)
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 1, 0)}
        archive.office.move(30 * DAY)
        assert (archive.office.send_due(), archive.office.list_notices()) == ([], [])
        archive.parser = today
        archive.receive("b", "plugh")
        archive.office.move(WINDOW)
        assert list_subjects(archive.office.send_due()) == [[(RECIPIENT, 1)]]

    def test_a_strike_that_waits_is_told_when_a_second_one_comes(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=EXPIRED)
        archive.receive("a", "plugh")
        archive.correct(archive.parser)
        archive.office.move(HOUR)
        archive.receive("b", "plugh")
        archive.office.move(WINDOW)
        (sent,) = archive.office.send_due()
        assert [len(entry.strikes) for entry in sent.entries] == [2]

    def test_a_second_strike_found_by_replay_makes_no_case_due(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=EXPIRED, xyzzy=OPS)
        archive.receive("a", "xyzzy")
        archive.receive("b", "plugh")
        archive.correct(judge_by(plugh=EXPIRED, xyzzy=EXPIRED))
        assert archive.list_cases() == {RECIPIENT: ("system", 2, 0)}
        archive.office.move(30 * DAY)
        assert (archive.office.send_due(), archive.office.list_notices()) == ([], [])

    def test_what_came_while_it_ran_is_not_told_for_its_new_reason(self, archive: Archive) -> None:
        archive.receive("a", "xyzzy")
        archive.office.move(MINUTE)
        work = archive.make_replay(judge_by(plugh=BOUNCE))
        work.correct("today")
        steps = work.run()
        assert next(steps).reports == 1
        archive.office.move(MINUTE)
        archive.receive("b", "plugh", "eva@kunde.example")
        list(steps)
        assert archive.list_cases()["eva@kunde.example"] == ("bad-address", 1, 0)
        archive.office.move(30 * DAY)
        assert archive.office.send_due() == []

    def test_a_report_that_comes_while_it_runs_counts_for_what_was_taken_back(
        self, archive: Archive
    ) -> None:
        archive.parser = judge_by(plugh=EXPIRED)
        archive.receive("a", "plugh")
        work = archive.make_replay(judge_by(plugh=OPS))
        work.correct("today")
        steps = work.run()
        next(steps)
        archive.parser = judge_by(full=FULL)
        archive.office.move(HOUR)
        archive.receive("a", "full")
        archive.office.move(WINDOW)
        assert list_subjects(archive.office.send_due()) == [[(RECIPIENT, 1)]]

    def test_a_closed_case_stays_closed(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE, xyzzy=OPS)
        archive.receive("a", "plugh")
        archive.receive("b", "xyzzy")
        archive.office.close(archive.office.find_case()["case"])
        archive.office.move(HOUR)
        archive.correct(judge_by(plugh=BOUNCE, xyzzy=BOUNCE))
        assert (archive.office.find_case()["state"], archive.office.find_case()["strikes"]) == (
            "closed",
            2,
        )
        assert archive.office.list_notices() == []


class TestNoRefund:
    def tell(self, archive: Archive, times: int) -> list[str]:
        """Let an address fail and be told of so often; return the notices."""
        sent = []
        for number in range(times):
            archive.receive(f"s{number}", "plugh")
            archive.office.move(WINDOW)
            sent += archive.office.send_due()
            archive.office.move(DAY)
        return [notice.notice for notice in sent]

    def test_what_was_told_stays_spent_though_no_strike_is_left(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        told = self.tell(archive, 2)
        slots = archive.office.dump("slots")
        archive.correct(judge_by(plugh=OPS))
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 0, 2)}
        assert archive.office.dump("slots") == slots
        shown = archive.ledger.read(lambda c: read_notice(c, told[0]))
        assert shown is not None
        assert [len(entry.strikes) for entry in shown.entries] == [1]
        assert len(self.tell(archive, 0)) == 0
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("new", "plugh")
        archive.office.move(WINDOW)
        assert list_subjects(archive.office.send_due()) == [[(RECIPIENT, 3)]]

    def test_an_exhausted_case_stays_exhausted(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        assert len(self.tell(archive, 3)) == 3
        archive.correct(judge_by(plugh=OPS))
        case = archive.office.find_case()
        assert (case["state"], case["strikes"], case["notices"]) == ("exhausted", 0, 3)

    def test_what_counts_again_counts_once_and_is_not_told_again(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        self.tell(archive, 1)
        before = archive.dump()
        archive.correct(judge_by(plugh=OPS))
        archive.correct(archive.parser)
        assert archive.dump() == before
        archive.office.move(30 * DAY)
        assert archive.office.send_due() == []

    def test_a_told_strike_goes_to_the_case_where_it_belongs(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        (notice,) = self.tell(archive, 1)
        archive.correct(judge_by(plugh=SPF))
        assert archive.list_cases() == {
            RECIPIENT: ("bad-address", 0, 1),
            DOMAIN: ("auth-failure", 1, 0),
        }
        shown = archive.ledger.read(lambda c: read_notice(c, notice))
        assert shown is not None
        assert [(entry.subject, len(entry.strikes)) for entry in shown.entries] == [(RECIPIENT, 1)]
        archive.office.move(30 * DAY)
        assert archive.office.send_due() == []

    def test_a_told_strike_that_moved_and_counts_no_longer_lies_where_it_was_told(
        self, archive: Archive
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        (notice,) = self.tell(archive, 1)
        archive.correct(judge_by(plugh=SPF))
        archive.correct(judge_by(plugh=OPS))
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 0, 1)}
        shown = archive.ledger.read(lambda c: read_notice(c, notice))
        assert shown is not None
        assert [(entry.subject, len(entry.strikes)) for entry in shown.entries] == [(RECIPIENT, 1)]

    def test_a_notice_on_its_way_tells_what_it_was_claimed_for(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("a", "plugh")
        archive.office.move(WINDOW)
        claimed = archive.office.claim()
        assert claimed is not None
        archive.office.defer(claimed, archive.office.now + HOUR)
        archive.correct(judge_by(plugh=OPS))
        archive.office.move(HOUR)
        again = archive.office.claim()
        assert again is not None
        assert [len(entry.strikes) for entry in again.entries] == [1]
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 0, 1)}

    def test_an_old_failure_opens_no_round(self, archive: Archive) -> None:
        archive.office.configure(quiet_reset=30 * DAY)
        archive.parser = judge_by(plugh=BOUNCE, xyzzy=OPS)
        self.tell(archive, 1)
        archive.office.move(60 * DAY)
        archive.receive("late", "xyzzy")
        archive.correct(judge_by(plugh=BOUNCE, xyzzy=BOUNCE))
        case = archive.office.find_case()
        assert (case["round"], case["strikes"], case["notices"]) == (1, 2, 1)

    def test_a_strike_of_an_ended_round_goes_and_the_round_stays(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        self.tell(archive, 1)
        archive.office.reset(archive.office.find_case()["case"])
        archive.correct(judge_by(plugh=OPS))
        case = archive.office.find_case()
        assert (case["round"], case["strikes"], case["notices"]) == (2, 0, 0)
