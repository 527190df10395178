"""How one failure becomes a strike, changes one, or takes one back.

A strike has the words of the latest report of its send. Its case's author is locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from bounced.ledger import policy
from bounced.ledger.failures import find_latest
from bounced.ledger.policy import PolicySettings, Strike
from bounced.ledger.records import DNS_PASSED, CaseState
from bounced.ledger.reports import Finding
from bounced.ledger.schema import cases, strikes
from bounced.ledger.tally import drop_empty, end_quiet, open_case, recount
from bounced.model import Category, Reason

# What runs for every strike is built once: building takes as long as running.
_READ_KNOWN = select(strikes, cases.c.round.label("case_round"), cases.c.subject).join(
    cases, cases.c.case == strikes.c.case
)
_READ_NAMED = _READ_KNOWN.where(
    strikes.c.author == bindparam("author"),
    strikes.c.recipient_key == bindparam("recipient_key"),
    strikes.c.send_key == bindparam("send_key"),
)
_READ_MENDED_AT = (
    select(cases.c.closed_at)
    .where(cases.c.case == bindparam("of"))
    .where(cases.c.state == CaseState.CLOSED.value)
    .where(cases.c.closed_why == DNS_PASSED)
)
_ASK_AGAIN = (
    update(cases)
    .where(cases.c.case == bindparam("of"))
    .where(cases.c.category == Category.AUTH_FAILURE.value)
    .values(advised_at=None, checked_at=None)
)
_INSERT = insert(strikes).values(
    round=select(cases.c.round).where(cases.c.case == bindparam("of")).scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A strike and where it went."""

    strike: Strike
    case: str
    strikes: int
    """Strikes of the case in its round."""
    is_new: bool
    """False for a double, a retry, a report processed again."""
    new_round: int | None = None
    """Number of the round that this strike opens after a long quiet (`quiet_reset`)."""
    was_case: str | None = None
    """The case that it was in, if that is another one; it may be there no more."""


@dataclass(frozen=True, slots=True)
class StrikeCounter:
    """Counts at one time, by one policy."""

    connection: Connection
    settings: PolicySettings
    now: datetime
    replays: bool = False
    """Whether old reports are judged anew: what is counted then causes no mail."""

    def count(self, finding: Finding, position: int, strike: Strike) -> Counted:
        """Write one strike, new or known, and bring its case up to date."""
        values: dict[str, Any] = {
            "report": finding.arrival.report,
            "position": position,
            "recipient": strike.recipient,
            "category": strike.category.value,
            "reason": strike.reason.value,
            "failed_at": finding.arrival.received_at,
            "withdrawn": False,
        }
        name = {
            "author": strike.author,
            "recipient_key": strike.recipient_key,
            "send_key": strike.send_key,
        }
        known = self.connection.execute(_READ_NAMED, name).one_or_none()
        if known is not None and known.withdrawn and known.notice is None and not self.replays:
            self.connection.execute(delete(strikes).where(_key(strike)))
            known = None
        new_round = None
        if known is None:
            send = finding.send.send if finding.send else None
            quiet = self.replays or self._is_mended_since(strike, finding)
            case, new_round = self._insert(strike, values | {"send": send, "quiet": quiet})
        elif _speaks_later(values, known):
            quiet = known.quiet or self._is_mended_since(strike, finding)
            case = self._change(strike, values, known, quiet=quiet)
        else:
            case = known.case
        total = recount(self.connection, case, self.settings)
        return Counted(
            strike,
            case,
            total,
            is_new=known is None,
            new_round=new_round,
            was_case=known.case if known is not None and known.case != case else None,
        )

    def take_back(self, was: Row[Any], instead: Strike | None) -> bool:
        """Let a strike go whose report, in its last word, says no longer that it counts.

        Where another report of the send still does, it speaks. `instead` is what the failure
        counts for now: it is told of where the strike was to be. False: the strike stays.
        """
        key = _key(was)
        known = self._find_known(and_(key, strikes.c.report == was.report))
        if known is None:
            return False
        latest = find_latest(self.connection, _read_strike(known).strike)
        if latest is not None:
            self._fall_back(known, latest)
            return False
        self.connection.execute(update(strikes).where(key).values(_put_back(known)))
        if instead is not None and known.notice is None and not known.quiet:
            self._hand_on(known, instead)
        recount(self.connection, known.case, self.settings)
        if known.told_case is not None:
            drop_empty(self.connection, known.case)
        if not self.replays:
            clear(self.connection, known.author)
        return not known.withdrawn

    def _find_known(self, chosen: ColumnElement[bool]) -> Row[Any] | None:
        return self.connection.execute(_READ_KNOWN.where(chosen)).one_or_none()

    def _is_mended_since(self, strike: Strike, finding: Finding) -> bool:
        """Tell whether DNS has shown a refused domain to be in order after the mail was sent.

        Such a bounce tells nothing new: a receiver tries for days, and remembers old records.
        """
        if strike.category is not Category.AUTH_FAILURE:
            return False
        sent_at = policy.find_sent(finding.report, finding.arrival.token_day)
        case = policy.find_case_id(strike.author, strike.subject)
        mended_at = self.connection.execute(_READ_MENDED_AT, {"of": case}).scalar()
        return sent_at is not None and mended_at is not None and sent_at <= mended_at

    def _insert(self, strike: Strike, values: dict[str, Any]) -> tuple[str, int | None]:
        """Write a strike that was not there; return its case and the round that it opens."""
        reopened_by = None if values["quiet"] else self.now
        case = open_case(self.connection, strike, self.settings, reopened_by)
        new_round = None
        if not values["quiet"]:
            new_round = end_quiet(self.connection, case, values["failed_at"], self.settings)
        self.connection.execute(
            _INSERT,
            {
                "author": strike.author,
                "recipient_key": strike.recipient_key,
                "send_key": strike.send_key,
                "case": case,
                "of": case,
                "counted_at": self.now,
                **values,
            },
        )
        return case, new_round

    def _change(
        self, strike: Strike, values: dict[str, Any], known: Row[Any], *, quiet: bool
    ) -> str:
        """Let another report of the send speak; return the case that the strike is now in.

        Another category may mean another case. A strike stays where it is, as it is, once its
        round has ended or its author was told of it; but a replay, which corrects, moves it then
        too, and notes where it was told. `quiet` is what it is in another case.
        """
        case, key = str(known.case), _key(strike)
        told = known.notice is not None
        if case == policy.find_case_id(strike.author, strike.subject):
            self.connection.execute(update(strikes).where(key).values(values))
            if known.reason != strike.reason.value:
                self._ask_again(case)
            return case
        if known.round != known.case_round or (told and not self.replays):
            self.connection.execute(update(strikes).where(key).values(withdrawn=False))
            return case
        reopened_by = None if told or quiet else known.counted_at
        case = open_case(self.connection, strike, self.settings, reopened_by)
        place: dict[str, Any] = {"case": case, "round": _read_round(case), "quiet": quiet}
        if told:
            told_case = known.told_case or known.case
            place["told_case"] = None if told_case == case else told_case
        self.connection.execute(update(strikes).where(key).values(values | place))
        recount(self.connection, known.case, self.settings)
        drop_empty(self.connection, known.case)
        self._ask_again(case)
        return case

    def _ask_again(self, case: str) -> None:
        """Let DNS be asked anew about a refused domain: another reason is another question."""
        self.connection.execute(_ASK_AGAIN, {"of": case})

    def _fall_back(self, known: Row[Any], latest: Row[Any]) -> None:
        """Let the latest of the reports that are left speak for a strike."""
        strike = _read_strike(known, latest)
        values = {
            "report": latest.report,
            "position": latest.position,
            "category": latest.category,
            "reason": latest.reason,
            "failed_at": latest.received_at,
            "withdrawn": False,
        }
        case = self._change(strike, values, known, quiet=known.quiet)
        recount(self.connection, case, self.settings)

    def _hand_on(self, known: Row[Any], instead: Strike) -> None:
        """Let a strike be told of in place of one that its author was still to be told of."""
        self.connection.execute(update(strikes).where(_key(known)).values(quiet=True))
        case = self.connection.execute(
            update(strikes)
            .where(_key(instead))
            .where(strikes.c.notice.is_(None))
            .where(strikes.c.quiet)
            .values(quiet=False, counted_at=known.counted_at)
            .returning(strikes.c.case)
        ).scalar()
        if case is not None:
            recount(self.connection, case, self.settings)


def clear(connection: Connection, author: str) -> None:
    """Delete what was taken back of a locked author before he was told of it.

    Until a replay is over it is kept: another report may count for it again.
    """
    emptied = connection.execute(
        delete(strikes)
        .where(strikes.c.author == author)
        .where(strikes.c.withdrawn)
        .where(strikes.c.notice.is_(None))
        .returning(strikes.c.case)
    ).scalars()
    for case in sorted(set(emptied)):
        drop_empty(connection, case)


def _put_back(known: Row[Any]) -> dict[str, Any]:
    """Return what lets a strike count no longer; it lies where its author was told of it."""
    if known.told_case is None:
        return {"withdrawn": True}
    return {
        "withdrawn": True,
        "case": known.told_case,
        "round": _read_round(known.told_case),
        "told_case": None,
    }


def _speaks_later(values: dict[str, Any], known: Row[Any]) -> bool:
    """Tell whether a report speaks later of a send than the strike's own, or is that report.

    Of a strike that was taken back whoever counts for it speaks.
    """
    if known.withdrawn or known.report == values["report"]:
        return True
    return bool((values["failed_at"], values["report"]) > (known.failed_at, known.report))


def _read_strike(known: Row[Any], latest: Row[Any] | None = None) -> Strike:
    """Return a stored strike, with the words of another failure where one is given."""
    words = known if latest is None else latest
    return Strike(
        author=known.author,
        subject=words.subject,
        recipient=known.recipient,
        recipient_key=known.recipient_key,
        send_key=known.send_key,
        category=Category(words.category),
        reason=Reason(words.reason),
    )


def _key(strike: Strike | Row[Any]) -> ColumnElement[bool]:
    return and_(
        strikes.c.author == strike.author,
        strikes.c.recipient_key == strike.recipient_key,
        strikes.c.send_key == strike.send_key,
    )


def _read_round(case: str) -> ScalarSelect[int]:
    return select(cases.c.round).where(cases.c.case == case).scalar_subquery()
