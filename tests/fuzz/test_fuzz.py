"""A small, fixed part of the fuzz run; `make fuzz` is the whole of it."""

from __future__ import annotations

import pytest

from bounced.parser.report import HeaderNames
from bounced.parser.ruleset import parse_rules
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Parser
from tests.fuzz.checking import find_fault
from tests.fuzz.mutations import make_mutant
from tests.fuzz.seeds import make_seeds

COUNT = 1_500
SEED = 0
BATCHES = 10

PARSER = Parser(parse_rules(read_rule_files([])), HeaderNames())
SEEDS = make_seeds(PARSER.rules)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutated_messages_are_read_and_judged_without_fault(batch: int) -> None:
    for number in range(batch, COUNT, BATCHES):
        raw = make_mutant(SEEDS, SEED, number).raw
        assert (number, find_fault(PARSER.parse(raw), PARSER)) == (number, None)
