"""Whatever comes in by SMTP: a fixed reply, a daemon that lives, and nothing acknowledged lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.process import ServeProcess, build_dsn, deliver
from tests.mta.network import wait_for

STORED = "250 2.0.0 Stored safely"
TOO_LARGE = "552 5.3.4 Message larger than this host takes"
PLAIN = "bounces@bounce.example.com"
_CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
hostname = "bounce.example.com"
[database]
url = "sqlite:///{folder}/bounced.db"
[relay]
maildir = "{folder}/notices"
[http]
listen = "127.0.0.1:0"
"""


@dataclass(frozen=True)
class Judged:
    """What became of a message: its state and kind, and the recipients that the report names."""

    state: str
    kind: str | None
    recipients: tuple[str | None, ...] = ()


def make_dsn(status: str = "5.1.1") -> bytes:
    now = datetime.now(UTC)
    raw = build_dsn("max@kunde.example", "m@app", author="a@bau.example", now=now)
    return raw.replace(b"Status: 5.1.1", f"Status: {status}".encode())


def nest(levels: int) -> bytes:
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
        for n in range(levels)
    )
    return b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + opened + b"\r\ndeep\r\n"


def make_parts(count: int) -> bytes:
    head = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n"


RANDOM = random.Random(7).randbytes(50_000).replace(b"\r", b"").replace(b"\n", b"")
UNRECOGNIZED = Judged("processed", "unrecognized")
BOUNCE = Judged("processed", "delivery-status", ("max@kunde.example",))
NAMELESS = Judged("processed", "delivery-status", (None,))

MESSAGES: dict[str, tuple[bytes, Judged]] = {
    "not-a-mail-at-all": (b"GET / HTTP/1.1\r\n\x00\x01\x02", UNRECOGNIZED),
    "random-bytes": (RANDOM, UNRECOGNIZED),
    "empty": (b"", UNRECOGNIZED),
    "empty-lines": (b"\r\n\r\n\r\n", UNRECOGNIZED),
    "10,000-parts": (make_parts(10_000), UNRECOGNIZED),
    "2,000-levels": (nest(2_000), UNRECOGNIZED),
    "1,000,000-header-lines": (b"X: y\r\n" * 1_000_000, UNRECOGNIZED),
    "one-header-of-200,000-folds": (b"Subject: x\r\n" + b" y\r\n" * 200_000, UNRECOGNIZED),
    "one-long-line": (b"Subject: " + b"x" * 5_000_000, UNRECOGNIZED),
    "8-bit-and-nul": (
        b"Subject: \xfc\xff\x00\r\nFrom: \xe4@\xf6.example\r\n\r\n\x00\xfe\x80\r\n",
        UNRECOGNIZED,
    ),
    "bare-line-ends": (b"Subject: x\nFrom: y\rTo: z\n\nbody\r.more\n. and\r", UNRECOGNIZED),
    "wrong-charset": (
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=x-nonsense\r\n\r\n\xff\xfe\r\n",
        UNRECOGNIZED,
    ),
    "8-bit-and-nul-in-a-report": (
        make_dsn().replace(b"User unknown", b"User \x00 unknown \xfc\xff"),
        BOUNCE,
    ),
    "wrong-charset-in-a-report": (
        make_dsn().replace(b"Content-Type: message/delivery-status", (
            b"Content-Type: text/plain; charset=utf-7\r\n\r\n+AGE-\r\n--b\r\n"
            b"Content-Type: message/delivery-status"
        )),
        BOUNCE,
    ),
    "broken-base64": (
        make_dsn().replace(
            b"message/delivery-status\r\n",
            b"message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n",
        ),
        BOUNCE,
    ),
    "report-without-recipient": (make_dsn().replace(b"max@kunde.example", b""), NAMELESS),
    "report-cut-off": (make_dsn()[:700], BOUNCE),
    "status-with-comment": (make_dsn("5.1.1 (x)"), BOUNCE),
    "status-without-dots": (make_dsn("550"), BOUNCE),
    "status-that-says-nothing": (make_dsn("5.0.0"), BOUNCE),
    "status-of-letters": (make_dsn("never"), BOUNCE),
    "date-of-another-age": (make_dsn().replace(b"Date: ", b"Date: Mon, 1 Jan 99999 "), BOUNCE),
}  # fmt: skip


class Harness:
    """A running daemon and a look into its ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = folder / "config.toml"
        config.write_text(_CONFIG.format(folder=folder))
        self.daemon = ServeProcess(config)

    def deliver(self, raw: bytes) -> str:
        return asyncio.run(deliver(self.daemon.smtp, raw, PLAIN))

    def judge_last(self) -> Judged:
        """Return what became of the message that came last, once it is processed."""
        return wait_for("the verdict", self._find_last)

    def count_stored(self) -> int:
        with closing(sqlite3.connect(self.folder / "bounced.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM reports").fetchone()
        return int(count)

    def _find_last(self) -> Judged | None:
        with closing(sqlite3.connect(self.folder / "bounced.db")) as connection:
            report, state, kind = connection.execute(
                "SELECT report, state, kind FROM reports ORDER BY received_at DESC LIMIT 1"
            ).fetchone()
            recipients = connection.execute(
                "SELECT recipient FROM failures WHERE report = ? ORDER BY position", (report,)
            ).fetchall()
        found = Judged(state, kind, tuple(recipient for (recipient,) in recipients))
        return None if state == "stored" else found


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    harness = Harness(tmp_path_factory.mktemp("bad-input"))
    harness.daemon.start()
    yield harness
    assert harness.daemon.stop() == 0
    assert harness.daemon.strays == []
    bugs = [line for line in harness.daemon.events if line["event"] == "job_failed"]
    assert bugs == []


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_kept_and_judged(harness: Harness, name: str) -> None:
    raw, judged = MESSAGES[name]
    before = harness.count_stored()
    assert harness.deliver(raw) == STORED
    assert harness.count_stored() == before + 1
    assert harness.judge_last() == judged


def test_20_mb_are_refused_and_not_kept(harness: Harness) -> None:
    before = harness.count_stored()
    assert harness.deliver(b"x" * 78 + b"\r\n" + b"y" * 20 * 2**20) == TOO_LARGE
    assert harness.count_stored() == before
    assert harness.deliver(make_dsn()) == STORED


async def test_a_dialogue_of_nonsense_gets_fixed_replies_and_never_a_traceback(
    harness: Harness,
) -> None:
    reader, writer = await asyncio.open_connection(*harness.daemon.smtp)
    writer.write(
        b"EHLO x\r\nMAIL FROM:<\xff\x00>\r\nRCPT TO:" + b"<" * 3000 + b"\r\n\x00\r\nQUIT\r\n"
    )
    said = (await reader.read()).decode("ascii")
    writer.close()
    assert [line[:4] for line in said.splitlines() if line[3] != "-"] == [
        "220 ",
        "250 ",
        "501 ",
        "503 ",
        "500 ",
        "221 ",
    ]
    assert "Traceback" not in said
    assert "Error" not in said
