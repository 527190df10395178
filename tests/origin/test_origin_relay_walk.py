"""The walk along the Received fields: which reports an own relay made, and what the others miss."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from bounced.model import Kind, Report, ReturnedMessage
from bounced.origin.received import RelayDoubt, find_relay_doubt
from bounced.origin.why import Why

OWN = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("10.0.0.0/24"))
LOCALHOST = ip_address("127.0.0.1")

POSTFIX_LOCAL = "by relay.example.com (Postfix) id 4XyZ12; Fri, 20 Nov 2026 10:00:00 +0100 (CET)"
POSTFIX_OWN = (
    "from app.example.com (app.example.com [10.0.0.7]) by relay.example.com (Postfix)"
    " with ESMTPS id 4XyZ13 for <max@example.org>; Fri, 20 Nov 2026 10:00:00 +0100 (CET)"
)
POSTFIX_LOOPBACK = (
    "from localhost (localhost [127.0.0.1]) by relay.example.com (Postfix) with ESMTP id 4XyZ14; x"
)
POSTFIX_PICKUP = "by relay.example.com (Postfix, from userid 1000) id 4XyZ15; x"
POSTFIX_FOREIGN = "from mx.example.net (mx.example.net [192.0.2.7]) by relay.example.com (Postfix) with ESMTP id 4XyZ16; x"


def make_report(*received: str, returned: tuple[str, ...] | None = None) -> Report:
    message = None if returned is None else ReturnedMessage(received=returned)
    return Report(Kind.DELIVERY_STATUS, received=received, returned=message)


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(make_report(), id="no Received at all"),
        pytest.param(make_report(POSTFIX_LOCAL), id="made there"),
        pytest.param(make_report(POSTFIX_OWN, POSTFIX_LOCAL), id="made behind it"),
        pytest.param(
            make_report(
                POSTFIX_LOOPBACK, "from r ([127.0.0.1]) by r (amavis) id 1", POSTFIX_LOCAL
            ),
            id="through a content filter",
        ),
        pytest.param(make_report(POSTFIX_OWN), id="the first own host stamped nothing"),
        pytest.param(make_report(POSTFIX_LOCAL, returned=()), id="returned without Received"),
        pytest.param(
            make_report(POSTFIX_LOCAL, returned=(POSTFIX_OWN,)), id="submitted by an own"
        ),
        pytest.param(
            make_report(POSTFIX_LOCAL, returned=(POSTFIX_LOOPBACK, POSTFIX_PICKUP)),
            id="submitted on the spot",
        ),
    ],
)
def test_an_own_relays_report_is_known(report: Report) -> None:
    assert find_relay_doubt(report, LOCALHOST, OWN) is None
    assert find_relay_doubt(report, None, OWN) is None


NOT_OWN = "is not in smtp.own_relays: add it there if it is a host of yours"
NAMED = f"192.0.2.7 in Received field {{}} {NOT_OWN}"
NAMED_RETURNED = f"192.0.2.7 in the bounced mail's Received field {{}} {NOT_OWN}"
RELEASE = "release the report if only hosts of yours had it"
UNREADABLE = "from mx.example.net by relay.example.com with SMTP id 1; x"


@pytest.mark.parametrize(
    ("report", "why", "detail"),
    [
        pytest.param(
            make_report(POSTFIX_FOREIGN),
            Why.RECEIVED_FROM_OUTSIDE,
            NAMED.format(1),
            id="forged through our own relay",
        ),
        pytest.param(
            make_report(POSTFIX_FOREIGN, POSTFIX_LOCAL),
            Why.RECEIVED_FROM_OUTSIDE,
            NAMED.format(1),
            id="with a forged stamp of ours beneath",
        ),
        pytest.param(
            make_report(POSTFIX_LOOPBACK, POSTFIX_FOREIGN, POSTFIX_LOCAL),
            Why.RECEIVED_FROM_OUTSIDE,
            NAMED.format(2),
            id="through a content filter",
        ),
        pytest.param(
            make_report(POSTFIX_PICKUP, POSTFIX_FOREIGN),
            Why.RECEIVED_FROM_OUTSIDE,
            NAMED.format(2),
            id="forwarded from outside, or requeued",
        ),
        pytest.param(
            make_report("(qmail 1 invoked from network); x", POSTFIX_FOREIGN),
            Why.RECEIVED_FROM_OUTSIDE,
            NAMED.format(2),
            id="through qmail",
        ),
        pytest.param(
            make_report("from [192.0.2.7] ([127.0.0.1]) by r (chasquid) with ESMTPS; x"),
            Why.RECEIVED_FROM_OUTSIDE,
            NAMED.format(1),
            id="the second of two that may be the client",
        ),
        pytest.param(
            make_report(POSTFIX_OWN, UNREADABLE),
            Why.RECEIVED_UNREADABLE,
            f"Received field 2 tells its client in no known form: {UNREADABLE!r}; {RELEASE}",
            id="unreadable",
        ),
        pytest.param(
            make_report(*[POSTFIX_OWN] * 101),
            Why.RECEIVED_FROM_OUTSIDE,
            "Received field 101 is one too many: look for a mail loop",
            id="too many hops",
        ),
        pytest.param(
            make_report(POSTFIX_LOCAL, returned=(POSTFIX_FOREIGN,)),
            Why.RETURNED_FROM_OUTSIDE,
            NAMED_RETURNED.format(1),
            id="bounce of a stranger's mail",
        ),
        pytest.param(
            make_report(POSTFIX_LOCAL, returned=(POSTFIX_LOOPBACK, POSTFIX_FOREIGN)),
            Why.RETURNED_FROM_OUTSIDE,
            NAMED_RETURNED.format(2),
            id="bounce of a stranger's mail that was filtered",
        ),
        pytest.param(
            make_report(POSTFIX_LOCAL, returned=(POSTFIX_PICKUP, POSTFIX_FOREIGN)),
            Why.RETURNED_FROM_OUTSIDE,
            NAMED_RETURNED.format(2),
            id="bounce of a stranger's mail that was forwarded",
        ),
        pytest.param(
            make_report(POSTFIX_LOCAL, returned=(UNREADABLE,)),
            Why.RECEIVED_UNREADABLE,
            "the bounced mail's Received field 1 tells its client in no known form:"
            f" {UNREADABLE!r}; {RELEASE}",
            id="returned, unreadable",
        ),
    ],
)
def test_a_strangers_report_is_doubted(report: Report, why: Why, detail: str) -> None:
    assert find_relay_doubt(report, LOCALHOST, OWN) == RelayDoubt(why, detail)
    assert find_relay_doubt(report, None, OWN) == RelayDoubt(why, detail)


def test_a_report_inside_another_mail_is_vouched_for_by_nobody() -> None:
    """A mailing list of ours that asks a moderator attaches the stranger's mail to its own."""
    inside = replace(make_report(POSTFIX_LOCAL), passed_on=True)
    strangers = replace(inside, received=(POSTFIX_PICKUP, POSTFIX_FOREIGN))
    detail = (
        "no mail server's own hand shows: another mail attaches or quotes the report;"
        " release it if you trust who passed it on"
    )
    assert find_relay_doubt(inside, LOCALHOST, OWN) == RelayDoubt(Why.PASSED_ON, detail)
    assert find_relay_doubt(strangers, LOCALHOST, OWN) == RelayDoubt(
        Why.RECEIVED_FROM_OUTSIDE, NAMED.format(2)
    )


@pytest.mark.parametrize("report", [make_report(), make_report(POSTFIX_LOCAL)])
def test_a_foreign_host_proves_nothing(report: Report) -> None:
    detail = f"the delivering host 192.0.2.9 {NOT_OWN}"
    expected = RelayDoubt(Why.CLIENT_NOT_OWN, detail)
    assert find_relay_doubt(report, ip_address("192.0.2.9"), OWN) == expected


def test_a_long_unreadable_field_is_quoted_in_short() -> None:
    doubt = find_relay_doubt(make_report("x\n" * 5_000), LOCALHOST, OWN)
    assert doubt is not None
    assert doubt.detail.endswith("'" + " ".join("x" * 60) + f"'; {RELEASE}")
