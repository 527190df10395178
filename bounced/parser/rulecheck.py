"""Whether rule tables keep what they promise: examples won by their own rule, none shut out.

It also finds the pairs of rules between which the order decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from bounced.model import Action, Category, RecipientFacts, Reply
from bounced.parser.classify import Explanation, explain
from bounced.parser.folding import View
from bounced.parser.phrase import Phrase, Span
from bounced.parser.rule import Example, Findings, Rule, RuleSet
from bounced.parser.ruleset import Fault


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two rules that both match an example of one of them: which one wins is decided by order."""

    winner: Rule
    loser: Rule
    texts: tuple[str, ...]
    """The examples that both match."""

    @property
    def overruled(self) -> bool:
        """Whether an example of the loser is won by a rule of another file."""
        own = {example.text for example in self.loser.examples}
        return self.winner.file != self.loser.file and not own.isdisjoint(self.texts)


def check_rules(rules: RuleSet, files: Collection[str] | None = None) -> list[Fault]:
    """Return what is wrong: examples that another rule wins, rules that can never win.

    With `files`, only rules of these are checked: a site's rule may win what was ours.
    """
    faults: list[Fault] = []
    for place, rule in enumerate(rules.rules):
        if files is not None and rule.file not in files:
            continue
        faults.extend(_check_examples(rule, rules))
        shade = _find_shade(rule, rules.rules[:place], rules)
        if shade:
            why = (
                f"can never win: {shade.id} ({shade.file}) stands before it and takes every text "
                "that it matches; put it before that one, or narrow that one"
            )
            faults.append(Fault(rule.file, rule.id, None, why))
    return faults


def find_overlaps(rules: RuleSet, files: Collection[str] | None = None) -> list[Overlap]:
    """Return the pairs of one stage of which both match an example, in the order of the rules.

    Over stages, only what a rule of another file takes from a rule is told. With `files`, only
    pairs of which one rule stands in these.
    """
    texts: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    known = {rule.id: rule for rule in rules.rules}
    for rule in rules.rules:
        for example in rule.examples:
            for winner, loser in _find_pairs(rule, explain(build_facts(example), rules), known):
                if files is None or winner.file in files or loser.file in files:
                    texts[winner.id, loser.id][example.text] = None
    order = {rule.id: place for place, rule in enumerate(rules.rules)}
    return [
        Overlap(known[winner], known[loser], tuple(found))
        for (winner, loser), found in sorted(
            texts.items(), key=lambda pair: tuple(order[name] for name in pair[0])
        )
    ]


def build_facts(example: Example) -> RecipientFacts:
    """Return what a report that carries this example's reply would tell of its recipient."""
    reply = Reply(
        example.text,
        "example",
        smtp_code=example.smtp_code,
        status=example.status,
        host=example.host,
        command=example.command,
    )
    return RecipientFacts(
        action=Action.FAILED,
        status=example.status,
        smtp_code=example.smtp_code,
        remote_mta=example.host,
        replies=(reply,),
    )


def _check_examples(rule: Rule, rules: RuleSet) -> Iterator[Fault]:
    for example in rule.examples:
        told = explain(build_facts(example), rules)
        if told.verdict.rule == rule.id:
            continue
        winner = told.verdict.rule or "no rule"
        lost = next((each.lost for each in told.candidates if each.rule == rule.id), None)
        why = lost or "its own keys do not agree; mend the example, or the keys"
        yield Fault(rule.file, rule.id, "examples", f"{example.text!r} is won by {winner}: {why}")


def _find_pairs(
    own: Rule, told: Explanation, known: dict[str, Rule]
) -> Iterator[tuple[Rule, Rule]]:
    """Yield winner and loser where an example of `own` is matched by both."""
    if told.verdict.rule is None:
        return
    winner = known[told.verdict.rule]
    for candidate in told.candidates[1:]:
        loser = known[candidate.rule]
        taken = loser is own and winner.file != own.file
        if not candidate.vetoed and (loser.stage is winner.stage or taken):
            yield winner, loser


def _find_shade(rule: Rule, earlier: Iterable[Rule], rules: RuleSet) -> Rule | None:
    """Return the earlier rule that, by phrases alone, takes every text of this one's."""
    every = [_find_held(phrase, rules).words for phrase in rule.all]
    words = [_find_held(phrase, rules).words for phrase in rule.words]
    links = [_find_held(phrase, rules).links for phrase in rule.links]
    for other in earlier:
        if not _is_unconditional(other):
            continue
        if any(not other.words.isdisjoint(held) for held in every):
            return other
        if not rule.bare and not (
            any(other.words.isdisjoint(held) for held in words)
            or any(other.links.isdisjoint(held) for held in links)
        ):
            return other
    return None


def _is_unconditional(rule: Rule) -> bool:
    """Tell whether words or links are enough; a rule of `bad-address` may be vetoed."""
    return rule.category is not Category.BAD_ADDRESS and not (
        rule.beside
        or rule.all
        or rule.unless
        or rule.pattern
        or rule.hosts
        or rule.status
        or rule.codes
        or rule.commands
    )


def _find_held(inside: Phrase, rules: RuleSet) -> Findings:
    """Return the phrases that every text holds as whole words that holds this one."""
    text = inside.text
    findings = rules.find_phrases(View(text, text))

    def keep(found: Mapping[Phrase, Span]) -> dict[Phrase, Span]:
        return {
            phrase: span
            for phrase, span in found.items()
            if (span.start > 0 or inside.head or not phrase.head)
            and (span.end < len(text) or inside.tail or not phrase.tail)
        }

    return Findings(findings.view, keep(findings.words), keep(findings.links))
