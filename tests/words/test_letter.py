"""The letter to the web host says what he needs, and nothing that is for the author."""

from __future__ import annotations

from dataclasses import replace

from tests.words.told import (
    MERGE,
    SPF,
    UNALIGNED,
    tell,
)


def test_the_message_to_the_web_host_holds_every_record_and_nothing_else() -> None:
    assert (
        tell(UNALIGNED, language="en").message
        == """\
Hello,

Please add these 2 records to the DNS of firma.example:

Name: s1._domainkey.firma.example
Type: CNAME
Value: s1.dkim.baudoku.example

Name: s2._domainkey.firma.example
Type: CNAME
Value: s2.dkim.baudoku.example

All names and targets are complete (FQDN, without a dot at the end). All other records stay as \
they are.

Thank you and kind regards
"""
    )


def test_a_letter_speaks_to_the_web_host_himself() -> None:
    long = replace(SPF, value='"v=spf1 mx " "~all"')
    domain = "xn--mller-kva.example"
    for diagnosis in (
        replace(MERGE, records=(long,)),
        replace(UNALIGNED, domain=domain),
        replace(MERGE, domain=domain, records=(), lookups_before=11),
    ):
        letter = str(tell(diagnosis).message)
        assert "Webhoster" not in letter
        assert letter.isascii() or "müller" not in letter
    assert "aus mehreren Zeichenketten zu je höchstens 255 Zeichen" in str(
        tell(replace(MERGE, records=(long,))).message
    )
    assert f"im DNS von {domain} diese 2" in str(tell(replace(UNALIGNED, domain=domain)).message)
