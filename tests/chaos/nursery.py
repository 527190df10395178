"""A process without loop or threads that has everything imported and warmed up, to fork from."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import socket
import traceback
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from bounced import logs
from bounced.config import LogSettings
from bounced.notifier.delivery import MaildirDelivery
from tests.chaos.history import Bounce, Kill
from tests.chaos.life import Clock, Home, Life, live
from tests.chaos.points import Points

_MAX_ORDER = 65_536


class Nursery:
    """Forks daemons on request; made before its owner has a loop or a thread."""

    def __init__(self, home: Home, clock: Clock, folder: Path) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log = folder / "log"
        pid = os.fork()
        if pid == 0:
            self._socket.close()
            try:
                _raise_children(home, clock, folder, other)
            except Exception:  # noqa: BLE001 - a forked process ends here, whatever it is
                traceback.print_exc()
            finally:
                os._exit(0)
        self._pid = pid
        other.close()
        assert self._socket.recv(1), "the warm-up failed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.send(b"")  # closing does not do: later forks have the socket too
        os.waitpid(self._pid, 0)
        self._socket.close()

    def bear(self, node: int, kill: Kill | None, seed: str) -> socket.socket:
        """Return what to talk to a new daemon by."""
        ours, theirs = socket.socketpair()
        order = json.dumps({"node": node, "kill": asdict(kill) if kill else None, "seed": seed})
        socket.send_fds(self._socket, [order.encode()], [theirs.fileno()])
        theirs.close()
        return ours


def _raise_children(home: Home, clock: Clock, folder: Path, orders: socket.socket) -> None:
    logs.configure(LogSettings(format="json", level="error"))
    _warm_up(home, clock, folder)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave no zombies
    orders.send(b"1")
    while True:
        text, descriptors, _, _ = socket.recv_fds(orders, _MAX_ORDER, 1)
        if not text:
            return
        if os.fork() == 0:
            orders.close()
            order = json.loads(text)
            kill = order["kill"]
            live(
                home,
                clock,
                socket.socket(fileno=descriptors[0]),
                node=order["node"],
                kill=Kill(**kill) if kill else None,
                seed=order["seed"],
                log=folder / "log",
            )
            os._exit(0)
        os.close(descriptors[0])


def _warm_up(home: Home, clock: Clock, folder: Path) -> None:
    """Go the way of a notice once, so that no child has to compile what all need."""

    async def go() -> None:
        await life.recover()
        for author in (0, 1):
            at = clock.read(0).isoformat()
            told = asdict(Bounce(author, 0, author, "auth-failure" if author else "bad-address"))
            await life.bounce(at, **told)
        clock.move(3_600)
        await life.beat()

    delivery = MaildirDelivery(folder / "warm")
    points = Points(None, lambda: None)
    life = Life(home, clock, node=0, points=points, seed="warm", delivery=delivery)
    asyncio.run(go())
    life.writer.stop()
    home.ledger.close()
    clock.move(-3_600)
    shutil.rmtree(folder / "warm")
