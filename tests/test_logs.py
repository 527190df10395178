"""The log's form: one JSON object a line, from a closed list of events."""

from __future__ import annotations

import io
import json
import logging
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from bounced.config import LogSettings
from bounced.logs import EVENTS, Event, check_shape, configure, emit

EVENT_NAMES = """
started stopped config_loaded config_warning config_rejected smtp_refused api_refused report_received
report_duplicate report_parsed report_unrecognized report_quarantined worker_killed
failure_classified failure_unclassified text_cluster_found origin_resolved origin_unresolved
strike_counted strike_ignored case_exhausted case_reset case_closed notice_queued notice_held
notice_sent notice_deferred notice_failed notice_outcome_unknown notice_bounced
address_suggested author_acted author_silenced author_reset guard_tripped
guard_cleared sender_diagnosed draft_written self_check_failed self_check_passed block_listed
block_cleared database_lost database_restored webhook_sent webhook_failed operator_acted
quarantine_counted retention_purged job_failed library_message
"""

REQUIRED = {
    Event.REPORT_RECEIVED: {"report", "client", "trust"},
    Event.FAILURE_CLASSIFIED: {"report", "recipient", "category", "reason", "rule"},
    Event.STRIKE_COUNTED: {"report", "case", "author", "subject", "strikes"},
    Event.STRIKE_IGNORED: {"report", "why"},
    Event.SMTP_REFUSED: {"why"},
    Event.REPORT_QUARANTINED: {"report", "why"},
    Event.NOTICE_SENT: {"notice", "author", "slots"},
    Event.NOTICE_FAILED: {"notice", "author", "slots"},
    Event.NOTICE_QUEUED: {"notice", "author"},
    Event.NOTICE_BOUNCED: {"notice", "author"},
}


def record(settings: LogSettings | None = None) -> io.StringIO:
    """Configure the log anew and return where it goes."""
    stream = io.StringIO()
    configure(settings or LogSettings(), stream)
    return stream


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    return lines


def test_the_events_are_those_that_were_promised_and_none_was_renamed() -> None:
    assert [event.value for event in Event] == EVENT_NAMES.split()
    assert set(EVENTS) == set(Event)


@pytest.mark.parametrize("event", REQUIRED)
def test_the_keys_that_were_promised_are_required(event: Event) -> None:
    assert EVENTS[event].required == REQUIRED[event]


@pytest.mark.parametrize("event", Event)
def test_every_event_is_one_line_with_its_level_and_its_keys(event: Event) -> None:
    stream = record(LogSettings(level="debug"))
    fields = dict.fromkeys(EVENTS[event].allowed, "x")
    emit(event, **fields)
    level = logging.getLevelName(EVENTS[event].level).lower()
    assert read(stream) == [{"event": event.value, "level": level} | fields]


@pytest.mark.parametrize(("fix", "level"), [("ours", "warning"), ("publish-spf", "info")])
def test_what_only_operators_can_mend_is_a_warning(fix: str, level: str) -> None:
    """Also for who sees warnings only."""
    fields = {"subject": "bau.example", "fix": fix}
    expected = {"event": "sender_diagnosed", "level": level} | fields
    for least in ("info", "warning"):
        stream = record(LogSettings(level=least))
        emit(Event.SENDER_DIAGNOSED, **fields)
        assert read(stream) == ([expected] if level == "warning" or least == "info" else [])


def test_what_is_none_is_left_out_unless_it_is_required() -> None:
    stream = record()
    emit(Event.REPORT_RECEIVED, report="1", client=None, trust="relay", size=None)
    (line,) = read(stream)
    assert {key: line.get(key, "left out") for key in ("client", "size")} == {
        "client": None,
        "size": "left out",
    }


def test_a_level_hides_what_is_less_important() -> None:
    stream = record(LogSettings(level="warning"))
    emit(Event.STOPPED)
    emit(Event.CONFIG_WARNING, why="x")
    assert [line["event"] for line in read(stream)] == ["config_warning"]


def test_hostile_values_stay_in_their_line() -> None:
    stream = record()
    hostile = 'a\nb\r\n\x1b[2J\0\u2028\ud800"}\n{"event": "forged"}'
    emit(Event.SMTP_REFUSED, why="x", sender=hostile)
    (line,) = read(stream)
    assert line["sender"] == hostile


def test_values_that_json_does_not_know_are_written_for_people() -> None:
    stream = record()
    emit(
        Event.NOTICE_QUEUED,
        notice="1",
        author="a@b.example",
        due_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    emit(Event.OPERATOR_ACTED, action={1}, detail=("a", 1, None))
    first, second = read(stream)
    assert (first["due_at"], second["action"], second["detail"]) == (
        "2026-01-02T00:00:00+00:00",
        "{1}",
        ["a", 1, None],
    )


def test_the_console_form_is_one_line_for_people() -> None:
    stream = record(LogSettings(format="console"))
    emit(Event.SMTP_REFUSED, why="not-ours", sender="a\nb\x1b[2J")
    (line,) = stream.getvalue().splitlines()
    assert "smtp_refused" in line
    assert "why=not-ours" in line
    assert r"sender=a\nb\x1b[2J" in line


@pytest.mark.parametrize(
    "hostile", ["a\x1b[2Jb", "\u202eevil", "a\u2028b", "a\x9b1m\x85", "\ud800", "\r"]
)
def test_no_value_commands_the_terminal(hostile: str) -> None:
    stream = record(LogSettings(format="console"))
    emit(Event.SMTP_REFUSED, why="x", sender=hostile, recipient=f"{hostile} x")
    emit(Event.JOB_FAILED, job="x", exception=f"Traceback\n  {hostile}\nValueError: x")
    lines = stream.getvalue().split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    escaped = hostile.encode("unicode_escape", "surrogatepass").decode()
    assert lines[2:] == ["Traceback", f"  {escaped}", "ValueError: x", ""]
    assert f"sender={escaped} " in lines[0]


@pytest.mark.parametrize(
    ("chosen", "terminal", "expected"),
    [
        ("auto", True, "console"),
        ("auto", False, "json"),
        ("json", True, "json"),
        ("console", False, "console"),
    ],
)
def test_auto_is_console_on_a_terminal(chosen: Any, terminal: bool, expected: str) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign] # a terminal to look at
    configure(LogSettings(format=chosen), stream)
    emit(Event.STOPPED)
    assert stream.getvalue().startswith("{") is (expected == "json")


ADDRESSES = {
    "full": {
        "author": "anna@bau.example",
        "recipient": "max.muster@kunde.example",
        "detail": "550 <max@kunde.example>: unknown, ask postmaster@kunde.example.",
        "category": "bad-address",
    },
    "masked": {
        "author": "a***@bau.example",
        "recipient": "m***@kunde.example",
        "detail": "550 <m***@kunde.example>: unknown, ask p***@kunde.example.",
        "category": "bad-address",
    },
    "hashed": {
        "author": "sha256:9aa80843856f98af",
        "recipient": "sha256:64466c47e729f274",
        "detail": "550 <sha256:2e2c854448082483>: unknown, ask sha256:f0bb5dc5f99e91a9.",
        "category": "bad-address",
    },
}


@pytest.mark.parametrize("form", ADDRESSES)
def test_addresses_are_written_in_the_form_that_was_chosen(form: Any) -> None:
    stream = record(LogSettings(addresses=form))
    emit(Event.STRIKE_IGNORED, report="1", why="x", **ADDRESSES["full"])
    (line,) = read(stream)
    assert {key: line[key] for key in ADDRESSES[form]} == ADDRESSES[form]


def test_one_address_has_one_hash_wherever_it_stands() -> None:
    stream = record(LogSettings(addresses="hashed"))
    for recipient, detail in (
        ("Max@kunde.example", "<max@kunde.example>"),
        ("eva@kunde.example", "eva@kunde.example, unknown"),
    ):
        emit(Event.STRIKE_IGNORED, report="1", why="x", recipient=recipient, detail=detail)
    first, second = read(stream)
    assert first["detail"] == f"<{first['recipient']}>"
    assert second["detail"] == f"{second['recipient']}, unknown"
    assert first["recipient"] != second["recipient"]
    assert "kunde" not in stream.getvalue()


def test_a_sender_domain_is_nobodys_address() -> None:
    stream = record(LogSettings(addresses="masked"))
    for subject in ("bau.example", "max@kunde.example"):
        emit(Event.CASE_RESET, case="1", subject=subject)
    assert [line["subject"] for line in read(stream)] == ["bau.example", "m***@kunde.example"]


def test_the_null_return_path_stays_what_it_is() -> None:
    stream = record(LogSettings(addresses="hashed"))
    emit(Event.REPORT_RECEIVED, report="1", client=None, trust="relay", sender="")
    assert read(stream)[0]["sender"] == ""


def test_a_name_without_a_domain_is_masked_too() -> None:
    stream = record(LogSettings(addresses="masked"))
    emit(Event.SMTP_REFUSED, why="x", recipient="maxmuster")
    assert read(stream)[0]["recipient"] == "m***"


def test_what_libraries_say_from_warning_up_is_an_event() -> None:
    stream = record()
    logger = logging.getLogger("some.library")
    logger.info("nothing")
    logger.warning("%d of %d", 1, 2)
    assert read(stream) == [
        {
            "event": "library_message",
            "level": "warning",
            "logger": "some.library",
            "message": "1 of 2",
        }
    ]


def test_a_librarys_exception_is_one_line_with_its_traceback() -> None:
    stream = record()
    try:
        raise ValueError("gone wrong")  # noqa: TRY301 - to be logged
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    (line,) = read(stream)
    assert line["message"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: gone wrong")


def test_a_librarys_broken_message_is_no_exception_of_ours() -> None:
    stream = record()
    logging.getLogger("some.library").warning("%d apples", "no")
    assert read(stream)[0]["message"] == "%d apples"


def test_a_library_that_says_the_same_all_the_time_is_thinned() -> None:
    stream = record()
    logger = logging.getLogger("asyncio")
    for number in range(1000):
        logger.error("socket.accept() out of system resource\nsocket: %d", number)
    logger.error("something else")
    first = [f"socket.accept() out of system resource\nsocket: {number}" for number in range(20)]
    assert [line["message"] for line in read(stream)] == [*first, "something else"]


def test_a_library_that_says_too_much_is_thinned() -> None:
    stream = record()
    for number in range(1000):
        logging.getLogger("some.library").error("%d", number)
    assert [line["message"] for line in read(stream)] == [str(number) for number in range(500)]


def test_what_a_library_has_said_too_often_it_may_say_again_a_minute_later() -> None:
    stream = record()
    logger = logging.getLogger("some.library")
    minute = 1_800_000_000.0
    for created in (*[minute] * 30, minute + 60):
        again = logger.makeRecord(logger.name, logging.ERROR, "", 0, "again", (), None)
        again.created = created
        logger.handle(again)
    assert len(read(stream)) == 21


def test_pythons_warnings_are_library_messages() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        stream = record()
        warnings.warn("old ways", stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = read(stream)
    assert (line["event"], line["logger"]) == ("library_message", "py.warnings")
    assert "old ways" in line["message"]


def test_configuring_again_doubles_nothing() -> None:
    record()
    stream = record()
    logging.getLogger("some.library").warning("once")
    emit(Event.STOPPED)
    assert [line["event"] for line in read(stream)] == ["library_message", "stopped"]


SHAPES = {
    "an unknown event": ({"event": "strike_doubled"}, ValueError, "strike_doubled"),
    "a missing key": ({"event": "smtp_refused"}, AssertionError, r"lacks \['why'\]"),
    "an unknown key": (
        {"event": "smtp_refused", "why": "x", "colour": "red"},
        AssertionError,
        r"unknown \['colour'\]",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_line_that_is_not_described_is_a_bug(name: str) -> None:
    line, error, match = SHAPES[name]
    with pytest.raises(error, match=match):
        check_shape(None, "", dict(line))


def test_ids_may_stand_on_every_line() -> None:
    ids = dict.fromkeys(("report", "send", "case", "notice", "author"), "x")
    for event in Event:
        line = {"event": event.value} | dict.fromkeys(EVENTS[event].required, "x") | ids
        assert check_shape(None, "", line) is line
