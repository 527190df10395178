import asyncio
import ssl
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from bounced.config import RelaySettings
from bounced.notifier.delivery import (
    Abandoned,
    Deferred,
    Delivered,
    Outcome,
    OutcomeUnknown,
    Refused,
    SmtpDelivery,
)
from tests.notifier.building_site import SINGLE, make_composer, make_notice
from tests.notifier.relay import (
    HOST,
    PASSWORD,
    USERNAME,
    Script,
    answer_until,
    make_client_context,
    make_server_context,
    run_relay,
    run_script,
)

RETURN_PATH = "nabcdefgh@bounce.baudoku.example"
AUTHOR = "anna.berger@bergerbau.example"
NO_FILE = Path("unread")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


class Gate:
    """A `before_data` that counts."""

    def __init__(self, *, answer: bool = True) -> None:
        self.answer = answer
        self.calls = 0

    async def __call__(self) -> bool:
        self.calls += 1
        return self.answer


def make_mail() -> EmailMessage:
    return make_composer().compose(make_notice(*SINGLE))


def make_delivery(
    port: int,
    security: str = "none",
    *,
    host: str = HOST,
    context: ssl.SSLContext | None = None,
    password: str | None = None,
    timeout_s: float = 5.0,
    final_timeout_s: float = 5.0,
) -> SmtpDelivery:
    settings = RelaySettings.model_validate(
        {
            "host": host,
            "port": port,
            "security": security,
            "username": USERNAME if password else "",
            "password_file": NO_FILE if password else None,
        }
    )
    return SmtpDelivery(
        settings,
        password=password,
        hostname="bounced.test",
        tls_context=context,
        timeout_s=timeout_s,
        final_timeout_s=final_timeout_s,
    )


async def deliver(delivery: SmtpDelivery, gate: Gate, rcpt: str = AUTHOR) -> Outcome:
    return await delivery.deliver(make_mail(), mail_from=RETURN_PATH, rcpt=rcpt, before_data=gate)


async def test_the_relay_receives_envelope_and_mail_byte_for_byte() -> None:
    gate = Gate()
    async with run_relay() as relay:
        outcome = await deliver(make_delivery(relay.port), gate)
    assert outcome == Delivered("250 2.0.0 queued as 4711")
    assert gate.calls == 1
    assert (relay.senders, relay.recipients) == ([RETURN_PATH], [AUTHOR])
    assert relay.contents == [make_mail().as_bytes()]


async def test_leading_dots_and_bare_line_ends_arrive_as_they_were() -> None:
    mail = EmailMessage()
    mail.set_content("first\n.\n..two\nQUIT\n", cte="7bit")
    async with run_relay() as relay:
        await make_delivery(relay.port).deliver(
            mail, mail_from="", rcpt=AUTHOR, before_data=Gate()
        )
    assert relay.senders == ["<>"]
    assert relay.contents[0].endswith(b"\r\n\r\nfirst\r\n.\r\n..two\r\nQUIT\r\n")


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        ("MAIL", "451 4.3.0 later", Deferred("451 4.3.0 later")),
        ("MAIL", "550 5.7.1 no", Refused("550 5.7.1 no")),
        (
            "MAIL",
            "530 5.7.0 authentication required",
            Deferred("530 5.7.0 authentication required"),
        ),
        ("RCPT", "450 4.2.1 busy", Deferred("450 4.2.1 busy")),
        ("RCPT", "421 4.3.2 going down", Deferred("421 4.3.2 going down")),
        ("RCPT", "550 5.1.1 unknown", Refused("550 5.1.1 unknown")),
        ("DATA", "451 4.3.0 disk full", Deferred("451 4.3.0 disk full")),
        ("DATA", "554 5.5.1 no", Refused("554 5.5.1 no")),
        ("DATA", "250 what?", Deferred("250 what?")),
        ("dot", "452 4.3.1 full", Deferred("452 4.3.1 full")),
        ("dot", "554 5.7.1 spam", Refused("554 5.7.1 spam")),
        ("dot", "354 what?", OutcomeUnknown("after DATA: 354 what?")),
    ],
)
async def test_every_reply_has_its_outcome(command: str, reply: str, expected: Outcome) -> None:
    gate = Gate()
    async with run_relay({command: reply}) as relay:
        outcome = await deliver(make_delivery(relay.port), gate)
    assert outcome == expected
    assert gate.calls == (1 if command in {"DATA", "dot"} else 0)


async def test_a_reply_of_many_lines_and_controls_becomes_one_clean_line() -> None:
    async with run_relay({"dot": "554-5.7.1 no\r\n554 \x1b[31m5.7.1 never"}) as relay:
        outcome = await deliver(make_delivery(relay.port), Gate())
    assert outcome == Refused("554 5.7.1 no [31m5.7.1 never")


async def test_nothing_is_sent_when_before_data_says_no() -> None:
    async with run_relay() as relay:
        outcome = await deliver(make_delivery(relay.port), Gate(answer=False))
    assert outcome == Abandoned()
    assert relay.recipients == [AUTHOR]
    assert relay.contents == []


def drop_after(command: bytes, answer: bytes = b"", then_read: int = 0) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_until(command, reader, writer)
        if answer:
            writer.write(answer)
            await writer.drain()
            await reader.readexactly(then_read)

    return script


@pytest.mark.parametrize("command", [b"EHLO", b"MAIL", b"RCPT", b"DATA"])
async def test_a_connection_lost_before_354_is_tried_again(command: bytes) -> None:
    async with run_script(drop_after(command)) as port:
        outcome = await deliver(make_delivery(port), Gate())
    assert isinstance(outcome, Deferred)


async def drop_after_the_dot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer_until(b"DATA", reader, writer)
    writer.write(b"354 go on\r\n")
    await reader.readuntil(b"\r\n.\r\n")


@pytest.mark.parametrize(
    "script",
    [
        drop_after(b"DATA", b"354 go on\r\n", then_read=20),
        drop_after(b"DATA", b"354 go on\r\n"),
        drop_after_the_dot,
    ],
    ids=["within the mail", "at once", "after the dot"],
)
async def test_a_connection_lost_after_354_has_no_known_outcome(script: Script) -> None:
    async with run_script(script) as port:
        outcome = await deliver(make_delivery(port), Gate())
    assert isinstance(outcome, OutcomeUnknown)


async def fall_silent_after_the_dot(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await drop_after_the_dot(reader, writer)
    await asyncio.sleep(30)


async def test_a_final_reply_that_never_comes_has_no_known_outcome() -> None:
    async with run_script(fall_silent_after_the_dot) as port:
        outcome = await deliver(make_delivery(port, final_timeout_s=0.2), Gate())
    assert outcome == OutcomeUnknown("after DATA: Timed out waiting for server response")


async def test_a_cancelled_delivery_leaves_the_connection() -> None:
    started = asyncio.Event()
    left = asyncio.Event()

    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await drop_after_the_dot(reader, writer)
        started.set()
        await reader.read()
        left.set()

    async with run_script(wait_for_the_end) as port:
        task = asyncio.create_task(deliver(make_delivery(port), Gate()))
        await asyncio.wait_for(started.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 5)


async def fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def test_a_relay_that_never_greets_is_given_up() -> None:
    async with run_script(fall_silent) as port:
        outcome = await deliver(make_delivery(port, timeout_s=0.2), Gate())
    assert isinstance(outcome, Deferred)


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n")
    await reader.read()


async def greet_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 relay.test\r\n")
    while await reader.readline():
        writer.write(b"500 what?\r\n")


@pytest.mark.parametrize("script", [talk_nonsense, greet_only])
async def test_a_server_that_speaks_no_smtp_is_the_relays_trouble(script: Script) -> None:
    async with run_script(script) as port:
        outcome = await deliver(make_delivery(port), Gate())
    assert isinstance(outcome, Deferred)


async def test_a_relay_that_is_not_there_is_tried_again() -> None:
    async with run_script(fall_silent) as port:
        pass
    outcome = await deliver(make_delivery(port), Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.detail.startswith(f"no session with {HOST}:{port}: ")


async def test_starttls_encrypts_before_login_and_mail(authority: trustme.CA) -> None:
    async with run_relay(tls=make_server_context(authority, HOST), login=True) as relay:
        outcome = await deliver(
            make_delivery(
                relay.port, "starttls", context=make_client_context(authority), password=PASSWORD
            ),
            Gate(),
        )
    assert isinstance(outcome, Delivered)
    assert relay.encrypted == [True]
    assert relay.logins == [USERNAME.encode()]


async def test_implicit_tls_encrypts_from_the_first_byte(authority: trustme.CA) -> None:
    context = make_server_context(authority, HOST)
    async with run_relay(tls=context, implicit_tls=True) as relay:
        delivery = make_delivery(relay.port, "tls", context=make_client_context(authority))
        outcome = await deliver(delivery, Gate())
    assert isinstance(outcome, Delivered)
    assert relay.encrypted == [True]


async def test_a_wrong_password_is_the_relays_trouble(authority: trustme.CA) -> None:
    gate = Gate()
    async with run_relay(tls=make_server_context(authority, HOST), login=True) as relay:
        outcome = await deliver(
            make_delivery(
                relay.port, "starttls", context=make_client_context(authority), password="wrong"
            ),
            gate,
        )
    assert isinstance(outcome, Deferred)
    assert "535 5.7.8" in outcome.detail
    assert (relay.senders, gate.calls) == ([], 0)


async def test_without_starttls_not_a_word_goes_in_clear(authority: trustme.CA) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        while line := await reader.readline():
            heard.append(line)
            writer.write(b"250-relay.test\r\n250 AUTH PLAIN LOGIN\r\n")

    gate = Gate()
    async with run_script(listen) as port:
        delivery = make_delivery(
            port, "starttls", context=make_client_context(authority), password=PASSWORD
        )
        outcome = await deliver(delivery, gate)
    assert isinstance(outcome, Deferred)
    assert "STARTTLS" in outcome.detail
    assert heard[0] == b"EHLO bounced.test\r\n"
    assert heard[1:] in ([], [b"QUIT\r\n"])
    assert gate.calls == 0


async def test_a_refused_starttls_does_not_go_on_in_clear(authority: trustme.CA) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        while line := await reader.readline():
            heard.append(line.strip())
            is_hello = line.startswith(b"EHLO")
            writer.write(b"250-relay.test\r\n250 STARTTLS\r\n" if is_hello else b"454 later\r\n")

    async with run_script(listen) as port:
        delivery = make_delivery(port, "starttls", context=make_client_context(authority))
        outcome = await deliver(delivery, Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.detail.endswith("454 later")
    assert heard[:2] == [b"EHLO bounced.test", b"STARTTLS"]
    assert b"MAIL" not in b"".join(heard)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["unknown authority", "other name"])
async def test_a_bad_certificate_stops_before_the_mail(
    authority: trustme.CA, security: str, fault: str
) -> None:
    gate = Gate()
    signer = (
        trustme.CA(key_type=trustme.KeyType.ECDSA) if fault == "unknown authority" else authority
    )
    name = "elsewhere.test" if fault == "other name" else HOST
    context = make_server_context(signer, name)
    async with run_relay(tls=context, implicit_tls=security == "tls") as relay:
        outcome = await deliver(
            make_delivery(relay.port, security, context=make_client_context(authority)), gate
        )
    assert isinstance(outcome, Deferred)
    assert "certificate verify failed" in outcome.detail
    assert (relay.senders, gate.calls) == ([], 0)


@pytest.mark.parametrize(
    "rcpt",
    [
        "",
        "anna",
        "anna@",
        "anna berger@bergerbau.example",
        "anna@bergerbau.example> SIZE=1",
        "anna@bergerbau.example\r\nRSET",
        "anna,otto@bergerbau.example",
        "anna@berger\ud800bau.example",
    ],
)
async def test_an_address_that_smtp_cannot_carry_is_refused_unsent(rcpt: str) -> None:
    async with run_relay() as relay:
        outcome = await deliver(make_delivery(relay.port), Gate(), rcpt)
    assert isinstance(outcome, Refused)
    assert relay.recipients == []


async def test_an_international_domain_goes_as_a_labels() -> None:
    async with run_relay() as relay:
        await deliver(make_delivery(relay.port), Gate(), "anna@bäder.example")
    assert relay.recipients == ["anna@xn--bder-loa.example"]


async def test_an_international_local_part_goes_by_smtputf8() -> None:
    mail = make_composer().compose(
        replace(make_notice(*SINGLE), author="jürgen@bergerbau.example")
    )
    async with run_relay(smtputf8=True) as relay:
        outcome = await make_delivery(relay.port).deliver(
            mail, mail_from=RETURN_PATH, rcpt="jürgen@bergerbau.example", before_data=Gate()
        )
    assert isinstance(outcome, Delivered)
    assert relay.recipients == ["jürgen@bergerbau.example"]
    assert "SMTPUTF8" in relay.options
    assert "\r\nTo: jürgen@bergerbau.example\r\n".encode() in relay.contents[0]


async def test_an_international_local_part_is_refused_without_smtputf8() -> None:
    async with run_relay() as relay:
        outcome = await deliver(make_delivery(relay.port), Gate(), "jürgen@bergerbau.example")
    assert isinstance(outcome, Refused)
    assert "SMTPUTF8" in outcome.detail


async def test_a_failing_commit_before_data_leaves_the_mail_unsent() -> None:
    async def fail() -> bool:
        raise RuntimeError("database gone")

    async with run_relay() as relay:
        with pytest.raises(RuntimeError, match="database gone"):
            await make_delivery(relay.port).deliver(
                make_mail(), mail_from=RETURN_PATH, rcpt=AUTHOR, before_data=fail
            )
    assert relay.contents == []
