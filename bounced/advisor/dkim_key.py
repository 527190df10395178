"""What a DKIM key record says, and whether a verifier can use it; pure.

RFC 6376 §3.6.1 (the record), RFC 8301 (what has become too weak), RFC 8463 (Ed25519).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from bounced.advisor.taglist import Tags, split_tags

SHORTEST_RSA_BITS = 1024
"""RFC 8301 §3.2."""
MOST_KEY_OCTETS = 4096
"""A key of 16,384 bits takes half of it."""


@dataclass(frozen=True, slots=True)
class UsableKey:
    """A key that signatures can be verified with."""

    kind: str
    """For a person to read: `RSA key of 2048 bits`."""
    public: bytes


def read_key(text: str) -> UsableKey | str:
    """Return the key of a record, or what is wrong with it; total."""
    tags = split_tags(text)
    named = dict(tags)
    fault = _find_fault(tags, named)
    if fault is not None:
        return fault
    try:
        # RFC 6376 §3.2: white space may stand anywhere in base64.
        public = base64.b64decode("".join(named["p"].split()), validate=True)
    except (binascii.Error, ValueError):  # ValueError: not in ASCII
        return "p= is no base64"
    if len(public) > MOST_KEY_OCTETS:
        return f"p= is longer than {MOST_KEY_OCTETS} octets"
    return _read_ed25519(public) if _find_type(named) == "ed25519" else _read_rsa(public)


def _find_fault(tags: Tags, named: Mapping[str, str]) -> str | None:
    faults = (
        ("" in named or len(named) < len(tags), "no list of tags (RFC 6376 §3.2)"),
        ("v" in named and tags[0] != ("v", "DKIM1"), "no DKIM key"),
        (_find_type(named) not in {"rsa", "ed25519"}, "k= names a key that nobody knows"),
        ("sha256" not in _split(named.get("h", "sha256")), "h= forbids SHA-256"),
        (not {"*", "email"} & _split(named.get("s", "*")), "s= forbids e-mail"),
        ("p" not in named, "no p="),
        (not named.get("p"), "p= is empty, so that the key is revoked"),
    )
    return next((fault for is_found, fault in faults if is_found), None)


def _find_type(named: Mapping[str, str]) -> str:
    return named.get("k", "rsa")


def _split(value: str) -> frozenset[str]:
    return frozenset(each.strip() for each in value.split(":"))


def _read_ed25519(public: bytes) -> UsableKey | str:
    try:
        Ed25519PublicKey.from_public_bytes(public)
    except ValueError:
        return "p= holds no Ed25519 key (RFC 8463 §4)"
    return UsableKey("Ed25519 key", public)


def _read_rsa(public: bytes) -> UsableKey | str:
    try:
        # Actually, most publish a SubjectPublicKeyInfo where §3.6.1 says RSAPublicKey; both are
        # read, as verifiers do.
        key = load_der_public_key(public)
    except (ValueError, UnsupportedAlgorithm):
        return "p= holds no RSA key"
    if not isinstance(key, RSAPublicKey):
        return "p= holds no RSA key"
    if key.key_size < SHORTEST_RSA_BITS:
        return f"an RSA key of {key.key_size} bits, too short to count (RFC 8301 §3.2)"
    return UsableKey(f"RSA key of {key.key_size} bits", public)
