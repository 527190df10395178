"""A rule holds in every form: each example, told by each mail server, gets its rule's category."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bounced.parser
from bounced.model import Action, Category, Verdict
from bounced.parser.classify import classify
from bounced.parser.report import read_report
from bounced.parser.rule import Example, Rule
from bounced.parser.ruleset import parse_rules
from tests.parser.forms.known import FORMS
from tests.parser.forms.refusal import Refusal

FOLDER = Path(bounced.parser.__file__).parent / "rules"
RULES = parse_rules({path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.toml"))})
EXAMPLES = [(rule, example) for rule in RULES.rules for example in rule.examples]
RECIPIENT = "max.muster@receiver.test"

NAMES_NO_HOST = {"OpenSMTPD", "chasquid", "qmail", "James", "Amazon SES"}
NAMES_NO_COMMAND = {
    *("OpenSMTPD", "chasquid", "nullmailer", "Haraka", "ZoneMTA", "James", "maddy"),
    *("Exchange", "Gmail", "Domino", "Amazon SES", "PowerMTA"),
}
WRITES_NO_STATUS = {
    *("Exim", "OpenSMTPD", "Courier", "chasquid", "ZoneMTA", "Domino"),
    *("DragonFly Mail Agent", "qmail", "IONOS"),
}

_HEAD = re.compile(r"(?:smtp; ?)?([2-5]\d\d)([ -]|$)\s*(?:([245]\.\d{1,3}\.\d{1,3})(?:\s+|$))?")
_WIDTH = 60


def refuse(example: Example) -> Refusal:
    """Return the refusal behind an example, its lines taken apart, a long line broken in two."""
    head = _HEAD.match(example.text)
    if not head:
        # What names an address is a reply; the rest may be a relay's own words.
        lines: tuple[str, ...] = (example.text,)
        code, status = example.smtp_code or (550 if "@" in example.text else None), None
    else:
        code, status = int(head[1]), head[3]
        again = rf"\s+{code}[ -](?:{re.escape(status)}(?:\s+|$))?" if status else rf"\s+{code}[ -]"
        lines = tuple(re.split(again, example.text[head.end() :])) if head[2] == "-" else ()
        lines = lines or break_line(example.text[head.end() :])
    return Refusal(
        RECIPIENT,
        lines,
        code,
        status,
        told_status=example.status,
        host=example.host or "mx.receiver.test",
        command=example.command or "RCPT TO",
    )


def break_line(line: str) -> tuple[str, ...]:
    """Break a line before a capital letter behind the 60th column, as servers begin a sentence."""
    seam = re.compile(r"\s+(?=[A-Z][a-z])").search(line, _WIDTH)
    return (line[: seam.start()], line[seam.end() :]) if seam else (line,)


def can_carry(form: str, rule: Rule, example: Example) -> bool:
    """Tell whether a form can tell what the example stands on."""
    if rule.hosts and form in NAMES_NO_HOST:
        return False
    if rule.commands and form in NAMES_NO_COMMAND:
        return False
    told_apart = example.status is not None and example.status not in example.text
    return not (told_apart and rule.status and form in WRITES_NO_STATUS)


def judge(form: str, example: Example) -> Verdict:
    report = read_report(FORMS[form](refuse(example)))
    (facts,) = report.recipients
    assert (facts.recipient, facts.action) == (RECIPIENT, Action.FAILED)
    return classify(facts, RULES, reporting_mta=report.reporting_mta)


@pytest.mark.parametrize("form", FORMS)
def test_an_example_of_any_rule_keeps_its_category(form: str) -> None:
    wrong = {}
    for rule, example in EXAMPLES:
        verdict = judge(form, example)
        blamed = verdict.category is Category.BAD_ADDRESS and not rule.hosts
        if verdict.category is not rule.category and (blamed or can_carry(form, rule, example)):
            wrong[example.text] = (rule.id, str(verdict.category), verdict.rule)
    assert wrong == {}


def test_few_examples_are_more_than_a_form_can_carry() -> None:
    lost = [
        (form, rule.id)
        for form in FORMS
        for rule, example in EXAMPLES
        if not can_carry(form, rule, example)
    ]
    assert len(lost) < len(EXAMPLES) * len(FORMS) / 100


@pytest.mark.parametrize("form", sorted(FORMS.keys() - WRITES_NO_STATUS))
@pytest.mark.parametrize(
    ("told", "said", "category"),
    [
        ("5.0.0", "550 5.1.1 No such user here", Category.BAD_ADDRESS),
        ("5.7.0", "550 The mailbox is over quota", Category.MAILBOX_FULL),
        (
            "4.0.0",
            "Host or domain name not found. Name service error: NXDOMAIN",
            Category.BAD_ADDRESS,
        ),
    ],
)
def test_where_status_and_text_disagree_the_text_decides(
    form: str, told: str, said: str, category: Category
) -> None:
    assert judge(form, Example(said, status=told)).category is category
