"""Real mail servers reach a daemon that demands TLS, and Postfix one that listens on a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.mta.daemon import BOUNCE_DOMAIN, LMTP_DOMAIN, Daemon, run_daemon
from tests.mta.exim import RunningExim
from tests.mta.namespace import server_folder
from tests.mta.network import LOOPBACK
from tests.mta.postfix import Postfix, RunningPostfix
from tests.mta.receiver import Receiver
from tests.mta.refusals import UNKNOWN_USER
from tests.mta.story import author_of, collect, plain_mail, sign_mail, submit

pytestmark = [pytest.mark.mta, pytest.mark.slow]

VERDICT = {UNKNOWN_USER.recipient: (UNKNOWN_USER.category, UNKNOWN_USER.reason)}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the servers, under their own users, find socket and certificate."""
    with server_folder("tls") as folder:
        yield folder


@pytest.fixture(scope="module")
def lmtp_socket(folder: Path, postfix_installed: None) -> Path:
    """A socket in a folder that gives it Postfix' group and lets nobody else in."""
    run = folder / "run"
    run.mkdir()
    shutil.chown(run, group="postfix")
    run.chmod(0o2710)
    return run / "lmtp"


@pytest.fixture(scope="module")
def daemon(folder: Path, lmtp_socket: Path, relay: Receiver) -> Iterator[Daemon]:
    """A daemon that takes mail over TLS only."""
    authority = trustme.CA()
    issued = authority.issue_cert(BOUNCE_DOMAIN)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    more = (
        f'hostname = "{BOUNCE_DOMAIN}"\n'
        f'tls_certificate_file = "{folder}/certificate.pem"\n'
        f'tls_key_file = "{folder}/key.pem"\n'
        "require_tls = true\n"
    )
    with run_daemon(folder, relay.port, lmtp_socket=lmtp_socket, more_smtp=more) as running:
        yield running


@pytest.fixture(scope="module", params=["may", "secure"])
def level(request: pytest.FixtureRequest) -> str:
    """How Postfix uses TLS: when it is offered, or after a look at the certificate."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def postfix(
    resolver: str, mail_exchanger: Receiver, daemon: Daemon, lmtp_socket: Path, level: str
) -> Iterator[RunningPostfix]:
    """A Postfix that hands one bounce domain to the daemon over TLS, the other by the file."""
    next_hop = f"[{LOOPBACK}]:{daemon.smtp_port}"
    routes = f"{{{BOUNCE_DOMAIN}=smtp:{next_hop}}}, {{{LMTP_DOMAIN}=lmtp:unix:{lmtp_socket}}}"
    policy = {"may": "may", "secure": f"secure match={BOUNCE_DOMAIN}"}[level]
    authority = daemon.config.parent / "authority.pem"
    settings = {
        "transport_maps": f"inline:{{ {routes} }}",
        "smtp_tls_policy_maps": f"inline:{{ {{ {next_hop} = {policy} }} }}",
        "smtp_tls_CAfile": str(authority if level == "secure" else ""),
        "smtp_tls_loglevel": "1",
    }
    with Postfix(resolver, mail_exchanger.port, settings).run() as running:
        yield running


def test_postfix_delivers_its_bounces_through_starttls(
    postfix: RunningPostfix, daemon: Daemon, relay: Receiver, level: str
) -> None:
    author = author_of("postfix", f"tls-{level}")
    submit(postfix.port, sign_mail(daemon, author, [UNKNOWN_USER]))

    outcome = collect(daemon, relay, [author])[author]

    assert outcome.verdicts == VERDICT
    trust = {"may": "Untrusted", "secure": "Verified"}[level]
    peer = f"{LOOPBACK}[{LOOPBACK}]:{daemon.smtp_port}"
    assert f"{trust} TLS connection established to {peer}: TLSv1.3" in postfix.log.read_text()


def test_postfix_delivers_its_bounces_through_a_file(
    postfix: RunningPostfix, daemon: Daemon, relay: Receiver, lmtp_socket: Path, level: str
) -> None:
    author = author_of("postfix", f"local-{level}")
    submit(postfix.port, plain_mail(author, UNKNOWN_USER, domain=LMTP_DOMAIN))

    outcome = collect(daemon, relay, [author])[author]

    assert outcome.verdicts == VERDICT
    assert [report["trust"] for report in outcome.reports] == ["relay"]
    assert f"[{lmtp_socket}], delay=" in postfix.log.read_text()


def test_exim_delivers_its_bounces_through_starttls(
    exim: RunningExim, daemon: Daemon, relay: Receiver
) -> None:
    author = author_of("exim", "tls")
    submit(exim.port, sign_mail(daemon, author, [UNKNOWN_USER]))

    outcome = collect(daemon, relay, [author])[author]

    assert outcome.verdicts == VERDICT
    assert f"[{LOOPBACK}] X=TLS1.3:" in exim.log.read_text()
