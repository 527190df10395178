"""A browser without a screen, driven through the DevTools protocol over two pipes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bounced"
AXE = next(iter(sorted(CACHE.glob("axe-core-*.js"))), None)
SCREENSHOTS = os.environ.get("BOUNCED_SCREENSHOTS")
needs_browser = pytest.mark.skipif(
    "BOUNCED_REQUIRE_BROWSER" not in os.environ and (CHROMIUM is None or AXE is None),
    reason="no browser: run tests/web/install-browser",
)

FOCUSED = """(() => {
  const it = document.activeElement, seen = getComputedStyle(it).outlineStyle !== "none";
  return [it.labels?.[0]?.textContent ?? it.textContent, seen];
})()"""
CHECK = """axe.run().then(found => found.violations.map(
  one => `${one.id}: ${one.nodes.map(node => node.html).join(" ")}`))"""
ANSWER_S = 30.0
KEYS = {
    "Tab": {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
    "Enter": {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
    "Space": {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
}


class Browser:
    """One page of a browser."""

    def __init__(self, reader: asyncio.StreamReader, requests: int) -> None:
        self._reader, self._requests = reader, requests
        self._numbers = itertools.count(1)
        self._session: dict[str, str] = {}
        self._loaded = ""
        self.complaints: list[str] = []
        """What the console said: of a Content-Security-Policy, of a missing file."""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser for something and return its answer."""
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._requests, json.dumps(asked).encode() + b"\0")
        async with asyncio.timeout(ANSWER_S):
            while (said := await self._read()).get("id") != number:
                pass
        return dict(said["result"])

    async def attach(self) -> None:
        """Take hold of the first page."""
        targets = (await self.call("Target.getTargets"))["targetInfos"]
        (target,) = (each["targetId"] for each in targets if each["type"] == "page")
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.setLifecycleEventsEnabled", enabled=True)

    async def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        navigation = await self.call("Page.navigate", url=url)
        await self._wait_until(lambda: self._loaded == navigation["loaderId"])

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", **KEYS[key])
        await self.call("Input.dispatchKeyEvent", type="keyUp", **KEYS[key])

    async def press_and_load(self, key: str) -> None:
        """Press a key that leads to another page."""
        before = self._loaded
        await self.press(key)
        await self._wait_until(lambda: self._loaded != before)

    async def write(self, text: str) -> None:
        """Write into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression yields in the page; the page's own policy does not bind us."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def look(self, *, scheme: str, width: int, height: int = 900) -> None:
        """Take on a colour scheme and a size."""
        await self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=True,
        )

    async def photograph(self) -> bytes:
        """Return a picture of the whole page (PNG)."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    async def walk(self, stop: str) -> list[str]:
        """Press Tab until something has the focus; return what had it on the way, seen each time."""
        names: list[str] = []
        while stop not in names:
            await self.press("Tab")
            name, seen = await self.evaluate(FOCUSED)
            assert seen, f"nothing shows that {name} has the focus"
            names.append(" ".join(name.split()))
            assert len(names) < 20, names
        return names

    async def list_barriers(self, width: int) -> list[str]:
        """Return what keeps anybody from using the page, by axe-core, and what is too wide."""
        assert AXE is not None
        await self.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = await self.evaluate(CHECK)
        wide = await self.evaluate("document.documentElement.scrollWidth")
        return found if wide <= width else [*found, f"{wide} pixels wide"]

    async def keep_picture(self, name: str) -> None:
        """Write a picture of the page where BOUNCED_SCREENSHOTS asks for pictures."""
        if SCREENSHOTS:
            (Path(SCREENSHOTS) / f"{name}.png").write_bytes(await self.photograph())

    async def _wait_until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(ANSWER_S):
            while not is_so():
                await self._read()

    async def _read(self) -> dict[str, Any]:
        """Read one answer or event."""
        said: dict[str, Any] = json.loads((await self._reader.readuntil(b"\0"))[:-1])
        assert "error" not in said, said
        told = said.get("params", {})
        if said.get("method") == "Page.lifecycleEvent" and told["name"] == "load":
            self._loaded = told["loaderId"]
        elif said.get("method") == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        return said


@contextlib.asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Browser]:
    """Start a browser of its own profile; it is gone afterwards."""
    assert CHROMIUM is not None
    requests_read, requests_write = os.pipe()
    answers_read, answers_write = os.pipe()
    # The protocol's pipes are descriptors 3 and 4.
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f'exec "$@" 3<&{requests_read} 4>&{answers_write}',
        "bash",
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",  # as root
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        pass_fds=(requests_read, answers_write),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(requests_read)
    os.close(answers_write)
    reader = asyncio.StreamReader(limit=2**26)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers_read, "rb")
    )
    browser = Browser(reader, requests_write)
    try:
        await browser.attach()
        yield browser
        await browser.call("Browser.close")
    finally:
        os.close(requests_write)
        transport.close()
        async with asyncio.timeout(ANSWER_S):
            await process.wait()
