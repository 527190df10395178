"""Of DMARC records that do not count, what their owner meant is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.advisor.dmarc_record import keep_policy

REPORTS = "mailto:reports@firma.example"
OURS = "mailto:dmarc@app.example"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], f"v=DMARC1; p=none; rua={OURS}"),
        (["v=DMARC1"], f"v=DMARC1; p=none; rua={OURS}"),
        (
            ["v=DMARC1; p=reject", f"v=DMARC1; p=none; rua={REPORTS}"],
            f"v=DMARC1; p=none; rua={REPORTS}",
        ),
        (
            [
                f"v=DMARC1; p=quarantine; rua={REPORTS}",
                "v=DMARC1; p=reject; rua=mailto:b@x.example",
            ],
            f"v=DMARC1; p=quarantine; rua={REPORTS},mailto:b@x.example",
        ),
        (
            [
                f"v=DMARC1; p=reject; rua={REPORTS}",
                f"v=DMARC1; p=reject; rua={REPORTS} , {OURS}!10m",
            ],
            f"v=DMARC1; p=reject; rua={REPORTS},{OURS}!10m",
        ),
        (
            ["v=DMARC1; p=none; sp=reject", "v=DMARC1; p=none; sp=none"],
            f"v=DMARC1; p=none; sp=none; rua={OURS}",
        ),
        (
            ["v=DMARC1; p=rejct; aspf=s", "v=DMARC1; p=reject; adkim=s"],
            f"v=DMARC1; p=reject; adkim=s; rua={OURS}",
        ),
        (
            ["v=DMARC1; p=rejct; aspf=S; adkim=x; pct=50; ruf=mailto:f@firma.example,nowhere"],
            f"v=DMARC1; p=none; aspf=s; rua={OURS}; ruf=mailto:f@firma.example",
        ),
        (["v=DMARC1; p=reject; np=rejct"], f"v=DMARC1; p=none; rua={OURS}"),
        (['"v=DMARC1; p=reject; sp=reject"'], f"v=DMARC1; p=none; rua={OURS}"),
        (["V=dmarc1; P=Reject; P=none; fo=1:d"], f"v=DMARC1; p=none; fo=1:d; rua={OURS}"),
    ],
)
def test_the_mildest_record_is_kept_with_the_reports_of_all(
    texts: list[str], expected: str
) -> None:
    assert keep_policy(texts, OURS) == expected


def test_without_anybody_to_report_to_there_is_no_report() -> None:
    assert keep_policy(["v=DMARC1"], "") == "v=DMARC1; p=none"


def test_the_record_fits_into_one_string() -> None:
    texts = [
        f"v=DMARC1; p=none; rua=mailto:{'a' * 60}{number}@firma.example" for number in "12345"
    ]
    record = keep_policy(texts, "")
    assert record.count("mailto:") == 2
    assert len(record) <= 255


_TAGS = [*("v=DMARC1", "p=", "sp=", "np=", "rua=", "mailto:a@b", "none", "reject", "rejct")]
_TAGS += [*(";", ",", '"', "\\", "!", ":", "adkim=", "s")]


@given(st.lists(st.lists(st.one_of(st.sampled_from(_TAGS), st.characters())).map(" ".join)))
def test_whatever_stood_there_the_record_is_one_line_with_a_policy(texts: list[str]) -> None:
    record = keep_policy(texts, "")
    assert record.startswith(("v=DMARC1; p=none", "v=DMARC1; p=quarantine", "v=DMARC1; p=reject"))
    assert record.isascii()
    assert record.isprintable()
    assert '"' not in record
