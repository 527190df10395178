"""A replay in any order of reports ends in the same rows, mails nobody and gives nothing back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bounced.ledger import replays, schema
from bounced.ledger.counting import StrikeCounter
from bounced.ledger.engine import Ledger
from bounced.ledger.reports import Finding
from bounced.model import Action, Category, Reason, Verdict
from bounced.processor.replay import _correct
from tests.ledger.office import (
    CONTENT,
    DAY,
    EXPIRED,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    SPF,
    START,
    USER_UNKNOWN,
    Office,
    bounce,
)

UNKNOWN = Verdict(Category.UNKNOWN, Reason.UNKNOWN)
OPS = Verdict(Category.POLICY, Reason.RELAY_DENIED)
VERDICTS = st.sampled_from([USER_UNKNOWN, MAILBOX_FULL, CONTENT, EXPIRED, UNKNOWN, SPF, OPS, None])
Pair = tuple[Finding, Finding]
"""A report as it was judged, and as it is judged today."""


def judge(finding: Finding, verdict: Verdict | None) -> Finding:
    """Give a report's only recipient a verdict; None: he is merely delayed."""
    if verdict is not None:
        return replace(finding, verdicts=(verdict,))
    (facts,) = finding.report.recipients
    delayed = replace(facts, action=Action.DELAYED)
    return replace(
        finding, report=replace(finding.report, recipients=(delayed,)), verdicts=(None,)
    )


@st.composite
def draw_pairs(draw: st.DrawFn) -> list[Pair]:
    pairs = []
    for number in range(draw(st.integers(1, 6))):
        finding = bounce(
            draw(st.sampled_from("ab")),
            draw(st.sampled_from(["max@kunde.example", "eva@kunde.example"])),
            at=START + number * MINUTE,
            report=f"{number:016x}",
        )
        pairs.append((judge(finding, draw(VERDICTS)), judge(finding, draw(VERDICTS))))
    return pairs


def replay(office: Office, findings: Iterable[Finding]) -> None:
    """Replay with a batch for each report, in this order."""
    office.now = START + HOUR
    run = office.ledger.write(lambda c: replays.begin(c, "today", None, office.now))
    for finding in findings:

        def work(connection: Any, finding: Finding = finding) -> None:
            counter = StrikeCounter(connection, office.settings, office.now, replays=True)
            _correct(connection, [finding], counter, run, office.new_id)

        office.ledger.write(work)
    while office.ledger.write(lambda connection: replays.clear_some(connection, run)):
        pass


def find_pending(office: Office) -> set[tuple[str, str]]:
    """Return what the strikes tell that their authors are about to be told of."""
    query = (
        select(schema.strikes.c.recipient_key, schema.strikes.c.send_key)
        .join(schema.cases, schema.cases.c.case == schema.strikes.c.case)
        .where(schema.cases.c.due_at.is_not(None), schema.strikes.c.notice.is_(None))
    )
    return {(row[0], row[1]) for row in office.ledger.read(lambda c: c.execute(query).all())}


def list_cases(office: Office) -> list[tuple[Any, ...]]:
    """Return what cases are; one without a strike has the words of any that it had."""
    words = ("category", "reason")
    keys = ("subject", "round", "state", "strikes", "notices", "first_strike_at", "last_strike_at",
            "due_at")  # fmt: skip
    return sorted(
        tuple(case[key] for key in (*keys, *words) if case["strikes"] or key not in words)
        for case in office.list_cases()
    )


def list_strikes(office: Office) -> list[tuple[Any, ...]]:
    """Return what counts; what was taken back has the words of any report of its send."""
    columns = [column for column in schema.strikes.columns if column.name != "told_case"]
    query = select(*columns).where(~schema.strikes.c.withdrawn)
    return sorted(map(tuple, office.ledger.read(lambda c: c.execute(query).all())), key=repr)


def find_told(office: Office, sent: set[str]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Return the strikes of each case in these notices."""
    query = select(schema.strikes).where(schema.strikes.c.notice.in_(sent))
    told: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for row in office.ledger.read(lambda c: c.execute(query).all()):
        told.setdefault((row.notice, row.case), set()).add((row.recipient_key, row.send_key))
    return told


def find_notices(office: Office) -> dict[str, int]:
    return {case["subject"]: case["notices"] for case in office.list_cases()}


def run_story(
    template: Path, pairs: Sequence[Pair], order: Sequence[int], told_after: int
) -> dict[str, Any]:
    """Process, tell, replay in this order, tell on; return the tables after the replay."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template, Path(folder) / "bounced.db")
        office = Office(Ledger(f"sqlite:///{folder}/bounced.db"))
        for number, (was, _) in enumerate(pairs):
            if number == told_after:
                office.move(20 * MINUTE)
                office.send_due()
            office.receive(was)
        office.move(MINUTE)
        pending, slots, spent = find_pending(office), office.dump("slots"), find_notices(office)
        replay(office, (pairs[number][1] for number in order))
        assert office.dump("slots") == slots, "nothing is given back"
        tables = office.dump("failures") | {
            "cases": list_cases(office),
            "strikes": list_strikes(office),
        }
        assert {subject: n for subject, n in find_notices(office).items() if n} == {
            subject: n for subject, n in spent.items() if n
        }
        office.move(30 * DAY)
        told = find_told(office, {notice.notice for notice in office.send_due()})
        assert [told_of for told_of in told.values() if not told_of & pending] == []
        office.ledger.close()
        return tables


@settings(max_examples=40, deadline=None)
@given(pairs=draw_pairs(), data=st.data())
def test_any_order_gives_the_same_rows_and_no_mail(
    sqlite_template: Path, pairs: list[Pair], data: st.DataObject
) -> None:
    told_after = data.draw(st.integers(0, len(pairs)))
    order = data.draw(st.permutations(range(len(pairs))))
    straight = run_story(sqlite_template, pairs, range(len(pairs)), told_after)
    assert run_story(sqlite_template, pairs, order, told_after) == straight


@settings(max_examples=20, deadline=None)
@given(pairs=draw_pairs())
def test_a_replay_counts_as_if_it_had_always_been_judged_so(
    sqlite_template: Path, pairs: list[Pair]
) -> None:
    replayed = run_story(sqlite_template, pairs, range(len(pairs)), len(pairs))
    at_once = run_story(
        sqlite_template, [(now, now) for _, now in pairs], range(len(pairs)), len(pairs)
    )
    assert [case[:-3] + case[-2:] for case in replayed["cases"]] == [
        case[:-3] + case[-2:] for case in at_once["cases"]
    ], "but for the due time"
    assert replayed["failures"] == at_once["failures"]
