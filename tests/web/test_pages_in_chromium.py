"""The pages in a real browser: with the keyboard alone, without scripts, for everyone to read.

`tests/web/install-browser` prepares what is needed. BOUNCED_SCREENSHOTS names a folder for pictures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.web.chromium import Browser, needs_browser
from tests.web.conftest import House
from tests.web.told import RIGHT, WRONG, Told, tell

pytestmark = needs_browser

HEADING = "document.querySelector('h1').textContent"


async def test_an_address_is_corrected_with_the_keyboard_alone(
    sqlite_house: House, site: str, browser: Browser
) -> None:
    told = tell(sqlite_house, suggestion=RIGHT)
    await browser.open(site + told.page)
    assert await browser.evaluate("document.activeElement.tagName") == "BODY"
    assert await browser.walk("Richtige E-Mail-Adresse") == [
        f"{RIGHT} ist richtig",
        "Richtige E-Mail-Adresse",
    ]
    await browser.write("max@gmail,example")
    await browser.press_and_load("Enter")
    assert await browser.walk("Richtige E-Mail-Adresse") == [
        "Die Adresse konnte nicht übernommen werden",
        f"{RIGHT} ist richtig",
        "Richtige E-Mail-Adresse",
    ]
    assert await browser.evaluate("document.activeElement.value") == "max@gmail,example"
    await browser.evaluate("document.activeElement.select()")
    await browser.write("eva@gmail.example")
    assert await browser.walk("Adresse berichtigen") == ["Adresse berichtigen"]
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
    await browser.walk(f"{RIGHT} ist richtig")
    await browser.press_and_load("Space")
    assert told.find_case() == ("closed", "corrected", RIGHT)
    assert browser.complaints == []


async def test_notices_are_stopped_and_sent_again_with_the_keyboard_alone(
    sqlite_house: House, site: str, browser: Browser
) -> None:
    told = tell(sqlite_house)
    await browser.open(f"{site}{told.page}?language=en")
    assert await browser.walk("Stop sending these notices") == [
        "Correct email address",
        "Correct the address",
        "The address is right, please keep trying",
        "Stop sending these notices",
    ]
    await browser.press_and_load("Enter")
    await browser.walk("Stop sending these notices")
    await browser.press_and_load("Space")
    assert await browser.evaluate(HEADING) == "You will receive no more notices"
    assert await browser.walk("Deutsch") == [
        "Send notices again",
        "Back to the notice",
        "Deutsch",
    ]
    await browser.press_and_load("Enter")
    await browser.walk("Hinweise wieder senden")
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
        assert await browser.list_barriers(width) == [], name
        await browser.keep_picture(f"{name}-{language}-{scheme}-{width}")


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
