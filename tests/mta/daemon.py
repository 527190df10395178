"""`bounced serve` as an operator starts it: a configuration file, a process, its log on stderr."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bounced.cli import app
from tests.e2e.process import ServeProcess
from tests.mta.network import LOOPBACK, SECOND_HOST

BOUNCE_DOMAIN = "bounce.example.com"
"""The domain of the recipes in deploy/."""
LMTP_DOMAIN = "lmtp.example.test"
CHAIN_DOMAIN = "chain.example.test"
"""Each relay of the tests hands its mail to another relay, the last one to the daemon."""
AUTHOR_DOMAIN = "authors.example.test"
MAILBOX = "bounces"

_CONFIGURATION = """\
[smtp]
listen = ["{address}:0"]
lmtp_listen = {lmtp_listen}
own_relays = ["{address}/32", "{second_host}/32", "::1/128"]
{more_smtp}
[return_path]
domains = {return_domains}
mailboxes = ["{mailbox}"]
[authors]
domains = {author_domains}
[database]
url = "sqlite:///{folder}/bounced.db"
[notices]
digest_window = "{digest_window}"
sender = "support@app.example.test"
language = "en"
[relay]
host = "{address}"
port = {relay_port}
security = "none"
[http]
listen = "{address}:0"
[log]
format = "json"
{more}
"""


@dataclass(frozen=True)
class Daemon:
    """A running daemon, reached by its sockets and its command line only."""

    config: Path
    smtp_port: int
    lmtp_port: int

    def run_command(self, *arguments: str, exits: int = 0) -> str:
        """Run `bounced …` beside the daemon; returns its standard output.

        In this process: a new one costs half a second, and there are a hundred of them.
        """
        with contextlib.redirect_stdout(io.StringIO()) as output:
            code = app.run([*arguments, "--config", str(self.config)])
        assert code == exits, f"bounced {' '.join(arguments)}: exit {code}"
        return output.getvalue()

    def list(self, what: str) -> list[dict[str, Any]]:
        """Return the rows of `bounced WHAT list --json`."""
        lines = self.run_command(what, "list", "--json").splitlines()
        return [json.loads(line) for line in lines]

    def sign(self, author: str, *recipients: str) -> str:
        """Register a send; returns its return path."""
        options = (option for recipient in recipients for option in ("--recipient", recipient))
        return self.run_command("sign", "--author", author, *options).strip()


@contextlib.contextmanager
def run_daemon(
    folder: Path,
    relay_port: int,
    *,
    lmtp_socket: Path | None = None,
    more_smtp: str = "",
    return_domains: Sequence[str] = (),
    author_domains: Sequence[str] = (),
    digest_window: str = "1s",
    more: str = "",
) -> Iterator[Daemon]:
    """Start `bounced serve` on free ports; at the end it must stop in good order.

    `lmtp_socket` is listened on beside LMTP's port; `more_smtp` is added to the section [smtp],
    the domains to those that all tests know; `more` is further sections.
    """
    lmtp_listen = [f"{LOOPBACK}:0"]
    if lmtp_socket is not None:
        lmtp_listen.append(f"unix:{lmtp_socket}")
    config = folder / "config.toml"
    config.write_text(
        _CONFIGURATION.format(
            address=LOOPBACK,
            return_domains=json.dumps([BOUNCE_DOMAIN, LMTP_DOMAIN, CHAIN_DOMAIN, *return_domains]),
            second_host=SECOND_HOST,
            author_domains=json.dumps([AUTHOR_DOMAIN, *author_domains]),
            mailbox=MAILBOX,
            folder=folder,
            relay_port=relay_port,
            lmtp_listen=json.dumps(lmtp_listen),
            more_smtp=more_smtp,
            digest_window=digest_window,
            more=more,
        )
    )
    with ServeProcess(config) as process:
        started = process.wait_for("started")
        yield Daemon(config, _read_port(started["smtp"]), _read_port(started["lmtp"]))
        assert process.stop() == 0
        assert process.strays == []


def _read_port(addresses: list[str]) -> int:
    return int(addresses[0].rpartition(":")[2])
