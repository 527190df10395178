"""The requests and answers of the HTTP API as values, without I/O: both clients share them.

Problem details: RFC 9457.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

_OK = 200
# 408: our body came too slowly. 502 and 504: a proxy whose daemon is just being restarted.
_TRY_LATER = frozenset({408, 502, 503, 504})
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What JSON of any other shape makes `Call.read` and json raise."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One mail that is about to go out; `key` is the application's own and makes it unique.

    The same key with the same content gives the same return path, however often it is asked.
    """

    key: str
    author: str
    recipients: tuple[str, ...]
    reference: str | None = None
    title: str | None = None
    url: str | None = None
    language: str | None = None
    """"de" or "en"."""

    def __post_init__(self) -> None:
        _refuse_text(self.recipients)


@dataclass(frozen=True, slots=True)
class SendRegistered:
    """A registered send; `return_path` belongs into MAIL FROM."""

    key: str
    send: str
    return_path: str


@dataclass(frozen=True, slots=True)
class Case:
    """How an address stands with one author."""

    case: str
    author: str
    category: str
    reason: str
    state: str
    """"open", "exhausted" or "closed"."""
    strikes: int
    notices: int
    last_strike_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an address stands with every author."""

    recipient: str
    known_bad: bool
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `data` holds what this kind of event tells."""

    id: str
    at: datetime
    event: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order, and the cursor to go on from; keep `next` when these are handled."""

    events: tuple[Event, ...]
    next: str


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with one field of a request."""

    detail: str
    field: str | None = None
    index: int | None = None
    """Position in `sends` or `recipients`, from 0."""

    def __str__(self) -> str:
        where = "" if self.index is None else f"[{self.index}]"
        return f"{where}{'.' if where and self.field else ''}{self.field or ''}: {self.detail}"


class ApiError(Exception):
    """The API did not do what it was asked."""

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        errors: tuple[FieldFault, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__("; ".join((text, *map(str, errors))))
        self.status = status
        """HTTP status; None when no answer came."""
        self.errors = errors
        self.retry_after_s = retry_after_s


class UnauthorizedError(ApiError):
    """The token is not known, or the API is shut (401, 403)."""


class ConflictError(ApiError):
    """A key stands already with another content (409); nothing was registered."""


class InvalidError(ApiError):
    """The API does not take this request (400, 404, 405, 410, 413, 415, 422); nothing was done."""


class UnavailableError(ApiError):
    """No answer, or one to try later, after all attempts; whether it was done is not known."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how the body of its answer is read."""

    method: str
    path: str
    read: Callable[[Any], T]
    body: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None


def register(sends: Iterable[Send]) -> Call[list[SendRegistered]]:
    """Ask for return paths."""
    return Call(
        "POST",
        "v1/sends",
        lambda answer: [
            SendRegistered(entry["key"], entry["send"], entry["return_path"])
            for entry in answer["sends"]
        ],
        {"sends": [_write_send(send) for send in sends]},
    )


def _write_send(send: Send) -> dict[str, Any]:
    return {
        "key": send.key,
        "author": send.author,
        "recipients": list(send.recipients),
        **_drop_none(
            reference=send.reference, title=send.title, url=send.url, language=send.language
        ),
    }


def look_up(recipients: Iterable[str]) -> Call[list[Standing]]:
    """Ask how addresses stand."""
    _refuse_text(recipients)
    return Call(
        "POST",
        "v1/recipients/lookup",
        lambda answer: [_read_standing(entry) for entry in answer["recipients"]],
        {"recipients": list(recipients)},
    )


def _read_standing(entry: Mapping[str, Any]) -> Standing:
    cases = tuple(
        Case(
            case=case["case"],
            author=case["author"],
            category=case["category"],
            reason=case["reason"],
            state=case["state"],
            strikes=case["strikes"],
            notices=case["notices"],
            last_strike_at=_read_time(case["last_strike_at"]),
        )
        for case in entry["cases"]
    )
    return Standing(entry["recipient"], entry["known_bad"], cases)


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _refuse_text(recipients: Iterable[str]) -> None:
    """Raise TypeError for one address where several belong: it would be taken letter by letter."""
    if isinstance(recipients, str):
        raise TypeError(f"recipients is one text, {recipients!r}: write [{recipients!r}]")


def correct(recipient: str, author: str | None, new_recipient: str | None) -> Call[int]:
    """Say that an address has been corrected."""
    body = {"recipient": recipient, **_drop_none(author=author, new_recipient=new_recipient)}
    return Call("POST", "v1/recipients/corrected", _read_cases, body)


def deliver(recipient: str, author: str | None, send: str | None) -> Call[int]:
    """Say that a mail has reached an address."""
    body = {"recipient": recipient, **_drop_none(author=author, send=send)}
    return Call("POST", "v1/recipients/delivered", _read_cases, body)


def _read_cases(answer: Mapping[str, Any]) -> int:
    return int(answer["cases"])


def read_events(after: str | None, limit: int) -> Call[EventPage]:
    """Ask for the events behind a cursor."""
    return Call(
        "GET",
        "v1/events",
        lambda answer: EventPage(tuple(map(_read_event, answer["events"])), answer["next"]),
        params={"limit": limit, **_drop_none(after=after)},
    )


def _read_event(entry: Mapping[str, Any]) -> Event:
    data = {name: value for name, value in entry.items() if name not in {"id", "at", "event"}}
    return Event(entry["id"], datetime.fromisoformat(entry["at"]), entry["event"], data)


def _drop_none(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def read_answer(call: Call[T], status: int, content: bytes, retry_after: str | None) -> T:
    """Return what the call was for; raises ApiError, or the leaf that `status` stands for."""
    if status != _OK:
        raise _read_problem(status, content, retry_after)
    try:
        return call.read(json.loads(content))
    except _UNREADABLE:
        raise ApiError("the answer is not one of this API", status=status) from None


def _read_problem(status: int, content: bytes, retry_after: str | None) -> ApiError:
    try:
        problem = json.loads(content)
    except _UNREADABLE:
        problem = None
    if not isinstance(problem, dict):
        problem = {}  # some proxy's own page
    words = (status, problem.get("title"), problem.get("detail"))
    return _find_error(status)(
        " ".join(str(word) for word in words if word),
        status=status,
        errors=_read_faults(problem.get("errors")),
        retry_after_s=_read_seconds(retry_after),
    )


def _read_faults(errors: object) -> tuple[FieldFault, ...]:
    """Read `errors` where it has our shape; some proxy's own page may have another."""
    return tuple(
        FieldFault(detail, field, index)
        for entry in (errors if isinstance(errors, list) else ())
        if isinstance(entry, dict)
        and isinstance(detail := entry.get("detail"), str)
        and isinstance(field := entry.get("field"), str | None)
        and isinstance(index := entry.get("index"), int | None)
    )


def _find_error(status: int) -> type[ApiError]:
    match status:
        case 401 | 403:
            return UnauthorizedError
        case 409:
            return ConflictError
        case 400 | 404 | 405 | 410 | 413 | 415 | 422:
            return InvalidError
        case _ if status in _TRY_LATER:
            return UnavailableError
        case _:
            return ApiError


def _read_seconds(text: str | None) -> float | None:
    # A date is as good as nothing: our clock need not be the server's (RFC 9110 §10.2.3).
    return float(text) if text and text.isascii() and text.isdigit() else None
