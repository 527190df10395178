"""Whose mail it was: every door, trust mode and source, and what is held back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import (
    Kind,
    OriginSource,
    RecipientFacts,
    Report,
    ReturnedMessage,
    Send,
    TokenType,
    Trust,
)
from bounced.origin.admission import Door
from bounced.origin.hosts import LOCAL_CLIENT
from bounced.origin.resolve import (
    Arrival,
    Origin,
    OriginSettings,
    TrustMode,
    resolve_origin,
    speaks_for,
)
from bounced.origin.why import Why

OWN_RELAYS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SETTINGS = OriginSettings(OWN_RELAYS, author_domains=("Bau.example",))
SIGNED_ONLY = replace(SETTINGS, trust=TrustMode.SIGNED)
ANY = replace(SETTINGS, trust=TrustMode.ANY)

SEND = Send(
    send="0123456789abcdef",
    author="anna@bau.example",
    recipients=("max@gmial.com",),
    registered_at=datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
    reference="P-17",
)
HEADER = ReturnedMessage(
    author="berta@elsewhere.example", from_address="carl@bau.example", reference="P-18"
)
FROM_LISTED = ReturnedMessage(from_address="carl@BAU.example", reference="P-18")
FROM_OTHER = ReturnedMessage(from_address="noreply@app.example", reference="P-18")

LOCAL = "by relay.example.com (Postfix) id 4XyZ12; Fri, 20 Nov 2026 10:00:00 +0100 (CET)"
FOREIGN = "from mx.example.net (mx.example.net [192.0.2.7]) by relay.example.com (Postfix) id 1; x"

RELAY = Arrival(Door.MAILBOX, "127.0.0.1")
STRANGER = Arrival(Door.MAILBOX, "192.0.2.9")
LOCAL_SOCKET = Arrival(Door.MAILBOX, LOCAL_CLIENT)
FILE = Arrival(Door.INGEST)
VOUCHED = Arrival(Door.INGEST, vouched=True)
SIGNED = Arrival(Door.TOKEN, "192.0.2.9", TokenType.SEND)
SIGNED_RELAY = Arrival(Door.TOKEN, "127.0.0.1", TokenType.SEND)

BERTA = (OriginSource.AUTHOR_HEADER, "berta@elsewhere.example")
CARL = (OriginSource.FROM, "carl@bau.example")


def make_report(returned: ReturnedMessage | None = HEADER, *received: str) -> Report:
    return Report(Kind.DELIVERY_STATUS, received=received or (LOCAL,), returned=returned)


def found(trust: Trust, who: tuple[OriginSource, str]) -> Origin:
    return Origin(trust, who[1], who[0], "P-18")


def held(why: Why, detail: str) -> Origin:
    return Origin(Trust.NONE, why=why, detail=detail, quarantined=True)


ADD_IT = "is not in smtp.own_relays: add it there if it is a host of yours"
NOT_OWN = f"the delivering host 192.0.2.9 {ADD_IT}"
OUTSIDE = f"192.0.2.7 in Received field 1 {ADD_IT}"
OUTSIDE_RETURNED = f"192.0.2.7 in the bounced mail's Received field 1 {ADD_IT}"
NO_AUTHOR = (
    "no author header, and From is not of a listed domain:"
    " set authors.author_header or authors.domains, or register your sends"
)
NO_HEADER = (
    "no send is registered, and the report returns no header of the mail:"
    " register your sends, or let your relay return headers"
)
NO_MAILBOX = (
    "the local part is neither a signed return path nor a mailbox of ours:"
    " add it to return_path.mailboxes if your mail has it as its return path"
)
NOT_SIGNED = (
    'smtp.trust = "signed" takes signed return paths only:'
    ' register your sends, or set "signed-or-relay"'
)
NO_CLIENT = (
    "the address of the delivering host is not known: release the report if it was one of yours"
)
TO_OPS = "written to postmaster or abuse: for you to read, `bounced reports raw` prints it"
UNLISTED = Origin(Trust.NONE, why=Why.ORIGIN_UNRESOLVED, detail=NO_AUTHOR)


@pytest.mark.parametrize(
    ("report", "arrival", "settings", "expected"),
    [
        pytest.param(
            make_report(), RELAY, SETTINGS, found(Trust.RELAY, BERTA), id="author header"
        ),
        pytest.param(
            make_report(FROM_LISTED),
            RELAY,
            SETTINGS,
            Origin(Trust.RELAY, "carl@BAU.example", OriginSource.FROM, "P-18"),
            id="From of a listed domain",
        ),
        pytest.param(
            make_report(FROM_OTHER),
            RELAY,
            SETTINGS,
            Origin(Trust.RELAY, why=Why.ORIGIN_UNRESOLVED, detail=NO_AUTHOR),
            id="From of another domain",
        ),
        pytest.param(
            make_report(replace(HEADER, author="nobody")),
            RELAY,
            SETTINGS,
            found(Trust.RELAY, CARL),
            id="author header without a domain",
        ),
        pytest.param(
            make_report(None),
            RELAY,
            SETTINGS,
            Origin(Trust.RELAY, why=Why.ORIGIN_UNRESOLVED, detail=NO_HEADER),
            id="nothing returned",
        ),
        pytest.param(
            make_report(), STRANGER, SETTINGS, held(Why.CLIENT_NOT_OWN, NOT_OWN), id="stranger"
        ),
        pytest.param(
            make_report(HEADER, FOREIGN),
            RELAY,
            SETTINGS,
            held(Why.RECEIVED_FROM_OUTSIDE, OUTSIDE),
            id="forged through the relay",
        ),
        pytest.param(
            make_report(replace(HEADER, received=(FOREIGN,))),
            RELAY,
            SETTINGS,
            held(Why.RETURNED_FROM_OUTSIDE, OUTSIDE_RETURNED),
            id="bounce of a stranger's mail",
        ),
        pytest.param(
            make_report(),
            replace(RELAY, client=None),
            SETTINGS,
            held(Why.CLIENT_NOT_OWN, NO_CLIENT),
            id="client unknown",
        ),
        pytest.param(
            make_report(),
            replace(RELAY, client="::ffff:127.0.0.1"),
            SETTINGS,
            found(Trust.RELAY, BERTA),
            id="relay by a mapped address",
        ),
        pytest.param(
            make_report(), LOCAL_SOCKET, SETTINGS, found(Trust.RELAY, BERTA), id="local socket"
        ),
        pytest.param(
            make_report(HEADER, FOREIGN),
            LOCAL_SOCKET,
            SETTINGS,
            held(Why.RECEIVED_FROM_OUTSIDE, OUTSIDE),
            id="forged, over a local socket",
        ),
        pytest.param(
            make_report(),
            replace(LOCAL_SOCKET, door=Door.UNKNOWN_LOCAL_PART),
            SETTINGS,
            held(Why.UNKNOWN_LOCAL_PART, NO_MAILBOX),
            id="local socket, unknown local part",
        ),
        pytest.param(make_report(), FILE, SETTINGS, found(Trust.RELAY, BERTA), id="file"),
        pytest.param(
            make_report(HEADER, FOREIGN),
            FILE,
            SETTINGS,
            held(Why.RECEIVED_FROM_OUTSIDE, OUTSIDE),
            id="file from outside",
        ),
        pytest.param(
            make_report(HEADER, FOREIGN),
            VOUCHED,
            SIGNED_ONLY,
            found(Trust.RELAY, BERTA),
            id="vouched for",
        ),
        pytest.param(
            make_report(),
            replace(STRANGER, door=Door.OPS, vouched=True),
            SETTINGS,
            found(Trust.RELAY, BERTA),
            id="released",
        ),
        pytest.param(
            make_report(),
            replace(RELAY, door=Door.OPS),
            ANY,
            held(Why.OPS_MAILBOX, TO_OPS),
            id="ops",
        ),
        pytest.param(
            make_report(),
            replace(RELAY, door=Door.UNKNOWN_LOCAL_PART),
            ANY,
            held(Why.UNKNOWN_LOCAL_PART, NO_MAILBOX),
            id="unknown local part",
        ),
        pytest.param(
            make_report(),
            RELAY,
            SIGNED_ONLY,
            held(Why.UNSIGNED, NOT_SIGNED),
            id="unsigned",
        ),
        pytest.param(make_report(), STRANGER, ANY, found(Trust.NONE, CARL), id="any, From listed"),
        pytest.param(
            make_report(replace(HEADER, author="berta@bau.example")),
            STRANGER,
            ANY,
            Origin(Trust.NONE, "berta@bau.example", OriginSource.AUTHOR_HEADER, "P-18"),
            id="any, header listed",
        ),
        pytest.param(make_report(), RELAY, ANY, found(Trust.RELAY, CARL), id="any, relay"),
        pytest.param(make_report(FROM_OTHER), STRANGER, ANY, UNLISTED, id="any, not listed"),
        pytest.param(
            make_report(HEADER, FOREIGN), FILE, ANY, found(Trust.NONE, CARL), id="any, file"
        ),
    ],
)
def test_an_unsigned_report_is_judged(
    report: Report, arrival: Arrival, settings: OriginSettings, expected: Origin
) -> None:
    assert resolve_origin(report, arrival, None, settings) == expected


NOT_OPENED = {
    Door.UNKNOWN_LOCAL_PART: "add it to return_path.mailboxes",
    Door.TOKEN_MALFORMED: "altered on its way",
    Door.TOKEN_UNKNOWN_KEY: "the signing key of this return path is not known here",
    Door.TOKEN_FORGED: "not signed by us",
    Door.TOKEN_EXPIRED: "raise return_path.ttl",
    Door.TOKEN_FROM_THE_FUTURE: "set the clocks",
    Door.TOKEN_RETIRED_KEY: "after its key was retired",
}
OPEN = {Door.TOKEN, Door.MAILBOX, Door.OPS, Door.INGEST}


@pytest.mark.parametrize("door", [door for door in Door if door not in OPEN])
@pytest.mark.parametrize("settings", [SETTINGS, SIGNED_ONLY, ANY])
def test_what_does_not_open_is_held_and_says_what_is_wrong_with_it(
    door: Door, settings: OriginSettings
) -> None:
    origin = resolve_origin(make_report(), replace(RELAY, door=door), None, settings)
    assert origin == held(Why.UNKNOWN_LOCAL_PART, origin.detail or "")
    assert NOT_OPENED[door] in (origin.detail or "")
    assert ("return_path.mailboxes" in (origin.detail or "")) == (door is Door.UNKNOWN_LOCAL_PART)


@pytest.mark.parametrize("settings", [SETTINGS, SIGNED_ONLY, ANY])
@pytest.mark.parametrize("arrival", [SIGNED, SIGNED_RELAY, replace(SIGNED, vouched=True)])
@pytest.mark.parametrize(
    "report", [make_report(), make_report(None), make_report(HEADER, FOREIGN)]
)
def test_a_registered_send_tells_its_author_whatever_the_report_shows(
    report: Report, arrival: Arrival, settings: OriginSettings
) -> None:
    expected = Origin(Trust.SIGNED, "anna@bau.example", OriginSource.SEND, "P-17")
    assert resolve_origin(report, arrival, SEND, settings) == expected


UNREGISTERED = f"the send is not registered, and {NOT_OWN}"


@pytest.mark.parametrize(
    ("arrival", "settings", "expected"),
    [
        pytest.param(SIGNED_RELAY, SETTINGS, found(Trust.SIGNED, BERTA), id="relay"),
        pytest.param(
            replace(SIGNED, client=LOCAL_CLIENT),
            SETTINGS,
            found(Trust.SIGNED, BERTA),
            id="local socket",
        ),
        pytest.param(
            SIGNED_RELAY, SIGNED_ONLY, found(Trust.SIGNED, BERTA), id="relay, signed only"
        ),
        pytest.param(
            SIGNED,
            SETTINGS,
            Origin(Trust.SIGNED, why=Why.ORIGIN_UNRESOLVED, detail=UNREGISTERED),
            id="stranger",
        ),
        pytest.param(SIGNED, ANY, found(Trust.SIGNED, CARL), id="stranger, any"),
        pytest.param(
            replace(SIGNED, vouched=True), SETTINGS, found(Trust.SIGNED, BERTA), id="vouched for"
        ),
    ],
)
def test_a_token_of_no_registered_send_lets_only_an_own_relay_name_the_author(
    arrival: Arrival, settings: OriginSettings, expected: Origin
) -> None:
    assert resolve_origin(make_report(), arrival, None, settings) == expected


@pytest.mark.parametrize("settings", [SETTINGS, SIGNED_ONLY, ANY])
@pytest.mark.parametrize(
    ("token_type", "why"),
    [(TokenType.NOTICE, Why.NOTICE_BOUNCED), (TokenType.PROBE, Why.PROBE)],
)
@pytest.mark.parametrize("vouched", [False, True])
def test_a_bounce_of_our_own_mail_is_nobodys(
    token_type: TokenType, why: Why, settings: OriginSettings, vouched: bool
) -> None:
    arrival = Arrival(Door.TOKEN, "127.0.0.1", token_type, vouched=vouched)
    assert resolve_origin(make_report(), arrival, SEND, settings) == Origin(Trust.SIGNED, why=why)


returned_messages = st.builds(
    ReturnedMessage,
    author=st.none() | st.text() | st.emails(),
    from_address=st.none() | st.text() | st.emails(),
    received=st.lists(st.sampled_from([LOCAL, FOREIGN, "x"]), max_size=3).map(tuple),
)
reports = st.builds(
    Report,
    kind=st.sampled_from(Kind),
    received=st.lists(st.sampled_from([LOCAL, FOREIGN, "x"]), max_size=3).map(tuple),
    returned=st.none() | returned_messages,
)
arrivals = st.builds(
    Arrival,
    door=st.sampled_from(Door),
    client=st.sampled_from([None, LOCAL_CLIENT, "127.0.0.1", "192.0.2.9", "rubbish"]),
    token_type=st.none() | st.sampled_from(TokenType),
    vouched=st.booleans(),
)


@given(reports, arrivals, st.none() | st.just(SEND), st.sampled_from(TrustMode))
def test_what_counts_has_an_author_and_is_not_in_quarantine(
    report: Report, arrival: Arrival, send: Send | None, trust: TrustMode
) -> None:
    origin = resolve_origin(report, arrival, send, replace(SETTINGS, trust=trust))
    assert (origin.why is None) == (origin.author is not None) == (origin.source is not None)
    assert not (origin.why is None and origin.quarantined)
    if origin.why is None and origin.trust is Trust.NONE:
        assert trust is TrustMode.ANY


ONE = replace(SEND, recipients=("Max@gmial.com",))
TWO = replace(SEND, recipients=("Max@gmial.com", "eva@bücher.example"))


@pytest.mark.parametrize(
    ("send", "facts", "expected"),
    [
        pytest.param(ONE, RecipientFacts(), "Max@gmial.com", id="one, nothing shown"),
        pytest.param(ONE, RecipientFacts("x@y.example"), "Max@gmial.com", id="one, another shown"),
        pytest.param(TWO, RecipientFacts(), None, id="two, nothing shown"),
        pytest.param(TWO, RecipientFacts("x@y.example"), None, id="two, another shown"),
        pytest.param(TWO, RecipientFacts("max@GMIAL.com"), "Max@gmial.com", id="final, by key"),
        pytest.param(
            TWO,
            RecipientFacts("m.m@forward.example", "max@gmial.com"),
            "Max@gmial.com",
            id="original behind a forwarder",
        ),
        pytest.param(
            TWO,
            RecipientFacts("max@gmial.com", "eva@xn--bcher-kva.example"),
            "eva@bücher.example",
            id="original before final",
        ),
        pytest.param(
            TWO,
            RecipientFacts("max@gmial.com", "list@y.example"),
            "Max@gmial.com",
            id="final where the original is not addressed",
        ),
        pytest.param(
            replace(SEND, recipients=()), RecipientFacts("max@gmial.com"), None, id="nobody"
        ),
    ],
)
def test_a_token_speaks_for_its_send_only(
    send: Send, facts: RecipientFacts, expected: str | None
) -> None:
    assert speaks_for(send, facts) == expected
