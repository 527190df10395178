from __future__ import annotations

import httpx2
import pytest

from tests.ledger.office import AUTHOR, RECIPIENT, START, Office
from tests.web.conftest import House


@pytest.fixture
def office(house: House) -> Office:
    return Office(house.ledger)


async def test_events_come_once_each_in_order_page_by_page(
    office: Office, client: httpx2.AsyncClient
) -> None:
    case = office.fail("one").case
    office.fail("two")
    office.close(case)
    pages = [(await client.get("/v1/events", params={"limit": 2})).json()]
    for _ in range(2):
        after = pages[-1]["next"]
        pages.append((await client.get("/v1/events", params={"after": after})).json())
    told = [[(event["event"], event["at"]) for event in page["events"]] for page in pages]
    at = "2026-11-02T08:00:00Z"
    assert told == [
        [("strike_counted", at), ("strike_counted", at)],
        [("case_closed", at)],
        [],
    ]
    first = pages[0]["events"][0]
    assert first["id"] != pages[0]["events"][1]["id"] == pages[0]["next"]
    assert (first["case"], first["author"], first["subject"], first["strikes"]) == (
        case,
        AUTHOR,
        RECIPIENT,
        1,
    )
    assert pages[2] == {"events": [], "next": pages[1]["next"]}


async def test_a_reader_who_waits_gets_what_comes_later(
    office: Office, client: httpx2.AsyncClient
) -> None:
    before = (await client.get("/v1/events")).json()
    office.fail("one", at=START)
    after = (await client.get("/v1/events", params={"after": before["next"]})).json()
    assert before["events"] == []
    assert [event["event"] for event in after["events"]] == ["strike_counted"]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("after=", ["after"]),
        ("after=0", ["after"]),
        ("after=8000000000000000", ["after"]),
        ("after=000000000000000A", ["after"]),
        ("after=0000000000000000%0a", ["after"]),
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("limit=-1", ["limit"]),
        ("limit=1_0", ["limit"]),
        ("limit=%D9%A1", ["limit"]),
        ("limit=1&limit=2", ["limit"]),
        ("since=1&after=x", ["since", "after"]),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_by_name(
    sqlite_client: httpx2.AsyncClient, query: str, fields: list[str]
) -> None:
    answer = await sqlite_client.get(f"/v1/events?{query}")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields


@pytest.mark.parametrize("after", ["0000000000000002", "7fffffffffffffff"])
async def test_a_cursor_that_was_never_given_is_gone(
    office: Office, client: httpx2.AsyncClient, after: str
) -> None:
    office.fail("one")
    answer = await client.get(f"/v1/events?after={after}")
    assert answer.json() == {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "detail": "the cursor is of another ledger; was a backup restored?",
        "errors": [
            {
                "index": None,
                "field": "after",
                "detail": "ahead of what was ever given out: begin again without it",
            }
        ],
    }
