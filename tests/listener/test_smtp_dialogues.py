"""Plays each file of dialogues/ against a real socket.

set KEY = JSON    a key of [smtp], before the first other line
lmtp              speak to the LMTP port
c -> TEXT         send TEXT and CRLF; {token}, {expired}, {forged}, {long:N} are filled in,
                  and {cr} and {lf}, which are bare
c <- TEXT         the next line is TEXT
c <~ TEXT         the next line begins with TEXT
c <... TEXT       the next reply, of one or many lines, ends with a line that begins with TEXT
c closed          the server has hung up
stored ADDRESS... these envelope recipients are stored, in this order
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.listener.wire import EXPIRED, FORGED, TOKEN, Site, Wire, capture_events, run_site

DIALOGUES = sorted((Path(__file__).parent / "dialogues").glob("*.txt"))


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
async def test_dialogue(path: Path) -> None:
    lines = read_lines(path)
    settings, lmtp = read_settings(lines)
    with capture_events():
        async with run_site(**settings) as site:
            wire = await site.connect(lmtp=lmtp)
            for line in lines:
                await play(line, wire, site)


def read_lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line and line[0] != "#"]


def read_settings(lines: list[str]) -> tuple[dict[str, Any], bool]:
    settings: dict[str, Any] = {}
    while lines[0].startswith("set "):
        key, _, value = lines.pop(0).removeprefix("set ").partition(" = ")
        settings[key] = json.loads(value)
    lmtp = lines[0] == "lmtp"
    if lmtp:
        lines.pop(0)
        settings["lmtp_listen"] = ("127.0.0.1:0",)
    return settings, lmtp


async def play(line: str, wire: Wire, site: Site) -> None:
    match line.split(" ", 2):
        case ["c", "->", *text]:
            await wire.send(fill(text[0] if text else "").encode() + b"\r\n")
        case ["c", "<-", text]:
            assert await wire.read_line() == text
        case ["c", "<~", text]:
            assert (await wire.read_line())[: len(text)] == text
        case ["c", "<...", text]:
            assert (await wire.read_reply()).splitlines()[-1][: len(text)] == text
        case ["c", "closed"]:
            assert await wire.read_to_end() == b""
        case ["stored", *addresses]:
            expected = fill(" ".join(addresses)).split()
            assert [report.envelope_recipient for report in site.store.reports] == expected
        case _:
            raise AssertionError(f"not a line of a dialogue: {line}")


def fill(text: str) -> str:
    for name, value in (
        ("token", TOKEN),
        ("expired", EXPIRED),
        ("forged", FORGED),
        ("cr", "\r"),
        ("lf", "\n"),
    ):
        text = text.replace("{" + name + "}", value)
    return re.sub(r"\{long:(\d+)\}", lambda match: "x" * int(match[1]), text)


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) > 10
