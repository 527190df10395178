"""How we log in at the relay, and that nothing of it is shown."""

import asyncio
import base64
import logging
from pathlib import Path

import pytest
import trustme

from bounced.notifier.delivery import Deferred, Delivered
from tests.notifier.relay import (
    CHALLENGE,
    HOST,
    MECHANISMS,
    PASSWORD,
    TOKEN,
    USERNAME,
    make_client_context,
    make_server_context,
    run_relay,
    run_script,
)
from tests.notifier.sending import Gate, deliver, deliver_once, make_delivery


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.mark.parametrize(
    ("wanted", "offered", "used"),
    [
        ("auto", MECHANISMS, "PLAIN"),
        ("auto", {"LOGIN", "CRAM-MD5"}, "LOGIN"),
        ("auto", {"CRAM-MD5"}, "CRAM-MD5"),
        ("plain", MECHANISMS, "PLAIN"),
        ("login", MECHANISMS, "LOGIN"),
        ("cram-md5", MECHANISMS, "CRAM-MD5"),
    ],
)
async def test_login_goes_by_the_mechanism_that_is_wanted_and_offered(
    authority: trustme.CA, wanted: str, offered: set[str], used: str
) -> None:
    tls = make_server_context(authority, HOST)
    async with run_relay(tls=tls, login=True, mechanisms=offered) as relay:
        delivery = make_delivery(
            relay.port,
            "starttls",
            context=make_client_context(authority),
            password=PASSWORD,
            authentication=wanted,
        )
        outcome = await deliver_once(delivery, Gate())
    assert outcome == Delivered("250 2.0.0 queued as 4711")
    assert (relay.mechanisms, relay.logins) == ([used], [USERNAME.encode()])


async def test_on_this_host_without_tls_the_password_itself_stays_away_where_it_can() -> None:
    async with run_relay(login=True, mechanisms=MECHANISMS) as relay:
        outcome = await deliver_once(make_delivery(relay.port, password=PASSWORD), Gate())
    assert isinstance(outcome, Delivered)
    assert relay.mechanisms == ["CRAM-MD5"]


@pytest.mark.parametrize(
    ("wanted", "offered", "why"),
    [
        ("auto", {"XOAUTH2"}, "relay.authentication is 'auto', and it offers xoauth2"),
        ("cram-md5", {"PLAIN"}, "relay.authentication is 'cram-md5', and it offers plain"),
    ],
)
async def test_a_mechanism_that_is_not_offered_is_not_tried(
    authority: trustme.CA, wanted: str, offered: set[str], why: str
) -> None:
    tls = make_server_context(authority, HOST)
    async with run_relay(tls=tls, login=True, mechanisms=offered) as relay:
        delivery = make_delivery(
            relay.port,
            "starttls",
            context=make_client_context(authority),
            password=PASSWORD,
            authentication=wanted,
        )
        outcome = await deliver_once(delivery, Gate())
    assert outcome == Deferred(f"no session with {HOST}:{relay.port}: {why}", relay_down=True)
    assert relay.logins == []


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5"])
@pytest.mark.parametrize("reply", ["535 5.7.8 wrong", "534 5.7.9 too weak", "454 4.7.0 later"])
async def test_a_refused_login_is_tried_once_and_names_its_keys(
    authority: trustme.CA, mechanism: str, reply: str
) -> None:
    gate = Gate()
    tls = make_server_context(authority, HOST)
    async with run_relay({"AUTH": reply}, tls=tls, login=True, mechanisms=MECHANISMS) as relay:
        delivery = make_delivery(
            relay.port,
            "starttls",
            context=make_client_context(authority),
            password="other",
            authentication=mechanism,
        )
        outcome = await deliver_once(delivery, gate)
    assert outcome == Deferred(
        f"no session with {HOST}:{relay.port}: "
        f"relay.username and relay.password_file do not log in ({mechanism}): {reply}",
        relay_down=True,
    )
    assert (relay.logins, relay.senders, gate.calls) == ([USERNAME.encode()], [], 0)


async def test_a_token_is_read_anew_at_each_login(authority: trustme.CA, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("ya29.ended\n")
    tls = make_server_context(authority, HOST)
    async with run_relay(tls=tls, login=True, mechanisms={"XOAUTH2"}) as relay:
        delivery = make_delivery(
            relay.port,
            "starttls",
            context=make_client_context(authority),
            password="ya29.ended",
            authentication="xoauth2",
            password_file=path,
        )
        ended = await deliver(delivery, Gate())
        path.write_text(f"{TOKEN}\n")
        outcome = await deliver_once(delivery, Gate())
    assert isinstance(ended, Deferred)
    assert ended.relay_down
    assert "(xoauth2): 535 5.7.8" in ended.detail
    assert outcome == Delivered("250 2.0.0 queued as 4711")
    assert relay.mechanisms == ["XOAUTH2", "XOAUTH2"]


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), ("\n", "holds no token")]
)
async def test_a_token_that_cannot_be_read_is_trouble_that_passes(
    tmp_path: Path, content: str | None, why: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    async with run_relay(login=True, mechanisms={"XOAUTH2"}) as relay:
        delivery = make_delivery(
            relay.port, password="old", authentication="xoauth2", password_file=path
        )
        outcome = await deliver_once(delivery, Gate())
    assert outcome == Deferred(
        f"no session with {HOST}:{relay.port}: relay.password_file: {path}: {why}",
        relay_down=True,
    )


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "xoauth2"])
@pytest.mark.parametrize("code", [b"535 5.7.8 ", b"", b"535-" + b"x" * 470 + b"\r\n535 "])
async def test_what_a_relay_repeats_of_the_login_is_not_shown(
    tmp_path: Path, mechanism: str, code: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "horse-battery-staple"
    path = tmp_path / "secret"
    path.write_text(secret)
    said: list[bytes] = []

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        await reader.readline()
        writer.write(f"250-relay.test\r\n250 AUTH {mechanism.upper()}\r\n".encode())
        line = await reader.readline()
        said.append(line)
        if mechanism in {"login", "cram-md5"}:
            writer.write(b"334 " + base64.b64encode(CHALLENGE) + b"\r\n")
            line = await reader.readline()
            said.append(line)
        told = line.strip() + b" that is " + secret.encode()
        writer.write(code + told + b"?\r\n")
        await reader.read()

    async with run_script(repeat) as port:
        delivery = make_delivery(
            port, password=secret, authentication=mechanism, password_file=path
        )
        outcome = await deliver_once(delivery, Gate())
    assert isinstance(outcome, Deferred)
    assert f"do not log in ({mechanism}): " in outcome.detail
    forms = [secret, base64.b64encode(secret.encode()).decode()]
    forms += [said[-1].split()[-1].decode()] if mechanism != "cram-md5" else []
    shown = (outcome.detail, repr(delivery), repr(vars(delivery)), caplog.text)
    pieces = [form[:12] for form in forms]
    assert not [piece for piece in pieces for text in shown if piece in text]
