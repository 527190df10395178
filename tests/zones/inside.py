"""The inner side of the zones: real name servers, and our code that asks them.

Run as `unshare --net --mount python -m tests.zones.inside FOLDER`: no packet gets out, and
/etc/resolv.conf names the resolver in here. Reads one JSON request a line, answers one line each.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query

from bounced.advisor.diagnose import Means, Question, diagnose
from bounced.advisor.dns import Resolver
from bounced.config import AdviceSettings, DnsSettings
from bounced.model import Reason, Signature
from tests.mta.unpacked import CACHE
from tests.zones.authority import AUTHORITY, RESOLVER, SILENCE, STRANGER, Zone, write_zones
from tests.zones.liars import LIES, run_liar

_RESULT = re.compile(r"^Received-SPF: (\w+)", re.MULTILINE)
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_DNS_PORT = 53
_START_S = 20
_AT_ONCE = 10
"""Diagnoses: all together would reach the time that one may take, on a busy machine."""
_OWN_DOMAINS = frozenset({"sender.test"})
_RETURN_DOMAINS = frozenset({"bounces.sender.test"})


class Servers:
    """The running name servers, started anew for other zones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def serve(self, zones: list[Zone]) -> None:
        """Start all, with empty caches; waits until they answer."""
        self.stop()
        write_zones(self._folder, zones)
        self._start("nsd", "nsd", "-d", "-c", "authority.conf")
        self._start("nsd", "nsd", "-d", "-c", "stranger.conf")
        for address in (AUTHORITY, STRANGER):
            _wait_for_answer(address)
        self._start("unbound", "unbound", "-d", "-c", "resolver.conf")
        _wait_for_answer(RESOLVER)

    def freeze(self) -> None:
        """Let the resolver take questions and say nothing."""
        self._running[-1].send_signal(signal.SIGSTOP)

    def end_resolver(self) -> None:
        """Leave nobody at the resolver's address."""
        self._end(self._running.pop())

    def stop(self) -> None:
        while self._running:
            self._end(self._running.pop())

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        # NSD has a child that serves; neither has anything to lose.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _start(self, package: str, program: str, *arguments: str) -> None:
        binary = str(CACHE / package / "usr/sbin" / program)
        with (self._folder / "servers.log").open("ab") as log:
            process = subprocess.Popen(
                (binary, *arguments),
                cwd=self._folder,
                env={"LD_LIBRARY_PATH": _library_path(package)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)


async def answer(request: dict[str, Any], servers: Servers) -> Any:
    """Do what a request says."""
    match request["do"]:
        case "serve":
            servers.serve([Zone(**_tuples(zone)) for zone in request["zones"]])
            return None
        case "freeze":
            return servers.freeze()
        case "end-resolver":
            return servers.end_resolver()
        case "diagnose":
            return await _diagnose_all(request["questions"], request["patience"], ())
        case "diagnose-by-liars":
            told = (_believe(lie, request["questions"], request["patience"]) for lie in LIES)
            return dict(zip(LIES, await asyncio.gather(*told), strict=True))
        case "evaluate":
            return _evaluate(request["questions"])
        case unknown:
            raise ValueError(unknown)


async def _believe(lie: str, questions: list[dict[str, Any]], patience: str) -> list[Any]:
    async with run_liar(LIES[lie]) as address:
        return await _diagnose_all(questions, patience, (address,))


async def _diagnose_all(
    questions: list[dict[str, Any]], patience: str, resolvers: tuple[str, ...]
) -> list[Any]:
    settings = DnsSettings.model_validate({"timeout": patience, "resolvers": resolvers})
    resolver = Resolver(settings, clock=_read_clock)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def answer_one(given: dict[str, Any]) -> Any:
        question, means = _read_question(given)
        async with turns:
            return (await diagnose(question, means, resolver, _read_clock())).describe()

    return await asyncio.gather(*map(answer_one, questions))


def _read_question(given: dict[str, Any]) -> tuple[Question, Means]:
    question = Question(
        domain=given["domain"],
        mail_from_domain=given["mail_from_domain"],
        reason=Reason(given["reason"]) if given["reason"] else None,
        signatures=tuple(Signature(*each) for each in given["signatures"]),
    )
    offers = AdviceSettings.model_validate(given["offers"])
    return question, Means(offers, _OWN_DOMAINS, _RETURN_DOMAINS)


def _evaluate(questions: list[tuple[str, str]]) -> list[str]:
    """Ask Mail::SPF about (domain, address), one result each; one process for all."""
    home = CACHE / "spfquery/usr"
    patterns = ("share/perl5", "share/perl/*", "lib/*/perl5/*", "lib/*/perl/*")
    libraries = [folder for pattern in patterns for folder in home.glob(pattern)]
    asked = "".join(f"{address} somebody@{domain}\n" for domain, address in questions)
    done = subprocess.run(
        ("perl", home / "bin/spfquery.mail-spf-perl", "--file", "-"),
        input=asked,
        env={"PERL5LIB": ":".join(map(str, libraries)), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    results = _RESULT.findall(done.stdout)
    if len(results) != len(questions):
        raise RuntimeError(done.stdout + done.stderr)
    return results


def _library_path(package: str) -> str:
    home = CACHE / package
    return ":".join(map(str, (*home.glob("usr/lib/*-linux-gnu*"), *home.glob("lib/*-linux-gnu*"))))


def _wait_for_answer(address: str) -> None:
    deadline = time.monotonic() + _START_S
    query = dns.message.make_query(".", "SOA")
    while time.monotonic() < deadline:
        try:
            dns.query.udp(query, address, timeout=0.1)
        except (dns.exception.DNSException, OSError):
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"no name server at {address}")


def _tuples(kept: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()}


def _read_clock() -> datetime:
    return datetime.now(UTC)


def _enter(folder: Path) -> socket.socket:
    """Bring the loopback up and name the resolver; returns the server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    named = folder / "resolv.conf"
    named.write_text(f"nameserver {RESOLVER}\n")
    subprocess.run(("mount", "--bind", named, "/etc/resolv.conf"), check=True)
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind((SILENCE, _DNS_PORT))
    return silent


def main() -> None:
    folder = Path(sys.argv[1])
    servers = Servers(folder)
    with _enter(folder), asyncio.Runner() as runner:
        try:
            for line in sys.stdin:
                print(json.dumps(runner.run(answer(json.loads(line), servers))), flush=True)
        finally:
            servers.stop()


if __name__ == "__main__":
    main()
