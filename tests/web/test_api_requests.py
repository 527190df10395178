"""What every operation refuses, and how: shown on the lookup, which changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError, ProgrammingError
from starlette.requests import Request

from bounced.web.body import MAX_BODY, MAX_FAULTS, MAX_MARKS, parse_body
from bounced.web.guard import Guard, RefusalLog
from bounced.web.problem import Problem
from bounced.web.schema import LookupRequest, SendsRequest
from bounced.web.tokens import TokenFile
from tests.logcheck import Line, find_events
from tests.web.conftest import NOON, TOKEN, House, make_client

LOOKUP = "/v1/recipients/lookup"
GOOD = {"recipients": ["max@example.com"]}
JSON = {"Content-Type": "application/json"}
NO_TOKEN = "no bearer token: send Authorization: Bearer, and the token behind it, once"
UNKNOWN_TOKEN = "this token is not known: send the token alone, without its name"
NO_ADDRESS = "no mail address: write local@domain, no name, no brackets"
LANGUAGE = "no language: write its code, such as 'de' or 'de-CH'"


def problem(status: int, title: str, detail: str, *errors: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    return whole | ({"errors": list(errors)} if errors else {})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"recipients":', "the body is no JSON: Expecting value: line 1 column 15 (char 14)"),
        (
            b'{"recipients":["a@b.example"],"recipients":["c@d.example"]}',
            "the body is no JSON: an object names a key twice",
        ),
        (b'{"recipients":NaN}', "the body is no JSON: NaN is no JSON number"),
        (b'{"recipients":-Infinity}', "the body is no JSON: -Infinity is no JSON number"),
        (b'{"\\ud800":1}', "the body is no JSON: a key holds NUL or half a surrogate pair"),
        (b'{"recipients":["\xff@b.example"]}', "the body is not UTF-8"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (
            b'{"recipients":' + b"9" * 21 + b"}",
            "the body is no JSON: a number has more than 20 characters",
        ),
        (
            b'{"recipients":0.' + b"9" * 21 + b"}",
            "the body is no JSON: a number has more than 20 characters",
        ),
        (
            json.dumps(dict.fromkeys(map(str, range(21)))).encode(),
            "the body is no JSON: an object has more than 20 keys",
        ),
    ],
)
async def test_what_is_no_json_is_refused(
    sqlite_client: httpx2.AsyncClient, body: bytes, detail: str
) -> None:
    answer = await sqlite_client.post(LOOKUP, content=body, headers=JSON)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()) == (400, problem(400, "Bad Request", detail))


@pytest.mark.parametrize("mark", ["[],", "{},", '"a":0,'])
async def test_a_body_of_many_parts_is_refused_before_it_is_taken_apart(
    sqlite_client: httpx2.AsyncClient, mark: str
) -> None:
    body = mark * (MAX_MARKS // 2 + 1)  # no JSON at all: that is not even looked at
    answer = await sqlite_client.post(LOOKUP, content=body, headers=JSON)
    detail = "a body has 200,000 brackets, colons and commas at most"
    assert answer.json() == problem(413, "Content Too Large", detail)


@pytest.mark.parametrize(
    ("body", "field", "index", "detail"),
    [
        ([], "", None, "an object is needed"),
        ({}, "recipients", None, "is missing"),
        ({"recipients": []}, "recipients", None, "at least 1 is needed"),
        ({"recipients": "a@b.example"}, "recipients", None, "a list is needed"),
        ({"recipients": [1]}, "recipients", 0, "a text is needed"),
        ({"recipients": ["a@b.example", None]}, "recipients", 1, "a text is needed"),
        ({"recipients": ["\ud800@b.example"]}, "recipients", 0, "this text holds half a surr"),
        (GOOD | {"limit": 1}, "limit", None, "there is no such key"),
        ({"recipients": ["a@b.example"] * 1001}, "recipients", None, "1000 at most"),
        ({"recipients": ["nobody"] * 1001}, "recipients", None, "1000 at most"),
        ({"recipients": ["x" * 311 + "@b.example"]}, "recipients", 0, "320 characters at most"),
        ({"recipients": ["ä" * 160 + "@b.example"]}, "recipients", 0, "an address takes 320"),
        *(
            ({"recipients": [text]}, "recipients", 0, NO_ADDRESS)
            for text in (
                "max",
                "max@",
                "@example.com",
                "Max <max@example.com>",
                "max@example.com\n",
                "max@example.com\r\nBcc: eva@example.com",
                "max@example.com\x00",
                "m ax@example.com",
                "max@exa\u2028mple.com",
                "max@exa\x85mple.com",
                "max@eva@example.com",
            )
        ),
    ],
)
async def test_what_does_not_fit_is_refused_by_place(
    sqlite_client: httpx2.AsyncClient, body: object, field: str, index: int | None, detail: str
) -> None:
    answer = await sqlite_client.post(LOOKUP, content=json.dumps(body), headers=JSON)
    (error,) = answer.json()["errors"]
    assert answer.status_code == 422
    assert error["detail"].startswith(detail)
    assert (error["index"], error["field"]) == (index, field)


async def test_every_fault_of_a_list_is_named_at_once(sqlite_client: httpx2.AsyncClient) -> None:
    good = {"key": "k", "author": "a@b.example", "recipients": ["c@d.example"]}
    bad = [
        good | {"author": "nobody", "recipients": ["c@d.example", "x"]},
        good,
        good | {"url": "javascript:alert(1)", "title": "a\nb", "language": "French"},
    ]
    answer = await sqlite_client.post("/v1/sends", json={"sends": bad})
    assert answer.json() == problem(
        422,
        "Unprocessable Content",
        "the body does not fit; `errors` tells where",
        {"index": 0, "field": "author", "detail": NO_ADDRESS},
        {"index": 0, "field": "recipients[1]", "detail": NO_ADDRESS},
        {
            "index": 2,
            "field": "title",
            "detail": "one line of text, without control characters",
        },
        {"index": 2, "field": "url", "detail": "no web address: write https://..."},
        {"index": 2, "field": "language", "detail": LANGUAGE},
    )


async def test_an_answer_names_a_hundred_faults_at_most(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    answer = await sqlite_client.post(LOOKUP, json={"recipients": ["nobody"] * 1000})
    assert len(answer.json()["errors"]) == MAX_FAULTS


def test_faults_by_the_thousand_are_counted_only() -> None:
    one = {"key": "k", "author": "a@b.example", "recipients": ["nobody"] * 100}
    with pytest.raises(Problem) as raised:
        parse_body(json.dumps({"sends": [one] * 101}).encode(), SendsRequest)
    assert (raised.value.status, raised.value.faults) == (422, ())
    assert raised.value.detail == (
        "the body does not fit in 10,100 places; send a part of it to be told where"
    )


@given(
    st.one_of(
        st.binary(),
        st.recursive(st.none() | st.text() | st.floats(), st.lists).map(
            lambda value: json.dumps({"sends": value}).encode()
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_body_that_is_no_request_is_a_problem_whatever_it_holds(raw: bytes) -> None:
    with pytest.raises(Problem) as raised:
        parse_body(raw, SendsRequest)
    assert raised.value.answer().status_code in {400, 422}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        JSON | {"Content-Encoding": "gzip"},
    ],
)
async def test_another_form_than_json_is_refused(
    sqlite_client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await sqlite_client.post(LOOKUP, content=json.dumps(GOOD), headers=headers)
    assert answer.status_code == 415


async def test_json_may_name_its_character_set(sqlite_client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await sqlite_client.post(LOOKUP, content=json.dumps(GOOD), headers=headers)
    assert answer.status_code == 200


async def test_a_large_body_is_refused_before_it_is_read(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    sent = Chunks(MAX_BODY // 2**20 + 1)
    headers = JSON | {"Content-Length": str(sent.size)}
    answer = await sqlite_client.post(LOOKUP, content=sent.send(), headers=headers)
    assert (answer.status_code, answer.headers["connection"], sent.taken) == (413, "close", 0)


async def test_a_body_without_a_length_is_read_up_to_the_limit(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    sent = Chunks(50)
    answer = await sqlite_client.post(LOOKUP, content=sent.send(), headers=JSON)
    assert answer.json() == problem(413, "Content Too Large", "a body takes 5 MiB at most")
    assert sent.taken == MAX_BODY // 2**20 + 1


async def test_a_body_of_five_mebibytes_is_read(sqlite_client: httpx2.AsyncClient) -> None:
    body = json.dumps(GOOD).encode()
    body += b" " * (MAX_BODY - len(body))
    answer = await sqlite_client.post(LOOKUP, content=body, headers=JSON)
    assert answer.status_code == 200


async def test_a_body_that_trickles_is_given_up(sqlite_house: House) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    sqlite_house.body_timeout = timedelta(milliseconds=50)
    async with make_client(sqlite_house) as client:
        answer = await client.post(LOOKUP, content=trickle(), headers=JSON)
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")
    assert answer.json() == problem(408, "Request Timeout", "the body took longer than 0.05 s")


@pytest.mark.parametrize(
    ("authorization", "detail"),
    [
        (None, NO_TOKEN),
        ("", NO_TOKEN),
        ("Bearer", NO_TOKEN),
        (f"Basic {TOKEN}", NO_TOKEN),
        (TOKEN, NO_TOKEN),
        (f"Bearer {TOKEN}x", UNKNOWN_TOKEN),
        (f"Bearer {TOKEN} {TOKEN}", UNKNOWN_TOKEN),
        (f"Bearer shop {TOKEN}", UNKNOWN_TOKEN),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", LOOKUP), ("GET", "/v1/events")])
async def test_without_a_token_of_ours_nothing_is_read(
    sqlite_client: httpx2.AsyncClient,
    authorization: str | None,
    detail: str,
    method: str,
    path: str,
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    del sqlite_client.headers["authorization"]
    sent = Chunks(1)
    answer = await sqlite_client.request(method, path, content=sent.send(), headers=headers)
    assert sent.taken == 0
    assert answer.headers["www-authenticate"] == 'Bearer realm="bounced"'
    assert (answer.status_code, answer.json()) == (
        401,
        problem(401, "Unauthorized", detail),
    )


async def test_two_authorizations_are_none(sqlite_client: httpx2.AsyncClient) -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")]
    del sqlite_client.headers["authorization"]
    assert (await sqlite_client.get("/v1/events", headers=headers)).status_code == 401


async def test_the_scheme_may_be_written_in_any_case(sqlite_client: httpx2.AsyncClient) -> None:
    answer = await sqlite_client.get("/v1/events", headers={"Authorization": f"bEARER {TOKEN}"})
    assert answer.status_code == 200


async def test_without_a_file_of_tokens_the_api_is_closed(sqlite_house: House) -> None:
    sqlite_house.tokens = None
    async with make_client(sqlite_house) as client:
        answers = [await client.post(LOOKUP, json=GOOD), await client.get("/v1/events")]
    closed = problem(403, "Forbidden", "the API is closed: http.tokens_file names no tokens")
    assert [answer.json() for answer in answers] == [closed, closed]


async def test_guessed_tokens_are_logged_once_a_minute_and_client(
    sqlite_house: House, log: list[Line]
) -> None:
    async with make_client(sqlite_house) as client:
        client.headers["Authorization"] = "Bearer guessed"
        for _ in range(5):
            await client.get("/v1/events")
        sqlite_house.now += timedelta(minutes=1)
        del client.headers["authorization"]
        await client.get("/v1/events")
    said = [(line["why"], line["client"], line["times"]) for line in log]
    assert said == [("unknown-token", "127.0.0.1", 1), ("no-token", "127.0.0.1", 5)]
    assert {line["event"] for line in log} == {"api_refused"}


async def test_unknown_paths_and_methods_are_problems(sqlite_client: httpx2.AsyncClient) -> None:
    unknown = await sqlite_client.get("/v1/sends/")
    wrong = await sqlite_client.get("/v1/sends")
    events = await sqlite_client.post("/v1/events")
    assert unknown.json() == problem(404, "Not Found", "there is nothing under this path")
    assert wrong.json() == problem(405, "Method Not Allowed", "this path takes POST")
    assert (wrong.headers["allow"], events.headers["allow"]) == ("POST", "GET, HEAD")


async def test_every_answer_is_fresh_and_of_its_own_type(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    paths = ("/v1/events", "/healthz", "/nothing", "/openapi.json")
    answers = [await sqlite_client.get(path) for path in paths]
    assert {
        (answer.headers["x-content-type-options"], answer.headers["cache-control"])
        for answer in answers
    } == {("nosniff", "no-store")}


async def test_a_bug_is_answered_without_a_word_of_it_and_logged(
    sqlite_house: House, log: list[Line]
) -> None:
    sqlite_house.ring = None  # type: ignore[assignment] # what no daemon gives
    async with make_client(sqlite_house) as client:
        answer = await client.post(
            "/v1/sends",
            json={"sends": [{"key": "k", "author": "a@b.example", "recipients": ["c@d.example"]}]},
        )
    assert answer.json() == problem(
        500, "Internal Server Error", "the request could not be worked on; the log says why"
    )
    (line,) = find_events(log, "job_failed")
    assert line["job"] == "POST /v1/sends"
    assert "test_api_requests" not in line["error"]


async def test_a_lost_database_is_answered_by_ask_again(
    sqlite_house: House, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_work: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("disk I/O error"))

    monkeypatch.setattr(sqlite_house.ledger, "read", lose)
    monkeypatch.setattr(sqlite_house.ledger, "write", lose)
    async with make_client(sqlite_house) as client:
        answers = [
            await client.post(LOOKUP, json=GOOD),
            await client.post("/v1/recipients/corrected", json={"recipient": "a@b.example"}),
            await client.get("/v1/events"),
        ]
    lost = problem(503, "Service Unavailable", "the database does not answer")
    assert [answer.json() for answer in answers] == [lost] * 3
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    assert log == []


async def test_an_error_of_ours_in_the_database_is_a_bug_not_a_pause(
    sqlite_house: House, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def err(_work: object) -> None:
        raise ProgrammingError("SELECT secret", {}, Exception("syntax error"))

    monkeypatch.setattr(sqlite_house.ledger, "read", err)
    monkeypatch.setattr(sqlite_house.ledger, "write", err)
    async with make_client(sqlite_house) as client:
        answers = [
            await client.post(LOOKUP, json=GOOD),
            await client.post("/v1/recipients/corrected", json={"recipient": "a@b.example"}),
        ]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert len(find_events(log, "job_failed")) == 2


async def test_the_guard_remembers_a_thousand_clients_at_most(log: list[Line]) -> None:
    tokens = TokenFile.__new__(TokenFile)  # never asked: nobody shows a token
    guard = Guard(lambda: tokens, RefusalLog(lambda: NOON))
    clients = [f"2001:db8::{number:x}" for number in range(1001)]
    for client in (*clients, clients[0], clients[1000]):
        scope = {"type": "http", "headers": [], "client": (client, 1)}
        with pytest.raises(Problem):
            guard.authenticate(Request(scope))
    assert [line["client"] for line in log] == [*clients, clients[0]]


def test_large_numbers_of_addresses_are_checked_as_single_ones_are() -> None:
    asked = parse_body(
        json.dumps({"recipients": ["ä@bücher.example"] * 1000}).encode(), LookupRequest
    )
    assert asked.recipients == ["ä@bücher.example"] * 1000


def test_a_thousand_sends_to_a_hundred_recipients_each_are_read() -> None:
    recipients = [f"{number:028d}@example.com" for number in range(100)]
    one = {
        "author": "anna@building.example",
        "recipients": recipients,
        "reference": "4711",
        "title": "Protocol [22 November, 3 sheets]: heating",
        "language": "de",
    }
    sends = [one | {"key": f"protocol-{number}"} for number in range(1000)]
    raw = json.dumps({"sends": sends}).encode()
    assert len(recipients[0]) == 40
    assert len(raw) <= MAX_BODY
    assert parse_body(raw, SendsRequest).sends[999].recipients == recipients


class Chunks:
    """A body of one mebibyte a piece that counts what is taken of it."""

    def __init__(self, pieces: int) -> None:
        self.size = pieces * 2**20
        self.taken = 0

    async def send(self) -> AsyncIterator[bytes]:
        for _ in range(self.size // 2**20):
            self.taken += 1
            yield b" " * 2**20
