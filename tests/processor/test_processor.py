"""From the stored report to the ledger: what is recorded, what is put away, what is logged."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from bounced.ledger import clusters, queries, reports, schema, sends, strikes
from bounced.ledger.engine import Ledger
from bounced.ledger.policy import PolicySettings
from bounced.ledger.records import NewReport
from bounced.ledger.reports import Finding
from bounced.ledger.writer import Writer
from bounced.model import Send, TokenType
from bounced.origin.resolve import OriginSettings
from bounced.processor import processor as processor_module
from bounced.processor.pool import ParserPool
from bounced.processor.processor import Processor, ProcessorSettings
from bounced.processor.worker import Result
from tests.logcheck import Line, find_events
from tests.processor import deadly
from tests.processor.mails import (
    AUTHOR,
    DISPLAYED,
    NAMES_NOBODY,
    NOT_READ,
    NOW,
    RECIPIENT,
    SPAM,
    VACATION,
    make_bounce,
    make_delay,
    make_forgery,
    make_nameless,
)

SETTINGS = ProcessorSettings(OriginSettings(own_relays=()), PolicySettings())
LEASE = timedelta(seconds=0.2)
SEND = Send("0123456789abcdef", AUTHOR, (RECIPIENT,), NOW, title="Protokoll 7")


class Bench:
    """A processor with a ledger, real parser processes and a clock that stands still."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger(url)
        self.writer = Writer(self.ledger)
        self.pool = deadly.make_pool()
        self.now = NOW
        self._ids = itertools.count(1)
        self.processor = Processor(
            self.writer, self.pool, SETTINGS, clock=lambda: self.now, new_id=self.new_id
        )

    def new_id(self) -> str:
        return f"{next(self._ids):016x}"

    def store(self, *raws: bytes, **arrival: Any) -> list[str]:
        """Store messages as an ingest from files does, which an own relay would have made."""
        names = [f"r{next(self._ids)}" for _ in raws]
        values: dict[str, Any] = {
            "received_at": NOW,
            "envelope_recipient": "bounces@bounce.example.com",
            "door": "ingest",
            **arrival,
        }
        self.ledger.write(
            lambda connection: reports.append(
                connection,
                [NewReport(report=n, raw=r, **values) for n, r in zip(names, raws, strict=True)],
            )
        )
        return names

    def find_states(self) -> dict[str, tuple[str, str | None]]:
        rows = self.ledger.read(queries.list_reports)
        return {row["report"]: (row["state"], row["why"]) for row in rows}

    def list_cases(self) -> list[dict[str, Any]]:
        return self.ledger.read(queries.list_cases)


@pytest.fixture
async def bench(sqlite_url: str) -> AsyncIterator[Bench]:
    made = Bench(sqlite_url)
    yield made
    made.pool.stop()
    made.writer.stop()
    made.ledger.close()


async def test_a_bounce_becomes_a_strike_a_case_and_a_digest_and_the_log_says_so(
    bench: Bench, log: list[Line]
) -> None:
    (report,) = bench.store(make_bounce())
    assert await bench.processor.process_waiting() == 1
    (case,) = bench.list_cases()
    assert (case["author"], case["subject"], case["strikes"]) == (AUTHOR, RECIPIENT, 1)
    assert [line["event"] for line in log] == [
        "report_parsed",
        "origin_resolved",
        "failure_classified",
        "strike_counted",
        "notice_queued",
    ]
    assert {line["report"] for line in log[:-1]} == {report}
    assert await bench.processor.process_waiting() == 0


async def test_a_second_report_of_the_same_send_counts_nothing(
    bench: Bench, log: list[Line]
) -> None:
    bench.store(make_bounce(), make_bounce())
    await bench.processor.process_waiting()
    assert [case["strikes"] for case in bench.list_cases()] == [1]
    (line,) = find_events(log, "report_duplicate")
    assert (line["recipient"], line["case"]) == (RECIPIENT, bench.list_cases()[0]["case"])


async def test_a_registered_send_names_the_author_and_his_recipient(
    bench: Bench, log: list[Line]
) -> None:
    bench.ledger.write(lambda connection: sends.register(connection, SEND))
    forwarded = make_bounce(recipient="elsewhere@isp.example")
    bench.store(forwarded, door="token", token_type=TokenType.SEND, token_id=SEND.send)
    await bench.processor.process_waiting()
    (case,) = bench.list_cases()
    assert (case["author"], case["subject"]) == (AUTHOR, RECIPIENT)
    (line,) = find_events(log, "origin_resolved")
    assert (line["source"], line["send"], line["trust"]) == ("send", SEND.send, "signed")


async def test_a_failure_of_somebody_whom_the_send_does_not_name_is_ignored(
    bench: Bench, log: list[Line]
) -> None:
    two = Send(SEND.send, AUTHOR, (RECIPIENT, "other@kunde.example"), NOW)
    bench.ledger.write(lambda connection: sends.register(connection, two))
    bench.store(
        make_bounce(recipient="stranger@isp.example"),
        door="token",
        token_type=TokenType.SEND,
        token_id=SEND.send,
    )
    await bench.processor.process_waiting()
    assert bench.list_cases() == []
    assert [line["why"] for line in find_events(log, "strike_ignored")] == ["not-addressed"]


async def test_the_bounce_of_an_unknown_notice_is_an_event_and_never_a_strike(
    bench: Bench, log: list[Line]
) -> None:
    notice = "fedcba9876543210"
    bench.store(make_bounce(), door="token", token_type=TokenType.NOTICE, token_id=notice)
    await bench.processor.process_waiting()
    assert bench.list_cases() == []
    (line,) = find_events(log, "notice_bounced")
    assert (line["notice"], line["author"], line["recipient"]) == (notice, None, RECIPIENT)
    assert find_events(log, "origin_unresolved") + find_events(log, "author_silenced") == []


async def send_notice(bench: Bench) -> str:
    """Make an author a digest; return its id, which stands in its return path."""
    bench.store(make_bounce())
    await bench.processor.process_waiting()
    (row,) = bench.ledger.read(queries.list_notices)
    return str(row["notice"])


async def test_the_bounce_of_a_notice_makes_its_author_unreachable_and_ops_are_told(
    bench: Bench, log: list[Line]
) -> None:
    notice = await send_notice(bench)
    log.clear()
    forwarded = make_bounce(2, recipient="anna@elsewhere.example")
    for _ in range(2):
        bench.store(forwarded, door="token", token_type=TokenType.NOTICE, token_id=notice)
        await bench.processor.process_waiting()
    assert [line["event"] for line in log] == [
        *("report_parsed", "failure_classified", "notice_bounced", "author_silenced"),
        *("report_parsed", "failure_classified", "notice_bounced"),
    ]
    told, silenced = log[2:4]
    assert (told["notice"], told["author"], told["recipient"], told["category"]) == (
        notice,
        AUTHOR,
        "anna@elsewhere.example",
        "bad-address",
    )
    assert silenced == {
        "event": "author_silenced",
        "author": AUTHOR,
        "why": "unreachable",
        "notice": notice,
    }
    assert [case["strikes"] for case in bench.list_cases()] == [1]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(VACATION, id="vacation"),
        pytest.param(VACATION.replace(b"Auto-Submitted: auto-replied", b"X-Autoreply: yes"), id="old"),
        pytest.param(VACATION.replace(b"Auto-Submitted: auto-replied\r\n", b""), id="by subject"),
        pytest.param(
            VACATION.replace(b"Bis Montag.", b"Ich habe die Firma verlassen, diese Adresse gibt es nicht mehr."),
            id="has left",
        ),
        pytest.param(NOT_READ, id="not read"),
        pytest.param(DISPLAYED, id="displayed"),
        pytest.param(make_delay(), id="delay"),
        pytest.param(SPAM, id="ordinary mail"),
    ],
)  # fmt: skip
async def test_what_answers_a_notice_by_itself_causes_nothing(
    bench: Bench, log: list[Line], raw: bytes
) -> None:
    notice = await send_notice(bench)
    before = [dump(bench, name) for name in ("cases", "strikes", "notices", "authors", "events")]
    log.clear()
    bench.store(raw, door="token", token_type=TokenType.NOTICE, token_id=notice, mail_from="")
    await bench.processor.process_waiting()
    after = [dump(bench, name) for name in ("cases", "strikes", "notices", "authors", "events")]
    assert after == before
    assert {line["event"] for line in log} <= {"report_parsed", "report_unrecognized"}


def dump(bench: Bench, table: str) -> list[tuple[Any, ...]]:
    query = select(schema.metadata.tables[table])
    return bench.ledger.read(lambda c: [tuple(row) for row in c.execute(query)])


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        pytest.param(make_delay(), ["report_parsed", "origin_resolved"], id="delay"),
        pytest.param(VACATION, ["report_parsed"], id="vacation"),
        pytest.param(SPAM, ["report_unrecognized"], id="spam"),
        pytest.param(b"", ["report_unrecognized"], id="empty"),
        pytest.param(
            NAMES_NOBODY,
            ["report_parsed", "origin_unresolved", "strike_ignored"],
            id="names-nobody",
        ),
        pytest.param(make_nameless(), ["report_parsed", "strike_ignored"], id="empty-recipient"),
        pytest.param(make_forgery(), ["report_parsed", "report_quarantined"], id="forgery"),
    ],
)
async def test_what_is_no_failure_of_ours_is_logged_and_not_counted(
    bench: Bench, log: list[Line], raw: bytes, events: list[str]
) -> None:
    bench.store(raw)
    await bench.processor.process_waiting()
    logged = [line["event"] for line in log]
    assert [event for event in logged if event in events] == events
    assert not {"strike_counted", "notice_queued"} & set(logged)
    assert bench.list_cases() == []


@pytest.mark.parametrize(
    ("mail_from", "event"),
    [
        pytest.param("", "report_parsed", id="no person answers from the null path"),
        pytest.param("max@firma.de", "report_unrecognized", id="a person's answer"),
        pytest.param(None, "report_unrecognized", id="a file tells no envelope"),
    ],
)
async def test_the_parser_knows_the_envelope_sender(
    bench: Bench, log: list[Line], mail_from: str | None, event: str
) -> None:
    answer = b"From: Max <max@firma.de>\r\nSubject: Re: Protokoll\r\n\r\nDanke!\r\n"
    bench.store(answer, mail_from=mail_from)
    await bench.processor.process_waiting()
    assert event in [line["event"] for line in log]


async def test_a_bounce_whose_author_nobody_knows_is_recorded_and_told_to_ops(
    bench: Bench, log: list[Line]
) -> None:
    (report,) = bench.store(make_bounce().replace(b"X-Protocol-Author", b"X-Other"))
    await bench.processor.process_waiting()
    assert bench.find_states() == {report: ("processed", "origin-unresolved")}
    assert [line["why"] for line in find_events(log, "origin_unresolved")] == ["origin-unresolved"]


async def test_a_text_that_no_rule_knows_is_logged_as_unclassified(
    bench: Bench, log: list[Line]
) -> None:
    bench.store(make_bounce(reply="550 5.0.0 Xyzzy plugh"))
    await bench.processor.process_waiting()
    (line,) = find_events(log, "failure_unclassified")
    assert (line["recipient"], line["status"], line["smtp_code"]) == (RECIPIENT, "5.0.0", 550)


async def test_a_new_unknown_text_is_told_once_whoever_it_is_about(
    bench: Bench, log: list[Line]
) -> None:
    names = bench.store(
        make_bounce(1, reply=f"550 5.0.0 Xyzzy <{RECIPIENT}>"),
        make_bounce(2, "eva@other.example", reply="550 5.0.0 Xyzzy <eva@other.example>"),
        make_bounce(3, reply="550 5.0.0 Plugh"),
        make_bounce(4),
    )
    await bench.processor.process_waiting()
    bench.store(make_bounce(5, reply="550 5.0.0 xyzzy <eva@kunde.example>"))
    await bench.processor.process_waiting()
    assert [line["report"] for line in find_events(log, "text_cluster_found")] == [
        names[0],
        names[2],
    ]
    rows = bench.ledger.read(clusters.list_clusters)
    assert [(row["text"], row["count"]) for row in rows] == [("xyzzy <address>", 3), ("plugh", 1)]


async def test_the_crash_that_undoes_a_batch_undoes_its_clusters(
    bench: Bench, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any) -> Any:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    bench.store(make_bounce(reply="550 5.0.0 Xyzzy"))
    with monkeypatch.context() as lost:
        lost.setattr(strikes, "open_digests", lose)
        with pytest.raises(OperationalError):
            await bench.processor.process_waiting()
    assert find_events(log, "text_cluster_found") == []
    await bench.processor.process_waiting()
    assert len(find_events(log, "text_cluster_found")) == 1


async def test_a_deadly_message_is_put_away_and_its_neighbours_are_counted(
    bench: Bench, log: list[Line]
) -> None:
    names = bench.store(make_bounce(1), deadly.DIES, deadly.FAILS, make_bounce(2))
    await bench.processor.process_waiting()
    assert bench.find_states() == {
        names[0]: ("processed", None),
        names[1]: ("quarantined", "worker-killed"),
        names[2]: ("quarantined", "parser-failed"),
        names[3]: ("processed", None),
    }
    assert [line["report"] for line in find_events(log, "worker_killed")] == [names[1]]
    assert [line["report"] for line in find_events(log, "job_failed")] == [names[2]]
    assert [line["why"] for line in find_events(log, "report_quarantined")] == [
        "worker-killed",
        "parser-failed",
    ]


async def test_a_finding_that_the_database_refuses_is_put_away_alone(
    bench: Bench, log: list[Line]
) -> None:
    trigger = (
        "CREATE TRIGGER refuse BEFORE INSERT ON failures WHEN NEW.recipient = 'bad@kunde.example' "
        "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    )
    bench.ledger.write(lambda connection: connection.execute(text(trigger)))
    names = bench.store(make_bounce(1), make_bounce(2, "bad@kunde.example"), make_bounce(3))
    await bench.processor.process_waiting()
    assert bench.find_states() == {
        names[0]: ("processed", None),
        names[1]: ("quarantined", "ledger-refused"),
        names[2]: ("processed", None),
    }
    (line,) = find_events(log, "report_quarantined")
    assert (line["report"], line["detail"]) == (names[1], "not this one")
    assert find_events(log, "job_failed") == []


async def test_a_bug_in_recording_puts_away_one_report_and_is_logged_with_its_traceback(
    bench: Bench, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(connection: Any, findings: Sequence[Finding], *rest: Any) -> Any:
        if any(len(finding.report.recipients) != 1 for finding in findings):
            raise ZeroDivisionError
        return actual(connection, findings, *rest)

    actual = strikes.record
    monkeypatch.setattr(strikes, "record", record)
    names = bench.store(make_bounce(1), SPAM)
    await bench.processor.process_waiting()
    assert bench.find_states() == {
        names[0]: ("processed", None),
        names[1]: ("quarantined", "ledger-refused"),
    }
    (line,) = find_events(log, "job_failed")
    assert (line["report"], line["error"]) == (names[1], "ZeroDivisionError")
    assert "in record" in line["exception"]


async def test_a_lost_database_puts_nothing_away_and_the_batch_is_taken_up_at_once(
    bench: Bench, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any) -> Any:
        raise OperationalError("INSERT", {}, Exception("disk I/O error"))

    (report,) = bench.store(make_bounce())
    with monkeypatch.context() as lost:
        lost.setattr(strikes, "record", lose)
        with pytest.raises(OperationalError):
            await bench.processor.process_waiting()
    assert bench.find_states() == {report: ("stored", None)}
    assert log == []
    assert await bench.processor.process_waiting() == 1
    assert bench.find_states() == {report: ("processed", None)}


class _Pool:
    """Reads by the real pool and does something else before."""

    def __init__(self, bench: Bench, before: Callable[[], None]) -> None:
        self._pool = bench.pool
        self._before = before

    async def parse(self, messages: Sequence[bytes]) -> list[Result]:
        self._before()
        return await self._pool.parse(messages)


async def test_it_stops_between_two_batches_and_finishes_the_one_at_hand(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_module, "CLAIM", 2)
    bench.processor.pool = _Pool(bench, bench.processor.stop)  # type: ignore[assignment] # a fake
    names = bench.store(*(make_bounce(number) for number in range(4)))
    assert await bench.processor.process_waiting() == 2
    assert bench.find_states() == {
        name: ("processed" if name in names[:2] else "stored", None) for name in names
    }


async def test_a_report_that_somebody_else_has_claimed_is_left_to_him(bench: Bench) -> None:
    bench.store(make_bounce())
    bench.ledger.write(lambda c: reports.claim(c, NOW, timedelta(minutes=10), 1, 1))
    assert await bench.processor.process_waiting() == 0
    bench.now += timedelta(minutes=11)
    assert await bench.processor.process_waiting() == 1


class SlowPool:
    """Reads only once nobody could take its reports after the lease with which it began."""

    def __init__(self, bench: Bench, pool: ParserPool) -> None:
        self._bench = bench
        self._pool = pool

    async def parse(self, messages: Sequence[bytes]) -> list[Result]:
        """Let time pass until the claim holds longer than it did."""
        began = self._find_claims()
        self._bench.now += LEASE / 2
        async with asyncio.timeout(10):
            while self._find_claims() == began:  # noqa: ASYNC110 - the ledger tells nobody
                await asyncio.sleep(0.01)
        return await self._pool.parse(messages)

    def _find_claims(self) -> list[Any]:
        return list(
            self._bench.ledger.read(lambda c: c.execute(select(schema.reports.c.claimed_until)))
        )


async def test_a_claim_is_renewed_while_slow_messages_are_read(bench: Bench) -> None:
    bench.store(make_bounce())
    processor = Processor(
        bench.writer,
        SlowPool(bench, bench.pool),  # type: ignore[arg-type] # a fake for the time it takes
        SETTINGS,
        clock=lambda: bench.now,
        new_id=bench.new_id,
        lease=LEASE,
    )
    assert await processor.process_waiting() == 1
    assert [case["strikes"] for case in bench.list_cases()] == [1]


async def test_waiting_ends_when_a_report_is_stored_and_otherwise_in_time(bench: Bench) -> None:
    began = time.monotonic()
    await bench.processor.wait(0.05)
    assert time.monotonic() - began >= 0.04
    waiting = asyncio.create_task(bench.processor.wait(60))
    await asyncio.sleep(0)
    bench.processor.wake()
    await asyncio.wait_for(waiting, 5)
