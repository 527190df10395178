"""The Python and the Django example of docs/integrate.md against a daemon and a mail server."""

from __future__ import annotations

import asyncio
import email
import json
import os
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
    """The relay of the application: keeps each mail with its envelope."""

    port: int = 0
    mails: list[tuple[str, list[str], Message]] = field(default_factory=list)

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
        return out.decode()


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


async def test_the_django_example_sends_each_recipient_a_mail_of_his_own_and_hears_of_failures(
    site: Application, daemon: ServeProcess, sink: Sink
) -> None:
    await site.run("-m", "django", "makemigrations", "protocols")
    await site.run("-m", "django", "migrate")
    assert await send(site, f"Eva <{EVA}>", TOM) == "2"
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
    assert await list_failures(site) == [["4711", EVA, "bad-address", "user-unknown"]]
    known = await site.run("-c", f"{MAIN}print(bounces.find_known_bad([{EVA!r}, {TOM!r}]))")
    assert known.strip() == str({EVA})

    base_url = f"http://{daemon.wait_for('started')['http'][0]}"
    async with AsyncClient(base_url, TOKEN) as client:
        assert await client.corrected(EVA, author=AUTHOR) == 1
    assert await list_failures(site) == []


async def test_the_django_example_sends_on_while_the_daemon_is_away(
    site: Application, daemon: ServeProcess, sink: Sink
) -> None:
    daemon.stop()
    assert await send(site, EVA, TOM) == "2"
    assert [(path, recipients) for path, recipients, _ in sink.mails] == [
        ("bounces@bounce.example.com", [EVA]),
        ("bounces@bounce.example.com", [TOM]),
    ]
    assert {mail["X-Protocol-Author"] for _, _, mail in sink.mails} == {AUTHOR}
    known = await site.run("-c", f"{MAIN}print(bounces.find_known_bad([{EVA!r}]))")
    assert known.strip() == "set()"


async def test_the_django_example_leaves_other_mails_alone(site: Application, sink: Sink) -> None:
    mail = f"send_mail('Hello', 'x', 'app@example.com', [{EVA!r}, {TOM!r}])"
    await site.run("-c", f"{MAIN}from django.core.mail import send_mail\n{mail}")
    assert [(path, recipients) for path, recipients, _ in sink.mails] == [
        ("app@example.com", [EVA, TOM])
    ]
