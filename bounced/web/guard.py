"""Who is let in: one bearer token in the Authorization field, or no answer (RFC 6750)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request

from bounced.logs import Event, emit
from bounced.web.problem import Problem
from bounced.web.tokens import TokenFile

_BEARER = re.compile(r"bearer +([!-~]+(?: +[!-~]+)*) *", re.IGNORECASE)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="bounced"'}
_NO_TOKEN = "no bearer token: send Authorization: Bearer, and the token behind it, once"  # noqa: S105
_UNKNOWN = "this token is not known: send the token alone, without its name"
_PAUSE = timedelta(minutes=1)
"""One line a client and minute: whoever guesses tokens must not fill the disk with log."""
_CLIENTS = 1000
"""Clients whose last line is remembered."""


@dataclass(slots=True)
class _Refused:
    said_at: datetime
    unsaid: int = 0
    """Refusals since, that the next line counts."""


class RefusalLog:
    """Says who was refused and why, thinned by client."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._refused: OrderedDict[str, _Refused] = OrderedDict()

    def note(self, request: Request, why: str) -> None:
        """Log the refusal, or count it for the client's next line."""
        client, now = request.client.host if request.client else "local", self._clock()
        refused = self._refused.get(client)
        if refused is not None and now - refused.said_at < _PAUSE:
            refused.unsaid += 1
            return
        times = refused.unsaid + 1 if refused else 1
        emit(Event.API_REFUSED, why=why, client=client, times=times)
        self._refused[client] = _Refused(now)
        self._refused.move_to_end(client)
        if len(self._refused) > _CLIENTS:
            self._refused.popitem(last=False)


class Guard:
    """Tells who asks."""

    def __init__(self, tokens: Callable[[], TokenFile | None], refusals: RefusalLog) -> None:
        self._tokens = tokens
        self._refusals = refusals

    def authenticate(self, request: Request) -> str:
        """Return the name of the token; raises Problem 401, and 403 where there are no tokens."""
        tokens = self._tokens()
        if tokens is None:
            raise Problem(403, "the API is closed: http.tokens_file names no tokens")
        fields = request.headers.getlist("authorization")
        match = _BEARER.fullmatch(fields[0]) if len(fields) == 1 else None
        name = tokens.find_name(match[1]) if match else None
        if name is None:
            self._refusals.note(request, "unknown-token" if match else "no-token")
            raise Problem(401, _UNKNOWN if match else _NO_TOKEN, headers=_CHALLENGE)
        return name
