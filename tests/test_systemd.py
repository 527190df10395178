"""What is told to systemd, how often it wants to hear, and the sockets it hands over."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bounced import systemd
from bounced.model import ConfigError


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_reaches_the_service_manager(tmp_path: Path, abstract: bool) -> None:
    name = f"bounced-{tmp_path.name}-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if abstract else name)
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": f"@{name}" if abstract else name}
        assert systemd.notify("READY=1", environ)
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/absent/x"}])
def test_without_a_service_manager_nothing_is_told(environ: dict[str, str]) -> None:
    assert not systemd.notify("READY=1", environ)


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_limit(
    environ: dict[str, str], interval: timedelta | None
) -> None:
    assert systemd.find_watchdog_interval(environ) == interval


def test_a_reload_begins_with_the_clocks_reading() -> None:
    first, second = systemd.describe_reload().splitlines()
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


@contextlib.contextmanager
def handed_over(*socks: socket.socket) -> Iterator[int]:
    """Put copies of the sockets at numbers in a row, as a service manager does; yields the first."""
    first = 200
    try:
        for place, sock in enumerate(socks):
            os.dup2(sock.fileno(), first + place)
        yield first
    finally:
        for place in range(len(socks)):
            with contextlib.suppress(OSError):
                os.close(first + place)


def environment(count: int, names: str, pid: int | None = None) -> dict[str, str]:
    return {
        "LISTEN_PID": str(pid or os.getpid()),
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": names,
    }


def listening(family: socket.AddressFamily, place: tuple[str, int] | str) -> socket.socket:
    sock = socket.socket(family)
    sock.bind(place)
    sock.listen()
    return sock


def test_sockets_are_taken_by_name_once_and_kept_from_children(tmp_path: Path) -> None:
    loopback = ("127.0.0.1", 0)
    with (
        listening(socket.AF_INET, loopback) as first,
        listening(socket.AF_UNIX, str(tmp_path / "lmtp")) as second,
        listening(socket.AF_INET, loopback) as third,
        handed_over(first, second, third) as number,
    ):
        environ = environment(3, "smtp:lmtp:smtp")
        taken = systemd.take_sockets(environ, first=number)
        assert {name: [sock.getsockname() for sock in socks] for name, socks in taken.items()} == {
            "smtp": [first.getsockname(), third.getsockname()],
            "lmtp": [str(tmp_path / "lmtp")],
        }
        socks = [sock for socks in taken.values() for sock in socks]
        assert [sock.get_inheritable() for sock in socks] == [False] * 3
        assert environ == {}
        assert systemd.take_sockets(environ, first=number) == {}
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("environ", [{}, environment(1, "smtp", pid=1), environment(0, "")])
def test_sockets_of_another_process_are_not_taken(environ: dict[str, str]) -> None:
    assert systemd.take_sockets(environ) == {}
    assert environ == {}


@pytest.mark.parametrize("name", ["bounced.socket", "unknown", ""])
def test_a_socket_without_a_name_of_ours_is_refused_with_the_mend(name: str) -> None:
    with pytest.raises(ConfigError, match=r"FileDescriptorName=smtp, lmtp or http"):
        systemd.take_sockets(environment(1, name))


def test_what_does_not_listen_is_refused_with_the_mend() -> None:
    left, right = socket.socketpair()
    with (
        left,
        right,
        handed_over(left) as number,
        pytest.raises(ConfigError, match=r"'smtp' does not listen: write ListenStream="),
    ):
        systemd.take_sockets(environment(1, "smtp"), first=number)


def test_a_number_that_is_no_socket_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'lmtp' does not listen"):
        systemd.take_sockets(environment(1, "lmtp"), first=999)
