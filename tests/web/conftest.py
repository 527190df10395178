"""The application on a real ledger, its tokens in a file, its clock in the test's hand."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest
from starlette.applications import Starlette

from bounced.ledger.engine import Ledger
from bounced.ledger.policy import PolicySettings
from bounced.ledger.writer import Writer
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing
from bounced.web.api import Api
from bounced.web.app import make_app
from bounced.web.metrics import EventCounter
from bounced.web.pages.settings import PageSettings
from bounced.web.server import HttpServer
from bounced.web.tokens import TokenFile
from bounced.words.catalogue import load_words
from tests.web.chromium import Browser, open_browser

TOKEN = "shop-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAGES = PageSettings(
    words=load_words(None),
    language="de",
    zone=ZoneInfo("Europe/Berlin"),
    ttl_days=60,
    application="Bautagebuch",
    quote_subject=True,
    webhook=True,
    from_address="",
    check_interval=timedelta(days=1),
)


@dataclass
class House:
    """What a daemon would give to the web, for a test to turn at."""

    ledger: Ledger
    writer: Writer
    tokens: TokenFile | None
    now: datetime = NOON
    faults: list[str] = field(default_factory=list)
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    body_timeout: timedelta = timedelta(seconds=5)
    events: EventCounter = field(default_factory=EventCounter)
    pages: PageSettings | None = PAGES
    ring: KeyRing = field(default_factory=lambda: KeyRing((Key("a", bytes(32), NOON.date()),)))

    def make_app(self) -> Starlette:
        """Return the application; what it is asked for is looked up here at each request."""
        return make_app(
            Api(
                ledger=self.ledger,
                writer=self.writer,
                admission=lambda: (AdmissionSettings(domains=("bounce.example.com",)), self.ring),
                policy=PolicySettings,
                tokens=lambda: self.tokens,
                faults=lambda: self.faults,
                events=self.events,
                clock=lambda: self.now,
                new_id=lambda: f"{next(self.ids):016x}",
                body_timeout=self.body_timeout,
                pages=lambda: self.pages,
            )
        )


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    """Return a file with one token, `shop`."""
    path = tmp_path / "tokens"
    path.write_text(f"shop {TOKEN}\n")
    return path


@pytest.fixture
def house(ledger: Ledger, tokens_file: Path) -> Iterator[House]:
    """Return a house on an empty ledger, once on each database."""
    yield from open_house(ledger, tokens_file)


@pytest.fixture
def sqlite_house(sqlite_url: str, tokens_file: Path) -> Iterator[House]:
    """Return a house for what does not depend on the database."""
    ledger = Ledger(sqlite_url)
    yield from open_house(ledger, tokens_file)
    ledger.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client with a token."""
    async with make_client(house) as opened:
        yield opened


@pytest.fixture
async def sqlite_client(sqlite_house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client with a token, for what does not depend on the database."""
    async with make_client(sqlite_house) as opened:
        yield opened


@pytest.fixture
async def site(sqlite_house: House) -> AsyncIterator[str]:
    """Return the root of the pages, served by a real server."""
    server = HttpServer(sqlite_house.make_app())
    await server.start("127.0.0.1:0")
    yield f"http://{server.addresses[0]}"
    await server.stop(timedelta(seconds=1))


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """Return a browser that runs no page's scripts."""
    async with open_browser(tmp_path / "profile") as opened:
        await opened.call("Emulation.setScriptExecutionDisabled", value=True)
        yield opened


def open_house(ledger: Ledger, tokens_file: Path) -> Iterator[House]:
    """Open a house and close it."""
    writer = Writer(ledger)
    yield House(ledger, writer, TokenFile(tokens_file))
    writer.stop()


def make_client(house: House) -> httpx2.AsyncClient:
    """Return a client of the application itself, without sockets."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(house.make_app()),
        base_url="http://bounced.test",
        headers=BEARER,
    )
