"""`bounced authors` and `bounced webhooks`: who is not mailed, what the application did not take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bounced.ledger import authors, silence, webhooks
from bounced.ledger.engine import Ledger
from bounced.ledger.records import WebhookState
from tests.cli.conftest import CommandLine
from tests.ledger.office import AUTHOR, MINUTE, START, Office

NOTICE = "fedcba9876543210"
OTHER = "ben@other.example"
SECOND = f"{2:016x}"
"""The webhook of the second act; the first act's is sent."""


@pytest.fixture
def office(sqlite_url: str) -> Iterator[Office]:
    """Return a site with an unreachable author, one who declined, and two webhooks."""
    office = Office(Ledger(sqlite_url))
    office.ledger.write(lambda c: silence.silence_unreachable(c, AUTHOR, NOTICE, office.now))
    office.ledger.write(
        lambda c: authors.decline(c, OTHER, office.now, webhook=True, new_id=lambda: f"{1:016x}")
    )
    due = office.ledger.write(lambda c: webhooks.claim(c, office.now, MINUTE))
    assert due is not None
    office.ledger.write(lambda c: webhooks.settle_sent(c, due.webhook, "HTTP 204", office.now))
    office.move(MINUTE)
    office.ledger.write(
        lambda c: authors.resume(c, OTHER, office.now, webhook=True, new_id=lambda: SECOND)
    )
    office.ledger.write(
        lambda c: authors.decline(c, OTHER, office.now, webhook=False, new_id=lambda: "")
    )
    yield office
    office.ledger.close()


@pytest.mark.usefixtures("office")
class TestAuthors:
    def test_who_is_silent_is_listed_with_the_reason(self, bounced: CommandLine) -> None:
        assert bounced("authors", "list", "--json").rows == [
            {
                "author": AUTHOR,
                "why": "unreachable",
                "unreachable_at": "2026-11-02T08:00:00Z",
                "unreachable_notice": NOTICE,
                "declined_at": None,
            },
            {
                "author": OTHER,
                "why": "declined",
                "unreachable_at": None,
                "unreachable_notice": None,
                "declined_at": "2026-11-02T08:01:00Z",
            },
        ]
        table = bounced("authors", "list").out.splitlines()
        assert [line.split() for line in table[2:]] == [
            [AUTHOR, "unreachable", "2026-11-02", "08:00", NOTICE],
            [OTHER, "declined", "2026-11-02", "08:01"],
        ]

    def test_one_author_is_shown_with_his_cases(
        self, bounced: CommandLine, office: Office
    ) -> None:
        office.fail("a", author=OTHER)
        office.fail("b", author="eva@bau.example")
        (row,) = bounced("authors", "show", OTHER.upper(), "--json").rows
        assert (row["mailed"], row["why"], row["cases"]) == (
            False,
            "declined",
            {"open": 1, "exhausted": 0, "closed": 0},
        )
        (row,) = bounced("authors", "show", "eva@bau.example", "--json").rows
        assert row == {
            "author": "eva@bau.example",
            "mailed": True,
            "cases": {"open": 1, "exhausted": 0, "closed": 0},
        }
        shown = bounced("authors", "show", AUTHOR).out
        assert [
            part for part in ("mailed", "no", "unreachable", NOTICE) if part not in shown
        ] == []

    @pytest.mark.parametrize("command", ["show", "reset"])
    def test_what_is_no_address_is_refused_as_such(
        self, bounced: CommandLine, command: str
    ) -> None:
        outcome = bounced("authors", command, "anna")
        assert outcome.code == 64
        assert "'anna' is no mail address: write local@domain" in outcome.err

    def test_a_reset_author_is_mailed_again(self, bounced: CommandLine) -> None:
        outcome = bounced("authors", "reset", AUTHOR.upper())
        assert (outcome.code, outcome.out) == (0, f"{AUTHOR}: is mailed again\n")
        told = json.loads(outcome.err)
        assert (told["event"], told["author"], told["why"]) == ("author_reset", AUTHOR, "operator")
        assert [row["author"] for row in bounced("authors", "list", "--json").rows] == [OTHER]

    @pytest.mark.parametrize(
        ("command", "complaint"),
        [
            (
                ("reset", "eva@bau.example"),
                "eva@bau.example: this author is not silent; `bounced authors list` shows who is",
            ),
            (
                ("show", "eva@bau.example"),
                "eva@bau.example: nothing is known of this author; `bounced cases list`",
            ),
        ],
    )
    def test_who_is_not_there_is_told(
        self, bounced: CommandLine, command: tuple[str, ...], complaint: str
    ) -> None:
        outcome = bounced("authors", *command)
        assert (outcome.code, outcome.complaints) == (65, [f"bounced: {complaint}"])


@pytest.mark.usefixtures("office")
class TestWebhooks:
    def test_webhooks_are_listed_newest_first(self, bounced: CommandLine) -> None:
        rows = bounced("webhooks", "list", "--json").rows
        assert [(row["webhook"], row["state"], row["body"]["action"]) for row in rows] == [
            (SECOND, "waiting", "resumed"),
            (f"{1:016x}", "sent", "declined"),
        ]
        (row,) = bounced("webhooks", "list", "--json", "--state", "waiting").rows
        assert row["webhook"] == SECOND
        assert len(bounced("webhooks", "list", "--json", "--limit", "1").rows) == 1
        table = bounced("webhooks", "list").out
        parts = ("(UTC)", SECOND, "resumed", OTHER, "waiting", "HTTP 204", "2026-11-02 08:01")
        assert [part for part in parts if part not in table] == []

    def test_one_webhook_is_shown_with_its_body(self, bounced: CommandLine) -> None:
        (row,) = bounced("webhooks", "show", SECOND, "--json").rows
        assert (row["attempts"], row["next_at"]) == (0, "2026-11-02T08:01:00Z")
        body = {
            "id": SECOND,
            "at": "2026-11-02T08:01:00Z",
            "event": "author_acted",
            "author": OTHER,
            "action": "resumed",
        }
        assert row["body"] == body
        *facts, last = bounced("webhooks", "show", SECOND).out.splitlines()
        assert json.loads(last) == body
        assert facts[0].split() == ["webhook", SECOND]

    def test_what_was_given_up_is_retried(self, bounced: CommandLine, office: Office) -> None:
        later = START + timedelta(days=4)
        due = office.ledger.write(lambda c: webhooks.claim(c, later, MINUTE))
        assert due is not None
        assert office.ledger.write(lambda c: webhooks.settle_failed(c, due, "HTTP 500", later))
        for arguments in ([SECOND], ["--all"]):
            outcome = bounced("webhooks", "retry", *arguments)
            assert (outcome.code, outcome.out) == (0, "to be tried: 1\n")
            assert json.loads(outcome.err)["action"] == "webhooks retry"
        assert office.ledger.read(
            lambda c: [row["state"] for row in webhooks.list_webhooks(c, webhook=SECOND)]
        ) == [WebhookState.WAITING.value]

    def test_what_cannot_be_retried_is_told(self, bounced: CommandLine) -> None:
        outcome = bounced("webhooks", "retry", f"{1:016x}")
        assert (outcome.code, outcome.complaints) == (
            65,
            [f"bounced: {1:016x}: no unsent webhook of that id; `bounced webhooks list`"],
        )
        assert bounced("webhooks", "retry").code == 64
        assert bounced("webhooks", "retry", "x", "--all").code == 64
        assert bounced("webhooks", "show", "x").code == 65


def test_nothing_to_list_is_said(bounced: CommandLine) -> None:
    assert bounced("authors", "list").out == "no author is silent\n"
    assert bounced("webhooks", "list").out == "no webhooks\n"


def test_a_closed_case_says_how_it_was_closed(bounced: CommandLine, sqlite_url: str) -> None:
    office = Office(Ledger(sqlite_url))
    case = office.fail("a").case
    office.ledger.write(
        lambda c: authors.correct_case(
            c, case, "max.muster@kunde.example", office.now, webhook=False, new_id=office.new_id
        )
    )
    office.ledger.close()
    lines = bounced("cases", "show", case).out.splitlines()
    assert [
        line.split(maxsplit=2)[1:] for line in lines if line.startswith(("closed", "corr"))
    ] == [
        ["at", "2026-11-02 08:00:00"],
        ["why", "corrected"],
        ["to", "max.muster@kunde.example"],
    ]
