"""`bounced replay` and `bounced unknown`: from a text that no rule knows to a rule for it."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bounced.ledger import replays
from bounced.ledger.replays import SinceError, TakenOverError
from bounced.processor import processor
from bounced.processor import replay as replay_module
from tests.cli.conftest import CommandLine
from tests.logcheck import Line, find_events
from tests.processor.mails import RECIPIENT, SPAM, make_bounce, make_forgery

SAID = "550 5.0.0 Xyzzy: the plugh of {} frobs nitfol"
LEVELLED = "xyzzy the plugh of <address> frobs nitfol"
CORRECTED = "looked at 1 reports: 1 recipients of 1 reports corrected"
TAKEN_OVER = "stopped after 0 reports: other; what was found in them is corrected"
INTERRUPTED = "interrupted after 1 reports; what was found in them is corrected"
RULE = """
stage = "language"
[[rule]]
id = "plugh"
category = "{}"
reason = "{}"
source = "test"
words = ["the plugh of"]
examples = ["550 5.0.0 the plugh of x"]
"""


class Site:
    """The command line of a site with a folder of rules of its own."""

    def __init__(self, bounced: CommandLine, folder: Path) -> None:
        self.run = bounced
        self.mails = folder / "mails"
        self.rules = folder / "rules"
        self.rules.mkdir()
        self.mails.mkdir()
        bounced.configure(f'[rules]\ndirectories = ["{self.rules}"]\n')

    def ingest(self, *mails: bytes) -> None:
        for number, raw in enumerate(mails):
            (self.mails / f"{number}.eml").write_bytes(raw)
        assert self.run("ingest", str(self.mails)).code == 0

    def write_rule(self, category: str = "policy", reason: str = "not-permitted") -> None:
        (self.rules / "site.toml").write_text(RULE.format(category, reason))


@pytest.fixture
def site(bounced: CommandLine, tmp_path: Path) -> Site:
    return Site(bounced, tmp_path)


def make_unknown(number: int, recipient: str = RECIPIENT) -> bytes:
    return make_bounce(number, recipient, reply=SAID.format(recipient))


def list_reports(site: Site) -> list[str]:
    return [row["report"] for row in site.run("reports", "list", "--json").rows]


class TestUnknown:
    def test_texts_are_listed_once_the_most_frequent_first(self, site: Site) -> None:
        site.ingest(
            make_bounce(9, reply="550 5.0.0 Hollow voice says frotz"),
            make_unknown(1),
            make_unknown(2, "eva@planung.example"),
            make_bounce(3),
        )
        alike = list_reports(site)[1:3]
        first, second = site.run("unknown", "list", "--json").rows
        assert (first["count"], first["text"]) == (2, LEVELLED)
        samples = [SAID.format("eva@planung.example"), SAID.format(RECIPIENT)]
        assert (first["report"], first["sample"]) in list(zip(alike, samples, strict=True))
        assert first["first_seen_at"] < first["last_seen_at"]
        assert (second["count"], second["text"]) == (1, "hollow voice says frotz")
        outcome = site.run("unknown", "list")
        assert outcome.code == 0
        for part in (LEVELLED, first["sample"], first["report"], first["cluster"]):
            assert part in outcome.out

    @pytest.mark.parametrize(
        ("options", "count"),
        [([], 2), (["--limit", "1"], 1), (["--since", "1h"], 2), (["--since", "2999-01-01"], 0)],
    )
    def test_the_list_is_filtered(self, site: Site, options: list[str], count: int) -> None:
        site.ingest(make_unknown(1), make_bounce(2, reply="550 5.0.0 Hollow voice says frotz"))
        assert len(site.run("unknown", "list", "--json", *options).rows) == count

    def test_nothing_unknown_is_said(self, site: Site) -> None:
        assert site.run("unknown", "list").out == "no unknown texts\n"

    def test_a_stranger_s_text_in_quarantine_is_no_news(self, site: Site, log: list[Line]) -> None:
        forged = make_forgery().replace(b"550 5.1.1 User unknown", b"550 5.0.0 Xyzzy")
        site.ingest(forged)
        assert site.run("unknown", "list", "--json").rows == []
        assert find_events(log, "text_cluster_found") == []

    def test_a_cluster_is_shown_with_its_reports(self, site: Site) -> None:
        site.ingest(make_unknown(1), make_unknown(2, "eva@planung.example"))
        (row,) = site.run("unknown", "list", "--json").rows
        (shown,) = site.run("unknown", "show", row["cluster"], "--json").rows
        assert [failure["recipient"] for failure in shown["failures"]] == [
            "eva@planung.example",
            RECIPIENT,
        ]
        assert [failure["report"] for failure in shown["failures"]] == list_reports(site)

    def test_a_cluster_that_is_not_there_is_bad_input(self, site: Site) -> None:
        outcome = site.run("unknown", "show", "0123456789abcdef")
        assert (outcome.code, outcome.complaints) == (
            65,
            ["bounced: 0123456789abcdef: no such cluster; `bounced unknown list` shows them"],
        )

    def test_where_nothing_was_said_there_is_no_rule_to_write(self, site: Site) -> None:
        site.ingest(make_bounce(1, reply="550 5.0.0"))
        (row,) = site.run("unknown", "list", "--json").rows
        assert "(nothing was said)" in site.run("unknown", "list").out
        shown = site.run("unknown", "show", row["cluster"]).out
        assert "It has no words that a rule could look for." in shown

    def test_the_rule_that_is_shown_is_a_rule_for_the_text(self, site: Site) -> None:
        site.ingest(make_unknown(1))
        (row,) = site.run("unknown", "list", "--json").rows
        shown = site.run("unknown", "show", row["cluster"]).out
        draft = shown.partition("in a file *.toml:")[2]
        drafted = "\n".join(re.findall(r"^    (.+)", draft, re.MULTILINE))
        for name, value in {"ID": "x", "CATEGORY": "policy", "REASON": "not-permitted"}.items():
            drafted = drafted.replace(f'"{name}"', f'"{value}"')
        file = site.rules / "drafted.toml"
        file.write_text(drafted)
        assert site.run("rules", "check", str(file)).code == 0
        assert site.run("replay", "--apply").code == 0
        assert site.run("unknown", "list", "--json").rows == []
        (report,) = site.run("reports", "list", "--json").rows
        assert [line["rule"] for line in report["recipients"]] == ["x"]


class TestReplay:
    def test_a_difference_is_shown_and_exits_1_and_changes_nothing(self, site: Site) -> None:
        site.ingest(make_unknown(1), make_unknown(2, "eva@planung.example"), make_bounce(3), SPAM)
        before = site.run("cases", "list", "--json").out
        site.write_rule()
        outcome = site.run("replay")
        assert outcome.code == 1
        assert "another recipient" not in outcome.out
        for part in ("unknown / unknown", "no rule", "policy / not-permitted", "rule plugh"):
            assert part in outcome.out
        assert outcome.out.splitlines()[-1] == (
            "looked at 4 reports: 2 recipients of 2 reports differ; nothing was changed, "
            "`bounced replay --apply` corrects them"
        )
        assert site.run("cases", "list", "--json").out == before

    def test_programs_get_one_object_a_difference(self, site: Site) -> None:
        site.ingest(make_unknown(1), make_unknown(2))
        site.write_rule()
        (row,) = site.run("replay", "--json").rows
        assert row == {
            "was": _describe("unknown", "unknown", None),
            "now": _describe("policy", "not-permitted", "plugh"),
            "renamed": False,
            "count": 2,
            "report": list_reports(site)[1],
        }

    def test_what_is_applied_is_no_difference_any_more(self, site: Site, log: list[Line]) -> None:
        site.ingest(make_unknown(1))
        site.write_rule()
        outcome = site.run("replay", "--apply")
        assert (outcome.code, outcome.out.splitlines()[-1]) == (
            0,
            f"{CORRECTED}, 0 strikes added, 0 taken back; nobody is mailed for it",
        )
        (line,) = find_events(log, "operator_acted")
        assert (line["action"], line["detail"]) == (
            "replay",
            "1 of 1 reports differed, 0 strikes added, 0 taken back",
        )
        outcome = site.run("replay")
        assert (outcome.code, outcome.out) == (0, "looked at 1 reports: no difference\n")
        (case,) = site.run("cases", "list", "--json").rows
        assert (case["category"], case["due_at"]) == ("policy", None)
        assert site.run("notices", "list", "--json").rows == []

    def test_a_strike_that_is_gone_was_taken_back(self, site: Site) -> None:
        site.ingest(make_unknown(1))
        site.write_rule("policy", "relay-denied")
        outcome = site.run("replay", "--apply")
        assert "1 taken back" in outcome.out
        assert site.run("cases", "list", "--json").rows == []

    def test_a_text_that_becomes_unknown_is_found(self, site: Site, log: list[Line]) -> None:
        site.write_rule()
        site.ingest(make_unknown(1))
        (site.rules / "site.toml").unlink()
        assert site.run("replay", "--apply").code == 0
        (row,) = site.run("unknown", "list", "--json").rows
        (line,) = find_events(log, "text_cluster_found")
        assert (line["cluster"], line["report"]) == (row["cluster"], row["report"])

    @pytest.mark.parametrize(
        ("since", "looked_at"),
        [("30d", 1), ("1ms", 0), ("2999-01-01", 0), ("2026-11-01T00:00:00+01:00", 1)],
    )
    def test_it_looks_back_as_far_as_it_is_told(
        self, site: Site, since: str, looked_at: int
    ) -> None:
        site.ingest(make_bounce())
        outcome = site.run("replay", "--since", since)
        assert outcome.out == f"looked at {looked_at} reports: no difference\n"

    def test_a_time_that_is_none_is_a_usage_error(self, site: Site) -> None:
        outcome = site.run("replay", "--since", "yesterday")
        assert outcome.code == 64
        assert "--since yesterday: write how long ago, as 30d or 12h, or a date" in outcome.err

    def test_a_wrong_rule_is_a_configuration_error(self, site: Site) -> None:
        (site.rules / "site.toml").write_text("stage = 1")
        assert site.run("replay", "--apply").code == 78

    def test_an_interrupted_replay_says_so_and_goes_on(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, log: list[Line]
    ) -> None:
        site.ingest(*map(make_unknown, range(3)))
        site.write_rule()
        with monkeypatch.context() as interrupted:
            interrupted.setattr(replay_module, "CLAIM", 1)
            interrupted.setattr(replay_module, "judge", _interrupt_after(1))
            outcome = site.run("replay", "--apply")
        assert (outcome.code, outcome.complaints) == (
            75,
            [f"bounced: {INTERRUPTED}; run it again, and it goes on"],
        )
        (line,) = find_events(log, "operator_acted")
        assert line["detail"].startswith("1 of 1 reports differed")
        outcome = site.run("replay", "--apply")
        assert outcome.out.splitlines()[0] == (
            "a replay was interrupted: it goes on, 2 reports are left"
        )
        assert outcome.out.splitlines()[-1].startswith("looked at 2 reports: 2 recipients of 2")
        assert site.run("replay").code == 0

    @pytest.mark.parametrize("options", [[], ["--apply"]])
    def test_a_report_that_cannot_be_read_stays_and_is_told(
        self, site: Site, options: list[str]
    ) -> None:
        site.ingest(make_unknown(1))
        site.write_rule()
        site.run.configure('[workers]\nmessage_deadline = "1ms"\n')
        (report,) = list_reports(site)
        outcome = site.run("replay", *options)
        (line,) = outcome.complaints
        assert line.startswith(f"bounced: 1 of 1 reports stay as they are, such as {report}: ")
        assert outcome.code == 1

    def test_one_that_was_taken_over_says_so(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.ingest(make_unknown(1))
        monkeypatch.setattr(replays, "advance", _fail(TakenOverError("other")))
        outcome = site.run("replay", "--apply")
        assert (outcome.code, outcome.complaints) == (
            75,
            [f"bounced: {TAKEN_OVER}; run it again when no other runs"],
        )

    def test_one_that_must_look_further_back_is_refused(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.ingest(make_unknown(1))
        monkeypatch.setattr(replays, "begin", _fail(SinceError("earlier")))
        outcome = site.run("replay", "--apply", "--since", "1h")
        assert (outcome.code, outcome.complaints) == (65, ["bounced: earlier"])


def _describe(category: str, reason: str, rule: str | None) -> dict[str, Any]:
    return {
        "kind": "delivery-status",
        "named": True,
        "action": "failed",
        "category": category,
        "reason": reason,
        "rule": rule,
        "ignored": None,
    }


def _fail(error: Exception) -> Any:
    def fail(*_: Any) -> NoReturn:
        raise error

    return fail


def _interrupt_after(reports: int) -> Any:
    """Judge so many reports, then be Ctrl-C at a terminal."""
    actual, left = processor.judge, [reports]

    def judge(*arguments: Any) -> Any:
        if not left[0]:
            signal.raise_signal(signal.SIGINT)
        left[0] -= 1
        return actual(*arguments)

    return judge
