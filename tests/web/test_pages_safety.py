"""What a page can do to its reader, and what strangers can do to a page: nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import delete, update
from sqlalchemy.event import listen

from bounced.ledger import schema, sends
from bounced.ledger.records import clean_text
from bounced.model import Send
from tests.ledger.office import (
    AUTHOR,
    CONTENT,
    DAY,
    EXPIRED,
    MAILBOX_FULL,
    SPF,
    USER_UNKNOWN,
    Office,
    bounce,
)
from tests.logcheck import Line, find_events
from tests.notifier.building_site import make_composer
from tests.web.conftest import NOON, PAGES, House, make_client
from tests.web.told import (
    CONFIRM,
    CORRECT,
    DECLINE,
    RIGHT,
    WRONG,
    Told,
    find_heading,
    follow,
    read,
    tell,
)


async def list_pages(house: House, client: httpx2.AsyncClient) -> dict[str, httpx2.Response]:
    """Return every kind of page."""
    told = tell(house, suggestion=RIGHT)
    pages = {
        "case": await client.get(told.page),
        "slip": await client.post(told.page, data={"action": "correct"}),
        "settings": await client.get(told.settings),
        "declined": await follow(client, told.settings, DECLINE),
        "done": await follow(client, told.page, CORRECT),
        "unknown": await client.get("/n/x"),
        "preview": await client.get("/n/preview"),
    }
    house.now += timedelta(days=61)
    return pages | {"expired": await client.get(told.page)}


async def test_a_page_runs_nothing_loads_nothing_and_is_kept_by_nobody(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    for name, answer in (await list_pages(sqlite_house, sqlite_client)).items():
        (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        told = {key: answer.headers.get(key) for key in EXPECTED_HEADERS}
        assert told == EXPECTED_HEADERS | {
            "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        }, name
        assert not re.search(
            r"<script|<img|<link|<iframe|\son\w+=|\sstyle=|src=|url\(|//", answer.text
        )


EXPECTED_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex, nofollow",
    "x-content-type-options": "nosniff",
    "set-cookie": None,
}


async def test_an_address_stands_in_no_link(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, suggestion=RIGHT)
    for answer in (
        await sqlite_client.get(told.page),
        await sqlite_client.post(told.page, data=CORRECT),
    ):
        links = re.findall(r'(?:href|action)="(.*?)"', answer.text)
        links.append(answer.headers.get("location", ""))
        assert not any("@" in link or "example" in link for link in links)


HOSTILE = "<b>Plan</b> \u202e\"'&{{ 7 * 7 }}\r\nX: y" + "z" * 500


@pytest.mark.parametrize(
    "recipient",
    ["<b>x</b>@\"onload='x'.example", "a\u202eb@k\u0456nde.example", "x" * 250 + "@k.example"],
)
async def test_what_strangers_wrote_is_text(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, recipient: str
) -> None:
    told = tell(sqlite_house, recipient, suggestion="<i>@kunde.example")
    sqlite_house.ledger.write(
        lambda c: c.execute(update(schema.reports).values(protocol_subject=clean_text(HOSTILE)))
    )
    for data in (None, CORRECT):
        answer = await (
            follow(sqlite_client, told.page, data) if data else sqlite_client.get(told.page)
        )
        assert not re.search("<b>|</b>|<i>|49|\u202e", answer.text)
        assert "&lt;b&gt;Plan&lt;/b&gt;" in answer.text
        assert len(answer.text) < 12_000


async def test_a_subject_is_quoted_only_where_that_is_allowed(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    """The registered title is the application's own, for the author to read."""
    registered = Send("e" * 16, AUTHOR, (WRONG,), NOON - DAY, None, "Baubesprechung 7", None, "de")
    office = Office(sqlite_house.ledger, now=NOON - DAY)
    office.ids = sqlite_house.ids
    office.ledger.write(lambda c: sends.register(c, registered))
    office.receive(
        bounce("secret", WRONG, at=office.now),
        bounce("other", WRONG, at=office.now, registered=registered),
    )
    office.move(DAY)
    (notice,) = office.send_due()
    told = Told(sqlite_house, office, notice.notice, notice.entries[0].case)
    assert "Protokoll secret" in read(await sqlite_client.get(told.page))
    sqlite_house.pages = replace(PAGES, quote_subject=False)
    said = read(await sqlite_client.get(told.page))
    assert "Protokoll secret" not in said
    assert "reference of secret" in said
    assert "Baubesprechung 7" in said


@pytest.mark.parametrize("names_first", [True, False])
async def test_a_forwarders_target_stays_hidden(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, *, names_first: bool
) -> None:
    """Even where the report names the target alone: a registered send knows who was meant."""
    office = Office(sqlite_house.ledger, now=NOON - DAY)
    office.ids = sqlite_house.ids
    registered = Send("e" * 16, AUTHOR, (WRONG,), NOON - DAY)
    office.ledger.write(lambda c: sends.register(c, registered))
    finding = bounce("14", WRONG, at=office.now, registered=registered)
    assert finding.report is not None
    (facts,) = finding.report.recipients
    first = WRONG if names_first else None
    hidden = replace(facts, original_recipient=first, final_recipient="hidden@private.example")
    office.receive(replace(finding, report=replace(finding.report, recipients=(hidden,))))
    office.move(DAY)
    (notice,) = office.send_due()
    sqlite_house.ledger.write(lambda c: c.execute(update(schema.cases).values(suggestion=RIGHT)))
    told = Told(sqlite_house, office, notice.notice, notice.entries[0].case)
    answer = await sqlite_client.get(told.page)
    assert find_heading(answer) == f"Die Weiterleitung von {WRONG} ist gescheitert"
    assert "private.example" not in answer.text
    assert RIGHT not in answer.text
    mail = make_composer().compose(notice).as_string()
    assert "Weiterleitung" in mail
    assert "private" not in mail


async def test_a_notice_whose_failures_are_gone_still_has_its_page(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    sqlite_house.ledger.write(lambda c: c.execute(delete(schema.strikes)))
    answer = await sqlite_client.get(told.page)
    assert find_heading(answer) == f"Die Adresse {WRONG} gibt es nicht"
    assert "Nicht angekommen" not in read(answer)


@pytest.mark.parametrize("verdict", [USER_UNKNOWN, CONTENT, MAILBOX_FULL, EXPIRED, SPF])
@pytest.mark.parametrize("language", ["de", "en"])
async def test_every_phrase_that_a_page_asks_for_is_there(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, verdict: Any, language: str
) -> None:
    told = tell(sqlite_house, verdict=verdict, sends=2)
    for data in (None, CONFIRM):
        if data:
            await sqlite_client.post(told.page, data=data)
        answer = await sqlite_client.get(f"{told.page}?language={language}")
        assert answer.status_code == 200
        assert not re.search(r"page\.|reason\.|\{|\}", read(answer))


async def test_a_fault_of_ours_is_told_to_a_person_and_the_log_has_no_link(
    sqlite_house: House, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tell(sqlite_house)

    def fail(_work: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(sqlite_house.ledger, "read", fail)
    async with make_client(sqlite_house) as client:
        answer = await client.get(told.page)
    assert (answer.status_code, answer.headers["content-language"]) == (500, "de, en")
    assert find_heading(answer) == "Das hat leider nicht geklappt"
    assert answer.headers["cache-control"] == "no-store"
    assert "secret" not in answer.text
    (failed,) = find_events(log, "job_failed")
    assert failed["job"] == "GET /n/…"
    assert told.page.removeprefix("/n/") not in str(log)


async def test_a_link_to_the_settings_reads_none_of_the_notices_cases(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    asked: list[str] = []
    listen(
        sqlite_house.ledger.engine, "before_cursor_execute", lambda *args: asked.append(args[2])
    )
    assert (await sqlite_client.get(told.settings)).status_code == 200
    assert asked
    assert not any("slots" in query or "diagnostic_code" in query for query in asked)
    asked.clear()
    assert (await sqlite_client.get(told.page)).status_code == 200
    reading = [query for query in asked if "diagnostic_code" in query]
    assert len(reading) == 1
    assert "told_case" in reading[0].partition("WHERE")[2]
