"""What a diagnosis lets everybody say of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    DnsRecord,
    Fix,
    State,
    is_watched,
    read_diagnosis,
    write_diagnosis,
)

OURS = Diagnosis(
    domain="bau.example",
    mail_from_domain="bounce.example.com",
    checked_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    identity=None,
    fix=Fix.OURS,
    freemail=False,
)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((State.FAIL,), True),
        ((State.MISSING,), True),
        ((State.NOT_CHECKED,), True),
        ((State.PASS, State.BROKEN), True),
        ((), True),
        ((State.PASS,), False),
        ((State.WARNING, State.PASS), False),
    ],
)
def test_what_we_have_to_mend_is_watched_unless_spf_is_in_order(
    states: tuple[State, ...], *, expected: bool
) -> None:
    spf = tuple(DiagnosisFinding(Check.SPF, state, "") for state in states)
    dkim = DiagnosisFinding(Check.DKIM, State.PASS, "")
    assert is_watched(replace(OURS, findings=(dkim, *spf))) is expected


def test_what_is_published_in_dns_is_watched_and_nothing_else() -> None:
    passing = (DiagnosisFinding(Check.SPF, State.PASS, ""),)
    watched = {fix for fix in Fix if is_watched(replace(OURS, fix=fix, findings=passing))}
    assert watched == {
        Fix.PUBLISH_SPF,
        Fix.MERGE_SPF,
        Fix.PUBLISH_DKIM,
        Fix.RETURN_PATH_CNAME,
        Fix.PUBLISH_DMARC,
    }


def test_what_a_newer_version_says_besides_is_left_out() -> None:
    said = replace(
        OURS,
        findings=(DiagnosisFinding(Check.SPF, State.PASS, "v=spf1 -all"),),
        records=(DnsRecord("bau.example", "TXT", "v=spf1 ~all", "v=spf1 -all"),),
    )
    kept = json.loads(write_diagnosis(said))
    for each in (kept, kept["findings"][0], kept["records"][0]):
        each["newer"] = 1
    assert read_diagnosis(json.dumps(kept)) == said


@pytest.mark.parametrize("name", ["fix", "domain", "records"])
def test_what_lacks_a_key_or_has_an_unknown_value_cannot_be_read(name: str) -> None:
    kept = json.loads(write_diagnosis(OURS))
    assert read_diagnosis(json.dumps({**kept, "fix": "newer"})) is None
    assert read_diagnosis(json.dumps({**kept, "checked_at": 1})) is None
    del kept[name]
    assert read_diagnosis(json.dumps(kept)) is None
