"""The recipes of deploy/, run by real mail servers and attacked from outside."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bounced.origin.why import Why
from tests.mta.conditions import need_unpacked
from tests.mta.daemon import AUTHOR_DOMAIN, BOUNCE_DOMAIN, MAILBOX, Daemon
from tests.mta.exim import RunningExim
from tests.mta.forgery import ask, find_author, forge_report, hand_in
from tests.mta.network import LOOPBACK, OUTSIDE, wait_for
from tests.mta.postfix import Postfix, RunningPostfix
from tests.mta.receiver import Receiver
from tests.mta.refusals import DOMAIN
from tests.mta.unpacked import OPENSMTPD, RunningUnpacked

DEPLOY = Path(__file__).parents[2] / "deploy"
STRANGER = f"stranger@{DOMAIN}"
NOTHING = ""
TOKEN = "s" + "a2" * 15

_LISTEN = "listen on {address} port {port} hostname {host}\n"
_RELAY = """
action "relay" relay host smtp://{address}:{mx_port}
match from src <bounced_own> for any action "relay"
"""


@dataclass(frozen=True)
class RunningOpenSmtpd:
    """An OpenSMTPD set up by deploy/opensmtpd."""

    server: RunningUnpacked

    @property
    def port(self) -> int:
        assert self.server.port is not None
        return self.server.port

    def queue(self) -> list[str]:
        """Return what waits in the queue, one line a message and recipient."""
        command = self.server.command("smtpctl", "show", "queue")
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()


Front = RunningPostfix | RunningExim | RunningOpenSmtpd


@pytest.fixture(scope="module")
def recipe_postfix(
    postfix_installed: None, resolver: str, mail_exchanger: Receiver, daemon: Daemon
) -> Iterator[RunningPostfix]:
    """A Postfix set up by deploy/postfix; only the listener's port is changed."""
    recipe = DEPLOY / "postfix"
    settings = dict(re.findall(r"^(\w+) = (.+)$", (recipe / "main.cf").read_text(), re.MULTILINE))
    files = {path.name: path.read_text() for path in recipe.glob("bounced_*")}
    transport = files["bounced_transport"]
    files["bounced_transport"] = transport.replace("]:8025", f"]:{daemon.smtp_port}")
    assert files["bounced_transport"] != transport
    with Postfix(resolver, mail_exchanger.port, settings, files).run() as running:
        yield running


@pytest.fixture(scope="module")
def recipe_opensmtpd(mail_exchanger: Receiver, daemon: Daemon) -> Iterator[RunningOpenSmtpd]:
    """An OpenSMTPD set up by deploy/opensmtpd; only the listener's port is changed."""
    need_unpacked(OPENSMTPD)
    recipe = (DEPLOY / "opensmtpd/smtpd.conf").read_text()
    text = recipe.replace(":8025", f":{daemon.smtp_port}")
    assert text != recipe
    text = text.replace("{", "{{").replace("}", "}}")
    server = replace(OPENSMTPD, files={"etc/smtpd.conf": _LISTEN + text + _RELAY})
    with server.run(mail_exchanger.port) as running:
        yield RunningOpenSmtpd(running)


@pytest.fixture(params=["recipe_postfix", "exim", "recipe_opensmtpd"])
def front(request: pytest.FixtureRequest) -> Front:
    """Each mail server that deploy/ has a recipe for; `exim` is always set up by it."""
    server: Front = request.getfixturevalue(request.param)
    return server


def _wait_for_report(daemon: Daemon, recipient: str) -> dict[str, Any]:
    """Return the processed or quarantined report that speaks of a recipient."""

    def look() -> dict[str, Any] | None:
        rows = (row for row in daemon.list("reports") if row["state"] != "stored")
        return next((row for row in rows if recipient in str(row["recipients"])), None)

    return wait_for(f"the report on {recipient}", look)


@pytest.mark.mta
@pytest.mark.parametrize(
    ("client", "sender", "recipient", "reply"),
    [
        pytest.param(OUTSIDE, NOTHING, f"{TOKEN}@{BOUNCE_DOMAIN}", "250", id="token"),
        pytest.param(OUTSIDE, NOTHING, f"{TOKEN.upper()}@{BOUNCE_DOMAIN}", "250", id="capitals"),
        pytest.param(OUTSIDE, STRANGER, f"{TOKEN}@{BOUNCE_DOMAIN}", "250", id="any-sender"),
        pytest.param(
            OUTSIDE, NOTHING, f"prvs=0123456789={TOKEN}@{BOUNCE_DOMAIN}", "250", id="batv"
        ),
        pytest.param(OUTSIDE, NOTHING, f"{TOKEN[:-1]}@{BOUNCE_DOMAIN}", "550 5.1.1", id="short"),
        pytest.param(OUTSIDE, NOTHING, f"{TOKEN}1@{BOUNCE_DOMAIN}", "550 5.1.1", id="long"),
        pytest.param(OUTSIDE, NOTHING, f"x{TOKEN[1:]}@{BOUNCE_DOMAIN}", "550 5.1.1", id="no-type"),
        pytest.param(OUTSIDE, NOTHING, f"{MAILBOX}@{BOUNCE_DOMAIN}", "250", id="plain"),
        pytest.param(OUTSIDE, STRANGER, f"{MAILBOX}@{BOUNCE_DOMAIN}", "550 5.7.1", id="chatter"),
        pytest.param(OUTSIDE, NOTHING, f"max@{BOUNCE_DOMAIN}", "550 5.1.1", id="unknown"),
        pytest.param(OUTSIDE, STRANGER, f"postmaster@{BOUNCE_DOMAIN}", "250", id="postmaster"),
        pytest.param(
            OUTSIDE,
            f"{TOKEN}@{BOUNCE_DOMAIN}",
            f"postmaster@{BOUNCE_DOMAIN}",
            "550 5.7.1",
            id="our-sender-outside",
        ),
        pytest.param(LOOPBACK, f"{TOKEN}@{BOUNCE_DOMAIN}", STRANGER, "250", id="our-sender"),
    ],
)
def test_the_recipe_answers_at_rcpt(
    front: Front, client: str, sender: str, recipient: str, reply: str
) -> None:
    asked = ask(front.port, client, sender, recipient)
    if isinstance(front, RunningOpenSmtpd):
        # It has one text for all refusals, without an enhanced code.
        asked, reply = asked[:3], reply[:3]
    assert asked == reply


@pytest.mark.mta
def test_a_forged_report_to_the_plain_mailbox_ends_in_quarantine(
    front: Front, daemon: Daemon
) -> None:
    victim = f"plain.victim.{front.port}@{DOMAIN}"
    hand_in(front.port, NOTHING, f"{MAILBOX}@{BOUNCE_DOMAIN}", forge_report(victim))

    report = _wait_for_report(daemon, victim)

    assert (report["state"], report["trust"]) == ("quarantined", "none")
    assert report["why"] == Why.RECEIVED_FROM_OUTSIDE
    assert OUTSIDE in report["detail"]
    assert [case for case in daemon.list("cases") if case["author"] == find_author(victim)] == []
    assert front.queue() == []


@pytest.mark.mta
def test_a_forged_token_neither_counts_nor_makes_backscatter(
    front: Front, daemon: Daemon, mail_exchanger: Receiver
) -> None:
    victim = f"token.victim.{front.port}@{DOMAIN}"
    hand_in(front.port, STRANGER, f"{TOKEN}@{BOUNCE_DOMAIN}", forge_report(victim))

    report = _wait_for_report(daemon, victim)

    assert (report["state"], report["trust"]) == ("quarantined", "none")
    assert report["why"] == Why.UNKNOWN_LOCAL_PART
    assert [case for case in daemon.list("cases") if case["author"] == find_author(victim)] == []
    assert front.queue() == []
    assert mail_exchanger.find(STRANGER) is None


@pytest.mark.mta
def test_a_signed_return_path_counts_wherever_the_report_comes_from(
    front: Front, daemon: Daemon
) -> None:
    recipient = f"customer.{front.port}@{DOMAIN}"
    author = f"customer.{front.port}@{AUTHOR_DOMAIN}"
    return_path = daemon.sign(author, recipient)

    hand_in(front.port, NOTHING, return_path, forge_report(recipient))
    report = _wait_for_report(daemon, recipient)

    assert (report["state"], report["trust"]) == ("processed", "signed")
    assert [case["subject"] for case in daemon.list("cases") if case["author"] == author] == [
        recipient
    ]
