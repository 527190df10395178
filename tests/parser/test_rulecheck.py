"""Whether a rule table keeps what it promises."""

import pytest

from bounced.parser.rulecheck import check_rules, find_overlaps
from bounced.parser.ruleset import parse_rules


def table(
    identity: str, keys: str, examples: str, *, about: str = "spam-rejection/content"
) -> str:
    category, reason = about.split("/")
    return (
        f'[[rule]]\nid = "{identity}"\ncategory = "{category}"\nreason = "{reason}"\n'
        f'source = "RFC 5321"\n{keys}\nexamples = [{examples}]\n'
    )


def check(*tables: str) -> list[str]:
    rules = parse_rules({"f.toml": 'stage = "language"\n' + "".join(tables)})
    return [str(fault) for fault in check_rules(rules)]


def test_a_sound_table_has_no_problems() -> None:
    assert (
        check(
            table("one", 'words = ["junk"]', '"550 junk"'),
            table("two", 'words = ["crap"]', '"550 crap"'),
        )
        == []
    )


def test_an_example_won_by_another_rule_is_a_problem() -> None:
    problems = check(
        table("one", 'words = ["junk"]', '"550 junk"'),
        table("two", 'words = ["crap"]', '"550 junk crap"'),
    )
    assert problems == [
        "f.toml: rule two: examples: '550 junk crap' is won by one: stands behind one"
    ]


@pytest.mark.parametrize(
    ("keys", "example", "why"),
    [
        ('words = ["junk"]', '"550 crap"', "words: none of its phrases stands in it; mend"),
        ('links = ["x.de"]', '"550 crap"', "links: none of its phrases stands in it; mend"),
        (
            'words = ["junk"]\nhosts = ["x.de"]',
            '"550 junk"',
            "hosts: its host is none; write a table, {text = ..., host = ...}",
        ),
        (
            'words = ["junk"]\nhosts = ["x.de"]',
            '{text = "junk", host = "x.at"}',
            "hosts: its host is x.at; write a table",
        ),
        ('words = ["junk"]\ncommands = ["DATA"]', '"junk"', "commands: its command is none"),
        ('words = ["junk"]\ncodes = [550]', '"554 junk"', "codes: its smtp_code is 554"),
        ('words = ["junk"]\nstatus = ["5.7.*"]', '"junk 5.1.1"', "status: its status is 5.1.1"),
        ('words = ["junk"]\nbeside = ["old"]', '"junk"', "beside: none of its phrases stands"),
        ('all = ["junk", "old"]', '"junk"', "all: ['old'] does not stand in it; mend"),
        ('words = ["junk"]\nunless = ["old"]', '"old junk"', "unless: ['old'] stands in it"),
        ("words = [\"junk\"]\npattern = 'k x'", '"junk"', "pattern: it is found nowhere"),
    ],
)
def test_an_example_that_its_own_rule_does_not_match_names_the_key(
    keys: str, example: str, why: str
) -> None:
    (problem,) = check(table("one", keys, example))
    assert problem.startswith("f.toml: rule one: examples: ")
    assert f" is not matched by its own rule: {why}" in problem


@pytest.mark.parametrize(
    ("key", "phrase", "says"),
    [
        ("words", "550 5.7.1 nicht", "write 'nicht'"),
        ("beside", "max@firma.example", "write '<address>'"),
        ("all", "junk at mx.firma.example", "write 'junk at <host>'"),
        ("unless", "see https://firma.example/x", "write 'see <url>'"),
    ],
)
def test_a_phrase_that_holds_what_is_masked_is_a_problem(key: str, phrase: str, says: str) -> None:
    keys = f'{key} = ["{phrase}"]' + ("" if key == "words" else '\nwords = ["junk"]')
    problem, *_ = check(table("one", keys, '"550 junk"'))
    assert problem == (
        f"f.toml: rule one: {key}: '{phrase}' cannot match: codes are left out of the words, "
        f"addresses, hosts and URLs are masked; {says}"
    )


@pytest.mark.parametrize("phrase", ["<host> said no", "resolver.adr.invalid*", "550x", "4 of 5"])
def test_a_phrase_that_only_looks_like_what_is_masked_is_none(phrase: str) -> None:
    keys = f'words = ["{phrase}", "junk"]'
    assert check(table("one", keys, '"550 junk"')) == []


def test_an_example_that_the_guard_forbids_is_a_problem() -> None:
    bad = table(
        "one", 'words = ["nobody"]', '"550 nobody: spam"', about="bad-address/user-unknown"
    )
    assert check(bad) == [
        (
            "f.toml: rule one: examples: '550 nobody: spam' is won by no rule: "
            "guard: never bad-address where the reply says 'spam'"
        )
    ]


SHUT = "f.toml: rule two: can never win: one (f.toml) stands before it and takes every text that it matches; put it before that one, or narrow that one"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ('words = ["junk"]', 'words = ["junk mail", "old junk"]'),
        ('words = ["junk*"]', 'words = ["junk mail"]'),
        ('words = ["junk*"]', 'words = ["junk*"]'),
        ('links = ["x.de"]', 'links = ["x.de/spam"]'),
        ('words = ["junk"]', 'words = ["crap"]\nall = ["junk mail"]'),
        ('words = ["宛先"]', 'words = ["宛先不明"]'),
    ],
)
def test_a_rule_behind_a_wider_one_can_never_win(one: str, two: str) -> None:
    problems = check(table("one", one, '"550 x"'), table("two", two, '"550 x"'))
    assert SHUT in problems


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ('words = ["junk"]', 'words = ["junk mail", "crap"]'),
        ('words = ["junk"]', 'words = ["junk*"]'),
        ('words = ["junk mail"]', 'words = ["junk"]'),
        ('words = ["junk"]\nunless = ["x"]', 'words = ["junk"]'),
        ('words = ["junk"]\nall = ["x"]', 'words = ["junk"]'),
        ('words = ["junk"]\nbeside = ["x"]', 'words = ["junk"]'),
        ('words = ["junk"]\nhosts = ["x.de"]', 'words = ["junk"]'),
        ('words = ["junk"]\nstatus = ["5.7.1"]', 'words = ["junk"]'),
        ('words = ["junk"]\ncodes = [550]', 'words = ["junk"]'),
        ('words = ["junk"]\ncommands = ["DATA"]', 'words = ["junk"]'),
        ("words = [\"junk\"]\npattern = 'a'", 'words = ["junk"]'),
        ('words = ["先不"]', 'words = ["宛先"]'),
        ('words = ["junk"]', 'links = ["junk.de"]'),
        ('words = ["junk"]', 'status = ["5.7.1"]'),
    ],
)
def test_a_rule_that_something_tells_apart_can_win(one: str, two: str) -> None:
    problems = check(table("one", one, '"550 x"'), table("two", two, '"550 x"'))
    assert SHUT not in problems


@pytest.mark.parametrize(
    ("stage", "mend"),
    [
        ("receiver", 'put it into a file with stage = "receiver", or choose other words'),
        ("language", "give its file a name that sorts before that one, or choose other words"),
    ],
)
def test_the_mend_for_a_rule_that_can_never_win_depends_on_what_stands_before(
    stage: str, mend: str
) -> None:
    junk = table("one", 'words = ["junk"]', '"550 junk"')
    mail = table("two", 'words = ["junk mail"]', '"550 junk mail"')
    rules = parse_rules({"a.toml": write(stage, junk), "b.toml": write("language", mail)})
    assert str(check_rules(rules)[-1]) == SHUT.replace("f.toml: rule", "b.toml: rule").replace(
        "(f.toml)", "(a.toml)"
    ).replace("put it before that one, or narrow that one", mend)


def test_a_rule_of_bad_address_shuts_out_none_because_the_guard_stands_over_it() -> None:
    one = table("one", 'words = ["nobody"]', '"550 nobody"', about="bad-address/user-unknown")
    assert check(one, table("two", 'words = ["nobody"]', '"550 nobody: spam"')) == []


def test_a_sites_files_alone_are_checked_when_they_are_named() -> None:
    losing = (
        'stage = "language"\n[[rule]]\nid = "a"\ncategory = "policy"\nreason = "virus"\n'
        'source = "x"\nwords = ["some words"]\nexamples = ["550 others"]\n'
    )
    rules = parse_rules({"ours.toml": losing})
    assert len(check_rules(rules)) == 1
    assert check_rules(rules, {"site.toml"}) == []


def write(stage: str, *tables: str) -> str:
    return f'stage = "{stage}"\n' + "".join(tables)


JUNK = table("junk", 'words = ["junk"]', '"550 junk", "550 junk and crap"')
CRAP = table("crap", 'words = ["crap"]', '"550 crap", "550 more crap"')
FAIR = table("fair", 'words = ["fair"]', '"550 fair"')
TRASH = table("trash", 'words = ["crap*", "trash"]', '"550 trash"')


def list_overlaps(files: dict[str, str], only: set[str] | None = None) -> list[tuple[object, ...]]:
    return [
        (overlap.winner.id, overlap.loser.id, overlap.texts, overlap.overruled)
        for overlap in find_overlaps(parse_rules(files), only)
    ]


def test_two_rules_that_match_one_example_overlap_and_the_first_wins() -> None:
    assert list_overlaps({"f.toml": write("language", FAIR, JUNK, CRAP)}) == [
        ("junk", "crap", ("550 junk and crap",), False)
    ]


def test_rules_of_two_stages_do_not_overlap() -> None:
    files = {"a.toml": write("receiver", JUNK), "b.toml": write("language", CRAP)}
    assert list_overlaps(files) == []


@pytest.mark.parametrize("stage", ["receiver", "language"])
def test_a_sites_rule_that_takes_examples_of_another_file_overrules_it(stage: str) -> None:
    files = {"site.toml": write(stage, TRASH), "ours.toml": write("language", JUNK, CRAP, FAIR)}
    found = list_overlaps(files, {"site.toml"})
    assert [row[:2] for row in found if row[3]] == [("trash", "junk"), ("trash", "crap")]


def test_of_named_files_only_their_pairs_are_told() -> None:
    files = {"site.toml": write("language", FAIR), "ours.toml": write("language", JUNK, CRAP)}
    assert list_overlaps(files, {"site.toml"}) == []


def test_what_the_guard_forbids_does_not_overlap() -> None:
    nobody = table(
        "nobody", 'words = ["nobody"]', '"550 nobody"', about="bad-address/user-unknown"
    )
    spam = table("spam", 'words = ["spam"]', '"550 spam to nobody"')
    assert list_overlaps({"f.toml": write("language", spam, nobody)}) == []
