"""What this machine must have for the mail-server tests, and what happens where it has not."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NoReturn

import pytest

from tests.mta.exim import UNPACKED as EXIM
from tests.mta.milters import UNPACKED as MILTERS
from tests.mta.postfix import MASTER as POSTFIX
from tests.mta.unpacked import CACHE, Unpacked

REQUIRE_VARIABLE = "BOUNCED_REQUIRE_MTA"
"""Set to 1 where the servers are known to be installed: a test that lacks one fails there."""


def need_root() -> None:
    """Skip the test where we cannot act for others."""
    if os.geteuid() != 0:
        _lack("root")


def need_namespace() -> None:
    """Skip the test where no mount namespace can be made."""
    need_root()
    unshare = shutil.which("unshare")
    if unshare is None:
        _lack("unshare")
    if subprocess.run((unshare, "--mount", "true"), check=False, capture_output=True).returncode:
        _lack("the right to make a mount namespace")


def need_postfix() -> None:
    """Skip the test where Postfix cannot be run."""
    need_namespace()
    if not POSTFIX.is_file():
        _lack("Postfix (tests/mta/install-servers)")


def need_exim() -> None:
    """Skip the test where Exim cannot be run."""
    need_namespace()
    if not (EXIM / ".ready").is_file():
        _lack("Exim (tests/mta/install-servers)")


def need_unpacked(server: Unpacked) -> None:
    """Skip the test where this server cannot be run."""
    need_namespace()
    if not server.ready:
        _lack(f"{server.name} (tests/mta/install-servers)")


def need_milters() -> None:
    """Skip the test where OpenDKIM, OpenDMARC and the SPF policy server cannot be run."""
    need_postfix()
    if not (MILTERS / ".ready").is_file():
        _lack("the milters (tests/mta/install-servers)")


def need_name_servers() -> None:
    """Skip the test where NSD, Unbound and Mail::SPF cannot be run in a network of their own."""
    need_namespace()
    for name in ("nsd", "unbound", "spfquery"):
        if not (CACHE / name / ".ready").is_file():
            _lack(f"{name} (tests/mta/install-servers)")
    command = ("unshare", "--net", "--mount", "true")
    if subprocess.run(command, check=False, capture_output=True).returncode:
        _lack("the right to make a network namespace")


def need_systemd(program: str) -> str:
    """Return one of systemd's programs, which run without systemd; skip the test without it."""
    return shutil.which(program) or _lack(f"{program} (tests/mta/install-servers)")


def _lack(what: str) -> NoReturn:
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{REQUIRE_VARIABLE}=1, but this machine lacks {what}")
    pytest.skip(f"lacks {what}")
