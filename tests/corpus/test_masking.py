"""How names are taken out of a message."""

from __future__ import annotations

import base64

import pytest

from tests.corpus.labelled import Case
from tests.corpus.masking import Mask


def make_case(text: str, address: str = "max.r032@r032.gmail.test") -> Case:
    recipient = {"address": address, "accept": [address], "class": "system", "also": []}
    return Case({"file": "x", "recipients": [recipient]}, text.encode())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("<max.r032@x.de>", "<recipient1@x.de>", id="local part"),
        pytest.param("<Max.R032@x.de>", "<recipient1@x.de>", id="letter case"),
        pytest.param("<b+max.r032=x.de@y.de>", "<b+recipient1=x.de@y.de>", id="return path"),
        pytest.param("user max.r032 unknown", "user recipient1 unknown", id="alone"),
        pytest.param("climax.r032@x.de", "climax.r032@x.de", id="end of a longer name"),
        pytest.param(
            "mx.gmail.test under gmail.test", "name3.name2.test under name2.test", id="domains"
        ),
        pytest.param("gmail.test.de gmail.testing", "gmail.test.de gmail.testing", id="others"),
        pytest.param(
            "Subject: =?utf-8?q?to_max.r032?=",
            f"Subject: =?utf-8?b?{base64.b64encode(b'to recipient1').decode()}?=",
            id="encoded word",
        ),
        pytest.param(
            "Content-Transfer-Encoding: quoted-printable\n\n<max.r0=\n32@x.de> =C3=A4\n--b",
            "Content-Transfer-Encoding: quoted-printable\n\n<recipient1@x.de> =C3=A4\n--b",
            id="quoted-printable",
        ),
    ],
)
def test_names_become_constants(text: str, masked: str) -> None:
    case = make_case(text)
    assert Mask(case).mask_case(case).raw.decode() == masked


def test_names_become_constants_inside_base64() -> None:
    body = base64.encodebytes(b"failed: <max.r032@r032.gmail.test>").decode()
    case = make_case(f"Content-Transfer-Encoding: base64\nX: y\n\n{body}--b")
    head, _, masked = Mask(case).mask_case(case).raw.partition(b"\n\n")
    assert head == b"Content-Transfer-Encoding: base64\nX: y"
    assert (
        base64.b64decode(masked.removesuffix(b"--b")) == b"failed: <recipient1@name1.name2.test>"
    )


@pytest.mark.parametrize("name", ["user", "info"])
def test_a_name_that_is_a_word_is_masked_in_addresses_only(name: str) -> None:
    case = make_case(f"{name} unknown: {name}@x.de", f"{name}@x.de")
    assert Mask(case).mask_case(case).raw.decode() == f"{name} unknown: recipient1@x.de"


def test_the_label_is_masked_alike() -> None:
    case = make_case("mx.gmail.test <max.r032@r032.gmail.test>")
    masked = Mask(case).mask_case(case)
    assert masked.raw == b"name3.name2.test <recipient1@name1.name2.test>"
    assert masked.row["recipients"][0] | {"class": "", "also": []} == {
        "address": "recipient1@name1.name2.test",
        "accept": ["recipient1@name1.name2.test"],
        "class": "",
        "also": [],
    }
