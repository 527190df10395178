"""The page of a domain's case in a real browser: what it copies, and for whom it is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bounced.diagnosis import DnsRecord
from tests.ledger.office import SPF
from tests.web.chromium import Browser, needs_browser
from tests.web.conftest import House
from tests.web.diagnoses import DMARC, MERGE_SPF, NEW, NOT_CHECKED, OLD, OURS, PUBLISH_DKIM
from tests.web.told import tell

pytestmark = needs_browser

FOCUSED = "document.activeElement.dataset.copies"
BUTTON = "document.querySelector('[data-copies=value-1]')"
CLIPBOARD = "navigator.clipboard.readText()"
STRANGE = replace(
    MERGE_SPF,
    records=(
        DnsRecord("bau.example", "TXT", '"v=spf1 <b>&amp;\' -all" "{{ 7 }}\\"', OLD),
        DnsRecord("s1._domainkey.bau.example", "CNAME", "javascript:alert(1)"),
    ),
)
LONG = replace(
    MERGE_SPF,
    records=(
        DnsRecord("bau.example", "TXT", f'"v=spf1 {"x" * 240}" "-all"', f"{OLD}\n{'y ' * 120}"),
        DMARC,
    ),
)


@pytest.fixture
async def copier(site: str, browser: Browser) -> Browser:
    """Return a browser that runs scripts and lets a test read its clipboard."""
    await browser.call("Emulation.setScriptExecutionDisabled", value=False)
    await browser.call("Emulation.setFocusEmulationEnabled", enabled=True)
    # What is not named here is denied.
    named = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    await browser.call("Browser.grantPermissions", origin=site, permissions=named)
    return browser


async def wait_until(browser: Browser, condition: str) -> None:
    """Wait until it is so in the page."""
    assert await browser.evaluate(f"""new Promise(done => {{
      const look = () => ({condition}) ? done(true) : requestAnimationFrame(look);
      look();
    }})""")


async def tab_to(browser: Browser, what: str) -> None:
    """Press Tab until the button has the focus that copies `what`."""
    for _ in range(20):
        await browser.press("Tab")
        if await browser.evaluate(FOCUSED) == what:
            return
    pytest.fail(f"no button copies {what}")


async def test_with_the_keyboard_each_button_copies_exactly_what_stands_there(
    sqlite_house: House, site: str, copier: Browser
) -> None:
    await copier.open(site + tell(sqlite_house, verdict=SPF, diagnosis=STRANGE).page)
    one, other = STRANGE.records
    copied = {
        "name-1": one.name,
        "short-1": "@",
        "value-1": one.value,
        "name-2": other.name,
        "short-2": "s1._domainkey",
        "value-2": other.value,
        "message": await copier.evaluate("document.getElementById('message').textContent"),
    }
    for number, (what, expected) in enumerate(copied.items()):
        await tab_to(copier, what)
        await copier.press("Space" if number % 2 else "Enter")
        await wait_until(copier, "document.activeElement.textContent === 'Kopiert'")
        assert await copier.evaluate(CLIPBOARD) == expected
    assert one.value in copied["message"]
    assert copier.complaints == []


async def test_a_button_says_that_it_has_copied_and_then_what_it_is_for(
    sqlite_house: House, site: str, copier: Browser
) -> None:
    told = tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF)
    await copier.open(f"{site}{told.page}?language=en")
    spoken = "document.querySelector('#copied[role=status]').textContent"
    assert await copier.evaluate(f"[{BUTTON}.textContent, {spoken}]") == ["Copy the value", ""]
    await copier.walk("Copy the value")
    await copier.press("Enter")
    await wait_until(copier, f"{BUTTON}.textContent === 'Copied' && {spoken} === 'Copied'")
    await wait_until(copier, f"{BUTTON}.textContent === 'Copy the value' && {spoken} === ''")
    assert await copier.evaluate(FOCUSED) == "value-1"


async def test_where_the_browser_refuses_to_copy_the_text_is_selected(
    sqlite_house: House, site: str, copier: Browser
) -> None:
    await copier.call(
        "Browser.setPermission",
        origin=site,
        permission={"name": "clipboard-write"},
        setting="denied",
    )
    await copier.open(site + tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF).page)
    await tab_to(copier, "value-1")
    await copier.press("Enter")
    await wait_until(copier, "String(getSelection()) !== ''")
    assert await copier.evaluate("String(getSelection()).trim()") == NEW
    assert await copier.evaluate(f"{BUTTON}.textContent") == "Wert kopieren"


async def test_without_scripts_there_are_no_buttons_and_all_can_be_selected(
    sqlite_house: House, site: str, browser: Browser
) -> None:
    await browser.open(site + tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF).page)
    assert await browser.walk("Ist in Ordnung gebracht") == [
        "Zum fertigen Text für Ihren Webhoster oder Ihre IT",
        "E-Mail mit diesem Text öffnen",
        "Einzelheiten für Ihre IT (auf Englisch)",
        "Ist in Ordnung gebracht",
    ]
    shown = await browser.evaluate(
        "[...document.querySelectorAll('[data-copies]')].map(it => it.offsetParent === null)"
    )
    assert shown == [True] * 7
    chosen = await browser.evaluate(
        "[...document.querySelectorAll('dd code, pre')].map(it => getComputedStyle(it).userSelect)"
    )
    assert set(chosen) == {"all"}


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("look", [("light", 800), ("dark", 360)])
async def test_advice_is_for_everyone(
    sqlite_house: House, site: str, browser: Browser, language: str, look: tuple[str, int]
) -> None:
    """By axe-core, contrast included; nothing stands outside the width of a small telephone."""
    scheme, width = look
    told = tell(sqlite_house, verdict=SPF, sends=2)
    await browser.call("Emulation.setScriptExecutionDisabled", value=False)
    await browser.look(scheme=scheme, width=width)
    for name, diagnosis in DIAGNOSES.items():
        told.diagnose(diagnosis)
        await browser.open(f"{site}{told.page}?language={language}")
        await browser.evaluate(
            "document.querySelectorAll('details').forEach(it => it.open = true)"
        )
        assert await browser.list_barriers(width) == [], name
        await browser.keep_picture(f"advice-{name}-{language}-{scheme}-{width}")
    told.pass_dns()
    await browser.open(f"{site}{told.page}?language={language}")
    assert await browser.list_barriers(width) == [], "passed"
    await browser.keep_picture(f"advice-passed-{language}-{scheme}-{width}")
    assert browser.complaints == []


DIAGNOSES = {
    "not-checked": NOT_CHECKED,
    "publish-dkim": PUBLISH_DKIM,
    "merge-spf": LONG,
    "ours": OURS,
}
