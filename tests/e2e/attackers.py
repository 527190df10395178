"""Attackers from 250 hosts, of every kind that a daemon on the open internet meets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bounced.model import TokenType
from bounced.origin.token import Key, seal
from tests.e2e.daemon_here import PLAIN
from tests.e2e.process import build_dsn
from tests.parser.hostile import HOSTILE

Address = tuple[str, int]

HOSTS = 250
PAUSE_S = 2.0
"""Between two connections of one client; together they are some hundred a second."""
ANSWER_S = 0.3
VICTIM, AUTHOR = "victim@kunde.example", "victim@bau.example"
SMUGGLER = "smuggler@evil.example"
"""Sender of every message that is to be executed though nobody sent it as one."""

_HELLO = b"EHLO mx.evil.example\r\n"
_ENVELOPE = b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n"
_LONG = b"x" * 10_000_000
_ENDS = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\x00.\r\n")
_POST = (
    b"POST /v1/sends HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n"
    b"Content-Length: 9999999\r\n\r\n"
)


@dataclass(frozen=True)
class Attack:
    """What so many clients do, each on one connection after the other."""

    clients: int
    opening: bytes = b""
    again: bytes = b""
    stays_s: float = 5.0
    reads: bool = True
    http: bool = False


def list_attacks(stolen: str) -> list[Attack]:
    """Return all kinds; `stolen` is the return path of a send that went to others."""
    plain = _ENVELOPE % (b"", PLAIN.encode())
    smuggled = _ENVELOPE % (SMUGGLER.encode(), stolen.encode())
    flood = [_forge(number) for number in range(20)]
    return [
        Attack(1000),
        Attack(100, stays_s=0.1),
        Attack(50, again=b"NOOP\r\n"),
        Attack(50, _HELLO + plain, b"x"),
        Attack(30, again=bytes(range(256)) + b"\r\n"),
        Attack(10, again=_HELLO * 5000, reads=False),
        Attack(2, _LONG),
        Attack(2, _HELLO + plain + _LONG + b"\r\n.\r\n"),
        Attack(10, _HELLO + b"MAIL FROM:<>\r\n" + b"".join(_forge_recipients())),
        Attack(10, _HELLO + b"STARTTLS\r\n" + smuggled + flood[0] + b"\r\n.\r\n"),
        *(Attack(2, _HELLO + plain + b"a: b" + end + smuggled + b".\r\n") for end in _ENDS),
        Attack(5, _HELLO + _pack(PLAIN, flood), stays_s=1),
        Attack(2, _HELLO + _pack(stolen, flood), stays_s=1),
        *(Attack(1, _HELLO + _pack(PLAIN, [raw])) for raw in HOSTILE.values()),
        Attack(40, b"GET /readyz HTTP/1.1\r\n", b"X-Drip: x\r\n", http=True),
        Attack(40, _POST, b"[" * 9999, http=True),
        Attack(10, bytes(range(256)) * 100, http=True),
    ]


@contextlib.asynccontextmanager
async def attack(smtp: Address, http: Address, attacks: Sequence[Attack]) -> AsyncIterator[None]:
    """Let all attack meanwhile."""
    clients = [each for each in attacks for _ in range(each.clients)]
    tasks = [
        asyncio.create_task(_attack(http if how.http else smtp, how, number))
        for number, how in enumerate(clients)
    ]
    yield
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}  # none has given up


async def _attack(address: Address, how: Attack, number: int) -> None:
    host = f"127.0.1.{number % HOSTS + 1}"
    await asyncio.sleep(number / 1000)
    while True:
        with contextlib.suppress(OSError):  # TimeoutError is one
            reader, writer = await asyncio.open_connection(*address, local_addr=(host, 0))
            try:
                async with asyncio.timeout(how.stays_s):
                    await _speak(reader, writer, how)
            finally:
                writer.transport.abort()
        await asyncio.sleep(PAUSE_S)


async def _speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, how: Attack) -> None:
    """Speak until sent away; who reads nothing does not see that before the connection breaks."""
    writer.write(how.opening)
    while not reader.at_eof():
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await (_read_all(reader) if how.reads else asyncio.sleep(ANSWER_S))
        writer.write(how.again)


async def _read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


def _forge(number: int) -> bytes:
    return build_dsn(VICTIM, f"{number}@app.example", author=AUTHOR, now=datetime.now(UTC))


def _forge_recipients() -> list[bytes]:
    key, day = Key("a", bytes(32), date(2026, 11, 1)), int(datetime.now(UTC).timestamp()) // 86_400
    tokens = [seal(TokenType.SEND, bytes([number] * 8), day, key) for number in range(30)]
    return [f"RCPT TO:<{token}@bounce.example.com>\r\n".encode() for token in tokens]


def _pack(rcpt: str, mails: Sequence[bytes]) -> bytes:
    """Return the commands that hand these over, pipelined."""
    envelope = _ENVELOPE % (b"", rcpt.encode())
    wire = (b"\r\n".join(raw.splitlines()).replace(b"\r\n.", b"\r\n..") for raw in mails)
    return b"".join(envelope + raw + b"\r\n.\r\n" for raw in wire)
