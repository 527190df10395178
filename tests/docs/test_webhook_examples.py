"""The receivers of webhooks on the page take what bounced sends, and nothing else."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from bounced.config import WebhookSettings
from bounced.ledger import authors, webhooks
from bounced.ledger.engine import Ledger
from bounced.ledger.writer import Writer
from bounced.web.signing import parse_signing_secrets, sign
from bounced.web.webhooks import WebhookSender
from tests.docs.page import PAGE, read_files
from tests.ledger.office import Office

SECRET = f"whsec_{'A' * 43}="
NEW = "max.muster@kunde.example"
TOLD = b"corrected max@kunde.example max.muster@kunde.example"


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def write_python(folder: Path, port: int) -> tuple[str, ...]:
    (folder / "hear.py").write_text(read_files()["hear.py"].replace("8081", str(port)))
    return sys.executable, "hear.py"


def write_php(folder: Path, port: int) -> tuple[str, ...]:
    php = shutil.which("php")
    if php is None:
        pytest.skip("php is missing")
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(r"^```php\n(<\?php // hear\.php\n.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert found is not None
    (folder / "hear.php").write_text(found[1])
    return php, "-S", f"127.0.0.1:{port}", "hear.php"


@asynccontextmanager
async def run(folder: Path, port: int, *command: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run a receiver of the page; gives what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("write", [write_python, write_php])
async def test_a_receiver_of_the_page_takes_what_is_signed_and_refuses_the_rest(
    write: Callable[[Path, int], tuple[str, ...]], tmp_path: Path, sqlite_url: str
) -> None:
    port = find_port()
    secret_file = tmp_path / "webhook-secret"
    secret_file.write_text(f"{SECRET}\n")
    office = Office(Ledger(sqlite_url), now=datetime.now(UTC))
    case = office.fail("a").case
    office.ledger.write(
        lambda c: authors.correct_case(
            c, case, NEW, office.now, webhook=True, new_id=office.new_id
        )
    )
    url = f"http://127.0.0.1:{port}"
    settings = WebhookSettings.model_validate({"url": url, "secret_file": str(secret_file)})
    writer = Writer(office.ledger)
    sender = WebhookSender(writer, settings, clock=lambda: office.now)
    async with run(tmp_path, port, *write(tmp_path, port)) as output:
        assert await sender.send_due(office.now) == 1
        async with asyncio.timeout(20):
            while TOLD not in (line := await output.readline()):
                assert line, "it has ended"
        forged = sign("1", office.now, b"{}", parse_signing_secrets(f"whsec_{'B' * 43}="))
        old = sign("1", datetime(2026, 1, 1, tzinfo=UTC), b"{}", parse_signing_secrets(SECRET))
        async with httpx2.AsyncClient(trust_env=False) as client:
            answers = [
                (await client.post(url, content=b"{}", headers=headers)).status_code
                for headers in (forged, old, {})
            ]
    (row,) = office.ledger.read(webhooks.list_webhooks)
    writer.stop()
    office.ledger.close()
    assert (row["state"], row["detail"], answers) == ("sent", "HTTP 204", [401, 401, 401])
