"""`python -m tests.corpus`: what the corpus says of the rules, and whether they lean on names.

Prints the class figure of the messages as they are and with recipients' local parts and `.test`
domains replaced by constants, how often `unknown` is said, and how many rules rest on one text.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bounced.parser.folding import read_view
from bounced.parser.report import HeaderNames
from bounced.parser.rule import RuleSet
from bounced.parser.ruleset import parse_rules
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Parsed, Parser
from tests.corpus.labelled import CORPUS, Case, parse_all, predict, read_cases, score
from tests.corpus.masking import Mask

MOST_MOVE = 0.3


@dataclass(frozen=True)
class Figures:
    """How the corpus is answered."""

    plain: Mapping[str, float]
    """The scorer's figures of the messages as they are."""
    masked: Mapping[str, float]
    changed: tuple[str, ...]
    """Messages whose answer is another when masked."""
    unknown_percent: float
    """Of the recipients labelled otherwise, for how many `unknown` is said."""
    texts: Mapping[str, frozenset[str]]
    """Rule → the distinct texts on which it wins; every rule is in it."""

    @property
    def move(self) -> float:
        """By how much the class figure moves, in points of percent."""
        return abs(self.plain["class"] - self.masked["class"])


def measure(cases: list[Case]) -> Figures:
    """Answer all messages twice, as they are and masked."""
    rules = parse_rules(read_rule_files([]))
    parser = Parser(rules, HeaderNames())
    masked = [Mask(case).mask_case(case) for case in cases]
    answers, masked_answers = parse_all(parser, cases), parse_all(parser, masked)
    return Figures(
        plain=score(cases, answers),
        masked=score(masked, masked_answers),
        changed=tuple(
            case.file
            for case in cases
            if _list_classes(answers[case.file]) != _list_classes(masked_answers[case.file])
        ),
        unknown_percent=_measure_unknown(cases, answers),
        texts=_collect_texts(rules, answers.values()),
    )


def _list_classes(parsed: Parsed) -> list[str]:
    return sorted(answer[2] for answer in predict("", parsed))


def _measure_unknown(cases: Iterable[Case], answers: Mapping[str, Parsed]) -> float:
    known = said = 0
    for case in cases:
        found = predict(case.file, answers[case.file])
        for label in case.row["recipients"]:
            if {label["class"], *label["also"]} & {"unknown", "any-bounce"}:
                continue
            known += 1
            accepted = set(label["accept"])
            said += any(
                kind == "unknown" and (addresses & accepted or len(found) == 1)
                for addresses, _, kind in found
            )
    return 100 * said / known


def _collect_texts(rules: RuleSet, answers: Iterable[Parsed]) -> dict[str, frozenset[str]]:
    texts: defaultdict[str, set[str]] = defaultdict(set)
    for parsed in answers:
        for facts, verdict in zip(parsed.report.recipients, parsed.verdicts, strict=True):
            if verdict is None or verdict.rule is None:
                continue
            said = [reply.text for reply in facts.replies if reply.where == verdict.where]
            texts[verdict.rule].add(_level(said[0] if said else verdict.evidence or ""))
    return {rule.id: frozenset(texts[rule.id]) for rule in rules.rules}


def _level(text: str) -> str:
    """Return a text without what differs from mail to mail: whatever holds a digit."""
    return " ".join(re.findall(r"\b[^\W\d_]+\b", read_view(text).words))


def main() -> int:
    """Print the figures; 1 where the class figure moves by more than 0.3."""
    options = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    options.add_argument("--list", action="store_true", help="name rules and messages too")
    names = options.parse_args()
    try:
        cases = read_cases()
    except FileNotFoundError:
        sys.stderr.write(f"the labelled corpus is not there: {CORPUS}\n")
        return 2
    figures = measure(cases)
    counts = {number: _list_rules(figures, number) for number in (0, 1)}
    for name, scored in (("messages as they are", figures.plain), ("masked", figures.masked)):
        print(f"{scored['class']:8.2f}  class, {name} ({scored['blamed']} blamed)")
    print(f"{figures.move:8.2f}  move (at most {MOST_MOVE})")
    print(f"{len(figures.changed):8}  messages answered otherwise when masked")
    print(f"{figures.unknown_percent:8.2f}  percent told unknown that are labelled otherwise")
    print(f"{len(figures.texts):8}  rules")
    print(f"{len(counts[1]):8}  of them win on exactly one distinct text")
    print(f"{len(counts[0]):8}  of them win on none here")
    if names.list:
        for title, found in (("one text", counts[1]), ("no text", counts[0])):
            print(f"{title}: {' '.join(found)}")
        print("otherwise when masked:", *figures.changed)
    return int(figures.move > MOST_MOVE)


def _list_rules(figures: Figures, number: int) -> list[str]:
    return [rule for rule, texts in figures.texts.items() if len(texts) == number]


if __name__ == "__main__":
    sys.exit(main())
