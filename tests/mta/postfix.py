"""A private Postfix: the installed programs on a configuration, queue and log of the test's."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.mta.namespace import copy_etc, in_namespace, running, server_folder
from tests.mta.network import LOOPBACK, can_connect, free_port, wait_for

MASTER = Path("/usr/lib/postfix/sbin/master")

_MASTER_CF = """\
{port}    inet  n  -  n  -  -  smtpd
pickup    unix  n  -  n  60 1  pickup
local     unix  -  n  n  -  -  local
cleanup   unix  n  -  n  -  0  cleanup
qmgr      unix  n  -  n  300 1 qmgr
rewrite   unix  -  -  n  -  -  trivial-rewrite
bounce    unix  -  -  n  -  0  bounce
defer     unix  -  -  n  -  0  bounce
trace     unix  -  -  n  -  0  bounce
smtp      unix  -  -  n  -  -  smtp
relay     unix  -  -  n  -  -  smtp
lmtp      unix  -  -  n  -  -  lmtp
error     unix  -  -  n  -  -  error
showq     unix  n  -  n  -  -  showq
anvil     unix  -  -  n  -  1  anvil
scache    unix  -  -  n  -  1  scache
tlsmgr    unix  -  -  n  1000? 1 tlsmgr
proxymap  unix  -  -  n  -  -  proxymap
postlog   unix-dgram n - n  -  1  postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A Postfix on 127.0.0.1 that delivers for the domains of `resolver` to `mx_port`."""

    resolver: str
    mx_port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """Lines of main.cf beside our own; they win."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name → content of lookup tables, put beside main.cf."""
    services: Callable[[Path], str] = lambda _: ""
    """Makes lines of master.cf beside our own, given the server's folder."""

    @contextlib.contextmanager
    def run(self) -> Iterator[RunningPostfix]:
        """Start it and wait until it greets; stops it, and drops its queue, at the end."""
        with server_folder("postfix") as folder:
            server = RunningPostfix(folder, free_port())
            self._configure(server)
            etc = copy_etc(folder, resolver=self.resolver)
            _permit_submission(server, etc)
            subprocess.run(server.command("postfix", "check"), check=True, capture_output=True)
            command = in_namespace(etc, (MASTER, "-c", server.config, "-s"))
            with running(command, folder / "master.log"):
                wait_for("Postfix to greet", lambda: can_connect(server.port))
                yield server

    def _configure(self, server: RunningPostfix) -> None:
        server.config.mkdir()
        for name in ("queue", "data"):
            (server.folder / name).mkdir()
        shutil.chown(server.folder / "data", "postfix")
        own = {
            "compatibility_level": "3.6",
            "myhostname": "relay.example.test",
            "mydestination": "",
            "mynetworks": "127.0.0.1/32",
            "inet_interfaces": LOOPBACK,
            "inet_protocols": "ipv4",
            "queue_directory": str(server.folder / "queue"),
            "data_directory": str(server.folder / "data"),
            "maillog_file": str(server.log),
            "maillog_file_prefixes": str(server.folder),
            "smtp_tcp_port": str(self.mx_port),
            "alias_maps": "",
            "local_recipient_maps": "",
            **self.settings,
        }
        lines = [f"{key} = {value}\n" for key, value in own.items()]
        (server.config / "main.cf").write_text("".join(lines))
        (server.config / "master.cf").write_text(
            _MASTER_CF.format(port=f"{LOOPBACK}:{server.port}") + self.services(server.folder)
        )
        for name, text in self.files.items():
            (server.config / name).write_text(text)


def _permit_submission(server: RunningPostfix, etc: Path) -> None:
    """Let users other than root submit to this instance by sendmail(1) inside the namespace."""
    (etc / "postfix").mkdir(exist_ok=True)
    allowed = f"alternate_config_directories = {server.config}\n"
    (etc / "postfix/main.cf").write_text(allowed)


@dataclass(frozen=True)
class RunningPostfix:
    """Where a started Postfix listens, and what stands in its queue."""

    folder: Path
    port: int

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def log(self) -> Path:
        return self.folder / "maillog"

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of one of Postfix's programs for this instance."""
        return [program, "-c", str(self.config), *arguments]

    def submission(self, *arguments: str) -> list[str]:
        """Return the command line of sendmail(1)."""
        return ["/usr/sbin/sendmail", "-C", str(self.config), *arguments]

    def queue(self) -> list[dict[str, Any]]:
        """Return what waits in the queue, one entry a message (postqueue(1), -j)."""
        done = subprocess.run(
            self.command("postqueue", "-j"), check=True, capture_output=True, text=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]
