"""What a notice costs us from claim to settlement: the relay is a sink in a process of its own.

Figures are for SQLite and mails in clear. The CPU time, writing thread included, does not depend on
how fast the sink is; composing in the same run tells how much of it the mail's words cost.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe

from sqlalchemy import Connection, insert

from bounced.config import LogSettings, NoticeSettings, RelaySettings
from bounced.ledger import notices, reports, schema, settling, strikes
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import ClaimedNotice, NoticeState
from bounced.ledger.reports import Finding
from bounced.ledger.settling import Ending
from bounced.ledger.writer import Writer
from bounced.logs import configure
from bounced.model import Category, Reason
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import SmtpDelivery
from bounced.notifier.dispatcher import LEASE, Dispatcher, DispatcherSettings
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing
from tests.ledger.office import AUTHOR, START, bounce

AUTHORS = 1000
CASES = 5
SAMPLE = 100
MANY_CASES = 10_000
BATCH = 200
LATER = START + timedelta(hours=1)
POLICY = PolicySettings()
NOTICES = NoticeSettings(sender="protocols@example.com", application_url="https://example.com/")


def run() -> list[tuple[str, float]]:
    """Return figure and value: mails a second, their CPU, and what one huge digest takes."""
    configure(LogSettings(format="json", level="error"))
    return [*asyncio.run(_send_to_many()), *_tell_one_of_many()]


async def _send_to_many() -> list[tuple[str, float]]:
    findings = [
        bounce(f"send-{author}", f"r{case}@kunde.example", author=f"a{author}@bau.example")
        for author in range(AUTHORS)
        for case in range(CASES)
    ]
    with _open_ledger(findings) as ledger, _run_sink() as (port, arrived):
        settings = _make_settings(port)
        writer = Writer(ledger)
        dispatcher = Dispatcher(writer, settings, clock=lambda: LATER, new_id=_make_id)
        started_s, cpu_s = time.perf_counter(), time.process_time()
        sent = await dispatcher.send_due(LATER)
        took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        await settings.delivery.close()
        writer.stop()
        assert (sent, arrived()) == (AUTHORS, AUTHORS)
    compose_s = _compose_some(findings[: SAMPLE * CASES], settings.composer)
    return [
        ("notices, mails a second", AUTHORS / took_s),
        ("notices, CPU ms a mail", cpu_s / AUTHORS * 1000),
        ("notices, of which to compose it, ms", compose_s / SAMPLE * 1000),
    ]


def _compose_some(findings: Sequence[Finding], composer: Composer) -> float:
    """Return the CPU seconds that the mails of SAMPLE authors take to compose."""
    with _open_ledger(findings) as ledger:
        claimed = ledger.write(lambda c: _claim(c, SAMPLE))
        started_s = time.process_time()
        for notice in claimed:
            composer.compose(notice)
        return time.process_time() - started_s


def _tell_one_of_many() -> Iterator[tuple[str, float]]:
    """Yield what it takes to claim and to settle one notice of ten thousand cases."""
    with _open_ledger(()) as ledger:
        ledger.write(_fill)
        started_s = time.perf_counter()
        (claimed,) = ledger.write(lambda c: _claim(c, 1))
        assert len(claimed.entries) == MANY_CASES
        yield "notices, claim of 10,000 cases, ms", (time.perf_counter() - started_s) * 1000
        ending = Ending(claimed.notice, claimed.claim, NoticeState.SENT, "250 ok", LATER)
        started_s = time.perf_counter()
        ledger.write(lambda c: settling.settle(c, [ending], settings=POLICY, new_id=_make_id))
        yield "notices, settlement of 10,000 cases, ms", (time.perf_counter() - started_s) * 1000


def _fill(connection: Connection) -> None:
    """Write the cases of one author and their strikes: counting them is another bench."""
    shared = {
        "author": AUTHOR,
        "round": 1,
        "category": Category.BAD_ADDRESS.value,
        "reason": Reason.USER_UNKNOWN.value,
    }
    ids = [f"{number:016x}" for number in range(MANY_CASES)]
    of_case = {"state": "open", "strikes": 1, "due_at": START}
    of_strike = {"send_key": "send", "position": 0, "failed_at": START, "counted_at": START}
    connection.execute(
        insert(schema.cases), [shared | of_case | {"case": i, "subject": i} for i in ids]
    )
    connection.execute(
        insert(schema.strikes),
        [
            shared | of_strike | {"case": i, "report": i, "recipient": i, "recipient_key": i}
            for i in ids
        ],
    )
    strikes.open_digests(connection, {AUTHOR}, START, _make_id)


def _claim(connection: Connection, limit: int) -> list[ClaimedNotice]:
    return notices.claim(
        connection,
        LATER,
        LEASE,
        limit,
        settings=POLICY,
        released_only=False,
        domain="bounce.example.com",
        new_id=_make_id,
    )


def _make_settings(port: int) -> DispatcherSettings:
    relay = RelaySettings(host="127.0.0.1", port=port, security="none")
    ring = KeyRing((Key("a", bytes(32), datetime.now(UTC).date()),))
    return DispatcherSettings(
        NOTICES,
        POLICY,
        AdmissionSettings(domains=("bounce.example.com",)),
        lambda: ring,
        Composer(None, NOTICES, fallback_sender="postmaster@bounce.example.com"),
        SmtpDelivery(relay),
        relay,
    )


@contextmanager
def _open_ledger(findings: Sequence[Finding]) -> Iterator[Ledger]:
    """Yield a ledger that has counted these findings."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(f"sqlite:///{folder}/bounced.db")
        ledger.prepare()
        for start in range(0, len(findings), BATCH):
            batch = findings[start : start + BATCH]
            ledger.write(lambda c, b=batch: reports.append(c, [f.arrival for f in b]))  # type: ignore[misc] # a lambda has no annotations
            ledger.write(lambda c, b=batch: strikes.record(c, b, POLICY, START, _make_id))  # type: ignore[misc] # as above
        yield ledger
        ledger.close()


@contextmanager
def _run_sink() -> Iterator[tuple[int, Callable[[], int]]]:
    """Run a relay that takes everything; yield its port and what counts its mails."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_sink, args=(theirs,))
    process.start()

    def count() -> int:
        ours.send(None)
        return int(ours.recv())

    try:
        yield ours.recv(), count
    finally:
        process.terminate()
        process.join()


def _serve_sink(pipe: Pipe) -> None:
    asyncio.run(_sink(pipe))


async def _sink(pipe: Pipe) -> None:
    loop = asyncio.get_running_loop()

    def tell() -> None:
        pipe.recv()
        pipe.send(_Sink.arrived)

    server = await loop.create_server(_Sink, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    loop.add_reader(pipe.fileno(), tell)
    await server.serve_forever()


class _Sink(asyncio.Protocol):
    """Says yes to every command; a mail ends at its dot."""

    arrived = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""
        self._in_mail = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while True:
            end = b"\r\n.\r\n" if self._in_mail else b"\r\n"
            line, found, rest = self._rest.partition(end)
            if not found:
                return
            self._rest = rest
            self._answer(line)

    def _answer(self, line: bytes) -> None:
        if self._in_mail:
            self._in_mail = False
            _Sink.arrived += 1
        elif line.upper().startswith(b"DATA"):
            self._in_mail = True
            self._transport.write(b"354 go on\r\n")
            return
        self._transport.write(b"250 ok\r\n")


def _make_id() -> str:
    return secrets.token_hex(8)
