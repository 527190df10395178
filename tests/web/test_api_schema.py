"""Schemathesis against the application: what the OpenAPI document says is what is answered.

The engine is driven as its command line drives it: examples, every limit, valid and invalid
data, chains of calls. Its pytest plugin does not know the pytest in use.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from tests.web.conftest import BEARER, House

PHASES = {"examples", "coverage", "fuzzing", "stateful"}


@pytest.mark.slow
def test_every_answer_is_as_the_document_says(sqlite_house: House) -> None:
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20261122,
            "headers": BEARER,
            "generation": {"max-examples": 50, "deterministic": True, "database": "none"},
            "cache": {"enabled": False},
            # 410: only a cursor that was given out is one, and no schema can say which these are.
            "checks": {
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", 401, 403, 404, 409, 410, "5xx"]
                }
            },
        }
    )
    document = schemathesis.openapi.from_asgi(
        "/openapi.json", sqlite_house.make_app(), config=config
    )
    tried, phases, failures = set[str](), set[str](), list[str]()
    for event in from_schema(document).execute():
        match event:
            case events.ScenarioFinished():
                tried.add(event.recorder.label)
                failures += list_failures(event)
            case events.PhaseFinished():
                phases |= {event.phase.name.value} if event.status is Status.SUCCESS else set()
            case events.NonFatalError() | events.FatalError():
                failures.append(repr(event))
    assert not failures, "\n\n".join(failures)
    assert phases >= PHASES
    assert len(tried) > document.statistic.operations.total  # every operation, and the chains


def list_failures(event: events.ScenarioFinished) -> Iterator[str]:
    """Yield what was found wrong, with the request that shows it."""
    for case, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                request = event.recorder.cases[case].value.as_curl_command()
                yield f"{event.phase.name}: {check.failure_info.failure}\n{request}"
