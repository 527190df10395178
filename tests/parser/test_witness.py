"""Tests of asking flufl.bounce."""

import flufl.bounce
import pytest

from bounced.parser.witness import _as_text, ask_witness


def test_the_witness_names_who_stands_in_the_text() -> None:
    headers = {"from": "postmaster@x.test", "subject": "Undeliverable\n Mail", "date": "x"}
    text = "Invalid final delivery userid: max@firma.de\n"
    assert ask_witness(headers, text) == (("max@firma.de",), None)


def test_a_text_without_address_is_not_shown() -> None:
    assert ask_witness({}, "nobody") == ((), None)


@pytest.mark.parametrize("said", [{b"unknown"}, {b"other@firma.de"}, {b"\xff@firma.de"}])
def test_what_does_not_stand_in_the_text_is_not_believed(
    said: set[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flufl.bounce, "all_failures", lambda _: (set(), said))
    assert ask_witness({}, "unknown max@firma.de") == ((), None)


def test_a_failing_witness_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise IndexError

    monkeypatch.setattr(flufl.bounce, "all_failures", fail)
    assert ask_witness({}, "max@firma.de") == ((), "flufl.bounce failed: IndexError")


def test_text_and_bytes_are_read_alike() -> None:
    assert (_as_text("<a@b.de>"), _as_text(b"<a@b.de>")) == ("a@b.de", "a@b.de")
