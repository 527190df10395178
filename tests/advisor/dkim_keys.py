"""DKIM keys to publish in tests; public halves, whose private ones nobody kept."""

from __future__ import annotations

import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as make_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as make_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SHORT_KEY = (  # 512 bits, which no library makes any more
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMzFESLq0pv84FNCc/jv9hviBqM47wx/NeRPbydaJ7yC3WzDOgEb2RuJhpaK"
    "Em2BXfvuoyr5LSoQ67owHqScwg0CAwEAAQ=="
)


@cache
def make_rsa_key(bits: int = 1024, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    return _write(make_rsa(65537, bits).public_key().public_bytes(Encoding.DER, form))


@cache
def make_other_rsa_key() -> str:
    return make_rsa_key.__wrapped__()


@cache
def make_ed25519_key() -> str:
    public = Ed25519PrivateKey.generate().public_key()
    return _write(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


@cache
def make_elliptic_key() -> str:
    public = make_ec(SECP256R1()).public_key()
    return _write(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _write(public: bytes) -> str:
    return base64.b64encode(public).decode("ascii")
