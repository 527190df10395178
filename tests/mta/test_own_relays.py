"""Which bounces count as made by an own relay: four real servers, honest mail and forgeries."""

from __future__ import annotations

import contextlib
import smtplib
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from bounced.origin.why import Why
from tests.mta.conditions import need_exim, need_postfix, need_unpacked
from tests.mta.daemon import BOUNCE_DOMAIN, CHAIN_DOMAIN, MAILBOX, Daemon
from tests.mta.forgery import find_author, forge_report, hand_in, write_mail
from tests.mta.network import LOOPBACK, OUTSIDE, SECOND_HOST, has_ipv6, wait_for
from tests.mta.receiver import Receiver
from tests.mta.refusals import DOMAIN
from tests.mta.relays import ALIAS, Entrance, run_relays
from tests.mta.unpacked import OPENSMTPD, SENDMAIL

pytestmark = [pytest.mark.mta, pytest.mark.slow]

SERVERS = ("postfix", "exim", "opensmtpd", "sendmail")
FILTERS = ("filtered", "piped")
STRAIGHT = f"{MAILBOX}@{BOUNCE_DOMAIN}"
CHAIN = f"{MAILBOX}@{CHAIN_DOMAIN}"

_PATIENCE_S = 60

STAMP = "Received: from localhost (localhost [127.0.0.1]) by relay.example.test (Postfix) with ESMTP id 4X; Sun, 22 Nov 2026 03:41:29 +0000\n"
ABOVE = {
    "own-stamp": "Received: by relay.example.test (Postfix) id 4X; Sun, 22 Nov 2026 03:41:29 +0000\n",
    "loopback-stamp": STAMP,
    "sendmail-stamp": "Received: from localhost (localhost) by relay.example.test (8.17.1/8.17.1) id 6A; x\n",
    "local-stamp": "Received: from root by relay.example.test with local (Exim 4.96) id 1x; x\n",
    "mbox-line": "From root@localhost Sun Nov 22 03:41:29 2026\nReceived: by relay.example.test; x\n",
    "long-line": "X-Long: " + "x" * 980 + "\nReceived: by relay.example.test; x\n",
    "fifty-stamps": STAMP * 20,
}
# OpenSMTPD refuses a header that begins so.
CONTINUED = {
    "continued": "\tby relay.example.test with local\nReceived: by relay.example.test; x\n",
    "no-field": "no field\nReceived: by relay.example.test; x\n",
}
HELOS = ("localhost", "[127.0.0.1]", "127.0.0.1", "[IPv6:::1]", "by", "relay.example.test")
# Postfix takes any name; the others answer 501 to those with blanks or parentheses.
POSTFIX_HELOS = (
    "localhost (localhost [127.0.0.1])",
    "x) by x with local (",
    "(localhost)",
    "[local]",
)


@dataclass(frozen=True)
class Mail:
    """One message as somebody hands it to a relay."""

    name: str
    """Which of the stories it tells, for one entrance."""
    entrance: str
    content: str
    sender: str = STRAIGHT
    to: str = ""
    """The envelope recipient; "" for the address that the mail is named after."""
    client: str = OUTSIDE
    helo: str = "client.example.net"
    options: tuple[str, ...] = ()


def make_recipient(name: str, entrance: str) -> str:
    """Return the address that fails in one story, which tells its report from all others."""
    return f"{name}.{entrance}@{DOMAIN}"


@pytest.fixture(scope="module")
def mail_exchanger() -> Iterator[Receiver]:
    """A server of the recipients that knows nobody."""
    with Receiver(at_rcpt_else="550 5.1.1 User unknown").run() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def relays(
    resolver: str, mail_exchanger: Receiver, daemon: Daemon
) -> Iterator[Mapping[str, Entrance]]:
    need_postfix()
    need_exim()
    need_unpacked(OPENSMTPD)
    need_unpacked(SENDMAIL)
    with run_relays(
        resolver, mail_exchanger.port, daemon.smtp_port, f"forwarded@{DOMAIN}"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def reports(relays: Mapping[str, Entrance], daemon: Daemon) -> Mapping[str, dict[str, Any]]:
    """Every mail of this module handed in at once; what the daemon lists of each, by recipient."""
    mails = [mail for mail in ALL if mail.entrance in relays]
    with ThreadPoolExecutor(8) as pool:
        handed_in = [
            *(pool.submit(_hand_in, relays[mail.entrance], mail) for mail in mails),
            *(
                pool.submit(_submit, relays[name], make_recipient("submitted", name))
                for name in SERVERS
            ),
            pool.submit(hand_in, relays["postfix"].port, STRAIGHT, ALIAS, write_mail(ALIAS)),
        ]
    for each in handed_in:
        each.result()
    expected = {make_recipient(mail.name, mail.entrance) for mail in mails}
    expected |= {make_recipient("submitted", name) for name in SERVERS} | {ALIAS}
    found: dict[str, dict[str, Any]] = {}

    def look() -> bool:
        found.update(
            (line["recipient"], row)
            for row in daemon.list("reports")
            if row["state"] != "stored"
            for line in row["recipients"]
        )
        return expected <= found.keys()

    # A report that does not come fails the test that is about it.
    with contextlib.suppress(AssertionError):
        wait_for("a report on every mail", look, _PATIENCE_S)
    return found


def _hand_in(entrance: Entrance, mail: Mail) -> None:
    to = mail.to or make_recipient(mail.name, mail.entrance)
    hand_in(
        entrance.port,
        mail.sender,
        to,
        mail.content,
        client=mail.client,
        helo=mail.helo,
        options=mail.options,
    )


def _submit(entrance: Entrance, recipient: str) -> None:
    """Hand a mail in by sendmail(1), as an application on the relay's host does."""
    assert entrance.submission is not None
    command = entrance.submission("-f", STRAIGHT, recipient)
    subprocess.run(command, input=write_mail(recipient).encode(), check=True, capture_output=True)


def _write(name: str, entrance: str, **how: Any) -> Mail:
    return Mail(name, entrance, write_mail(make_recipient(name, entrance)), **how)


def _forge(name: str, entrance: str, above: str = "", below: str = "", **how: Any) -> Mail:
    content = forge_report(make_recipient(name, entrance), above=above, below=below)
    return Mail(name, entrance, content, **{"sender": "", "to": STRAIGHT, **how})


HONEST = [
    *(_write("loopback", each, client=LOOPBACK) for each in (*SERVERS, *FILTERS)),
    *(_write("host", each, client=SECOND_HOST, helo="localhost") for each in (*SERVERS, *FILTERS)),
    *(_write("chain", each, client=LOOPBACK, sender=CHAIN) for each in (*SERVERS, *FILTERS)),
    *(
        _write("headers", each, client=LOOPBACK, options=("RET=HDRS",))
        for each in ("postfix", "opensmtpd", "sendmail")
    ),
    _write("loopback", "ipv6", client="::1", helo="[IPv6:::1]"),
    _write("chain", "ipv6", client="::1", sender=CHAIN),
]
FORGED = [
    *(_forge("forged", each) for each in (*SERVERS, *FILTERS)),
    *(_forge(name, each, text) for name, text in ABOVE.items() for each in (*SERVERS, *FILTERS)),
    *(
        _forge(name, each, text)
        for name, text in CONTINUED.items()
        for each in ("postfix", "exim", "sendmail", "filtered")
    ),
    *(_forge("below", each, below=STAMP) for each in SERVERS),
    *(_forge("both", each, STAMP, STAMP) for each in (*SERVERS, *FILTERS)),
]
GREETED = [
    *(_forge(f"helo{n}", each, helo=helo) for n, helo in enumerate(HELOS) for each in SERVERS),
    *(_forge(f"hostile{n}", "postfix", helo=helo) for n, helo in enumerate(POSTFIX_HELOS)),
]
CHAINED = [_forge("forged-chain", each, STAMP, to=CHAIN) for each in (*SERVERS, *FILTERS)]
BACKSCATTER = [
    *(_write("stranger", each) for each in (*SERVERS, *FILTERS)),
    *(
        _write("stranger-headers", each, options=("RET=HDRS",))
        for each in ("postfix", "opensmtpd", "sendmail")
    ),
    *(
        Mail("large", each, write_mail(make_recipient("large", each)) + "x" * 900 + "\n" * 60_000)
        for each in SERVERS
    ),
    # The mail that bounces is a forged report itself, with a returned mail inside.
    *(
        Mail("nested", each, forge_report(make_recipient("nested", each), above=STAMP))
        for each in SERVERS
    ),
    *(_write("stranger-chain", each, sender=CHAIN) for each in SERVERS),
    # Actually, Sendmail writes the line ends of a decoded ENVID into its report.
    _write("envid", "sendmail", options=("ENVID=a+0D+0AReceived:+20by+20x+0D+0A+0D+0A",)),
]
ALL = [*HONEST, *FORGED, *GREETED, *CHAINED, *BACKSCATTER]


def _name(mail: Mail) -> str:
    return f"{mail.name}-{mail.entrance}"


def _report_on(reports: Mapping[str, dict[str, Any]], name: str, entrance: str) -> dict[str, Any]:
    if entrance == "ipv6" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    return _judgement(reports[make_recipient(name, entrance)])


def _judgement(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("state", "trust", "author", "why", "detail")}


def _counted(name: str, entrance: str) -> dict[str, Any]:
    author = find_author(make_recipient(name, entrance))
    return {"state": "processed", "trust": "relay", "author": author, "why": None, "detail": None}


def _held(why: Why, field: str) -> dict[str, Any]:
    detail = (
        f"{OUTSIDE} in {field} is not in smtp.own_relays: add it there if it is a host of yours"
    )
    return {"state": "quarantined", "trust": "none", "author": None, "why": why, "detail": detail}


@pytest.mark.parametrize("mail", HONEST, ids=_name)
def test_a_bounce_of_our_own_mail_counts(
    reports: Mapping[str, dict[str, Any]], mail: Mail
) -> None:
    expected = _counted(mail.name, mail.entrance)
    assert _report_on(reports, mail.name, mail.entrance) == expected


@pytest.mark.parametrize("server", SERVERS)
def test_a_bounce_of_mail_submitted_on_the_spot_counts(
    reports: Mapping[str, dict[str, Any]], server: str
) -> None:
    assert _report_on(reports, "submitted", server) == _counted("submitted", server)


def test_what_counts_makes_a_case_and_what_is_forged_makes_none(
    reports: Mapping[str, dict[str, Any]], daemon: Daemon
) -> None:
    honest = {make_recipient(each.name, each.entrance) for each in HONEST}
    honest |= {make_recipient("submitted", name) for name in SERVERS}
    counted = {(case["author"], case["subject"]) for case in daemon.list("cases")}
    assert counted == {(find_author(each), each) for each in honest if each in reports}


@pytest.mark.parametrize("mail", FORGED, ids=_name)
def test_a_forged_report_is_held_for_the_host_that_handed_it_in(
    reports: Mapping[str, dict[str, Any]], relays: Mapping[str, Entrance], mail: Mail
) -> None:
    field = f"Received field {relays[mail.entrance].stamps}"
    expected = _held(Why.RECEIVED_FROM_OUTSIDE, field)
    assert _report_on(reports, mail.name, mail.entrance) == expected


@pytest.mark.parametrize("mail", CHAINED, ids=_name)
def test_a_forged_report_is_held_however_many_relays_hand_it_on(
    reports: Mapping[str, dict[str, Any]], relays: Mapping[str, Entrance], mail: Mail
) -> None:
    field = f"Received field {relays[mail.entrance].chain_stamps}"
    expected = _held(Why.RECEIVED_FROM_OUTSIDE, field)
    assert _report_on(reports, mail.name, mail.entrance) == expected


@pytest.mark.parametrize("mail", GREETED, ids=lambda mail: f"{mail.helo}-{mail.entrance}")
def test_no_name_in_helo_makes_a_stranger_ours(
    reports: Mapping[str, dict[str, Any]], mail: Mail
) -> None:
    found = _report_on(reports, mail.name, mail.entrance)
    if mail.helo == "by" and mail.entrance != "exim":
        # The word ends the clause before the address: a form that nobody can vouch for.
        assert (found["state"], found["why"]) == ("quarantined", Why.RECEIVED_UNREADABLE)
        assert "release the report if only hosts of yours had it" in found["detail"]
    else:
        assert found == _held(Why.RECEIVED_FROM_OUTSIDE, "Received field 1")


@pytest.mark.parametrize("mail", BACKSCATTER, ids=_name)
def test_an_honest_bounce_of_a_strangers_mail_is_held(
    reports: Mapping[str, dict[str, Any]], relays: Mapping[str, Entrance], mail: Mail
) -> None:
    field = f"the bounced mail's Received field {relays[mail.entrance].stamps}"
    expected = _held(Why.RETURNED_FROM_OUTSIDE, field)
    assert _report_on(reports, mail.name, mail.entrance) == expected


def test_a_bounce_of_a_strangers_mail_that_was_sent_on_is_held(
    reports: Mapping[str, dict[str, Any]],
) -> None:
    """Postfix stamps what an alias sends on anew, above the stranger's handover."""
    expected = _held(Why.RETURNED_FROM_OUTSIDE, "the bounced mail's Received field 2")
    assert _judgement(reports[ALIAS]) == expected


@pytest.mark.parametrize("server", ["exim", "opensmtpd", "sendmail"])
@pytest.mark.parametrize("helo", [each for each in POSTFIX_HELOS if " " in each or "(" in each])
def test_only_postfix_takes_any_name(
    relays: Mapping[str, Entrance], server: str, helo: str
) -> None:
    with smtplib.SMTP(LOOPBACK, relays[server].port, source_address=(OUTSIDE, 0)) as session:
        assert session.ehlo(helo)[0] == 501
