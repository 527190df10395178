"""The API's client against a server that answers by script: what it asks, reads and repeats."""

from __future__ import annotations

import inspect
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import trustme

from bounced.client import (
    ApiError,
    AsyncClient,
    Case,
    Client,
    ConflictError,
    Event,
    EventPage,
    FieldFault,
    InvalidError,
    Send,
    SendRegistered,
    Standing,
    UnauthorizedError,
    UnavailableError,
    wire,
)

TOKEN = "a-secret-of-the-protocols"
SEND = Send(key="4711/max", author="anna@planners.example", recipients=("max@builders.example",))
AT = datetime(2026, 11, 22, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to one request."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


HANG_UP = Answer(0)


class Script:
    """A server that gives its answers in order and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, object]] = []
        self.headers: list[dict[str, str]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                script.asked.append((self.command, self.path, json.loads(body) if body else None))
                script.headers.append(dict(self.headers.items()))
                answer = script.answers.pop(0)
                if answer is HANG_UP:
                    self.close_connection = True
                    return
                raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body)
                content = raw if isinstance(raw, bytes) else raw.encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST  # noqa: N815 - http.server's name

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def script() -> Iterator[Script]:
    with Script() as running:
        yield running


@dataclass
class Caller:
    """Either client behind one face; `pauses` are the seconds it wanted to sleep."""

    client: Client | AsyncClient
    pauses: list[float]

    async def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        result = getattr(self.client, method)(*args, **options)
        if isinstance(result, AsyncIterator):
            return [page async for page in result]
        return await result if inspect.isawaitable(result) else result


@pytest.fixture(params=["sync", "async"])
async def call(request: pytest.FixtureRequest, script: Script) -> AsyncIterator[Caller]:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    if request.param == "sync":
        with Client(script.url, TOKEN, sleep=pauses.append) as client:
            yield Caller(client, pauses)
    else:
        async with AsyncClient(script.url, TOKEN, sleep=pause) as other:
            yield Caller(other, pauses)


def registered(*keys: str) -> Answer:
    return Answer(
        body={
            "sends": [
                {"key": key, "send": "0123456789abcdef", "return_path": f"s{key}@bounce.example"}
                for key in keys
            ]
        }
    )


async def test_sends_are_registered_with_what_is_known_of_them(
    script: Script, call: Caller
) -> None:
    script.answers = [registered("4711/max", "4711/eva")]
    full = Send(
        key="4711/eva",
        author="anna@planners.example",
        recipients=("eva@builders.example", "max@builders.example"),
        reference="4711",
        title="Protokoll 14",
        url="https://app.example/p/4711",
        language="de",
    )
    answer = await call("register", iter([SEND, full]))
    assert [
        SendRegistered("4711/max", "0123456789abcdef", "s4711/max@bounce.example"),
        SendRegistered("4711/eva", "0123456789abcdef", "s4711/eva@bounce.example"),
    ] == answer
    body = {
        "sends": [
            {
                "key": "4711/max",
                "author": "anna@planners.example",
                "recipients": ["max@builders.example"],
            },
            {
                "key": "4711/eva",
                "author": "anna@planners.example",
                "recipients": ["eva@builders.example", "max@builders.example"],
                "reference": "4711",
                "title": "Protokoll 14",
                "url": "https://app.example/p/4711",
                "language": "de",
            },
        ]
    }
    assert [("POST", "/v1/sends", body)] == script.asked
    assert script.headers[0]["Authorization"] == f"Bearer {TOKEN}"


async def test_a_lookup_tells_how_each_address_stands(script: Script, call: Caller) -> None:
    case = {
        "case": "c1",
        "author": "anna@planners.example",
        "category": "bad-address",
        "reason": "user-unknown",
        "state": "open",
        "strikes": 2,
        "notices": 1,
        "last_strike_at": "2026-11-22T03:04:05.678901Z",
        "of_a_later_version": True,
    }
    unknown = {**case, "case": "c2", "last_strike_at": None}
    script.answers = [
        Answer(
            body={
                "recipients": [
                    {"recipient": "a@b.example", "known_bad": True, "cases": [case, unknown]},
                    {"recipient": "c@d.example", "known_bad": False, "cases": []},
                ]
            }
        )
    ]
    details = ("anna@planners.example", "bad-address", "user-unknown", "open", 2, 1)
    assert [
        Standing("a@b.example", True, (Case("c1", *details, AT), Case("c2", *details, None))),
        Standing("c@d.example", False, ()),
    ] == await call("lookup", ("a@b.example", "c@d.example"))
    body = {"recipients": ["a@b.example", "c@d.example"]}
    assert [("POST", "/v1/recipients/lookup", body)] == script.asked


async def test_corrected_and_delivered_send_only_what_is_given(
    script: Script, call: Caller
) -> None:
    script.answers = [Answer(body={"cases": n}) for n in (3, 1, 2, 0)]
    author, new, send = "anna@planners.example", "max@builder.example", "0123456789abcdef"
    answers = [
        await call("corrected", "max@bilder.example"),
        await call("corrected", "max@bilder.example", author=author, new_recipient=new),
        await call("delivered", "max@builder.example"),
        await call("delivered", "max@builder.example", author=author, send=send),
    ]
    assert answers == [3, 1, 2, 0]
    bad, good = {"recipient": "max@bilder.example"}, {"recipient": new}
    assert [
        ("POST", "/v1/recipients/corrected", bad),
        ("POST", "/v1/recipients/corrected", {**bad, "author": author, "new_recipient": new}),
        ("POST", "/v1/recipients/delivered", good),
        ("POST", "/v1/recipients/delivered", {**good, "author": author, "send": send}),
    ] == script.asked


def event_page(number: int, next_: str) -> dict[str, Any]:
    entry = {"id": f"e{number}", "at": "2026-11-22T03:04:05.678901Z", "event": "strike_counted"}
    return {"events": [{**entry, "strikes": number, "send": None}], "next": next_}


async def test_events_are_read_behind_a_cursor(script: Script, call: Caller) -> None:
    script.answers = [Answer(body=event_page(1, "c/1")), Answer(body=event_page(2, "c 2"))]
    first = Event("e1", AT, "strike_counted", {"strikes": 1, "send": None})
    assert EventPage((first,), "c/1") == await call("events")
    assert (await call("events", "c/1", limit=7)).next == "c 2"
    assert script.asked == [
        ("GET", "/v1/events?limit=100", None),
        ("GET", "/v1/events?limit=7&after=c%2F1", None),
    ]


async def test_a_walk_goes_on_to_the_first_empty_page(script: Script, call: Caller) -> None:
    pages = [event_page(1, "one"), event_page(2, "two"), {"events": [], "next": "two"}]
    script.answers = [Answer(body=page) for page in pages]
    walked = await call("walk_events", "zero", limit=1)
    assert [page.next for page in walked] == ["one", "two"]
    assert [path for _, path, _ in script.asked] == [
        f"/v1/events?limit=1&after={cursor}" for cursor in ("zero", "one", "two")
    ]


REFUSALS = {
    400: InvalidError,
    401: UnauthorizedError,
    403: UnauthorizedError,
    404: InvalidError,
    405: InvalidError,
    409: ConflictError,
    410: InvalidError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
    500: ApiError,
}


@pytest.mark.parametrize(("status", "kind"), REFUSALS.items())
async def test_a_refusal_is_an_error_of_its_kind_and_not_repeated(
    script: Script, call: Caller, status: int, kind: type[ApiError]
) -> None:
    problem = {"type": "about:blank", "title": "No", "status": status, "detail": "so it is"}
    script.answers = [Answer(status, problem)]
    with pytest.raises(ApiError, match=rf"^{status} No so it is$") as caught:
        await call("register", [SEND])
    assert (kind, status, ()) == (caught.type, caught.value.status, caught.value.errors)
    assert len(script.asked) == 1


async def test_an_error_names_each_faulty_field(script: Script, call: Caller) -> None:
    errors = [
        {"index": 3, "field": "author", "detail": "no mail address"},
        {"index": 4, "field": "", "detail": "a key stands twice"},
        {"index": None, "field": "sends", "detail": "too many"},
    ]
    script.answers = [Answer(422, {"title": "Bad", "detail": "two faults", "errors": errors})]
    with pytest.raises(InvalidError) as caught:
        await call("register", [SEND])
    assert caught.value.errors == (
        FieldFault("no mail address", "author", 3),
        FieldFault("a key stands twice", "", 4),
        FieldFault("too many", "sends"),
    )
    assert str(caught.value) == (
        "422 Bad two faults; [3].author: no mail address; [4]: a key stands twice; sends: too many"
    )


FOREIGN = [
    b"<html>Bad Gateway</html>",
    b"\xff",
    b"[" * 100_000,
    [1],
    "text",
    {"errors": None},
    {"errors": "upstream"},
    {"errors": 5},
    {"errors": {"detail": "upstream"}},
    {"errors": ["upstream", 5, None, ["detail"]]},
    {"errors": [{"message": "upstream"}]},
    {"errors": [{"detail": 5}, {"detail": "a", "field": 5}, {"detail": "a", "index": "5"}]},
]
"""Error pages of something that stands between us and the daemon."""


@pytest.mark.parametrize("body", FOREIGN)
async def test_a_foreign_page_that_says_later_is_tried_again(
    script: Script, call: Caller, body: object
) -> None:
    script.answers = [Answer(502, body), Answer(503, body), registered("4711/max")]
    (answer,) = await call("register", [SEND])
    assert answer.key == "4711/max"
    assert call.pauses == [0.5, 1.0]


@pytest.mark.parametrize("body", FOREIGN)
async def test_a_proxys_own_page_is_told_by_its_status(
    script: Script, call: Caller, body: object
) -> None:
    script.answers = [Answer(404, body)]
    with pytest.raises(ApiError, match=r"^404$"):
        await call("lookup", ["a@b.example"])


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[" * 100_000,
        [],
        {},
        {"recipients": 1},
        {"recipients": [{}]},
        {"recipients": ["x"]},
        {"recipients": [[1]]},
        {"recipients": [{"recipient": "a@b.example", "known_bad": False, "cases": ["x"]}]},
    ],
)
async def test_an_answer_of_something_else_is_an_error(
    script: Script, call: Caller, body: object
) -> None:
    script.answers = [Answer(200, body)]
    with pytest.raises(ApiError, match=r"^the answer is not one of this API$"):
        await call("lookup", ["a@b.example"])


@pytest.mark.parametrize("entry", [[1], "x", None, {"id": "1", "at": 5, "event": "x"}])
async def test_an_event_of_something_else_is_an_error(
    script: Script, call: Caller, entry: object
) -> None:
    script.answers = [Answer(200, {"events": [entry], "next": "a"})]
    with pytest.raises(ApiError, match=r"^the answer is not one of this API$"):
        await call("events")


@pytest.mark.parametrize("cases", [b"1e999", b'"x"', b"[]", b"null"])
async def test_a_count_of_something_else_is_an_error(
    script: Script, call: Caller, cases: bytes
) -> None:
    script.answers = [Answer(200, b'{"cases":' + cases + b"}")]
    with pytest.raises(ApiError, match=r"^the answer is not one of this API$"):
        await call("corrected", "a@b.example")


@pytest.mark.parametrize(
    "trouble",
    [
        HANG_UP,
        Answer(408, {}),
        Answer(502, b""),
        Answer(503, {"title": "Later"}),
        Answer(504, b""),
    ],
)
async def test_what_may_pass_is_tried_again_with_growing_pauses(
    script: Script, call: Caller, trouble: Answer
) -> None:
    script.answers = [trouble, trouble, trouble, registered("4711/max")]
    (answer,) = await call("register", [SEND])
    assert answer.key == "4711/max"
    assert call.pauses == [0.5, 1.0, 2.0]
    assert [script.asked[0]] * 4 == script.asked


async def test_after_the_last_attempt_the_trouble_is_told(script: Script, call: Caller) -> None:
    script.answers = [Answer(503, {"title": "Later", "detail": "no database"})] * 4
    with pytest.raises(UnavailableError, match=r"^503 Later no database$") as caught:
        await call("lookup", ["a@b.example"])
    assert (caught.value.status, caught.value.retry_after_s) == (503, None)
    assert call.pauses == [0.5, 1.0, 2.0]


async def test_retry_after_lengthens_a_pause(script: Script, call: Caller) -> None:
    date = format_datetime(datetime.now(UTC), usegmt=True)
    waits = ("5", "0", date, "")
    script.answers = [Answer(503, {}, {"Retry-After": wait}) for wait in waits]
    with pytest.raises(UnavailableError):
        await call("lookup", ["a@b.example"])
    assert call.pauses == [5.0, 1.0, 2.0]


async def test_a_long_retry_after_is_left_to_the_caller(script: Script, call: Caller) -> None:
    script.answers = [Answer(503, {}, {"Retry-After": "31"})]
    with pytest.raises(UnavailableError) as caught:
        await call("lookup", ["a@b.example"])
    assert (caught.value.retry_after_s, call.pauses) == (31.0, [])


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_server_that_is_away_is_unavailable() -> None:
    pauses: list[float] = []
    url = f"http://127.0.0.1:{find_free_port()}"
    with (
        Client(url, TOKEN, attempts=2, sleep=pauses.append) as client,
        pytest.raises(UnavailableError, match=r"^no answer: .*refused") as caught,
    ):
        client.events()
    assert (caught.value.status, pauses) == (None, [0.5])
    async with AsyncClient(url, TOKEN, attempts=1) as other:
        with pytest.raises(UnavailableError, match=r"^no answer: "):
            await other.events()


def test_a_server_that_says_nothing_is_unavailable_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            Client(url, TOKEN, timeout=0.05, attempts=1) as client,
            pytest.raises(UnavailableError, match=r"^no answer: "),
        ):
            client.events()


def test_a_certificate_of_a_stranger_is_refused() -> None:
    authority = trustme.CA()
    with Script() as script:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        script.server.socket = context.wrap_socket(script.server.socket, server_side=True)
        script.answers = [Answer(body={"cases": 1})]
        url = script.url.replace("http:", "https:")
        with (
            Client(url, TOKEN, attempts=1) as client,
            pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            client.corrected("a@b.example")
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        with Client(url, TOKEN, verify=trusting) as client:
            assert client.corrected("a@b.example") == 1


def test_the_environment_names_no_proxy(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{find_free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{find_free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    script.answers = [Answer(body={"cases": 1})]
    with Client(script.url, TOKEN, attempts=1) as client:
        assert client.corrected("a@b.example") == 1


def test_the_api_may_stand_behind_a_path(script: Script) -> None:
    script.answers = [Answer(body={"cases": 1})]
    with Client(f"{script.url}/bounced/", TOKEN) as client:
        client.delivered("a@b.example")
    assert script.asked[0][1] == "/bounced/v1/recipients/delivered"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "localhost", "", "ftp://x", "http://"])
def test_a_url_that_leads_nowhere_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"^base_url .*: write http://host:port or https://host$"):
        Client(url, TOKEN)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/bounced/v1"])
def test_a_url_with_the_version_in_it_is_refused_at_once(path: str) -> None:
    with pytest.raises(ValueError, match=r"^base_url .*: leave /v1 away, the client adds it$"):
        Client(f"http://127.0.0.1:8080{path}", TOKEN)


async def test_one_address_is_not_taken_for_a_list_of_letters(
    script: Script, call: Caller
) -> None:
    said = r"^recipients is one text, 'a@b\.example': write \['a@b\.example'\]$"
    with pytest.raises(TypeError, match=said):
        await call("lookup", "a@b.example")
    with pytest.raises(TypeError, match=said):
        Send(key="k", author="anna@planners.example", recipients="a@b.example")  # type: ignore[arg-type]  # the mistake
    assert script.asked == []


@pytest.mark.parametrize("token", ["", "read from a file\n", "tab\t", "schlüssel"])
def test_a_token_that_cannot_be_sent_is_refused_at_once(token: str) -> None:
    with pytest.raises(ValueError, match=r"^the token "):
        AsyncClient("http://127.0.0.1:8080", token)


def run_python(code: str, *options: str) -> str:
    command = (sys.executable, *options, "-c", code)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_the_client_brings_nothing_of_the_daemon_along() -> None:
    loaded = run_python(
        "import sys, bounced.client\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in\n"
        "    ('bounced', 'sqlalchemy', 'pydantic', 'structlog', 'aiosmtpd', 'starlette')))"
    )
    ours = ["bounced", "bounced.client", "bounced.client.session", "bounced.client.wire"]
    assert str(ours) == loaded


def test_the_client_works_as_a_copied_folder(tmp_path: Path) -> None:
    shutil.copytree(Path(wire.__file__).parent, tmp_path / "bounced" / "client")
    path = [str(tmp_path), str(Path(httpx2.__file__).parents[1])]
    code = (
        f"import sys; sys.path[:0] = {path}\nimport bounced.client; print(bounced.client.__file__)"
    )
    loaded = run_python(code, "-I", "-S")
    assert str(tmp_path / "bounced" / "client" / "__init__.py") == loaded


def test_without_its_library_the_client_says_what_to_install() -> None:
    told = run_python("import sys; sys.modules['httpx2'] = None\nimport bounced.client")
    assert told == "ImportError: bounced.client needs httpx2: pip install httpx2"
