"""A private Exim: the unpacked program, whose only trusted configuration is /etc/exim4/exim4.conf."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.mta.namespace import (
    copy_etc,
    enter_namespace,
    in_namespace,
    replace_file,
    running,
    server_folder,
)
from tests.mta.network import LOOPBACK, can_connect, free_port, wait_for

UNPACKED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bounced-mta/exim"

_USER = "Debian-exim"
_FALLBACK_ID = 64025

_RECIPE = Path(__file__).parents[2] / "deploy" / "exim"
_CONFIGURATION = """\
BOUNCED_DOMAIN = {bounce_domain}
BOUNCED_HOST = {address}::{bounce_port}
hostlist relay_from_hosts = {clients}

primary_hostname = relay.example.test
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
local_interfaces = {address}
daemon_smtp_ports = {port}
disable_ipv6 = true
tls_advertise_hosts =
host_lookup =
acl_smtp_rcpt = acl_check_rcpt
# Nothing is delivered to a local user, so root is needed for nothing.
deliver_drop_privilege = true

begin acl

acl_check_rcpt:
{acl}
accept
  hosts = +relay_from_hosts

deny
  message = 5.7.1 Relay access denied

begin routers

{router}
everyone_else:
  driver = dnslookup
  self = send
  transport = local_mx

begin transports

{transport}
local_mx:
  driver = smtp
  port = {mx_port}
  allow_localhost = true
"""


def _read_recipe() -> dict[str, str]:
    parts = {name: (_RECIPE / name).read_text() for name in ("acl", "router", "transport")}
    return {"clients": LOOPBACK, **parts}


@dataclass(frozen=True)
class RunningExim:
    """Where a started Exim listens and logs."""

    folder: Path
    port: int
    pid: int = 0

    def submission(self, *arguments: str) -> list[str]:
        """Return the command line of sendmail(1), which is Exim itself."""
        return enter_namespace(self.pid, (self.folder / "exim4", *arguments))

    @property
    def log(self) -> Path:
        return self.folder / "log" / "mainlog"

    def queue(self) -> list[str]:
        """Return the ids of the messages that wait in the spool."""
        return [path.name.removesuffix("-H") for path in self.folder.glob("spool/input/*-H")]


@dataclass(frozen=True)
class Exim:
    """An Exim on 127.0.0.1 that sends `bounce_domain` to one port and all other mail to another."""

    resolver: str
    mx_port: int
    bounce_domain: str
    bounce_port: int
    settings: Mapping[str, str] = field(default_factory=_read_recipe)
    """What stands in the configuration's open places."""

    @contextlib.contextmanager
    def run(self) -> Iterator[RunningExim]:
        """Start it and wait until it greets; stops it, and drops its spool, at the end."""
        with server_folder("exim") as folder:
            server = RunningExim(folder, free_port())
            program = self._unpack(folder)
            etc = copy_etc(folder, resolver=self.resolver)
            self._configure(server, etc, program)
            command = in_namespace(etc, (program, "-bdf"))
            with running(command, folder / "exim.out") as process:
                wait_for("Exim to greet", lambda: can_connect(server.port))
                yield replace(server, pid=process.pid)

    def _unpack(self, folder: Path) -> Path:
        """Copy program and libraries to where Exim's own user may read them; not setuid there."""
        shutil.copytree(UNPACKED / "usr/lib", folder / "lib", symlinks=True)
        program = folder / "exim4"
        shutil.copyfile(UNPACKED / "usr/sbin/exim4", program)
        program.chmod(0o755)
        return program

    def _configure(self, server: RunningExim, etc: Path, program: Path) -> None:
        folder = server.folder
        user_id, group_id = _add_user(etc)
        for name in ("spool", "log"):
            (folder / name).mkdir()
            os.chown(folder / name, user_id, group_id)
        (etc / "exim4").mkdir(exist_ok=True)
        replace_file(
            etc / "exim4/exim4.conf",
            _CONFIGURATION.format(
                program=program,
                folder=folder,
                address=LOOPBACK,
                port=server.port,
                mx_port=self.mx_port,
                bounce_domain=self.bounce_domain,
                bounce_port=self.bounce_port,
                **self.settings,
            ),
        )
        _register_libraries(folder, etc)


def _register_libraries(folder: Path, etc: Path) -> None:
    """Make the loader inside the namespace know the unpacked libraries, beside the system's."""
    directories = sorted({str(path.parent) for path in (folder / "lib").rglob("*.so.*")})
    listing = folder / "libraries.conf"
    listing.write_text("\n".join([*directories, "include /etc/ld.so.conf", ""]))
    command = ("ldconfig", "-X", "-f", listing, "-C", etc / "ld.so.cache")
    subprocess.run(command, check=True, capture_output=True)


def _add_user(etc: Path) -> tuple[int, int]:
    """Make Exim's compiled-in user known inside the copy; returns its user and group id."""
    with contextlib.suppress(KeyError):
        known = pwd.getpwnam(_USER)
        return known.pw_uid, known.pw_gid
    identity = f"{_USER}:x:{_FALLBACK_ID}"
    with (etc / "passwd").open("a") as passwd, (etc / "group").open("a") as group:
        passwd.write(f"{identity}:{_FALLBACK_ID}::/nonexistent:/usr/sbin/nologin\n")
        group.write(f"{identity}:\n")
    return _FALLBACK_ID, _FALLBACK_ID
