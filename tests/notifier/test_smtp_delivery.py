import asyncio
from email.message import EmailMessage

import pytest

from bounced.notifier.delivery import (
    Abandoned,
    Deferred,
    Delivered,
    Outcome,
    OutcomeUnknown,
    Refused,
)
from tests.notifier.relay import HOST, answer_until, run_relay, run_script
from tests.notifier.sending import (
    AUTHOR,
    RETURN_PATH,
    Gate,
    deliver,
    deliver_once,
    make_delivery,
    make_mail,
)


async def test_the_relay_receives_envelope_and_mail_byte_for_byte() -> None:
    gate = Gate()
    async with run_relay() as relay:
        outcome = await deliver_once(make_delivery(relay.port), gate)
    assert outcome == Delivered("250 2.0.0 queued as 4711")
    assert gate.calls == 1
    assert (relay.senders, relay.recipients) == ([RETURN_PATH], [AUTHOR])
    assert relay.contents == [make_mail().as_bytes().replace(b"\n", b"\r\n")]


async def test_leading_dots_and_bare_line_ends_arrive_as_they_were() -> None:
    mail = EmailMessage()
    mail.set_content("first\n.\n..two\nQUIT\n", cte="7bit")
    async with run_relay() as relay:
        delivery = make_delivery(relay.port)
        await delivery.deliver(mail, mail_from="", rcpt=AUTHOR, before_data=Gate())
        await delivery.close()
    assert relay.senders == ["<>"]
    assert relay.contents[0].endswith(b"\r\n\r\nfirst\r\n.\r\n..two\r\nQUIT\r\n")


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        ("MAIL", "451 4.3.0 later", Deferred("451 4.3.0 later")),
        ("MAIL", "421 4.3.2 going down", Deferred("421 4.3.2 going down")),
        ("MAIL", "550 5.7.1 no", Refused("550 5.7.1 no")),
        (
            "MAIL",
            "530 5.7.0 authentication required",
            Deferred(
                "relay.username: the relay wants a login: 530 5.7.0 authentication required",
                relay_down=True,
            ),
        ),
        ("RCPT", "450 4.2.1 busy", Deferred("450 4.2.1 busy")),
        ("RCPT", "421 4.3.2 going down", Deferred("421 4.3.2 going down")),
        ("RCPT", "550 5.1.1 unknown", Refused("550 5.1.1 unknown")),
        ("DATA", "451 4.3.0 disk full", Deferred("451 4.3.0 disk full")),
        ("DATA", "421 4.3.2 going down", Deferred("421 4.3.2 going down")),
        ("DATA", "554 5.5.1 no", Refused("554 5.5.1 no")),
        ("DATA", "250 what?", Deferred("250 what?")),
        ("dot", "452 4.3.1 full", Deferred("452 4.3.1 full")),
        ("dot", "421 4.3.2 going down", Deferred("421 4.3.2 going down")),
        ("dot", "554 5.7.1 spam", Refused("554 5.7.1 spam")),
        ("dot", "354 what?", OutcomeUnknown("after DATA: 354 what?")),
    ],
)
async def test_every_reply_has_its_outcome(command: str, reply: str, expected: Outcome) -> None:
    gate = Gate()
    async with run_relay({command: reply}) as relay:
        outcome = await deliver_once(make_delivery(relay.port), gate)
    assert outcome == expected
    assert gate.calls == (1 if command in {"DATA", "dot"} else 0)


async def test_a_reply_of_many_lines_and_controls_becomes_one_clean_line() -> None:
    async with run_relay({"dot": "554-5.7.1 no\r\n554 \x1b[31m5.7.1 never"}) as relay:
        outcome = await deliver_once(make_delivery(relay.port), Gate())
    assert outcome == Refused("554 5.7.1 no [31m5.7.1 never")


async def test_nothing_is_sent_when_before_data_says_no() -> None:
    async with run_relay() as relay:
        outcome = await deliver_once(make_delivery(relay.port), Gate(answer=False))
    assert outcome == Abandoned()
    assert relay.recipients == [AUTHOR]
    assert relay.contents == []


async def test_a_failing_commit_before_data_leaves_the_mail_unsent() -> None:
    async def fail() -> bool:
        raise RuntimeError("database gone")

    async with run_relay() as relay:
        delivery = make_delivery(relay.port)
        with pytest.raises(RuntimeError, match="database gone"):
            await delivery.deliver(
                make_mail(), mail_from=RETURN_PATH, rcpt=AUTHOR, before_data=fail
            )
        assert relay.contents == []
        assert await deliver_once(delivery, Gate()) == Delivered("250 2.0.0 queued as 4711")
    assert len(relay.sessions) == 2


async def test_a_cancelled_delivery_leaves_the_connection() -> None:
    started, left = asyncio.Event(), asyncio.Event()

    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_until(b"DATA", reader, writer)
        writer.write(b"354 go on\r\n")
        await reader.readuntil(b"\r\n.\r\n")
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
        outcome = await make_delivery(relay.port).deliver(
            make_mail(), mail_from=RETURN_PATH, rcpt=rcpt, before_data=Gate()
        )
    why = "not sent: the author's address is not one that SMTP can carry"
    assert outcome == Refused(why, asked=False)
    assert relay.sessions == []


async def test_an_international_domain_goes_as_a_labels() -> None:
    async with run_relay() as relay:
        await deliver_once(make_delivery(relay.port), Gate(), "anna@bäder.example")
    assert relay.recipients == ["anna@xn--bder-loa.example"]


async def test_an_international_local_part_goes_by_smtputf8() -> None:
    author = "jürgen@bergerbau.example"
    async with run_relay(smtputf8=True) as relay:
        delivery = make_delivery(relay.port)
        outcome = await delivery.deliver(
            make_mail(author), mail_from=RETURN_PATH, rcpt=author, before_data=Gate()
        )
        await delivery.close()
    assert outcome == Delivered("250 2.0.0 queued as 4711")
    assert relay.recipients == [author]
    assert "SMTPUTF8" in relay.options
    assert f"\r\nTo: {author}\r\n".encode() in relay.contents[0]


async def test_an_international_local_part_is_refused_without_smtputf8() -> None:
    async with run_relay() as relay:
        delivery = make_delivery(relay.port)
        outcome = await deliver(delivery, Gate(), "jürgen@bergerbau.example")
        assert isinstance(await deliver_once(delivery, Gate()), Delivered)
    assert outcome == Refused(
        "not sent: the author's address needs SMTPUTF8, the relay has it not"
    )
    assert (relay.recipients, len(relay.sessions)) == ([AUTHOR], 1)


async def test_a_relay_that_is_not_there_is_down() -> None:
    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...

    async with run_script(nobody) as port:
        pass
    outcome = await deliver_once(make_delivery(port), Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.relay_down
    assert outcome.detail.startswith(f"no session with {HOST}:{port}: Error connecting: ")
    assert outcome.detail.count(HOST) == 1


@pytest.mark.parametrize("host", ["relay..test", "relay.invalid", f"{'x' * 64}.test"])
async def test_a_relay_that_no_name_server_knows_is_down(host: str) -> None:
    outcome = await deliver_once(make_delivery(25, host=host), Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.relay_down
    assert outcome.detail.startswith(f"no session with {host}:25: ")
