"""Which links open, which forms are read, and in which language a page speaks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from bounced.ledger import schema
from bounced.origin.link import seal_link
from bounced.origin.token import find_day
from tests.logcheck import Line, find_events
from tests.web.conftest import NOON, House, make_client
from tests.web.told import (
    CORRECT,
    WRONG,
    find_heading,
    follow,
    list_forms,
    read,
    tell,
)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max@gmail,example", "Bitte geben Sie eine vollständige E-Mail-Adresse ein"),
        (WRONG, "Das ist die Adresse, an der das Protokoll nicht angekommen ist."),
        ('"><script>alert(1)</script>', "Bitte geben Sie eine vollständige E-Mail-Adresse ein"),
        ("x" * 5000, "Bitte geben Sie eine vollständige E-Mail-Adresse ein"),
        ("\ud83d\ude00", "Bitte geben Sie eine vollständige E-Mail-Adresse ein"),
    ],
)
async def test_a_slip_is_explained_and_stays_in_the_field(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, text: str, said: str
) -> None:
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    told = tell(sqlite_house)
    answer = await sqlite_client.post(told.page, data={"action": "correct", "new_recipient": text})
    assert answer.status_code == 422
    assert said in read(answer)
    assert list_forms(answer)[0] == {"action": "correct", "new_recipient": text}
    assert 'aria-describedby="hint wrong" aria-invalid="true"' in answer.text
    assert "<title>Fehler: " in answer.text
    assert "<script" not in answer.text
    assert told.find_case() == ("open", None, None)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"action=correct&new_recipient=" + b"x" * 8192, FORM, 413),
        (b"&".join(b"a%d=1" % number for number in range(21)), FORM, 400),
        (b'{"action": "confirm"}', {"Content-Type": "application/json"}, 415),
        (b"action=confirm", FORM | {"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_a_body_that_no_browser_sends_is_refused_on_a_page(
    sqlite_house: House,
    sqlite_client: httpx2.AsyncClient,
    content: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    told = tell(sqlite_house)
    answer = await sqlite_client.post(told.page, content=content, headers=headers)
    assert answer.status_code == status
    assert find_heading(answer) == "Das hat leider nicht geklappt"
    assert told.find_case() == ("open", None, None)


async def test_a_body_that_never_ends_is_waited_for_within_limits(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"action="
        await asyncio.sleep(60)

    sqlite_house.body_timeout = timedelta(milliseconds=50)
    async with make_client(sqlite_house) as client:
        answer = await client.post(tell(sqlite_house).page, content=drip(), headers=FORM)
    assert answer.status_code == 408
    assert find_heading(answer) == "Das hat leider nicht geklappt"


async def test_any_bytes_in_a_form_are_answered(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    content = b"action=correct&new_recipient=%FF%00\xff&&=&a"
    answer = await sqlite_client.post(told.page, content=content, headers=FORM)
    assert answer.status_code == 422


async def test_an_expired_link_says_in_both_languages_to_answer_the_mail(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, log: list[Line]
) -> None:
    told = tell(sqlite_house)
    sqlite_house.now += timedelta(days=61)
    for answer in (
        await sqlite_client.get(told.page),
        await sqlite_client.post(told.page, data=CORRECT),
    ):
        assert answer.status_code == 410
        assert answer.headers["content-language"] == "de, en"
        assert find_heading(answer) == "Dieser Link ist abgelaufen"
        assert "This link has expired" in read(answer)
    assert told.find_case() == ("open", None, None)
    assert not find_events(log, "api_refused")


@pytest.mark.parametrize("text", ["x", "a" * 56, "%00", "%F0%9F%98%80", "a" * 3000])
async def test_a_forged_link_is_not_known(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, text: str
) -> None:
    tell(sqlite_house)
    for method in ("GET", "POST"):
        answer = await sqlite_client.request(method, f"/n/{text}")
        assert answer.status_code == 404
        assert find_heading(answer) == "Diesen Link kennen wir nicht"
        assert "reply to the email" in read(answer)


async def test_guesses_are_logged_once_a_minute(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, log: list[Line]
) -> None:
    for _ in range(100):
        await sqlite_client.get(f"/n/{'a' * 56}")
    sqlite_house.now += timedelta(minutes=1)
    await sqlite_client.get("/n/short")
    refused = find_events(log, "api_refused")
    assert [(line["why"], line["times"]) for line in refused] == [
        ("link-forged", 1),
        ("link-malformed", 100),
    ]


async def test_a_link_to_what_is_gone_has_expired(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    """Its notice was deleted, or a slip of ours sealed a case that the notice does not tell of."""
    told = tell(sqlite_house)
    key, day = sqlite_house.ring.signing, find_day(NOON)
    for notice, case in (("f" * 16, None), ("f" * 16, told.case), (told.notice, "f" * 16)):
        answer = await sqlite_client.get(f"/n/{seal_link(notice, case, day, key)}")
        assert answer.status_code == 410


async def test_the_link_of_a_preview_says_what_it_would_do(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    answer = await sqlite_client.get("/n/preview")
    assert answer.status_code == 200
    assert find_heading(answer) == "Das ist nur ein Muster"
    assert "This is only a sample" in read(answer)


async def test_without_a_public_url_there_are_no_pages(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    sqlite_house.pages = None
    for path in (told.page, told.settings, "/n/preview"):
        for method in ("GET", "POST"):
            assert (await sqlite_client.request(method, path)).status_code == 404
    assert told.find_case() == ("open", None, None)


async def test_other_methods_are_named(sqlite_client: httpx2.AsyncClient) -> None:
    answer = await sqlite_client.put("/n/preview")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_while_the_database_is_lost_the_author_is_asked_to_come_again(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_work: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("server closed"))

    told = tell(sqlite_house)
    monkeypatch.setattr(sqlite_house.ledger, "read", lose)
    answer = await sqlite_client.get(told.page)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert find_heading(answer) == "Das hat leider nicht geklappt"


@pytest.mark.parametrize(
    ("notice", "query", "expected"),
    [
        ("de", "", "de"),
        ("en", "", "en"),
        ("fr", "", "de"),
        (None, "", "de"),
        ("en", "?language=de", "de"),
        ("en", "?language=fr", "en"),
        ("en", "?language=%00", "en"),
    ],
)
async def test_a_page_speaks_the_language_of_its_notice_or_the_chosen_one(
    sqlite_house: House,
    sqlite_client: httpx2.AsyncClient,
    notice: str | None,
    query: str,
    expected: str,
) -> None:
    told = tell(sqlite_house)
    sqlite_house.ledger.write(
        lambda c: c.execute(update(schema.reports).values(protocol_language=notice))
    )
    for path in (told.page, told.settings):
        answer = await sqlite_client.get(path + query)
        assert answer.headers["content-language"] == expected
        assert f'<html lang="{expected}">' in answer.text


async def test_the_chosen_language_stays(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house)
    page = await sqlite_client.get(f"{told.page}?language=en")
    assert set(re.findall(r'action="(.*?)"', page.text)) == {"?language=en"}
    assert '<a href="?language=de" lang="de" hreflang="de">Deutsch</a>' in page.text
    done = await follow(sqlite_client, f"{told.page}?language=en", CORRECT)
    assert find_heading(done) == "Thank you, the right address has been noted"
    settings = await sqlite_client.get(f"{told.page}?settings=1&language=en")
    assert 'href="?language=de&amp;settings=1"' in settings.text
