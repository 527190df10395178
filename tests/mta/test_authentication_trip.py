"""Real milters refuse mails, the daemon says what to publish, and then the same milters accept."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bounced.model import Category, Reason
from tests.mta.authenticating import Mail, SendingServer, run_receiving_server, run_sending_server
from tests.mta.authentication import (
    ALIGNED,
    ALIGNED_ZONE,
    ALL_MEANS,
    KEY_HOST,
    OUR_ZONE,
    RETURN_DOMAINS,
    REVOKED,
    REVOKED_ZONE,
    STORIES,
    Story,
    Zone,
)
from tests.mta.conditions import need_milters
from tests.mta.daemon import BOUNCE_DOMAIN, Daemon, run_daemon
from tests.mta.milters import run_milter_host
from tests.mta.nameserver import NameServer
from tests.mta.network import LOOPBACK, wait_for
from tests.mta.receiver import Delivered, Receiver
from tests.mta.refusals import DOMAIN

pytestmark = [pytest.mark.mta, pytest.mark.slow]

_KEY_BITS = 1024
_EXIT_FOUND = 1
_PATIENCE_S = 60


@dataclass(frozen=True)
class Site:
    """The servers, and the DNS that all of them ask."""

    daemon: Daemon
    server: SendingServer
    mailboxes: Receiver
    names: NameServer

    def publish(self, zone: Zone) -> None:
        """Put records in the place of what stands at their names."""
        for (name, rdtype), rdata in zone.items():
            for replaced in ("TXT", "CNAME"):
                self.names.zones.records.pop((name, replaced), None)
            self.names.zones.records[name, rdtype] = [rdata]

    def wait_for(self, mail: Mail) -> Delivered:
        """Return what the recipient's server has accepted."""
        return wait_for(
            f"the mail to {mail.recipient}",
            lambda: self.mailboxes.find(mail.recipient),
            _PATIENCE_S,
        )


@dataclass(frozen=True)
class Refused:
    """What the daemon makes of a refused mail."""

    verdict: tuple[str, str]
    case: dict[str, Any] | None
    """None: the failure does not count."""
    diagnosis: dict[str, Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_milters()
    key = generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    names = NameServer({DOMAIN: LOOPBACK})
    with contextlib.ExitStack() as stack:
        resolver = stack.enter_context(names.run())
        mailboxes = stack.enter_context(Receiver().run())
        running = run_daemon(
            tmp_path_factory.mktemp("daemon"),
            stack.enter_context(Receiver().run()).port,
            return_domains=RETURN_DOMAINS,
            author_domains=[story.domain for story in STORIES],
            # A notice that is sent before DNS was asked goes without a diagnosis.
            digest_window="1h",
            more=f'[dns]\nresolvers = ["{resolver}"]\n[advice]\n{ALL_MEANS}',
        )
        daemon = stack.enter_context(running)
        milters = stack.enter_context(run_milter_host(resolver, f"mx.{DOMAIN}"))
        mx_port = stack.enter_context(run_receiving_server(milters, mailboxes.port))
        back = dict.fromkeys((BOUNCE_DOMAIN, *RETURN_DOMAINS), daemon.smtp_port)
        server = run_sending_server(milters, mx_port, _write_private(key), back)
        site = Site(daemon, stack.enter_context(server), mailboxes, names)
        site.publish(OUR_ZONE)
        site.publish({(KEY_HOST, "TXT"): f'"v=DKIM1; k=rsa; p={_write_public(key)}"'})
        yield site


@pytest.fixture(scope="module")
def refused(site: Site) -> Mapping[str, Refused]:
    """Every mail refused and diagnosed; then each advice is followed, and the cured mail sent."""
    for story in STORIES:
        # Authors get mail at their domains: one that has nothing at all does not exist.
        site.publish({(story.domain, "MX"): f"10 mail.{story.domain}.", **story.zone})
        site.server.submit(story.mail)
    mails = [story.mail for story in STORIES]
    verdicts = wait_for(
        "a report on each mail", lambda: _find_verdicts(site.daemon, *mails), _PATIENCE_S
    )
    outcomes = {story.domain: _diagnose(site, story, verdicts) for story in STORIES}
    for story in STORIES:
        site.publish(story.we_publish)
        site.publish(_read_zone(outcomes[story.domain].diagnosis))
        site.server.submit(story.cured)
    return outcomes


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.domain)
def test_what_a_milter_says_is_classified(story: Story, refused: Mapping[str, Refused]) -> None:
    expected = Category.AUTH_FAILURE.value, story.reason.value
    assert refused[story.domain].verdict == expected


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.domain)
def test_a_refusal_counts_for_the_domain_unless_it_names_ours(
    story: Story, refused: Mapping[str, Refused]
) -> None:
    case = refused[story.domain].case
    assert story.counts == (case is not None)
    assert case is None or case["author"] == story.mail.from_address


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.domain)
def test_a_refusal_leads_to_the_advice_that_mends_it(
    story: Story, refused: Mapping[str, Refused]
) -> None:
    diagnosis = refused[story.domain].diagnosis
    expected = {
        "domain": story.domain,
        "mail_from_domain": story.mail.mail_from.partition("@")[2],
        "identity": story.identity.value,
        "fix": story.fix.value,
        "freemail": story.freemail,
        "records": [asdict(record) for record in story.records],
    }
    assert {key: diagnosis[key] for key in expected} == expected


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.domain)
def test_what_the_milters_refused_they_accept_once_the_advice_is_followed(
    story: Story, refused: Mapping[str, Refused], site: Site
) -> None:
    assert refused[story.domain].diagnosis["fix"] == story.fix.value
    arrived = site.wait_for(story.cured)
    assert arrived.sender == story.cured.mail_from
    assert arrived.message["From"] == story.cured.from_address
    assert arrived.message["Reply-To"] == story.cured.reply_to
    assert _list_results(arrived) >= story.passes


def test_a_mail_that_is_signed_as_its_policy_demands_arrives(site: Site) -> None:
    site.publish(ALIGNED_ZONE)
    site.server.submit(ALIGNED)
    assert _list_results(site.wait_for(ALIGNED)) >= {"dkim=pass", "dmarc=pass"}
    assert _find_verdicts(site.daemon, ALIGNED) is None


def test_a_milter_that_refuses_without_a_word_on_why_is_not_guessed_at(site: Site) -> None:
    # Actually, OpenDKIM leaves the words to Postfix where a key is revoked: "Command rejected".
    site.publish(REVOKED_ZONE)
    site.server.submit(REVOKED)
    verdicts = wait_for("the report", lambda: _find_verdicts(site.daemon, REVOKED), _PATIENCE_S)
    assert verdicts[REVOKED.recipient] == (Category.UNKNOWN.value, Reason.UNKNOWN.value)


def _write_private(key: RSAPrivateKey) -> str:
    form = PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def _write_public(key: RSAPrivateKey) -> str:
    form = PublicFormat.SubjectPublicKeyInfo
    return b64encode(key.public_key().public_bytes(Encoding.DER, form)).decode()


def _find_verdicts(daemon: Daemon, *mails: Mail) -> Mapping[str, tuple[str, str]] | None:
    """Return recipient → (category, reason), once there is a report on each mail."""
    expected = {mail.recipient for mail in mails}
    verdicts = {
        failure["recipient"]: (failure["category"], failure["reason"])
        for report in daemon.list("reports")
        for failure in report["recipients"]
    }
    return verdicts if verdicts.keys() >= expected else None


def _diagnose(site: Site, story: Story, verdicts: Mapping[str, tuple[str, str]]) -> Refused:
    cases = [each for each in site.daemon.list("cases") if each["subject"] == story.domain]
    case = cases[0] if cases else None
    if case is not None and story.means == ALL_MEANS:
        diagnosis = _wait_for_diagnosis(site.daemon, case)
    else:
        diagnosis = _ask(site.daemon, story)
    return Refused(verdicts[story.mail.recipient], case, diagnosis)


def _wait_for_diagnosis(daemon: Daemon, case: dict[str, Any]) -> dict[str, Any]:
    """Return what the daemon has found out of itself."""

    def look() -> dict[str, Any] | None:
        shown: dict[str, Any] = json.loads(
            daemon.run_command("cases", "show", case["case"], "--json")
        )
        diagnosis: dict[str, Any] | None = shown["diagnosis"]
        return diagnosis

    return wait_for(f"a diagnosis of {case['subject']}", look, _PATIENCE_S)


def _ask(daemon: Daemon, story: Story) -> dict[str, Any]:
    """Return what the command says to somebody who has the story's means."""
    config = daemon.config.with_name(f"{story.domain}.toml")
    config.write_text(daemon.config.read_text().replace(ALL_MEANS, story.means))
    mail_from = story.mail.mail_from.partition("@")[2]
    options = ("--mail-from", mail_from, "--reason", story.reason.value, "--json")
    said = replace(daemon, config=config).run_command(
        "advise", story.domain, *options, exits=_EXIT_FOUND
    )
    diagnosis: dict[str, Any] = json.loads(said)
    return diagnosis


def _read_zone(diagnosis: Mapping[str, Any]) -> Zone:
    """Return the records to publish as a name server writes them."""
    return {
        (record["name"], record["type"]): (
            f"{record['value']}." if record["type"] == "CNAME" else f'"{record["value"]}"'
        )
        for record in diagnosis["records"]
    }


def _list_results(arrived: Delivered) -> set[str]:
    """Return what the milters found (RFC 8601 §2.2): `dkim=pass`, `dmarc=none`."""
    fields = arrived.message.get_all("Authentication-Results", [])
    return {word.strip(";") for field in fields for word in field.split() if "=" in word}
