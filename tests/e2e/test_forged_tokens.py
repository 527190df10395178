"""What a stranger can do to one real daemon with tokens: nothing but to speak for a send of ours."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bounced.cli import app
from bounced.keyfile import read_keys
from bounced.model import TokenType
from bounced.origin.token import Key, seal
from tests.e2e.process import ServeProcess, build_dsn, deliver
from tests.mta.network import wait_for

STORED = "250 2.0.0 Stored safely"
NOT_OURS = "550 5.7.1 This return path was not issued here or has expired"
NO_MAILBOX = "550 5.1.1 No such mailbox; delivery reports only"
FOREIGN = "550 5.7.1 Only delivery reports for our own domains are taken here"
VICTIM, VICTIMS_AUTHOR = "victim@kunde.example", "victim@bau.example"
TODAY = int(datetime.now(UTC).timestamp()) // 86_400
TTL_DAYS = 14
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
STRANGER = Key("a", bytes(32), date(2026, 11, 1))
_CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
hostname = "bounce.example.com"
own_relays = ["127.0.0.2/32"]  # so that the tests, from 127.0.0.1, are strangers
[http]
listen = ""
[database]
url = "sqlite:///{folder}/bounced.db"
[notices]
digest_window = "0s"
[relay]
maildir = "{folder}/notices"
"""


class Daemon(ServeProcess):
    """A daemon on the open internet, and its operator."""

    @property
    def key(self) -> Key:
        """Return the key that signs here; a stranger has none."""
        return read_keys(self.config.with_name("bounced.keys")).signing

    def run(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what a command lists, run in this process."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert app.run([*arguments, "--config", str(self.config), "--json"]) == 0
        return [json.loads(line) for line in said.getvalue().splitlines()]

    def sign(self, author: str, *recipients: str) -> str:
        """Register a send; return its return path."""
        named = [word for recipient in recipients for word in ("--recipient", recipient)]
        (row,) = self.run("sign", "--author", author, *named)
        return str(row["return_path"])

    def find(self, event: str, **fields: str) -> list[dict[str, Any]]:
        """Return the lines of an event with these fields."""
        return [
            line
            for line in list(self.events)
            if line["event"] == event and fields.items() <= line.items()
        ]

    def wait_for_report(self, rcpt: str, number: int = 1) -> str:
        """Return the id of the report that came to `rcpt` as the `number`-th."""
        lines = wait_for(
            f"report {number} to {rcpt}",
            lambda: self.find("report_received", recipient=rcpt)[number - 1 :],
        )
        return str(lines[0]["report"])

    def list_cases(self) -> dict[str, list[tuple[str, int]]]:
        """Return subjects and strikes of each author's cases."""
        found: dict[str, list[tuple[str, int]]] = {}
        for row in self.run("cases", "list"):
            found.setdefault(row["author"], []).append((row["subject"], row["strikes"]))
        return {author: sorted(cases) for author, cases in found.items()}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("forged")
    config = folder / "config.toml"
    config.write_text(_CONFIG.format(folder=folder))
    running = Daemon(config)
    running.start()
    yield running
    assert (running.stop(), running.strays) == (0, [])


def make_report(*recipients: str) -> bytes:
    """Return a report that names these, and the victim's author as whose mail it was."""
    raw = build_dsn(recipients[0], "m1@app", author=VICTIMS_AUTHOR, now=datetime.now(UTC))
    group = raw[raw.index(b"Final-Recipient") : raw.index(b"\r\n--b\r\nContent-Type: text")]
    groups = [group.replace(recipients[0].encode(), name.encode()) for name in recipients]
    return raw.replace(group, b"\r\n".join(groups))


def forge(key: Key) -> str:
    token = seal(TokenType.SEND, bytes(8), TODAY, key)
    return token[:10] + ("a" if token[10] != "a" else "b") + token[11:]


def outlive(key: Key) -> str:
    return seal(TokenType.SEND, bytes(8), TODAY - TTL_DAYS - 2, key)


def look_ahead(key: Key) -> str:
    return seal(TokenType.SEND, bytes(8), TODAY + 3, key)


def sign_with_another_secret(_key: Key) -> str:
    return seal(TokenType.SEND, bytes(8), TODAY, STRANGER)


def sign_with_another_key(_key: Key) -> str:
    return seal(TokenType.SEND, bytes(8), TODAY, Key("z", bytes(32), STRANGER.created_on))


def spell_otherwise(key: Key) -> str:
    token = seal(TokenType.SEND, bytes(8), TODAY, key)
    return token[:-1] + ALPHABET[ALPHABET.index(token[-1]) + 1]


def change_type(key: Key) -> str:
    return "n" + seal(TokenType.SEND, bytes(8), TODAY, key)[1:]


def deform(key: Key) -> str:
    return seal(TokenType.SEND, bytes(8), TODAY, key)[:-1] + "0"


def cut(key: Key) -> str:
    return seal(TokenType.SEND, bytes(8), TODAY, key)[:-1]


def wrap(key: Key) -> str:
    return f"SRS0=HHHH=TT=bounce.example.com={forge(key)}"


@pytest.mark.parametrize(
    ("make", "reply", "why"),
    [
        (forge, NOT_OURS, "token-forged"),
        (outlive, NOT_OURS, "token-expired"),
        (look_ahead, NOT_OURS, "token-from-the-future"),
        (sign_with_another_secret, NOT_OURS, "token-forged"),
        (sign_with_another_key, NOT_OURS, "token-unknown-key"),
        (spell_otherwise, NOT_OURS, "token-malformed"),
        (change_type, NOT_OURS, "token-forged"),
        (deform, NOT_OURS, "token-malformed"),
        (cut, NO_MAILBOX, "unknown-mailbox"),
        (wrap, NOT_OURS, "token-forged"),
    ],
)
async def test_a_token_that_is_none_of_ours_is_refused_before_data(
    daemon: Daemon, make: Callable[[Key], str], reply: str, why: str
) -> None:
    rcpt = f"{make(daemon.key)}@bounce.example.com"
    assert await deliver(daemon.smtp, make_report(VICTIM), rcpt) == reply
    (line,) = wait_for("the refusal", lambda: daemon.find("smtp_refused", recipient=rcpt))
    assert (line["why"], line["client"], line["reply"]) == (why, "127.0.0.1", reply)
    assert daemon.find("report_received", recipient=rcpt) == []


async def test_a_valid_token_at_a_foreign_domain_is_refused(daemon: Daemon) -> None:
    rcpt = f"{seal(TokenType.SEND, bytes(8), TODAY, daemon.key)}@elsewhere.example"
    assert await deliver(daemon.smtp, make_report(VICTIM), rcpt) == FOREIGN
    (line,) = wait_for("the refusal", lambda: daemon.find("smtp_refused", recipient=rcpt))
    assert line["why"] == "foreign-domain"


async def test_a_token_does_not_speak_for_recipients_of_other_sends(daemon: Daemon) -> None:
    author = "first@bau.example"
    rcpt = daemon.sign(author, "one@kunde.example", "two@kunde.example")
    assert await deliver(daemon.smtp, make_report(VICTIM), rcpt) == STORED
    report = daemon.wait_for_report(rcpt)
    (line,) = wait_for("the refusal", lambda: daemon.find("strike_ignored", report=report))
    assert (line["why"], line["recipient"]) == ("not-addressed", VICTIM)
    assert daemon.find("strike_counted", report=report) == []
    expect_cases(daemon, author)


async def test_of_a_thousand_recipients_only_those_of_the_send_count(daemon: Daemon) -> None:
    author = "second@bau.example"
    own = ["four@kunde.example", "three@kunde.example"]
    rcpt = daemon.sign(author, *own)
    foreign = [f"r{number}@kunde.example" for number in range(998)]
    raw = make_report(*foreign[:500], own[0], *foreign[500:], own[1])
    assert await deliver(daemon.smtp, raw, rcpt) == STORED
    report = daemon.wait_for_report(rcpt)
    wait_for("two strikes", lambda: daemon.find("strike_counted", report=report)[1:])
    ignored = [
        (line["why"], line["recipient"]) for line in daemon.find("strike_ignored", report=report)
    ]
    assert sorted(ignored) == sorted(("not-addressed", name) for name in foreign)
    wait_for("the author's notice", lambda: daemon.find("notice_sent", author=author))
    expect_cases(daemon, author, *own)


async def test_a_send_to_one_names_him_whatever_the_report_shows(daemon: Daemon) -> None:
    author = "third@bau.example"
    rcpt = daemon.sign(author, "five@kunde.example")
    assert await deliver(daemon.smtp, make_report(VICTIM), rcpt) == STORED
    report = daemon.wait_for_report(rcpt)
    wait_for("a strike", lambda: daemon.find("strike_counted", report=report))
    expect_cases(daemon, author, "five@kunde.example")


async def test_a_replayed_report_counts_once(daemon: Daemon) -> None:
    author = "fourth@bau.example"
    rcpt = daemon.sign(author, "six@kunde.example")
    raw = make_report("six@kunde.example")
    assert [await deliver(daemon.smtp, raw, rcpt) for _ in range(3)] == [STORED] * 3
    reports = {daemon.wait_for_report(rcpt, number) for number in (1, 2, 3)}
    wait_for(
        "both doubles",
        lambda: len(reports & {line["report"] for line in daemon.find("report_duplicate")}) == 2,
    )
    expect_cases(daemon, author, "six@kunde.example")


async def test_a_path_that_relays_rewrote_is_the_same_path(daemon: Daemon) -> None:
    author = "fifth@bau.example"
    token, _, domain = daemon.sign(author, "seven@kunde.example").partition("@")
    rewritten = [
        f"prvs=1234abcdef={token.upper()}@{domain.upper()}",
        f"srs0=HhH+=TT={domain}={token.upper()}@{domain}",
    ]
    raw = make_report("seven@kunde.example")
    assert [await deliver(daemon.smtp, raw, rcpt) for rcpt in rewritten] == [STORED] * 2
    reports = {daemon.wait_for_report(rcpt) for rcpt in rewritten}
    wait_for(
        "its send",
        lambda: reports <= {line["report"] for line in daemon.find("origin_resolved")},
    )
    wait_for("a strike", lambda: daemon.find("strike_counted", author=author))
    expect_cases(daemon, author, "seven@kunde.example")


async def test_a_valid_token_of_no_registered_send_counts_for_nobody(daemon: Daemon) -> None:
    """Whoever saw one token could write any author into the report."""
    rcpt = f"{seal(TokenType.SEND, b'unknown!', TODAY, daemon.key)}@bounce.example.com"
    assert await deliver(daemon.smtp, make_report(VICTIM), rcpt) == STORED
    report = daemon.wait_for_report(rcpt)
    wait_for("the doubt", lambda: daemon.find("origin_unresolved", report=report))
    expect_cases(daemon, VICTIMS_AUTHOR)


def expect_cases(daemon: Daemon, author: str, *subjects: str) -> None:
    """Expect one strike for each of these, and no word to or of the victims."""
    cases = daemon.list_cases()
    assert cases.get(author, []) == [(subject, 1) for subject in subjects]
    assert VICTIMS_AUTHOR not in cases
    assert VICTIM not in {subject for found in cases.values() for subject, _ in found}
    told = {row["author"] for row in daemon.run("notices", "list")}  # open ones too
    assert (author in told, VICTIMS_AUTHOR in told) == (bool(subjects), False)
