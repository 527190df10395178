"""The pages behind a notice's links show what failed, and on POST act on what the author says."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, update

from bounced.ledger import schema
from bounced.model import Verdict
from tests.ledger.office import (
    AUTHOR,
    DAY,
    MAILBOX_FULL,
    SPF,
    USER_UNKNOWN,
)
from tests.logcheck import Line, find_events
from tests.web.conftest import NOON, PAGES, House
from tests.web.told import (
    CONFIRM,
    CORRECT,
    DECLINE,
    LEDGER,
    RESUME,
    RIGHT,
    WRONG,
    find_heading,
    follow,
    list_forms,
    read,
    tell,
)


@pytest.mark.parametrize(
    "query", ["", "?language=en", "?settings=1", "?done=corrected", "?confirm=yes"]
)
async def test_a_scanner_that_opens_links_changes_nothing(
    house: House, client: httpx2.AsyncClient, query: str
) -> None:
    told = tell(house, suggestion=RIGHT)
    before = told.office.dump(*LEDGER)
    for path in (told.page, told.settings):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path + query)
            assert answer.status_code == 200
    assert told.office.dump(*LEDGER) == before


async def test_the_page_of_a_case_says_what_happened_and_what_can_be_said(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, sends=2, suggestion=RIGHT)
    answer = await sqlite_client.get(told.page)
    assert find_heading(answer) == f"Die Adresse {WRONG} gibt es nicht"
    said = read(answer)
    for text in (
        "<header>Bautagebuch</header>",
        "Nicht angekommen sind 2 Protokolle:",
        "Protokoll 1 (reference of 1) verschickt am Samstag, 21. November 2026, 12:59 Uhr",
        "Protokoll 2 (reference of 2) verschickt am Samstag, 21. November 2026, 12:59 Uhr",
        f"{WRONG} · Hinweis 1 von 3",
        f"Meinten Sie {RIGHT}?",
    ):
        assert text in said
    assert list_forms(answer) == [
        {"action": "correct", "new_recipient": RIGHT},
        {"action": "correct", "new_recipient": ""},
        {"action": "confirm"},
    ]


async def test_where_the_address_is_right_its_confirmation_comes_first(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, verdict=MAILBOX_FULL)
    answer = await sqlite_client.get(told.page)
    assert [form["action"] for form in list_forms(answer)] == ["confirm", "correct"]
    assert "Was möchten Sie uns sagen?" in read(answer)


async def test_a_long_case_shows_five_protocols_and_counts_the_others(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    answer = await sqlite_client.get(tell(sqlite_house, sends=13).page)
    said = read(answer)
    assert said.count("verschickt am") == 5
    assert "Nicht angekommen sind 13 Protokolle:" in said
    assert "<li>und 8 weitere</li>" in said


async def test_a_new_address_closes_the_case(
    house: House, client: httpx2.AsyncClient, log: list[Line]
) -> None:
    told = tell(house)
    answer = await follow(client, told.page, {"action": "correct", "new_recipient": f" {RIGHT} "})
    assert told.find_case() == ("closed", "corrected", RIGHT)
    assert find_heading(answer) == "Danke, die richtige Adresse ist notiert"
    said = read(answer)
    for text in (
        "Danke, das ist notiert.",
        f"Bisherige Adresse: {WRONG}",
        f"Richtige Adresse: {RIGHT}",
    ):
        assert text in said
    assert not list_forms(answer)
    acted = {
        "event": "author_acted",
        "author": AUTHOR,
        "action": "corrected",
        "case": told.case,
        "subject": WRONG,
        "new_recipient": RIGHT,
    }
    closed = {
        "event": "case_closed",
        "case": told.case,
        "author": AUTHOR,
        "subject": WRONG,
        "why": "corrected",
    }
    assert [_shorten(line) for line in find_events(log, "author_acted")] == [acted]
    assert [_shorten(line) for line in find_events(log, "case_closed")] == [closed]


async def test_an_address_that_is_right_is_tried_again(
    house: House, client: httpx2.AsyncClient, log: list[Line]
) -> None:
    told = tell(house)
    answer = await follow(client, told.page, CONFIRM)
    assert told.find_case() == ("closed", "confirmed", None)
    assert find_heading(answer) == "Wir lassen die Adresse, wie sie ist"
    assert "höchstens 3 Hinweise" in read(answer)
    assert [line["action"] for line in find_events(log, "author_acted")] == ["confirmed"]


@pytest.mark.parametrize("verdict", [USER_UNKNOWN, SPF], ids=["address", "domain"])
async def test_after_the_last_notice_it_is_said_that_no_other_comes(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, verdict: Verdict
) -> None:
    told = tell(sqlite_house, verdict=verdict)
    sqlite_house.ledger.write(lambda c: c.execute(update(schema.slots).values(max_notices=1)))
    said = read(await follow(sqlite_client, told.page, CONFIRM))
    about = "Domain" if verdict is SPF else "Adresse"
    assert f"Weitere Hinweise zu dieser {about} erhalten Sie nicht" in said
    assert "schreiben wir Ihnen" not in said


async def test_a_page_names_protocols_and_their_number_as_its_mail_does(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, sends=2)
    page = "https://protokolle.example/p/8f3a"
    named = {"title": "Abnahme", "reference": "BV-2026-014", "url": page}
    sent = {"registered_at": NOON - DAY, "author": AUTHOR, **named}
    send = "0123456789abcdef"
    sqlite_house.ledger.write(lambda c: c.execute(insert(schema.sends).values(send=send, **sent)))
    sqlite_house.ledger.write(lambda c: c.execute(update(schema.strikes).values(send=send)))
    sqlite_house.ledger.write(lambda c: c.execute(update(schema.slots).values(strikes=5)))
    answer = await sqlite_client.get(told.page)
    said = read(answer)
    assert "Nicht angekommen ist ein Protokoll:" in said
    assert "Abnahme (BV-2026-014) verschickt am" in said
    assert "Bisher nicht zugestellt: 5 Protokolle" in said
    assert f'href="{page}"' in answer.text
    assert f">{page}</a>" in said


async def test_the_browser_does_not_offer_the_authors_own_address(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    (field,) = re.findall(
        r'<input type="text".*?>', (await sqlite_client.get(tell(sqlite_house).page)).text
    )
    assert 'autocomplete="off"' in field


async def test_a_domain_that_was_mended_is_tried_again_and_takes_no_address(
    house: House, client: httpx2.AsyncClient
) -> None:
    told = tell(house, verdict=SPF)
    page = await client.get(told.page)
    assert list_forms(page) == [CONFIRM]
    await follow(client, told.page, CORRECT)
    assert told.find_case() == ("open", None, None)
    answer = await follow(client, told.page, CONFIRM)
    assert told.find_case() == ("closed", "confirmed", None)
    assert find_heading(answer) == "Der Fehler gilt als behoben"
    assert "bau.example" in read(answer)


async def test_what_was_done_stays_done_when_it_is_done_again(
    house: House, client: httpx2.AsyncClient, log: list[Line]
) -> None:
    told = tell(house)
    await follow(client, told.page, CORRECT)
    before = told.office.dump(*LEDGER)
    again = await follow(client, told.page, CORRECT)
    assert "Danke, das ist notiert." in read(again)
    for data in (
        CONFIRM,
        {"action": "correct", "new_recipient": "eva@kunde.example"},
        {"action": "correct"},
    ):
        answer = await follow(client, told.page, data)
        assert find_heading(answer) == "Danke, die richtige Adresse ist notiert"
    assert told.office.dump(*LEDGER) == before
    assert len(find_events(log, "author_acted")) == 1


async def test_one_act_of_two_at_once_counts(
    house: House, client: httpx2.AsyncClient, log: list[Line]
) -> None:
    told = tell(house)
    answers = await asyncio.gather(*(client.post(told.page, data=CORRECT) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [303] * 4
    assert len(find_events(log, "author_acted")) == len(find_events(log, "case_closed")) == 1


@pytest.mark.parametrize(
    "data",
    [{"action": "delete"}, {"confirm": "yes"}, {"action": "resume"}, {"new_recipient": RIGHT}],
)
async def test_a_form_that_is_none_of_ours_does_nothing(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, data: dict[str, str]
) -> None:
    told = tell(sqlite_house)
    before = told.office.dump(*LEDGER)
    for path in (told.page, told.settings):
        assert (await sqlite_client.post(path, data=data)).status_code == 303
    assert told.office.dump(*LEDGER) == before


async def test_the_settings_touch_no_case(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    for data in (CORRECT, CONFIRM):
        await follow(sqlite_client, told.settings, data)
    assert told.find_case() == ("open", None, None)


async def test_notices_are_stopped_in_two_steps_and_sent_again(
    house: House, client: httpx2.AsyncClient, log: list[Line]
) -> None:
    told = tell(house)
    before = told.office.dump(*LEDGER)
    asked = await follow(client, told.page, {"action": "decline"})
    assert told.office.dump(*LEDGER) == before
    assert "Ohne diese Hinweise erfahren Sie nicht" in read(asked)
    assert list_forms(asked) == [DECLINE]
    declined = await follow(client, told.page, DECLINE)
    assert find_heading(declined) == "Sie erhalten keine Hinweise mehr"
    assert "Danke, das ist notiert." in read(declined)
    assert list_forms(declined) == [RESUME]
    assert "Hinweise wieder senden" in read(await client.get(told.page))
    resumed = await follow(client, told.settings, RESUME)
    assert list_forms(resumed) == [DECLINE]
    assert [(line["action"], line["author"]) for line in find_events(log, "author_acted")] == [
        ("declined", AUTHOR),
        ("resumed", AUTHOR),
    ]


async def test_the_application_is_told_by_webhook_where_one_is_configured(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    sqlite_house.pages = replace(PAGES, webhook=False)
    for data in (CORRECT, DECLINE, RESUME):
        await follow(sqlite_client, told.page, data)
    assert told.office.dump("webhooks") == {"webhooks": []}
    sqlite_house.pages = PAGES
    for data in (DECLINE, RESUME):
        await follow(sqlite_client, told.page, data)
    assert len(told.office.dump("webhooks")["webhooks"]) == 2


async def test_a_case_that_the_operator_closed_is_settled(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    told.office.close(told.case)
    answer = await sqlite_client.get(f"{told.page}?done=corrected")
    assert find_heading(answer) == "Diese Sache ist erledigt"
    assert "Danke" not in read(answer)


async def test_a_correction_without_a_new_address_says_so(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    await sqlite_client.post("/v1/recipients/corrected", json={"recipient": WRONG})
    answer = await sqlite_client.get(told.page)
    assert f"Die Adresse {WRONG} wird nicht mehr benutzt." in read(answer)


def _shorten(line: Line) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in {"timestamp", "level"}}
