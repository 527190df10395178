"""`bounced serve` as an operator meets it: its log, signals, service manager, and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.process import ServeProcess, build_dsn, deliver
from tests.mta.network import wait_for

PLAIN = "bounces@bounce.example.com"
STORED = "250 2.0.0 Stored safely"
LATER = "451 4.3.0 Could not be stored just now; try again later"
CLIENTS = 8
DISK_BYTES = 4 * 2**20
_CONFIG = """\
[smtp]
listen = ["127.0.0.1:0"]
hostname = "bounce.example.com"
[database]
url = "sqlite:///{folder}/bounced.db"
[relay]
maildir = "{folder}/notices"
[http]
listen = "127.0.0.1:0"
"""


def write_config(folder: Path, more: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(_CONFIG.format(folder=folder) + more)
    return path


def make_bounce(number: int = 0, size: int = 0) -> bytes:
    dsn = build_dsn(
        f"r{number}@kunde.example", f"m{number}@app", author="a@bau.example", now=datetime.now(UTC)
    )
    return dsn + b"x" * size


def count_reports(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "bounced.db")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM reports").fetchone()
    return int(count)


def find_lines(daemon: ServeProcess, event: str) -> list[dict[str, object]]:
    return [line for line in list(daemon.events) if line["event"] == event]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """Return a running daemon for all tests that leave it running."""
    folder = tmp_path_factory.mktemp("serve")
    daemon = ServeProcess(write_config(folder)).start()
    yield daemon
    code = daemon.stop()
    assert (code, daemon.strays) == (0, [])


def test_it_says_where_it_really_listens(shared: ServeProcess) -> None:
    started = shared.wait_for("started")
    assert started["pid"] == shared.process.pid
    assert started["lmtp"] == []
    (http,) = started["http"]
    with urllib.request.urlopen(f"http://{http}/readyz") as answer:
        assert json.load(answer) == {"status": "ready"}
    host, port = shared.smtp
    with socket.create_connection((host, port)) as connection:
        assert connection.recv(100).startswith(b"220 bounce.example.com ESMTP")


def test_sighup_reloads_and_a_broken_file_changes_nothing(shared: ServeProcess) -> None:
    good = shared.config.read_text()
    loaded, rejected = (
        len(find_lines(shared, f"config_{word}")) for word in ("loaded", "rejected")
    )
    shared.config.write_text("[[[")
    shared.process.send_signal(signal.SIGHUP)
    wait_for("the refusal", lambda: len(find_lines(shared, "config_rejected")) > rejected)
    shared.config.write_text(good)
    shared.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: len(find_lines(shared, "config_loaded")) > loaded)
    assert asyncio.run(deliver(shared.smtp, make_bounce(), PLAIN)) == STORED


def test_a_second_daemon_on_the_same_file_is_told_to_come_later(shared: ServeProcess) -> None:
    done = run_serve(shared.config)
    database = shared.config.with_name("bounced.db")
    assert (done.returncode, done.stderr.splitlines()) == (
        75,
        [f"bounced: database {database}: a running `bounced serve` works on it"],
    )


async def test_sigterm_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    daemon = ServeProcess(write_config(tmp_path)).start()
    stored = 0

    async def send() -> None:
        nonlocal stored
        with contextlib.suppress(OSError):
            while True:
                reply = await deliver(daemon.smtp, make_bounce(stored), PLAIN)
                stored += reply == STORED

    host, port = daemon.smtp
    idle, writer = await asyncio.open_connection(host, port)
    await idle.readline()
    clients = [asyncio.create_task(send()) for _ in range(CLIENTS)]
    await asyncio.sleep(0.5)
    began = time.monotonic()
    code = await asyncio.to_thread(daemon.stop)
    took_s = time.monotonic() - began
    await asyncio.gather(*clients)
    goodbye = await idle.read()
    writer.close()
    assert (code, daemon.strays) == (0, [])
    assert took_s < 10
    assert goodbye.startswith(b"421 4.3.2 ")
    assert stored > CLIENTS
    assert count_reports(tmp_path) >= stored
    assert daemon.events[-1]["event"] == "stopped"


def test_the_service_manager_hears_of_start_life_reload_and_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        daemon = ServeProcess(write_config(tmp_path)).start()
        heard = listen(manager, until="WATCHDOG=1")
        assert heard == ["READY=1", "WATCHDOG=1"]
        daemon.process.send_signal(signal.SIGHUP)
        reloading = listen(manager, until="READY=1")
        assert [state for state in reloading if state.startswith("RELOADING=1\nMONOTONIC_USEC=")]
        assert daemon.stop() == 0
        assert listen(manager, until="STOPPING=1")


def listen(manager: socket.socket, *, until: str) -> list[str]:
    states = [manager.recv(1000).decode()]
    while states[-1] != until:
        states.append(manager.recv(1000).decode())
    return states


def run_serve(config: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "bounced", "serve", "--config", str(config)),
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, **environ},
    )


def miss_config(folder: Path) -> str:
    (folder / "config.toml").unlink()
    return f"{folder}/config.toml: no such configuration file"


def break_config(folder: Path) -> str:
    write_config(folder, "[smpt]\n")
    return f"{folder}/config.toml: smpt: unknown section; did you mean smtp?"


def miss_keys(folder: Path) -> str:
    write_config(folder, f'[return_path]\nkeys_file = "{folder}/absent"\n')
    return (
        f"return_path.keys_file: {folder}/absent: no such file; make one with `bounced keys new`"
    )


def break_keys(folder: Path) -> str:
    (folder / "bounced.keys").write_text("a 2026-01-01\n")
    return (
        f"{folder}/bounced.keys: line 1: 2 fields instead of 4: "
        "write key_id, created_on, state, secret"
    )


@pytest.mark.parametrize("spoil", [miss_config, break_config, miss_keys, break_keys])
def test_a_broken_configuration_is_78_and_one_clear_line(
    tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    write_config(tmp_path)
    complaint = spoil(tmp_path)
    done = run_serve(tmp_path / "config.toml")
    assert (done.returncode, done.stderr.splitlines()) == (78, [f"bounced: {complaint}"])


def spoil_database(folder: Path) -> str:
    (folder / "bounced.db").write_text("no database " * 200)
    return f"database sqlite:///{folder}/bounced.db: file is not a database"


def miss_folder(folder: Path) -> str:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("bounced.db", "absent/bounced.db"))
    return f"database sqlite:///{folder}/absent/bounced.db: folder {folder}/absent does not exist"


def forbid_folder(folder: Path) -> str:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace(f"{folder}/bounced.db", "/proc/bounced.db"))
    return "database sqlite:////proc/bounced.db: "


@pytest.mark.parametrize("spoil", [spoil_database, miss_folder, forbid_folder])
def test_a_database_that_cannot_be_had_is_74_and_one_clear_line(
    tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    write_config(tmp_path)
    complaint = spoil(tmp_path)
    expect_complaint(run_serve(tmp_path / "config.toml"), complaint)


def test_a_taken_port_is_74_and_one_clear_line(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        done = run_serve(config)
    expect_complaint(done, f"smtp.listen: 127.0.0.1:{port}: Address already in use")


def expect_complaint(done: subprocess.CompletedProcess[str], complaint: str) -> None:
    """Expect exit 74, and besides the log one line, beginning like that."""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith(f"bounced: {complaint}")
    assert done.returncode == 74


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") is not None and (
        subprocess.run(
            ("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder),
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(("umount", folder), check=True)


def test_files_are_opened_as_many_as_connections_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setenv("BOUNCED__SMTP__MAX_CONNECTIONS", "400")
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with ServeProcess(write_config(tmp_path)) as daemon:
            limit = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
            assert daemon.stop() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (limit, find_file_warnings(daemon)) == ((1262, hard), [])


def test_a_limit_of_files_that_is_too_low_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOUNCED__SMTP__MAX_CONNECTIONS", "4000000000")
    with ServeProcess(write_config(tmp_path)) as daemon:
        (warning,) = find_file_warnings(daemon)
        assert daemon.stop() == 0
    assert warning.startswith(
        "smtp.max_connections: 4000000000 take a limit of 4000000862 open files"
    )


def find_file_warnings(daemon: ServeProcess) -> list[str]:
    warnings = [str(line["why"]) for line in find_lines(daemon, "config_warning")]
    return [why for why in warnings if "open files" in why]


def fill(folder: Path) -> Path:
    """Write a file until the disk is full."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_full_disk_at_the_start_is_74(small_disk: Path) -> None:
    config = write_config(small_disk)
    fill(small_disk)
    complaint = f"database sqlite:///{small_disk}/bounced.db: "
    expect_complaint(run_serve(config), complaint)


async def test_a_disk_that_fills_up_is_451_and_the_daemon_lives_on(small_disk: Path) -> None:
    with ServeProcess(write_config(small_disk)) as daemon:
        assert await deliver(daemon.smtp, make_bounce(1), PLAIN) == STORED
        ballast = fill(small_disk)
        large = make_bounce(2, size=200_000)
        assert [await deliver(daemon.smtp, large, PLAIN) for _ in range(3)] == [LATER] * 3
        lost = daemon.wait_for("database_lost")
        assert "full" in lost["error"] or "I/O" in lost["error"]
        ballast.unlink()
        await asyncio.to_thread(daemon.wait_for, "database_restored")
        assert await deliver(daemon.smtp, large, PLAIN) == STORED
        code = await asyncio.to_thread(daemon.stop)
    assert (code, daemon.strays) == (0, [])
    assert len(find_lines(daemon, "database_lost")) == 1
    assert find_lines(daemon, "job_failed") == []
