"""What a rule file says, and what is wrong with one that cannot be used."""

import pytest

from bounced.model import Category, Reason, RuleError
from bounced.parser.rule import Example, Stage
from bounced.parser.ruleset import TableError, parse_enhanced, parse_leading_code, parse_rules

GOOD = {
    "id": '"mail-full"',
    "category": '"mailbox-full"',
    "reason": '"mailbox-full"',
    "source": '"RFC 3463 §3.3"',
    "words": '["Over  Quota"]',
    "examples": '["552 5.2.2 over quota"]',
}


def write(stage: str = 'stage = "language"\n', **changes: str | None) -> str:
    rows = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return stage + "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())


def test_a_rule_is_read_with_every_key() -> None:
    text = write(
        links='["x.de/full"]',
        all='["box"]',
        unless='["sending quota"]',
        hosts='["*.X.de"]',
        status='["5.2.2", "4.*", "4.2.*"]',
        codes="[552]",
        commands='["RCPT TO"]',
        pattern="'over.{0,20}quota'",
        examples='["452-4.2.2 over", {text = "full", host = "mx.x.de", status = "5.2.2", '
        'smtp_code = 552, command = "RCPT TO"}]',
    )
    rule = parse_rules({"site.toml": text}).rules[0]
    assert (rule.id, rule.file, rule.stage) == ("mail-full", "site.toml", Stage.LANGUAGE)
    assert (rule.category, rule.reason) == (Category.MAILBOX_FULL, Reason.MAILBOX_FULL)
    assert [phrase.text for phrase in (*rule.words, *rule.links, *rule.all, *rule.unless)] == [
        "over quota",
        "x.de/full",
        "box",
        "sending quota",
    ]
    assert (rule.hosts, rule.status) == (("x.de",), ("5.2.2", "4.*", "4.2.*"))
    assert (rule.codes, rule.commands) == (frozenset({552}), frozenset({"RCPT TO"}))
    assert rule.pattern is not None
    assert rule.pattern.pattern == "over.{0,20}quota"
    assert rule.examples == (
        Example("452-4.2.2 over", None, "4.2.2", 452, None),
        Example("full", "mx.x.de", "5.2.2", 552, "RCPT TO"),
    )


def test_a_file_without_rules_is_empty() -> None:
    assert parse_rules({"empty.toml": 'stage = "receiver"'}).rules == ()


def test_rules_of_one_stage_stand_in_the_order_of_the_files() -> None:
    site = write(id='"site"')
    ours = write(id='"ours"')
    assert [rule.id for rule in parse_rules({"z.toml": site, "a.toml": ours}).rules] == [
        "site",
        "ours",
    ]


BROKEN = [
    ("no TOML", "stage = ", "f.toml: not TOML: "),
    (
        "unknown key of the file",
        'stages = "code"',
        "f.toml: stages: unknown key; did you mean stage?",
    ),
    (
        "missing stage",
        "rule = []",
        "f.toml: stage: missing; one of receiver, language, status, code",
    ),
    (
        "unknown stage",
        'stage = "languages"',
        "f.toml: stage: 'languages' is not known; did you mean language?",
    ),
    ("stage of a wrong type", "stage = 1", "f.toml: stage: 1 is not known; one of receiver"),
    (
        "one table instead of many",
        'stage = "code"\n[rule]\nid = "x"',
        "f.toml: rule: must be tables; write [[rule]] above each",
    ),
    ("rule of a wrong type", 'stage = "code"\nrule = [1]', "f.toml: rule: must be tables"),
    (
        "unknown key",
        write(word='["x"]'),
        "f.toml: rule mail-full: word: unknown key; did you mean words?",
    ),
    (
        "far key",
        write(qqq="1"),
        "f.toml: rule mail-full: qqq: unknown key; known are id, category",
    ),
    ("missing id", write(id=None), "f.toml: rule number 1: id: missing"),
    ("id of a wrong type", write(id="1"), "f.toml: rule number 1: id: must be a text"),
    (
        "bad id",
        write(id='"Mail Full"'),
        "id: 'Mail Full' must be lower-case words joined by hyphens",
    ),
    ("missing source", write(source=None), "f.toml: rule mail-full: source: missing"),
    (
        "blank source",
        write(source='" "'),
        "f.toml: rule mail-full: source: must be a text that is",
    ),
    ("missing examples", write(examples="[]"), "f.toml: rule mail-full: examples: missing"),
    (
        "no condition",
        write(words=None),
        "words: a rule needs one of words, links, all, status, codes",
    ),
    (
        "unknown category",
        write(category='"mailbox-ful"'),
        "category: 'mailbox-ful' is not known; did you mean mailbox-full?",
    ),
    ("unknown reason", write(reason='"spff"'), "reason: 'spff' is not known; did you mean spf?"),
    (
        "reason of another category",
        write(reason='"spf"'),
        "reason: spf is not of mailbox-full; one of mailbox-full",
    ),
    ("words as a text", write(words='"quota"'), "words: must be a list of texts, such as"),
    ("number among words", write(words="[1]"), "words: 1 must be a text that is not empty"),
    ("empty word", write(words='["  "]'), "words: '  ' must be a text that is not empty"),
    (
        "star inside",
        write(words='["a*b"]'),
        "words: 'a*b' needs a whole word, and * only at its end",
    ),
    ("bad status", write(status='["5.x"]'), "status: '5.x' is no enhanced code; write 5.7.1"),
    (
        "codes as a number",
        write(codes="550"),
        "codes: must be a list of numbers, such as [550, 554]",
    ),
    ("code as a text", write(codes='["550"]'), "codes: '550' is no reply code; write a number"),
    ("code as a truth", write(codes="[true]"), "codes: True is no reply code"),
    ("code out of range", write(codes="[600]"), "codes: 600 is no reply code"),
    ("unknown command", write(commands='["RCPT"]'), "commands: 'RCPT' is no command; one of AUTH"),
    ("bad pattern", write(pattern="'('"), "pattern: not a regular expression: "),
    ("long pattern", write(pattern=f"'{'a' * 601}'"), "pattern: longer than 600 characters"),
    (
        "pattern alone",
        write(words=None, codes="[550]", pattern="'a'"),
        "pattern: needs words, links, all or status beside it",
    ),
    ("endless gap", write(pattern="'a.*b'"), "pattern: * has no end; write {0,20}"),
    ("endless counted gap", write(pattern="'a.{3,}b'"), "pattern: {3,} has no end"),
    ("wide gap", write(pattern="'a.{0,21}b'"), "pattern: {0,21} is wider than 20"),
    ("wide exact count", write(pattern="'a{60}'"), "pattern: {60} is wider than 20"),
    ("counted group", write(pattern="'(?:ab){2}'"), "pattern: a counted group is slow"),
    (
        "wide gaps",
        write(pattern="'a.{0,20}b.{0,5}c'"),
        "pattern: its gaps are wider than 24 together; narrow one of them",
    ),
    ("many gaps", write(pattern="'a.{0,2}b.{0,2}c.{0,2}d'"), "pattern: more than 2 counted gaps"),
    ("examples as a text", write(examples='"x"'), "examples: must be a list of replies"),
    (
        "example as a number",
        write(examples="[1]"),
        "examples: 1 must be a text or a table with text",
    ),
    (
        "unknown key of an example",
        write(examples='[{texts = "x"}]'),
        "texts: unknown key; did you mean text?",
    ),
    (
        "example host",
        write(examples='[{text = "x", host = 1}]'),
        "examples: host 1 must be a text",
    ),
    (
        "example code",
        write(examples='[{text = "x", smtp_code = "5"}]'),
        "examples: smtp_code '5' must be a number",
    ),
]


@pytest.mark.parametrize(("text", "says"), [row[1:] for row in BROKEN], ids=[b[0] for b in BROKEN])
def test_a_file_that_cannot_be_used_names_file_rule_key_and_mend(text: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules({"f.toml": text})
    assert says in str(caught.value)
    assert str(caught.value).startswith("f.toml: ")


def list_faults(files: dict[str, str]) -> list[tuple[str, str | None, str | None]]:
    with pytest.raises(TableError) as caught:
        parse_rules(files)
    assert str(caught.value).count("\n") == len(caught.value.faults) - 1
    return [(fault.file, fault.rule, fault.key) for fault in caught.value.faults]


def test_every_rule_that_cannot_be_used_is_named_at_once() -> None:
    files = {
        "a.toml": write(source=None) + write(stage="", id='"other"', codes="[1]"),
        "b.toml": "stage = ",
        "c.toml": write(id='"third"') + write(stage="", id='"third"'),
    }
    assert list_faults(files) == [
        ("a.toml", "mail-full", "source"),
        ("a.toml", "other", "codes"),
        ("b.toml", None, None),
        ("c.toml", "third", "id"),
    ]


def test_every_mistake_of_a_file_is_named_at_once() -> None:
    text = 'stage = "languag"\nowner = "me"\n' + write(
        stage="",
        sauce='"x"',
        source=None,
        category='"mailbox"',
        reason='"fulll"',
        examples=None,
        codes='["550"]',
        words="[1]",
    )
    assert list_faults({"f.toml": text}) == [
        ("f.toml", None, "owner"),
        ("f.toml", None, "stage"),
        ("f.toml", "mail-full", "sauce"),
        ("f.toml", "mail-full", "examples"),
        ("f.toml", "mail-full", "category"),
        ("f.toml", "mail-full", "reason"),
        ("f.toml", "mail-full", "words"),
        ("f.toml", "mail-full", "codes"),
    ]


def test_a_reason_is_looked_at_without_a_category_too() -> None:
    assert list_faults({"f.toml": write(category=None, reason='"nonsense"')}) == [
        ("f.toml", "mail-full", "category"),
        ("f.toml", "mail-full", "reason"),
    ]


def test_an_id_is_used_once_over_all_files_and_the_sites_file_is_at_fault() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules({"site.toml": write(), "ours.toml": write()})
    assert str(caught.value) == (
        "site.toml: rule mail-full: id: used in ours.toml too; choose another"
    )


@pytest.mark.parametrize("pattern", [r"a\*b", r"[*+]{1,3}", r"[]*]", r"a?b{2}", r"x{0,4}y.{0,20}"])
def test_bounded_patterns_are_taken(pattern: str) -> None:
    assert parse_rules({"f.toml": write(pattern=f"'{pattern}'")}).rules[0].pattern is not None


@pytest.mark.parametrize(
    ("text", "code", "status"),
    [
        ("550-5.7.26 no", 550, "5.7.26"),
        ("550 no", 550, None),
        ("no 550 #5.1.0 x", None, "5.1.0"),
        ("1550 x 15.1.1 and 5.1.1.1", None, None),
    ],
)
def test_codes_are_read_from_an_example(text: str, code: int | None, status: str | None) -> None:
    assert (parse_leading_code(text), parse_enhanced(text)) == (code, status)
