"""SMTP smuggling: a message that another server would read as two is refused, as one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.listener.wire import ENVELOPE, FOREIGN, capture_events, run_site

ENDS = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "CR.CR": b"\r.\r",
    "CR.LF": b"\r.\n",
    "LF.CR": b"\n.\r",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "CRLF-NUL.CRLF": b"\r\n\x00.\r\n",
    "CRLF.NUL-CRLF": b"\r\n.\x00\r\n",
    "CR-NUL-LF.CR-NUL-LF": b"\r\x00\n.\r\x00\n",
}
REFUSAL = (
    "550 5.5.2 Bare CR or LF in the message: every line must end with CR LF "
    "(RFC 5321 section 2.3.8); correct the program that made it"
)
SECOND = ENVELOPE + b"DATA\r\nSubject: smuggled\r\n\r\nbody\r\n"


@pytest.mark.parametrize("settings", [{}, FOREIGN], ids=["own-relay", "stranger"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_smuggled_transaction_is_neither_stored_nor_executed(
    end: bytes, settings: dict[str, Any]
) -> None:
    with capture_events() as lines:
        async with run_site(**settings) as site:
            wire = await site.greet()
            await wire.ask_all(ENVELOPE + b"DATA\r\n", 3)
            await wire.send(b"Subject: first\r\n\r\nbody" + end + SECOND + b".\r\n")
            assert await wire.ask_all(b"NOOP\r\nQUIT\r\n", 3) == [
                REFUSAL,
                "250 2.0.0 OK",
                "221 2.0.0 Goodbye",
            ]
            assert await wire.read_to_end() == b""
    assert site.store.calls == 0
    assert [line["why"] for line in lines] == ["bare-line-end"]


@pytest.mark.parametrize("message", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\nb\r\n", b"a\n\r\n"])
async def test_bare_line_ends_are_kept_from_an_own_relay_and_refused_from_others(
    message: bytes,
) -> None:
    with capture_events():
        async with run_site() as site:
            wire = await site.greet()
            own = await wire.ask_all(ENVELOPE + b"DATA\r\n" + message + b".\r\n", 4)
        async with run_site(**FOREIGN) as other:
            wire = await other.greet()
            foreign = await wire.ask_all(ENVELOPE + b"DATA\r\n" + message + b".\r\n", 4)
    assert own[-1] == "250 2.0.0 Stored safely"
    assert [report.raw for report in site.store.reports] == [message]
    assert foreign[-1] == REFUSAL
    assert other.store.reports == []


async def test_a_message_that_only_looks_odd_is_stored() -> None:
    message = b"..\r\n.a\r\n\x00\xff\r\n. \r\n.\t\r\n"
    with capture_events():
        async with run_site(**FOREIGN) as site:
            wire = await site.greet()
            stuffed = message.replace(b"\r\n.", b"\r\n..")
            await wire.ask_all(ENVELOPE + b"DATA\r\n." + stuffed + b".\r\n", 4)
    assert [report.raw for report in site.store.reports] == [message]
