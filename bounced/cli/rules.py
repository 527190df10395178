"""`bounced rules`: whether rule files hold, which rule takes a text, which rules there are."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

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
from bounced.parser.ruleset import COMMANDS, Fault, TableError, parse_enhanced, parse_rules
from bounced.processor.rule_files import OURS, read_rule_file, read_rule_files

rules_app = typer.Typer(no_args_is_help=True, help="The rules that decide why a mail bounced.")
_CODE = re.compile(r"[2-5][0-9]{2}")
_HOST = re.compile(r"[^\W_](?:[\w-]|\.(?=[\w-]))*\.?|\[?[0-9A-Fa-f:.]+\]?")
_FEW = 10
"""So many pairs that overlap are shown without being asked for."""


@rules_app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Rule files, or folders of them [default: all that are in force].",
        ),
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
    tables = _read_tables(load(config).rules.directories, paths or [])
    rules = _parse_tables(tables, as_json=as_json)
    faults = check_rules(rules, tables.named or None)
    pairs = find_overlaps(rules, tables.named or None)
    files = sorted(tables.named or tables.files)
    checked = [rule for rule in rules.rules if rule.file in files]
    empty = [file for file in files if all(rule.file != file for rule in checked)]
    if as_json:
        print_rows(map(_describe_fault, faults))
        print_rows(map(_describe_overlap, pairs))
        print_rows({"finding": "empty", "file": file} for file in empty)
        print_json(_describe_sum(checked, faults, files))
    else:
        for fault in faults:
            say(f"wrong    {show(fault)}")
        _tell_overlaps(pairs, all_pairs=overlaps or bool(tables.named))
        for file in empty:
            say(f"empty    {show(file)} holds no rule; write [[rule]] above each")
        say(_tell_sum(_describe_sum(checked, faults, files)))
    if faults:
        raise typer.Exit(Exit.FOUND)


@rules_app.command("test")
def try_text(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A server's reply, or - for stdin.")],
    host: Annotated[str | None, typer.Option("--host", help="The host that said it.")] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", help="The report's Status field; a status in TEXT goes before."),
    ] = None,
    smtp_code: Annotated[
        str | None,
        typer.Option("--smtp-code", metavar="CODE", help="Its reply code, in place of TEXT's."),
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", help="What it answered, such as 'RCPT TO'.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    r"""Say which rule takes a reply, by which words, and which others match.

    Lines of the reply may be parted by line ends or \n. Reply code and status are read from the
    text; --smtp-code replaces the code, --status counts where the text has no status of its own.
    Exits 0 whatever the verdict is.
    """
    beside = _read_beside(host, status, smtp_code, command)
    said = sys.stdin.buffer.read().decode(errors="replace") if text == STDIN else text
    reply = make_reply(said.replace("\\n", "\n"), "text", host=beside.host, command=beside.command)
    if reply is None:
        raise InputError("there is no word in the text")
    facts = _make_facts(reply, beside)
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


@rules_app.command("show")
def show_rule(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule's id.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one rule whole, as its file says it."""
    files = read_rule_files(load(config).rules.directories)
    found = next((found for found in parse_rules(files).rules if found.id == rule), None)
    if found is None:
        raise InputError(f"{rule}: no rule of that id; bounced rules list shows all")
    rows = tomllib.loads(files[found.file])["rule"]
    keys = next(row for row in rows if row["id"] == rule)
    if as_json:
        print_json({"file": found.file, "stage": found.stage.value} | keys)
        return
    say(f'# {show(found.file)}, stage = "{found.stage}"\n[[rule]]')
    for key, value in keys.items():
        say(f"{key} = {_write_value(value)}")


def _write_value(value: object) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_write_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_write_value(each)}' for key, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _read_rules(config: Path | None) -> RuleSet:
    return parse_rules(read_rule_files(load(config).rules.directories))


class _Tables(NamedTuple):
    """Rule files in the order in which they are tried."""

    files: dict[str, str]
    named: set[str]
    """Those that were asked for."""
    unread: list[Fault]


def _read_tables(directories: Sequence[Path], paths: Sequence[Path]) -> _Tables:
    """Read all files; one that is in force already keeps its place, another stands before all."""
    in_force = read_rule_files(directories)
    places = {path.resolve(): path.name for path in OURS.glob("*.toml")}
    places |= {Path(name).resolve(): name for name in in_force.keys() - set(places.values())}
    added: dict[str, str] = {}
    tables = _Tables(added, set(), [])
    for path in chain.from_iterable(map(_list_files, paths)):
        name = places.get(path.resolve(), str(path))
        if name in in_force and path.resolve() not in places:
            name = str(path.resolve())  # called like one of ours
        tables.named.add(name)
        if name not in in_force:
            try:
                added[name] = read_rule_file(path)
            except RuleError as error:
                why = str(error).removeprefix(f"{path}: ")
                tables.unread.append(Fault(name, None, None, why))
    return tables._replace(files=added | in_force)


def _list_files(path: Path) -> list[Path]:
    """Return the rule files of a folder, or the file itself; raises InputError."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.toml"))
    if not files:
        raise InputError(f"{path}: a folder without files *.toml")
    return files


def _parse_tables(tables: _Tables, *, as_json: bool) -> RuleSet:
    """Read the tables; raises TableError, or InputError where a named file is at fault."""
    faults = list(tables.unread)
    try:
        rules = parse_rules(tables.files)
    except TableError as error:
        faults.extend(error.faults)
    if not faults:
        return rules
    if as_json:
        print_rows(map(_describe_fault, faults))
    wrong = TableError(faults)
    raise InputError(str(wrong)) if any(fault.file in tables.named for fault in faults) else wrong


class _Beside(NamedTuple):
    """What a report would tell beside a reply's text."""

    host: str | None
    status: str | None
    smtp_code: int | None
    command: str | None


def _read_beside(
    host: str | None, status: str | None, smtp_code: str | None, command: str | None
) -> _Beside:
    """Read the options as a rule file's keys are read; raises typer.BadParameter (exit 64)."""
    said = command.upper() if command is not None else None
    if said is not None and said not in COMMANDS:
        known = ", ".join(sorted(COMMANDS))
        raise typer.BadParameter(f"--command {command}: no command; one of {known}")
    if status is not None and parse_enhanced(status) != status:
        raise typer.BadParameter(f"--status {status}: no enhanced code; write one such as 5.7.1")
    code = int(smtp_code) if smtp_code is not None and _CODE.fullmatch(smtp_code) else None
    if smtp_code is not None and code is None:
        raise typer.BadParameter(
            f"--smtp-code {smtp_code}: no reply code; write a number 200 to 599"
        )
    if host is not None and not _HOST.fullmatch(host):
        raise typer.BadParameter(
            f"--host {host}: no host; write its name or address, such as mx.example.com"
        )
    return _Beside(host, status, code, said)


def _make_facts(reply: Reply, beside: _Beside) -> RecipientFacts:
    heard = replace(
        reply,
        status=reply.status or beside.status,
        smtp_code=beside.smtp_code or reply.smtp_code,
    )
    return RecipientFacts(action=Action.FAILED, status=beside.status, replies=(heard,))


def _tell_sum(found: Mapping[str, Any]) -> str:
    counted = [
        f"{found[name]} {name if found[name] != 1 else name.removesuffix('s')}"
        for name in ("rules", "files", "examples")
    ]
    return "{} wrong: {} in {}, {}".format(found["wrong"] or "nothing", *counted)


def _describe_sum(
    rules: Sequence[Rule], faults: Sequence[Fault], files: Sequence[str]
) -> dict[str, Any]:
    return {
        "finding": "sum",
        "wrong": len(faults),
        "rules": len(rules),
        "files": len(files),
        "examples": sum(len(rule.examples) for rule in rules),
    }


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
