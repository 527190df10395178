"""What a session does when something goes wrong: hang-ups, failing stores, time, size, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from bounced.ledger.records import NewReport
from bounced.listener.intake import Intake
from bounced.model import TokenType
from bounced.origin.admission import Door
from tests.listener.wire import (
    ENVELOPE,
    FOREIGN,
    HELLO,
    NOW,
    TOKEN,
    Store,
    Wire,
    capture_events,
    run_site,
)

MESSAGE = b"Subject: Undelivered\r\n\r\nbody\r\n"


@pytest.fixture(autouse=True)
def silent_loop(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that makes asyncio complain: of an exception nobody took, of a dead socket."""
    yield
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def named(lines: list[Any], event: str) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in line.items() if key not in {"event", "log_level"}}
        for line in lines
        if line["event"] == event
    ]


async def test_a_report_carries_what_the_door_saw_and_nothing_is_added_to_the_message() -> None:
    with capture_events() as lines:
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            await wire.ask_all(
                b"MAIL FROM:<a@example.net>\r\nRCPT TO:<%s@bounce.example.com>\r\nDATA\r\n"
                % TOKEN.encode(),
                3,
            )
            assert await wire.ask(b"..\r\n\x00\xff x\r\n.\r\n") == "250 2.0.0 Stored safely"
    expected = NewReport(
        report="r1",
        received_at=NOW,
        raw=b".\r\n\x00\xff x\r\n",
        envelope_recipient=f"{TOKEN}@bounce.example.com",
        door=Door.TOKEN,
        client="127.0.0.1",
        mail_from="a@example.net",
        token_type=TokenType.SEND,
        token_id="0123456789abcdef",
        token_day=20778,
    )
    assert site.store.reports == [expected]
    assert named(lines, "report_received") == [
        {
            "report": "r1",
            "client": "127.0.0.1",
            "trust": "signed",
            "recipient": expected.envelope_recipient,
            "sender": "a@example.net",
            "size": 9,
        }
    ]


@pytest.mark.parametrize(
    ("settings", "recipient", "trust"),
    [
        ({}, "bounces", "relay"),
        (FOREIGN, "bounces", "none"),
        ({}, TOKEN, "signed"),
    ],
)
async def test_the_log_tells_what_the_door_trusts(
    settings: dict[str, Any], recipient: str, trust: str
) -> None:
    with capture_events() as lines:
        async with run_site(**settings) as site:
            wire = await site.greet()
            envelope = ENVELOPE.replace(b"bounces@", recipient.encode() + b"@")
            await wire.ask_all(envelope + b"DATA\r\n" + MESSAGE + b".\r\n", 4)
    assert [line["trust"] for line in named(lines, "report_received")] == [trust]


async def test_several_recipients_are_one_report_each_and_one_commit() -> None:
    with capture_events():
        async with run_site() as site:
            wire = await site.greet()
            envelope = b"MAIL FROM:<>\r\n" + b"".join(
                b"RCPT TO:<%d@bounce.example.com>\r\n" % number for number in range(101)
            )
            replies = await wire.ask_all(envelope, 102)
            assert replies[100] == "250 2.1.5 Recipient OK"
            assert replies[101][:9] == "452 4.5.3"
            await wire.ask_all(b"DATA\r\n.\r\n", 2)
    assert site.store.calls == 1
    assert [report.envelope_recipient.split("@")[0] for report in site.store.reports] == [
        str(number) for number in range(100)
    ]
    assert len({report.report for report in site.store.reports}) == 100


async def test_a_refused_recipient_is_logged_with_everything_that_explains_it() -> None:
    with capture_events() as lines:
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            await wire.ask_all(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.net>\r\n", 2)
    assert named(lines, "smtp_refused") == [
        {
            "why": "foreign-domain",
            "client": "127.0.0.1",
            "sender": "a@example.net",
            "recipient": "b@example.net",
            "reply": "550 5.7.1 Only delivery reports for our own domains are taken here",
        }
    ]


async def test_commands_pipelined_after_the_dot_are_answered() -> None:
    with capture_events():
        async with run_site() as site:
            wire = await site.connect()
            await wire.send(HELLO + ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\nQUIT\r\n")
            await wire.read_reply()
            answers = (await wire.read_to_end()).decode().splitlines()
    assert [line[:3] for line in answers[-5:]] == ["250", "250", "354", "250", "221"]
    assert [report.raw for report in site.store.reports] == [MESSAGE]


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_message_is_stored_though_the_client_hangs_up_while_it_is(how: str) -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events() as lines:
        async with run_site(store) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await wire.send(MESSAGE + b".\r\n")
            await store.entered.wait()
            if how == "rst":
                wire.reset()
                await site.wait_until_gone()
            else:
                wire.writer.close()
                await asyncio.sleep(0.05)
            store.release.set()
            await store.left.wait()
    assert len(named(lines, "report_received")) == 1
    assert named(lines, "job_failed") == []


async def test_a_message_is_stored_though_the_hang_up_comes_with_the_final_dot() -> None:
    with capture_events() as lines:
        async with run_site() as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            wire.writer.write(MESSAGE + b".\r\n")
            wire.writer.close()
            await site.store.left.wait()
    assert named(lines, "job_failed") == []


@pytest.mark.parametrize(
    "sent", [b"", b"NOO", b"MAIL FROM:<>\r\n", ENVELOPE + b"DATA\r\nhalf\r\n."]
)
@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_hang_up_before_the_end_stores_nothing_and_is_no_error(
    sent: bytes, how: str
) -> None:
    with capture_events() as lines:
        async with run_site() as site:
            wire = await site.greet()
            await wire.send(sent)
            await asyncio.sleep(0.02)
            if how == "rst":
                wire.reset()
            else:
                await wire.close()
            await site.wait_until_gone()
    assert site.store.calls == 0
    assert lines == []


async def test_a_client_that_only_closes_its_sending_side_gets_its_replies() -> None:
    with capture_events():
        async with run_site() as site:
            wire = await site.connect()
            await wire.send(HELLO + ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\n")
            wire.writer.write_eof()
            answers = (await wire.read_to_end()).decode().splitlines()
    assert answers[-1] == "250 2.0.0 Stored safely"


@pytest.mark.parametrize("error", [OSError(28, "No space left"), ValueError("secret text")])
async def test_a_store_that_fails_is_a_451_without_a_word_of_the_error(error: Exception) -> None:
    store = Store(error=error)
    with capture_events() as lines:
        async with run_site(store) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            refused = await wire.ask(MESSAGE + b".\r\n")
            store.error = None
            again = await wire.ask_all(ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\n", 4)
    assert refused == "451 4.3.0 Could not be stored just now; try again later"
    assert again[-1] == "250 2.0.0 Stored safely"
    assert [report.report for report in store.reports] == ["r2"]
    [failure] = named(lines, "job_failed")
    assert failure["job"] == "smtp session"
    assert str(error) in failure["exception"]
    assert "Traceback" in failure["exception"]


async def test_a_store_that_fails_over_lmtp_is_a_451_for_each_recipient() -> None:
    store = Store(error=OSError())
    with capture_events():
        async with run_site(store, lmtp_listen=("127.0.0.1:0",)) as site:
            wire = await site.connect(lmtp=True)
            await wire.ask_all(b"LHLO relay.example.com\r\n", 2)
            envelope = ENVELOPE + b"RCPT TO:<postmaster@bounce.example.com>\r\n"
            answers = await wire.ask_all(envelope + b"DATA\r\n.\r\nNOOP\r\n", 7)
    assert [answer[:9] for answer in answers[-3:]] == ["451 4.3.0", "451 4.3.0", "250 2.0.0"]


async def test_an_error_that_nobody_foresaw_ends_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr(Intake, "judge", fail)
    with capture_events() as lines:
        async with run_site() as site:
            wire = await site.greet()
            await wire.send(ENVELOPE + b"NOOP\r\n")
            answers = (await wire.read_to_end()).splitlines()
    assert answers[1:] == [b"421 4.3.0 Something went wrong here; try again later"]
    assert len(named(lines, "job_failed")) == 1


async def test_after_an_error_that_nobody_foresaw_the_rest_of_a_message_is_no_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read_a_little(reader: asyncio.StreamReader, **_: object) -> bytes:
        await reader.readline()
        raise MemoryError

    monkeypatch.setattr("bounced.listener.session.read_message", read_a_little)
    with capture_events() as lines:
        async with run_site() as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            monkeypatch.undo()
            await wire.send(b"a: b\r\n" + ENVELOPE + b"DATA\r\nsmuggled\r\n.\r\n")
            assert (await wire.read_to_end())[:9] == b"421 4.3.0"
            await site.wait_until_gone()
    assert site.store.reports == []
    assert len(named(lines, "job_failed")) == 1


async def test_twenty_megabytes_are_a_552_and_the_connection_goes_on() -> None:
    with capture_events() as lines:
        async with run_site() as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            for _ in range(20):
                await wire.send((b"x" * 98 + b"\r\n") * 10_486)
            assert await wire.ask(b".\r\n") == "552 5.3.4 Message larger than this host takes"
            answers = await wire.ask_all(ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\n", 4)
            assert answers[-1] == "250 2.0.0 Stored safely"
    assert [report.raw for report in site.store.reports] == [MESSAGE]
    assert [line["why"] for line in named(lines, "smtp_refused")] == ["too-large"]


async def test_a_line_of_a_megabyte_is_taken_as_it_is() -> None:
    message = b"x" * 1_000_000 + b"\r\n"
    with capture_events():
        async with run_site() as site:
            wire = await site.greet()
            answers = await wire.ask_all(ENVELOPE + b"DATA\r\n" + message + b".\r\n", 4)
    assert answers[-1] == "250 2.0.0 Stored safely"
    assert [report.raw for report in site.store.reports] == [message]


async def test_a_silent_client_is_sent_away() -> None:
    with capture_events() as lines:
        async with run_site(command_timeout="50ms") as site:
            wire = await site.greet()
            assert await wire.read_to_end() == b"421 4.4.2 Waited too long; goodbye\r\n"
    assert [line["why"] for line in named(lines, "smtp_refused")] == ["timeout"]


async def test_a_session_that_lasts_too_long_is_told_so() -> None:
    with capture_events():
        async with run_site(session_timeout="50ms") as site:
            wire = await site.greet()
            assert await wire.read_to_end() == (
                b"421 4.4.2 This session has lasted too long; connect again\r\n"
            )


@pytest.mark.parametrize(
    ("settings", "begin", "drop", "why"),
    [
        ({"command_timeout": "200ms"}, ENVELOPE + b"DATA\r\n", b"x\r\n", "timeout"),
        ({"session_timeout": "300ms"}, b"NOOP\r\n", b"NOOP\r\n", "session-too-long"),
    ],
)
async def test_drop_by_drop_nobody_holds_a_connection(
    settings: dict[str, Any], begin: bytes, drop: bytes, why: str
) -> None:
    with capture_events() as lines:
        async with run_site(**settings) as site:
            wire = await site.greet()
            await wire.send(begin)
            dripping = asyncio.create_task(drip(wire, drop))
            await site.wait_until_gone()
            dripping.cancel()
    assert site.store.calls == 0
    assert [line["why"] for line in named(lines, "smtp_refused")] == [why]


async def drip(wire: Wire, data: bytes) -> None:
    while True:
        wire.writer.write(data)
        await asyncio.sleep(0.02)


async def test_a_slow_store_is_waited_for_beyond_every_timeout() -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events():
        async with run_site(store, command_timeout="50ms", session_timeout="100ms") as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await wire.send(MESSAGE + b".\r\n")
            await asyncio.sleep(0.3)
            store.release.set()
            answers = (await wire.read_to_end()).splitlines()
    assert [answer[:9] for answer in answers] == [b"250 2.0.0", b"421 4.4.2"]


@pytest.mark.parametrize(("store_s", "pause_s"), [(1.0, 0.0), (0.4, 0.4)])
async def test_the_time_of_the_store_is_not_the_client_s(store_s: float, pause_s: float) -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events() as lines:
        async with run_site(store, command_timeout="600ms") as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await wire.send(MESSAGE + b".\r\n")
            await asyncio.sleep(store_s)
            store.release.set()
            assert await wire.read_reply() == "250 2.0.0 Stored safely"
            await asyncio.sleep(pause_s)
            assert await wire.ask(b"NOOP\r\n") == "250 2.0.0 OK"
            assert named(lines, "smtp_refused") == []
            assert (await wire.read_to_end())[:9] == b"421 4.4.2"


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    with capture_events():
        async with run_site(command_timeout="200ms") as site:
            wire = await site.greet()
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's has it
            flood = asyncio.create_task(wire.send(b"EHLO x\r\n" * 200_000))
            await site.wait_until_gone()
            wire.reset()
            with contextlib.suppress(ConnectionError):
                await flood


@dataclasses.dataclass
class Tls:
    settings: dict[str, Any]
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("bounce.example.com")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Tls(
        {
            "tls_certificate_file": folder / "certificate.pem",
            "tls_key_file": folder / "key.pem",
        },
        context,
    )


async def start_tls(wire: Wire, tls: Tls) -> None:
    assert await wire.ask(b"STARTTLS\r\n") == "220 2.0.0 Start TLS now"
    await wire.writer.start_tls(tls.context, server_hostname="bounce.example.com")


async def test_a_message_comes_in_over_tls(tls: Tls) -> None:
    with capture_events() as lines:
        async with run_site(require_tls=True, **tls.settings) as site:
            wire = await site.connect()
            greeting, extensions, early = await wire.ask_all(HELLO + b"MAIL FROM:<>\r\n", 3)
            assert greeting[:3] == "220"
            assert "250-STARTTLS" in extensions.splitlines()
            assert early == "530 5.7.0 Send STARTTLS first"
            await start_tls(wire, tls)
            extensions, again = await wire.ask_all(HELLO + b"STARTTLS\r\n", 2)
            assert "STARTTLS" not in extensions
            assert again == "503 5.5.1 TLS is active already"
            answers = await wire.ask_all(ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\n", 4)
            assert answers[-1] == "250 2.0.0 Stored safely"
            assert await wire.ask(b"QUIT\r\n") == "221 2.0.0 Goodbye"
            assert await wire.read_to_end() == b""
    assert [report.raw for report in site.store.reports] == [MESSAGE]
    assert named(lines, "job_failed") == []


async def test_tls_begins_a_new_session(tls: Tls) -> None:
    with capture_events():
        async with run_site(**tls.settings) as site:
            wire = await site.greet()
            await wire.ask(b"MAIL FROM:<>\r\n")
            await start_tls(wire, tls)
            assert await wire.ask(b"MAIL FROM:<>\r\n") == "503 5.5.1 Greet first"


async def test_a_failed_handshake_is_a_refusal_and_no_error(tls: Tls) -> None:
    with capture_events() as lines:
        async with run_site(**tls.settings) as site:
            wire = await site.greet()
            await wire.ask(b"STARTTLS\r\n")
            await wire.send(b"NOOP\r\nthis is no handshake\r\n" * 10)
            await wire.read_to_end()
            await site.wait_until_gone()
    assert [line["why"] for line in lines] == ["tls-handshake"]


async def test_a_hang_up_in_the_handshake_is_a_refusal_and_no_error(tls: Tls) -> None:
    with capture_events() as lines:
        async with run_site(**tls.settings) as site:
            wire = await site.greet()
            await wire.ask(b"STARTTLS\r\n")
            await wire.close()
            await site.wait_until_gone()
    assert [line["event"] for line in lines if line["event"] != "smtp_refused"] == []


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_handshake_that_does_not_go_on_is_waited_for_like_a_command(
    tls: Tls, begun: bytes
) -> None:
    with capture_events() as lines:
        async with run_site(command_timeout="100ms", **tls.settings) as site:
            wire = await site.greet()
            await wire.ask(b"STARTTLS\r\n")
            await wire.send(begun)
            assert await wire.read_to_end() == b""
            await site.wait_until_gone()
            assert list(site.listener._gate) == []
    assert {line["why"] for line in lines} <= {"timeout", "tls-handshake"}
    assert len(lines) > 0


@pytest.mark.parametrize("sent", [b"", ENVELOPE + b"DATA\r\nhalf"])
async def test_noise_beneath_tls_ends_the_session_and_is_no_error(tls: Tls, sent: bytes) -> None:
    with capture_events() as lines:
        async with run_site(**tls.settings) as site:
            wire = await site.greet()
            await start_tls(wire, tls)
            await wire.ask(HELLO)
            await wire.send(sent)
            os.write(wire.writer.get_extra_info("socket").fileno(), b"noise\r\n" * 9)
            await site.wait_until_gone()
    assert lines == []


async def test_over_tls_a_silent_client_makes_room_at_once(tls: Tls) -> None:
    with capture_events() as lines:
        async with run_site(max_connections=1, **tls.settings) as site:
            wire = await site.greet()
            await start_tls(wire, tls)
            await wire.ask(HELLO)
            [connection] = list(site.listener._gate)
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's has it
            await site.greet()
            assert connection.transport is None
            wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert (await wire.read_to_end())[:9] == b"421 4.3.2"
    assert [line["why"] for line in lines] == ["made-room"]


async def test_a_hang_up_during_the_commit_over_tls_still_stores(tls: Tls) -> None:
    store = Store(release=asyncio.Event())
    assert store.release is not None
    with capture_events() as lines:
        async with run_site(store, **tls.settings) as site:
            wire = await site.greet()
            await start_tls(wire, tls)
            await wire.ask_all(HELLO + ENVELOPE + b"DATA\r\n", 4)
            await wire.send(MESSAGE + b".\r\n")
            await store.entered.wait()
            wire.writer.transport.abort()
            await site.wait_until_gone()
            store.release.set()
            await store.left.wait()
    assert named(lines, "job_failed") == []


async def test_noise_is_answered_with_fixed_replies_and_no_error() -> None:
    noise = bytes(range(256)) * 64
    with capture_events() as lines:
        async with run_site() as site:
            wire = await site.connect()
            with_noise = asyncio.create_task(wire.send(noise))
            answers = await wire.read_to_end()
            await with_noise
    assert all(line[:1] in b"245" for line in answers.splitlines())
    assert named(lines, "job_failed") == []
