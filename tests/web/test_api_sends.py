from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from bounced.ledger import sends
from bounced.model import Send, TokenType
from bounced.origin.token import Key, KeyRing, Token, open_token
from bounced.web.schema import SendRequest
from bounced.web.sends import find_digest
from tests.web.conftest import NOON, House, make_client

TODAY = int(NOON.timestamp()) // 86_400
FIRST: dict[str, Any] = {
    "key": "4711/max",
    "author": "anna@building.example",
    "recipients": ["max@example.com", "Eva@Bücher.example"],
    "reference": "4711",
    "title": "Baubesprechung „Süd“, 22.11.",
    "url": "https://app.example/4711?a=b#c",
    "language": "de",
}
SECOND: dict[str, Any] = {
    "key": "4711/eva",
    "author": "anna@building.example",
    "recipients": ["eva@example.org"],
}


async def test_a_send_is_registered_and_gets_a_signed_return_path(
    house: House, client: httpx2.AsyncClient
) -> None:
    answer = await client.post("/v1/sends", json={"sends": [FIRST, SECOND]})
    first, second = answer.json()["sends"]
    found = house.ledger.read(lambda c: sends.find(c, [first["send"], second["send"]]))
    assert [(each["key"], each["send"]) for each in (first, second)] == [
        ("4711/max", "0000000000000001"),
        ("4711/eva", "0000000000000002"),
    ]
    assert found == {
        first["send"]: Send(
            send=first["send"],
            author="anna@building.example",
            recipients=("max@example.com", "Eva@Bücher.example"),
            registered_at=NOON,
            reference="4711",
            title="Baubesprechung „Süd“, 22.11.",
            url="https://app.example/4711?a=b#c",
            language="de",
        ),
        second["send"]: Send(second["send"], "anna@building.example", ("eva@example.org",), NOON),
    }
    local_part, _, domain = first["return_path"].partition("@")
    opened = open_token(local_part, house.ring, today=TODAY, ttl_days=14)
    assert (opened, domain) == (
        Token(TokenType.SEND, "a", bytes.fromhex(first["send"]), TODAY),
        "bounce.example.com",
    )


@pytest.mark.parametrize("language", ["fr", "nl-BE", "gsw"])
async def test_a_language_that_is_not_spoken_here_is_kept(
    house: House, client: httpx2.AsyncClient, language: str
) -> None:
    answer = await client.post("/v1/sends", json={"sends": [SECOND | {"language": language}]})
    (send,) = (each["send"] for each in answer.json()["sends"])
    assert house.ledger.read(lambda c: sends.find(c, [send]))[send].language == language


async def test_the_same_key_and_body_get_the_same_answer_later_too(
    house: House, client: httpx2.AsyncClient
) -> None:
    asked = {"sends": [FIRST, SECOND]}
    first = await client.post("/v1/sends", json=asked)
    house.now += timedelta(days=2)
    house.ring = KeyRing((Key("b", bytes(range(32)), NOON.date()), *house.ring.keys))
    again = await client.post("/v1/sends", json=asked)
    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.parametrize("change", ["leaked", "expired"])
async def test_a_return_path_that_is_taken_no_more_is_replaced_for_the_same_send(
    house: House, client: httpx2.AsyncClient, change: str
) -> None:
    asked = {"sends": [FIRST, SECOND]}
    before = (await client.post("/v1/sends", json=asked)).json()["sends"]
    if change == "leaked":
        house.ring = KeyRing((Key("b", bytes(range(32)), NOON.date()),))
    else:
        house.now += timedelta(days=15)
    after = (await client.post("/v1/sends", json={"sends": [FIRST]})).json()["sends"][0]
    again = (await client.post("/v1/sends", json={"sends": [FIRST]})).json()["sends"][0]
    assert after["send"] == before[0]["send"]
    assert again == after
    today = TODAY + (15 if change == "expired" else 0)
    opened = open_token(
        after["return_path"].partition("@")[0], house.ring, today=today, ttl_days=14
    )
    key_id = house.ring.signing.key_id
    assert opened == Token(TokenType.SEND, key_id, bytes.fromhex(after["send"]), today)


async def test_a_null_a_missing_key_and_another_order_are_the_same_body(
    client: httpx2.AsyncClient,
) -> None:
    spelt = dict(reversed((SECOND | {"title": None, "language": None}).items()))
    answers = [await client.post("/v1/sends", json={"sends": [each]}) for each in (SECOND, spelt)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    "change",
    [
        {"author": "bert@building.example"},
        {"recipients": ["eva@example.org", "max@example.com"]},
        {"reference": "4712"},
        {"title": "another"},
        {"url": "https://app.example/"},
        {"language": "en"},
    ],
)
async def test_another_body_under_a_key_is_a_conflict_and_registers_nothing(
    house: House, client: httpx2.AsyncClient, change: dict[str, Any]
) -> None:
    await client.post("/v1/sends", json={"sends": [SECOND]})
    answer = await client.post("/v1/sends", json={"sends": [FIRST, SECOND | change]})
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "a key is registered with another body; nothing was registered",
        "errors": [
            {
                "index": 1,
                "field": "key",
                "detail": "the key '4711/eva' stands for another body",
            }
        ],
    }
    again = await client.post("/v1/sends", json={"sends": [FIRST]})
    assert again.json()["sends"][0]["send"] == "0000000000000004"  # it had not been registered


async def test_a_faulty_entry_registers_nothing(client: httpx2.AsyncClient) -> None:
    refused = await client.post("/v1/sends", json={"sends": [FIRST, SECOND | {"author": "x"}]})
    answer = await client.post("/v1/sends", json={"sends": [FIRST]})
    assert (refused.status_code, answer.json()["sends"][0]["send"]) == (422, "0000000000000001")


async def test_a_thousand_sends_are_registered_in_order(client: httpx2.AsyncClient) -> None:
    asked = [SECOND | {"key": f"k{number}"} for number in range(1000)]
    answer = await client.post("/v1/sends", json={"sends": asked})
    got = answer.json()["sends"]
    assert [each["key"] for each in got] == [each["key"] for each in asked]
    assert len({each["return_path"] for each in got}) == 1000
    more = await client.post("/v1/sends", json={"sends": [*asked, SECOND]})
    assert more.status_code == 422


async def test_the_same_request_from_many_at_once_gets_one_answer(house: House) -> None:
    async with make_client(house) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/sends", json={"sends": [FIRST, SECOND]}) for _ in range(10))
        )
    assert {answer.text for answer in answers} == {answers[0].text}
    assert answers[0].status_code == 200


def test_the_digest_of_a_body_stays_what_it_is_in_stored_sends() -> None:
    canonical = (
        '{"author":"anna@building.example","key":"4711/eva","recipients":["eva@example.org"],'
        '"title":"S\\u00fcd"}'
    )
    entry = SendRequest.model_validate(SECOND | {"title": "Süd"})
    assert find_digest(entry) == hashlib.sha256(canonical.encode()).hexdigest()
