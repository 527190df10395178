"""Replaces what a corpus gives away: recipients' local parts and `.test` domains become constants.

Also inside base64 and quoted-printable parts, encoded words (RFC 2047), xtext (RFC 3461 §4) and
return paths that carry the recipient. Of one message, equal names stay equal and others differ.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from typing import Any

from tests.corpus.labelled import Case

_TEST_DOMAIN = re.compile(rb"(?<![\w.-])(?:[\w\x80-\xff-]+\.)+test(?![\w-]|\.\w)", re.IGNORECASE)
_ENCODED_PART = re.compile(
    rb"^Content-Transfer-Encoding:[ \t]*(base64|quoted-printable)\b[^\n]*\n"
    rb"(?:[^\r\n][^\n]*\n)*\r?\n(.*?)(?=^--|\Z)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_ENCODED_WORD = re.compile(rb"=\?([\w-]+)\?([bq])\?([^?\s]*)\?=", re.IGNORECASE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_LINE = 76


class Mask:
    """The names of one message and the constants that stand for them."""

    def __init__(self, case: Case) -> None:
        addresses = {
            address.lower()
            for recipient in case.row["recipients"]
            for address in [recipient["address"], *recipient["accept"]]
            if address and "@" in address
        }
        local_parts = sorted({address.rpartition("@")[0] for address in addresses}, key=len)
        self._locals = {name: f"recipient{n}" for n, name in enumerate(local_parts, 1)}
        self._labels: dict[bytes, bytes] = {}
        self._patterns = [
            (pattern, constant.encode())
            for name, constant in sorted(self._locals.items(), key=lambda pair: -len(pair[0]))
            for pattern in _spell(name)
        ]

    def mask_case(self, case: Case) -> Case:
        """Return the message and its label with constants."""
        recipients = [self._mask_label(recipient) for recipient in case.row["recipients"]]
        return Case(case.row | {"recipients": recipients}, self._mask_message(case.raw))

    def _mask_label(self, recipient: dict[str, Any]) -> dict[str, Any]:
        address = recipient["address"]
        return recipient | {
            "address": self._mask_address(address) if address else address,
            "accept": [self._mask_address(each) for each in recipient["accept"]],
        }

    def _mask_address(self, address: str) -> str:
        local_part, at, domain = address.rpartition("@")
        masked = self._mask_domains(domain.encode()).decode()
        return f"{self._locals.get(local_part.lower(), local_part)}{at}{masked}"

    def _mask_message(self, raw: bytes) -> bytes:
        raw = _ENCODED_PART.sub(self._mask_part, raw)
        raw = _ENCODED_WORD.sub(self._mask_word, raw)
        return self._mask_text(raw)

    def _mask_text(self, text: bytes) -> bytes:
        for pattern, constant in self._patterns:
            text = pattern.sub(constant, text)
        return self._mask_domains(text)

    def _mask_domains(self, text: bytes) -> bytes:
        return _TEST_DOMAIN.sub(self._mask_domain, text)

    def _mask_domain(self, found: re.Match[bytes]) -> bytes:
        """Name each label of a domain by a constant, so that hosts stay under their domains."""
        *labels, _ = found[0].lower().split(b".")
        for label in labels:
            self._labels.setdefault(label, b"name%d" % (len(self._labels) + 1))
        return b".".join([*(self._labels[label] for label in labels), b"test"])

    def _mask_part(self, found: re.Match[bytes]) -> bytes:
        head, body = found[0][: found.start(2) - found.start()], found[2]
        if found[1].lower() == b"base64":
            if _NOT_BASE64.search(body):
                return found[0]
            try:
                plain = base64.b64decode(b"".join(body.split()), validate=True)
            except binascii.Error:
                return found[0]
            masked = self._mask_text(plain)
            code = base64.b64encode(masked)
            lines = [code[at : at + _LINE] for at in range(0, len(code), _LINE)]
            return found[0] if masked == plain else head + b"\r\n".join([*lines, b""])
        plain = quopri.decodestring(body)
        masked = self._mask_text(plain)
        return found[0] if masked == plain else head + quopri.encodestring(masked)

    def _mask_word(self, found: re.Match[bytes]) -> bytes:
        charset, kind, code = found.groups()
        if kind.lower() == b"q":
            plain = quopri.decodestring(code, header=True)
        else:
            try:
                plain = base64.b64decode(code, validate=True)
            except binascii.Error:
                return found[0]
        masked = self._mask_text(plain)
        if masked == plain:
            return found[0]
        return b"=?%s?b?%s?=" % (charset, base64.b64encode(masked))


def _spell(local_part: str) -> list[re.Pattern[bytes]]:
    """Return how a local part may be written, and what must stand around it.

    A name that could be a word of the text counts only where an address or a return path that
    carries it goes on behind it.
    """
    xtext = "".join(
        letter if letter.isascii() and letter not in "+=" else f"\\x{{{ord(letter):X}}}"
        for letter in local_part
    )
    spellings = {local_part.encode(), xtext.encode(), local_part.replace("+", "+2B").encode()}
    telling = re.search(r"[\d._+-]|[^\x00-\x7f]", local_part)
    behind = rb"(?![\w])" if telling else rb"(?=\"?(?:@|=[\w-]+\.|%40|=40|\+40))"
    return [
        re.compile(rb"(?<![\w.])" + re.escape(spelling) + behind, re.IGNORECASE)
        for spelling in sorted(spellings, key=len, reverse=True)
    ]
