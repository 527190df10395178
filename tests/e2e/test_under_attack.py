"""One daemon, attacked in all ways at once: honest bounces count once, and nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sqlite3
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
import pytest
import trustme

from bounced.client import AsyncClient, Send
from bounced.model import TokenType
from bounced.origin.token import Key, seal
from tests.e2e.daemon_here import deliver
from tests.e2e.process import ServeProcess, build_dsn
from tests.mta.network import wait_for
from tests.parser.hostile import HOSTILE

PLAIN = "bounces@bounce.example.com"
RELAY, EXCHANGER = "127.0.0.2", "127.0.0.3"
"""Addresses of loopback: an own relay, and a server of somebody else that bounces our mail."""
VICTIM, OTHER, AUTHOR = "victim@kunde.example", "other@kunde.example", "anna@bau.example"
BEARER = "a-secret-of-the-protocols"
HOSTS = 250
WAVE_S = 5
HONEST = 25
"""Bounces of each kind a wave."""
GROWTH_KIB = 48 * 1024
"""What the second wave may add: ten of the 10 MB lines, were they kept, are twice as much."""
PATIENCE_S = 90
TROUBLE = {"job_failed", "library_message", "database_lost", "worker_killed"}
EVIL = "<script>alert(1)</script>{{ 7*7 }}\x1b[2J"

HELLO = b"EHLO mx.example.org\r\n"
ENVELOPE = b"MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n"
LONG = b"x" * 10_000_000
ENDS = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\x00.\r\n")
_CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
hostname = "bounce.example.com"
own_relays = ["127.0.0.2/32"]
max_message = "1MiB"
command_timeout = "3s"
tls_certificate_file = "{folder}/certificate.pem"
tls_key_file = "{folder}/key.pem"
[http]
listen = "127.0.0.1:0"
tokens_file = "{folder}/tokens"
[database]
url = "sqlite:///{folder}/bounced.db"
[relay]
maildir = "{folder}/notices"
[notices]
digest_window = "1s"
"""


@dataclass(frozen=True)
class Attack:
    """What so many clients do, over and over, each connection anew."""

    clients: int
    opening: bytes = b""
    again: bytes = b""
    stays_s: float = WAVE_S
    reads: bool = True
    http: bool = False


def list_attacks(stolen: bytes) -> list[Attack]:
    """Return every kind; `stolen` is the return path of a send of ours."""
    key = Key("a", bytes(32), datetime.now(UTC).date())
    forged = [seal(TokenType.SEND, bytes([n] * 8), 20_000, key).encode() for n in range(30)]
    rcpts = b"".join(b"RCPT TO:<%s@bounce.example.com>\r\n" % token for token in forged)
    plain, speaks_for = ENVELOPE % PLAIN.encode(), ENVELOPE % stolen
    flood = [make_bounce(VICTIM, f"forged{n}") for n in range(20)]
    smuggled = b"MAIL FROM:<smuggler@evil.example>\r\n" + speaks_for.partition(b"\r\n")[2]
    post = b"POST /v1/sends HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
    return [
        Attack(1000),
        Attack(100, stays_s=0.1),
        Attack(50, again=b"NOOP\r\n"),
        Attack(50, HELLO + plain, b"x"),
        Attack(30, again=bytes(range(256)) + b"\r\n"),
        Attack(20, again=HELLO * 5000, reads=False),
        Attack(2, LONG),
        Attack(2, HELLO + plain + LONG + b"\r\n.\r\n"),
        Attack(10, HELLO + b"MAIL FROM:<>\r\n" + rcpts),
        Attack(10, HELLO + b"STARTTLS\r\n" + smuggled + flood[0] + b".\r\n"),
        *(Attack(2, HELLO + plain + b"a: b" + end + smuggled + b".\r\n") for end in ENDS),
        Attack(5, HELLO + pack(flood, PLAIN.encode()), stays_s=1),
        Attack(2, HELLO + pack(flood, stolen), stays_s=1),
        *(Attack(1, HELLO + pack([raw], PLAIN.encode())) for raw in HOSTILE.values()),
        Attack(40, b"GET /readyz HTTP/1.1\r\n", b"X-Drip: x\r\n", http=True),
        Attack(40, post + b"Authorization: Bearer wrong\r\n\r\n", b"[" * 9999, http=True),
        Attack(10, bytes(range(256)) * 100, http=True),
    ]


def make_bounce(recipient: str, message_id: str, *, author: str = AUTHOR, text: str = "") -> bytes:
    return build_dsn(
        recipient,
        f"{message_id}@app.example",
        author=author,
        now=datetime.now(UTC),
        reply=f"550 5.1.1 User unknown {text}",
        subject=f"Protokoll {text}",
    )


def pack(mails: Sequence[bytes], rcpt: bytes) -> bytes:
    """Return the commands that hand over these, pipelined."""
    wire = (b"\r\n".join(raw.splitlines()).replace(b"\r\n.", b"\r\n..") for raw in mails)
    return b"".join(ENVELOPE % rcpt + raw + b"\r\n.\r\n" for raw in wire)


class Daemon(ServeProcess):
    """A daemon on the open internet."""

    @property
    def http(self) -> tuple[str, int]:
        host, _, port = str(self.wait_for("started")["http"][0]).rpartition(":")
        return host, int(port)

    def ask(self, question: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.config.with_name("bounced.db"))) as connection:
            return connection.execute(question).fetchall()

    def count_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def measure_kib(self) -> int:
        """Return the memory of the daemon and its parsers."""
        family = {self.process.pid}
        for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda each: int(each.name)):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                family |= {int(path.name)} if parent in family else set()
        status = [Path(f"/proc/{pid}/status").read_text() for pid in family]
        return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in status)

    def wait_until_quiet(self, files: int) -> None:
        """Wait until every report is worked off and no connection is left."""
        waiting = "SELECT 1 FROM reports WHERE state = 'stored' LIMIT 1"
        wait_for("the processor", lambda: not self.ask(waiting), PATIENCE_S)
        wait_for("the last to go", lambda: self.count_files() <= files, PATIENCE_S)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow the attackers their connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    issued = trustme.CA().issue_cert("bounce.example.com")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "tokens").write_text(f"protocols {BEARER}\n")
    (tmp_path / "tokens").chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(_CONFIG.format(folder=tmp_path))
    with Daemon(config) as running:
        yield running


@contextlib.asynccontextmanager
async def attack(daemon: Daemon, attacks: Sequence[Attack]) -> AsyncIterator[None]:
    """Attack meanwhile, from 250 hosts."""
    clients = [each for each in attacks for _ in range(each.clients)]
    tasks = [
        asyncio.create_task(strike(daemon, each, f"127.0.1.{number % HOSTS + 1}", number / 1000))
        for number, each in enumerate(clients)
    ]
    yield
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}


async def strike(daemon: Daemon, how: Attack, host: str, delay_s: float) -> None:
    address = daemon.http if how.http else daemon.smtp
    while True:
        await asyncio.sleep(delay_s)
        with contextlib.suppress(OSError):  # TimeoutError is one
            reader, writer = await asyncio.open_connection(*address, local_addr=(host, 0))
            try:
                async with asyncio.timeout(how.stays_s):
                    await speak(reader, writer, how)
            finally:
                writer.transport.abort()
        delay_s = 0.5


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, how: Attack) -> None:
    """Speak until sent away; who does not read notices that by the reset only."""
    writer.write(how.opening)
    while not reader.at_eof():
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while await (reader.read(65_536) if how.reads else asyncio.sleep(1, b"more")):
                    pass
        writer.write(how.again)


async def insist(daemon: Daemon, client: str, raw: bytes, rcpt: str) -> None:
    """Deliver a bounce as a mail server does: one that is told to come later comes again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert await deliver(daemon.smtp, client, [raw], rcpt) == [250]
            except aiosmtplib.SMTPResponseException as refusal:
                assert 400 <= refusal.code < 500
            except (aiosmtplib.SMTPException, OSError):
                pass
            else:
                return
            await asyncio.sleep(0.2)


async def bounce_here(daemon: Daemon, wave: str) -> set[str]:
    """Let an own relay bounce mails; returns the recipients that failed."""
    failed = [f"relay{wave}.{n}@kunde.example" for n in range(HONEST)]
    for each in failed:
        await insist(daemon, RELAY, make_bounce(each, each[:-14], text=EVIL), PLAIN)
    return set(failed)


async def bounce_elsewhere(daemon: Daemon, wave: str) -> set[str]:
    """Register mails and let the recipients' server bounce them."""
    failed = [f"signed{wave}.{n}@kunde.example" for n in range(HONEST)]
    async with AsyncClient("http://%s:%d" % daemon.http, BEARER, attempts=9) as client:
        for each in failed:
            (sent,) = await client.register([Send(key=each, author=AUTHOR, recipients=(each,))])
            await insist(daemon, EXCHANGER, make_bounce(each, each[:-14]), sent.return_path)
    return set(failed)


@pytest.mark.slow
async def test_under_every_attack_at_once_each_honest_bounce_counts_once_and_nothing_stays(
    many_files: None, daemon: Daemon
) -> None:
    failed = await bounce_here(daemon, "0") | await bounce_elsewhere(daemon, "0")
    async with AsyncClient("http://%s:%d" % daemon.http, BEARER) as client:
        (sent,) = await client.register([Send(key="stolen", author=AUTHOR, recipients=(OTHER,))])
    await asyncio.to_thread(daemon.wait_until_quiet, 10**6)
    files, kib = daemon.count_files(), [daemon.measure_kib()]
    for wave in "12":
        async with attack(daemon, list_attacks(sent.return_path.encode())):
            here, elsewhere, _ = await asyncio.gather(
                bounce_here(daemon, wave), bounce_elsewhere(daemon, wave), asyncio.sleep(WAVE_S)
            )
        failed |= here | elsewhere
        print(daemon.count_files(), daemon.ask("SELECT state, count(*) FROM reports GROUP BY 1"))
        await asyncio.to_thread(daemon.wait_until_quiet, files)
        kib.append(daemon.measure_kib())
        with urllib.request.urlopen("http://%s:%d/readyz" % daemon.http) as answer:
            assert json.load(answer) == {"status": "ready"}
    counted = daemon.ask("SELECT subject, strikes FROM cases")
    smuggled = daemon.ask("SELECT 1 FROM reports WHERE mail_from LIKE '%evil.example'")
    code = await asyncio.to_thread(daemon.stop)
    print(files, kib, {line["event"]: 0 for line in daemon.events}.keys())
    assert (code, daemon.strays, smuggled) == (0, [], [])
    assert sorted(counted) == [(subject, 1) for subject in sorted(failed)]
    assert kib[2] - kib[1] < GROWTH_KIB
    assert {line["event"] for line in daemon.events}.isdisjoint(TROUBLE)
