"""A name server on loopback that says what a test tells it to, by UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Query = dns.message.Message
Answers = list[bytes]
"""Packets, in the order in which they go out; none at all is silence."""
Behaviour = Callable[[Query], Answers]

SOA = "ns.test. hostmaster.test. 1 3600 600 86400 300"
_UDP_SIZE = 512


@dataclass
class NameServer:
    """Records of names in presentation form; what is not there has none, or no name."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(name without final dot, type) → rdata; the chain of a CNAME is followed, `*` is a wildcard."""
    ttl_s: int = 300
    odd: dict[str, Behaviour] = field(default_factory=dict)
    """How questions about these names are answered instead."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, type, transport) of every question."""
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def list_asked(self) -> list[tuple[str, str]]:
        return [(name, rdtype) for name, rdtype, _ in self.asked]

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[NameServer]:
        loop = asyncio.get_running_loop()
        tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
        self.port = tcp.sockets[0].getsockname()[1]
        udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), ("127.0.0.1", self.port), family=socket.AF_INET
        )
        try:
            yield self
        finally:
            udp.close()
            tcp.close()
            await tcp.wait_closed()

    def respond(self, packet: bytes, transport: str) -> Answers:
        query = dns.message.from_wire(packet)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        rdtype = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name, rdtype, transport))
        if name in self.odd:
            return self.odd[name](query)
        response = self.answer(query)
        wire = response.to_wire()
        if transport == "udp" and len(wire) > _UDP_SIZE:
            return [truncate(query)]
        return [wire]

    def answer(self, query: Query) -> dns.message.Message:
        """Return the honest answer."""
        response = reply(query)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        rdtype = dns.rdatatype.to_text(query.question[0].rdtype)
        # Who asks for the alias itself is told no more (RFC 1034 §4.3.2).
        source = self._find_source(name)
        while rdtype != "CNAME" and (target := self.records.get((source, "CNAME"))) is not None:
            response.answer.append(self._make_rrset(name, "CNAME", target))
            name = target[0].rstrip(".")
            source = self._find_source(name)
        if (source, rdtype) in self.records:
            response.answer.append(self._make_rrset(name, rdtype, self.records[source, rdtype]))
            return response
        if source not in {known for known, _ in self.records}:
            response.set_rcode(dns.rcode.NXDOMAIN)
        top = name.rpartition(".")[2]
        response.authority.append(self._make_rrset(top, "SOA", [SOA]))
        return response

    def _find_source(self, name: str) -> str:
        """Return whose records are given: the name's own, or a wildcard's (RFC 4592 §3.3.1)."""
        known = {each for each, _ in self.records}
        closest = name
        while closest and not any(f".{each}".endswith(f".{closest}") for each in known):
            closest = closest.partition(".")[2]
        wildcard = f"*.{closest}"
        return wildcard if closest != name and wildcard in known else name

    def _make_rrset(self, name: str, rdtype: str, rdata: list[str]) -> dns.rrset.RRset:
        return dns.rrset.from_text_list(f"{name}.", self.ttl_s, "IN", rdtype, rdata)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            for packet in self.respond(await reader.readexactly(length), "tcp"):
                writer.write(struct.pack("!H", len(packet)) + packet)
            await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # a datagram transport it is
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        for packet in self._server.respond(data, "udp"):
            self._transport.sendto(packet, addr)


def reply(query: Query, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> dns.message.Message:
    """Return an answer without records."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    response.set_rcode(rcode)
    return response


def truncate(query: Query) -> bytes:
    response = reply(query)
    response.flags |= dns.flags.TC
    return response.to_wire()
