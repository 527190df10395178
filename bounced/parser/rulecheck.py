"""Whether rule tables keep what they promise: examples won by their own rule, none shut out.

It also finds the pairs of rules between which the order decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from bounced.model import Action, Category, RecipientFacts, Reply
from bounced.parser.classify import Explanation, explain
from bounced.parser.folding import View, read_view
from bounced.parser.phrase import Phrase, Span
from bounced.parser.rule import Example, Findings, Rule, RuleSet
from bounced.parser.ruleset import Fault

_NONE = "none of its phrases stands in it"


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
        faults.extend(_find_dead_phrases(rule))
        faults.extend(_check_examples(rule, rules))
        shade = _find_shade(rule, rules.rules[:place], rules)
        if shade:
            why = (
                f"can never win: {shade.id} ({shade.file}) stands before it and takes every text "
                f"that it matches; {_mend_shade(rule, shade)}"
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


def _find_dead_phrases(rule: Rule) -> Iterator[Fault]:
    """Yield the phrases that hold what no text holds when it is read as words."""
    keys = {"words": rule.words, "beside": rule.beside, "all": rule.all, "unless": rule.unless}
    for key, phrases in keys.items():
        for phrase in sorted(phrases):
            goes_on = phrase.text if phrase.tail else f"{phrase.text}x"
            read = read_view(goes_on).words
            if read != goes_on:
                instead = f"write {read!r}" if read else "use status or codes"
                why = (
                    f"{phrase.text!r} cannot match: codes are left out of the words, addresses, "
                    f"hosts and URLs are masked; {instead}"
                )
                yield Fault(rule.file, rule.id, key, why)


def _check_examples(rule: Rule, rules: RuleSet) -> Iterator[Fault]:
    for example in rule.examples:
        told = explain(build_facts(example), rules)
        if told.verdict.rule == rule.id:
            continue
        candidate = next((each for each in told.candidates if each.rule == rule.id), None)
        if candidate is not None:
            winner = told.verdict.rule or "no rule"
            why = f"is won by {winner}: {candidate.lost}"
        else:
            why = f"is not matched by its own rule: {_find_disagreement(rule, example, rules)}"
        yield Fault(rule.file, rule.id, "examples", f"{example.text!r} {why}")


def _find_disagreement(rule: Rule, example: Example, rules: RuleSet) -> str:
    """Return the first key of a rule that does not agree with its own example, and the mend."""
    for key, agrees, beside in (
        ("hosts", rule.match_host([example.host.lower()] if example.host else []), "host"),
        ("commands", not rule.commands or example.command in rule.commands, "command"),
        ("codes", not rule.codes or example.smtp_code in rule.codes, "smtp_code"),
        ("status", rule.match_status(example.status), "status"),
    ):
        if not agrees:
            has = getattr(example, beside) or "none"
            return f"{key}: its {beside} is {has}; write a table, {{text = ..., {beside} = ...}}"
    findings = rules.find_phrases(read_view(example.text))
    words, links = findings.words.keys(), findings.links.keys()
    absent = sorted(phrase.text for phrase in rule.all - words)
    unwanted = sorted(phrase.text for phrase in rule.unless & words)
    for key, agrees, why in (
        ("words", rule.bare or bool(rule.words & words or rule.links & links), _NONE),
        ("beside", not rule.beside or bool(rule.beside & words), _NONE),
        ("all", not absent, f"{absent[:1]} does not stand in it"),
        ("unless", not unwanted, f"{unwanted[:1]} stands in it"),
    ):
        if not agrees:
            named = key if key != "words" or rule.words else "links"
            return f"{named}: {why}; mend the example, or the key"
    return "pattern: it is found nowhere in the words; mend the example, or the key"


def _mend_shade(rule: Rule, shade: Rule) -> str:
    if shade.stage is not rule.stage:
        return f'put it into a file with stage = "{shade.stage}", or choose other words'
    if shade.file != rule.file:
        return "give its file a name that sorts before that one, or choose other words"
    return "put it before that one, or narrow that one"


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
