"""The servers of tests/mta: started once a module, on the first test that asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mta.conditions import need_exim, need_namespace, need_postfix
from tests.mta.daemon import BOUNCE_DOMAIN, LMTP_DOMAIN, Daemon, run_daemon
from tests.mta.exim import Exim, RunningExim
from tests.mta.nameserver import NameServer
from tests.mta.network import LOOPBACK
from tests.mta.postfix import Postfix, RunningPostfix
from tests.mta.receiver import Receiver
from tests.mta.refusals import ALL, DOMAIN


@pytest.fixture(scope="module")
def postfix_installed() -> None:
    need_postfix()


@pytest.fixture(scope="module")
def exim_installed() -> None:
    need_exim()


@pytest.fixture(scope="module")
def mail_exchanger() -> Iterator[Receiver]:
    """The recipients' server."""
    receiver = Receiver(
        at_rcpt={each.recipient: each.reply for each in ALL if each.reply and not each.at_data},
        at_data={each.recipient: each.reply for each in ALL if each.reply and each.at_data},
    )
    with receiver.run():
        yield receiver


@pytest.fixture(scope="module")
def resolver() -> Iterator[str]:
    """The address of a name server that knows only the recipients' domain."""
    need_namespace()
    with NameServer({DOMAIN: LOOPBACK}).run() as address:
        yield address


@pytest.fixture(scope="module")
def relay() -> Iterator[Receiver]:
    """The server that takes the notices."""
    with Receiver().run() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, relay: Receiver) -> Iterator[Daemon]:
    folder: Path = tmp_path_factory.mktemp("daemon")
    with run_daemon(folder, relay.port) as running:
        yield running


@pytest.fixture(scope="module")
def postfix(
    postfix_installed: None, resolver: str, mail_exchanger: Receiver, daemon: Daemon
) -> Iterator[RunningPostfix]:
    """A Postfix that hands one bounce domain to the daemon over SMTP, the other over LMTP."""
    routes = (
        f"{{{BOUNCE_DOMAIN}=smtp:[{LOOPBACK}]:{daemon.smtp_port}}}, "
        f"{{{LMTP_DOMAIN}=lmtp:inet:{LOOPBACK}:{daemon.lmtp_port}}}"
    )
    settings = {"transport_maps": f"inline:{{ {routes} }}"}
    with Postfix(resolver, mail_exchanger.port, settings).run() as running:
        yield running


@pytest.fixture(scope="module")
def exim(
    exim_installed: None, resolver: str, mail_exchanger: Receiver, daemon: Daemon
) -> Iterator[RunningExim]:
    """An Exim set up by deploy/exim."""
    server = Exim(resolver, mail_exchanger.port, BOUNCE_DOMAIN, daemon.smtp_port)
    with server.run() as running:
        yield running
