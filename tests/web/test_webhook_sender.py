"""Webhooks on their way to an application that takes, refuses, hangs, redirects, dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from bounced import __version__
from bounced.config import WebhookSettings
from bounced.ledger import webhooks
from bounced.ledger.engine import Ledger
from bounced.ledger.outbox import NewEvent
from bounced.ledger.writer import Writer
from bounced.logs import Event
from bounced.web.signing import parse_signing_secrets, sign
from bounced.web.webhooks import (
    FIRST_RETRY,
    LAST_RETRY,
    LEASE_MARGIN,
    LONGEST_PAUSE,
    WebhookSender,
)
from tests.logcheck import Line, find_events
from tests.web.conftest import NOON
from tests.web.receiver import Heard, Receiver, run_receiver

SECRET = f"whsec_{'A' * 43}="
HOUR = timedelta(hours=1)
TIMEOUT = timedelta(seconds=10)


@dataclass
class Post:
    """A sender, its queue and its clock."""

    ledger: Ledger
    writer: Writer
    sender: WebhookSender
    now: Any = NOON
    number: int = 0

    def queue(self, action: str = "resumed") -> str:
        self.number += 1
        name = f"{self.number:013x}400"  # the last byte is 0: the pause is whole
        body = {"author": "anna@bau.example", "action": action}
        happened = NewEvent(Event.AUTHOR_ACTED, body)
        self.ledger.write(lambda c: webhooks.queue(c, happened, self.now, lambda: name))
        self.now += timedelta(milliseconds=1)
        return name

    async def send(self, after: timedelta = timedelta(0)) -> int:
        self.now += after
        return await self.sender.send_due(self.now)

    def configure(self, **settings: Any) -> None:
        self.sender.settings = self.sender.settings.model_copy(update=settings)

    def list_states(self) -> list[tuple[str, int, str | None]]:
        rows = self.ledger.read(webhooks.list_webhooks)
        return [(row["state"], row["attempts"], row["detail"]) for row in reversed(rows)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with run_receiver() as running:
        yield running


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture
def post(ledger: Ledger, receiver: Receiver, secret_file: Path) -> Iterator[Post]:
    """Return a sender to the receiver, once on each database."""
    writer = Writer(ledger)
    settings = WebhookSettings.model_validate(
        {"url": receiver.url, "secret_file": str(secret_file), "timeout": "10s"}
    )
    made = Post(ledger, writer, WebhookSender(writer, settings, clock=lambda: made.now))
    yield made
    writer.stop()


def list_ids(receiver: Receiver) -> list[str]:
    return [heard.headers["webhook-id"] for heard in receiver.heard]


async def test_what_an_author_did_is_posted_once_and_signed(
    post: Post, receiver: Receiver, log: list[Line]
) -> None:
    webhook = post.queue("declined")
    assert await post.send() == 1
    assert await post.send(HOUR) == 0
    (heard,) = receiver.heard
    assert heard.line == "POST /hear HTTP/1.1"
    assert json.loads(heard.body) == {
        "id": webhook,
        "at": "2026-11-22T12:00:00Z",
        "event": "author_acted",
        "author": "anna@bau.example",
        "action": "declined",
    }
    expected = sign(webhook, NOON, heard.body, parse_signing_secrets(SECRET))
    expected |= {"content-type": "application/json", "user-agent": f"bounced/{__version__}"}
    assert {name: heard.headers[name] for name in expected} == expected
    assert post.list_states() == [("sent", 1, "HTTP 204")]
    assert log == [
        {
            "event": "webhook_sent",
            "webhook": webhook,
            "about": "author_acted",
            "attempts": 1,
            "detail": "HTTP 204",
        }
    ]


async def test_what_is_refused_comes_again_later_with_the_same_bytes(
    post: Post, receiver: Receiver, log: list[Line]
) -> None:
    receiver.script = ["500", "500"]
    webhook = post.queue()
    await post.send()
    assert await post.send(FIRST_RETRY - timedelta(seconds=1)) == 0
    assert await post.send(timedelta(seconds=1)) == 1
    assert await post.send(FIRST_RETRY) == 0
    assert await post.send(FIRST_RETRY) == 1
    assert list_ids(receiver) == [webhook] * 3
    assert len({heard.body for heard in receiver.heard}) == 1
    timestamps = [int(heard.headers["webhook-timestamp"]) for heard in receiver.heard]
    assert timestamps == [timestamps[0], timestamps[0] + 10, timestamps[0] + 30]
    assert post.list_states() == [("sent", 3, "HTTP 204")]
    assert [(line["event"], line.get("why")) for line in log] == [
        ("webhook_failed", "HTTP 500"),
        ("webhook_failed", "HTTP 500"),
        ("webhook_sent", None),
    ]


async def test_what_one_answer_refuses_does_not_stop_the_next(
    post: Post, receiver: Receiver
) -> None:
    receiver.script = ["422"]
    first, second = post.queue(), post.queue()
    assert await post.send() == 2
    await post.send(FIRST_RETRY)
    assert list_ids(receiver) == [first, second, first]


@pytest.mark.parametrize("line", ["drop", "garbage", "429", "502", "503", "504"])
async def test_while_the_application_is_away_everything_waits_and_keeps_its_order(
    post: Post, receiver: Receiver, line: str
) -> None:
    receiver.script = [line, line]
    names = [post.queue(), post.queue()]
    assert await post.send() == 1
    names.append(post.queue())
    assert await post.send() == 0, "what is new does not overtake"
    assert await post.send(FIRST_RETRY) == 1
    assert await post.send(2 * FIRST_RETRY) == 3
    assert list_ids(receiver) == [names[0], names[0], *names]


@pytest.mark.parametrize("line", ["hang", "drip"])
async def test_an_answer_that_does_not_end_is_not_waited_for(
    post: Post, receiver: Receiver, line: str
) -> None:
    post.configure(timeout=timedelta(milliseconds=200))
    receiver.script = [line]
    post.queue()
    await asyncio.wait_for(post.send(), 5)
    assert post.list_states() == [("waiting", 1, "no answer in time")]
    await post.send(FIRST_RETRY)
    assert post.list_states() == [("sent", 2, "HTTP 204")]


async def test_a_redirect_is_not_followed(post: Post, receiver: Receiver) -> None:
    receiver.script = ["redirect"]
    post.queue()
    await post.send()
    assert len(receiver.heard) == 1
    assert post.list_states() == [("waiting", 1, "HTTP 307")]


async def test_nobody_there_is_an_application_that_is_away(post: Post, log: list[Line]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    post.configure(url=f"http://127.0.0.1:{port}")
    post.queue()
    post.queue()
    assert await post.send() == 1
    (line,) = log
    assert line["why"].startswith("ConnectError: ")
    assert line["next_at"] == (post.now + FIRST_RETRY).isoformat()


async def test_gone_is_the_last_word(post: Post, receiver: Receiver, log: list[Line]) -> None:
    receiver.script = ["410"]
    webhook = post.queue()
    await post.send()
    assert post.list_states() == [("failed", 1, "HTTP 410")]
    assert await post.send(HOUR) == 0
    assert log == [
        {
            "event": "webhook_failed",
            "webhook": webhook,
            "about": "author_acted",
            "why": "HTTP 410",
            "attempts": 1,
            "detail": "given up",
        }
    ]


@pytest.mark.parametrize(
    ("line", "longest"), [("500", LAST_RETRY), ("503", LONGEST_PAUSE)], ids=["refused", "away"]
)
async def test_the_pauses_grow_and_at_last_it_is_given_up(
    post: Post, receiver: Receiver, line: str, longest: timedelta
) -> None:
    receiver.script = [line] * 100
    post.configure(give_up=3 * longest)
    post.queue()
    pauses = []
    while (row := post.ledger.read(webhooks.list_webhooks)[0])["state"] == "waiting":
        waited = max(row["next_at"] - post.now, timedelta(0))
        pauses.append(waited)
        assert await post.send(waited) == 1
    steps = [min(FIRST_RETRY * 2**number, longest) for number in range(len(pauses) - 1)]
    assert pauses == [timedelta(0), *steps]
    assert 3 * longest < post.now - NOON <= 4 * longest


async def test_many_that_fail_at_once_do_not_come_again_at_once(
    post: Post, receiver: Receiver
) -> None:
    receiver.script = ["500"] * 2
    post.queue()
    name = "00000000000000ff"
    happened = NewEvent(Event.AUTHOR_ACTED, {})
    post.ledger.write(lambda c: webhooks.queue(c, happened, post.now, lambda: name))
    await post.send()
    rows = post.ledger.read(webhooks.list_webhooks)
    pauses = {row["webhook"]: row["next_at"] - post.now for row in rows}
    assert pauses.pop(name) == FIRST_RETRY * (1 - 255 / 1024)
    assert list(pauses.values()) == [FIRST_RETRY]


async def test_the_secret_is_read_anew_and_what_is_wrong_with_it_is_told(
    post: Post, receiver: Receiver, secret_file: Path, log: list[Line]
) -> None:
    post.queue()
    secret_file.write_text("")  # noqa: ASYNC240 - nobody else waits
    await post.send()
    assert receiver.heard == []
    assert log[0]["why"].startswith(f"webhook.secret_file: {secret_file}: is empty")
    new = f"whsec_{'B' * 43}="
    secret_file.write_text(new)  # noqa: ASYNC240 - nobody else waits
    await post.send(FIRST_RETRY)
    (heard,) = receiver.heard
    assert heard.headers["webhook-signature"] == find_signature(heard, post, new)


def find_signature(heard: Heard, post: Post, secret: str) -> str:
    headers = sign(
        heard.headers["webhook-id"], post.now, heard.body, parse_signing_secrets(secret)
    )
    return headers["webhook-signature"]


async def test_an_address_that_cannot_be_asked_is_given_up_in_time(
    post: Post, receiver: Receiver, log: list[Line]
) -> None:
    """The configuration refuses such a host; a library may be stricter than we are."""
    webhook = post.queue()
    post.configure(url="http://[v1.a]/")
    assert await post.send() == 1
    ((state, attempts, detail),) = post.list_states()
    assert (state, attempts) == ("waiting", 1)
    assert detail is not None
    assert detail.startswith("InvalidURL: ")
    post.now += post.sender.settings.give_up
    assert await post.send() == 1
    assert [state for state, _, _ in post.list_states()] == ["failed"]
    assert [line["webhook"] for line in find_events(log, "webhook_failed")] == [webhook, webhook]


async def test_without_an_address_what_is_queued_waits(post: Post, receiver: Receiver) -> None:
    post.queue()
    settings = post.sender.settings
    post.sender.settings = WebhookSettings()
    assert await post.send() == 0
    assert post.list_states() == [("waiting", 0, None)]
    post.sender.settings = settings
    assert await post.send() == 1


async def test_a_stopping_sender_takes_no_more(post: Post, receiver: Receiver) -> None:
    post.queue()
    post.queue()
    receiver.on_heard = post.sender.stop
    assert await post.send() == 1
    assert [state for state, _, _ in post.list_states()] == ["sent", "waiting"]


async def test_no_proxy_of_the_environment_is_asked(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    post.queue()
    await post.send()
    assert len(receiver.heard) == 1


@pytest.mark.parametrize(
    ("name", "known", "state"),
    [
        ("127.0.0.1", True, "sent"),
        ("127.0.0.1", False, "waiting"),
        ("other.example", True, "waiting"),
    ],
    ids=["good", "of nobody we know", "of another host"],
)
async def test_the_certificate_is_verified(  # noqa: PLR0917 - fixtures
    post: Post,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    known: bool,
    state: str,
) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(tls)
    if known:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with run_receiver(tls) as secure:
        post.configure(url=f"https://127.0.0.1:{secure.port}")
        post.queue()
        await post.send()
        assert len(secure.heard) == (state == "sent")
    ((found, _, detail),) = post.list_states()
    assert found == state
    assert state == "sent" or "CERTIFICATE_VERIFY_FAILED" in str(detail)


async def test_two_nodes_share_the_queue(
    postgres_url: str, receiver: Receiver, secret_file: Path
) -> None:
    settings = WebhookSettings.model_validate(
        {"url": receiver.url, "secret_file": str(secret_file)}
    )
    ledgers = [Ledger(postgres_url), Ledger(postgres_url)]
    writers = [Writer(ledger) for ledger in ledgers]
    senders = [WebhookSender(writer, settings, clock=lambda: posts[0].now) for writer in writers]
    posts = [
        Post(ledger, writer, sender)
        for ledger, writer, sender in zip(ledgers, writers, senders, strict=True)
    ]
    names = [posts[0].queue() for _ in range(20)]
    tried = await asyncio.gather(*(sender.send_due(posts[0].now) for sender in senders))
    for writer, ledger in zip(writers, ledgers, strict=True):
        writer.stop()
        ledger.close()
    assert sum(tried) == 20
    assert sorted(list_ids(receiver)) == sorted(names)


_DIES = """\
import asyncio, os, signal, sys
from datetime import datetime
from bounced.config import WebhookSettings
from bounced.ledger import webhooks
from bounced.ledger.engine import Ledger
from bounced.ledger.writer import Writer
from bounced.web.webhooks import WebhookSender

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

url, address, secret_file, now, point = sys.argv[1:]
now = datetime.fromisoformat(now)
webhooks.__dict__[point] = die
settings = WebhookSettings.model_validate({"url": address, "secret_file": secret_file})
sender = WebhookSender(Writer(Ledger(url)), settings, clock=lambda: now)
asyncio.run(sender.send_due(now))
"""


@pytest.mark.parametrize(
    ("point", "heard_before"), [("claim", 0), ("settle_sent", 1)], ids=["before", "behind"]
)
async def test_a_daemon_that_is_killed_around_the_request_sends_it_again_under_the_same_id(
    post: Post, receiver: Receiver, point: str, heard_before: int
) -> None:
    webhook = post.queue()
    settings = post.sender.settings
    url = post.ledger.engine.url.render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DIES, url, settings.url, str(settings.secret_file)),
        *(post.now.isoformat(), point),
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        stderr=subprocess.DEVNULL,
    )
    assert await process.wait() == -signal.SIGKILL
    assert len(receiver.heard) == heard_before
    await post.send(TIMEOUT + LEASE_MARGIN)
    assert list_ids(receiver) == [webhook] * (heard_before + 1)
    assert len({heard.body for heard in receiver.heard}) == 1
    assert post.list_states() == [("sent", heard_before + 1, "HTTP 204")]
