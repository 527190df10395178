"""How a request is refused: problem details (RFC 9457), one form for every error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""When to ask again while the database is lost; the least for whatever will do later."""
MAX_RETRY_AFTER_S = 3600

_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 §15.5 has them; Python knows these names from 3.13 on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one place of the request."""

    detail: str
    field: str = ""
    """The key, such as `recipients[0]`; "" where the whole is wrong."""
    index: int | None = None
    """Position in `sends` or `recipients`, from 0; None where there is no list."""


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """A request that is refused, with the answer; raised anywhere below an endpoint."""

    def __init__(
        self,
        status: int,
        detail: str,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = headers

    def answer(self) -> Response:
        """Return the response: `type` is about:blank, so `title` is the status's own phrase."""
        body: dict[str, object] = {
            "type": "about:blank",
            "title": _TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.faults:
            body["errors"] = [
                {"index": fault.index, "field": fault.field, "detail": fault.detail}
                for fault in self.faults
            ]
        return Response(json.dumps(body), self.status, self.headers, MEDIA_TYPE)


def make_unavailable(detail: str, retry_after: timedelta = timedelta(0)) -> Problem:
    """Return the refusal of what will do later: 503 with Retry-After (RFC 9110 §10.2.3)."""
    seconds = min(max(math.ceil(retry_after.total_seconds()), RETRY_AFTER_S), MAX_RETRY_AFTER_S)
    return Problem(503, detail, headers={"Retry-After": str(seconds)})
