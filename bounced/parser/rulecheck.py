"""Whether rule tables keep what they promise: examples won by their own rule, none shut out.

It also finds the pairs of rules between which the order decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bounced.model import Action, Category, RecipientFacts, Reply
from bounced.parser.classify import Explanation, explain
from bounced.parser.phrase import Phrase
from bounced.parser.rule import Example, Rule, RuleSet
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
        shade = next((other for other in rules.rules[:place] if _shuts_out(other, rule)), None)
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


def _shuts_out(earlier: Rule, later: Rule) -> bool:
    """Tell whether the earlier rule, by phrases alone, takes every text of the later one.

    A rule of `bad-address` may be vetoed, so it never shuts out another.
    """
    unconditional = not (
        earlier.beside
        or earlier.all
        or earlier.unless
        or earlier.pattern
        or earlier.hosts
        or earlier.status
        or earlier.codes
        or earlier.commands
    )
    if earlier.category is Category.BAD_ADDRESS or not unconditional:
        return False
    if any(_is_held(earlier.words, phrase) for phrase in later.all):
        return True
    return bool(later.words or later.links) and (
        all(_is_held(earlier.words, phrase) for phrase in later.words)
        and all(_is_held(earlier.links, phrase) for phrase in later.links)
    )


def _is_held(phrases: tuple[Phrase, ...], inside: Phrase) -> bool:
    """Tell whether a text that holds `inside` always holds one of the phrases as whole words."""
    for phrase in phrases:
        span = phrase.find(inside.text)
        if (
            span
            and (span.start > 0 or inside.head or not phrase.head)
            and (span.end < len(inside.text) or inside.tail or not phrase.tail)
        ):
            return True
    return False
