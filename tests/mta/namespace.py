"""A private /etc for one server: a changed copy, laid over the real one in a mount namespace.

Needs root. The command given becomes the process itself, so its pid is the server's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_UNSHARE = ("unshare", "--mount", "--propagation", "private")
_OVERLAY = 'mount --bind "$0" /etc && exec "$@"'
_STOP_TIMEOUT_S = 15


@contextlib.contextmanager
def server_folder(name: str) -> Iterator[Path]:
    """Yield an empty folder that servers may enter under their own users, unlike `tmp_path`."""
    folder = Path(tempfile.mkdtemp(prefix=f"bounced-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def copy_etc(folder: Path, *, resolver: str) -> Path:
    """Copy /etc into `folder`, with the DNS server given; returns the copy."""
    etc = folder / "etc"
    subprocess.run(("cp", "--archive", "/etc", etc), check=True)
    replace_file(etc / "resolv.conf", f"nameserver {resolver}\noptions timeout:2 attempts:1\n")
    return etc


def replace_file(path: Path, text: str) -> None:
    """Write a file anew, also where a symbolic link leads out of the copy."""
    path.unlink(missing_ok=True)
    path.write_text(text)


def in_namespace(etc: Path, command: Sequence[str | Path]) -> list[str]:
    """Return the command that runs `command` with `etc` in the place of /etc."""
    return [*_UNSHARE, "sh", "-c", _OVERLAY, str(etc), *map(str, command)]


def enter_namespace(pid: int, command: Sequence[str | Path]) -> list[str]:
    """Return the command that runs `command` where the process sees its files, root included."""
    return ["nsenter", "--target", str(pid), "--mount", "--root", "--", *map(str, command)]


@contextlib.contextmanager
def running(
    command: Sequence[str],
    log: Path,
    environ: Mapping[str, str] | None = None,
    stop_by: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own, output to `log`; ends the group with it."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environ,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(stop_by)
            try:
                process.wait(_STOP_TIMEOUT_S)
            finally:
                # What is left of the group: a mail server's own children.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
