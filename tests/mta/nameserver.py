"""A DNS server that knows a few mail domains and denies all others (RFC 1035 §4)."""

from __future__ import annotations

import contextlib
import random
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping

_PORT = 53
_TYPE_A, _TYPE_MX = 1, 15
_CLASS_IN = 1
_NXDOMAIN = 3
_TTL_S = 60


class NameServer:
    """Answers DNS on a loopback address of its own: MX and A of the domains given, else NXDOMAIN.

    RFC 1035 §4; port 53, because resolv.conf can name no other.
    """

    def __init__(self, mail_exchangers: Mapping[str, str]) -> None:
        """Take domain → IPv4 address of its mail exchanger, which is named `mx.<domain>`."""
        self._answers: dict[tuple[str, int], bytes] = {}
        self._names = set(mail_exchangers)
        for domain, address in mail_exchangers.items():
            exchanger = f"mx.{domain}"
            self._names.add(exchanger)
            self._answers[domain, _TYPE_MX] = struct.pack("!H", 0) + _encode_name(exchanger)
            self._answers[exchanger, _TYPE_A] = socket.inet_aton(address)

    @contextlib.contextmanager
    def run(self) -> Iterator[str]:
        """Serve in a thread; yields the address to put into resolv.conf."""
        respond = self._respond

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, reply_socket = self.request
                reply_socket.sendto(respond(data), self.client_address)

        with socketserver.UDPServer((_pick_loopback(), _PORT), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield str(server.server_address[0])
            finally:
                server.shutdown()
                thread.join()

    def _respond(self, query: bytes) -> bytes:
        name, end = _decode_name(query, 12)
        question = query[12 : end + 4]
        (kind,) = struct.unpack_from("!H", query, end)
        rdata = self._answers.get((name, kind))
        flags = 0x8580 | (0 if name in self._names else _NXDOMAIN)
        header = query[:2] + struct.pack("!5H", flags, 1, int(rdata is not None), 0, 0)
        if rdata is None:
            return header + question
        # 0xC00C points back at the name of the question.
        record = struct.pack("!HHHIH", 0xC00C, kind, _CLASS_IN, _TTL_S, len(rdata))
        return header + question + record + rdata


def _pick_loopback() -> str:
    return "127." + ".".join(str(random.SystemRandom().randint(2, 250)) for _ in range(3))


def _encode_name(name: str) -> bytes:
    labels = (label.encode() for label in name.split("."))
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def _decode_name(packet: bytes, start: int) -> tuple[str, int]:
    labels = []
    while length := packet[start]:
        labels.append(packet[start + 1 : start + 1 + length].decode("ascii", "replace").lower())
        start += 1 + length
    return ".".join(labels), start + 1
