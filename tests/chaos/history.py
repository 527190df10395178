"""What may happen to a site and when its daemons are killed: histories, made from a seed; pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

MINUTE, HOUR, DAY = 60, 3_600, 86_400

DATABASES = ("sqlite", "postgresql")
STATEMENT, AWAIT, WRITE, INSTANT = "statement", "await", "write", "instant"
KINDS = (STATEMENT, AWAIT, WRITE, INSTANT)
"""Where a daemon can be killed: beside a statement, an await, a write to the relay; anywhere."""

AUTHORS, RECIPIENTS = 3, 3
VERDICTS = ("bad-address", "mailbox-full", "system", "auth-failure", "spam-rejection")
POINTS = {STATEMENT: 510, AWAIT: 360, WRITE: 66}
"""At most so many points of each kind the base history passes; the dry run holds it to that."""
QUIET_HOURS = "10:00-15:00"
"""They begin an hour after the histories do."""
_LEAST_RANDOM = 200
_LAST_TURN = 60
_MAX_INSTANT = 60
"""Milliseconds; what a beat takes at most."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A send to one recipient failed; the same send again is a duplicate."""

    author: int
    recipient: int
    send: int
    verdict: str = "bad-address"
    days_old: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """The clock of the site is moved; back where `seconds` is negative."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Skew:
    """One node's clock is put apart from the others'."""

    node: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Beat:
    """These nodes send what is due, at once where there are two."""

    nodes: tuple[int, ...]
    reload: str | None = None
    """What `notices.mode` is changed to on them while they send."""
    after: int = 0
    """Turns of the event loop before that."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The operator opens the next round of a case."""

    author: int
    recipient: int


@dataclass(frozen=True, slots=True)
class Correct:
    """The author has corrected an address."""

    author: int
    recipient: int


@dataclass(frozen=True, slots=True)
class Mode:
    """`notices.mode` is changed on every node."""

    mode: str


@dataclass(frozen=True, slots=True)
class Release:
    """The operator lets every held digest go."""


@dataclass(frozen=True, slots=True)
class Decline:
    """An author wants no notices."""

    author: int


@dataclass(frozen=True, slots=True)
class Return:
    """The last notice to an author comes back to us."""

    author: int


@dataclass(frozen=True, slots=True)
class Resume:
    """A declined author wants notices again."""

    author: int


@dataclass(frozen=True, slots=True)
class Forgive:
    """The operator has an author mailed again, whyever he was silent."""

    author: int


Step = (
    Bounce
    | Move
    | Skew
    | Beat
    | Reset
    | Correct
    | Mode
    | Release
    | Decline
    | Return
    | Resume
    | Forgive
)


@dataclass(frozen=True, slots=True)
class Manner:
    """What the relay does at one phase of a conversation in place of what it should."""

    phase: str
    act: str


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to oneself at the `number`-th point of a kind, from 0; milliseconds for instant."""

    kind: str
    number: int


@dataclass(frozen=True, slots=True)
class History:
    """One run."""

    database: str
    steps: tuple[Step, ...]
    manners: tuple[Manner, ...] = ()
    """One for each conversation with the relay; then it behaves."""
    kills: tuple[tuple[Kill, ...], tuple[Kill, ...]] = ((), ())
    """By node, one for each of its lives; then it lives on."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of `notices.*` what is not the default, as it is written in the file."""


_DECLINE = Manner("rcpt", "decline")
"""The last moment at which a notice under way can be stopped."""
REFUSALS = ("421", "451", "554")
MANNERS = tuple(
    Manner(phase, act)
    for phase, acts in {
        "greeting": ("drop", "421", "554"),
        "ehlo": ("drop", "421"),
        "mail": ("drop", "slow", "twice", *REFUSALS),
        "rcpt": ("drop", "slow", "twice", "decline", *REFUSALS),
        "data": ("drop", "slow", *REFUSALS),
        "content": ("drop",),
        "dot": (
            "drop", "slow", "slow-drop", "slow-451", "back", "back-drop", "twice", "leave",
            "garbage", *REFUSALS,
        ),
    }.items()
    for act in acts
)  # fmt: skip


def make_base(database: str) -> History:
    """Return the history of a case from its first notice to beyond its last."""
    told = (Move(16 * MINUTE), Beat((0,)))
    again = (Move(25 * HOUR), Beat((0,)))
    other = (Beat((1,)), Move(31 * MINUTE), Beat((1,))) if database != "sqlite" else ()
    steps: list[Step] = [Bounce(0, 0, 1), Bounce(0, 1, 2, "mailbox-full"), Bounce(1, 0, 3)]
    steps += [Bounce(0, 0, 1), *told, *other]
    for send in (4, 5, 6):
        steps += [Bounce(0, 0, send), *again, *other]
    return History(database, tuple(steps))


def list_histories(seed: int, runs: int, databases: Sequence[str]) -> list[History]:
    """Return the histories of a run: every point, every manner, then random ones.

    Where `runs` is too few for all, it is a choice of them, the half of a small number random histories.
    """
    systematic = _alternate([_list_systematic(name) for name in databases])
    dice = random.Random(f"{seed}/choice")
    room = max(min(runs // 2, _LEAST_RANDOM), runs - len(systematic))
    chosen = sorted(dice.sample(range(len(systematic)), runs - room))
    made = [
        make_random(random.Random(f"{seed}/{number}"), databases[number % len(databases)])
        for number in range(room)
    ]
    return [systematic[index] for index in chosen] + made


def make_random(dice: random.Random, database: str) -> History:
    """Return a history of several authors, faults of every sort mixed."""
    nodes = 1 if database == "sqlite" else 2
    bounces = [Bounce(0, 0, 0)]
    steps: list[Step] = [*bounces]
    for _ in range(dice.randint(10, 20)):
        steps += _make_steps(dice, bounces, nodes)
    manners = tuple(
        _DECLINE if dice.random() < 0.15 else dice.choice(MANNERS)
        for _ in range(dice.randint(0, 6))
    )
    kills = [_make_kills(dice) if node < nodes else () for node in range(2)]
    return History(
        database,
        tuple(steps),
        manners,
        (kills[0], kills[1]),
        {"quiet_hours": dice.choice(("", QUIET_HOURS)), "daily_limit": dice.choice((1, 2, 20))},
    )


def _list_systematic(database: str) -> list[History]:
    base = make_base(database)
    killed = [
        replace(base, kills=((Kill(kind, number),), ()))
        for kind, count in POINTS.items()
        for number in range(count)
    ]
    behaved = [
        replace(base, manners=(Manner("none", "none"),) * good + (manner,))
        for manner in MANNERS
        for good in (0, 2)
    ]
    return killed + behaved


def _alternate(lists: Sequence[Sequence[History]]) -> list[History]:
    return [item for group in zip_longest(*lists) for item in group if item is not None]


def _make_steps(dice: random.Random, bounces: list[Bounce], nodes: int) -> Iterator[Step]:
    """Yield what happens next: mostly bounces, beats, and time that passes."""
    author, recipient = dice.randrange(AUTHORS), dice.randrange(RECIPIENTS)
    everybody = tuple(range(nodes))
    old = 20 if dice.random() < 0.05 else 0
    if dice.random() < 0.15:
        yield dice.choice(bounces)
    else:
        bounces.append(Bounce(author, recipient, len(bounces), dice.choice(VERDICTS), old))
        yield bounces[-1]
    yield Move(dice.choice((MINUTE, 16 * MINUTE, HOUR, 23 * HOUR, 25 * HOUR, 8 * DAY)))
    chance = dice.random()
    if chance < 0.08:
        yield Move(-dice.choice((MINUTE, 20 * MINUTE, 2 * HOUR, DAY, 3 * DAY)))
    elif chance < 0.12:
        yield Skew(dice.randrange(nodes), dice.choice((-1, 1)) * dice.choice((MINUTE, HOUR, DAY)))
    elif chance < 0.18:
        yield Reset(author, recipient)
    elif chance < 0.23:
        yield Correct(author, recipient)
    elif chance < 0.27:
        yield Mode(dice.choice(("hold", "send")))
    elif chance < 0.30:
        yield Release()
    elif chance < 0.45:
        yield dice.choice((Decline, Return, Return, Resume, Forgive))(author)
    if dice.random() < 0.8:
        beating = everybody if dice.random() < 0.5 else (dice.randrange(nodes),)
        reload = dice.choice(("hold", "send")) if dice.random() < 0.15 else None
        yield Beat(beating, reload, dice.randrange(_LAST_TURN) if reload else 0)


def _make_kills(dice: random.Random) -> tuple[Kill, ...]:
    """Return where a node's lives end: mostly early, since each begins anew."""
    most = {STATEMENT: 150, AWAIT: 300, WRITE: 40, INSTANT: _MAX_INSTANT}
    kinds = [dice.choice(KINDS) for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4)))]
    return tuple(Kill(kind, dice.randrange(most[kind])) for kind in kinds)
