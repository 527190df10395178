"""The rule tables that we ship."""

import re
from pathlib import Path

import pytest

import bounced.parser
from bounced.model import REASONS, Category
from bounced.parser.classify import classify
from bounced.parser.rule import STAGES, Example, Rule, Stage
from bounced.parser.rulecheck import build_facts, check_rules
from bounced.parser.ruleset import _EXAMPLE_KEYS, _RULE_KEYS, parse_rules

FOLDER = Path(bounced.parser.__file__).parent / "rules"
RULES = parse_rules({path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.toml"))})
EXAMPLES = [(rule, example) for rule in RULES.rules for example in rule.examples]


@pytest.mark.parametrize(
    ("rule", "example"), EXAMPLES, ids=[f"{rule.id}-{n}" for n, (rule, _) in enumerate(EXAMPLES)]
)
def test_every_example_is_won_by_its_own_rule(rule: Rule, example: Example) -> None:
    verdict = classify(build_facts(example), RULES)
    assert (verdict.rule, verdict.category, verdict.reason) == (
        rule.id,
        rule.category,
        rule.reason,
    )


def test_the_tables_have_no_problems() -> None:
    assert check_rules(RULES) == []


@pytest.mark.parametrize("category", [category for category in Category if category != "unknown"])
def test_every_reason_of_a_category_has_a_rule(category: Category) -> None:
    told = {rule.reason for rule in RULES.rules if rule.category is category}
    assert told == set(REASONS[category])


def test_every_stage_has_rules() -> None:
    assert {rule.stage for rule in RULES.rules} == set(Stage)


@pytest.mark.parametrize(
    "letters",
    [
        pytest.param(r"[äöüß]", id="German"),
        pytest.param(r"[éèêà]", id="French"),
        pytest.param(r"[ñóáí]", id="Spanish"),
        pytest.param(r"[łśżź]", id="Polish"),
        pytest.param(r"[ãõç]", id="Portuguese"),
        pytest.param(r"[ぁ-ん]", id="Japanese"),
        pytest.param(r"收件人", id="Chinese"),
        pytest.param(r"[а-я]", id="Russian"),
    ],
)
def test_every_language_has_examples_as_it_is_written(letters: str) -> None:
    assert any(re.search(letters, example.text) for _, example in EXAMPLES)


def test_no_rule_looks_at_a_reserved_domain() -> None:
    reserved = re.compile(r"\.(?:test|example)(?![a-z])")
    for rule in RULES.rules:
        looked_at = [phrase.text for phrase in (*rule.words, *rule.links, *rule.all)]
        assert not [text for text in (*looked_at, *rule.hosts) if reserved.search(text)], rule.id


def test_the_documentation_names_every_key_and_reason() -> None:
    text = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8").replace("°", "")
    for name in (*_RULE_KEYS, *_EXAMPLE_KEYS, *STAGES):
        assert f"`{name}`" in text or f"{name} = " in text
    for category, reasons in REASONS.items():
        listed = " ".join(f"`{reason}`" for reason in reasons)
        assert f"| `{category}` | {listed} |" in text


@pytest.mark.parametrize(
    "text",
    [
        "<a@b.example>: wrong charset",
        "<a@b.example>: unknown content encoding",
        "<a@b.example>: encryption missing",
        "<a@b.example> S/MIME key missing",
        "<a@b.example>: Recipient address rejected: missing MIME-Version",
        "<a@b.example>: Recipient address rejected: unknown client",
        "<a@b.example>: Recipient address rejected: unknown reason",
        "<a@b.example>: Recipient address rejected: unknown country",
        "<a@b.example>: Recipient address rejected: not listed in our partner table",
        "5.7.1 <a@b.example>: Recipient address rejected: Blocked by our policy",
        "<a@b.example>: You are not known here, ask the recipient to add you",
        "mail to <a@b.example> refused because you are not listed in the address book",
        "You are not a registered user of the list <liste@b.example>",
        "Only list members may post; address not found among subscribers",
        "User has set a rule that rejects unknown people",
        "Your own mailbox does not exist at b.example, so we cannot reply",
        "Your domain is unknown here",
        "5.1.1 The user account you authenticated with does not exist",
        "5.1.1 Errors-To address does not exist",
        "5.1.8 your domain: No MX for sender.example",
        "Envelope from refused: no mx for a@sender.example",
        "This is not a case of an unknown user; your server was refused",
        "Too many unknown users from your IP; try later",
        "This address does not accept messages larger than 5 MB",
        "mailbox is locked by another session",
        "mailbox is closed for deliveries while it is being moved",
        "mailbox is inactive for today because of maintenance",
        "link domain does not exist in body",
        "This message contains a link to an account that has been suspended",
        "the account that sent this was suspended",
        "Local configuration error: alias file does not exist",
        "mailbox error: database not found",
        "user's mail store cannot be located",
        "Relaying: domain not on this server",
        "relay denied: not our customer",
        "Access denied, banned recipient list applies to your server",
        "5.7.1 TRANSPORT.RULES.RejectMessage; the message had an unmonitored attachment type",
        "mail flow rule: message refused as the sender is no longer with the partner list",
        "5.5.1 Error: no valid recipients",
    ],
)
def test_a_text_that_does_not_speak_of_the_recipients_address_blames_nobody(text: str) -> None:
    for code in (550, 554):
        verdict = classify(build_facts(Example(f"{code} {text}")), RULES)
        assert verdict.category is not Category.BAD_ADDRESS
