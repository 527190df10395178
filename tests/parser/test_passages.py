"""Tests of finding the lines that speak of a recipient."""

import pytest

from bounced.parser.passages import Passage, find_hidden_origins, find_passages, split_quoted


@pytest.mark.parametrize(
    "line",
    [
        "----- Original message -----",
        "   ----- Unsent message follows -----",
        "--- Below this line is a copy of the message.",
        "------ This is a copy of the message, including all the headers. ------",
        "--- The header of the original message is following. ---",
        "   -- The header and top 20 lines of the message follows --",
        "Included is a copy of the message header:",
        "-------original mail info",
        "Your message reads (in part):",
        "--- Ursprüngliche Nachricht ---",
        "--- Mensaje original adjunto.",
        "-- Message d'origine --",
        "|--- Message text follows: ---|",
        "The first 50 lines of your original message follow:> Received: from mx.test",
    ],
)
def test_a_quoted_message_is_cut_off(line: str) -> None:
    assert split_quoted(f"failed:\n{line}\nTo: a@b.de") == ("failed:", "To: a@b.de")


@pytest.mark.parametrize(
    "line",
    [
        "The original message was received at Sat, 21 Nov 2026",
        "\tThe MTS-ID of the original message is: c=us",
        "Your message could not be delivered",
        "|--- Message log follows: ---|",
        "original message of max@firma.de",
    ],
)
def test_other_lines_are_no_quotation(line: str) -> None:
    assert split_quoted(f"a\n{line}\nb") == (f"a\n{line}\nb", "")


def test_a_header_field_begins_a_quotation_and_belongs_to_it() -> None:
    assert split_quoted("a\nReceived: by x\nTo: y") == ("a", "Received: by x\nTo: y")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "failed:\n\n<a@b.de>: 550 no\n  more\n\nend",
            [Passage("a@b.de", 3, "550 no\n  more")],
            id="Postfix",
        ),
        pytest.param(
            "failed:\n\n  a@b.de\n    host mx [192.0.2.1]\n    550 unknown:\n    a@b.de\n  c@d.de\n    551 no",
            [
                Passage("a@b.de", 3, "host mx [192.0.2.1]\n    550 unknown:\n    a@b.de"),
                Passage("c@d.de", 7, "551 no"),
            ],
            id="Exim with the address in the reply",
        ),
        pytest.param(
            "a@b.de\n    (generated from x@y.de)\n    550 no",
            [Passage("a@b.de", 1, "550 no", "x@y.de")],
            id="Exim redirection",
        ),
        pytest.param(
            "<a@b.de> (expanded from\n    <x@y.de>): 550 no",
            [Passage("a@b.de", 1, "550 no", "x@y.de")],
            id="Postfix expansion",
        ),
        pytest.param(
            "<a@b.de>:\nRemote host said: 550 no\n",
            [Passage("a@b.de", 1, "Remote host said: 550 no")],
            id="qmail",
        ),
        pytest.param("   * a@b.de\n", [Passage("a@b.de", 1, "")], id="a list"),
        pytest.param("'a@b.de', gone", [Passage("a@b.de", 1, "gone")], id="quoted"),
        pytest.param(
            "<a@b.de>... Deferred: later\n>>> QUIT",
            [Passage("a@b.de", 1, "Deferred: later")],
            id="Sendmail before its dialogue",
        ),
        pytest.param(
            "a@b.de<mailto:a@b.de>\nnot found",
            [Passage("a@b.de", 1, "not found")],
            id="Exchange link",
        ),
        pytest.param(
            "please contact\nhelp@b.de for more", [], id="a wrapped sentence names nobody"
        ),
        pytest.param("did not reach\na@b.de\n", [Passage("a@b.de", 2, "")], id="alone on a line"),
        pytest.param("mail to a@b.de failed", [], id="inside a sentence"),
        pytest.param("@\nx@\n", [], id="no address"),
    ],
)
def test_passages_begin_with_their_address(text: str, expected: list[Passage]) -> None:
    assert find_passages(text) == expected


def test_hidden_addresses_have_their_origin() -> None:
    text = "  an undisclosed address\n    (generated from a@b.de)\n    failed"
    assert find_hidden_origins(text) == [(2, "a@b.de")]
