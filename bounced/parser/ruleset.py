"""How a rule table is written in TOML, and what is wrong with one that cannot be used.

A file names its stage once and holds `[[rule]]` tables; docs/rules.md tells the keys. Reading is
strict: a rule that would silently never match is worse than a daemon that does not start.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import NoReturn, TypeVar

from bounced.model import REASONS, Category, Reason, RuleError
from bounced.parser.folding import fold
from bounced.parser.phrase import Phrase, parse_phrase
from bounced.parser.rule import STAGES, Example, Rule, RuleSet, Stage, compile_rules

MAX_GAP = 20
MAX_GAPS = 2
MAX_REACH = 24
"""Characters that two gaps may span together; their product is what a hostile text costs."""
_MAX_PATTERN_CHARS = 600

_FILE_KEYS = ("stage", "rule")
_NEEDED_KEYS = ("id", "category", "reason", "source", "examples")
_PHRASE_KEYS = ("words", "links", "beside", "all", "unless")
_RULE_KEYS = (*_NEEDED_KEYS, *_PHRASE_KEYS, "hosts", "status", "commands", "codes", "pattern")
_EXAMPLE_KEYS = ("text", "host", "status", "smtp_code", "command")
_CONDITIONS = ("words", "links", "all", "status", "codes")

_ID = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_STATUS = re.compile(r"[245](?:\.\d{1,3}){2}|[245]\.(?:\d{1,3}\.)?\*")
COMMANDS = frozenset(
    {"CONNECT", "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH"} | {"MAIL FROM", "RCPT TO", "DATA"}
)
"""What a reply may answer, for `commands` and for whoever tries a text."""
LOWEST_CODE, HIGHEST_CODE = 200, 599

_QUANTIFIER = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<endless>[*+]|\{\d*,\})|(?P<counted>\)?\{\d*,?(\d*)\})"
)
_LEADING_CODE = re.compile(r"([245]\d\d)(?=[\s-])")
_ENHANCED = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a table, and the mend."""

    file: str
    rule: str | None
    """The rule's id, or its number in the file where it has none; None: the file itself."""
    key: str | None
    why: str

    def __str__(self) -> str:
        rule = f"rule {self.rule}" if self.rule else None
        return ": ".join(part for part in (self.file, rule, self.key, self.why) if part)


class TableError(RuleError):
    """Rule tables that cannot be used; tells the first fault of each key."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def parse_rules(files: Mapping[str, str]) -> RuleSet:
    """Read rule tables: file name to TOML text, in the order in which they are to be tried.

    A site's own files stand before ours. Raises TableError, which names file, rule, key and mend.
    """
    faults: list[Fault] = []
    rules = [rule for name, text in files.items() for rule in _parse_file(name, text, faults)]
    faults.extend(_find_repeats(rules))
    if faults:
        raise TableError(faults)
    return compile_rules(rules)


def _find_repeats(rules: Iterable[Rule]) -> Iterator[Fault]:
    """Yield the ids that are used again; the earlier file is at fault, since ours stand last."""
    seen: dict[str, str] = {}
    for rule in rules:
        if rule.id in seen:
            where = "again in this file" if seen[rule.id] == rule.file else f"in {rule.file} too"
            yield Fault(seen[rule.id], rule.id, "id", f"used {where}; choose another")
        seen[rule.id] = rule.file


def _refuse(file: str, rule: str, key: str, why: str) -> NoReturn:
    raise TableError([Fault(file, rule or None, key, why)])


def _parse_file(name: str, text: str, faults: list[Fault]) -> list[Rule]:
    """Return the sound rules of a file, and add what is wrong to the faults."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        faults.append(Fault(name, None, None, f"not TOML: {error}"))
        return []
    faults.extend(_find_misnamed(name, "", table, _FILE_KEYS, ("stage",)))
    stage = Stage.CODE  # read on, so that the rules' own mistakes are told too
    rules = []
    with _collect(faults):
        if "stage" in table:
            stage = _choose(name, "", "stage", table["stage"], Stage)
    with _collect(faults):
        for number, row in enumerate(_list_rows(name, table), 1):
            with _collect(faults):
                rules.append(_RuleReader(name, number, row).read(stage))
    return rules


@contextmanager
def _collect(faults: list[Fault]) -> Iterator[None]:
    """Go on behind a mistake, and add it to the faults."""
    try:
        yield
    except TableError as error:
        faults.extend(error.faults)


def _list_rows(name: str, table: Mapping[str, object]) -> list[Mapping[str, object]]:
    rows = table.get("rule", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        _refuse(name, "", "rule", "must be tables; write [[rule]] above each")
    return rows


def _find_misnamed(
    file: str,
    rule: str,
    table: Mapping[str, object],
    known: Sequence[str],
    needed: Sequence[str] = (),
) -> Iterator[Fault]:
    """Yield unknown keys, and needed ones that are missing; a key misspelt is one mistake."""
    mended = set()
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, 1)
            mended.update(near)
            mend = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            yield Fault(file, rule or None, key, f"unknown key; {mend}")
    for key in needed:
        if not table.get(key) and key not in mended:
            choice = f"; one of {', '.join(STAGES)}" if key == "stage" else ""
            yield Fault(file, rule or None, key, f"missing{choice}")


def _choose(file: str, rule: str, key: str, value: object, kind: type[_Choice]) -> _Choice:
    try:
        return kind(str(value))
    except ValueError:
        known = [str(member) for member in kind]
        near = get_close_matches(str(value), known, 1)
        mend = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
        _refuse(file, rule, key, f"{value!r} is not known; {mend}")


class _RuleReader:
    """Reads one `[[rule]]` table; every complaint names file, rule and key."""

    def __init__(self, file: str, number: int, table: Mapping[str, object]) -> None:
        self.file = file
        self.table = table
        self.rule = f"number {number}"

    def read(self, stage: Stage) -> Rule:
        """Return the rule; raises TableError with the first mistake of each key."""
        with suppress(TableError):  # without an id it is named by its number
            self.rule = self._id()
        faults = list(_find_misnamed(self.file, self.rule, self.table, _RULE_KEYS, _NEEDED_KEYS))
        if not faults:
            with _collect(faults):
                return self._read(stage)
        raise TableError([*faults, *self._find_more(faults)])

    def _read(self, stage: Stage) -> Rule:
        self._need_condition()
        category = self._category()
        return Rule(
            id=self._id(),
            file=self.file,
            stage=stage,
            category=category,
            reason=self._reason(category),
            source=self._text("source"),
            examples=self._examples(),
            words=self._phrases("words"),
            links=self._phrases("links"),
            beside=self._phrases("beside"),
            all=self._phrases("all"),
            unless=self._phrases("unless"),
            pattern=self._pattern(),
            hosts=tuple(fold(host).removeprefix("*.") for host in self._texts("hosts")),
            status=self._statuses(),
            codes=self._codes(),
            commands=self._commands(),
        )

    def _find_more(self, told: Sequence[Fault]) -> list[Fault]:
        """Return what else is wrong; each key is read once more, alone."""
        category = next((each for each in Category if each == self.table.get("category")), None)
        readers: dict[str, Callable[[], object]] = {
            "id": self._id,
            "category": self._category,
            "reason": lambda: self._reason(category),
            "source": lambda: self._text("source"),
            "examples": self._examples,
            **{key: partial(self._phrases, key) for key in _PHRASE_KEYS},
            "pattern": self._pattern,
            "hosts": lambda: self._texts("hosts"),
            "status": self._statuses,
            "codes": self._codes,
            "commands": self._commands,
        }
        found: list[Fault] = []
        for key, read in readers.items():
            if key in self.table:
                with _collect(found):
                    read()
        known = set(told)
        return [fault for fault in dict.fromkeys(found) if fault not in known]

    def _need_condition(self) -> None:
        if not any(self.table.get(key) for key in _CONDITIONS):
            self._refuse("words", f"a rule needs one of {', '.join(_CONDITIONS)}")

    def _id(self) -> str:
        identity = self._text("id") if "id" in self.table else ""
        if identity and not _ID.fullmatch(identity):
            self._refuse("id", f"{identity!r} must be lower-case words joined by hyphens")
        return identity or self.rule

    def _category(self) -> Category:
        return _choose(self.file, self.rule, "category", self.table["category"], Category)

    def _refuse(self, key: str, why: str) -> NoReturn:
        _refuse(self.file, self.rule, key, why)

    def _text(self, key: str) -> str:
        value = self.table[key]
        if not isinstance(value, str) or not value.strip():
            self._refuse(key, "must be a text that is not empty")
        return value

    def _texts(self, key: str) -> list[str]:
        value = self.table.get(key, [])
        if not isinstance(value, list):
            self._refuse(key, 'must be a list of texts, such as ["one", "two"]')
        for entry in value:
            if not isinstance(entry, str) or not entry.strip():
                self._refuse(key, f"{entry!r} must be a text that is not empty")
        return value

    def _reason(self, category: Category | None) -> Reason:
        reason = _choose(self.file, self.rule, "reason", self.table["reason"], Reason)
        fitting = REASONS[category] if category else tuple(Reason)
        if reason not in fitting:
            self._refuse("reason", f"{reason} is not of {category}; one of {', '.join(fitting)}")
        return reason

    def _phrases(self, key: str) -> frozenset[Phrase]:
        phrases = set()
        for text in self._texts(key):
            phrase = parse_phrase(text)
            if phrase is None:
                self._refuse(key, f"{text!r} needs a whole word, and * only at its end")
            phrases.add(phrase)
        return frozenset(phrases)

    def _statuses(self) -> tuple[str, ...]:
        for status in self._texts("status"):
            if not _STATUS.fullmatch(status):
                self._refuse(
                    "status", f"{status!r} is no enhanced code; write 5.7.1, 4.4.* or 4.*"
                )
        return tuple(self._texts("status"))

    def _codes(self) -> frozenset[int]:
        codes = self.table.get("codes", [])
        if not isinstance(codes, list):
            self._refuse("codes", "must be a list of numbers, such as [550, 554]")
        for code in codes:
            if type(code) is not int or not LOWEST_CODE <= code <= HIGHEST_CODE:
                self._refuse("codes", f"{code!r} is no reply code; write a number 200 to 599")
        return frozenset(codes)

    def _commands(self) -> frozenset[str]:
        for command in self._texts("commands"):
            if command not in COMMANDS:
                known = ", ".join(sorted(COMMANDS))
                self._refuse("commands", f"{command!r} is no command; one of {known}")
        return frozenset(self._texts("commands"))

    def _pattern(self) -> re.Pattern[str] | None:
        if "pattern" not in self.table:
            return None
        pattern = self._text("pattern")
        if len(pattern) > _MAX_PATTERN_CHARS:
            self._refuse(
                "pattern", f"longer than {_MAX_PATTERN_CHARS} characters; write two rules"
            )
        if not any(self.table.get(key) for key in ("words", "links", "all", "status")):
            self._refuse("pattern", "needs words, links, all or status beside it to be tried on")
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            self._refuse("pattern", f"not a regular expression: {error}")
        self._check_gaps(pattern)
        return compiled

    def _check_gaps(self, pattern: str) -> None:
        """Refuse what makes a pattern slow on hostile text."""
        reaches = []
        for found in _QUANTIFIER.finditer(pattern):
            if found["endless"]:
                self._refuse("pattern", f"{found[0]} has no end; write {{0,{MAX_GAP}}}")
            if not found["counted"]:
                continue
            if found["counted"].startswith(")"):
                self._refuse("pattern", "a counted group is slow; write it out")
            reaches.append(max(map(int, re.findall(r"\d+", found["counted"])), default=0))
            if reaches[-1] > MAX_GAP:
                self._refuse(
                    "pattern", f"{found['counted']} is wider than {MAX_GAP}; use all = [...]"
                )
        if len(reaches) > MAX_GAPS:
            self._refuse("pattern", f"more than {MAX_GAPS} counted gaps; use all = [...]")
        if sum(reaches) > MAX_REACH:
            self._refuse(
                "pattern", f"its gaps are wider than {MAX_REACH} together; narrow one of them"
            )

    def _examples(self) -> tuple[Example, ...]:
        examples = self.table["examples"]
        if not isinstance(examples, list):
            self._refuse("examples", "must be a list of replies")
        return tuple(self._example(example) for example in examples)

    def _example(self, example: object) -> Example:
        table = {"text": example} if isinstance(example, str) else example
        if not isinstance(table, dict):
            self._refuse("examples", f"{example!r} must be a text or a table with text")
        misnamed = list(_find_misnamed(self.file, self.rule, table, _EXAMPLE_KEYS))
        if misnamed:
            raise TableError(misnamed)
        texts = {key: table.get(key) for key in ("text", "host", "status", "command")}
        for key, value in texts.items():
            if not isinstance(value, str | None):
                self._refuse("examples", f"{key} {value!r} must be a text")
        code = table.get("smtp_code")
        if code is not None and type(code) is not int:
            self._refuse("examples", f"smtp_code {code!r} must be a number")
        text = texts["text"] or ""
        return Example(
            text=text,
            host=texts["host"],
            status=texts["status"] or parse_enhanced(text),
            smtp_code=code or parse_leading_code(text),
            command=texts["command"],
        )


def parse_leading_code(text: str) -> int | None:
    """Read the reply code (RFC 5321 §4.2) that a text begins with."""
    found = _LEADING_CODE.match(text)
    return int(found[1]) if found else None


def parse_enhanced(text: str) -> str | None:
    """Read the first enhanced status code (RFC 3463 §2) of a text."""
    found = _ENHANCED.search(text)
    return found[0] if found else None
