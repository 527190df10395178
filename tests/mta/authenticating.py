"""Mail between a Postfix that sends for authors and one that refuses what it cannot authenticate.

The recipients' server asks an SPF policy server, OpenDKIM and OpenDMARC, which ask the test's DNS.
"""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage

from tests.mta.daemon import BOUNCE_DOMAIN
from tests.mta.frontdoor import run_front_door
from tests.mta.milters import FROM_DOMAIN, MilterHost
from tests.mta.network import LOOPBACK, free_port
from tests.mta.postfix import Postfix
from tests.mta.refusals import DOMAIN

SENDING_ADDRESS = "192.0.2.25"
"""From which all our mail comes, as the recipients' server sees it."""
CHANGED = "This line is taken out on the way."
"""A line of a mail's text that the sending server changes after it has signed."""

_SPF_SERVICE = "spf unix - n n - 0 spawn user=nobody argv={command}\n"
_SIGNING_SERVICE = """\
{address}:{port} inet n - n - - smtpd -o smtpd_milters=inet:{address}:{signer}
"""


@dataclass(frozen=True)
class Mail:
    """One protocol mail."""

    from_address: str
    mail_from: str
    recipient: str
    text: str = "The protocol: https://app.example.test/protocols/4711"
    reply_to: str | None = None
    signed_by: str | None = None
    """FROM_DOMAIN or BOUNCE_DOMAIN: d= of its signature."""

    def write(self) -> EmailMessage:
        """Return it as the application writes it."""
        message = EmailMessage()
        message["From"] = self.from_address
        message["To"] = self.recipient
        if self.reply_to:
            message["Reply-To"] = self.reply_to
        message["Subject"] = "Protocol of the site visit"
        message["Message-ID"] = f"<{self.recipient}>"
        message.set_content(f"{self.text}\n")
        return message


@dataclass(frozen=True)
class SendingServer:
    """Where the application hands in its mail."""

    ports: Mapping[str | None, int]
    """By what it signs with; None: nothing."""

    def submit(self, mail: Mail) -> None:
        with smtplib.SMTP(LOOPBACK, self.ports[mail.signed_by], "app.example.test") as client:
            client.send_message(mail.write(), mail.mail_from, [mail.recipient])


@contextlib.contextmanager
def run_receiving_server(milters: MilterHost, mailbox_port: int) -> Iterator[int]:
    """Run the recipients' server, which hands what it accepts to `mailbox_port`.

    Yields the port at which all clients have SENDING_ADDRESS.
    """
    with contextlib.ExitStack() as stack:
        asked = (stack.enter_context(milters.verify()), stack.enter_context(milters.enforce()))
        settings = {
            "myhostname": milters.name,
            "relay_domains": DOMAIN,
            "transport_maps": f"inline:{{ {{{DOMAIN}=smtp:[{LOOPBACK}]:{mailbox_port}}} }}",
            "smtpd_upstream_proxy_protocol": "haproxy",
            "smtpd_recipient_restrictions": "check_policy_service unix:private/spf",
            "smtpd_milters": ", ".join(f"inet:{LOOPBACK}:{port}" for port in asked),
            "milter_default_action": "tempfail",
        }
        service = _SPF_SERVICE.format(command=milters.spf_policy)
        server = Postfix(milters.resolver, mailbox_port, settings, services=lambda _: service)
        postfix = stack.enter_context(server.run())
        yield stack.enter_context(run_front_door(postfix.port, SENDING_ADDRESS))


@contextlib.contextmanager
def run_sending_server(
    milters: MilterHost, mx_port: int, key: str, bounces_to: Mapping[str, int]
) -> Iterator[SendingServer]:
    """Run our server, which signs with a private key (PEM) on some of its ports.

    `bounces_to` has the ports that take the mail of our return domains.
    """
    routes = (f"{{{name}=smtp:[{LOOPBACK}]:{port}}}" for name, port in bounces_to.items())
    settings = {
        "transport_maps": f"inline:{{ {' '.join(routes)} }}",
        # Actually, OpenDKIM 2.11 with libunbound dies now and then of two mails at the same time.
        "default_destination_concurrency_limit": "1",
        "minimal_backoff_time": "1s",
        "queue_run_delay": "1s",
        "smtp_body_checks": "regexp:${config_directory}/changes",
    }
    files = {"changes": f"/^{CHANGED}/ REPLACE -- \n"}
    with contextlib.ExitStack() as stack:
        ports: dict[str | None, int] = {}
        services = ""
        for domain in (FROM_DOMAIN, BOUNCE_DOMAIN):
            signer = stack.enter_context(milters.sign(domain, key))
            ports[domain] = free_port()
            services += _SIGNING_SERVICE.format(
                address=LOOPBACK, port=ports[domain], signer=signer
            )
        server = Postfix(milters.resolver, mx_port, settings, files, lambda _: services)
        ports[None] = stack.enter_context(server.run()).port
        yield SendingServer(ports)
