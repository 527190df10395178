"""What no history may show: told by the mails that arrived, and by what the ledger says at its end.

The mails alone decide on "at most three" and the interval; the ledger is asked only where the
notices are that did not arrive. Pure.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_NOTICES = 3
_SETTLED = {"sent", "failed", "outcome_unknown"}
_NEEDS_TWO = {"system", "unknown"}
_DAY = timedelta(hours=24)

Case = tuple[str, str]
"""Author and subject."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a mail tells of one case."""

    subject: str
    number: int
    sends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail whose final dot came and was not refused."""

    notice: str
    author: str
    at: datetime
    """By the clock of the daemon that sent it."""
    site_at: datetime
    """By the clock of the site, from which the daemon's may be far."""
    entries: tuple[Entry, ...]
    certain: bool
    """Whether the relay said so; else its reply was lost."""


@dataclass(frozen=True, slots=True)
class RoundOpened:
    """The operator may have opened the next round of a case."""

    case: Case


@dataclass(frozen=True, slots=True)
class Asked:
    """A daemon wrote DATA, so that a mail may arrive from now on."""

    author: str
    instants: tuple[datetime, ...]
    """What its clock may have shown since it looked whether it is quiet."""


@dataclass(frozen=True, slots=True)
class Silenced:
    """It is committed that an author is sent nothing."""

    author: str


@dataclass(frozen=True, slots=True)
class Unsilenced:
    """An author may be mailed again."""

    author: str


Item = Arrived | RoundOpened | Asked | Silenced | Unsilenced


@dataclass(frozen=True, slots=True)
class Limits:
    """What the configuration promises beside "at most three"."""

    interval: timedelta
    interval_auth: timedelta
    daily_limit: int = 20
    find_quiet_end: Callable[[datetime], datetime | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice at the end."""

    notice: str
    state: str
    told: bool = True
    """Whether the ledger's events tell of its outcome."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case at the end."""

    case: Case
    state: str
    category: str
    round: int
    strikes: int
    slots: tuple[tuple[int, int], ...] = ()
    """Round and number of each."""


@dataclass(frozen=True, slots=True)
class StrikeRow:
    """A strike at the end."""

    case: Case
    send: str
    round: int
    notice: str | None


@dataclass(frozen=True, slots=True)
class End:
    """What the ledger says when nothing is to be done any more."""

    notices: tuple[NoticeRow, ...]
    cases: tuple[CaseRow, ...]
    strikes: tuple[StrikeRow, ...]


def judge_mails(timeline: Sequence[Item], limits: Limits) -> list[str]:
    """Return what the authors' mailboxes show that must not be, in the order of arrival."""
    by_case: dict[Case, list[tuple[Arrived, Entry] | None]] = defaultdict(list)
    told: Counter[tuple[str, str, str]] = Counter()
    for item in timeline:
        if isinstance(item, RoundOpened):
            by_case[item.case].append(None)
        if not isinstance(item, Arrived):
            continue
        for entry in item.entries:
            by_case[item.author, entry.subject].append((item, entry))
            told.update((item.author, entry.subject, send) for send in entry.sends)
    faults = [
        f"told twice of {send} to {subject}" for (_, subject, send), n in told.items() if n > 1
    ]
    for case, items in by_case.items():
        shortest = limits.interval if "@" in case[1] else limits.interval_auth
        faults += _judge_numbers(case, items)
        faults += _judge_interval(case, [item for item in items if item is not None], shortest)
    faults += _judge_notices(timeline) + _judge_silence(timeline)
    return faults + _judge_quiet(timeline, limits) + _judge_day(timeline, limits.daily_limit)


def judge_end(
    end: End,
    timeline: Iterable[Item],
    sends: AbstractSet[tuple[Case, str]],
    waived: AbstractSet[tuple[Case, str]],
) -> list[str]:
    """Return what was lost of the `sends` that counted, and which notices hang.

    Of those in `waived` nobody need hear: the case was closed while they waited.
    """
    arrived = {item.notice: item for item in timeline if isinstance(item, Arrived)}
    states = {row.notice: row.state for row in end.notices}
    faults = [
        f"notice {row.notice} hangs in {row.state}"
        for row in end.notices
        if row.state not in _SETTLED
    ]
    faults += [
        f"notice {row.notice} is outcome_unknown and nobody is told"
        for row in end.notices
        if row.state == "outcome_unknown" and not row.told
    ]
    faults += _compare(states, arrived)
    cases = {row.case: row for row in end.cases}
    strikes = {(row.case, row.send): row for row in end.strikes}
    for case, send in sorted(sends - waived):
        strike = strikes.get((case, send))
        if strike is None:
            faults.append(f"no strike of {send} to {case[1]}")
        elif not _is_accounted_for(strike, cases[case], states):
            faults.append(f"{send} to {case[1]} was never told: {strike}, {cases[case]}")
    faults += [
        f"told of {send} to {entry.subject}, which does not count"
        for mail in arrived.values()
        for entry in mail.entries
        for send in entry.sends
        if ((mail.author, entry.subject), send) not in sends
    ]
    return faults


def _judge_numbers(case: Case, items: Iterable[tuple[Arrived, Entry] | None]) -> list[str]:
    """Numbers grow up to three; they begin anew only where a round was opened in between."""
    faults = []
    last, opened = 0, False
    for item in items:
        if item is None:
            opened = True
            continue
        number = item[1].number
        if not 1 <= number <= MAX_NOTICES:
            faults.append(f"{case}: notice {number} of {MAX_NOTICES}")
        if number <= last and not opened:
            faults.append(f"{case}: notice {number} came after notice {last} in one round")
        last, opened = number, False
    return faults


def _judge_interval(
    case: Case, mails: Sequence[tuple[Arrived, Entry]], interval: timedelta
) -> list[str]:
    return [
        f"{case}: notices at {earlier.at} and {later.at} are within {interval}"
        for (earlier, _), (later, _) in itertools.pairwise(mails)
        if _are_within(interval, earlier, later)
    ]


def _are_within(span: timedelta, earlier: Arrived, later: Arrived) -> bool:
    """Tell whether two mails came too soon by either clock; one alone proves nothing.

    A node a day behind may send what one that was right has claimed, or the other way round.
    """
    return later.at - earlier.at < span and later.site_at - earlier.site_at < span


def _judge_notices(timeline: Iterable[Item]) -> list[str]:
    counts = Counter(item.notice for item in timeline if isinstance(item, Arrived))
    return [f"notice {notice} arrived {n} times" for notice, n in counts.items() if n > 1]


def _judge_silence(timeline: Iterable[Item]) -> list[str]:
    """Nothing is begun for an author once it is committed that he is silent."""
    faults = []
    silent: set[str] = set()
    for item in timeline:
        match item:
            case Silenced(author):
                silent.add(author)
            case Unsilenced(author):
                silent.discard(author)
            case Asked(author) if author in silent:
                faults.append(f"{author} was mailed, and is silent")
    return faults


def _judge_quiet(timeline: Iterable[Item], limits: Limits) -> list[str]:
    return [
        f"{item.author} was mailed at a quiet time, {item.instants[-1]}"
        for item in timeline
        if isinstance(item, Asked) and all(map(limits.find_quiet_end, item.instants))
    ]


def _judge_day(timeline: Iterable[Item], limit: int) -> list[str]:
    by_author: dict[str, list[Arrived]] = defaultdict(list)
    for item in timeline:
        if isinstance(item, Arrived):
            by_author[item.author].append(item)
    return [
        f"{author}: more than {limit} notices from {earlier.at} to {later.at}"
        for author, mails in by_author.items()
        for earlier, later in zip(mails, mails[limit:], strict=False)
        if _are_within(_DAY, earlier, later)
    ]


def _compare(states: dict[str, str], arrived: dict[str, Arrived]) -> list[str]:
    """Hold what the ledger says of each notice against what came."""
    faults = []
    for notice, state in states.items():
        mail = arrived.get(notice)
        if state == "sent" and (mail is None or not mail.certain):
            faults.append(f"notice {notice} is said to be sent, and did not arrive")
        if state == "failed" and mail is not None:
            faults.append(f"notice {notice} is said to have failed, and arrived")
    faults += [f"notice {notice} arrived, unknown" for notice in arrived.keys() - states.keys()]
    return faults


def _is_accounted_for(strike: StrikeRow, case: CaseRow, states: dict[str, str]) -> bool:
    """Tell whether a strike was told of, or why it need not be."""
    if strike.notice is not None:
        return states.get(strike.notice) in _SETTLED
    used_up = sum(of_round == strike.round for of_round, _ in case.slots) == MAX_NOTICES
    if used_up or case.state == "closed":
        return True
    return case.category in _NEEDS_TWO and case.strikes < 2 and strike.round == case.round
