"""`bounced rules`: files checked, texts tried, rules listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bounced.processor.rule_files import OURS
from tests.cli.conftest import CommandLine

SITE = """\
stage = "receiver"
[[rule]]
id = "site-closed-list"
category = "policy"
reason = "not-permitted"
source = "postmaster of firma.example"
words = ["{words}"]
examples = ["550 5.7.1 {example}"]
"""

LATE = "stage receiver is heard before stage status"


def write_site(
    folder: Path, words: str = "interne Liste", example: str = "eine interne Liste"
) -> str:
    path = folder / "site.toml"
    path.write_text(SITE.format(words=words, example=example))
    return str(path)


def put_in_force(bounced: CommandLine, path: str) -> None:
    folder = Path(path).parent / "rules"
    folder.mkdir()
    shutil.move(path, folder)
    bounced.configure(f'[rules]\ndirectories = ["{folder}"]\n')


def test_our_own_rules_hold_and_their_overlaps_are_summed_up(bounced: CommandLine) -> None:
    outcome = bounced("rules", "check")
    assert outcome.code == 0
    overlap, sum_up = outcome.out.splitlines()
    assert overlap.endswith("pairs of rules match an example together; --overlaps lists them")
    assert sum_up.startswith("nothing wrong: ")
    listed = bounced("rules", "check", "--overlaps").out.splitlines()
    assert f"overlap  {len(listed) - 1} pairs" in overlap
    assert len(bounced("rules", "check", "--json").rows) == len(listed)


def test_a_sound_file_is_checked_alone(bounced: CommandLine, tmp_path: Path) -> None:
    outcome = bounced("rules", "check", write_site(tmp_path))
    assert (outcome.code, outcome.out) == (0, "nothing wrong: 1 rule in 1 file, 1 example\n")


def test_a_lost_example_is_found_and_says_why(bounced: CommandLine, tmp_path: Path) -> None:
    path = write_site(tmp_path, example="ganz anders")
    outcome = bounced("rules", "check", path)
    assert outcome.code == 1
    lost = f"{path}: rule site-closed-list: examples: '550 5.7.1 ganz anders' is not matched by its own rule: "
    assert outcome.out.startswith(f"wrong    {lost}words: none of its phrases stands in it; mend")
    row, summed = bounced("rules", "check", "--json", path).rows
    assert summed == {"finding": "sum", "wrong": 1, "rules": 1, "files": 1, "examples": 1}
    assert row["detail"].startswith("'550 5.7.1 ganz anders' is not matched by its own rule")
    assert (row["finding"], row["file"], row["rule"], row["key"]) == (
        *("wrong", path, "site-closed-list"),
        "examples",
    )


def test_a_rule_that_overrules_ours_is_told_and_is_no_mistake(
    bounced: CommandLine, tmp_path: Path
) -> None:
    (ours, *_) = bounced("rules", "list", "--json", "--category", "mailbox-full").rows
    words = bounced("rules", "test", "--json", ours["examples"][0]).rows[0]["evidence"]
    path = write_site(tmp_path, words=words, example=words)
    outcome = bounced("rules", "check", path)
    assert outcome.code == 0
    assert (
        f"overlap  site-closed-list ({path}) overrules {ours['rule']} ({ours['file']}), "
        "policy / not-permitted, not mailbox-full / mailbox-full: "
    ) in outcome.out
    rows = bounced("rules", "check", "--json", path).rows
    (row,) = [row for row in rows if row.get("other_rule") == ours["rule"]]
    assert ours["examples"][0] in row.pop("examples")
    assert row == {
        "finding": "overrules",
        "file": path,
        "rule": "site-closed-list",
        "stage": "receiver",
        "other_file": ours["file"],
        "other_rule": ours["rule"],
        "other_stage": ours["stage"],
    }


def test_a_file_that_is_in_force_is_checked_in_its_place(
    bounced: CommandLine, tmp_path: Path
) -> None:
    put_in_force(bounced, write_site(tmp_path))
    outcome = bounced("rules", "check", str(tmp_path / "rules" / "site.toml"))
    assert (outcome.code, outcome.out) == (0, "nothing wrong: 1 rule in 1 file, 1 example\n")


def test_a_file_of_ours_is_checked_in_its_place(bounced: CommandLine) -> None:
    outcome = bounced("rules", "check", str(OURS / "13-apple.toml"))
    assert outcome.code == 0
    assert "rules in 1 file, " in outcome.out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stage = ", "not TOML: "),
        ('stage = "languag"', "stage: 'languag' is not known; did you mean language?"),
        (SITE.replace("source", "sauce"), "sauce: unknown key; did you mean source?"),
    ],
)
def test_a_file_that_is_no_rule_file_is_bad_input(
    bounced: CommandLine, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    outcome = bounced("rules", "check", str(path))
    assert outcome.code == 65
    (line,) = outcome.complaints
    assert line.startswith(f"bounced: {path}: ")
    assert says in line
    (row,) = bounced("rules", "check", "--json", str(path)).rows
    assert (row["finding"], row["file"]) == ("wrong", str(path))


def test_an_id_of_ours_is_a_mistake_of_the_sites_file(
    bounced: CommandLine, tmp_path: Path
) -> None:
    (ours, *_) = bounced("rules", "list", "--json").rows
    path = Path(write_site(tmp_path))
    path.write_text(path.read_text().replace("site-closed-list", ours["rule"]))
    outcome = bounced("rules", "check", str(path))
    assert outcome.code == 65
    assert outcome.complaints == [
        f"bounced: {path}: rule {ours['rule']}: id: used in {ours['file']} too; choose another"
    ]


def test_every_mistake_of_every_file_is_its_own_line(bounced: CommandLine, tmp_path: Path) -> None:
    broken, absent, folder = tmp_path / "b.toml", tmp_path / "absent.toml", tmp_path / "more"
    folder.mkdir()
    broken.write_text('stages = "receiver"\nowner = "me"\n')
    (folder / "latin.toml").write_bytes(b"# \xe4\n")
    (folder / "notes.txt").write_text("no rules")
    outcome = bounced("rules", "check", str(broken), str(absent), str(folder))
    assert outcome.code == 65
    assert outcome.complaints == [
        f"bounced: {absent}: cannot be read: No such file or directory",
        f"bounced: {folder}/latin.toml: not UTF-8 at byte 3",
        f"bounced: {broken}: stages: unknown key; did you mean stage?",
        f"bounced: {broken}: owner: unknown key; known are stage, rule",
    ]


def test_the_files_of_a_folder_are_checked(bounced: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    outcome = bounced("rules", "check", str(folder))
    assert outcome.code == 65
    assert outcome.complaints == [f"bounced: {folder}: a folder without files *.toml"]
    write_site(folder)
    (folder / "empty.toml").write_text('stage = "code"')
    outcome = bounced("rules", "check", str(folder))
    assert (outcome.code, outcome.out.splitlines()) == (
        0,
        [
            f"empty    {folder}/empty.toml holds no rule; write [[rule]] above each",
            "nothing wrong: 1 rule in 2 files, 1 example",
        ],
    )
    assert bounced("rules", "check", "--json", str(folder)).rows == [
        {"finding": "empty", "file": f"{folder}/empty.toml"},
        {"finding": "sum", "wrong": 0, "rules": 1, "files": 2, "examples": 1},
    ]


def test_a_missing_file_is_bad_input(bounced: CommandLine, tmp_path: Path) -> None:
    assert bounced("rules", "check", str(tmp_path / "absent.toml")).code == 65


@pytest.mark.parametrize("named", [False, True])
def test_a_broken_file_in_force_is_an_error_of_the_configuration(
    bounced: CommandLine, tmp_path: Path, named: bool
) -> None:
    sound = tmp_path / "sound.toml"
    sound.write_text(SITE)
    put_in_force(bounced, write_site(tmp_path))
    (tmp_path / "rules" / "site.toml").write_text("stage = ")
    outcome = bounced("rules", "check", *([str(sound)] if named else []))
    assert outcome.code == 78
    assert "site.toml: not TOML" in outcome.err


@pytest.fixture
def sorted_out(bounced: CommandLine, tmp_path: Path) -> None:
    """Put rules in force that tests may name, whatever ours are called."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "receiver.toml").write_text(
        SITE.format(words="xyzzy plugh", example="xyzzy plugh")
        .replace("site-closed-list", "site-gone")
        .replace("policy", "bad-address")
        .replace("not-permitted", "user-unknown")
    )
    (tmp_path / "rules" / "status.toml").write_text(
        SITE.format(words="xyzzy", example="xyzzy").replace("receiver", "status")
    )
    bounced.configure(f'[rules]\ndirectories = ["{tmp_path}/rules"]\n')


@pytest.mark.usefixtures("sorted_out")
def test_a_text_is_tried_and_its_decisive_words_are_marked(bounced: CommandLine) -> None:
    outcome = bounced("rules", "test", "550 <max@firma.de>: xyzzy plugh")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "  said, text:",
        "    550 <max@firma.de>: »xyzzy plugh«",
        "  verdict: bad-address / user-unknown, rule site-gone (stage receiver)",
        '  decided by "xyzzy plugh" in text',
        "  matched too, and lost",
        f'    site-closed-list (policy / not-permitted) by "xyzzy": {LATE}',
    ]


def test_the_guard_is_named_where_it_forbids_every_rule(
    bounced: CommandLine, tmp_path: Path
) -> None:
    path = write_site(tmp_path, words="xyzzy", example="xyzzy")
    Path(path).write_text(
        Path(path)
        .read_text()
        .replace("policy", "bad-address")
        .replace("not-permitted", "user-unknown")
    )
    put_in_force(bounced, path)
    outcome = bounced("rules", "test", "550 xyzzy", "--command", "mail from")
    assert "verdict: unknown; the rules that match are forbidden" in outcome.out
    assert "guard: a reply to MAIL FROM cannot know the recipient" in outcome.out


@pytest.mark.usefixtures("sorted_out")
@pytest.mark.parametrize(
    "text", ["550-5.9.2 xyzzy\\n550 5.9.2 plugh", "550-5.9.2 xyzzy\n550 5.9.2 plugh"]
)
def test_lines_of_a_reply_are_joined(bounced: CommandLine, text: str) -> None:
    (row,) = bounced("rules", "test", "--json", text).rows
    assert (row["rule"], row["evidence"]) == ("site-gone", "xyzzy plugh")
    assert (row["reply"]["smtp_code"], row["reply"]["status"]) == (550, "5.9.2")


@pytest.mark.usefixtures("sorted_out")
def test_a_text_is_read_from_stdin(bounced: CommandLine) -> None:
    (row,) = bounced("rules", "test", "-", "--json", stdin=b"552 xyzzy plugh\xff\n").rows
    winner, loser = row["candidates"]
    assert (winner["rule"], winner["lost"], winner["stands_at"]) == ("site-gone", None, [4, 15])
    assert (loser["rule"], loser["stands_at"]) == ("site-closed-list", [4, 9])
    assert loser["lost"] == LATE


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--status", "5.2.2"), "status-mailbox-full"),
        (("--smtp-code", "450"), "code-temporary"),
    ],
)
def test_what_stands_beside_the_text_counts(
    bounced: CommandLine, options: tuple[str, ...], rule: str
) -> None:
    (row,) = bounced("rules", "test", "--json", "xyzzy", *options).rows
    assert row["rule"] == rule


def test_the_host_that_spoke_counts(bounced: CommandLine, tmp_path: Path) -> None:
    path = write_site(tmp_path, words="nein", example="nein")
    Path(path).write_text(
        Path(path)
        .read_text()
        .replace("examples", 'hosts = ["firma.example"]\nexamples')
        .replace('"550 5.7.1 nein"', '{text = "nein", host = "mx.firma.example"}')
    )
    put_in_force(bounced, path)
    (row,) = bounced("rules", "test", "--json", "nein", "--host", "MX.firma.example").rows
    assert row["rule"] == "site-closed-list"
    (row,) = bounced("rules", "test", "--json", "nein").rows
    assert row["rule"] is None


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--command", "MAIL", "no command; one of AUTH, CONNECT, DATA, EHLO, HELO, LHLO, MAIL"),
        ("--command", "MAIL FROM:<x@y>", "no command; one of AUTH"),
        ("--command", "", "no command; one of AUTH"),
        ("--status", "5.1", "no enhanced code; write one such as 5.7.1"),
        ("--status", "7.1.1", "no enhanced code"),
        ("--status", "5.1.1 x", "no enhanced code"),
        ("--smtp-code", "600", "no reply code; write a number 200 to 599"),
        ("--smtp-code", "five", "no reply code"),
        ("--host", "a b", "no host; write its name or address, such as mx.example.com"),
        ("--host", "", "no host"),
    ],
)
def test_what_a_report_cannot_tell_is_wrong_usage(
    bounced: CommandLine, option: str, value: str, says: str
) -> None:
    outcome = bounced("rules", "test", "xyzzy", option, value)
    assert outcome.code == 64
    assert f"{option} {value}: {says}" in outcome.err


@pytest.mark.parametrize("host", ["mx.firma.example.", "mx_1.firma.example", "[192.0.2.1]"])
def test_a_host_may_be_a_name_or_an_address(bounced: CommandLine, host: str) -> None:
    (row,) = bounced("rules", "test", "--json", "xyzzy", "--host", host).rows
    assert row["reply"]["host"] == host


def test_the_code_option_replaces_the_texts_and_a_status_of_the_text_goes_before(
    bounced: CommandLine,
) -> None:
    options = ("--smtp-code", "421", "--status", "5.1.1")
    (row,) = bounced("rules", "test", "--json", "550 5.9.9 xyzzy", *options).rows
    assert (row["reply"]["smtp_code"], row["reply"]["status"]) == (421, "5.9.9")
    (row,) = bounced("rules", "test", "--json", "xyzzy", "--smtp-code", "421").rows
    assert (row["evidence"], row["where"]) == ("421", "reply code")


def test_a_rule_is_shown_as_its_file_says_it(bounced: CommandLine, tmp_path: Path) -> None:
    put_in_force(bounced, write_site(tmp_path))
    file = tmp_path / "rules" / "site.toml"
    shown = bounced("rules", "show", "site-closed-list").out
    body = file.read_text().partition("\n")[2]
    assert shown == f'# {file}, stage = "receiver"\n{body}'
    (row,) = bounced("rules", "show", "--json", "site-closed-list").rows
    assert (row["stage"], row["words"]) == ("receiver", ["interne Liste"])
    outcome = bounced("rules", "show", "nonsense")
    assert outcome.code == 65
    assert "nonsense: no rule of that id" in outcome.err


def test_a_text_without_a_word_is_bad_input(bounced: CommandLine) -> None:
    outcome = bounced("rules", "test", " ")
    assert (outcome.code, outcome.complaints) == (65, ["bounced: there is no word in the text"])


def test_rules_are_listed_in_the_order_in_which_they_are_tried(bounced: CommandLine) -> None:
    rows = bounced("rules", "list", "--json").rows
    stages = [row["stage"] for row in rows]
    order = ["receiver", "language", "status", "code"]
    assert stages == sorted(stages, key=order.index)
    assert all(row["source"] and row["examples"] for row in rows)
    full = bounced("rules", "list", "--json", "--category", "mailbox-full").rows
    assert full == [row for row in rows if row["category"] == "mailbox-full"]
    assert "words-mailbox-full" in bounced("rules", "list", "--category", "mailbox-full").out
