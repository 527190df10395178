"""What abuse costs: an honest client's waiting, the listener's memory, and a refusal.

Server, attackers and honest client each have a process of their own. The attackers come from 250
addresses of loopback and connect again whenever they are sent away.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import resource
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from types import MappingProxyType

from bounced.config import LogSettings, SmtpSettings
from bounced.ledger.records import NewReport
from bounced.listener.server import Listener
from bounced.logs import configure
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing

Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HELLO = b"EHLO mx.example.org\r\n"
ENVELOPE = b"MAIL FROM:<>\r\nRCPT TO:<bounces@bounce.example.com>\r\n"
FORGED = b"RCPT TO:<aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyd@bounce.example.com>\r\n"
MESSAGE = b"Subject: Undelivered Mail Returned to Sender\r\n\r\n" + (b"x" * 70 + b"\r\n") * 70
SECONDS = 6.0
SETTLE_S = 4.0
REFUSALS = 20_000
_DEFAULTS: Mapping[str, int] = MappingProxyType({})
_SPAWN = multiprocessing.get_context("spawn")


async def stay_idle(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing."""
    await asyncio.sleep(3600)


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do nothing, again and again."""
    while True:
        await _send(writer, b"NOOP\r\n")
        await asyncio.sleep(2)


async def send_slowly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a message that never ends."""
    await _send(writer, HELLO + ENVELOPE + b"DATA\r\n")
    while True:
        await _send(writer, b"x")
        await asyncio.sleep(1)


async def send_garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Err until sent away."""
    while True:
        await _send(writer, bytes(range(256)) + b"\r\n")
        await asyncio.sleep(1)


async def come_and_go(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Hang up soon; fifty of these are two hundred connections a second."""
    await asyncio.sleep(0.25)


async def send_half(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send 300 KiB of a message and nothing more."""
    await _send(writer, HELLO + ENVELOPE + b"DATA\r\n" + (b"x" * 1022 + b"\r\n") * 300)
    await asyncio.sleep(3600)


async def stay_addressed(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Name a recipient and say nothing more."""
    await _send(writer, HELLO + ENVELOPE)
    await asyncio.sleep(3600)


async def stay_in_data(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a message and say nothing more."""
    await _send(writer, HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n")
    await asyncio.sleep(3600)


async def send_much(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send 2 MiB of a message and nothing more: together far more than all may take."""
    await _send(writer, HELLO + ENVELOPE + b"DATA\r\n" + (b"x" * 1022 + b"\r\n") * 2048)
    await asyncio.sleep(3600)


async def send_long_line(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a command line of 10 MB without an end."""
    for _ in range(160):
        await _send(writer, b"x" * 65_536)
    await asyncio.sleep(3600)


async def read_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pipeline commands without reading what is answered."""
    reader._transport.pause_reading()  # type: ignore[attr-defined] # StreamReader has no such call
    while True:
        await _send(writer, HELLO * 10_000)


MIXED: tuple[tuple[Attack, int], ...] = (
    (stay_idle, 400),
    (drip, 250),
    (send_slowly, 200),
    (send_garbage, 100),
    (come_and_go, 50),
)
CROWDS: tuple[tuple[str, tuple[tuple[Attack, int], ...]], ...] = (
    ("1,250 with a recipient", ((stay_addressed, 1250),)),
    ("1,250 with an unfinished message", ((stay_in_data, 1250),)),
)
"""More than there are places; who has to make room connects again at once."""
HELD: tuple[tuple[str, Attack, int], ...] = (
    ("idle", stay_idle, 1000),
    ("with 300 KiB of an unfinished message", send_half, 1000),
    ("with 2 MiB of an unfinished message", send_much, 1000),
    ("with an endless line, 10 MB so far", send_long_line, 100),
    ("that pipelines commands and reads nothing", read_nothing, 200),
)


def run() -> list[tuple[str, float]]:
    """Return figure and value."""
    _allow_files()
    return [*_measure_waiting(), *_measure_crowds(), *_measure_memory(), *_measure_refusal()]


def _measure_waiting() -> list[tuple[str, float]]:
    with _start_server() as (server, port):
        quiet = asyncio.run(_deliver_for(port, SECONDS))
        with _start_attackers(port, MIXED):
            time.sleep(SETTLE_S)
            loaded = asyncio.run(_deliver_for(port, SECONDS))
            connections = _ask(server, "connections")
    return [
        ("honest delivery when quiet, median, ms", _quantile(quiet, 0.5) * 1000),
        ("honest delivery when quiet, p99, ms", _quantile(quiet, 0.99) * 1000),
        ("abusive connections", connections),
        ("honest delivery among them, median, ms", _quantile(loaded, 0.5) * 1000),
        ("honest delivery among them, p99, ms", _quantile(loaded, 0.99) * 1000),
        (
            "honest delivery, p99 among them to quiet",
            _quantile(loaded, 0.99) / _quantile(quiet, 0.99),
        ),
    ]


def _measure_crowds() -> list[tuple[str, float]]:
    figures = []
    for name, attacks in CROWDS:
        with _start_server() as (server, port), _start_attackers(port, attacks):
            time.sleep(SETTLE_S)
            before = _ask(server, "cpu")
            loaded = asyncio.run(_deliver_for(port, SECONDS))
            load = (_ask(server, "cpu") - before) / SECONDS
        figures += [
            (f"honest delivery among {name}, median, ms", _quantile(loaded, 0.5) * 1000),
            (f"honest delivery among {name}, p99, ms", _quantile(loaded, 0.99) * 1000),
            (f"CPU of the server among {name}, %", load * 100),
        ]
    return figures


def _measure_memory() -> list[tuple[str, float]]:
    figures = []
    for name, attack, count in HELD:
        with _start_server() as (server, port):
            before = _ask(server, "kib")
            with _start_attackers(port, ((attack, count),)):
                time.sleep(SETTLE_S)
                connections, after = _ask(server, "connections"), _ask(server, "kib")
        figures.append((f"connections {name}", connections))
        figures.append(("memory of each, KiB", (after - before) / max(connections, 1)))
    return figures


def _measure_refusal() -> list[tuple[str, float]]:
    endless = {"max_errors": 2 * REFUSALS, "max_commands": 2 * REFUSALS}
    with _start_server(endless) as (server, port):
        before = _ask(server, "cpu")
        asyncio.run(_be_refused(port))
        used = _ask(server, "cpu") - before
    return [("refusal of a forged return path, CPU microseconds", used / REFUSALS * 1e6)]


@contextlib.contextmanager
def _start_server(settings: Mapping[str, int] = _DEFAULTS) -> Iterator[tuple[Pipe, int]]:
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(there, dict(settings)), daemon=True)
    process.start()
    yield here, here.recv()
    process.terminate()
    process.join()


@contextlib.contextmanager
def _start_attackers(port: int, attacks: Sequence[tuple[Attack, int]]) -> Iterator[None]:
    process = _SPAWN.Process(target=_attack, args=(port, attacks), daemon=True)
    process.start()
    yield
    process.terminate()
    process.join()


def _ask(server: Pipe, what: str) -> float:
    server.send(what)
    answer: float = server.recv()
    return answer


def _serve(pipe: Pipe, settings: dict[str, int]) -> None:
    _allow_files()
    with Path(os.devnull).open("w") as nowhere:
        configure(LogSettings(format="json"), nowhere)
        asyncio.run(_listen(pipe, settings))


async def _listen(pipe: Pipe, settings: dict[str, int]) -> None:
    async def store(_reports: Sequence[NewReport]) -> None:
        """Keep nothing."""

    admission = AdmissionSettings(domains=("bounce.example.com",), mailboxes=("bounces",))
    ring = KeyRing((Key("a", bytes(32), datetime.now(UTC).date()),))
    addresses = {"listen": ("127.0.0.1:0",), "own_relays": (), "hostname": "bounce.example.com"}
    listener = Listener(
        SmtpSettings.model_validate(addresses | settings),
        admission=lambda: (admission, ring),
        store=store,
        clock=lambda: datetime.now(UTC),
        new_id=lambda now: now.isoformat(),
    )
    await listener.start()
    pipe.send(int(listener.smtp[0].rpartition(":")[2]))
    loop = asyncio.get_running_loop()
    while True:
        match await loop.run_in_executor(None, pipe.recv):
            case "connections":
                pipe.send(len(list(listener._gate)))
            case "kib":
                pipe.send(_count_kib())
            case "cpu":
                pipe.send(time.process_time())


def _count_kib() -> float:
    """Return how much memory this process has at this moment, without what is only mapped."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0])


def _attack(port: int, attacks: Sequence[tuple[Attack, int]]) -> None:
    _allow_files()
    os.nice(10)  # real ones have processors of their own
    asyncio.run(_attack_together(port, attacks))


async def _attack_together(port: int, attacks: Sequence[tuple[Attack, int]]) -> None:
    kinds = [attack for attack, count in attacks for _ in range(count)]
    await asyncio.gather(*(_repeat(port, host, attack) for host, attack in enumerate(kinds)))


async def _repeat(port: int, number: int, attack: Attack) -> None:
    host = f"127.0.1.{number % 250 + 1}"
    await asyncio.sleep(number / 1000)  # a thousand connections a second
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
            tasks = {
                asyncio.ensure_future(attack(reader, writer)),
                asyncio.ensure_future(_read_to_end(reader)),
            }
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _deliver_for(port: int, seconds: float) -> list[float]:
    """Deliver messages one after the other and return how long each took, in order of size."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await _expect(reader, b"220")
        for command, code in (
            (HELLO, b"250"),
            (b"MAIL FROM:<>\r\n", b"250"),
            (b"RCPT TO:<bounces@bounce.example.com>\r\n", b"250"),
            (b"DATA\r\n", b"354"),
            (MESSAGE + b".\r\n", b"250"),
            (b"QUIT\r\n", b"221"),
        ):
            writer.write(command)
            await _expect(reader, code)
        writer.close()
        await writer.wait_closed()
        times.append(time.perf_counter() - begin)
    return sorted(times)


async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while (line := await reader.readline())[3:4] == b"-":
        pass
    if line[:3] != code:
        raise RuntimeError(f"refused: {line!r}")


async def _be_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await _expect(reader, b"220")
    writer.write(HELLO + b"MAIL FROM:<>\r\n")
    await _expect(reader, b"250")
    await _expect(reader, b"250")
    for _ in range(REFUSALS // 100):
        writer.write(FORGED * 100)
        for _ in range(100):
            await _expect(reader, b"550")
    writer.close()
    await writer.wait_closed()


def _quantile(times: list[float], share: float) -> float:
    return times[int(share * (len(times) - 1))]


def _allow_files() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
