"""How a session with the relay comes about by TLS, and what is said where it does not."""

import asyncio
import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from bounced.model import ConfigError, SendError
from bounced.notifier.delivery import Deferred, Delivered
from bounced.notifier.session import probe
from tests.notifier.relay import (
    HOST,
    PASSWORD,
    USERNAME,
    make_client_context,
    make_server_context,
    run_relay,
    run_script,
    run_wiretap,
)
from tests.notifier.sending import (
    NO_FILE,
    Gate,
    deliver_once,
    make_delivery,
    make_settings,
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


async def test_starttls_encrypts_before_login_and_mail(authority: trustme.CA) -> None:
    tls = make_server_context(authority, HOST)
    async with run_relay(tls=tls, login=True) as relay, run_wiretap(relay.port) as (port, heard):
        outcome = await deliver_once(
            make_delivery(
                port, "starttls", context=make_client_context(authority), password=PASSWORD
            ),
            Gate(),
        )
    assert outcome == Delivered("250 2.0.0 queued as 4711")
    assert (relay.encrypted, relay.logins) == ([True], [USERNAME.encode()])
    clear = b"EHLO bounced.test\r\nSTARTTLS\r\n"
    handshake = b"\x16\x03"
    assert heard.startswith(clear + handshake)
    for secret in (PASSWORD.encode(), b"AUTH", b"MAIL FROM", b"Subject"):
        assert secret not in heard
        assert base64.b64encode(secret).rstrip(b"=")[:-1] not in heard


async def test_implicit_tls_encrypts_from_the_first_byte(authority: trustme.CA) -> None:
    tls = make_server_context(authority, HOST)
    async with (
        run_relay(tls=tls, implicit_tls=True) as relay,
        run_wiretap(relay.port) as (port, heard),
    ):
        delivery = make_delivery(port, "tls", context=make_client_context(authority))
        outcome = await deliver_once(delivery, Gate())
    assert outcome == Delivered("250 2.0.0 queued as 4711")
    assert relay.encrypted == [True]
    assert heard.startswith(b"\x16\x03")


@pytest.mark.parametrize(
    ("hello", "to_starttls", "why"),
    [
        (
            b"250-relay.test\r\n250 AUTH PLAIN LOGIN\r\n",
            b"",
            (
                "it offers no STARTTLS, which relay.security = 'starttls' demands; "
                "port 465 wants 'tls'"
            ),
        ),
        (b"500 no such command\r\n", b"", "500 no such command"),
        (b"250-relay.test\r\n250 STARTTLS\r\n", b"454 4.7.0 later\r\n", "454 4.7.0 later"),
        (b"250-relay.test\r\n250 STARTTLS\r\n", b"250 OK\r\n", "250 OK"),
        (b"250-relay.test\r\n250 STARTTLS\r\n", b"220 go\r\n250 OK\r\n", "?"),
    ],
    ids=["stripped", "no EHLO", "refused", "no 220", "no TLS behind it"],
)
async def test_where_starttls_fails_not_a_word_goes_in_clear(
    authority: trustme.CA, hello: bytes, to_starttls: bytes, why: str
) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        while line := await reader.readline():
            heard.append(line)
            is_starttls = line == b"STARTTLS\r\n"
            is_hello = line.startswith(b"EHLO")
            writer.write(to_starttls if is_starttls else hello if is_hello else b"250 OK\r\n")

    gate = Gate()
    async with run_script(listen) as port:
        delivery = make_delivery(
            port,
            "starttls",
            context=make_client_context(authority),
            password=PASSWORD,
            timeout_s=0.5,
        )
        outcome = await deliver_once(delivery, gate)
    assert isinstance(outcome, Deferred)
    assert outcome.relay_down
    assert why == "?" or why in outcome.detail
    lines = {line for line in heard if not line.startswith((b"\x16", b"\x15"))}
    harmless = {b"EHLO bounced.test\r\n", b"HELO bounced.test\r\n", b"STARTTLS\r\n", b"QUIT\r\n"}
    assert not any(b"AUTH" in line or b"MAIL" in line for line in heard)
    assert lines <= harmless or why == "?"
    assert gate.calls == 0


async def test_what_is_injected_before_tls_is_not_believed_within(authority: trustme.CA) -> None:
    tls = make_server_context(authority, HOST)
    inside: list[bytes] = []

    async def inject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        await reader.readline()
        writer.write(b"250-relay.test\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n250-forged.test\r\n250 AUTH PLAIN\r\n235 forged\r\n")
        await writer.start_tls(tls)
        inside.append(await reader.readline())
        writer.write(b"250-relay.test\r\n250 8BITMIME\r\n")
        await reader.read()

    async with run_script(inject) as port:
        delivery = make_delivery(
            port, "starttls", context=make_client_context(authority), password=PASSWORD
        )
        outcome = await deliver_once(delivery, Gate())
    assert outcome == Deferred(
        f"no session with {HOST}:{port}: "
        "relay.authentication is 'auto', and it offers no login at all",
        relay_down=True,
    )
    assert inside == [b"EHLO bounced.test\r\n"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        ("unknown authority", "; relay.ca_file is none; name a file with the authority's"),
        ("other name", "; relay.host must be a name that stands in the certificate"),
    ],
)
async def test_a_bad_certificate_stops_before_the_mail_and_names_the_mend(
    authority: trustme.CA, security: str, fault: str, mend: str
) -> None:
    gate = Gate()
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA)
    signer = stranger if fault == "unknown authority" else authority
    name = "elsewhere.test" if fault == "other name" else HOST
    context = make_server_context(signer, name)
    async with run_relay(tls=context, implicit_tls=security == "tls") as relay:
        delivery = make_delivery(relay.port, security, context=make_client_context(authority))
        outcome = await deliver_once(delivery, gate)
    assert isinstance(outcome, Deferred)
    assert outcome.relay_down
    assert "certificate verify failed" in outcome.detail
    assert mend in outcome.detail
    assert (relay.senders, gate.calls) == ([], 0)


async def test_a_certificate_that_has_ended_is_said_to_need_renewal(
    authority: trustme.CA, ca_file: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ended_at = datetime.now(UTC) - timedelta(days=1)
    authority.issue_cert(HOST, not_after=ended_at).configure_cert(context)
    async with run_relay(tls=context) as relay:
        delivery = make_delivery(relay.port, "starttls", ca_file=ca_file)
        outcome = await deliver_once(delivery, Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.detail.endswith(
        "; the relay's certificate must be renewed, or a clock is wrong"
    )


async def test_a_relay_of_a_private_authority_is_believed_by_ca_file(
    authority: trustme.CA, ca_file: Path
) -> None:
    async with run_relay(tls=make_server_context(authority, HOST)) as relay:
        without = await deliver_once(make_delivery(relay.port, "starttls"), Gate())
        by_file = await deliver_once(
            make_delivery(relay.port, "starttls", ca_file=ca_file), Gate()
        )
    assert isinstance(without, Deferred)
    assert by_file == Delivered("250 2.0.0 queued as 4711")


async def test_the_relays_own_certificate_may_stand_in_ca_file(
    authority: trustme.CA, tmp_path: Path
) -> None:
    issued = authority.issue_cert(HOST)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    path = tmp_path / "relay.pem"
    issued.cert_chain_pems[0].write_to_path(path)
    async with run_relay(tls=context) as relay:
        outcome = await deliver_once(make_delivery(relay.port, "starttls", ca_file=path), Gate())
    assert outcome == Delivered("250 2.0.0 queued as 4711")


async def test_a_relay_that_greets_in_clear_says_which_key_to_look_at() -> None:
    async with run_relay() as relay:
        outcome = await deliver_once(make_delivery(relay.port, "tls"), Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.relay_down
    assert outcome.detail.endswith(
        "; it does not begin with TLS, which relay.security = 'tls' demands; "
        "port 587 wants 'starttls'"
    )


async def test_another_authority_in_ca_file_is_named(
    authority: trustme.CA, tmp_path: Path
) -> None:
    path = tmp_path / "other.pem"
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(path)
    async with run_relay(tls=make_server_context(authority, HOST)) as relay:
        outcome = await deliver_once(make_delivery(relay.port, "starttls", ca_file=path), Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.detail.endswith(f"; relay.ca_file is {path}")


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read: No such file or directory"), ("x", "no certificate in PEM form")],
)
def test_a_ca_file_that_cannot_be_used_stops_the_start(
    tmp_path: Path, content: str | None, why: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        make_delivery(587, ca_file=path)
    assert str(caught.value) == f"relay.ca_file: {path}: {why}"


async def test_tls_before_1_2_is_not_spoken(authority: trustme.CA, ca_file: Path) -> None:
    context = make_server_context(authority, HOST)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with run_relay(tls=context, implicit_tls=True) as relay:
        outcome = await deliver_once(make_delivery(relay.port, "tls", ca_file=ca_file), Gate())
    assert isinstance(outcome, Deferred)
    assert outcome.relay_down
    assert relay.senders == []


async def test_the_probe_says_what_it_found(authority: trustme.CA, ca_file: Path) -> None:
    tls = make_server_context(authority, HOST)
    async with run_relay(tls=tls, login=True) as relay:
        settings = make_settings(
            relay.port,
            security="starttls",
            username=USERNAME,
            password_file=NO_FILE,
            ca_file=ca_file,
        )
        said = await probe(settings, password=PASSWORD)
    assert said == f"{HOST}:{relay.port} answers, TLSv1.3, logged in as {USERNAME}"
    async with run_relay() as relay:
        said = await probe(make_settings(relay.port))
    assert said == f"{HOST}:{relay.port} answers, in clear, no login"
    assert relay.senders == []


async def test_the_probe_raises_where_there_is_no_session() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 5.7.1 not you\r\n")
        await reader.read()

    async with run_script(refuse) as port:
        with pytest.raises(SendError) as caught:
            await probe(make_settings(port))
    assert str(caught.value) == f"no session with {HOST}:{port}: 554 5.7.1 not you"
