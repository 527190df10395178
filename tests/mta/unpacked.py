"""Private servers out of unpacked packages: the system's root with a package laid over it.

Each hands all its mail to one receiver, and gives up what does not get through after seconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.mta.namespace import running, server_folder
from tests.mta.network import LOOPBACK, can_connect, free_port, wait_for

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bounced-mta"
HOST = "relay.example.test"
LIFETIME_S = 4

# An overlay's layers must not lie in one another: the changes get a file system of their own.
_ENTER = """\
mount -t tmpfs tmpfs "$0/layers" && cd "$0/layers" && mkdir up work root &&
cp -a "$0/package" . && cp -a "$0/changes/." package &&
mount -t overlay overlay -o "lowerdir=$PWD/package:/,upperdir=$PWD/up,workdir=$PWD/work" root &&
mount --rbind /dev root/dev && mount --rbind /proc root/proc && mount --bind "$0" "root$0" &&
exec chroot root "$@"
"""
_SENDMAIL = """\
divert(-1)
divert(0)dnl
define(`_USE_ETC_MAIL_')dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`generic')dnl
define(`confDOMAIN_NAME',`{host}')dnl
define(`SMART_HOST',`smtp:[{address}]')dnl
define(`SMTP_MAILER_ARGS',`TCP $h {mx_port}')dnl
define(`confTO_QUEUERETURN',`{lifetime}s')dnl
define(`confTO_QUEUEWARN',`1h')dnl
define(`confTO_IDENT',`0')dnl
define(`confMIN_QUEUE_AGE',`0')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`nocanonify')dnl
DAEMON_OPTIONS(`Family=inet, Addr={address}, Port={port}')dnl
MAILER(`smtp')dnl
"""
_DMA = """\
MAILNAME {host}
SMARTHOST {address}
PORT {mx_port}
SPOOLDIR /var/spool/dma
"""
# What the programs without a listener of their own are fed by.
_FEED = """\
while sleep 0.1; do
  for mail in {folder}/outbox/*@*; do
    if [ -f "$mail" ]; then sendmail -f bounces@sender.example.test "${{mail##*/}}" <"$mail"; rm "$mail"; fi
  done
done
"""
_OPENSMTPD = """\
queue ttl {lifetime}s
bounce warn-interval 1h
listen on {address} port {port} hostname {host}
action "relay" relay host smtp://{address}:{mx_port} helo {host}
match from any for any action "relay"
"""


@dataclass(frozen=True)
class Unpacked:
    """One server of an unpacked package."""

    name: str
    command: str
    """Shell command that becomes the server, inside."""
    files: Mapping[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    listens: bool = True
    """Takes mail over SMTP; else the command reads it from the folder `outbox`."""

    @property
    def ready(self) -> bool:
        return (CACHE / self.name / ".ready").is_file()

    @contextlib.contextmanager
    def run(self, mx_port: int) -> Iterator[RunningUnpacked]:
        """Start it and wait until it greets; stops it, and drops its queue, at the end."""
        with server_folder(self.name) as folder:
            port = free_port()
            words = {"port": port, "mx_port": mx_port, "address": LOOPBACK, "host": HOST}
            self._prepare(folder, lambda text: text.format(lifetime=LIFETIME_S, **words))
            command = self.command.format(folder=folder, **words)
            inside = ("sh", "-c", _ENTER, str(folder), "sh", "-c", command)
            private = ("unshare", "--mount", "--uts", "--propagation", "private", *inside)
            with running(private, folder / "output"):
                if self.listens:
                    wait_for(f"{self.name} to greet", lambda: can_connect(port))
                yield RunningUnpacked(folder, port if self.listens else None)

    def _prepare(self, folder: Path, fill: Callable[[str], str]) -> None:
        for name in ("layers", "outbox", "changes/etc"):
            (folder / name).mkdir(parents=True)
        # /bin and the like are links into /usr, which a folder of a package would hide.
        package = shutil.copytree(CACHE / self.name, folder / "package", symlinks=True)
        for name in ("bin", "sbin", "lib"):
            if (package / name).is_dir():
                shutil.copytree(
                    package / name, package / "usr" / name, symlinks=True, dirs_exist_ok=True
                )
                shutil.rmtree(package / name)
        changes = folder / "changes"
        for name in self.folders:
            (changes / name).mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            (changes / name).parent.mkdir(parents=True, exist_ok=True)
            (changes / name).write_text(fill(text))
        (changes / "etc/hosts").write_text(f"{LOOPBACK} {HOST} localhost\n")
        for kind, line in (
            ("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/false\n"),
            ("group", "{0}:x:{1}:\n"),
        ):
            known = Path("/etc", kind).read_text()
            added = "".join(line.format(user, 64030 + n) for n, user in enumerate(self.users))
            (changes / "etc" / kind).write_text(known + added)


@dataclass(frozen=True)
class RunningUnpacked:
    """Where a started server takes mail."""

    folder: Path
    port: int | None
    """None where it takes mail from the folder `outbox`, one file `<recipient>` a mail."""


SENDMAIL = Unpacked(
    "sendmail",
    "ldconfig; hostname {host}; m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf && chmod 700 /var/spool/mqueue && "
    "exec /usr/libexec/sendmail/sendmail -bD -q1s",
    files={"etc/mail/sendmail.mc": _SENDMAIL, "etc/mail/local-host-names": "{host}\n"},
    users=("smmta", "smmsp"),
    folders=("var/spool/mqueue", "var/run/sendmail/mta", "var/lib/sendmail/host_status"),
)
OPENSMTPD = Unpacked(
    "opensmtpd",
    "ldconfig; chmod 711 /var/spool/smtpd; exec smtpd -d -f /etc/smtpd.conf",
    files={"etc/smtpd.conf": _OPENSMTPD},
    users=("opensmtpd", "opensmtpq"),
    folders=("var/spool/smtpd", "var/empty", "run/opensmtpd", "var/lib/opensmtpd/empty"),
)
DMA = Unpacked(
    "dma",
    f"chgrp mail /usr/sbin/dma /var/spool/dma; chmod 2775 /usr/sbin/dma /var/spool/dma; {_FEED}",
    files={"etc/dma/dma.conf": _DMA},
    folders=("var/spool/dma",),
    listens=False,
)
NULLMAILER = Unpacked(
    "nullmailer",
    "ldconfig; cd /var/spool/nullmailer; rm -f trigger; mkfifo -m 622 trigger; chown -R mail .; "
    "chown mail /usr/sbin/nullmailer-queue; chmod u+s /usr/sbin/nullmailer-queue; "
    f"setpriv --reuid mail --regid mail --clear-groups nullmailer-send & {_FEED}",
    files={
        "etc/mailname": "{host}\n",
        "etc/nullmailer/remotes": "{address} smtp --port={mx_port}\n",
        "etc/nullmailer/pausetime": "1\n",
    },
    folders=(
        "var/spool/nullmailer/queue",
        "var/spool/nullmailer/tmp",
        "var/spool/nullmailer/failed",
    ),
    listens=False,
)
