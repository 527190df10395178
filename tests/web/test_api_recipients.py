from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.ledger.office import (
    AUTHOR,
    EXPIRED,
    MAILBOX_FULL,
    RECIPIENT,
    START,
    Office,
    bounce,
)
from tests.logcheck import Line, find_events
from tests.web.conftest import House

OTHER = "bert@bau.example"


@pytest.fixture
def office(house: House) -> Office:
    house.now = START
    return Office(house.ledger)


async def test_a_lookup_answers_in_order_with_every_authors_cases(
    office: Office, client: httpx2.AsyncClient
) -> None:
    office.fail("one")
    office.fail("two", author=OTHER, verdict=MAILBOX_FULL)
    asked = ["eva@example.org", RECIPIENT.upper(), RECIPIENT]
    answer = await client.post("/v1/recipients/lookup", json={"recipients": asked})
    nobody, upper, lower = answer.json()["recipients"]
    assert nobody == {"recipient": "eva@example.org", "known_bad": False, "cases": []}
    assert upper == lower | {"recipient": RECIPIENT.upper()}
    ids = {case["author"]: case["case"] for case in office.list_cases()}
    shared = {
        "strikes": 1,
        "notices": 0,
        "state": "open",
        "last_strike_at": "2026-11-02T08:00:00Z",
    }
    assert sorted(lower.pop("cases"), key=lambda case: case["author"]) == [
        {
            "case": ids[AUTHOR],
            "author": AUTHOR,
            "category": "bad-address",
            "reason": "user-unknown",
            **shared,
        },
        {
            "case": ids[OTHER],
            "author": OTHER,
            "category": "mailbox-full",
            "reason": "mailbox-full",
            **shared,
        },
    ]
    assert lower == {"recipient": RECIPIENT, "known_bad": True}


async def test_what_is_full_or_unreachable_is_not_known_bad(
    office: Office, client: httpx2.AsyncClient
) -> None:
    office.fail("one", verdict=MAILBOX_FULL)
    office.fail("two", "eva@kunde.example", verdict=EXPIRED)
    asked = {"recipients": [RECIPIENT, "eva@kunde.example"]}
    answer = await client.post("/v1/recipients/lookup", json=asked)
    found = answer.json()["recipients"]
    assert [(each["known_bad"], len(each["cases"])) for each in found] == [(False, 1)] * 2


async def test_a_corrected_address_closes_its_cases_and_the_log_says_who(
    office: Office, client: httpx2.AsyncClient, log: list[Line]
) -> None:
    mine, his = office.fail("one"), office.fail("two", author=OTHER)
    body = {"recipient": RECIPIENT, "author": AUTHOR, "new_recipient": "max@kunde2.example"}
    answers = [
        (await client.post("/v1/recipients/corrected", json=body)).json(),
        (await client.post("/v1/recipients/corrected", json=body)).json(),
        (await client.post("/v1/recipients/corrected", json={"recipient": RECIPIENT})).json(),
    ]
    assert answers == [{"cases": 1}, {"cases": 0}, {"cases": 1}]
    assert {case["state"] for case in office.list_cases()} == {"closed"}
    said = [{key: line[key] for key in line if key != "level"} for line in log]
    told = {"event": "operator_acted", "action": "api corrected", "subject": RECIPIENT}
    closed = {"event": "case_closed", "subject": RECIPIENT, "why": "corrected"}
    assert said == [
        told | {"detail": "token shop, now max@kunde2.example"},
        closed | {"case": mine.case, "author": AUTHOR},
        told | {"detail": "token shop, now max@kunde2.example"},
        told | {"detail": "token shop"},
        closed | {"case": his.case, "author": OTHER},
    ]


async def test_a_proof_of_delivery_opens_the_next_round(
    office: Office, client: httpx2.AsyncClient, log: list[Line]
) -> None:
    case = office.fail("one").case
    office.move(timedelta(hours=1))
    office.send_due()
    answer = await client.post("/v1/recipients/delivered", json={"recipient": RECIPIENT})
    found = office.find_case()
    assert (answer.json(), found["round"], found["strikes"]) == ({"cases": 1}, 2, 0)
    (acted,), (reset,) = find_events(log, "operator_acted"), find_events(log, "case_reset")
    assert (acted["action"], acted["subject"], acted["detail"]) == (
        "api delivered",
        RECIPIENT,
        "token shop",
    )
    assert {key: reset[key] for key in ("case", "author", "subject", "round", "why")} == {
        "case": case,
        "author": AUTHOR,
        "subject": RECIPIENT,
        "round": 2,
        "why": "delivered",
    }


async def test_a_proof_older_than_the_failure_changes_nothing(
    house: House, office: Office, client: httpx2.AsyncClient
) -> None:
    send = await register(client)
    house.now = office.now = START + timedelta(hours=1)
    office.fail("later")
    later = await register(client, key="later")
    answers = []
    for each in (send, later):
        body = {"recipient": RECIPIENT, "send": each}
        answers.append((await client.post("/v1/recipients/delivered", json=body)).json())
    assert answers == [{"cases": 0}, {"cases": 1}]


@pytest.mark.parametrize("wrong", [{"send": "f" * 16}, {"recipient": "eva@example.org"}])
async def test_a_proof_for_a_send_that_is_not_his_is_refused(
    office: Office, client: httpx2.AsyncClient, wrong: dict[str, Any], log: list[Line]
) -> None:
    office.fail("one")
    body = {"recipient": RECIPIENT, "send": await register(client)} | wrong
    answer = await client.post("/v1/recipients/delivered", json=body)
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "the send is not known",
        "errors": [
            {
                "index": None,
                "field": "send",
                "detail": "no send of this id to this recipient is registered",
            }
        ],
    }
    assert (office.find_case()["round"], log) == (1, [])


@pytest.mark.parametrize(
    ("tried_again_in", "retry_after"),
    [
        pytest.param(timedelta(0), "5", id="at once"),
        pytest.param(timedelta(minutes=15), "900", id="later"),
        pytest.param(timedelta(hours=4), "3600", id="much later"),
    ],
)
async def test_while_a_notice_is_under_way_the_client_is_asked_to_wait_for_it(
    house: House,
    office: Office,
    client: httpx2.AsyncClient,
    tried_again_in: timedelta,
    retry_after: str,
) -> None:
    office.receive(bounce("one"))
    office.move(timedelta(hours=1))
    house.now = office.now
    claimed = office.claim()
    assert claimed is not None
    assert office.defer(claimed, office.now + tried_again_in)
    answer = await client.post("/v1/recipients/delivered", json={"recipient": RECIPIENT})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, retry_after)
    assert answer.json()["detail"] == "a notice of the case is on its way just now"
    assert office.find_case()["round"] == 1


async def register(client: httpx2.AsyncClient, key: str = "first") -> str:
    entry = {"key": key, "author": AUTHOR, "recipients": [RECIPIENT]}
    answer = await client.post("/v1/sends", json={"sends": [entry]})
    return str(answer.json()["sends"][0]["send"])
