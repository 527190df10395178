"""Both clients against a running daemon: what one registers, the other finds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bounced.client import (
    AsyncClient,
    Client,
    ConflictError,
    FieldFault,
    InvalidError,
    Send,
    Standing,
    UnauthorizedError,
)
from tests.e2e.process import ServeProcess, build_dsn, deliver

TOKEN = "a-secret-of-the-protocols"
SEND = Send(
    key="4711/max",
    author="anna@planners.example",
    recipients=("max@builders.example",),
    reference="4711",
    title="Protokoll 14",
    url="https://app.example/p/4711",
    language="de",
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ServeProcess]:
    (tmp_path / "tokens").write_text(f"protocols {TOKEN}\n")
    (tmp_path / "tokens").chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[smtp]\nlisten = ["127.0.0.1:0"]\n'
        f'[database]\nurl = "sqlite:///{tmp_path}/bounced.db"\n'
        f'[relay]\nmaildir = "{tmp_path}/notices"\n'
        f'[http]\nlisten = "127.0.0.1:0"\ntokens_file = "{tmp_path}/tokens"\n'
    )
    with ServeProcess(config) as process:
        yield process
        assert process.stop() == 0
        assert process.strays == []


@pytest.fixture
def base_url(daemon: ServeProcess) -> str:
    return f"http://{daemon.wait_for('started')['http'][0]}"


async def test_a_failure_is_found_told_and_closed(daemon: ServeProcess, base_url: str) -> None:
    with Client(base_url, TOKEN) as client:
        (registered,) = client.register([SEND])
        assert client.register([SEND]) == [registered]
    now = datetime.now(UTC)
    report = build_dsn("x@y.example", "1@app.example", author="z@y.example", now=now)
    await deliver(daemon.smtp, report, registered.return_path)
    await asyncio.to_thread(daemon.wait_for, "strike_counted")

    async with AsyncClient(base_url, TOKEN) as other:
        standing, unknown = await other.lookup(["MAX@builders.example", "eva@builders.example"])
        assert unknown == Standing("eva@builders.example", False, ())
        (case,) = standing.cases
        assert (standing.recipient, standing.known_bad) == ("MAX@builders.example", True)
        assert (case.author, case.category, case.reason) == (
            "anna@planners.example",
            "bad-address",
            "user-unknown",
        )
        assert (case.state, case.strikes, case.notices) == ("open", 1, 0)
        assert case.last_strike_at is not None
        assert abs(case.last_strike_at - now) < timedelta(minutes=1)

        assert await other.delivered(standing.recipient, send=registered.send) == 0
        assert await other.corrected(standing.recipient, author=SEND.author) == 1
        pages = [page async for page in other.walk_events(limit=1)]
        assert (await other.events(pages[-1].next)).events == ()

    with Client(base_url, TOKEN) as client:
        assert [page.next for page in client.walk_events(limit=1)] == [p.next for p in pages]
        assert client.events(limit=2).events == tuple(page.events[0] for page in pages)
    told = [page.events[0] for page in pages]
    assert [(event.event, event.data["case"]) for event in told] == [
        ("strike_counted", case.case),
        ("case_closed", case.case),
    ]
    strike = told[0].data
    assert (strike["send"], strike["key"], strike["reference"]) == (
        registered.send,
        SEND.key,
        SEND.reference,
    )


def test_the_daemons_refusals_are_the_clients_errors(daemon: ServeProcess, base_url: str) -> None:
    with Client(base_url, TOKEN) as client:
        client.register([SEND])
        other = replace(SEND, title="Protokoll 15")
        with pytest.raises(ConflictError) as conflict:
            client.register([replace(SEND, key="4712/max"), other])
        assert [(fault.index, fault.field) for fault in conflict.value.errors] == [(1, "key")]
        with pytest.raises(InvalidError) as invalid:
            client.register([SEND, replace(SEND, key="4713/max", author="anna")])
        detail = "no mail address: write local@domain, no name, no brackets"
        assert invalid.value.errors == (FieldFault(detail, "author", 1),)
        with pytest.raises(InvalidError):
            client.lookup(["a@b.example"] * 1001)
        with pytest.raises(InvalidError):
            client.events("no cursor")
    with (
        Client(base_url, "another-secret-of-nobody") as stranger,
        pytest.raises(UnauthorizedError),
    ):
        stranger.events()
