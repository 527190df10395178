"""How records are shown, and what of an old SPF record is no longer in the new one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.diagnosis import DnsRecord
from bounced.words.records import MAX_LEFT_OUT, MAX_VALUE_CHARS, list_left_out
from tests.words.told import (
    DMARC,
    MERGE,
    SPF,
    UNALIGNED,
    tell,
)

LONGER = "v=spf1 a mx ip4:192.0.2.7 include:spf.post.example include:spf.ours.example ~all"
SPLIT = f'"{LONGER[:30]}" "{LONGER[30:]}"'


@pytest.mark.parametrize("new", [LONGER, SPLIT], ids=["one string", "two strings"])
@pytest.mark.parametrize(
    ("old", "gone"),
    [
        ("v=spf1 a mx include:spf.post.example -all", ()),
        ("v=spf1 a include:spf.gone.example ~all", ("include:spf.gone.example",)),
        ("v=spf1 a include:x.spf.post.example ~all", ("include:x.spf.post.example",)),
        ("v=spf1 a:gone.example a:gone.example mx ptr +all", ("a:gone.example", "ptr")),
        ("v=spf1 +A ?MX ~include:SPF.POST.example ?all", ()),
        ("v=spf1 redirect=spf.post.example", ()),
        ("v=spf1 ipv4:192.0.2.7 include: spf.post.example - all", ()),
        ("v=spf1 ip4:192.0.2.7include:spf.post.example~all", ()),
        ("v=spf1 a,mx,ip4:192.0.2.7 ~all", ()),
        ("v=spf1 a;mx;ptr,~all", ("ptr",)),
        ("v=spf1 exists:%{i,}.gone.example", ("exists:%{i,}.gone.example",)),
        ("v=spf1 include:f\u00fcr.example hello", ("hello",)),
        ("v=spf1 a\nv=spf1 include:spf.gone.example", ("include:spf.gone.example",)),
        (None, ()),
    ],
)
def test_what_is_lost_is_named_and_what_is_written_otherwise_is_not(
    old: str | None, gone: tuple[str, ...], new: str
) -> None:
    assert list_left_out(DnsRecord("firma.example", "TXT", new, old)) == gone


def test_of_an_endless_list_the_beginning_is_named() -> None:
    old = " ".join(f"a:host{n}.gone.example" for n in range(99))
    assert len(list_left_out(DnsRecord("firma.example", "TXT", LONGER, old))) == MAX_LEFT_OUT


def test_without_a_record_nothing_is_lost() -> None:
    assert list_left_out(None) == ()


@given(st.text(), st.text())
def test_whatever_stood_there_what_is_named_is_one_word_of_it(value: str, old: str) -> None:
    for word in list_left_out(DnsRecord("firma.example", "TXT", value, old)):
        assert word in old
        assert word.isascii()


def test_the_purpose_of_records_of_one_kind_is_told_once() -> None:
    told = tell(replace(UNALIGNED, records=(*UNALIGNED.records, DMARC)))
    first, second, third = (record.purpose for record in told.records)
    assert str(first).startswith("Diese 2 Einträge führen")
    assert second is None
    assert str(third).startswith("Dieser Eintrag sagt, was mit E-Mails geschehen soll")


def test_a_value_in_several_strings_comes_with_how_to_enter_it() -> None:
    record = replace(SPF, value='"v=spf1 mx " "~all"')
    (told,) = tell(replace(MERGE, records=(record,))).records
    assert told.value == '"v=spf1 mx " "~all"'
    assert "die Anführungszeichen gehören dazu" in str(told.note)


@pytest.mark.parametrize(
    ("hoster", "domain", "names"),
    [
        ("ionos", "firma.example", ["@", "s1._domainkey", "_dmarc", None]),
        ("ionos", "news.firma.example", [None] * 4),
        ("all-inkl", "firma.example", [None] * 4),
        (None, "firma.example", [None] * 4),
    ],
)
def test_a_name_is_shortened_where_the_hosters_form_adds_the_domain(
    hoster: str | None, domain: str, names: list[str | None]
) -> None:
    records = (SPF, UNALIGNED.records[0], DMARC, replace(SPF, name="other.example"))
    told = tell(replace(MERGE, domain=domain, hoster=hoster, records=records))
    assert [record.short_name for record in told.records] == names
    assert [record.short_label for record in told.records] == [
        "Name bei IONOS" if name else None for name in names
    ]
    assert "Manche Webhoster ergänzen" in str(told.hint)


@pytest.mark.parametrize(
    "value",
    [
        "v=spf1 mx\n~all",
        "v=spf1 \u202emx ~all",
        "v=spf1 include:\u0455pf.example ~all",
        "v=spf1 mx\0 ~all",
        "v=spf1  mx ~all",
        "v" * (MAX_VALUE_CHARS + 1),
        "v" * 65536,
    ],
)
def test_a_record_that_could_not_be_copied_as_it_is_is_not_shown(value: str) -> None:
    told = tell(replace(MERGE, records=(DMARC, replace(SPF, value=value))))
    assert told.records == ()
    assert told.message is None
    assert told.action.startswith("Den passenden Eintrag konnten wir nicht")


def test_what_goes_is_cut_where_it_is_endless() -> None:
    record = replace(SPF, replaces="\n".join(["v=spf1 " + "x" * 65536] * 99 + ["\u202e \0"]))
    (told,) = tell(replace(MERGE, records=(record,))).records
    assert len(told.replaces) == 10
    assert {len(line) for line in told.replaces} == {1000}


def test_what_a_new_record_has_no_longer_is_said() -> None:
    old = "v=spf1 mx include:gone.post.example ipv4:192.0.2.7 -all"
    new = "v=spf1 mx ip4:192.0.2.7 include:spf.baudoku.example ~all"
    told = tell(replace(MERGE, records=(replace(SPF, value=new, replaces=old),)))
    said = "Weggelassen ist, was ungültig ist oder ins Leere führt: include:gone.post.example."
    assert said in told.action
    assert said in str(told.message)
    assert "Weggelassen" not in tell(MERGE).action
