"""Tests of cutting a message into parts within its bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.parser.headers import Fields
from bounced.parser.mime import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_PARTS,
    MAX_SUBJECT,
    Message,
    Part,
    read_message,
)


def types(message: Message) -> list[str]:
    return [part.content_type for part in message.parts]


def texts(message: Message) -> list[str]:
    return [part.text for part in message.parts]


def test_a_report_has_its_leaves_in_order() -> None:
    raw = (
        b"From: a@b.test\r\nContent-Type: multipart/report; boundary=x\r\n\r\npreamble\r\n"
        b"--x\r\n\r\nHallo\r\n"
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n"
        b"--x--\r\nepilogue\r\n"
    )
    assert read_message(raw) == Message(
        fields=Fields({"from": ("a@b.test",), "content-type": ("multipart/report; boundary=x",)}),
        content_type="multipart/report",
        parameters={"boundary": "x"},
        parts=(
            Part(1, "text/plain", Fields(), "Hallo"),
            Part(
                2,
                "message/delivery-status",
                Fields({"content-type": ("message/delivery-status",)}),
                "Action: failed\n",
            ),
        ),
        notes=(),
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"", [""], id="empty"),
        pytest.param(b"just words", ["just words"], id="no header at all"),
        pytest.param(b"Subject: x", [""], id="no body"),
        pytest.param(b"  \nSubject: x\n\nbody", ["body"], id="blank line before the header"),
        pytest.param(b"\nbody", ["body"], id="empty line first"),
        pytest.param(b"Subject: x\r\n\r\na\r\r\nb", ["a\nb"], id="CR twice"),
        pytest.param(b"Subject: x\n\na\rb", ["a\nb"], id="lone carriage return"),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\n\ntwo",
            ["one", "two"],
            id="truncated before the close delimiter",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\nfirst line is text\n--x--\n",
            ["first line is text"],
            id="part without header",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n\ntwo\n--x--",
            ["", "two"],
            id="empty part",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=x\n\n--xy\na\n--x\n\nb --x\n--x--",
            ["b --x"],
            id="boundary as prefix and inside a line",
        ),
        pytest.param(
            b'Content-Type: multipart/mixed;\nboundary="x"\n\n--x\n\none\n--x--',
            ["one"],
            id="boundary on a line that is not indented",
        ),
        pytest.param(
            b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
            b"ZGFzIGlzdA0Kc2Now7Zu",
            ["das ist\nschön"],
            id="base64 text with CRLF",
        ),
        pytest.param(b"Content-Type: text/html\n\n<p>x<br>y</p>", ["\nx\ny\n"], id="html as text"),
        pytest.param(b"Content-Type: image/png\n\nabc", [""], id="no text in a picture"),
        pytest.param(b"Content-Type: nonsense\n\nabc", ["abc"], id="a type that is none"),
    ],
)
def test_odd_messages_give_their_text(raw: bytes, expected: list[str]) -> None:
    assert texts(read_message(raw)) == expected


def test_a_multipart_without_its_boundary_is_text() -> None:
    message = read_message(b"Content-Type: multipart/mixed; boundary=x\n\nwords")
    assert types(message) == ["text/plain"]
    assert message.notes == ("a multipart without its boundary was read as text",)


def test_two_thousand_levels_are_read_to_the_limit() -> None:
    raw = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
        for level in range(2_000)
    )
    message = read_message(raw)
    assert len(message.parts) == 1
    assert message.notes == (f"nested deeper than {MAX_DEPTH} levels; the rest was read as text",)


def test_ten_thousand_parts_are_read_to_the_limit() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\npart\n" * 10_000
    message = read_message(raw)
    assert len(message.parts) == MAX_PARTS
    assert "part" in message.parts[-1].text
    assert message.notes == (f"more than {MAX_PARTS} parts; the rest was read as text",)


def test_a_million_header_lines_are_cut() -> None:
    raw = b"a: b\n" * 1_000_000
    message = read_message(raw)
    assert message.notes == (f"only the first {MAX_BYTES} of {len(raw)} bytes were read",)
    assert len(message.parts) == 1


def test_nul_bytes_are_removed_and_noted() -> None:
    message = read_message(b"Subject: a\0b\n\nc\0d")
    assert (message.subject(), texts(message)) == ("ab", ["cd"])
    assert message.notes == ("NUL bytes were removed",)


def test_a_subject_is_decoded_or_empty() -> None:
    assert read_message(b"Subject: =?utf-8?q?gr=C3=BCn?=\n\n").subject() == "grün"
    assert read_message(b"To: x\n\n").subject() == ""


@given(st.binary(max_size=600))
def test_any_bytes_give_a_message_within_bounds(raw: bytes) -> None:
    assert 1 <= len(read_message(raw).parts) <= MAX_PARTS


@given(
    st.lists(
        st.sampled_from(
            [
                b"--x\n",
                b"--x--\n",
                b"\n",
                b"Content-Type: multipart/mixed; boundary=x\n",
                b"a: b\n",
                b"t",
            ]
        ),
        max_size=40,
    )
)
def test_any_order_of_delimiters_gives_a_message(pieces: list[bytes]) -> None:
    raw = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"".join(pieces)
    assert len(read_message(raw).parts) >= 1


REPORT = b"--{0}\nContent-Type: text/plain\n\nHallo\n--{0}\nContent-Type: message/delivery-status\n\nAction: failed\n--{0}--\n"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"Content-Type: multipart/report; boundary=other", id="another boundary"),
        pytest.param(b"MIME-Version: 1.0\n boundary=gone", id="no content type"),
    ],
)
def test_a_boundary_that_a_relay_changed_is_found_in_the_body(header: bytes) -> None:
    body = b"This is a MIME-encapsulated message.\n\n" + REPORT.replace(b"{0}", b"1A2B/relay.test")
    found = read_message(header + b"\n\n" + body)
    assert (types(found), texts(found)) == (
        ["text/plain", "message/delivery-status"],
        ["Hallo", "Action: failed"],
    )


def test_a_boundary_in_a_quoted_message_cuts_nothing() -> None:
    body = b"It failed.\nReturn-Path: <a@b.de>\n\n" + REPORT.replace(b"{0}", b"1A2B/relay.test")
    assert types(read_message(b"Subject: x\n\n" + body)) == ["text/plain"]


def test_status_fields_are_in_the_charset_of_the_text() -> None:
    raw = (
        b"Content-Type: multipart/report; boundary=x\n\n"
        b"--x\nContent-Type: text/plain; charset=windows-1251\n\n\xcf\xee\xf7\xf2\xe0\n"
        b"--x\nContent-Type: message/delivery-status\n\nDiagnostic-Code: \xcf\xee\xf7\xf2\xe0\n--x--\n"
    )
    assert texts(read_message(raw)) == ["Почта", "Diagnostic-Code: Почта"]


def test_a_subject_without_end_is_cut() -> None:
    found = read_message(b"Subject: " + b"a" * 100_000)
    assert found.subject() == "a" * MAX_SUBJECT
