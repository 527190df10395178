"""Private OpenDKIM, OpenDMARC and an SPF policy server, from a copy of what was unpacked for them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import publicsuffixlist

from tests.mta.namespace import copy_etc, in_namespace, running, server_folder
from tests.mta.network import LOOPBACK, can_connect, free_port, wait_for
from tests.mta.unpacked import CACHE

UNPACKED = CACHE / "milters"
SELECTOR = "s1"
"""Of all that the signers sign."""
FROM_DOMAIN = "%"
"""Where a signer is to take the From domain for d=."""

_SPF_POLICY = "usr/sbin/postfix-policyd-spf-perl"
_SUFFIXES = Path(publicsuffixlist.__file__).with_name("public_suffix_list.dat")
_COMMON = """\
Background no
Syslog no
Socket inet:{port}@{address}
"""
_SIGNING = f"""\
{_COMMON}
Mode s
Canonicalization relaxed/simple
RequireSafeKeys no
KeyTable {{folder}}/{{purpose}}.keys
SigningTable refile:{{folder}}/signed
"""
_VERIFYING = f"""\
{_COMMON}
Mode v
AutoRestart yes
AuthservID {{name}}
AlwaysAddARHeader yes
On-BadSignature reject
On-KeyNotFound reject
ResolverConfiguration {{folder}}/unbound.conf
"""
# What libunbound does of itself: ask no server on loopback, and keep what it was told.
_UNBOUND = """\
server:
  do-not-query-localhost: no
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
forward-zone:
  name: "."
  forward-addr: {resolver}
"""
_DMARC = f"""\
{_COMMON}
AuthservID {{name}}
RejectFailures yes
SPFIgnoreResults yes
SPFSelfValidate yes
PublicSuffixList {_SUFFIXES}
"""


@dataclass(frozen=True)
class MilterHost:
    """A folder with the programs, and an /etc of theirs."""

    folder: Path
    etc: Path
    resolver: str
    name: str
    """In the fields that the milters add and trust (RFC 8601 §2.2)."""

    @property
    def spf_policy(self) -> str:
        """Return the command of the SPF policy server, for spawn(8) of a Postfix."""
        search = ":".join(self._find("usr/share/perl5", "usr/share/perl/*", "usr/lib/*/perl*/*"))
        return f"/usr/bin/env PERL5LIB={search} /usr/bin/perl {self.folder / _SPF_POLICY}"

    def sign(self, domain: str, key: str) -> contextlib.AbstractContextManager[int]:
        """Run OpenDKIM as a signer with d= and a private key (PEM); yields its port."""
        purpose = f"signing-{domain}"
        (self.folder / "key.pem").write_text(key)
        keys = f"key {domain}:{SELECTOR}:{self.folder}/key.pem\n"
        (self.folder / f"{purpose}.keys").write_text(keys)
        (self.folder / "signed").write_text("*@* key\n")
        return self._run("opendkim", "-x", purpose, _SIGNING)

    def verify(self) -> contextlib.AbstractContextManager[int]:
        """Run OpenDKIM so that it refuses signatures that are wrong; yields its port."""
        (self.folder / "unbound.conf").write_text(_UNBOUND.format(resolver=self.resolver))
        return self._run("opendkim", "-x", "verifying", _VERIFYING)

    def enforce(self) -> contextlib.AbstractContextManager[int]:
        """Run OpenDMARC so that it does what the policies say; yields its port."""
        return self._run("opendmarc", "-c", "dmarc", _DMARC)

    @contextlib.contextmanager
    def _run(self, program: str, option: str, purpose: str, settings: str) -> Iterator[int]:
        port = free_port()
        config = self.folder / f"{purpose}.conf"
        words = {"folder": self.folder, "name": self.name, "purpose": purpose}
        config.write_text(settings.format(port=port, address=LOOPBACK, **words))
        command = (self.folder / "usr/sbin" / program, "-f", option, config)
        libraries = ":".join(self._find("usr/lib", "usr/lib/*-linux-*", "lib/*-linux-*"))
        environ = {**os.environ, "LD_LIBRARY_PATH": libraries}
        log = self.folder / f"{purpose}.log"
        # Asked to stop, libmilter takes four seconds to notice; there is nothing to lose.
        with running(in_namespace(self.etc, command), log, environ, signal.SIGKILL):
            wait_for(f"{program} to listen", lambda: can_connect(port))
            yield port

    def _find(self, *patterns: str) -> list[str]:
        return [str(path) for pattern in patterns for path in self.folder.glob(pattern)]


@contextlib.contextmanager
def run_milter_host(resolver: str, name: str) -> Iterator[MilterHost]:
    """Copy the programs to where any user may run them; removes them at the end."""
    with server_folder("milters") as folder:
        without_etc = shutil.ignore_patterns("etc")
        shutil.copytree(UNPACKED, folder, symlinks=True, ignore=without_etc, dirs_exist_ok=True)
        # Without syslog it dies of its first line.
        program = folder / _SPF_POLICY
        program.write_text(program.read_text().replace("= 'pid';", "= 'pid,nofatal';"))
        etc = copy_etc(folder, resolver=resolver)
        yield MilterHost(folder, etc, resolver, name)
