"""Private servers out of unpacked packages: the system's root with a package laid over it.

Each hands its bounces to one port and all other mail to another, and gives up what does not get
through after seconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.mta.daemon import BOUNCE_DOMAIN, CHAIN_DOMAIN
from tests.mta.namespace import enter_namespace, running, server_folder
from tests.mta.network import LOOPBACK, can_connect, free_port, wait_for

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bounced-mta"
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
define(`RELAY_MAILER_ARGS',`TCP $h {bounce_port}')dnl
define(`ESMTP_MAILER_ARGS',`TCP $h {chain_port}')dnl
FEATURE(`mailertable',`text -k0 -v1 /etc/mail/mailertable')dnl
define(`confTO_QUEUERETURN',`{lifetime}s')dnl
define(`confTO_QUEUEWARN',`1h')dnl
define(`confTO_IDENT',`0')dnl
define(`confMIN_QUEUE_AGE',`0')dnl
define(`confQUEUE_LA',`100')dnl
define(`confREFUSE_LA',`100')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`nocanonify')dnl
DAEMON_OPTIONS(`Family=inet, Addr={address}, Port={port}')dnl
MAILER(`smtp')dnl
"""
_MAILERTABLE = f"""\
{BOUNCE_DOMAIN} relay:[{LOOPBACK}]
{CHAIN_DOMAIN} esmtp:[{LOOPBACK}]
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
action "bounce" relay host smtp://{address}:{bounce_port} helo {host}
action "chain" relay host smtp://{address}:{chain_port} helo {host}
action "relay" relay host smtp://{address}:{mx_port} helo {host}
match from any for domain "{bounce_domain}" action "bounce"
match from any for domain "{chain_domain}" action "chain"
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
    submission: str = "sendmail"
    """The program that submits, as sendmail(1) does."""
    listens: bool = True
    """Takes mail over SMTP; else the command reads it from the folder `outbox`."""

    @property
    def host(self) -> str:
        """Return its host name: Sendmail sends nothing to a host that has its own."""
        return f"{self.name}.example.test"

    @property
    def ready(self) -> bool:
        return (CACHE / self.name / ".ready").is_file()

    @contextlib.contextmanager
    def run(
        self,
        mx_port: int,
        bounce_port: int | None = None,
        chain_port: int | None = None,
        lifetime_s: int = LIFETIME_S,
    ) -> Iterator[RunningUnpacked]:
        """Start it and wait until it greets; stops it, and drops its queue, at the end.

        Without ports for our two domains all its mail goes to `mx_port`.
        """
        with server_folder(self.name) as folder:
            port = free_port()
            words = {
                "port": port,
                "mx_port": mx_port,
                "bounce_port": bounce_port or mx_port,
                "chain_port": chain_port or mx_port,
                "bounce_domain": BOUNCE_DOMAIN,
                "chain_domain": CHAIN_DOMAIN,
                "address": LOOPBACK,
                "host": self.host,
                "lifetime": lifetime_s,
            }
            self._prepare(folder, lambda text: text.format(**words))
            command = self.command.format(folder=folder, **words)
            inside = ("sh", "-c", _ENTER, str(folder), "sh", "-c", command)
            private = ("unshare", "--mount", "--uts", "--propagation", "private", *inside)
            with running(private, folder / "output") as process:
                if self.listens:
                    wait_for(f"{self.name} to greet", lambda: can_connect(port))
                taken = port if self.listens else None
                yield RunningUnpacked(folder, taken, process.pid, self.submission)

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
        (changes / "etc/hosts").write_text(f"{LOOPBACK} {self.host} localhost\n")
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
    pid: int
    program: str

    def submission(self, *arguments: str) -> list[str]:
        """Return the command line of sendmail(1)."""
        return self.command(self.program, *arguments)

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of one of the server's programs."""
        return enter_namespace(self.pid, (program, *arguments))


SENDMAIL = Unpacked(
    "sendmail",
    "ldconfig; hostname {host}; m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf && chmod 700 /var/spool/mqueue && "
    "exec /usr/libexec/sendmail/sendmail -bD -q1s",
    files={
        "etc/mail/sendmail.mc": _SENDMAIL,
        "etc/mail/local-host-names": "{host}\n",
        "etc/mail/mailertable": _MAILERTABLE,
    },
    submission="/usr/libexec/sendmail/sendmail",
    users=("smmta", "smmsp"),
    folders=("var/spool/mqueue", "var/run/sendmail/mta", "var/lib/sendmail/host_status"),
)
OPENSMTPD = Unpacked(
    "opensmtpd",
    "ldconfig; chmod 711 /var/spool/smtpd; chgrp opensmtpq /usr/sbin/smtpctl; "
    "chmod 2755 /usr/sbin/smtpctl; exec smtpd -d -f /etc/smtpd.conf",
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
