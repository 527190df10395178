"""Texts that are meant as SPF records: which they are, and what is read of them."""

from __future__ import annotations

import pytest

from bounced.advisor.spf.mend import find_records, read_records
from bounced.advisor.spf.terms import write_record


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((), ()),
        (("v=DMARC1; p=none", "hello", "spf2.0/pra -all", "v=spf10 a", "v=spf1.0 a"), ()),
        (("x", "v=spf1 a", "V=SPF1"), ("V=SPF1", "v=spf1 a")),
        (("v=spf1;a", "v=spf1 a"), ("v=spf1 a",)),
        (("v=spf1;a", " v=spf1 a", '"v = SPF1 a'), (" v=spf1 a", '"v = SPF1 a', "v=spf1;a")),
        (("the record is v=spf1 a",), ()),
    ],
)
def test_what_is_meant_as_a_record_counts_where_none_is_right(
    texts: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert find_records(texts) == found


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("v=spf1 a:%{l1r,}.a.test,mx -all", ["v=spf1 a:%{l1r,}.a.test mx -all"]),
        ("v=spf1 foo=a,b;c a;b.test", ["v=spf1 foo=a,b;c a"]),
        ("v=spf1 exists:a,b.%{i}.test a -all", ["v=spf1 exists:a,b.%{i}.test a -all"]),
        ("v=spf1 foo='a' -all", ["v=spf1 foo='a' -all"]),
        ("v=spf1 a -all v=spf1 v = spf1; mx", ["v=spf1 a -all", "v=spf1 mx"]),
        ("v=spf1v=spf1 a -all", ["v=spf1 a -all"]),
        ("v=spf1 redirect= a.test", ["v=spf1 redirect=a.test"]),
        ("v=spf1 include a.test", ["v=spf1 include:a.test"]),
        ("v=spf1 redirect a.test", ["v=spf1 redirect=a.test"]),
    ],
)
def test_terms_are_told_from_what_parts_them(text: str, records: list[str]) -> None:
    assert [write_record(each) for each in read_records((text,)).records] == records
