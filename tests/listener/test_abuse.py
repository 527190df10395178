"""Attacks on the open port: after each, an honest message is stored and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import resource
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bounced.listener.connection import Connection
from bounced.listener.memory import FREE
from bounced.model import TokenType
from bounced.origin.token import seal
from tests.listener.wire import (
    ENVELOPE,
    FOREIGN,
    HELLO,
    PATIENCE_S,
    RING,
    TODAY,
    TOKEN,
    Site,
    Store,
    Wire,
    capture_events,
    run_site,
)

MESSAGE = b"Subject: Undelivered\r\n\r\nhonest\r\n"
DELIVERY = HELLO + ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\nQUIT\r\n"


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Allow a connection and its other end for each attacker."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def connect(site: Site, number: int) -> Wire:
    """Connect from one of 250 hosts."""
    port = int(site.listener.smtp[0].rpartition(":")[2])
    host = f"127.0.1.{number % 250 + 1}"
    return Wire(*await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)))


@contextlib.asynccontextmanager
async def hold(site: Site, count: int) -> AsyncIterator[list[Wire]]:
    wires = [await connect(site, number) for number in range(count)]
    yield wires
    for wire in wires:
        with contextlib.suppress(ConnectionError):
            await wire.close()


async def deliver_honestly(site: Site) -> None:
    """Deliver a message from a host of its own."""
    before = len(site.store.reports)
    port = int(site.listener.smtp[0].rpartition(":")[2])
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.2.1", 0)))
    await wire.send(DELIVERY)
    answers = (await wire.read_to_end()).splitlines()
    await wire.close()
    assert [answer[:3] for answer in answers[-5:]] == [b"250", b"250", b"354", b"250", b"221"]
    assert [report.raw for report in site.store.reports[before:]] == [MESSAGE]


async def deliver_politely(site: Site) -> None:
    """Deliver a message, waiting for every reply, while others do what they can."""
    before = len(site.store.reports)
    port = int(site.listener.smtp[0].rpartition(":")[2])
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.2.1", 0)))
    assert (await wire.read_reply())[:3] == "220"
    for command, code in (
        *((line + b"\r\n", "250") for line in (HELLO + ENVELOPE).splitlines()),
        (b"DATA\r\n", "354"),
        (MESSAGE + b".\r\n", "250"),
    ):
        await asyncio.sleep(0.02)  # a network lies between
        assert (await wire.ask(command))[:3] == code
    await wire.close()
    assert [report.raw for report in site.store.reports[before:]] == [MESSAGE]


def find_connections(site: Site) -> list[Connection]:
    return list(site.listener._gate)


def assert_nothing_is_left(site: Site) -> None:
    gate = site.listener._gate
    assert (gate._open, gate._by_client) == ({}, {})
    for crowd in (gate._strangers, gate._relays):
        assert (crowd._clients, crowd._by_size) == ({}, {})
    assert site.listener._intake.memory.held == 0


def reasons(lines: list[Any]) -> set[str]:
    return {line["why"] for line in lines if "why" in line}


async def test_two_thousand_idle_connections_keep_nobody_out() -> None:
    with capture_events() as lines:
        async with run_site(**FOREIGN) as site:
            async with hold(site, 2000) as wires:
                await deliver_honestly(site)
                assert len(find_connections(site)) < 1000
                await wires[0].read_reply()
                assert await wires[0].read_reply() == (
                    "421 4.3.2 Others need room while all connections are in use; connect again"
                )
            await site.wait_until_gone()
            assert_nothing_is_left(site)
    assert reasons(lines) == {"made-room"}


async def test_a_burst_of_a_thousand_connections_keeps_nobody_out() -> None:
    async def attack(site: Site, number: int) -> Wire:
        wire = await connect(site, number)
        if number % 2:
            wire.reset()
        else:
            await wire.send(b"\x16\x03\x01" * 50 + b"\r\n")
        return wire

    with capture_events() as lines:
        async with run_site(max_connections=600, **FOREIGN) as site:
            attacks = asyncio.gather(*(attack(site, number) for number in range(1000)))
            for _ in range(5):
                await deliver_honestly(site)
                await asyncio.sleep(0.01)
            for wire in await attacks:
                with contextlib.suppress(ConnectionError):
                    await wire.close()
            await deliver_honestly(site)
            await site.wait_until_gone()
            assert_nothing_is_left(site)
    assert "job_failed" not in {line["event"] for line in lines}


@pytest.mark.parametrize("how", ["quit", "fin", "rst", "shown out"])
async def test_a_connection_that_is_over_is_no_work_for_the_garbage_collector(how: str) -> None:
    with capture_events():
        async with run_site(max_connections=1) as site:
            wire = await site.greet()
            [made] = [weakref.ref(connection) for connection in find_connections(site)]
            gc.collect()
            gc.disable()
            try:
                if how == "quit":
                    await wire.ask(b"QUIT\r\n")
                elif how == "rst":
                    wire.reset()
                elif how == "shown out":
                    await (await site.greet()).ask(b"QUIT\r\n")
                await wire.close()
                await site.wait_until_gone()
                await asyncio.sleep(0.05)
                assert made() is None
            finally:
                gc.enable()


async def test_who_speaks_last_stays_longest() -> None:
    with capture_events():
        async with run_site(max_connections=3) as site:
            first, second, third = [await site.greet() for _ in range(3)]
            await first.ask(b"NOOP\r\n")
            await third.ask(b"NOOP\r\n")
            await site.greet()
            assert (await second.read_to_end())[:9] == b"421 4.3.2"
            await site.greet()
            assert (await first.read_to_end())[:9] == b"421 4.3.2"
            assert await third.ask(b"NOOP\r\n") == "250 2.0.0 OK"


async def test_one_whose_message_is_being_stored_is_never_shown_out() -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events() as lines:
        async with run_site(store, max_connections=1) as site:
            storing = await site.greet()
            await storing.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await storing.send(b".\r\n")
            await store.entered.wait()
            assert (await (await site.connect()).read_to_end())[:9] == b"421 4.7.0"
            store.release.set()
            assert await storing.read_reply() == "250 2.0.0 Stored safely"
            await site.greet()
            assert (await storing.read_to_end())[:9] == b"421 4.3.2"
    assert [line["why"] for line in lines if "why" in line] == [
        "too-many-connections",
        "made-room",
    ]


async def test_of_a_client_the_one_goes_first_whose_loss_costs_least() -> None:
    with capture_events():
        async with run_site(max_connections=4) as site:
            reading, addressing, silent, talking = [await site.greet() for _ in range(4)]
            await addressing.ask_all(ENVELOPE, 2)
            await reading.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await talking.ask(b"NOOP\r\n")
            for wire in (silent, talking):
                newcomer = await site.greet()
                assert (await wire.read_to_end())[:9] == b"421 4.3.2"
                await newcomer.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await site.greet()
            assert (await addressing.read_to_end())[:9] == b"421 4.3.2"
            await (await site.greet()).ask_all(ENVELOPE + b"DATA\r\n", 3)
            await site.greet()
            assert (await reading.read_to_end())[:9] == b"421 4.3.2"
            await site.wait_for_connections(4)


async def test_the_client_with_most_connections_makes_room_and_own_relays_last() -> None:
    with capture_events():
        async with run_site(max_connections=6, own_relays=("127.0.1.3/32",)) as site:
            numbers = (2, 2, 2, 1, 0, 0)  # 2 is the relay
            wires = [await connect(site, number) for number in numbers]
            for wire in wires[:4]:
                await wire.ask_all(HELLO, 2)
            for wire in wires[4:]:
                await wire.ask_all(HELLO + ENVELOPE + b"DATA\r\n", 5)
            for gone, host in ((4, 9), (3, 2), (5, 2), (6, 2), (0, 9)):
                wires.append(await connect(site, host))
                await wires[-1].ask_all(HELLO, 2)
                assert (await wires[gone].read_to_end())[:9] == b"421 4.3.2"
            for wire in wires:
                await wire.close()


async def test_who_gets_on_with_a_message_stays_longer_than_who_does_not() -> None:
    with capture_events():
        async with run_site(max_connections=2, **FOREIGN) as site:
            busy, stuck = await connect(site, 1), await connect(site, 2)
            for wire in (busy, stuck):
                await wire.ask_all(HELLO + ENVELOPE + b"DATA\r\n", 5)
            await busy.send(BIG * 512)
            while site.listener._intake.memory.held < 5 * FREE:  # noqa: ASYNC110 - grows unseen
                await asyncio.sleep(0.01)
            third = await connect(site, 3)
            assert (await stuck.read_to_end())[:9] == b"421 4.3.2"
            assert await busy.ask(b".\r\n") == "250 2.0.0 Stored safely"
            for wire in (busy, stuck, third):
                await wire.close()


async def test_each_connection_whose_client_is_not_known_yet_is_a_client_of_its_own() -> None:
    header = b"PROXY TCP4 198.51.100.1 198.51.100.9 1 25\r\n"
    with capture_events():
        async with run_site(max_connections=4, proxy_protocol_from=("127.0.0.0/8",)) as site:
            unknown = [await connect(site, number) for number in range(2)]
            known = [await connect(site, number) for number in range(2)]
            for wire in known:
                await wire.ask_all(header + HELLO, 2)
            fifth = await connect(site, 5)
            assert (await known[0].read_to_end())[:9] == b"421 4.3.2"
            for wire in unknown:
                assert (await wire.ask_all(header + HELLO, 2))[0][:3] == "220"
            for wire in (*unknown, *known, fifth):
                await wire.close()
            await site.wait_until_gone()
            assert_nothing_is_left(site)


ADDRESSED = HELLO + ENVELOPE
HALF = HELLO + ENVELOPE + b"DATA\r\nSubject: half\r\n"


@pytest.mark.parametrize("opening", [ADDRESSED, HALF], ids=["with a recipient", "within DATA"])
@pytest.mark.parametrize("hosts", [10, 250])
async def test_who_begins_a_message_and_does_not_end_it_keeps_nobody_out(
    opening: bytes, hosts: int
) -> None:
    async def attack(site: Site, number: int) -> None:
        while True:
            wire = await connect(site, number % hosts)
            try:
                with contextlib.suppress(ConnectionError):
                    await wire.send(opening)
                    await wire.reader.read()  # until shown out: then again
            finally:
                await wire.close()

    with capture_events():
        async with run_site(max_connections=300, **FOREIGN) as site:
            attacks = [asyncio.create_task(attack(site, number)) for number in range(400)]
            await site.wait_for_connections(300)
            for _ in range(10):
                await deliver_politely(site)
            for task in attacks:
                task.cancel()
            await asyncio.gather(*attacks, return_exceptions=True)
            for connection in find_connections(site):
                connection.abort()
            await site.wait_until_gone()
            assert_nothing_is_left(site)


async def test_one_address_does_not_take_the_memory_of_all() -> None:
    with capture_events():
        async with run_site(max_message="1MiB", max_message_memory="4MiB", **FOREIGN) as site:
            greedy = [await connect(site, 1) for _ in range(5)]
            for wire in greedy:
                await wire.ask_all(HELLO + ENVELOPE + b"DATA\r\n", 5)
                await wire.send(BIG * 1000)
            while site.listener._intake.memory.held < 12 * FREE:  # noqa: ASYNC110 - grows unseen
                await asyncio.sleep(0.01)
            honest = await connect(site, 2)
            declared = ENVELOPE.replace(b"<>", b"<> SIZE=1048576")
            answers = await honest.ask_all(
                HELLO + declared + b"DATA\r\n" + BIG * 1000 + b".\r\n", 6
            )
            for wire in (*greedy, honest):
                wire.reset()
            await site.wait_until_gone()
            await asyncio.sleep(0)
            assert_nothing_is_left(site)
    assert answers[-1] == "250 2.0.0 Stored safely"
    assert len(site.store.reports) == 1


async def test_a_client_with_too_many_connections_shows_nobody_out() -> None:
    with capture_events() as lines:
        async with (
            run_site(max_connections=2, max_connections_per_client=1) as site,
            hold(site, 2) as wires,
        ):
            for wire in wires:
                await wire.read_reply()
            again = await connect(site, 0)
            assert (await again.read_to_end())[:9] == b"421 4.7.0"
            await again.close()
            assert [await wire.ask(b"NOOP\r\n") for wire in wires] == ["250 2.0.0 OK"] * 2
    assert reasons(lines) == {"too-many-connections-from-client"}


async def test_twenty_errors_end_a_session() -> None:
    with capture_events() as lines:
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            await wire.ask(b"MAIL FROM:<a@example.org>\r\n")
            await wire.send(b"RCPT TO:<b@example.org>\r\nBOGUS\r\n" * 50)
            answers = (await wire.read_to_end()).splitlines()
            assert len(answers) == 21
            assert answers[-1] == b"421 4.7.0 Too many errors in this session; goodbye"
            await deliver_honestly(site)
    assert "too-many-errors" in reasons(lines)


@pytest.mark.parametrize("sender", [b"", b"a@example.org"])
@pytest.mark.parametrize("recipient", [b"postmaster", TOKEN.encode() + b"@bounce.example.com"])
async def test_callouts_are_no_errors(sender: bytes, recipient: bytes) -> None:
    callout = b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\n" % (sender, recipient)
    with capture_events() as lines:
        async with run_site(max_errors=1, **FOREIGN) as site:
            wire = await site.greet()
            answers = await wire.ask_all((callout + b"RSET\r\n") * 30 + callout + b"QUIT\r\n", 93)
            assert await wire.read_to_end() == b""
    assert {answer[:3] for answer in answers[:-1]} == {"250"}
    assert answers[-1] == "221 2.0.0 Goodbye"
    assert lines == []


async def test_a_recipient_is_stored_once_however_often_and_in_whatever_way_it_is_named() -> None:
    names = [
        "".join(letters) for letters in itertools.product(*zip("bounces", "BOUNCES", strict=True))
    ]
    spellings = [f"{name}@bounce.example.com" for name in names[:98]]
    spellings += ["@relay.example:bounces@BOUNCE.example.com", "bounces@bounce.example.com."]
    rcpt = "".join(f"RCPT TO:<{spelling}>\r\n" for spelling in spellings).encode()
    with capture_events():
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            answers = await wire.ask_all(b"MAIL FROM:<>\r\n" + rcpt, 101)
            assert {answer[:3] for answer in answers} == {"250"}
            await deliver_honestly(site)
            assert (await wire.ask_all(b"DATA\r\n" + MESSAGE + b".\r\n", 2))[1][:3] == "250"
    assert [report.envelope_recipient for report in site.store.reports] == [
        "bounces@bounce.example.com"
    ] * 2


async def test_a_stranger_names_four_recipients_and_an_own_relay_a_hundred() -> None:
    tokens = [
        seal(TokenType.SEND, bytes([number] * 8), TODAY, RING.signing) for number in range(6)
    ]
    rcpt = [f"RCPT TO:<{token}@bounce.example.com>\r\n".encode() for token in tokens]
    copies, codes = [], []
    for own_relays in ((), ("127.0.0.0/8",)):
        with capture_events():
            async with run_site(max_errors=1, own_relays=own_relays) as site:
                wire = await site.greet()
                answers = await wire.ask_all(b"MAIL FROM:<>\r\n" + b"".join(rcpt) + rcpt[0], 8)
                await wire.ask_all(b"DATA\r\n" + MESSAGE + b".\r\n", 2)
        codes.append([answer[:9] for answer in answers[1:]])
        copies.append(len({report.token_id for report in site.store.reports}))
    assert copies == [4, 6]
    ok = "250 2.1.5"
    assert codes == [[ok] * 4 + ["452 4.5.3"] * 2 + [ok], [ok] * 7]


async def test_a_thousand_recipients_cost_the_rest_another_transaction_and_no_error() -> None:
    with capture_events() as lines:
        async with run_site(max_errors=1, max_commands=2000, **FOREIGN) as site:
            wire = await site.greet()
            recipient = b"RCPT TO:<%s@bounce.example.com>\r\n" % TOKEN.encode()
            answers = await wire.ask_all(b"MAIL FROM:<>\r\n" + recipient * 1000, 1001)
            assert [answer[:3] for answer in answers[1:]] == ["250"] * 100 + ["452"] * 900
            await wire.ask_all(b"DATA\r\n" + MESSAGE + b".\r\n", 2)
            assert await wire.ask(b"NOOP\r\n") == "250 2.0.0 OK"
    assert len(site.store.reports) == 1
    assert reasons(lines) == {"too-many-recipients"}


@pytest.mark.parametrize("command", [b"NOOP", b"RSET", b"VRFY a", b"EHLO a", b"HELP"])
async def test_commands_without_a_message_end_a_session(command: bytes) -> None:
    with capture_events() as lines:
        async with run_site(max_commands=50) as site:
            wire = await site.connect()
            await wire.send((command + b"\r\n") * 60)
            answers = (await wire.read_to_end()).splitlines()
            assert answers[-1] == b"421 4.7.0 Too many commands without a message; goodbye"
    assert reasons(lines) == {"too-many-commands"}


async def test_each_stored_message_begins_the_count_of_commands_anew() -> None:
    with capture_events():
        async with run_site(max_commands=9) as site:
            wire = await site.greet()
            for _ in range(5):
                await wire.ask_all(b"NOOP\r\n" * 5 + ENVELOPE + b"DATA\r\n.\r\n", 9)
            await wire.ask_all(b"NOOP\r\n" * 9, 9)
            assert (await wire.ask_all(b"NOOP\r\n", 2))[1][:9] == "421 4.7.0"
    assert len(site.store.reports) == 5


@pytest.mark.parametrize("start", [b"", b"MAIL FROM:<", ENVELOPE + b"DATA\r\n.\r\n"])
async def test_a_line_of_ten_megabytes_is_held_nowhere(start: bytes) -> None:
    with capture_events():
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            await wire.send(start)
            held = 0
            for _ in range(160):
                await wire.send(b"x" * FREE)
                [connection] = find_connections(site)
                held = max(held, len(connection._reader._buffer))  # type: ignore[attr-defined]
            assert held < 8 * FREE
            await deliver_honestly(site)
            answers: list[str] = []
            await wire.send(b"\r\n")
            while answers[-1:] != ["500 5.5.2 Command line too long"]:
                answers.append(await wire.read_reply())
            assert await wire.ask(b"NOOP\r\n") == "250 2.0.0 OK"


@pytest.mark.parametrize(
    "drops",
    [b"N" * 400, b"MAIL FROM:<>\rRCPT" * 30, b"\xff\r\n" * 15],
    ids=["unfinished", "bare", "garbage"],
)
async def test_only_a_command_that_is_one_buys_time(drops: bytes) -> None:
    with capture_events() as lines:
        async with run_site(command_timeout="200ms", **FOREIGN) as site:
            wire = await site.greet()

            async def drip() -> None:
                for drop in drops:
                    wire.writer.write(bytes([drop]))
                    await asyncio.sleep(0.02)

            dripping = asyncio.create_task(drip())
            await site.wait_until_gone()
            dripping.cancel()
            await deliver_honestly(site)
    assert "timeout" in reasons(lines)


async def test_clients_that_read_nothing_cost_little_and_are_cut_off() -> None:
    with capture_events():
        async with run_site(command_timeout="300ms", max_commands=10**6, **FOREIGN) as site:
            wire = await site.greet()
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's has it
            flood = asyncio.create_task(wire.send(b"EHLO x\r\n" * 300_000))
            waiting = 0
            while found := find_connections(site):
                connection = found[0]
                assert connection.transport is not None
                waiting = max(
                    waiting,
                    len(connection._reader._buffer)  # type: ignore[attr-defined]
                    + connection.transport.get_write_buffer_size(),  # type: ignore[attr-defined]
                )
                await asyncio.sleep(0.01)
            assert 0 < waiting < 8 * FREE
            wire.reset()
            with contextlib.suppress(ConnectionError):
                await flood
            await deliver_honestly(site)
            await site.wait_until_gone()
            assert_nothing_is_left(site)


BIG = b"x" * 1_022 + b"\r\n"


async def test_messages_share_a_memory_and_who_finds_none_left_may_try_later() -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events() as lines:
        async with run_site(
            store, max_message="1MiB", max_message_memory="1MiB", **FOREIGN
        ) as site:
            first, second = await site.greet(), await site.greet()
            await first.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await first.send(BIG * 1024 + b".\r\n")
            await store.entered.wait()

            declared = await second.ask(b"MAIL FROM:<> SIZE=1048576\r\n")
            assert declared == (
                "452 4.3.1 Too many messages are coming in just now; try again later"
            )
            await second.ask_all(ENVELOPE + b"DATA\r\n", 3)
            assert await second.ask(BIG * 1024 + b".\r\n") == declared
            small = await second.ask_all(ENVELOPE.replace(b"<>", b"<> SIZE=9000"), 2)
            assert [answer[:3] for answer in small] == ["250", "250"]
            await second.ask(b"DATA\r\n")
            await second.send(BIG * 30 + b".\r\n")

            store.release.set()
            for wire in (first, second):
                assert await wire.read_reply() == "250 2.0.0 Stored safely"
            again = await second.ask_all(ENVELOPE + b"DATA\r\n" + BIG * 1024 + b".\r\n", 4)
            assert again[-1] == "250 2.0.0 Stored safely"
            assert_memory_is_free(site)
    assert reasons(lines) == {"memory"}


@pytest.mark.parametrize("how", ["fin", "rst", "timeout"])
async def test_the_memory_of_an_unfinished_message_is_given_back(how: str) -> None:
    with capture_events():
        async with run_site(command_timeout="300ms", **FOREIGN) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await wire.send(BIG * 512)
            while site.listener._intake.memory.held < 5 * FREE:  # noqa: ASYNC110 - grows unseen
                await asyncio.sleep(0.01)
            if how == "rst":
                wire.reset()
            elif how == "fin":
                await wire.close()
            await site.wait_until_gone()
            await asyncio.sleep(0)
            assert_memory_is_free(site)


async def test_the_memory_of_a_commit_whose_client_is_gone_is_held_until_it_is_over() -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events():
        async with run_site(store, **FOREIGN) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await wire.send(BIG * 512 + b".\r\n")
            await store.entered.wait()
            wire.reset()
            await site.wait_until_gone()
            assert site.listener._intake.memory.held > 5 * FREE
            store.release.set()
            await site.listener._intake.wait_for_commits()
            assert_memory_is_free(site)


def assert_memory_is_free(site: Site) -> None:
    assert site.listener._intake.memory.held == 0


async def test_a_process_of_this_host_is_an_own_relay(tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    with capture_events() as lines:
        async with run_site(lmtp_listen=(f"unix:{path}",), **FOREIGN) as site:
            wire = Wire(*await asyncio.open_unix_connection(path))
            await wire.ask_all(b"LHLO relay.example.com\r\n", 2)
            answers = await wire.ask_all(
                b"MAIL FROM:<a@example.org>\r\nRCPT TO:<bounces@bounce.example.com>\r\nDATA\r\n"
                b"a\nb\r\n.\r\n",
                4,
            )
            await wire.close()
    assert answers[-1] == "250 2.0.0 Stored safely"
    assert [report.client for report in site.store.reports] == ["local"]
    assert [(line["client"], line["trust"]) for line in lines] == [("local", "relay")]


ARGUMENT = st.binary(max_size=400).map(lambda text: text.replace(b"\r", b"").replace(b"\n", b""))
FIXED = {
    b"250 2.1.0 Sender OK",
    b"250 2.1.5 Recipient OK",
    b"500 5.5.1 Command not known here",
    b"501 5.5.4 Write MAIL FROM:<address>",
    b"501 5.5.4 Write RCPT TO:<address>",
    b"501 5.1.7 Malformed sender address",
    b"501 5.1.3 Malformed recipient address",
    b"501 5.5.4 Malformed parameter",
    b"503 5.5.1 A transaction is open already; RSET ends it",
    b"503 5.5.1 Send MAIL FROM first",
    b"550 5.1.1 No such mailbox; delivery reports only",
    b"550 5.7.1 Only delivery reports for our own domains are taken here",
    b"550 5.7.1 This mailbox takes delivery reports only: MAIL FROM:<>",
    b"550 5.7.1 This return path was not issued here or has expired",
    b"552 5.3.4 Message larger than this host takes",
    b"555 5.5.4 Parameter not supported here",
}


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    texts=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"MAIL FROM:<%s>",
                    b"MAIL FROM:<a@b>%s",
                    b"MAIL %s",
                    b"RCPT TO:<%s>",
                    b"RCPT TO:<%s@bounce.example.com>",
                    b"RCPT %s",
                ]
            ),
            ARGUMENT,
        ),
        min_size=1,
        max_size=20,
    )
)
async def test_any_argument_has_a_fixed_reply(texts: list[tuple[bytes, bytes]]) -> None:
    with capture_events() as lines:
        async with run_site(max_errors=10_000, **FOREIGN) as site:
            wire = await site.greet()
            for command, argument in texts:
                await wire.send(command % argument + b"\r\n")
            await wire.send(b"QUIT\r\n")
            *answers, goodbye = (await wire.read_to_end()).splitlines()
    assert goodbye == b"221 2.0.0 Goodbye"
    assert len(answers) == len(texts)
    assert set(answers) <= FIXED
    assert "job_failed" not in {line["event"] for line in lines}


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("bounces@[127.0.0.1]", "550 5.7.1"),
        ("bounces@[IPv6:::1]", "550 5.7.1"),
        ("jörg@bounce.example.com", "550 5.1.1"),
        ("bounces@b\u00f6unce.example.com", "550 5.7.1"),
        ("bounces\x00@bounce.example.com", "501 5.1.3"),
        ("bounces\x1b[2J@bounce.example.com", "501 5.1.3"),
        ("b" * 257 + "@bounce.example.com", "501 5.1.3"),
        ("bounces@" + "b" * 256, "501 5.1.3"),
        ("@relay.example:bounces@bounce.example.com", "250 2.1.5"),
        ('"no such"@bounce.example.com', "550 5.1.1"),
        ("bounces%example.org@bounce.example.com", "550 5.1.1"),
        ("bounce.example.com!bounces", "550 5.7.1"),
        ("bounces@bounce.example.com@example.org", "550 5.7.1"),
        ("bounces", "550 5.7.1"),
        ("@", "550 5.7.1"),
    ],
)
async def test_odd_recipients_are_refused_with_a_reason(recipient: str, code: str) -> None:
    with capture_events():
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            command = f"MAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\n"
            assert (await wire.ask_all(command.encode(), 2))[1][:9] == code


async def test_noise_is_no_error_of_ours() -> None:
    noise = bytes(range(256)) * 256
    with capture_events() as lines:
        async with run_site(**FOREIGN) as site:
            for start in (b"", ENVELOPE, HELLO + ENVELOPE + b"DATA\r\n"):
                wire = await connect(site, 1)
                await wire.send(start + noise + b"\r\n.\r\n")
                wire.writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    await wire.read_to_end()
                await wire.close()
            await deliver_honestly(site)
            async with asyncio.timeout(PATIENCE_S):
                await site.wait_until_gone()
    assert "job_failed" not in {line["event"] for line in lines}
