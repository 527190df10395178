"""The log: a closed list of events, each with its level and keys, one line an event on stderr.

Everything the standard library's loggers say (aiosmtpd, apscheduler, alembic, warnings) passes
through here as `library_message`, from WARNING up.
"""

from __future__ import annotations

import collections
import hashlib
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TextIO

import structlog

from bounced.config import LogSettings
from bounced.model import split_address

_IDS = frozenset({"report", "send", "case", "notice", "author"})
_ADDRESS_KEYS = frozenset(
    {"author", "recipient", "subject", "sender", "suggestion", "new_recipient"}
)
_TEXT_KEYS = frozenset({"detail", "error", "exception", "message", "reply"})
_LIBRARY_LINES = 20
"""Lines in a minute that one logger may begin in the same way; more are dropped."""
_LIBRARY_TEXTS = 500
"""Beginnings that are told apart in a minute; more are dropped."""
_ADDRESS_IN_TEXT = re.compile(r"""[^\s<>"'(),;:\[\]]+@[^\s<>"'(),;:\[\]]*[\w-]""")


class Event(StrEnum):
    """Every event there is; later work adds, never renames."""

    STARTED = "started"
    STOPPED = "stopped"
    CONFIG_LOADED = "config_loaded"
    CONFIG_WARNING = "config_warning"
    CONFIG_REJECTED = "config_rejected"
    SMTP_REFUSED = "smtp_refused"
    API_REFUSED = "api_refused"
    REPORT_RECEIVED = "report_received"
    REPORT_DUPLICATE = "report_duplicate"
    REPORT_PARSED = "report_parsed"
    REPORT_UNRECOGNIZED = "report_unrecognized"
    REPORT_QUARANTINED = "report_quarantined"
    WORKER_KILLED = "worker_killed"
    FAILURE_CLASSIFIED = "failure_classified"
    FAILURE_UNCLASSIFIED = "failure_unclassified"
    TEXT_CLUSTER_FOUND = "text_cluster_found"
    ORIGIN_RESOLVED = "origin_resolved"
    ORIGIN_UNRESOLVED = "origin_unresolved"
    STRIKE_COUNTED = "strike_counted"
    STRIKE_IGNORED = "strike_ignored"
    CASE_EXHAUSTED = "case_exhausted"
    CASE_RESET = "case_reset"
    CASE_CLOSED = "case_closed"
    NOTICE_QUEUED = "notice_queued"
    NOTICE_HELD = "notice_held"
    NOTICE_SENT = "notice_sent"
    NOTICE_DEFERRED = "notice_deferred"
    NOTICE_FAILED = "notice_failed"
    NOTICE_OUTCOME_UNKNOWN = "notice_outcome_unknown"
    NOTICE_BOUNCED = "notice_bounced"
    ADDRESS_SUGGESTED = "address_suggested"
    AUTHOR_ACTED = "author_acted"
    AUTHOR_SILENCED = "author_silenced"
    AUTHOR_RESET = "author_reset"
    GUARD_TRIPPED = "guard_tripped"
    GUARD_CLEARED = "guard_cleared"
    SENDER_DIAGNOSED = "sender_diagnosed"
    DRAFT_WRITTEN = "draft_written"
    SELF_CHECK_FAILED = "self_check_failed"
    SELF_CHECK_PASSED = "self_check_passed"
    BLOCK_LISTED = "block_listed"
    BLOCK_CLEARED = "block_cleared"
    DATABASE_LOST = "database_lost"
    DATABASE_RESTORED = "database_restored"
    WEBHOOK_SENT = "webhook_sent"
    WEBHOOK_FAILED = "webhook_failed"
    OPERATOR_ACTED = "operator_acted"
    QUARANTINE_COUNTED = "quarantine_counted"
    RETENTION_PURGED = "retention_purged"
    JOB_FAILED = "job_failed"
    LIBRARY_MESSAGE = "library_message"


@dataclass(frozen=True, slots=True)
class EventShape:
    """What a line of one event carries besides the ids, which every line may carry."""

    level: int = logging.INFO
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    warns_when: tuple[str, str] | None = None
    """A key and the value with which the line is a warning."""

    @property
    def allowed(self) -> frozenset[str]:
        """Return every key that a line of this event may have."""
        return self.required | self.optional | _IDS

    def find_level(self, line: Mapping[str, Any]) -> int:
        """Return how important this line is."""
        if self.warns_when is not None:
            key, value = self.warns_when
            if line.get(key) == value:
                return logging.WARNING
        return self.level


def _shape(
    required: str = "",
    optional: str = "",
    level: int = logging.INFO,
    *,
    warns_when: tuple[str, str] | None = None,
) -> EventShape:
    return EventShape(level, frozenset(required.split()), frozenset(optional.split()), warns_when)


_DEBUG, _WARNING, _ERROR = logging.DEBUG, logging.WARNING, logging.ERROR

EVENTS: Mapping[Event, EventShape] = {
    **{event: _shape(optional="why detail") for event in Event},
    Event.STARTED: _shape("smtp version", "lmtp http database pid"),
    Event.STOPPED: _shape(optional="why pending"),
    Event.CONFIG_LOADED: _shape("path", "rule_files keys"),
    Event.CONFIG_WARNING: _shape("why", level=_WARNING),
    Event.CONFIG_REJECTED: _shape("why", level=_ERROR),
    Event.SMTP_REFUSED: _shape("why", "client sender recipient reply times"),
    Event.API_REFUSED: _shape("why client", "times", level=_WARNING),
    Event.REPORT_RECEIVED: _shape("report client trust", "recipient sender size"),
    Event.REPORT_DUPLICATE: _shape("report", "recipient"),
    Event.REPORT_PARSED: _shape("report kind", "recipients reporting_mta message_id notes"),
    Event.REPORT_UNRECOGNIZED: _shape("report", "kind why"),
    Event.REPORT_QUARANTINED: _shape("report why", "detail client", level=_WARNING),
    Event.WORKER_KILLED: _shape("report", "why attempt", level=_WARNING),
    Event.FAILURE_CLASSIFIED: _shape("report recipient category reason rule", "status smtp_code"),
    Event.FAILURE_UNCLASSIFIED: _shape("report recipient", "status smtp_code", level=_WARNING),
    Event.TEXT_CLUSTER_FOUND: _shape("report cluster", level=_WARNING),
    Event.ORIGIN_RESOLVED: _shape("report author source", "reference trust"),
    Event.ORIGIN_UNRESOLVED: _shape("report", "why detail", level=_WARNING),
    Event.STRIKE_COUNTED: _shape("report case author subject strikes", "category reason"),
    Event.STRIKE_IGNORED: _shape("report why", "recipient category reason detail"),
    Event.CASE_EXHAUSTED: _shape("case author subject", "notices", level=_WARNING),
    Event.CASE_RESET: _shape("case", "subject round why"),
    Event.CASE_CLOSED: _shape("case", "subject why"),
    Event.NOTICE_QUEUED: _shape("notice author", "due_at"),
    Event.NOTICE_HELD: _shape("notice author", "due_at why"),
    Event.NOTICE_SENT: _shape("notice author slots", "message_id reply relay"),
    Event.NOTICE_DEFERRED: _shape(
        "notice author slots", "detail next_at attempts", level=_WARNING
    ),
    Event.NOTICE_FAILED: _shape("notice author slots", "detail", level=_ERROR),
    Event.NOTICE_OUTCOME_UNKNOWN: _shape("notice author slots", "detail", level=_WARNING),
    Event.NOTICE_BOUNCED: _shape("notice author", "recipient category reason", level=_WARNING),
    Event.ADDRESS_SUGGESTED: _shape("case suggestion", "subject why"),
    # Nobody but the operators can mend what is ours.
    Event.SENDER_DIAGNOSED: _shape(
        "subject fix", "identity mail_from_domain detail", warns_when=("fix", "ours")
    ),
    Event.AUTHOR_ACTED: _shape("author action", "subject new_recipient detail"),
    Event.AUTHOR_SILENCED: _shape("author why", level=_WARNING),
    Event.AUTHOR_RESET: _shape("author", "why"),
    Event.WEBHOOK_SENT: _shape("webhook about", "attempts detail"),
    Event.WEBHOOK_FAILED: _shape("webhook about why", "attempts next_at detail", level=_WARNING),
    Event.SELF_CHECK_FAILED: _shape("check why", "detail", level=_WARNING),
    Event.SELF_CHECK_PASSED: _shape("check", "detail"),
    Event.QUARANTINE_COUNTED: _shape("reports bytes", "oldest_at received why"),
    Event.RETENTION_PURGED: _shape("what count why", "bytes detail"),
    Event.DATABASE_LOST: _shape(optional="error", level=_ERROR),
    Event.DATABASE_RESTORED: _shape(),
    Event.OPERATOR_ACTED: _shape("action", "subject detail"),
    Event.JOB_FAILED: _shape("job", "error exception", level=_ERROR),
    Event.LIBRARY_MESSAGE: _shape("logger message", "exception", level=_WARNING),
}


def emit(event: Event, **fields: object) -> None:
    """Write one line of `event`; None is left out unless the key is required.

    A wrong key is a bug.
    """
    shape = EVENTS[event]
    line = {
        key: value for key, value in fields.items() if value is not None or key in shape.required
    }
    structlog.get_logger().log(shape.find_level(line), event.value, **line)


def check_shape(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Refuse a line that EVENTS does not describe; the tests put this processor first."""
    shape = EVENTS[Event(line["event"])]
    keys = set(line) - {"event"}
    assert shape.required <= keys, f"{line['event']} lacks {sorted(shape.required - keys)}"
    assert keys <= shape.allowed, f"{line['event']} has unknown {sorted(keys - shape.allowed)}"
    return line


def configure(
    settings: LogSettings,
    stream: TextIO | None = None,
    *,
    watch: structlog.typing.Processor | None = None,
) -> None:
    """Send structlog and the standard library's loggers to `stream` (stderr) in our form.

    `watch` sees every line, also of a level that is not written.
    """
    out = stream or sys.stderr
    console = settings.format == "console" or (settings.format == "auto" and out.isatty())
    render: list[Any] = (
        [_escape_controls, structlog.dev.ConsoleRenderer(colors=out.isatty())]
        if console
        else [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=_write_value),
        ]
    )
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    count: list[Any] = [watch, _LevelFilter(level)] if watch else []
    structlog.configure(
        processors=[
            *count,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _Masker(settings.addresses),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET if watch else level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(logging.WARNING)
    for name in ("mail.log", "mail.debug"):  # aiosmtpd's own loggers
        logging.getLogger(name).setLevel(logging.ERROR)
    # flufl.bounce logs what it raises; the parser contains that and notes it in the report.
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)
    # A job that takes longer than its beat is no news.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)


class _LevelFilter:
    """Drops what is less important than the configured level, after it has been counted."""

    def __init__(self, level: int) -> None:
        self._level = level

    def __call__(
        self, _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if EVENTS[Event(line["event"])].find_level(line) < self._level:
            raise structlog.DropEvent
        return line


class _LibraryHandler(logging.Handler):
    """Hands a library's record on as `library_message`, unless it says the same all the time.

    asyncio does, thousands of times a second, while no file is left to open.
    """

    def __init__(self) -> None:
        super().__init__()
        self._minute = 0
        self._seen: collections.Counter[tuple[str, str]] = collections.Counter()

    def emit(self, record: logging.LogRecord) -> None:
        message = _read_message(record)
        if self._is_too_much(record, message):
            return
        emit(
            Event.LIBRARY_MESSAGE,
            logger=record.name,
            message=message,
            exception=logging.Formatter().formatException(record.exc_info)
            if record.exc_info
            else None,
        )

    def _is_too_much(self, record: logging.LogRecord, message: str) -> bool:
        minute = int(record.created // 60)
        if minute != self._minute:
            self._minute = minute
            self._seen.clear()
        key = (record.name, message.partition("\n")[0])
        if key not in self._seen and len(self._seen) >= _LIBRARY_TEXTS:
            return True
        self._seen[key] += 1
        return self._seen[key] > _LIBRARY_LINES


def _read_message(record: logging.LogRecord) -> str:
    """Return what a library says, even where its format and its values do not fit."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def _write_value(value: object) -> str:
    """Write what JSON has no form for; times as RFC 3339."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _escape_controls(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Show what would command a terminal as what it is; a traceback keeps its lines."""
    for key, value in line.items():
        if isinstance(value, str):
            keep = "\n" if key == "exception" else ""
            line[key] = "".join(
                char
                if char.isprintable() or char in keep
                else char.encode("unicode_escape", "surrogatepass").decode("ascii")
                for char in value
            )
    return line


class _Masker:
    """Masks or hashes the addresses of the fields that hold one."""

    def __init__(self, form: str) -> None:
        self._form = form

    def __call__(
        self, _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if self._form == "full":
            return line
        for key in _ADDRESS_KEYS & line.keys():
            value = str(line[key])
            if value and (key != "subject" or "@" in value):  # a sender domain is nobody's
                line[key] = self._mask(value)
        for key in _TEXT_KEYS & line.keys():
            line[key] = _ADDRESS_IN_TEXT.sub(lambda found: self._mask(found[0]), str(line[key]))
        return line

    def _mask(self, address: str) -> str:
        local, domain = split_address(address)
        if self._form == "hashed":
            return (
                "sha256:"
                + hashlib.sha256(address.lower().encode("utf-8", "replace")).hexdigest()[:16]
            )
        return f"{local[:1]}***@{domain}" if domain else f"{local[:1]}***"
