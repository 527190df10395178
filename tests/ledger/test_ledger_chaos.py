"""Random histories, crashes included: the promises of DESIGN §5.3 hold after each."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bounced.ledger import notices
from bounced.ledger.engine import Ledger
from bounced.ledger.records import ClaimedNotice, NoticeState
from tests.ledger.office import DAY, EXPIRED, HOUR, LEASE, SPF, USER_UNKNOWN, Office

INTERVAL = DAY


class History:
    """An office whose daemons claim, fall over and come back; notes every mail that may be out."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.claims: list[ClaimedNotice] = []
        self.mails: list[tuple[str, datetime]] = []
        self.sends = 0

    def run(self, step: str) -> None:
        getattr(self, f"do_{step}")()

    def do_fail(self) -> None:
        self.sends += 1
        verdict = (USER_UNKNOWN, EXPIRED, SPF)[self.sends % 3]
        recipient = f"r{self.sends % 2}@kunde.example"
        self.office.fail(f"send-{self.sends}", recipient, verdict=verdict)

    def do_wait(self) -> None:
        self.office.move(HOUR)

    def do_sleep(self) -> None:
        self.office.move(DAY)

    def do_claim(self) -> None:
        claimed = self.office.claim()
        if claimed is not None:
            self.claims.append(claimed)

    def do_data(self) -> None:
        for claimed in self.claims:
            if self.office.start_data(claimed):
                self.mails.append((claimed.notice, self.office.now))

    def do_sent(self) -> None:
        for claimed in self.claims:
            if (claimed.notice, self.office.now) in self.mails:
                self.office.settle(claimed)

    def do_refused(self) -> None:
        for claimed in self.claims:
            self.office.settle(claimed, NoticeState.FAILED)

    def do_defer(self) -> None:
        for claimed in self.claims:
            if claimed.notice not in {notice for notice, _ in self.mails}:
                self.office.defer(claimed, self.office.now + timedelta(minutes=1))

    def do_crash(self) -> None:
        self.claims.clear()

    def do_restart(self) -> None:
        self.office.ledger.write(lambda c: notices.expire_claims(c, self.office.now))
        self.office.settle_lost()

    def do_notice_loss(self) -> None:
        self.office.move(LEASE)
        self.office.settle_lost()

    def do_reset(self) -> None:
        for case in self.office.list_cases(limit=1):
            self.office.reset(case["case"])

    def do_close(self) -> None:
        for case in self.office.list_cases(limit=1):
            self.office.close(case["case"])


OFTEN = ["fail", "wait", "claim", "data", "sent"]
STEPS = sorted(name.removeprefix("do_") for name in vars(History) if name.startswith("do_"))


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(OFTEN * 3 + STEPS), min_size=10, max_size=60))
def test_no_history_sends_a_mail_twice_a_fourth_notice_or_two_within_the_interval(
    sqlite_template: Path, steps: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(sqlite_template, Path(folder) / "bounced.db")
        office = Office(Ledger(f"sqlite:///{folder}/bounced.db"))
        history = History(office)
        for step in steps:
            history.run(step)
        mailed = [notice for notice, _ in history.mails]
        assert len(set(mailed)) == len(mailed), "one notice, one mail"
        check_slots(office, dict(history.mails))
        check_cases(office)
        office.ledger.close()


def check_slots(office: Office, mails: dict[str, datetime]) -> None:
    told: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for author, subject, of_round, number, _case, notice, *_ in office.dump("slots")["slots"]:
        assert author
        told.setdefault((subject, of_round), []).append((number, notice))
    for entries in told.values():
        numbers = [number for number, _ in sorted(entries)]
        assert numbers == list(range(1, len(entries) + 1))
        assert len(numbers) <= 3
        times = [mails[notice] for _, notice in sorted(entries) if notice in mails]
        assert all(later - earlier >= INTERVAL for earlier, later in itertools.pairwise(times))


def check_cases(office: Office) -> None:
    unsettled = {
        notice["notice"]: {slot["case"] for slot in notice["slots"]}
        for notice in office.list_notices()
        if notice["state"] in {"claimed", "data_started"}
    }
    on_the_way = [case for taken in unsettled.values() for case in taken]
    assert len(set(on_the_way)) == len(on_the_way), "never two notices of one case at a time"
    for case in office.list_cases():
        assert case["notices"] <= 3
        assert case["due_at"] is None or case["state"] == "open"
