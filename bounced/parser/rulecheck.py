"""Whether rule tables keep what they promise: examples won by their own rule, none shut out."""

from __future__ import annotations

from collections.abc import Collection

from bounced.model import Action, Category, RecipientFacts, Reply
from bounced.parser.classify import classify
from bounced.parser.rule import Example, Phrase, Rule, RuleSet


def check_examples(rules: RuleSet, files: Collection[str] | None = None) -> list[str]:
    """Return what is wrong, in words: examples won by another rule, rules that can never win.

    With `files`, only rules of these are checked: a site's rule may win what was ours.
    """
    problems = []
    for place, rule in enumerate(rules.rules):
        if files is not None and rule.file not in files:
            continue
        for example in rule.examples:
            winner = classify(build_facts(example), rules).rule
            if winner != rule.id:
                problems.append(
                    f"{rule.file}: rule {rule.id}: examples: {example.text!r} is won by "
                    f"{winner or 'no rule'}"
                )
        shade = next((other for other in rules.rules[:place] if _shuts_out(other, rule)), None)
        if shade:
            problems.append(
                f"{rule.file}: rule {rule.id}: can never win: {shade.id} ({shade.file}) "
                "stands before it and takes every text that it matches"
            )
    return problems


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
