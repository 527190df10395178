"""What a DKIM key record says, and whether a verifier can use it."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.serialization import PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from bounced.advisor.dkim_key import UsableKey, read_key
from tests.advisor.dkim_keys import (
    SHORT_KEY,
    make_ed25519_key,
    make_elliptic_key,
    make_rsa_key,
)

RSA = make_rsa_key()
BARE_RSA = make_rsa_key(form=PublicFormat.PKCS1)
ED25519 = make_ed25519_key()
USABLE_RSA = UsableKey("RSA key of 1024 bits", base64.b64decode(RSA))


USABLE = [
    (f"v=DKIM1; k=rsa; p={RSA}", USABLE_RSA),
    (f"p={RSA}", USABLE_RSA),
    (f"k=rsa;p={RSA};", USABLE_RSA),
    (f"v=DKIM1;; p={RSA} ; ", USABLE_RSA),
    (f"v=DKIM1; p={RSA[:60]} {RSA[60:]}", USABLE_RSA),
    (f"v=DKIM1; t=s:y; n=a note; x=unknown; p={RSA}", USABLE_RSA),
    (f"v=DKIM1; h=sha1 : sha256; s=email; p={RSA}", USABLE_RSA),
    (f"v=DKIM1; s=other:*; p={RSA}", USABLE_RSA),
    (
        f"v=DKIM1; p={BARE_RSA}",
        UsableKey("RSA key of 1024 bits", base64.b64decode(BARE_RSA)),
    ),
    (f"v=DKIM1; k=ed25519; p={ED25519}", UsableKey("Ed25519 key", base64.b64decode(ED25519))),
]
"""Keys are made anew in each process: their texts are no ids."""


@pytest.mark.parametrize(("text", "expected"), USABLE, ids=range(len(USABLE)))
def test_a_key_is_read(text: str, expected: UsableKey) -> None:
    assert read_key(text) == expected


USELESS = [
    ("", "no p="),
    ("v=spf1 -all", "no DKIM key"),
    ("just words", "no list of tags (RFC 6376 §3.2)"),
    (f"v=DKIM1 p={RSA}", "no DKIM key"),
    (f"v=DKIM2; p={RSA}", "no DKIM key"),
    (f"p={RSA}; v=DKIM1", "no DKIM key"),
    (f"p={RSA}; p={RSA}", "no list of tags (RFC 6376 §3.2)"),
    ("v=DKIM1; p=", "p= is empty, so that the key is revoked"),
    ("v=DKIM1; k=rsa", "no p="),
    (f"v=DKIM1; k=dsa; p={RSA}", "k= names a key that nobody knows"),
    (f"v=DKIM1; h=sha1; p={RSA}", "h= forbids SHA-256"),
    (f"v=DKIM1; s=web; p={RSA}", "s= forbids e-mail"),
    ("v=DKIM1; p=not*base64", "p= is no base64"),
    ("v=DKIM1; p=MIGfü", "p= is no base64"),
    (f"v=DKIM1; p={RSA[:-1]}", "p= is no base64"),
    (f'v=DKIM1; p="{RSA}"', "p= is no base64"),
    (f"v=DKIM1; p={RSA[:80]}", "p= holds no RSA key"),
    (f"v=DKIM1; p={make_elliptic_key()}", "p= holds no RSA key"),
    (f"v=DKIM1; p={ED25519}", "p= holds no RSA key"),
    (f"v=DKIM1; k=ed25519; p={RSA}", "p= holds no Ed25519 key (RFC 8463 §4)"),
    (f"v=DKIM1; p={SHORT_KEY}", "an RSA key of 512 bits, too short to count (RFC 8301 §3.2)"),
    (f"v=DKIM1; p={'A' * 60_000}", "p= is longer than 4096 octets"),
]


@pytest.mark.parametrize(("text", "fault"), USELESS, ids=range(len(USELESS)))
def test_a_useless_key_is_said_to_be_one(text: str, fault: str) -> None:
    assert read_key(text) == fault


@given(st.text() | st.text("vkpsh=;: DKIM1rsa25619ed").map(lambda text: f"v=DKIM1; {text}"))
def test_any_text_is_a_key_or_a_fault(text: str) -> None:
    assert isinstance(read_key(text), str | UsableKey)


@given(st.binary(max_size=200))
def test_any_octets_are_a_key_or_a_fault(public: bytes) -> None:
    written = base64.b64encode(public).decode()
    for kind in ("rsa", "ed25519"):
        assert isinstance(read_key(f"k={kind}; p={written}"), str | UsableKey)
