"""One daemon, attacked in all ways at once: honest bounces count once, and nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
import httpx2
import pytest
import trustme

from bounced.client import AsyncClient, Send
from bounced.origin.why import Why
from tests.e2e.attackers import SMUGGLER, Address, attack, list_attacks
from tests.e2e.daemon_here import PLAIN, RELAY, THIRD, deliver
from tests.e2e.process import ServeProcess, build_dsn
from tests.mta.network import wait_for

AUTHOR = "anna@bau.example"
OTHERS = ("one@kunde.example", "two@kunde.example")
EVIL = "<script>alert(1)</script>{{ 7*7 }}\x1b[2J"
BEARER = "a-secret-of-the-protocols"
WAVE_S = 5
HONEST = 20
"""Bounces of each kind a wave."""
GROWTH_KIB = 48 * 1024
"""What the second wave may add; what it sends, were it kept, would be many times as much."""
TROUBLE = {"job_failed", "library_message", "database_lost", "worker_killed"}
PATIENCE_S = 90
_CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
hostname = "bounce.example.com"
own_relays = ["127.0.0.2/32"]
max_message = "1MiB"
command_timeout = "8s"
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
[workers]
message_deadline = "20s"  # so that only a message that costs without end exceeds it
"""


class Daemon(ServeProcess):
    """A daemon on the open internet."""

    @property
    def http(self) -> Address:
        """Return where it listens for HTTP."""
        host, _, port = str(self.wait_for("started")["http"][0]).rpartition(":")
        return host, int(port)

    @property
    def url(self) -> str:
        """Return where the API begins."""
        return f"http://{self.wait_for('started')['http'][0]}"

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """Return the rows that the ledger answers."""
        with closing(sqlite3.connect(self.config.with_name("bounced.db"))) as connection:
            return connection.execute(question).fetchall()

    def count_files(self) -> int:
        """Return how many files and connections are open, the database's own left out.

        Its pool keeps as many as were ever needed at once.
        """
        opened = [str(link.readlink()) for link in Path(f"/proc/{self.process.pid}/fd").iterdir()]
        return sum("bounced.db" not in name for name in opened)

    def measure_kib(self) -> int:
        """Return the memory of the daemon and its parsers."""
        family = {self.process.pid}
        for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                family |= {int(process.name)} if int(parent) in family else set()
        found = [Path(f"/proc/{process}/status").read_text() for process in family]
        return sum(int(status.partition("VmRSS:")[2].split()[0]) for status in found)

    def settle(self, files: int) -> None:
        """Wait until every report is worked off and no more files are open than that."""
        waiting = "SELECT 1 FROM reports WHERE state = 'stored' LIMIT 1"
        wait_for("the processor", lambda: not self.ask(waiting), PATIENCE_S)
        wait_for("the last to go", lambda: self.count_files() <= files, PATIENCE_S)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow the attackers, and the daemon, their connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def daemon(tmp_path: Path, many_files: None) -> Iterator[Daemon]:
    issued = trustme.CA().issue_cert("bounce.example.com")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "tokens").write_text(f"protocols {BEARER}\n")
    (tmp_path / "tokens").chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(_CONFIG.format(folder=tmp_path))
    with Daemon(config) as running:
        yield running


async def insist(daemon: Daemon, client: str, raw: bytes, rcpt: str) -> None:
    """Deliver a bounce as a mail server does: one that is told to come later comes again."""
    async with asyncio.timeout(PATIENCE_S):
        while not await try_once(daemon, client, raw, rcpt):  # noqa: ASYNC110 - its own clock
            await asyncio.sleep(0.2)


async def try_once(daemon: Daemon, client: str, raw: bytes, rcpt: str) -> bool:
    try:
        return await deliver(daemon.smtp, client, [raw], rcpt) == [250]
    except aiosmtplib.SMTPResponseException as refusal:
        if refusal.code >= 500:
            raise
    except (aiosmtplib.SMTPException, OSError):
        pass
    return False


async def bounce_here(daemon: Daemon, wave: int) -> set[str]:
    """Let our own relay bounce mails; returns the recipients that failed."""
    failed = [f"relay{wave}.{number}@kunde.example" for number in range(HONEST)]
    for each in failed:
        await insist(daemon, RELAY, make_bounce(each, text=EVIL), PLAIN)
    return set(failed)


async def bounce_elsewhere(daemon: Daemon, wave: int) -> set[str]:
    """Register mails and let the recipients' server bounce them."""
    failed = [f"signed{wave}.{number}@kunde.example" for number in range(HONEST)]
    async with AsyncClient(daemon.url, BEARER, attempts=9) as client:
        for each in failed:
            (sent,) = await client.register([Send(key=each, author=AUTHOR, recipients=(each,))])
            await insist(daemon, THIRD, make_bounce(each), sent.return_path)
    return set(failed)


def make_bounce(recipient: str, text: str = "") -> bytes:
    return build_dsn(
        recipient,
        f"{recipient.partition('@')[0]}@app.example",
        author=AUTHOR,
        now=datetime.now(UTC),
        reply=f"550 5.1.1 User unknown {text}",
        subject=f"Protokoll {text}",
    )


async def bounce(daemon: Daemon, wave: int) -> set[str]:
    here, elsewhere = await asyncio.gather(
        bounce_here(daemon, wave), bounce_elsewhere(daemon, wave)
    )
    return here | elsewhere


@pytest.mark.slow
async def test_under_every_attack_at_once_each_honest_bounce_counts_once_and_nothing_stays(
    daemon: Daemon,
) -> None:
    failed = await bounce(daemon, 0)
    async with AsyncClient(daemon.url, BEARER) as client:
        (sent,) = await client.register([Send(key="stolen", author=AUTHOR, recipients=OTHERS)])
        assert (await client.lookup(OTHERS))[0].known_bad is False
    files, kib = daemon.count_files(), []
    for wave in (1, 2):
        async with attack(daemon.smtp, daemon.http, list_attacks(sent.return_path)):
            more, _ = await asyncio.gather(bounce(daemon, wave), asyncio.sleep(WAVE_S))
        failed |= more
        await asyncio.to_thread(daemon.settle, files)
        kib.append(daemon.measure_kib())
        async with httpx2.AsyncClient() as probe:
            ready = await probe.get(f"{daemon.url}/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    counted = daemon.ask("SELECT subject, strikes FROM cases ORDER BY subject")
    assert counted == [(subject, 1) for subject in sorted(failed)]
    assert daemon.ask(f"SELECT report FROM reports WHERE mail_from = '{SMUGGLER}'") == []
    held = daemon.ask("SELECT DISTINCT why FROM reports WHERE state = 'quarantined'")
    assert held == [(Why.CLIENT_NOT_OWN.value,)]
    assert kib[1] - kib[0] < GROWTH_KIB
    assert await asyncio.to_thread(daemon.stop) == 0
    assert daemon.strays == []
    assert {line["event"] for line in daemon.events} & TROUBLE == set()
