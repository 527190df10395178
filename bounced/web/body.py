"""How a request's body becomes a checked value: bounded in bytes and time, strict JSON (RFC 8259).

Whatever comes, the outcome is a value of the asked type or a Problem. Forms (HTML, "URL-encoded
form data") are for pages.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from bounced.ledger.records import clean_text
from bounced.web.problem import Fault, Problem

MAX_BODY = 5 * 2**20
"""1,000 sends to 100 recipients of 40 octets each, with all that belongs to them."""
MAX_MARKS = 200_000
"""Of `[{:,`, inside texts too: those 1,000 sends have 120,000.

Reading JSON holds up everyone else in the loop: by parts, not by bytes.
"""
MAX_FORM = 8 * 2**10
"""Of a page's form; its longest field is an address."""
MAX_KEYS = 20
"""Of one object; who sends more has no request of ours."""
MAX_FAULTS = 100
"""Errors that one answer names."""

_LARGE = 64 * 2**10
"""Bytes from which on reading JSON would hold up everyone else in the loop."""
_LONGEST_FIELD = 100
_LONGEST_NUMBER = 20
_MOST_FAULTS = 10_000
"""Making 100,000 errors, to name the first hundred, takes half a second."""
_WORDS = {
    "extra_forbidden": "there is no such key",
    "missing": "is missing",
    "model_type": "an object is needed",
    "string_type": "a text is needed",
    "string_unicode": "this text holds half a surrogate pair",
    "string_too_long": "{max_length} characters at most",
    "list_type": "a list is needed",
    "too_short": "at least {min_length} is needed",
    "too_long": "{max_length} at most",
    "value_error": "{error}",
}
"""What pydantic says to a programmer of Python, said to one of any language."""
_DIGITS = re.compile("[0-9]{1,18}")

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M], *, within: timedelta) -> M:
    """Read and check the body; raises Problem 400, 408, 413, 415 or 422."""
    raw = await _read_in_time(request, "application/json", MAX_BODY, within)
    if len(raw) > _LARGE:
        return await asyncio.to_thread(parse_body, raw, model)
    return parse_body(raw, model)


async def read_form(request: Request, *, within: timedelta) -> dict[str, str]:
    """Read the fields of a form, of several by one name the last; raises Problem.

    400, 408, 413 or 415. What is no UTF-8 becomes U+FFFD.
    """
    raw = await _read_in_time(request, "application/x-www-form-urlencoded", MAX_FORM, within)
    try:
        text = raw.decode("ascii", "replace")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_KEYS))
    except ValueError:
        raise Problem(400, f"a form has {MAX_KEYS} fields at most") from None


def parse_body(raw: bytes, model: type[M]) -> M:
    """Parse and check; raises Problem 400 for what is no JSON, 422 for what does not fit."""
    if sum(map(raw.count, (b"[", b"{", b":", b","))) > MAX_MARKS:
        raise Problem(413, f"a body has {MAX_MARKS:,} brackets, colons and commas at most")
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_read_object,
            parse_constant=_refuse_constant,
            parse_int=_read_number,
            parse_float=_read_number,
        )
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8") from None
    except RecursionError:
        raise Problem(400, "the body is nested too deeply") from None
    except ValueError as error:  # json.JSONDecodeError is one
        raise Problem(400, f"the body is no JSON: {error}") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refuse_misfit(error) from None


async def _read_in_time(
    request: Request, media_type: str, max_bytes: int, within: timedelta
) -> bytes:
    _check_media_type(request, media_type)
    try:
        async with asyncio.timeout(within.total_seconds()):
            return await _read_bytes(request, max_bytes)
    except TimeoutError:
        raise _hang_up(408, f"the body took longer than {within.total_seconds():g} s") from None
    except ClientDisconnect:
        raise Problem(400, "the body ended early") from None


def _check_media_type(request: Request, wanted: str) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise Problem(415, f"send Content-Type: {wanted}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "send the body as it is, without Content-Encoding")


async def _read_bytes(request: Request, max_bytes: int) -> bytes:
    """Read as much as is allowed and stop there, whatever Content-Length says."""
    declared = request.headers.get("content-length", "0")
    if not _DIGITS.fullmatch(declared):
        raise _hang_up(400, "Content-Length is no number")
    body = bytearray()
    if int(declared) <= max_bytes:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                break
        else:
            return bytes(body)
    raise _hang_up(413, f"a body takes {_say_size(max_bytes)} at most")


def _say_size(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"


def _hang_up(status: int, detail: str) -> Problem:
    """Refuse, and close the connection: the rest of the body is not waited for."""
    return Problem(status, detail, headers={"Connection": "close"})


def _read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse what two readers would read differently (RFC 8259 §4), and names no text can hold."""
    if len(pairs) > MAX_KEYS:
        raise ValueError(f"an object has more than {MAX_KEYS} keys")
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a key twice")
    if any(clean_text(key) != key for key in found):
        raise ValueError("a key holds NUL or half a surrogate pair")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _read_number(text: str) -> float:
    """Read what no request has: a long one would take its time."""
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number has more than {_LONGEST_NUMBER} characters")
    return float(text)


def _refuse_misfit(error: ValidationError) -> Problem:
    if error.error_count() > _MOST_FAULTS:
        return Problem(
            422,
            f"the body does not fit in {error.error_count():,} places; send a part of it to be "
            "told where",
        )
    found = error.errors(include_url=False, include_input=False)
    return Problem(422, "the body does not fit; `errors` tells where", _describe(found))


def _describe(errors: Sequence[ErrorDetails]) -> list[Fault]:
    """Turn validation errors into faults, the first hundred."""
    return [
        _place(error["loc"], _WORDS[error["type"]].format_map(error.get("ctx", {})))
        for error in errors[:MAX_FAULTS]
    ]


def _place(loc: tuple[int | str, ...], detail: str) -> Fault:
    """Read `("sends", 3, "recipients", 0)` as index 3, field `recipients[0]`."""
    index = None
    if len(loc) > 1 and isinstance(loc[1], int):
        index = loc[1]
        loc = loc[2:] or loc[:1]
    field = ""
    for part in loc:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else part
    return Fault(detail, field[:_LONGEST_FIELD], index)
