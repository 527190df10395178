"""A replay leaves alone what it must, may be interrupted, and runs beside daemons."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text, update

from bounced.ledger import queries, schema
from bounced.ledger.engine import Ledger
from bounced.ledger.replays import SinceError, TakenOverError
from bounced.ledger.reports import StoredReport
from bounced.origin.resolve import OriginSettings, TrustMode
from bounced.processor import processor
from bounced.processor import replay as replay_module
from bounced.processor.replay import Step, find_fingerprint
from bounced.processor.worker import Result, Unread, Unreadable
from tests.ledger.office import AUTHOR, HOUR, MINUTE, RECIPIENT, START
from tests.logcheck import Line, find_events
from tests.processor.archive import (
    BOUNCE,
    FULL,
    OPS,
    Archive,
    fill,
    judge_by,
    judge_today,
)


class TestLeftAlone:
    def test_quarantine_is_left_alone(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("a", "plugh", door="ops")
        before = archive.dump()
        assert archive.correct(judge_by(plugh=FULL)) == []
        assert archive.dump() == before
        assert before["reports"]

    def test_what_was_believed_is_believed_still(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        report = archive.receive("a", "plugh")
        archive.origin = OriginSettings((), TrustMode.SIGNED)
        assert archive.correct(judge_by(plugh=FULL)) != []
        (row,) = archive.ledger.read(lambda c: queries.list_reports(c, report=report))
        assert (row["state"], row["trust"], row["author"]) == ("processed", "relay", AUTHOR)
        assert archive.list_cases() == {RECIPIENT: ("mailbox-full", 1, 0)}

    def test_a_report_that_cannot_be_read_stays_as_it_is(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE, xyzzy=BOUNCE)
        bad = archive.receive("a", "plugh")
        archive.receive("b", "xyzzy", "eva@kunde.example")
        today = judge_by(plugh=FULL, xyzzy=FULL)

        def parse(raws: Sequence[bytes]) -> list[Result]:
            return [
                Unread(Unreadable.DEADLINE) if b"plugh" in raw else today.parse(raw)
                for raw in raws
            ]

        work = archive.make_replay(today, parse=parse)
        work.correct("today")
        assert [step.left_alone for step in work.run()] == [(bad,)]
        assert archive.list_cases() == {
            RECIPIENT: ("bad-address", 1, 0),
            "eva@kunde.example": ("mailbox-full", 1, 0),
        }

    def test_a_report_that_the_database_refuses_stays_and_its_neighbours_are_corrected(
        self, sqlite_url: str
    ) -> None:
        archive = Archive(Ledger(sqlite_url))
        archive.parser = judge_by(plugh=BOUNCE)
        names = [archive.receive(send, "plugh", f"{send}@kunde.example") for send in "abc"]
        trigger = (
            "CREATE TRIGGER refuse BEFORE INSERT ON failures WHEN NEW.recipient LIKE 'b@%' "
            "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
        archive.ledger.write(lambda connection: connection.execute(text(trigger)))
        work = archive.make_replay(judge_by(plugh=FULL))
        work.correct("today")
        (step,) = work.run()
        assert (step.reports, step.left_alone) == (3, (names[1],))
        assert {name: found[0] for name, found in archive.list_cases().items()} == {
            "a@kunde.example": "mailbox-full",
            "b@kunde.example": "bad-address",
            "c@kunde.example": "mailbox-full",
        }
        archive.ledger.close()


class TestFaults:
    def fail_on(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        actual = processor.judge

        def judge(stored: StoredReport, *more: Any) -> Any:
            if stored.arrival.report in names:
                raise ZeroDivisionError
            return actual(stored, *more)

        monkeypatch.setattr(replay_module, "judge", judge)

    @pytest.mark.parametrize("apply", [True, False])
    def test_a_fault_in_judging_leaves_one_report_alone_and_is_logged(
        self, archive: Archive, log: list[Line], monkeypatch: pytest.MonkeyPatch, apply: bool
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        for send in "abc":
            archive.receive(send, "plugh", f"{send}@kunde.example", report=send)
        self.fail_on(monkeypatch, "b")
        work = archive.make_replay(judge_by(plugh=FULL))
        if apply:
            work.correct("today")
        (step,) = work.run()
        assert (step.reports, step.left_alone) == (3, ("b",))
        assert [change.report for change in step.changes] == ["a", "c"]
        (line,) = find_events(log, "job_failed")
        assert (line["report"], line["job"], line["error"]) == (
            "b",
            "replay report",
            "ZeroDivisionError",
        )
        assert line["exception"].startswith("Traceback (most recent call last)")

    def test_a_parser_that_failed_is_logged(self, archive: Archive, log: list[Line]) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        report = archive.receive("a", "plugh")
        unread = Unread(Unreadable.PARSER_FAILED, "KeyError")
        (step,) = archive.make_replay(archive.parser, parse=lambda _: [unread]).run()
        assert step.left_alone == (report,)
        (line,) = find_events(log, "job_failed")
        assert (line["report"], line["job"], line["error"]) == (report, "parse report", "KeyError")


class TestTakenOver:
    """A replay that has lost its place to another stops before it corrects any more."""

    def begin(self, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Iterator[Step]:
        monkeypatch.setattr(replay_module, "CLAIM", 1)
        first = archive.make_replay(fill(archive))
        first.correct("today")
        running = first.run()
        next(running)
        archive.office.move(HOUR)
        return running

    def test_by_one_with_other_rules(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running = self.begin(archive, monkeypatch)
        archive.make_replay(judge_today()).correct("tomorrow")
        before = archive.dump()
        with pytest.raises(TakenOverError):
            next(running)
        assert archive.dump() == before

    def test_by_one_that_has_ended(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running = self.begin(archive, monkeypatch)
        archive.correct(judge_today())
        before = archive.dump()
        assert before["replays"] == []
        with pytest.raises(TakenOverError):
            next(running)
        assert archive.dump() == before

    def test_by_one_that_looks_further_back(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replay_module, "CLAIM", 1)
        first = archive.make_replay(fill(archive), since_at=START + HOUR)
        first.correct("today")
        archive.office.move(HOUR)
        assert archive.make_replay(judge_today()).correct("today") is False
        with pytest.raises(TakenOverError):
            next(first.run())

    def test_after_its_last_report(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running = self.begin(archive, monkeypatch)
        list(itertools.islice(running, 9))
        archive.make_replay(judge_today()).correct("tomorrow")
        with pytest.raises(TakenOverError):
            next(running)

    def test_of_several_at_once_one_is_left(self, ledger: Ledger, ledger_url: str) -> None:
        archive = Archive(ledger)
        today = fill(archive)

        def replay(fingerprint: str) -> bool:
            other = Archive(Ledger(ledger_url))
            other.office.now = archive.office.now
            work = other.make_replay(today)
            try:
                work.correct(fingerprint)
                list(work.run())
            except TakenOverError:
                return False
            finally:
                other.ledger.close()
            return True

        with ThreadPoolExecutor(4) as pool:
            ended = list(pool.map(replay, "abcd"))
        assert any(ended)
        assert archive.dump()["replays"] == []
        assert archive.compare(today) == []


class TestOfTheFirstSchema:
    """Failures that were written before schema 0002 and do not say what they count for."""

    def fill(self, archive: Archive) -> datetime:
        """Receive two bounces of one send; return a time between them."""
        archive.parser = judge_by(plugh=BOUNCE, xyzzy=BOUNCE)
        archive.receive("s", "plugh", report="r1")
        archive.office.move(HOUR)
        between = archive.office.now
        archive.receive("s", "xyzzy", report="r2")
        query = update(schema.failures).values(strike=None, subject=None)
        archive.ledger.write(lambda connection: connection.execute(query))
        return between

    def test_no_strike_is_lost_by_looking_back_too_short(self, archive: Archive) -> None:
        between = self.fill(archive)
        today = judge_by(plugh=BOUNCE, xyzzy=OPS)
        before = archive.dump()
        work = archive.make_replay(today, since_at=between)
        with pytest.raises(SinceError, match=r"r1 .*: run `bounced replay --apply` once without"):
            work.correct("today")
        assert archive.dump() == before
        archive.correct(archive.parser)
        archive.correct(today, since_at=between)
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 1, 0)}

    def test_to_look_further_back_than_they_reach_is_no_harm(self, archive: Archive) -> None:
        self.fill(archive)
        archive.correct(judge_by(plugh=BOUNCE, xyzzy=OPS), since_at=START)
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 1, 0)}


class TestInterrupted:
    def replay_whole(self, archive: Archive) -> dict[str, Any]:
        archive.correct(fill(archive))
        return archive.dump()

    @pytest.mark.parametrize("after", [1, 3, 6])
    def test_an_interrupted_replay_goes_on_and_ends_in_the_same_tables(
        self, archive: Archive, after: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = self.replay_whole(archive)
        archive.empty()
        monkeypatch.setattr(replay_module, "CLAIM", 1)
        today = fill(archive)
        first = archive.make_replay(today)
        assert first.correct("today") is False
        for _ in itertools.islice(first.run(), after):
            pass
        second = archive.make_replay(today)
        assert second.correct("today") is True
        assert second.count() == 10 - after
        list(second.run())
        assert archive.dump() == whole

    def test_a_killed_replay_goes_on_and_ends_in_the_same_tables(
        self, archive: Archive, ledger_url: str
    ) -> None:
        whole = self.replay_whole(archive)
        archive.empty()
        fill(archive)
        for kills in (1, 2):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.processor.archive", ledger_url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            assert process.stdin is not None
            for _ in range(kills + 1):
                assert process.stdout.readline() == "1\n"
                process.stdin.write("\n")
                process.stdin.flush()
            process.kill()
            process.communicate()
        archive.correct(judge_today())
        assert archive.dump() == whole

    def test_other_rules_begin_anew(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replay_module, "CLAIM", 1)
        today = fill(archive)
        first = archive.make_replay(today)
        first.correct("today")
        next(first.run())
        second = archive.make_replay(today)
        assert second.correct("tomorrow") is False
        assert second.count() == 10

    def test_a_replay_that_looks_further_back_begins_anew(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replay_module, "CLAIM", 1)
        today = fill(archive)
        first = archive.make_replay(today, since_at=START + HOUR)
        first.correct("today")
        next(first.run())
        assert archive.make_replay(today, since_at=START + 75 * MINUTE).correct("today") is True
        assert archive.make_replay(today).correct("today") is False


def test_a_replay_beside_daemons_ends_in_what_rules_of_today_would_have_counted(
    ledger: Ledger, ledger_url: str
) -> None:
    archive = Archive(ledger)
    archive.parser = judge_by(plugh=BOUNCE, xyzzy=OPS)
    today = judge_by(plugh=FULL, xyzzy=FULL)
    for number in range(60):
        word = "plugh" if number % 2 else "xyzzy"
        archive.receive(f"s{number}", word, f"r{number % 5}@kunde.example", report=f"a{number}")

    def replay() -> None:
        other = Archive(Ledger(ledger_url))
        with suppress(TakenOverError):  # the other one has come to its end
            other.correct(today)
        other.ledger.close()

    def count() -> None:
        other = Archive(Ledger(ledger_url), today)
        for number in range(40):
            recipient = f"r{number % 5}@kunde.example"
            other.receive(f"n{number}", "plugh", recipient, report=f"b{number}")
        other.ledger.close()

    with ThreadPoolExecutor(3) as pool:
        for running in [pool.submit(replay), pool.submit(count), pool.submit(replay)]:
            running.result()
    assert archive.compare(today) == []
    assert archive.list_cases() == {
        f"r{number}@kunde.example": ("mailbox-full", 20, 0) for number in range(5)
    }


def test_the_fingerprint_knows_rules_and_settings() -> None:
    first = find_fingerprint({"a": "b"}, ["c"])
    others = [({"a": "bc"}, [""]), ({"ab": ""}, ["c"]), ({"a": "b"}, ["d"])]
    assert find_fingerprint({"a": "b"}, ["c"]) == first
    assert first not in {find_fingerprint(rules, settings) for rules, settings in others}
