"""The labelled corpus beside the checkout, and its own scorer."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from bounced.cli.messages import describe_message
from bounced.processor.worker import Parsed, Parser

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

Row = dict[str, Any]
"""One label as it stands in labels.jsonl."""


@dataclass(frozen=True)
class Case:
    """A message with its label."""

    row: Row
    raw: bytes

    @property
    def file(self) -> str:
        name: str = self.row["file"]
        return name


def read_cases() -> list[Case]:
    """Return all messages with their labels; raises FileNotFoundError where there is no corpus."""
    lines = (CORPUS / "labels.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [Case(row, (CORPUS / "messages" / row["file"]).read_bytes()) for row in rows]


def parse_all(parser: Parser, cases: Iterable[Case]) -> dict[str, Parsed]:
    """Return file → what it says."""
    return {case.file: parser.parse(case.raw) for case in cases}


def score(cases: Iterable[Case], parsed: Mapping[str, Parsed]) -> dict[str, float]:
    """Return the corpus scorer's figures in percent, and its counts.

    `class`, `group`, `address_recall`, `address_precision`, for each class `<class>_recall` and
    `<class>_precision`; `recipients` and `blamed` are counts.
    """
    answers = {file: describe_message(file, found) for file, found in parsed.items()}
    counts, classes, _ = _load_scorer().score([case.row for case in cases], answers)
    return {
        "recipients": counts["recipients"],
        "blamed": counts["blamed"],
        "class": _percent(counts["class_ok"], counts["recipients"]),
        "group": _percent(counts["group_ok"], counts["recipients"]),
        "address_recall": _percent(counts["address_hit"], counts["address_gold"]),
        "address_precision": _percent(counts["address_right"], counts["address_said"]),
        **{f"{name}_recall": _percent(n["found"], n["gold"]) for name, n in classes.items()},
        **{f"{name}_precision": _percent(n["right"], n["said"]) for name, n in classes.items()},
    }


def predict(file: str, parsed: Parsed) -> list[tuple[set[str], str, str]]:
    """Return the scorer's reading of an answer: addresses, the first of them, class."""
    found: list[tuple[set[str], str, str]] = _load_scorer().predicted(
        describe_message(file, parsed)
    )
    return found


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


@cache
def _load_scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus_score", CORPUS / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
