"""Tests of reading what a report tells of the returned mail."""

from datetime import UTC, datetime

import pytest

from bounced.model import ReturnedMessage
from bounced.parser.report import HeaderNames, read_report
from tests.parser.compose import message, multipart, part

HEADER = """Return-Path: <bounces+x@app.test>
Received: from app (localhost [127.0.0.1])
\tby relay.test (Postfix) with ESMTP id 3698E2;
\tSat, 21 Nov 2026 20:41:08 +0000 (UTC)
Received: by app with local
From: =?utf-8?q?J=C3=BCrgen?= <jana@firma.de>
To: <a@b.de>, "C, D" <c@d.de>
Subject: =?utf-8?q?Protokoll_gr=C3=BCn?=
Date: Sat, 21 Nov 2026 10:11:24 +0100
Message-ID: <1@app.test>
X-Protocol-Id: P-1
X-Protocol-Author: Jana <jana@firma.de>
Content-Language: de
"""

WHOLE = ReturnedMessage(
    return_path="bounces+x@app.test",
    from_address="jana@firma.de",
    to_addresses=("a@b.de", "c@d.de"),
    message_id="1@app.test",
    subject="Protokoll grün",
    sent_at=datetime(2026, 11, 21, 9, 11, 24, tzinfo=UTC),
    author="jana@firma.de",
    reference="P-1",
    language="de",
    received=(
        (
            "from app (localhost [127.0.0.1]) by relay.test (Postfix) with ESMTP id 3698E2;"
            " Sat, 21 Nov 2026 20:41:08 +0000 (UTC)"
        ),
        "by app with local",
    ),
)


@pytest.mark.parametrize(
    "kind",
    [
        "message/rfc822",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global",
        "message/global-headers",
    ],
)
def test_the_third_part_tells_the_returned_mail(kind: str) -> None:
    raw = multipart(part("text/plain", "x"), part(kind, f"{HEADER}\nbody\n"))
    assert read_report(raw).returned == WHOLE


@pytest.mark.parametrize("margin", ["", "> ", "  "])
def test_a_header_quoted_in_plain_text_counts(margin: str) -> None:
    quoted = "".join(f"{margin}{line}\n" for line in HEADER.splitlines())
    raw = message(body=f"failed\n\n--- Original message ---\n\n{quoted}\nTo: x@y.de\n")
    assert read_report(raw).returned == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("--- Original message ---\nMessage removed", id="no field"),
        pytest.param("--- Original message ---\nTo: a@b.de", id="one field is not enough"),
        pytest.param("words", id="nothing quoted"),
    ],
)
def test_other_text_is_no_returned_mail(text: str) -> None:
    assert read_report(message(body=text)).returned is None


def test_a_returned_part_without_fields_is_none() -> None:
    raw = multipart(
        part("message/rfc822", "Message removed"), part("message/rfc822", "From: a@b.de\n")
    )
    assert read_report(raw).returned == ReturnedMessage(from_address="a@b.de")
    assert read_report(multipart(part("message/rfc822", "gone"))).returned is None


def test_a_part_put_before_the_true_one_hides_no_host() -> None:
    """What a stranger breaks into a report has the true returned mail behind it."""
    forged = "From: jana@firma.de\nX-Protocol-Author: jana@firma.de\n"
    raw = multipart(part("message/rfc822", forged), part("message/rfc822", HEADER))
    returned = read_report(raw).returned
    assert returned == ReturnedMessage(
        from_address="jana@firma.de", author="jana@firma.de", received=WHOLE.received
    )


def test_header_names_are_configured() -> None:
    header = "From: a@b.de\nX-Author: not an address\nX-Ref: =?utf-8?q?=C3=BC?=\nX-Lang: \n"
    names = HeaderNames(author="X-Author", reference="X-Ref", language="X-Lang")
    returned = read_report(multipart(part("message/rfc822", header)), names).returned
    assert returned == ReturnedMessage(from_address="a@b.de", reference="ü")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("X-Lang: nl\nContent-Language: de\n", "nl"),
        ("Content-Language: de-AT, en\n", "de-AT, en"),
        ("X-Lang: \nContent-Language: de\n", "de"),
        ("", None),
    ],
)
def test_the_configured_language_header_goes_before_content_language(
    header: str, language: str | None
) -> None:
    raw = multipart(part("message/rfc822", f"From: a@b.de\n{header}"))
    returned = read_report(raw, HeaderNames(language="X-Lang")).returned
    assert returned == ReturnedMessage(from_address="a@b.de", language=language)


def test_a_null_return_path_is_told_from_none() -> None:
    returned = read_report(multipart(part("message/rfc822", "Return-Path: <>\n"))).returned
    assert returned == ReturnedMessage(return_path="")
