"""Which rule files are read, in which order, and what is said of one that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from bounced.config import Settings
from bounced.model import RuleError
from bounced.plan import load_rules
from bounced.processor.rule_files import read_rule_files


def test_a_sites_files_stand_before_ours_each_in_the_order_of_its_name(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", "readme.txt"):
        (tmp_path / name).write_text(f"# {name}")
    names = list(read_rule_files([tmp_path]))
    assert names[:2] == [str(tmp_path / "a.toml"), str(tmp_path / "b.toml")]
    assert names[2:] == sorted(read_rule_files([]))
    assert len(names) > 2


def test_a_missing_folder_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"rules\.directories: .*absent: no such folder"):
        read_rule_files([tmp_path / "absent"])


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(RuleError, match=r"bad\.toml: not UTF-8 at byte "):
        read_rule_files([tmp_path])


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    with pytest.raises(RuleError, match=r"loop\.toml: cannot be read: "):
        read_rule_files([tmp_path])


_RULE = """
stage = "language"
[[rule]]
id = "{id}"
category = "policy"
reason = "not-permitted"
source = "the postmaster of firma.example"
words = ["{words}"]
examples = ["550 5.7.1 {example}"]
"""


def test_a_sites_rule_that_loses_its_own_example_is_refused(tmp_path: Path) -> None:
    text = _RULE.format(id="mine", words="interne liste", example="other words")
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    settings = Settings.model_validate({"rules": {"directories": [str(tmp_path)]}})
    with pytest.raises(
        RuleError, match=r"site\.toml: rule mine: examples: .* is not matched by its own rule"
    ):
        load_rules(settings)


def test_a_sites_rule_may_win_what_was_ours(tmp_path: Path) -> None:
    text = _RULE.format(id="mine", words="user unknown", example="user unknown")
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    settings = Settings.model_validate({"rules": {"directories": [str(tmp_path)]}})
    assert str(tmp_path / "site.toml") in load_rules(settings)
