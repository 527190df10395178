"""Replay: what differs is found, and corrected."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bounced.ledger import queries, replays
from bounced.ledger.replays import Change, Word
from bounced.model import Kind, Report
from bounced.origin.resolve import OriginSettings, TrustMode
from bounced.processor.worker import Result
from tests.ledger.office import DAY, HOUR, MINUTE, RECIPIENT, START, list_subjects
from tests.processor.archive import (
    BOUNCE,
    EXPIRED,
    FULL,
    OPS,
    SPAM,
    SPF,
    Archive,
    delay,
    fill,
    judge_by,
    list_changes,
    rename,
)

DOMAIN = "bau.example"
WINDOW = 15 * MINUTE


def say(verdict: str | None, rule: str | None = None, **more: Any) -> Word:
    category, reason = verdict.split("/") if verdict else (None, None)
    values = {"action": "failed", "category": category, "reason": reason, "rule": rule} | more
    return Word("delivery-status", **values)


class TestDifference:
    def test_a_verdict_that_differs_is_found_and_nothing_is_changed(
        self, archive: Archive
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE, full=FULL)
        report = archive.receive("a", "plugh")
        archive.receive("b", "full")
        before = archive.dump()
        assert archive.compare(judge_by(plugh=FULL, full=FULL)) == [
            Change(report, say(BOUNCE, "rule-plugh"), say(FULL, "rule-plugh"))
        ]
        assert archive.dump() == before

    def test_what_reads_the_same_is_no_difference(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("a", "plugh")
        archive.receive("b", "xyzzy")
        assert archive.compare(archive.parser) == []
        assert archive.correct(archive.parser) == []

    @pytest.mark.parametrize(
        ("alter", "change"),
        [
            (delay, (say(BOUNCE, "rule-plugh"), Word("delivery-status", action="delayed",
                                                     ignored="not-failed"), False)),
            (rename("eva@kunde.example"),
             (say(BOUNCE, "rule-plugh"), say(BOUNCE, "rule-plugh"), True)),
            (lambda report: replace(report, kind=Kind.AUTO_REPLY),
             (say(BOUNCE, "rule-plugh"),
              replace(say(BOUNCE, "rule-plugh", ignored="not-a-bounce"), kind="auto-reply"),
              False)),
        ],
        ids=["action", "recipient", "kind"],
    )  # fmt: skip
    def test_what_the_parser_reads_otherwise_is_found(
        self, archive: Archive, alter: Any, change: tuple[Word, Word, bool]
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        report = archive.receive("a", "plugh")
        assert archive.compare(archive.parser, alter) == [Change(report, *change)]

    def test_recipients_that_come_and_go_are_found(self, archive: Archive) -> None:
        def add(report: Report) -> Report:
            (facts,) = report.recipients
            other = replace(facts, final_recipient="eva@kunde.example")
            return replace(report, recipients=(other, facts))

        archive.parser = judge_by(plugh=BOUNCE)
        report = archive.receive("a", "plugh")
        nobody, somebody = Word("delivery-status", named=False), say(BOUNCE, "rule-plugh")

        def double(raws: Sequence[bytes]) -> list[Result]:
            parsed = [archive.parser.parse(raw) for raw in raws]
            return [replace(p, report=add(p.report), verdicts=p.verdicts * 2) for p in parsed]

        assert archive.correct(archive.parser, parse=double) == [Change(report, nobody, somebody)]
        assert archive.list_cases() == {
            RECIPIENT: ("bad-address", 1, 0),
            "eva@kunde.example": ("bad-address", 1, 0),
        }
        assert archive.correct(archive.parser) == [Change(report, somebody, nobody)]
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 1, 0)}

    def test_a_setting_that_decides_what_counts_makes_a_difference(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=SPF)
        archive.receive("a", "plugh")
        archive.office.configure(own_domains=frozenset({DOMAIN}))
        (change,) = archive.correct(archive.parser)
        assert (change.was.ignored, change.now.ignored) == (None, "own-domain")
        assert (archive.list_cases(), archive.office.list_notices()) == ({}, [])

    def test_only_what_came_since_is_looked_at(self, archive: Archive) -> None:
        archive.receive("a", "plugh")
        archive.office.move(DAY)
        late = archive.receive("b", "plugh")
        today = judge_by(plugh=FULL)
        since = archive.make_replay(today, since_at=START + HOUR)
        assert since.count() == 1
        assert [change.report for change in list_changes(since.run())] == [late]


class TestCorrection:
    def test_failures_strikes_and_cases_are_corrected(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        report = archive.receive("a", "plugh")
        today = judge_by(plugh=FULL)
        assert len(archive.correct(today)) == 1
        (row,) = archive.ledger.read(lambda c: queries.list_reports(c, report=report))
        (recipient,) = row["recipients"]
        assert (recipient["category"], recipient["reason"]) == ("mailbox-full", "mailbox-full")
        case = archive.office.find_case()
        assert (case["category"], case["reason"]) == ("mailbox-full", "mailbox-full")
        (strike,) = archive.ledger.read(lambda c: queries.list_strikes(c, case["case"]))
        assert (strike["category"], strike["reason"]) == ("mailbox-full", "mailbox-full")
        assert archive.compare(today) == []

    def test_a_second_replay_changes_nothing(self, archive: Archive) -> None:
        today = fill(archive)
        archive.correct(today)
        once = archive.dump()
        assert once["replays"] == []
        archive.office.move(HOUR)
        assert archive.correct(today) == []
        assert archive.dump() == once

    def test_what_an_open_digest_tells_follows(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE, full=BOUNCE)
        archive.receive("a", "plugh")
        archive.receive("b", "full", "eva@kunde.example")
        archive.correct(judge_by(plugh=SPF, full=FULL))
        archive.office.move(WINDOW)
        (sent,) = archive.office.send_due()
        assert [(entry.subject, entry.category.value) for entry in sent.entries] == [
            (DOMAIN, "auth-failure"),
            ("eva@kunde.example", "mailbox-full"),
        ]

    @pytest.mark.parametrize("state", ["open", "held"])
    def test_a_strike_that_counts_no_longer_is_taken_out_of_the_digest(
        self, archive: Archive, state: str
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE, full=FULL)
        archive.receive("a", "plugh")
        archive.office.move(WINDOW)
        if state == "held":
            assert archive.office.hold_due()
        archive.correct(judge_by(plugh=OPS, full=FULL))
        assert (archive.list_cases(), archive.office.list_notices()) == ({}, [])
        archive.office.move(DAY)
        assert archive.office.send_due() == []

    def test_one_of_two_strikes_goes_and_the_other_is_told_alone(self, archive: Archive) -> None:
        archive.parser = judge_by(plugh=BOUNCE, full=FULL)
        archive.receive("a", "plugh")
        archive.receive("b", "full")
        archive.correct(archive.parser, lambda report: _delay_send(report, "a"))
        assert archive.list_cases() == {RECIPIENT: ("mailbox-full", 1, 0)}
        archive.office.move(WINDOW)
        (sent,) = archive.office.send_due()
        assert [len(entry.strikes) for entry in sent.entries] == [1]

    def test_system_trouble_without_a_second_send_is_not_told_any_more(
        self, archive: Archive
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("a", "plugh")
        archive.correct(judge_by(plugh=EXPIRED))
        assert archive.list_cases() == {RECIPIENT: ("system", 1, 0)}
        archive.office.move(DAY)
        assert archive.office.send_due() == []

    @pytest.mark.parametrize("order", list(itertools.permutations(["one", "two", "tri"])))
    def test_another_report_of_the_send_speaks_where_one_counts_no_longer(
        self, archive: Archive, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive.parser = judge_by(one=FULL, two=BOUNCE, tri=BOUNCE)
        for word in ("one", "two", "tri"):
            archive.receive("a", word, report=word)
            archive.office.move(MINUTE)
        today = judge_by(one=FULL, two=SPAM, tri=OPS)
        _read_in_order(monkeypatch, order)
        archive.correct(today)
        assert archive.list_cases() == {RECIPIENT: ("spam-rejection", 1, 0)}
        archive.office.move(WINDOW)
        assert list_subjects(archive.office.send_due()) == [[(RECIPIENT, 1)]]

    def test_a_later_report_that_counts_newly_speaks_for_one_that_counts_no_longer(
        self, archive: Archive
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE, xyzzy=OPS)
        archive.receive("a", "plugh")
        archive.office.move(MINUTE)
        archive.receive("a", "xyzzy")
        archive.correct(judge_by(plugh=OPS, xyzzy=FULL))
        assert archive.list_cases() == {RECIPIENT: ("mailbox-full", 1, 0)}
        archive.office.move(WINDOW)
        assert list_subjects(archive.office.send_due()) == [[(RECIPIENT, 1)]]

    def test_a_recipient_read_otherwise_is_told_in_place_of_the_other(
        self, archive: Archive
    ) -> None:
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("a", "plugh")
        archive.correct(archive.parser, rename("eva@kunde.example"))
        archive.office.move(WINDOW)
        assert list_subjects(archive.office.send_due()) == [[("eva@kunde.example", 1)]]
        assert archive.list_cases() == {"eva@kunde.example": ("bad-address", 1, 1)}

    def test_an_author_that_can_be_told_by_now_is_found(self, archive: Archive) -> None:
        archive.origin = OriginSettings((), TrustMode.ANY)
        archive.parser = judge_by(plugh=BOUNCE)
        archive.receive("a", "plugh")
        assert archive.list_cases() == {}
        archive.origin = OriginSettings((), TrustMode.ANY, author_domains=(DOMAIN,))
        (change,) = archive.correct(archive.parser)
        assert (change.was.ignored, change.now.ignored) == ("origin-unresolved", None)
        assert archive.list_cases() == {RECIPIENT: ("bad-address", 1, 0)}
        assert archive.office.list_notices() == []


def _delay_send(report: Report, send: str) -> Report:
    returned = report.returned
    return delay(report) if returned and returned.message_id == send else report


def _read_in_order(monkeypatch: pytest.MonkeyPatch, order: Sequence[str]) -> None:
    """Let a replay read one report at a time, in this order."""
    actual = replays.read_batch
    left = list(order)

    def read_batch(connection: Any, *_: Any, **__: Any) -> Any:
        if not left:
            return []
        name = left.pop(0)
        found = actual(connection, None, None, limit=10, max_bytes=2**20)
        return [judged for judged in found if judged.stored.arrival.report == name]

    monkeypatch.setattr(replays, "read_batch", read_batch)
