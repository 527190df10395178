"""What strangers write reaches an author, a log and a terminal as text, and as nothing else."""

from __future__ import annotations

import asyncio
import email
import email.policy
import html.parser
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_terminal_output import read_terminal
from tests.e2e.daemon_here import CONFIG, RELAY, STRANGER, deliver
from tests.e2e.process import ServeProcess, build_dsn
from tests.mta.network import wait_for

EVIL = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "entity": "&lt;script&gt;&#60;b&#62;",
    "jinja": "{{ notice.subject }}{% for x in range(9) %}{{ 7*7 }}{% endfor %}",
    "format": "%s %(x)s {0} {address} ${HOME}",
    "header": "x\r\nBcc: evil@evil.example\r\nSubject: forged",
    "encoded header": "=?utf-8?q?x=0D=0ABcc:_evil@evil.example?=",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b1m",
    "nul": "a\x00b",
    "bidi": "\u202egpj.exe\u2066\u2069",
    "zero width": "pay\u200bpal\u00ad\u2060",
    "link": "javascript:alert(1) data:text/html,x [x](http://evil.example)",
    "long": "x" * 5000,
    "log line": '"}\n{"event": "strike_counted", "report": "forged"}',
}
"""Attacks by what they are aimed at."""
FIELDS = [
    *("Auto-Submitted", "Content-Language", "Content-Type", "Date", "Delivered-To", "From"),
    *("MIME-Version", "Message-ID", "Reply-To", "Return-Path", "Subject", "To"),
    "X-Auto-Response-Suppress",
]
ATTRIBUTES = {"lang", "charset", "name", "content", "style"}
TAGS = {
    *("html", "head", "meta", "title", "body", "div", "p", "br", "strong", "span", "h1"),
    *("h2", "a", "ul", "li"),
}


class Reader(html.parser.HTMLParser):
    """Collects the tags, the attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.links: set[str | None] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.links |= {value for name, value in attrs if name in {"href", "src"}}

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass(frozen=True)
class Told:
    """What hostile bounces caused: notices by the number of their attack, and the log."""

    config: Path
    mails: dict[str, EmailMessage]
    events: list[dict[str, Any]]
    strays: list[str]


ODD = {
    "html": '"><script>alert(1)</script>',
    "quotes": '"quoted \\" local"',
    "backslash": "back\\\\slash",
    "jinja": "{{7*7}}",
    "format": "%s%n{0}",
    "bidi": "\u202eevil",
    "tag": "<b>bold</b>",
}
"""Local parts of recipients, which whoever signs up somewhere may choose."""
WHOLE = {
    **{f"text {name}": EVIL[name] for name in ("html", "attribute", "entity", "jinja", "format")},
    **{f"local {name}": ODD[name] for name in ("jinja", "format")},
}
"""What is shown to the last character."""
NAMES = [*(f"text {name}" for name in EVIL), *(f"local {name}" for name in ODD)]


def make_author(name: str) -> str:
    """Return whom the notice of an attack goes to."""
    return f"{name.replace(' ', '-')}@bau.example"


def make_hostile(name: str, send: int) -> bytes:
    """Return a bounce with a text wherever a relay hands strangers' texts on.

    Its fields are folded where the text has line ends: else it would be another message.
    """
    kind, _, key = name.partition(" ")
    local = ODD[key] if kind == "local" else "max"
    evil = EVIL[key].replace("\r\n", "\r\n ").replace("\n", "\n ") if kind == "text" else "-"
    raw = build_dsn(
        "RECIPIENT", f"{key}{send}@app.example", author=make_author(name), now=datetime.now(UTC)
    ).decode()
    parts = {
        "RECIPIENT": f"{local}@kunde.example",
        "Protokoll 7": evil,
        "User unknown": f"User unknown {evil}",
        "Action: failed": f"Remote-MTA: dns; {evil}\r\nAction: failed",
    }
    for old, new in parts.items():
        raw = raw.replace(old, new)
    return raw.encode()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("injection")
    config = folder / "config.toml"
    config.write_text(CONFIG.format(folder=folder) + 'digest_window = "1s"\n')
    arrived = folder / "notices" / "new"
    # Two sends: of a refusal that no rule knows the author is told from the second on.
    bounces = [make_hostile(name, send) for send in (1, 2) for name in NAMES]
    with ServeProcess(config) as daemon:
        for client in (RELAY, STRANGER):
            codes = asyncio.run(deliver(daemon.smtp, client, bounces))
            assert set(codes) == {250}
        wait_for("every notice", lambda: len(list(arrived.glob("*"))) == len(NAMES))
        assert daemon.stop() == 0
        found = [
            email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            for file in arrived.iterdir()
        ]
        mails = {mail["To"].addresses[0].addr_spec: mail for mail in found}
        yield Told(config, mails, daemon.events, daemon.strays)


def read_part(mail: EmailMessage, subtype: str) -> str:
    body = mail.get_body((subtype,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize("name", NAMES)
class TestNotice:
    def test_it_goes_to_its_author_and_to_nobody_else(self, told: Told, name: str) -> None:
        mail = told.mails[make_author(name)]
        assert sorted(mail.keys()) == FIELDS
        assert [str(each) for each in mail["To"].addresses] == [make_author(name)]
        assert mail["From"] == mail["Reply-To"] == "post@app.example"

    def test_nothing_invisible_is_in_it(self, told: Told, name: str) -> None:
        mail = told.mails[make_author(name)]
        shown = [mail["Subject"], read_part(mail, "plain"), read_part(mail, "html")]
        assert {c for text in shown for c in text if not c.isprintable()} <= {"\n", "\xa0"}

    def test_no_tag_attribute_or_link_comes_from_outside(self, told: Told, name: str) -> None:
        page = Reader(read_part(told.mails[make_author(name)], "html"))
        assert (page.tags - TAGS, page.names - ATTRIBUTES, page.links) == (set(), set(), set())

    def test_nothing_is_evaluated(self, told: Told, name: str) -> None:
        evil = WHOLE.get(name, "")
        mail = told.mails[make_author(name)]
        for text in (read_part(mail, "plain"), Reader(read_part(mail, "html")).text):
            assert "".join(evil.split()) in "".join(text.split())


def test_every_line_of_the_log_is_an_event_of_ours(told: Told) -> None:
    assert told.strays == []
    counted = [line["author"] for line in told.events if line["event"] == "strike_counted"]
    assert sorted(counted) == sorted(make_author(name) for name in NAMES * 2)
    held = [line for line in told.events if line["event"] == "report_quarantined"]
    assert len(held) == len(NAMES) * 2
    assert [line for line in told.events if line["event"] == "job_failed"] == []


@pytest.mark.parametrize("command", ["reports", "cases", "notices", "quarantine"])
def test_no_list_commands_a_terminal(told: Told, command: str) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "dumb", "COLUMNS": "200"}
    process = subprocess.Popen(
        (sys.executable, "-m", "bounced", command, "list", "--config", str(told.config)),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    os.close(theirs)
    drawn = read_terminal(ours).decode()
    os.close(ours)
    assert process.wait() == 0
    assert "kunde.example" in drawn or command == "quarantine"
    assert {c for c in drawn if not c.isprintable()} <= {"\r", "\n"}
