"""The labelled corpus, where it stands beside the checkout: what our verdicts must reach."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.corpus.__main__ import MOST_MOVE, Figures, measure
from tests.corpus.labelled import CORPUS, read_cases

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(
        not CORPUS.is_dir(), reason="the labelled corpus is not beside the checkout"
    ),
]


@pytest.fixture(scope="module")
def figures() -> Figures:
    return measure(read_cases())


def test_no_recipient_is_blamed_for_what_is_not_his_fault(figures: Figures) -> None:
    assert (figures.plain["blamed"], figures.masked["blamed"]) == (0, 0)


@pytest.mark.parametrize(
    ("figure", "least"),
    [
        ("class", 97),
        ("group", 98.5),
        ("address_recall", 99.5),
        ("address_precision", 99.5),
        ("bad-address_recall", 96),
        ("bad-address_precision", 97),
        ("spam-rejection_recall", 96),
        ("spam-rejection_precision", 97),
        ("auth-failure_recall", 96),
        ("auth-failure_precision", 97),
        ("delayed_recall", 95),
        ("not-bounce_recall", 100),
    ],
)
def test_verdicts_are_as_good_as_was_asked_for(
    figures: Figures, figure: str, least: float
) -> None:
    assert figures.plain[figure] >= least


def test_unknown_is_said_where_it_is_true(figures: Figures) -> None:
    assert figures.unknown_percent <= 2


def test_verdicts_do_not_lean_on_names(figures: Figures) -> None:
    assert figures.move <= MOST_MOVE


def test_the_command_line_answers_every_message() -> None:
    files = [str(CORPUS / "messages" / case.file) for case in read_cases()]
    done = subprocess.run(
        (sys.executable, "-m", "bounced", "classify", "--json", *files),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    answered = {json.loads(line)["source"].split("#")[0] for line in done.stdout.splitlines()}
    assert answered == set(files)
