"""A flood of refusals is a few lines and a count, however many clients take part."""

from __future__ import annotations

import asyncio
import ipaddress

from bounced.listener.client import Client
from bounced.listener.refusals import LINES, MAX_LINES, RefusalLog
from tests.listener.wire import FOREIGN, capture_events, run_site


def client(address: str) -> Client:
    return Client(ipaddress.ip_address(address), own_relay=False)


async def test_the_first_refusals_are_written_and_the_others_counted() -> None:
    log = RefusalLog()
    with capture_events() as lines:
        for _ in range(LINES + 5):
            log.write(client("192.0.2.1"), "syntax", reply="501", sender="a@example.org")
        log.write(client("192.0.2.1"), "timeout", reply=None)
        log.write(client("192.0.2.2"), "syntax", reply="501")
        assert len(lines) == LINES + 2
        log.settle()
    assert lines[0] == {
        "event": "smtp_refused",
        "log_level": "info",
        "why": "syntax",
        "client": "192.0.2.1",
        "sender": "a@example.org",
        "reply": "501",
    }
    assert lines[LINES + 2 :] == [
        {
            "event": "smtp_refused",
            "log_level": "info",
            "why": "syntax",
            "client": "192.0.2.1",
            "times": 5,
        }
    ]


async def test_each_period_begins_anew_by_itself() -> None:
    log = RefusalLog(period_s=0.02)
    with capture_events() as lines:
        for _ in range(LINES + 1):
            log.write(client("192.0.2.1"), "syntax", reply=None)
        while not any("times" in line for line in lines):  # noqa: ASYNC110 - a timer writes it
            await asyncio.sleep(0.01)
        log.write(client("192.0.2.1"), "syntax", reply=None)
        await asyncio.sleep(0.05)
    assert ["times" in line for line in lines] == [False] * LINES + [True, False]


async def test_a_site_on_ipv6_is_counted_once() -> None:
    log = RefusalLog()
    with capture_events() as lines:
        for number in range(LINES + 7):
            log.write(client(f"2001:db8:0:1::{number:x}"), "syntax", reply=None)
        log.settle()
    assert (lines[-1]["client"], lines[-1]["times"]) == ("2001:db8:0:1::/64", 7)


async def test_all_together_have_so_many_lines_and_the_other_clients_share_a_count() -> None:
    log = RefusalLog()
    with capture_events() as lines:
        for _ in range(2):
            for number in range(MAX_LINES + 30):
                log.write(client(str(ipaddress.IPv4Address(number))), "syntax", reply=None)
        log.write(client("192.0.2.1"), "timeout", reply=None)
        assert len(lines) == MAX_LINES
        log.settle()
        counts = {(line.get("client"), line["why"]): line["times"] for line in lines[MAX_LINES:]}
        log.write(client("192.0.2.1"), "timeout", reply=None)
        log.settle()
    first = {(str(ipaddress.IPv4Address(number)), "syntax"): 1 for number in range(MAX_LINES)}
    assert counts == first | {(None, "syntax"): 60, (None, "timeout"): 1}
    assert len(lines) == MAX_LINES + len(counts) + 1


async def test_a_flood_of_refused_recipients_and_commands_is_thinned() -> None:
    with capture_events() as lines:
        async with run_site(max_errors=1000, **FOREIGN) as site:
            wire = await site.greet()
            await wire.ask(b"MAIL FROM:<a@example.org>\r\n")
            await wire.ask_all(b"RCPT TO:<b@example.org>\r\n" * 100, 100)
            await wire.ask_all(b"\xff\r\n" * 100, 100)
            site.listener._intake.refusals.settle()
    assert [line["why"] for line in lines if "times" not in line] == (
        ["foreign-domain"] * LINES + ["not-a-command"] * LINES
    )
    assert {line["why"]: line["times"] for line in lines if "times" in line} == {
        "foreign-domain": 100 - LINES,
        "not-a-command": 100 - LINES,
    }
