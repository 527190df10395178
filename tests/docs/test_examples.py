"""The Python and the Django example of docs/integrate.md against a daemon and a mail server."""

from __future__ import annotations

import asyncio
import email
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from bounced.client import AsyncClient
from tests.docs.page import read_files
from tests.e2e.process import ServeProcess, build_dsn, deliver

AUTHOR = "anna@planners.example"
EVA, TOM = "eva@builders.example", "tom@builders.example"
TOKEN = "a-secret-of-the-protocols"
MAIN = """\
import json, sys, django
django.setup()
from protocols import bounces, mails, models
"""
CONNECT_ONCE = """\
import smtplib
def connect_once(made):
    def connect(*arguments, **options):
        if made:
            raise ConnectionRefusedError("the relay is dead")
        made.append(True)
        return smtplib.SMTP(*arguments, **options)
    return property(lambda _: connect)
"""
SETTINGS = """
SECRET_KEY = "of this test"
INSTALLED_APPS = ["protocols"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
EMAIL_HOST = "127.0.0.1"
"""


@dataclass
class Sink:
    """The relay of the application: keeps each mail with its envelope, refuses some recipients."""

    port: int = 0
    mails: list[tuple[str, list[str], Message]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content)
        self.mails.append((str(envelope.mail_from), envelope.rcpt_tos, mail))
        return "250 OK"


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    kept = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(kept, hostname="relay.example"), "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    yield kept
    server.close()
    await server.wait_closed()


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServeProcess]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens").write_text(f"protocols {TOKEN}\n")
    (tmp_path / "tokens").chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(
        '[smtp]\nlisten = ["127.0.0.1:0"]\n'
        '[http]\nlisten = "127.0.0.1:0"\ntokens_file = "tokens"\n'
    )
    with ServeProcess(config) as process:
        yield process


class Application:
    """A folder with files of the page, and what its programs print."""

    def __init__(self, folder: Path, daemon: ServeProcess, sink: Sink) -> None:
        self.folder = folder
        self.folder.mkdir()
        self._real = {
            "127.0.0.1:8080": str(daemon.wait_for("started")["http"][0]),
            '"127.0.0.1", 2525': f'"127.0.0.1", {sink.port}',
            "/etc/protocols/bounced-token": str(folder / "token"),
        }

    def write(self, name: str, text: str) -> None:
        for written, real in self._real.items():
            text = text.replace(written, real)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    async def run(self, *arguments: str) -> str:
        return (await self.run_and_log(*arguments))[0]

    async def run_and_log(self, *arguments: str) -> tuple[str, str]:
        """Return what a program of the application prints, and what it logs."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=self.folder,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode(), err.decode()


async def test_the_python_example_sends_to_good_addresses_with_their_return_paths(
    tmp_path: Path, daemon: ServeProcess, sink: Sink
) -> None:
    application = Application(tmp_path / "application", daemon, sink)
    application.write("send_protocol.py", read_files()["send_protocol.py"])
    application.write("tokens", f"protocols {TOKEN}\n")
    await application.run("send_protocol.py")
    assert [recipients for _, recipients, _ in sink.mails] == [[EVA], [TOM]]

    report = build_dsn(EVA, "1@app.example", author=AUTHOR, now=datetime.now(UTC))
    assert await deliver(daemon.smtp, report, sink.mails[0][0]) == "250 2.0.0 Stored safely"
    await asyncio.to_thread(daemon.wait_for, "strike_counted")
    sink.mails.clear()
    await application.run("send_protocol.py")
    assert [recipients for _, recipients, _ in sink.mails] == [[TOM]]


@pytest.fixture
async def site(tmp_path: Path, daemon: ServeProcess, sink: Sink) -> Application:
    """Return the page's Django application."""
    site = Application(tmp_path / "site", daemon, sink)
    for name, text in read_files().items():
        if name.startswith("protocols/"):
            site.write(name, text)
    site.write(
        "settings.py", read_files()["settings.py"] + SETTINGS + f"EMAIL_PORT = {sink.port}\n"
    )
    site.write("token", f"{TOKEN}\n")
    return site


async def send(site: Application, *recipients: str) -> str:
    call = f"mails.send_protocol(4711, 'Protokoll 14', {AUTHOR!r}, {recipients!r})"
    return (await site.run("-c", f"{MAIN}print({call})")).strip()


async def list_failures(site: Application) -> object:
    """Return what the application knows, after it has read the events."""
    await site.run("-m", "django", "read_bounces")
    names = "'reference', 'recipient', 'category', 'reason'"
    rows = f"list(models.Failure.objects.values_list({names}))"
    return json.loads(await site.run("-c", f"{MAIN}print(json.dumps({rows}))"))


async def migrate(site: Application) -> None:
    await site.run("-m", "django", "makemigrations", "protocols")
    await site.run("-m", "django", "migrate")


async def test_the_django_example_sends_each_recipient_a_mail_of_his_own_and_hears_of_failures(
    site: Application, daemon: ServeProcess, sink: Sink
) -> None:
    await migrate(site)
    assert await send(site, f"Eva <{EVA}>", TOM) == "1"
    paths = [path for path, _, _ in sink.mails]
    assert [recipients for _, recipients, _ in sink.mails] == [[EVA], [TOM]]
    assert len(set(paths)) == 2
    assert all(path.endswith("@bounce.example.com") and path[0] == "s" for path in paths)
    for _, _, mail in sink.mails:
        assert mail["From"] == "Protocols of Example <protocols@example.com>"
        assert mail["To"] == f"Eva <{EVA}>, {TOM}"
    assert sink.mails[0][2]["Message-ID"] == sink.mails[1][2]["Message-ID"]

    # A report that names nobody we know: the return path tells whose failure it is.
    report = build_dsn("x@y.example", "1@app.example", author="z@y.example", now=datetime.now(UTC))
    await deliver(daemon.smtp, report, paths[0])
    await asyncio.to_thread(daemon.wait_for, "strike_counted")
    assert await list_failures(site) == [["4711", EVA, "bad-address", "user-unknown"]]
    await site.run("-c", f"{MAIN}models.Cursor.objects.update(position='')")  # as a second run
    assert await list_failures(site) == [["4711", EVA, "bad-address", "user-unknown"]]

    base_url = f"http://{daemon.wait_for('started')['http'][0]}"
    async with AsyncClient(base_url, TOKEN) as client:
        assert await client.corrected(EVA, author=AUTHOR) == 1
    assert await list_failures(site) == []


async def send_message(
    site: Application, recipients: str, *, headers: str = "", then: str = "message.send()"
) -> tuple[str, str]:
    """Return what sending a message of many kinds of recipients gives, and what is logged."""
    message = (
        "from django.core import mail\n"
        f"headers = {{'X-Protocol-Author': {AUTHOR!r}, 'X-Protocol-Id': 4711, {headers}}}\n"
        f"message = mail.EmailMultiAlternatives('Title', 'text', 'app@example.com', {recipients},"
        " headers=headers)\n"
        f"other = mail.EmailMessage('Password', 'text', 'app@example.com', [{EVA!r}])\n"
        "message.attach_alternative('<p>html</p>', 'text/html')\n"
    )
    out, log = await site.run_and_log("-c", f"{MAIN}{CONNECT_ONCE}{message}print({then})")
    return out.strip(), log


def list_signed(sink: Sink) -> list[str]:
    """Return the recipients of mails with a return path of their own."""
    return [
        recipient
        for path, recipients, _ in sink.mails
        for recipient in recipients
        if path != "bounces@bounce.example.com"
    ]


@pytest.mark.parametrize("said", ["550 5.1.1 No such user", "421 4.7.0 Too many mails"])
async def test_in_the_django_example_a_refused_recipient_does_not_stop_the_others(
    site: Application, sink: Sink, said: str
) -> None:
    await migrate(site)
    sink.refused = {TOM: said}
    out, log = await send_message(site, f"[{EVA!r}, {TOM!r}, 'Max <max@', 'max@x.example']")
    assert out == "1"
    assert list_signed(sink) == [EVA, "max@x.example"]
    assert f"protocol 4711 not sent to {TOM}: {said}\n" in log
    failures = await list_failures(site)
    assert isinstance(failures, list)
    assert ["4711", TOM, "refused", said] == failures[0]
    assert [failure[1] for failure in failures] == [TOM, "Max <max@"]


async def test_the_django_example_reports_who_is_left_when_the_relay_dies(
    site: Application, sink: Sink
) -> None:
    await migrate(site)
    sink.refused = {EVA: "421 4.3.2 Going down"}
    then = (
        "(setattr(bounces.EmailBackend, 'connection_class', connect_once([])),"
        " mail.get_connection().send_messages([message, other]))"
    )
    with pytest.raises(AssertionError, match=r"SMTPServerDisconnected: please run connect"):
        await send_message(site, f"['max@x.example', {EVA!r}, {TOM!r}]", then=then)
    assert list_signed(sink) == ["max@x.example"]
    assert await list_failures(site) == [
        ["4711", EVA, "refused", "421 4.3.2 Going down"],
        ["4711", TOM, "refused", "the relay is dead"],
    ]


async def test_the_django_example_raises_only_if_nobody_gets_the_mail(
    site: Application, sink: Sink
) -> None:
    await migrate(site)
    sink.refused = {TOM: "550 5.1.1 No such user", EVA: "550 5.1.1 No such user"}
    with pytest.raises(AssertionError, match=r"SMTPRecipientsRefused.*No such user"):
        await send_message(site, f"[{EVA!r}, {TOM!r}]")
    assert await list_failures(site) == []
    quiet = "message.send(fail_silently=True)"
    assert (await send_message(site, f"[{EVA!r}, {TOM!r}]", then=quiet))[0] == "0"
    failures = [["4711", each, "refused", "550 5.1.1 No such user"] for each in (EVA, TOM)]
    assert await list_failures(site) == failures


async def test_the_django_example_registers_what_a_person_would_write(
    site: Application, sink: Sink
) -> None:
    headers = f"'X-Protocol-Author': 'Anna <{AUTHOR}>', 'Content-Language': 'de-AT'"
    out, log = await send_message(site, f"[{EVA!r}], bcc=['Tom <{TOM}>']", headers=headers)
    assert (out, log) == ("1", "")
    assert list_signed(sink) == [EVA, TOM]
    for _, _, mail in sink.mails:
        assert (mail["To"], mail["Bcc"]) == (EVA, None)
        assert [part.get_content_type() for part in mail.walk()] == [
            "multipart/alternative",
            "text/plain",
            "text/html",
        ]


async def test_the_django_example_logs_an_error_where_the_api_refuses_a_mail(
    site: Application, sink: Sink
) -> None:
    out, log = await send_message(site, f"[{EVA!r}, 'Max', {TOM!r}]")
    assert out == "1"
    assert "1 of 3 mails go by way A: [1].recipients" in log
    assert list_signed(sink) == [EVA, TOM]
    assert len(sink.mails) == 3


async def test_the_django_example_registers_more_than_a_thousand(
    site: Application,
) -> None:
    recipients = "[f'r{n}@builders.example' for n in range(1001)]"
    then = "bounces.add_return_paths([message]), len(set(message.return_paths.values()))"
    assert await send_message(site, recipients, then=then) == ("None 1001", "")


async def test_a_message_of_the_django_example_keeps_its_return_paths_when_sent_again(
    site: Application, sink: Sink
) -> None:
    await send_message(site, f"[{EVA!r}]", then="message.send() + message.send()")
    first, second = sink.mails
    assert first[0] == second[0]
    assert first[2]["Message-ID"] == second[2]["Message-ID"]


async def test_the_django_example_sends_on_while_the_daemon_is_away(
    site: Application, daemon: ServeProcess, sink: Sink
) -> None:
    daemon.stop()
    await check_way_a(site, sink, "bounced is away, mails go by way A: no answer: ")


async def test_the_django_example_sends_on_while_the_daemon_hangs(
    site: Application, sink: Sink
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = (site.folder / "settings.py").read_text()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        site.write("settings.py", f"{settings}BOUNCED['url'] = {url!r}\n")
        await check_way_a(site, sink, "bounced is away, mails go by way A: no answer: ")


async def test_the_django_example_sends_on_without_its_token(
    site: Application, sink: Sink
) -> None:
    (site.folder / "token").write_text("a-secret-that-nobody-knows")
    await check_way_a(site, sink, "bounced does not register mails, they go by way A: 401")
    (site.folder / "token").unlink()
    await check_way_a(site, sink, "bounced does not register mails, they go by way A: [Errno 2]")


async def check_way_a(site: Application, sink: Sink, logged: str) -> None:
    sink.mails.clear()
    out, log = await send_message(site, f"[{EVA!r}, {TOM!r}]")
    assert out == "1"
    assert logged in log
    assert [(path, recipients) for path, recipients, _ in sink.mails] == [
        ("bounces@bounce.example.com", [EVA]),
        ("bounces@bounce.example.com", [TOM]),
    ]
    assert {mail["X-Protocol-Author"] for _, _, mail in sink.mails} == {AUTHOR}


async def test_reading_the_events_in_the_django_example_tells_in_a_line_that_it_failed(
    site: Application, daemon: ServeProcess
) -> None:
    await migrate(site)
    daemon.stop()
    with pytest.raises(AssertionError, match=r"^CommandError: bounced: no answer: "):
        await list_failures(site)


async def test_the_django_example_leaves_other_mails_alone(site: Application, sink: Sink) -> None:
    mail = f"send_mail('Hello', 'x', 'app@example.com', [{EVA!r}, {TOM!r}])"
    await site.run("-c", f"{MAIN}from django.core.mail import send_mail\n{mail}")
    assert [(path, recipients) for path, recipients, _ in sink.mails] == [
        ("app@example.com", [EVA, TOM])
    ]
