from __future__ import annotations

import asyncio
import threading

import httpx2
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from bounced.ledger.records import NoticeState, ReportState
from bounced.logs import Event, emit
from bounced.web import health
from tests.ledger.office import Office
from tests.web.conftest import House, make_client

PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json")


@pytest.mark.parametrize("path", PATHS)
async def test_health_and_document_need_no_token(house: House, path: str) -> None:
    house.tokens = None
    async with make_client(house) as client:
        del client.headers["authorization"]
        answer = await client.get(path)
    assert answer.status_code == 200


async def test_a_daemon_that_works_is_alive_and_ready(client: httpx2.AsyncClient) -> None:
    answers = [(await client.get(path)).json() for path in ("/healthz", "/readyz")]
    assert answers == [{"status": "alive"}, {"status": "ready"}]


async def test_what_keeps_the_daemon_from_its_work_is_named(
    house: House, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_work: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("server closed"))

    house.faults.append("no address is listened on")
    monkeypatch.setattr(house.ledger, "read", lose)
    answers = [await client.get(path) for path in ("/readyz", "/healthz")]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[0].json() == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "no address is listened on; the database does not answer",
    }


async def test_the_metrics_tell_what_the_ledger_holds_by_state(
    house: House, client: httpx2.AsyncClient
) -> None:
    office = Office(house.ledger)
    office.fail("one")
    office.close(office.fail("two", "eva@kunde.example").case)
    found = await scrape(client)
    held = {name: value for name, value in found.items() if value and "event" not in name}
    assert held == {
        "bounced_database_up": 1.0,
        f"bounced_reports state={ReportState.PROCESSED.value}": 2.0,
        "bounced_cases state=open": 1.0,
        "bounced_cases state=closed": 1.0,
        f"bounced_notices state={NoticeState.OPEN.value}": 1.0,
    }


async def test_the_metrics_count_the_lines_of_the_log(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    structlog.configure(processors=[sqlite_house.events, drop])
    emit(Event.DATABASE_RESTORED)
    emit(Event.DATABASE_RESTORED)
    found = await scrape(sqlite_client)
    counts = {name: value for name, value in found.items() if name.startswith("bounced_events")}
    assert counts.pop("bounced_events_total event=database_restored") == 2.0
    assert counts == {
        f"bounced_events_total event={event.value}": 0.0
        for event in Event
        if event is not Event.DATABASE_RESTORED
    }


async def test_the_metrics_come_while_the_database_is_lost(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_work: object) -> None:
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    monkeypatch.setattr(sqlite_house.ledger, "read", lose)
    found = await scrape(sqlite_client)
    assert found.pop("bounced_database_up") == 0.0
    assert {name.partition(" ")[0] for name in found} == {"bounced_events_total"}


async def scrape(client: httpx2.AsyncClient) -> dict[str, float]:
    """Read the page as Prometheus does: sample and labels to value."""
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        " ".join([sample.name, *(f"{k}={v}" for k, v in sample.labels.items())]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def drop(_logger: object, _method: str, _line: object) -> str:
    raise structlog.DropEvent


async def test_a_database_that_hangs_holds_one_thread_however_many_ask(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, release = [], threading.Event()

    def hang(_work: object) -> None:
        calls.append(threading.current_thread())
        release.wait()

    monkeypatch.setattr(sqlite_house.ledger, "read", hang)
    monkeypatch.setattr(health, "_DATABASE_S", 0.1)
    answers = await asyncio.gather(*(sqlite_client.get("/readyz") for _ in range(20)))
    answers.append(await sqlite_client.get("/readyz"))
    release.set()
    assert {answer.json()["detail"] for answer in answers} == {"the database does not answer"}
    assert len(calls) == 1
