"""The labelled corpus, where it stands beside the checkout: verdicts, addresses, and no crash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(
        not CORPUS.is_dir(), reason="the labelled corpus is not beside the checkout"
    ),
]


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    done = subprocess.run(
        (
            sys.executable,
            CORPUS / "score.py",
            "--json",
            "--",
            sys.executable,
            "-m",
            "bounced",
            "classify",
            "--json",
        ),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    figures: dict[str, Any] = json.loads(done.stdout)["all"]
    return figures


def test_every_message_is_answered(figures: dict[str, Any]) -> None:
    assert figures["no_answer"] == 0


def test_no_recipient_is_blamed_for_what_is_not_his_fault(figures: dict[str, Any]) -> None:
    assert figures["blamed"] == 0


def test_verdicts_stay_as_good_as_they_are(figures: dict[str, Any]) -> None:
    assert figures["class"] >= 95
    assert figures["address_recall"] >= 99.5
    assert figures["address_precision"] >= 99.5
    assert figures["not-bounce_recall"] == 100
