"""The advice on domains as they are found in the wild, asked of real name servers.

NSD serves them from the root on, Unbound resolves, Mail::SPF judges what we propose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bounced.advisor.senders import is_mended
from bounced.diagnosis import read_diagnosis
from tests.mta.conditions import need_name_servers
from tests.zones.authority import Zone, replace_records
from tests.zones.case import ADDRESSES, Case
from tests.zones.cases import CASES, list_zones
from tests.zones.liars import LIES
from tests.zones.network import Network, run_network

pytestmark = [pytest.mark.mta, pytest.mark.slow]

Diagnoses = Mapping[str, Any]
"""Public form of the diagnosis, by name of the case."""

SPF_RECORD = "v=spf1"
STRANGER = "233.252.0.9"
"""An address that no record speaks of."""
SHORT = "200ms"
"""For questions that nobody answers rightly."""
WITH_RECORD = tuple(
    case for case in CASES if case.zones and any(SPF_RECORD in each[2] for each in case.records)
)
WITH_ADDRESSES = tuple(case for case in CASES if case.passing)
MENDED = tuple(case for case in CASES if case.records and case.zones)
"""Whose advice can be followed: who owns the zone."""
A_FEW = tuple(
    case
    for case in CASES
    if case.name in {"fail-all", "several", "none", "keys-own", "policy-none"}
)


def each(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    need_name_servers()
    with run_network() as running:
        yield running


@pytest.fixture(scope="module")
def found(network: Network) -> tuple[Diagnoses, Mapping[tuple[str, str], str]]:
    """What is said of the zones as they are: the advice, and Mail::SPF by case and address."""
    network.serve(list_zones())
    return diagnose_all(network, CASES), evaluate_all(network, WITH_ADDRESSES)


@pytest.fixture(scope="module")
def advised(found: tuple[Diagnoses, Mapping[tuple[str, str], str]]) -> Diagnoses:
    return found[0]


@pytest.fixture(scope="module")
def followed(
    network: Network, advised: Diagnoses
) -> tuple[Diagnoses, Mapping[tuple[str, str], str]]:
    """What is said when all have followed the advice."""
    zones = {zone.origin: zone for zone in list_zones()}
    for case in MENDED:
        for record in advised[case.name]["records"]:
            publish(zones, record)
    network.serve(list(zones.values()))
    return diagnose_all(network, MENDED), evaluate_all(network, WITH_RECORD)


@pytest.fixture(scope="module")
def lied(network: Network) -> Mapping[str, list[Any]]:
    """What is said of a few domains by the word of each liar."""
    return network.diagnose_by_liars([case.ask() for case in A_FEW], SHORT)


def publish(zones: dict[str, Zone], record: Mapping[str, str]) -> None:
    """Do with a record what the author is told to."""
    origin = max((each for each in zones if f".{record['name']}".endswith(f".{each}")), key=len)
    value = record["value"] if record["type"] == "TXT" else f"{record['value']}."
    if record["type"] == "TXT" and not value.startswith('"'):
        value = f'"{value}"'
    is_spf = SPF_RECORD in value
    zones[origin] = replace_records(
        zones[origin], record["name"], record["type"], value, spf=is_spf
    )


def diagnose_all(network: Network, cases: tuple[Case, ...]) -> Diagnoses:
    """Ask apart about those whose servers are dead: each question ends at the timeout."""
    diagnoses: dict[str, Any] = {}
    for is_dead, patience in ((False, "10s"), (True, SHORT)):
        asked = [case for case in cases if case.is_dead is is_dead]
        answers = network.diagnose([case.ask() for case in asked], patience)
        diagnoses |= dict(zip((case.name for case in asked), answers, strict=True))
    return diagnoses


def evaluate_all(network: Network, cases: tuple[Case, ...]) -> Mapping[tuple[str, str], str]:
    """Return what Mail::SPF says by case and address: of ours, of those that pass, of a stranger."""
    asked = [
        (case, address) for case in cases for address in (*ADDRESSES, *case.passing, STRANGER)
    ]
    results = network.evaluate([(case.mail_from, address) for case, address in asked])
    return {
        (case.name, address): result
        for (case, address), result in zip(asked, results, strict=True)
    }


def tell(diagnosis: Any) -> dict[str, Any]:
    """Return of a diagnosis what a case says; of several SPF findings the first is the verdict."""
    states: dict[str, list[str]] = {}
    for finding in diagnosis["findings"]:
        states.setdefault(finding["check"], []).append(finding["state"])
    return {
        "fix": diagnosis["fix"],
        "freemail": diagnosis["freemail"],
        "spf": states.get("spf", [None])[0],
        "dkim": " ".join(sorted(set(states.get("dkim", [])))) or None,
        "dmarc": " ".join(states.get("dmarc", [])) or None,
        "return_path": " ".join(states.get("return-path", [])) or None,
        "records": [tuple(record.values()) for record in diagnosis["records"]],
        "lookups": (diagnosis["lookups_before"], diagnosis["lookups_after"]),
        "hoster": diagnosis["hoster"],
    }


@each(*CASES)
def test_advice_is_exact(case: Case, advised: Diagnoses) -> None:
    assert tell(advised[case.name]) == {
        "fix": case.fix,
        "freemail": case.freemail,
        "spf": case.spf,
        "dkim": case.dkim,
        "dmarc": case.dmarc,
        "return_path": case.return_path,
        "records": list(case.records),
        "lookups": case.lookups,
        "hoster": case.hoster,
    }


@each(*WITH_ADDRESSES)
def test_addresses_that_must_pass_after_pass_before_too(
    case: Case, found: tuple[Diagnoses, Mapping[tuple[str, str], str]]
) -> None:
    """Else the test below would say nothing."""
    assert {found[1][case.name, address] for address in case.passing} == {"pass"}


@each(*WITH_RECORD)
def test_a_record_that_is_proposed_passes_for_us_and_for_whom_passed_before(
    case: Case, followed: tuple[Diagnoses, Mapping[tuple[str, str], str]]
) -> None:
    asked = (*ADDRESSES, *case.passing)
    assert {each: followed[1][case.name, each] for each in asked} == dict.fromkeys(asked, "pass")


@each(*WITH_RECORD)
def test_a_record_that_is_proposed_can_be_evaluated_for_strangers(
    case: Case, followed: tuple[Diagnoses, Mapping[tuple[str, str], str]]
) -> None:
    assert followed[1][case.name, STRANGER] in case.stranger


@each(*MENDED)
def test_a_case_is_mended_when_its_advice_was_followed(
    case: Case,
    advised: Diagnoses,
    followed: tuple[Diagnoses, Mapping[tuple[str, str], str]],
) -> None:
    before, after = (
        read_diagnosis(json.dumps(each[case.name])) for each in (advised, followed[0])
    )
    assert before is not None
    assert after is not None
    assert after.fix is not before.fix
    assert is_mended(before, after) is (case.remains is None)
    assert case.remains in {None, after.fix.value}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_resolver_is_not_believed(lie: str, lied: Mapping[str, list[Any]]) -> None:
    """No lie is read as a missing record, and no advice stands on it."""
    assert_nothing_is_said(lied[lie])


def test_a_resolver_that_hangs_or_is_gone_is_not_believed(network: Network) -> None:
    network.serve([])
    network.freeze_resolver()
    questions = [case.ask() for case in A_FEW]
    assert_nothing_is_said(network.diagnose(questions, SHORT))
    network.end_resolver()
    assert_nothing_is_said(network.diagnose(questions, SHORT))


def assert_nothing_is_said(answers: list[Any]) -> None:
    assert len(answers) == len(A_FEW)
    for answer in answers:
        assert answer["fix"] == "not-checked"
        assert answer["records"] == []
        assert {finding["state"] for finding in answer["findings"]} == {"not-checked"}
