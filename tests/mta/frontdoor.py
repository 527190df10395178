"""A load balancer before a mail server, which says that its clients come from one address.

Loopback, where the tests must stay, passes any SPF check.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

from tests.mta.network import LOOPBACK


@contextlib.contextmanager
def run_front_door(server_port: int, client_address: str) -> Iterator[int]:
    """Hand each connection on with a PROXY line (HAProxy's PROXY protocol, version 1, §2.1).

    Serves in threads on a free port of 127.0.0.1; yields the port.
    """
    greeting = f"PROXY TCP4 {client_address} {LOOPBACK} 49152 25\r\n".encode()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((LOOPBACK, server_port)) as inner:
                inner.sendall(greeting)
                back = threading.Thread(target=_pump, args=(inner, self.connection))
                back.start()
                _pump(self.connection, inner)
                back.join()

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way until the source has no more, and say so to the target."""
    with contextlib.suppress(ConnectionError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
