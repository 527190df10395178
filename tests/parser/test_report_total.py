"""Tests that any bytes give a report."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bounced.model import Kind, Report
from bounced.parser.report import read_report
from tests.parser.compose import message, multipart, part, report
from tests.parser.hostile import HOSTILE

DSN = report(
    "<max@firma.de>: host mx.firma.de[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO)\n",
    "Reporting-MTA: dns; relay.test\n\nFinal-Recipient: rfc822; max@firma.de\n"
    "Original-Recipient: rfc822;max@firma.de\nAction: failed\nStatus: 5.1.1\n"
    "Diagnostic-Code: smtp; 550 5.1.1 no\n",
    part("message/rfc822", "From: a@b.de\nTo: max@firma.de\nSubject: x\n\nbody"),
    header=("From: MAILER-DAEMON@relay.test", "Date: Sat, 21 Nov 2026 20:41:04 GMT"),
)
FREEFORM = message(
    "From: MAILER-DAEMON@relay.test",
    "Subject: failure notice",
    body="failed:\n\n<max@firma.de>:\nRemote host said: 550 no\n\n--- Below this line is a copy\n",
)


def is_sound(found: Report) -> bool:
    """Tell what holds of every report: a database takes its texts; one unnamed, or all named."""
    repr(found).encode()
    named = [each.recipient is not None for each in found.recipients]
    return "\0" not in repr(found.subject) and (named == [False] or all(named))


@given(st.binary(max_size=2_000))
def test_any_bytes_give_a_sound_report(raw: bytes) -> None:
    assert is_sound(read_report(raw))


@given(st.text(max_size=500))
def test_any_text_from_a_mail_system_gives_a_sound_report(text: str) -> None:
    assert is_sound(read_report(b"From: MAILER-DAEMON@x\n\n" + text.encode()))


@settings(max_examples=300)
@given(
    st.sampled_from([DSN, FREEFORM]),
    st.lists(
        st.tuples(st.integers(0, 900), st.integers(0, 40), st.binary(max_size=12)),
        min_size=1,
        max_size=6,
    ),
)
def test_a_mutated_report_gives_a_sound_report(
    raw: bytes, cuts: list[tuple[int, int, bytes]]
) -> None:
    for start, length, put in cuts:
        raw = raw[:start] + put + raw[start + length :]
    assert is_sound(read_report(raw))


@given(st.integers(0, len(DSN)))
def test_a_truncated_report_gives_a_sound_report(length: int) -> None:
    assert is_sound(read_report(DSN[:length]))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_gives_a_sound_report(name: str) -> None:
    assert is_sound(read_report(HOSTILE[name]))


@pytest.mark.parametrize(
    ("raw", "notes"),
    [
        pytest.param(
            b"".join(
                b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n)
                for n in range(2_000)
            ),
            ("nested deeper than 20 levels; the rest was read as text",),
            id="2,000 levels",
        ),
        pytest.param(
            multipart(*["\nx"] * 10_000),
            ("more than 1000 parts; the rest was read as text",),
            id="10,000 parts",
        ),
        pytest.param(
            b"a:\n" * 1_000_000,
            ("only the first 1048576 of 3000000 bytes were read",),
            id="1 M header lines",
        ),
        pytest.param(b"\0" * 100, ("NUL bytes were removed",), id="NUL bytes"),
        pytest.param(b"", (), id="nothing"),
    ],
)
def test_what_was_cut_is_noted(raw: bytes, notes: tuple[str, ...]) -> None:
    found = read_report(raw)
    assert (found.kind, found.notes) == (Kind.UNRECOGNIZED, notes)
