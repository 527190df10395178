"""A DNS server on port 53 of a loopback address of its own, for whoever can ask no other port."""

from __future__ import annotations

import contextlib
import random
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.advisor.nameserver import NameServer as Zones

_PORT = 53
_LENGTH = struct.Struct("!H")
"""What a message begins with on TCP (RFC 1035 §4.2.2)."""

Respond = Callable[[bytes, str], list[bytes]]


@dataclass
class NameServer:
    """Knows the records given and denies all else; resolv.conf can name no port but 53."""

    mail_exchangers: Mapping[str, str]
    """Domain → IPv4 address of its mail exchanger, which is named `mx.<domain>`."""
    zones: Zones = field(default_factory=lambda: Zones(ttl_s=0))
    """Records beside these; without TTL, so that what a test changes is seen at once."""

    def __post_init__(self) -> None:
        for domain, address in self.mail_exchangers.items():
            self.zones.records[domain, "MX"] = [f"0 mx.{domain}."]
            self.zones.records[f"mx.{domain}", "A"] = [address]

    @contextlib.contextmanager
    def run(self) -> Iterator[str]:
        """Serve in threads, by UDP and TCP; yields the address to put into resolv.conf."""
        at = _pick_loopback(), _PORT
        with contextlib.ExitStack() as stack:
            for kind, handler in (
                (socketserver.ThreadingUDPServer, _make_datagram_handler(self.zones.respond)),
                (socketserver.ThreadingTCPServer, _make_stream_handler(self.zones.respond)),
            ):
                stack.enter_context(_serving(stack.enter_context(kind(at, handler))))
            yield at[0]


def _make_datagram_handler(respond: Respond) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, reply_socket = self.request
            for packet in respond(data, "udp"):
                reply_socket.sendto(packet, self.client_address)

    return Handler


def _make_stream_handler(respond: Respond) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while length := self.rfile.read(_LENGTH.size):
                for packet in respond(self.rfile.read(*_LENGTH.unpack(length)), "tcp"):
                    self.wfile.write(_LENGTH.pack(len(packet)) + packet)

    return Handler


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def _pick_loopback() -> str:
    return "127." + ".".join(str(random.SystemRandom().randint(2, 250)) for _ in range(3))
