"""TLS: which pair is taken, how one follows another, and that nothing said in clear counts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, PrivateFormat

from bounced.config import SmtpSettings
from bounced.listener.tls import load_tls
from bounced.model import ConfigError
from tests.listener.wire import ENVELOPE, HELLO, NOW, Site, Wire, capture_events, run_site

NAME = "bounce.example.com"
START_TLS = "220 2.0.0 Start TLS now"
TLS_FIRST = "530 5.7.0 Send STARTTLS first"
GREET_FIRST = "503 5.5.1 Greet first"
OK = "250 2.0.0 OK"
INJECTED = HELLO + ENVELOPE + b"DATA\r\nSubject: injected\r\n\r\n.\r\n"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key on disk, by an authority of their own."""

    file: Path
    key_file: Path
    authority: trustme.CA

    @property
    def settings(self) -> dict[str, Any]:
        return {"tls_certificate_file": self.file, "tls_key_file": self.key_file}

    @property
    def client(self) -> ssl.SSLContext:
        """A client that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context


def issue(folder: Path, name: str = NAME, ends_at: datetime | None = None) -> Pair:
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert(name, not_after=ends_at)
    file, key_file = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key_file)
    return Pair(file, key_file, authority)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return issue(tmp_path_factory.mktemp("tls"))


async def shake_hands(wire: Wire, client: ssl.SSLContext) -> None:
    await wire.writer.start_tls(client, server_hostname=NAME)


async def start_tls(wire: Wire, client: ssl.SSLContext) -> None:
    assert await wire.ask(b"STARTTLS\r\n") == START_TLS
    await shake_hands(wire, client)


async def distrust(site: Site, client: ssl.SSLContext) -> None:
    """Connect, and hang up because of the certificate."""
    host, _, port = site.listener.smtp[0].rpartition(":")
    wire = Wire(*await asyncio.open_connection(host, int(port)))
    await wire.ask_all(HELLO, 2)
    with pytest.raises(ssl.SSLCertVerificationError):
        await start_tls(wire, client)
    with contextlib.suppress(ssl.SSLCertVerificationError):  # told once more
        await wire.close()


# --- Which pair is taken


def load(file: Path, key_file: Path) -> ssl.SSLContext | None:
    return load_tls(SmtpSettings(tls_certificate_file=file, tls_key_file=key_file))


def test_without_a_pair_there_is_no_tls() -> None:
    assert load_tls(SmtpSettings()) is None


def test_a_certificate_that_has_ended_is_taken_rather_than_no_mail(tmp_path: Path) -> None:
    pair = issue(tmp_path, ends_at=NOW - timedelta(days=1))
    assert load(pair.file, pair.key_file) is not None


def test_a_file_that_cannot_be_used_is_named_with_the_mend(pair: Pair, tmp_path: Path) -> None:
    absent, garbage, locked = (tmp_path / name for name in ("absent", "garbage", "locked"))
    garbage.write_text("garbage")
    key = serialization.load_pem_private_key(pair.key_file.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
    )
    other = issue(tmp_path / "other")
    no_certificate = (
        "no certificate in PEM form: begin it with the server's own certificate, then those that "
        "lead to its authority"
    )
    no_key = "no private key in PEM form without a passphrase"
    together = "name the two that were made together"
    no_file = "cannot be read: No such file or directory"
    certificate_key, key_key = "smtp.tls_certificate_file", "smtp.tls_key_file"
    table = [
        (absent, pair.key_file, f"{certificate_key}: {absent}: {no_file}"),
        (garbage, pair.key_file, f"{certificate_key}: {garbage}: {no_certificate}"),
        (pair.key_file, pair.file, f"{certificate_key}: {pair.key_file}: {no_certificate}"),
        (pair.file, absent, f"{key_key}: {absent}: {no_file}"),
        (pair.file, garbage, f"{key_key}: {garbage}: {no_key}"),
        (pair.file, locked, f"{key_key}: {locked}: {no_key}"),
        (
            pair.file,
            other.key_file,
            f"{key_key}: {other.key_file}: not the key of {pair.file}: {together}",
        ),
    ]
    said = []
    for file, key_file, _ in table:
        with pytest.raises(ConfigError) as caught:
            load(file, key_file)
        said.append(str(caught.value))
    assert said == [expected for _, _, expected in table]


# --- What is spoken


@pytest.mark.parametrize("option", [ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION])
def test_compression_and_renegotiation_are_off(pair: Pair, option: ssl.Options) -> None:
    context = load(pair.file, pair.key_file)
    assert context is not None
    assert context.options & option


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
async def test_a_client_that_knows_only_old_versions_is_refused(pair: Pair, version: str) -> None:
    client = pair.client
    client.set_ciphers("ALL:@SECLEVEL=0")  # or the client's own library would refuse
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        client.minimum_version = client.maximum_version = ssl.TLSVersion[version]
    with capture_events() as lines:
        async with run_site(**pair.settings) as site:
            wire = await site.greet()
            with pytest.raises(ConnectionResetError):
                await start_tls(wire, client)
            await site.wait_until_gone()
    assert [line["why"] for line in lines] == ["tls-handshake"]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_a_bounce_comes_in_over_tls(pair: Pair, version: str) -> None:
    client = pair.client
    client.minimum_version = client.maximum_version = ssl.TLSVersion[version]
    with capture_events():
        async with run_site(require_tls=True, **pair.settings) as site:
            wire = await site.greet()
            await start_tls(wire, client)
            await wire.ask_all(HELLO + INJECTED.partition(b"\r\n")[2], 5)
    assert [report.raw for report in site.store.reports] == [b"Subject: injected\r\n\r\n"]


async def test_before_tls_only_what_leads_to_it_is_done(pair: Pair) -> None:
    commands = (
        b"HELO x|MAIL FROM:<>|RCPT TO:<bounces@bounce.example.com>|DATA|RSET|HELP|VRFY x|AUTH x|"
        b"SOMETHING|EHLO x|NOOP"
    )
    with capture_events():
        async with run_site(require_tls=True, **pair.settings) as site:
            wire = await site.connect()
            await wire.read_reply()
            replies = await wire.ask_all(commands.replace(b"|", b"\r\n") + b"\r\n", 11)
            assert replies[:9] == [TLS_FIRST] * 9
            assert "250-STARTTLS" in replies[9].splitlines()
            assert replies[10] == OK
            assert await wire.ask(b"QUIT\r\n") == "221 2.0.0 Goodbye"


async def test_lmtp_offers_tls_and_does_without(pair: Pair, tmp_path: Path) -> None:
    places: dict[str, Any] = {"listen": (), "lmtp_listen": ("127.0.0.1:0",)}
    with capture_events():
        async with run_site(require_tls=True, **places, **pair.settings) as site:
            wire = await site.connect(lmtp=True)
            lhlo, in_clear = (await wire.ask_all(b"LHLO x\r\nMAIL FROM:<>\r\n", 3))[1:]
            assert "250-STARTTLS" in lhlo.splitlines()
            assert in_clear == "250 2.1.0 Sender OK"
            await start_tls(wire, pair.client)
            assert await wire.ask(b"MAIL FROM:<>\r\n") == GREET_FIRST


async def test_a_failed_handshake_ends_the_session(pair: Pair, tmp_path: Path) -> None:
    stranger = issue(tmp_path)
    with capture_events() as lines:
        async with run_site(**pair.settings) as site:
            await distrust(site, stranger.client)
            await site.wait_until_gone()
    assert {line["event"] for line in lines} <= {"smtp_refused"}


# --- Nothing said in clear counts (CVE-2011-0411 and its like)


async def test_a_transaction_begun_in_clear_is_forgotten(pair: Pair) -> None:
    with capture_events():
        async with run_site(**pair.settings) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE, 2)
            await start_tls(wire, pair.client)
            assert await wire.ask_all(b"DATA\r\nMAIL FROM:<>\r\n", 2) == [
                "503 5.5.1 No recipient has been accepted",
                GREET_FIRST,
            ]
            replies = await wire.ask_all(HELLO + b"RCPT TO:<bounces@bounce.example.com>\r\n", 2)
            assert replies[1] == "503 5.5.1 Send MAIL FROM first"


async def test_what_follows_starttls_in_its_packet_is_never_executed(pair: Pair) -> None:
    client = pair.client
    with capture_events() as lines:
        async with run_site(max_connections_per_client=1000, **pair.settings) as site:
            for length in range(1, len(INJECTED) + 1):
                wire = await site.greet()
                assert await wire.ask(b"STARTTLS\r\n" + INJECTED[:length]) == START_TLS
                await shake_hands(wire, client)
                assert await wire.ask_all(b"NOOP\r\nMAIL FROM:<>\r\n", 2) == [OK, GREET_FIRST]
                await wire.close()
    assert site.store.reports == []
    assert lines == []


@pytest.mark.parametrize("cut", range(1, len(b"STARTTLS\r\n") + 1))
async def test_however_the_packets_are_cut_nothing_in_clear_is_executed(
    pair: Pair, cut: int
) -> None:
    stream = b"STARTTLS\r\n" + INJECTED
    with capture_events() as lines:
        async with run_site(**pair.settings) as site:
            wire = await site.greet()
            await wire.send(stream[:cut])
            await asyncio.sleep(0.01)  # so that the rest is a packet of its own
            await wire.send(stream[cut:])
            assert await wire.read_reply() == START_TLS
            # What came too late for the session was taken for a handshake, and was none.
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                await shake_hands(wire, pair.client)
                assert await wire.ask_all(b"NOOP\r\nMAIL FROM:<>\r\n", 2) == [OK, GREET_FIRST]
            await wire.close()
            await site.wait_until_gone()
    assert site.store.reports == []
    assert [line["why"] for line in lines] in ([], ["tls-handshake"])


@pytest.mark.parametrize("first", [b"\r\n", b"N", b"NOOP\r\n", INJECTED])
async def test_bytes_between_the_reply_and_the_handshake_break_it(
    pair: Pair, first: bytes
) -> None:
    hello = _client_hello(pair.client)
    with capture_events() as lines:
        async with run_site(**pair.settings) as site:
            wire = await site.greet()
            assert await wire.ask(b"STARTTLS\r\n") == START_TLS
            await wire.send(first + hello)
            said = await wire.read_to_end()
            await site.wait_until_gone()
    assert b"250" not in said
    assert site.store.reports == []
    assert [line["why"] for line in lines] == ["tls-handshake"]


def _client_hello(client: ssl.SSLContext) -> bytes:
    """Return the first bytes of a handshake."""
    outgoing = ssl.MemoryBIO()
    shaking = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=NAME)
    with contextlib.suppress(ssl.SSLWantReadError):
        shaking.do_handshake()
    return outgoing.read()


# --- One pair follows another


async def test_a_renewed_pair_is_for_new_connections_and_open_ones_go_on(tmp_path: Path) -> None:
    old = issue(tmp_path)
    with capture_events():
        async with run_site(**old.settings) as site:
            early = await site.greet()
            await start_tls(early, old.client)
            waiting = await site.greet()
            new = issue(tmp_path)
            site.listener.reload_certificate()
            late = await site.greet()
            await start_tls(late, new.client)
            await start_tls(waiting, old.client)
            for wire in (early, waiting, late):
                replies = await wire.ask_all(HELLO + ENVELOPE + b"DATA\r\n.\r\n", 5)
                assert replies[-1] == "250 2.0.0 Stored safely"
            await distrust(site, old.client)


async def test_a_pair_that_does_not_fit_leaves_the_old_one_in_use(tmp_path: Path) -> None:
    old = issue(tmp_path)
    client = old.client
    with capture_events():
        async with run_site(**old.settings) as site:
            old.key_file.write_bytes(issue(tmp_path / "other").key_file.read_bytes())
            with pytest.raises(ConfigError, match="not the key of"):
                site.listener.reload_certificate()
            wire = await site.greet()
            await start_tls(wire, client)
            assert await wire.ask(b"NOOP\r\n") == OK


async def test_a_reload_of_the_settings_reads_the_pair_too(tmp_path: Path) -> None:
    pair = issue(tmp_path)
    with capture_events():
        async with run_site() as site:
            assert "STARTTLS" not in await _ask_extensions(site)
            settings = SmtpSettings.model_validate(pair.settings)
            site.listener.take(await site.listener.prepare(settings))
            assert "STARTTLS" in await _ask_extensions(site)


async def _ask_extensions(site: Site) -> str:
    wire = await site.connect()
    return (await wire.ask_all(HELLO, 2))[1]
