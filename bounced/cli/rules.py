"""`bounced rules`: whether rule files hold, which rule takes a text, which rules there are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bounced.cli.options import ConfigOption, Exit, InputError, JsonOption, load
from bounced.cli.output import print_json, print_list, print_rows, say, show
from bounced.cli.verdicts import (
    describe_candidates,
    describe_replies,
    describe_verdict,
    print_replies,
    print_verdict,
)
from bounced.listener.files import STDIN
from bounced.model import Action, Category, RecipientFacts, Reply, RuleError
from bounced.parser.classify import explain
from bounced.parser.evidence import make_reply
from bounced.parser.rule import Rule, RuleSet
from bounced.parser.rulecheck import Overlap, check_rules, find_overlaps
from bounced.parser.ruleset import Fault, TableError, parse_rules
from bounced.processor.rule_files import OURS, read_rule_file, read_rule_files

rules_app = typer.Typer(no_args_is_help=True, help="The rules that decide why a mail bounced.")
_FEW = 10
"""So many pairs that overlap are shown without being asked for."""


@rules_app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Rule files [default: all that are in force]."),
    ] = None,
    overlaps: Annotated[
        bool, typer.Option("--overlaps", help="List every pair that overlaps.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say whether rule files hold: keys, examples, rules that can never win, pairs that overlap.

    A file is checked as if it were in force, before our own rules. Two rules overlap where both
    match an example, so that their order decides; that is told, and is no mistake. Exits 1 when
    an example is lost or a rule can never win, 65 when a file is no rule file.
    """
    files, named = _read_tables(load(config).rules.directories, paths or [])
    rules = _parse_tables(files, named, as_json=as_json)
    faults = check_rules(rules, named or None)
    pairs = find_overlaps(rules, named or None)
    if as_json:
        print_rows(map(_describe_fault, faults))
        print_rows(map(_describe_overlap, pairs))
    else:
        checked = [rule for rule in rules.rules if not named or rule.file in named]
        _tell_check(checked, faults, pairs, all_pairs=overlaps or bool(named))
    if faults:
        raise typer.Exit(Exit.FOUND)


@rules_app.command("test")
def try_text(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A server's reply, or - for stdin.")],
    host: Annotated[str | None, typer.Option("--host", help="The host that said it.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="The report's Status, such as 5.1.1.")
    ] = None,
    smtp_code: Annotated[
        int | None, typer.Option("--smtp-code", min=200, max=599, help="Its reply code.")
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", help="What it answered, such as 'RCPT TO'.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    r"""Say which rule takes a reply, by which words, and which others match.

    Lines of the reply may be parted by line ends or \n. Code and status are read from the text
    unless given. Exits 0 whatever the verdict is.
    """
    said = sys.stdin.buffer.read().decode(errors="replace") if text == STDIN else text
    reply = make_reply(
        said.replace("\\n", "\n"), "text", host=host, command=command.upper() if command else None
    )
    if reply is None:
        raise InputError("there is no word in the text")
    facts = _make_facts(reply, status, smtp_code)
    explained = explain(facts, _read_rules(config))
    if as_json:
        verdict = describe_verdict(explained.verdict)
        candidates = describe_candidates(explained)
        print_json(
            {"reply": describe_replies(facts.replies)[0]} | verdict | {"candidates": candidates}
        )
        return
    print_replies(facts, explained)
    print_verdict(explained)


@rules_app.command("list")
def list_rules(
    category: Annotated[
        Category | None, typer.Option("--category", help="Only of this category.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the rules in the order in which they are tried."""
    rules = [
        rule for rule in _read_rules(config).rules if category is None or rule.category is category
    ]
    if as_json:
        print_rows(map(_describe_rule, rules))
        return
    print_list(
        ("rule", "stage", "verdict", "source", "file"),
        [
            (rule.id, rule.stage, f"{rule.category} / {rule.reason}", rule.source, rule.file)
            for rule in rules
        ],
        fold=("source", "file"),
        nothing="no rules",
    )


def _read_rules(config: Path | None) -> RuleSet:
    return parse_rules(read_rule_files(load(config).rules.directories))


def _read_tables(
    directories: Sequence[Path], paths: Sequence[Path]
) -> tuple[dict[str, str], set[str]]:
    """Return all files in the order in which they are tried, and the names of those asked for.

    A file that is in force already keeps its place, another stands before all.
    """
    in_force = read_rule_files(directories)
    places = {path.resolve(): path.name for path in OURS.glob("*.toml")}
    places |= {Path(name).resolve(): name for name in in_force.keys() - set(places.values())}
    added: dict[str, str] = {}
    named = set()
    for path in paths:
        name = places.get(path.resolve(), str(path))
        named.add(name)
        if name not in in_force:
            try:
                added[name] = read_rule_file(path)
            except RuleError as error:
                raise InputError(str(error)) from None
    return added | in_force, named


def _parse_tables(files: dict[str, str], named: set[str], *, as_json: bool) -> RuleSet:
    """Read the tables; raises TableError, or InputError where a named file is at fault."""
    try:
        return parse_rules(files)
    except TableError as error:
        if as_json:
            print_rows(map(_describe_fault, error.faults))
        if any(fault.file in named for fault in error.faults):
            raise InputError(str(error)) from None
        raise


def _make_facts(reply: Reply, status: str | None, smtp_code: int | None) -> RecipientFacts:
    heard = replace(reply, status=reply.status or status, smtp_code=smtp_code or reply.smtp_code)
    return RecipientFacts(action=Action.FAILED, status=status, replies=(heard,))


def _tell_check(
    rules: Sequence[Rule], faults: Sequence[Fault], pairs: Sequence[Overlap], *, all_pairs: bool
) -> None:
    for fault in faults:
        say(f"wrong    {show(fault)}")
    _tell_overlaps(pairs, all_pairs=all_pairs)
    files = {rule.file for rule in rules}
    examples = sum(len(rule.examples) for rule in rules)
    say(
        f"{len(faults) or 'nothing'} wrong: {len(rules)} rules in {len(files)} files, "
        f"{examples} examples"
    )


def _tell_overlaps(pairs: Iterable[Overlap], *, all_pairs: bool) -> None:
    told = [_tell_overlap(pair) for pair in pairs]
    if all_pairs or len(told) <= _FEW:
        for line in told:
            say(f"overlap  {line}")
    else:
        say(
            f"overlap  {len(told)} pairs of rules match an example together; --overlaps lists them"
        )


def _tell_overlap(pair: Overlap) -> str:
    winner, loser = pair.winner, pair.loser
    verb = "overrules" if pair.overruled else "wins over"
    verdicts = [f"{rule.category} / {rule.reason}" for rule in (winner, loser)]
    same = verdicts[0] == verdicts[1]
    verdict = "the same verdict" if same else ", not ".join(verdicts)
    more = f" and {len(pair.texts) - 1} more" if len(pair.texts) > 1 else ""
    return show(
        f"{winner.id} ({winner.file}) {verb} {loser.id} ({loser.file}), {verdict}: "
        f'"{pair.texts[0]}"{more}'
    )


def _describe_fault(fault: Fault) -> dict[str, Any]:
    return {
        "finding": "wrong",
        "file": fault.file,
        "rule": fault.rule,
        "key": fault.key,
        "detail": fault.why,
    }


def _describe_overlap(pair: Overlap) -> dict[str, Any]:
    return {
        "finding": "overrules" if pair.overruled else "overlap",
        "file": pair.winner.file,
        "rule": pair.winner.id,
        "stage": pair.winner.stage.value,
        "other_file": pair.loser.file,
        "other_rule": pair.loser.id,
        "other_stage": pair.loser.stage.value,
        "examples": list(pair.texts),
    }


def _describe_rule(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.id,
        "stage": rule.stage.value,
        "category": rule.category.value,
        "reason": rule.reason.value,
        "source": rule.source,
        "file": rule.file,
        "examples": [example.text for example in rule.examples],
    }
