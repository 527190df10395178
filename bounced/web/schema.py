"""What requests and answers look like: strict, nothing unknown; OpenAPI is made from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bounced.model import recipient_key

MAX_SENDS = 1000
MAX_RECIPIENTS = 100
"""Recipients of one send."""
MAX_LOOKUPS = 1000
MAX_EVENTS = 1000
DEFAULT_EVENTS = 100

_ADDRESS_OCTETS = 320
"""Local part, @ and domain at their longest (RFC 5321 §4.5.3.1)."""
_BARRED = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
"""Control characters and line ends: they belong into no header, log or page."""
_SPACES = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_ADDRESS = rf"^[^{_BARRED}{_SPACES}<>@]+@[^{_BARRED}{_SPACES}<>@]+$"
_LINE = rf"^[^{_BARRED}]+$"
_URL = rf'^https?://[^{_BARRED}{_SPACES}<>"/?#][^{_BARRED}{_SPACES}<>"]*$'


def _match(pattern: str, mend: str) -> Callable[[str], str]:
    """Return a check by pattern whose message is written for a person."""
    expression = re.compile(pattern.removeprefix("^").removesuffix("$"))

    def check(value: str) -> str:
        if not expression.fullmatch(value):
            raise ValueError(mend)
        return value

    return check


def _check_octets(value: str) -> str:
    if len(recipient_key(value).encode()) > _ADDRESS_OCTETS:
        raise ValueError(f"an address takes {_ADDRESS_OCTETS} octets at most")
    return value


Address = Annotated[
    str,
    Field(max_length=_ADDRESS_OCTETS, json_schema_extra={"pattern": _ADDRESS}),
    AfterValidator(_match(_ADDRESS, "no mail address: write local@domain, no name, no brackets")),
    AfterValidator(_check_octets),
]
_one_line = AfterValidator(_match(_LINE, "one line of text, without control characters"))
_line_pattern = {"pattern": _LINE}
Key = Annotated[
    str,
    Field(
        max_length=200,
        description="Your own name for this send: the same key never registers twice.",
        json_schema_extra=_line_pattern,
    ),
    _one_line,
]
Reference = Annotated[str, Field(max_length=200, json_schema_extra=_line_pattern), _one_line]
Title = Annotated[str, Field(max_length=500, json_schema_extra=_line_pattern), _one_line]
Url = Annotated[
    str,
    Field(max_length=2000, json_schema_extra={"pattern": _URL}),
    AfterValidator(_match(_URL, "no web address: write https://...")),
]
_LANGUAGE = "^[a-z]{2,3}(-[A-Z]{2})?$"
Language = Annotated[
    str,
    Field(
        description="Language of the notices; one that is not spoken here gives the default.",
        json_schema_extra={"pattern": _LANGUAGE},
    ),
    AfterValidator(_match(_LANGUAGE, "no language: write its code, such as 'de' or 'de-CH'")),
]
SendId = Annotated[
    str,
    Field(json_schema_extra={"pattern": "^[0-9a-f]{16}$"}),
    AfterValidator(_match("^[0-9a-f]{16}$", "no id of a send: 16 hex digits, as registered")),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SendRequest(_Request):
    """One mail that is about to be sent: its author hears of it when it fails."""

    key: Key
    author: Address
    recipients: Annotated[list[Address], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    reference: Reference | None = None
    title: Title | None = None
    url: Url | None = None
    language: Language | None = None


class SendsRequest(_Request):
    """Sends to register, all or none."""

    sends: Annotated[list[SendRequest], Field(min_length=1, max_length=MAX_SENDS)]


class LookupRequest(_Request):
    """Addresses to look up."""

    recipients: Annotated[list[Address], Field(min_length=1, max_length=MAX_LOOKUPS)]


class CorrectedRequest(_Request):
    """An address that was wrong and is used no more."""

    recipient: Address
    author: Annotated[
        Address | None, Field(description="Only this author's case; else every author's.")
    ] = None
    new_recipient: Annotated[
        Address | None, Field(description="What it was corrected to, for the log.")
    ] = None


class DeliveredRequest(_Request):
    """A recipient who was reached: a mail was delivered, or he has opened the protocol."""

    recipient: Address
    author: Annotated[
        Address | None, Field(description="Only this author's case; else every author's.")
    ] = None
    send: Annotated[
        SendId | None,
        Field(description="The send that reached him: a failure newer than it stands."),
    ] = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisteredSend(_Answer):
    """A registered send and the return path that its mail must have (MAIL FROM)."""

    key: str
    send: str
    return_path: str


class SendsAnswer(_Answer):
    """The registered sends, in the order of the request."""

    sends: list[RegisteredSend]


class CaseAnswer(_Answer):
    """What failed at one address for one author."""

    case: str
    author: str
    category: str
    reason: str
    state: Literal["open", "exhausted", "closed"]
    strikes: int
    notices: int
    last_strike_at: datetime | None


class StandingAnswer(_Answer):
    """What is known of one address."""

    recipient: str
    known_bad: Annotated[
        bool,
        Field(description="There is no such mailbox, as far as any author's sends have shown."),
    ]
    cases: list[CaseAnswer]


class LookupAnswer(_Answer):
    """What is known of the addresses, in the order of the request."""

    recipients: list[StandingAnswer]


class CasesAnswer(_Answer):
    """How many cases were changed."""

    cases: int


class EventAnswer(BaseModel):
    """Something that happened; the other keys are those of the log's event of that name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    at: datetime
    event: str


class EventsAnswer(_Answer):
    """Events in the order of their cursor."""

    events: list[EventAnswer]
    next: Annotated[str, Field(description="The next request's `after`; keep it.")]


class ProblemFault(_Answer):
    """What is wrong with one place of the request."""

    index: Annotated[int | None, Field(description="Position in `sends` or `recipients`, from 0.")]
    field: str
    detail: str


class ProblemAnswer(_Answer):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemFault] | None = None
