"""The pages in a real browser: with the keyboard alone, without scripts, for everyone to read.

`tests/web/install-browser` prepares what is needed. BOUNCED_SCREENSHOTS names a folder for pictures.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bounced.web.server import HttpServer
from tests.web.chromium import CHROMIUM, Browser, open_browser
from tests.web.conftest import House
from tests.web.told import RIGHT, WRONG, Told, tell

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bounced"
AXE = next(iter(sorted(CACHE.glob("axe-core-*.js"))), None)
REQUIRED = "BOUNCED_REQUIRE_BROWSER" in os.environ
SCREENSHOTS = os.environ.get("BOUNCED_SCREENSHOTS")

pytestmark = pytest.mark.skipif(
    not REQUIRED and (CHROMIUM is None or AXE is None),
    reason="no browser: run tests/web/install-browser",
)

FOCUSED = """(() => {
  const it = document.activeElement, seen = getComputedStyle(it).outlineStyle !== "none";
  return [it.labels?.[0]?.textContent ?? it.textContent, seen];
})()"""
HEADING = "document.querySelector('h1').textContent"
CHECK = """axe.run().then(found => found.violations.map(
  one => `${one.id}: ${one.nodes.map(node => node.html).join(" ")}`))"""


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


async def walk(browser: Browser, stop: str) -> list[str]:
    """Press Tab until something has the focus; return what had it on the way, seen each time."""
    names: list[str] = []
    while stop not in names:
        await browser.press("Tab")
        name, seen = await browser.evaluate(FOCUSED)
        assert seen, f"nothing shows that {name} has the focus"
        names.append(" ".join(name.split()))
        assert len(names) < 20, names
    return names


async def test_an_address_is_corrected_with_the_keyboard_alone(
    sqlite_house: House, site: str, browser: Browser
) -> None:
    told = tell(sqlite_house, suggestion=RIGHT)
    await browser.open(site + told.page)
    assert await browser.evaluate("document.activeElement.tagName") == "BODY"
    assert await walk(browser, "Richtige E-Mail-Adresse") == [
        f"{RIGHT} ist richtig",
        "Richtige E-Mail-Adresse",
    ]
    await browser.write("max@gmail,example")
    await browser.press_and_load("Enter")
    assert await walk(browser, "Richtige E-Mail-Adresse") == [
        "Die Adresse konnte nicht übernommen werden",
        f"{RIGHT} ist richtig",
        "Richtige E-Mail-Adresse",
    ]
    assert await browser.evaluate("document.activeElement.value") == "max@gmail,example"
    await browser.evaluate("document.activeElement.select()")
    await browser.write("eva@gmail.example")
    assert await walk(browser, "Adresse berichtigen") == ["Adresse berichtigen"]
    await browser.press_and_load("Enter")
    assert await browser.evaluate(HEADING) == "Danke, die richtige Adresse ist notiert"
    assert told.find_case() == ("closed", "corrected", "eva@gmail.example")
    assert browser.complaints == [
        "Failed to load resource: the server responded with a status of 422 (Unprocessable Entity)"
    ]


async def test_the_suggestion_is_one_key_away(
    sqlite_house: House, site: str, browser: Browser
) -> None:
    told = tell(sqlite_house, suggestion=RIGHT)
    await browser.open(site + told.page)
    await walk(browser, f"{RIGHT} ist richtig")
    await browser.press_and_load("Space")
    assert told.find_case() == ("closed", "corrected", RIGHT)
    assert browser.complaints == []


async def test_notices_are_stopped_and_sent_again_with_the_keyboard_alone(
    sqlite_house: House, site: str, browser: Browser
) -> None:
    told = tell(sqlite_house)
    await browser.open(f"{site}{told.page}?language=en")
    assert await walk(browser, "Stop sending these notices") == [
        "Correct email address",
        "Correct the address",
        "The address is right, please keep trying",
        "Stop sending these notices",
    ]
    await browser.press_and_load("Enter")
    await walk(browser, "Stop sending these notices")
    await browser.press_and_load("Space")
    assert await browser.evaluate(HEADING) == "You will receive no more notices"
    assert await walk(browser, "Deutsch") == [
        "Send notices again",
        "Back to the notice",
        "Deutsch",
    ]
    await browser.press_and_load("Enter")
    await walk(browser, "Hinweise wieder senden")
    await browser.press_and_load("Enter")
    assert await browser.evaluate(HEADING) == "Hinweise auf nicht zugestellte Protokolle"
    assert told.office.dump("authors")["authors"][0][-1] is None
    assert browser.complaints == []


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("look", [("light", 800), ("dark", 360)])
async def test_every_page_is_for_everyone(
    sqlite_house: House, site: str, browser: Browser, language: str, look: tuple[str, int]
) -> None:
    """By axe-core, contrast included; nothing stands outside the width of a small telephone."""
    scheme, width = look
    told = tell(sqlite_house, sends=12, suggestion=RIGHT)
    await browser.call("Emulation.setScriptExecutionDisabled", value=False)  # for axe itself
    await browser.look(scheme=scheme, width=width)
    async for name in visit_all(browser, sqlite_house, told, site, f"?language={language}"):
        await browser.evaluate(read_axe())
        assert await browser.evaluate(CHECK) == [], name
        assert await browser.evaluate("document.documentElement.scrollWidth") <= width, name
        if SCREENSHOTS:
            picture = Path(SCREENSHOTS) / f"{name}-{language}-{scheme}-{width}.png"
            picture.write_bytes(await browser.photograph())


async def visit_all(
    browser: Browser, house: House, told: Told, site: str, query: str
) -> AsyncIterator[str]:
    """Go from page to page; yield the name of each."""
    page, settings = site + told.page + query, site + told.settings + query
    await browser.open(page)
    yield "case"
    await send_text(browser, WRONG)
    yield "slip"
    await browser.open(settings)
    yield "settings"
    await press_button(browser)
    yield "declined"
    await browser.open(page)
    await press_button(browser)
    yield "done"
    await browser.open(f"{site}/n/x")
    yield "unknown"
    await browser.open(f"{site}/n/preview")
    yield "preview"
    house.now += timedelta(days=61)
    await browser.open(page)
    yield "expired"


async def send_text(browser: Browser, text: str) -> None:
    """Send a text as the new address."""
    await browser.evaluate("document.querySelector('#new_recipient').focus()")
    await browser.write(text)
    await browser.press_and_load("Enter")


async def press_button(browser: Browser) -> None:
    """Press the first button."""
    await browser.evaluate("document.querySelector('button').focus()")
    await browser.press_and_load("Enter")


def read_axe() -> Any:
    assert AXE is not None
    return AXE.read_text(encoding="utf-8")
