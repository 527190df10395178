"""Tests of reading who signed a mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import Signature
from bounced.parser.report import read_report
from bounced.parser.signatures import MOST_SIGNATURES, read_signatures
from tests.parser.compose import multipart, part

REST = "a=rsa-sha256; c=relaxed/relaxed; h=From:To; bh=abc=; b=xyz="
FOUND = Signature("firma.de", "s1")

FIELDS = {
    "whole": (f"v=1; {REST}; d=firma.de; s=s1", FOUND),
    "no blanks": ("v=1;d=firma.de;s=s1;h=From;bh=;b=", FOUND),
    "a semicolon at the end": ("v=1; d=firma.de; s=s1; b=x; ", FOUND),
    "blanks around the equals sign": ("v = 1;\t d\t=  firma.de ; s = s1 ; b=x", FOUND),
    "an equals sign in a value": ("v=1; b=aGk=; d=firma.de; s=s1", FOUND),
    "upper case": ("v=1; d=Firma.DE; s=S1; b=x", FOUND),
    "letters outside ASCII": (
        "v=1; d=müller.example; s=s1; b=x",
        Signature("xn--mller-kva.example", "s1"),
    ),
    "a selector of several labels": (
        "v=1; d=firma.de; s=2026.mail; b=x",
        Signature("firma.de", "2026.mail"),
    ),
    "a selector with an underscore": (
        "v=1; d=firma.de; s=mx_1; b=x",
        Signature("firma.de", "mx_1"),
    ),
    "an unknown tag": ("v=1; d=firma.de; s=s1; b=x; zz_9=1", FOUND),
    "no version": ("d=firma.de; s=s1; b=x", None),
    "another version": ("v=0.5; d=firma.de; s=s1; b=x", None),
    "no domain": ("v=1; s=s1; b=x", None),
    "no selector": ("v=1; d=firma.de; b=x", None),
    "an empty domain": ("v=1; d=; s=s1; b=x", None),
    "an empty selector": ("v=1; d=firma.de; s=; b=x", None),
    "a domain that is none": ("v=1; d=firma de; s=s1; b=x", None),
    "a domain of one label": ("v=1; d=localhost; s=s1; b=x", None),
    "a domain of several lines": ("v=1; d=firma.de\nx; s=s1; b=x", None),
    "a domain without end": ("v=1; d=" + "ä" * 100_000 + ".de; s=s1; b=x", None),
    "a selector with a blank": ("v=1; d=firma.de; s=s 1; b=x", None),
    "a selector without end": ("v=1; d=firma.de; s=" + "s" * 64 + "; b=x", None),
    "one tag twice": ("v=1; d=firma.de; s=s1; d=evil.example; b=x", None),
    "no tag list": ("nonsense", None),
    "an empty tag inside": ("v=1;; d=firma.de; s=s1; b=x", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_names_its_signer_or_is_left_out(name: str) -> None:
    field, expected = FIELDS[name]
    assert read_signatures([field]) == ((expected,) if expected else ())


def test_each_signer_is_named_once_topmost_first() -> None:
    fields = [f"v=1; d={domain}; s=s1; b=x" for domain in ("b.de", "a.de", "", "B.de")]
    assert read_signatures(fields) == (Signature("b.de", "s1"), Signature("a.de", "s1"))


def test_a_mail_with_signatures_without_end_has_the_first_ones() -> None:
    fields = [f"v=1; d=d{number}.example; s=s; b=x" for number in range(1_000)]
    found = read_signatures(fields)
    assert found == tuple(
        Signature(f"d{number}.example", "s") for number in range(MOST_SIGNATURES)
    )


def test_a_report_tells_who_signed_the_returned_mail() -> None:
    header = (
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple;\n"
        "\td=firma.de; s=s1;\n\th=from:to; bh=abc=;\n b=xyz\n =\n"
        "DKIM-Signature: v=1; a=ed25519-sha256; d=app.test; s=2026; bh=x; h=from; b=y\n"
        "From: jana@firma.de\nTo: a@b.de\nSubject: x\n"
    )
    raw = multipart(part("text/plain", "x"), part("text/rfc822-headers", header))
    returned = read_report(raw).returned
    assert returned is not None
    assert returned.signatures == (Signature("firma.de", "s1"), Signature("app.test", "2026"))


@given(st.lists(st.text(alphabet="vds=1;. \t-_aä%\n", max_size=60), max_size=30))
def test_any_field_is_read_without_a_fault(fields: list[str]) -> None:
    for signature in read_signatures(fields):
        assert "._domainkey." not in f"{signature.domain}."
        assert "." in signature.domain
