"""Makes messages that no mail server would: sound ones, cut, spliced, flipped, recoded, shuffled."""

from __future__ import annotations

import base64
import quopri
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_BYTES = 200_000
"""Larger ones cost the run its time and show nothing new."""
_CHARSETS = (
    "utf-8",
    "utf-16",
    "utf-7",
    "iso-2022-jp",
    "gb18030",
    "koi8-r",
    "x-unknown",
    "latin-1",
)
_TOKENS = (
    *(b"\0", b"\r", b"\n\n", b"\r\n.\r\n", b"\x85", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae"),
    *(b"=?utf-8?b?", b"=?x?q?=FF?=", b"=ED=A0=80", b"+AGAAYA-", b"\x1b$B", b"\x1b(B", b"~{"),
    *(b"--=b\n", b"--=b--\n", b"Content-Type: ", b"Content-Type: multipart/mixed; boundary==b\n"),
    *(b"Content-Transfer-Encoding: base64\n", b"; charset*=utf-16''%FF", b'; boundary="', b"<!--"),
    *(b"Final-Recipient: rfc822; ", b"Action: failed\n", b"Status: 9.9.9\n", b"Diagnostic-Code: "),
    *(
        b"<@>",
        b"<a@b.cc>: ",
        b"@[::1]",
        b'"a b"@c.de',
        b"550-5.1.1 ",
        b"550 ",
        b"&#0;",
        b"<style>",
    ),
    *("ß".encode(), "ﷺ".encode(), "İ".encode(), "\u0301".encode() * 40, "宛先".encode()),
    *(b" " * 500, b"a" * 500, b"\t\n" * 200, b"(" * 200, b"9" * 400, b"a@b." * 200),
)
_HEADER_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class Mutant:
    """A message and the names of what was done to it."""

    raw: bytes
    steps: tuple[str, ...]


def make_mutant(seeds: Sequence[bytes], seed: int, number: int) -> Mutant:
    """Return the message of this number; the same for the same seeds, seed and number."""
    rng = random.Random(f"{seed}-{number}")
    raw = rng.choice(seeds)
    steps = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        step = rng.choice(_STEPS)
        raw = step(rng, raw, seeds)[:MAX_BYTES]
        steps.append(step.__name__.removeprefix("_"))
    return Mutant(raw, tuple(steps))


def _truncate(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    return raw[: rng.randint(0, len(raw))]


def _behead(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    return raw[rng.randint(0, len(raw)) :]


def _splice(rng: random.Random, raw: bytes, seeds: Sequence[bytes]) -> bytes:
    other = rng.choice(seeds)
    return raw[: rng.randint(0, len(raw))] + other[rng.randint(0, len(other)) :]


def _graft(rng: random.Random, raw: bytes, seeds: Sequence[bytes]) -> bytes:
    """Put a piece of another message into this one."""
    other = rng.choice(seeds)
    start = rng.randint(0, len(other))
    at = rng.randint(0, len(raw))
    return raw[:at] + other[start : start + rng.randint(1, 2_000)] + raw[at:]


def _flip(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 40) if changed else 0):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _insert(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    for _ in range(rng.randint(1, 8)):
        at = rng.randint(0, len(raw))
        raw = raw[:at] + rng.choice(_TOKENS) + raw[at:]
    return raw


def _repeat(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    start = rng.randint(0, len(raw))
    piece = raw[start : start + rng.choice((3, 30, 300, 3_000))]
    return raw[:start] + piece * rng.choice((2, 20, 200)) + raw[start:]


def _shuffle_header(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    """Put the header lines of one part into another order, some twice, some not at all."""
    ends = [found.start() for found in _HEADER_END.finditer(raw)]
    if not ends:
        return raw
    end = rng.choice(ends[:5])
    start = raw.rfind(b"\n\n", 0, end) + 1
    lines = raw[start:end].splitlines(keepends=True)
    kept = rng.choices(lines, k=rng.randint(1, len(lines) + 2)) if lines else []
    return raw[:start] + b"".join(kept) + raw[end:]


def _shuffle_lines(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    lines = raw.splitlines(keepends=True)
    for _ in range(rng.randint(1, 20) if lines else 0):
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[one] = rng.choice((b"", lines[other], lines[other] + lines[one], lines[one].upper()))
    return b"".join(lines)


def _end_lines(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    plain = raw.replace(b"\r\n", b"\n")
    return plain.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\r\r\n", b"\n ", b"")))


def _recode_body(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    """Encode the body, and say so or something else in the header."""
    head, end, body = _part(raw)
    done = rng.choice(("base64", "quoted-printable", "x-uuencode"))
    said = rng.choice((done, done, "base64", "8bit"))
    coded = base64.encodebytes(body) if done == "base64" else quopri.encodestring(body)
    return head + b"\nContent-Transfer-Encoding: " + said.encode() + end + coded


def _recode_charset(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    head, end, body = _part(raw)
    said, done = rng.choice(_CHARSETS), rng.choice(("utf-8", "utf-16", "iso-2022-jp", "gb18030"))
    kind = rng.choice((b"text/plain", b"text/html", b"message/delivery-status"))
    coded = body.decode("utf-8", "replace").encode(done, "replace")
    return head + b"\nContent-Type: " + kind + b"; charset=" + said.encode() + end + coded


def _forward(rng: random.Random, raw: bytes, _seeds: Sequence[bytes]) -> bytes:
    kind = rng.choice((b"message/rfc822", b"message/global", b"text/plain", b"multipart/report"))
    head = b"From: max@firma.de\nSubject: Fwd: x\nContent-Type: multipart/mixed; boundary=w\n\n"
    part = b"--w\nContent-Type: " + kind + b"\n\n" + raw + b"\n"
    return head + part * rng.choice((1, 1, 3)) + b"--w--\n"


def _part(raw: bytes) -> tuple[bytes, bytes, bytes]:
    found = _HEADER_END.search(raw)
    if found is None:
        return raw, b"\n\n", b""
    return raw[: found.start()], found[0], raw[found.end() :]


_STEPS: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    *(_truncate, _behead, _splice, _graft, _flip, _insert, _repeat),
    *(_shuffle_header, _shuffle_lines, _end_lines, _recode_body, _recode_charset, _forward),
)
